"""Pipelines: found, loaded, described, and run from Python."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration import PipelineError, pipeline
from orchestration.cli.discovery import discover, import_file, load_pipeline
from orchestration.cli.running import purpose
from orchestration.records import State
from tests.orchestration.conformance import graph_of
from tests.pipelines_for_tests import good
from tests.pipelines_for_tests.steps import add, start

ROOT = Path(__file__).resolve().parents[2]
GOOD = "tests/pipelines_for_tests/good.py"

TINY = "from orchestration import pipeline\nfrom tests.pipelines_for_tests.steps import start\n"


def tiny(name: str, number: int = 1) -> str:
    return f"\n@pipeline\ndef {name}():\n    start({number})\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder of pipelines, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "headrace.toml").write_text("")
    (tmp_path / "pipelines").mkdir()
    return tmp_path


def test_a_pipeline_describes_itself() -> None:
    found = good.nightly
    assert (found.name, purpose(found)) == ("nightly", "Runs by the clock.")
    assert (found.schedule, found.timezone) == ("0 3 * * *", "America/Chicago")
    assert found.file == ROOT / GOOD
    assert [(p.name, p.annotation) for p in found.signature.parameters.values()] == [("day", str)]
    assert list(good.tuned.signature.parameters)[:2] == ["data", "epochs"]
    assert repr(found) == "<pipeline nightly>"


def test_by_file_and_name() -> None:
    assert load_pipeline(f"{GOOD}:chain", ROOT) is good.chain
    assert load_pipeline(str(ROOT / f"{GOOD}:outer"), ROOT) is good.outer


def test_by_file_alone_where_there_is_one(project: Path) -> None:
    (project / "one_flow.py").write_text(TINY + tiny("anything"))
    assert load_pipeline("one_flow.py", project).name == "anything"


def test_by_file_alone_where_one_has_its_name(project: Path) -> None:
    (project / "lp_two.py").write_text(TINY + tiny("other") + tiny("lp_two"))
    assert load_pipeline("lp_two.py", project).name == "lp_two"


def test_by_bare_name_from_the_folder_of_pipelines(project: Path) -> None:
    (project / "pipelines" / "lp_bare.py").write_text(TINY + tiny("anything"))
    found = load_pipeline("lp_bare", project)
    assert (found.name, found.__module__) == ("anything", "pipelines.lp_bare")


def test_imported_pipelines_do_not_count(project: Path) -> None:
    (project / "lp_importer.py").write_text(
        TINY + "from tests.pipelines_for_tests.good import chain, outer\n" + tiny("own")
    )
    assert load_pipeline("lp_importer.py", project).name == "own"


def test_discovery_reads_only_files_with_pipelines(project: Path) -> None:
    folder = project / "pipelines"
    (folder / "ld_b.py").write_text(TINY + tiny("second") + tiny("third"))
    (folder / "ld_a.py").write_text(TINY + tiny("first"))
    (folder / "ld_helper.py").write_text("raise SystemExit('must not be imported')\n")
    assert [found.name for found in discover(project)] == ["first", "second", "third"]


def test_a_file_whose_name_is_no_identifier(project: Path) -> None:
    (project / "odd folder").mkdir()
    (project / "odd folder" / "lp_odd.py").write_text(TINY + tiny("odd"))
    assert load_pipeline("odd folder/lp_odd.py", project).name == "odd"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("import no_such_module_at_all\n", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_does_not_import_tells_the_users_exception_first(
    project: Path, text: str, first: str
) -> None:
    file = project / f"lf_{len(text)}.py"
    file.write_text(text)
    with pytest.raises(PipelineError) as caught:
        import_file(file, project)
    assert caught.value.headline.startswith(first)
    assert f"{file.name}:1" in str(caught.value) or "line 1" in str(caught.value)


def test_a_shadowed_file_is_told(project: Path) -> None:
    (project / "json.py").write_text(TINY + tiny("mine"))
    with pytest.raises(PipelineError, match="hidden by another module called json"):
        load_pipeline("json.py", project)


def test_the_same_pipeline_is_described_by_several_threads_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        graphs = list(pool.map(lambda n: graph_of(good.outer, n=n), range(40)))
    assert all(len(graph.nodes) == 6 for graph in graphs)


def test_a_description_that_fails_leaves_nothing_open() -> None:
    calls = []

    @pipeline
    def moody():
        calls.append(1)
        add(start(1))
        if len(calls) == 1:
            raise ValueError("not today")

    with pytest.raises(PipelineError, match="ValueError: not today"):
        moody.graph({})
    assert len(moody.graph({}).nodes) == 2


def test_run_takes_parameters_selection_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_TRACKING", "off")
    whole = good.chain.run(n=3, k=4)
    assert whole.ok and whole.artifact("third").metadata == {"n": 11}
    part = good.chain.run(n=3, k=4, only=["spell"], cache=False, in_process=True)
    assert [name for name, a in part.nodes.items() if a.state is State.SUCCEEDED] == ["spell"]
    assert (
        good.chain.run(n=3, k=4, to="add", skip=["start"], cache=False).nodes["tell"].state
        is not State.FAILED
    )
    with pytest.raises(PipelineError, match='has no parameter "m"'):
        good.chain.run(m=3)


def test_importing_the_packages_loads_nothing_heavy() -> None:
    heavy = (
        "apache_beam", "great_expectations", "jax", "keras", "mlflow", "numpy", "pandas", "pyarrow",
        "sqlalchemy", "tensorflow", "torch",
    )  # fmt: skip
    script = "import sys, orchestration, components; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(heavy) & set(done.stdout.split()) == set()
