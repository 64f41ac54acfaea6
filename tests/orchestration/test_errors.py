"""Errors that teach: their shape, the user's own line, and the way they travel."""

from __future__ import annotations

import linecache
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration import errors
from orchestration.errors import (
    ArgumentError,
    DataError,
    HeadraceError,
    PipelineError,
    place,
    require,
    user_line,
)
from orchestration.failure import user_failure

ROOT = Path(__file__).resolve().parents[2]


def kinds(of: type[HeadraceError] = HeadraceError) -> list[type[HeadraceError]]:
    return [of, *(kind for sub in of.__subclasses__() for kind in kinds(sub))]


def test_an_error_has_a_headline_and_its_facts_in_order() -> None:
    error = DataError(
        'column "fare" changes type', expected="double", received="string\nin line 8", at="x.py:3", next="a"
    )
    assert str(error).splitlines() == [
        'column "fare" changes type',
        "  expected  double",
        "  received  string",
        "            in line 8",
        "  at        x.py:3",
        "  next      a",
    ]


def test_facts_that_are_missing_take_no_line() -> None:
    assert str(DataError("no rows", at="")) == "no rows"


def test_an_error_names_the_line_that_made_it() -> None:
    error = DataError("no rows")
    assert error.at is not None
    assert error.at.startswith("tests/orchestration/test_errors.py:")
    assert error.at.endswith('error = DataError("no rows")')


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_error_travels_between_processes(kind: type[HeadraceError]) -> None:
    error = kind("headline", expected="e", received="r", at="a", next="n")
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert str(arrived) == str(error)
    assert arrived.exit_code in (1, 2)


def test_wrong_pipelines_exit_with_two() -> None:
    assert {kind.exit_code for kind in kinds(PipelineError)} == {2}
    assert DataError.exit_code == 1


def test_require_says_what_was_expected_and_received() -> None:
    require(True, "share", "a share", 0.5)
    with pytest.raises(ArgumentError) as caught:
        require(False, "share", "a share between 0 and 1", 1.5)
    assert str(caught.value).splitlines()[:3] == [
        'argument "share" is out of range', "  expected  a share between 0 and 1", "  received  share=1.5",
    ]  # fmt: skip


def test_the_users_line_is_below_libraries_and_ourselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ul_user.py").write_text(
        "import json\nfrom orchestration.errors import user_line\n\n\ndef ask():\n"
        "    return json.loads('1', parse_int=lambda _: user_line())\n"
    )
    import ul_user  # type: ignore[import-not-found]  # written above

    line = ul_user.ask()
    assert line == "ul_user.py:6  return json.loads('1', parse_int=lambda _: user_line())"


def test_a_cell_of_a_notebook_is_the_users() -> None:
    text = "line = user_line()\n"
    name = "<ipython-input-7>"
    linecache.cache[name] = (len(text), None, [text], name)
    names: dict[str, object] = {"user_line": user_line, "__name__": "__main__"}
    exec(compile(text, name, "exec"), names)
    assert names["line"] == "<ipython-input-7>:1  line = user_line()"
    del linecache.cache[name]


@pytest.mark.parametrize(
    ("file", "is_users"),
    [(errors.__file__, False), (None, True), ("/home/me/components/__init__.py", True)],
)
def test_ourselves_run_as_a_program_are_not_the_user(file: str | None, is_users: bool) -> None:
    names: dict[str, object] = {"user_line": user_line, "__name__": "__main__", "__file__": file}
    exec(compile("line = user_line()", "/home/me/program.py", "exec"), names)
    assert (names["line"] == "/home/me/program.py:1") == is_users


def test_a_project_below_pythons_prefix_is_no_library() -> None:
    assert not errors.is_library(f"{sys.base_prefix}/src/app/pipelines/taxi.py")
    assert errors.is_library(traceback.__file__)
    assert errors.is_library(pytest.__file__)


def test_a_place_is_relative_where_it_can_be(tmp_path: Path) -> None:
    assert place(__file__, 1).startswith("tests/orchestration/test_errors.py:1")
    assert place(str(tmp_path / "x.py"), 3) == f"{tmp_path}/x.py:3"


def a_decorator(**_: object) -> Callable[[Callable[[], None]], Callable[[], None]]:
    return lambda function: function


@a_decorator(
    first=1,
    second=2,
)
# a remark between
def decorated() -> None:
    """Below everything."""


def test_a_definition_is_its_def_line() -> None:
    assert errors.definition(decorated).endswith("def decorated() -> None:")
    assert errors.definition(lambda: None).startswith("tests/orchestration/test_errors.py:")


# A user's exception, in a few lines


def failure_of(function: Callable[[], object], at: str | None = None) -> list[str]:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever a user's code raises is what is tested
        return str(user_failure(error, at)["error"]).splitlines()
    raise AssertionError("nothing was raised")


def test_an_exception_comes_first_then_the_users_line() -> None:
    import json

    lines = failure_of(lambda: json.loads("{"))
    assert lines[0].startswith("JSONDecodeError: Expecting property name")
    assert lines[1].startswith("  at        tests/orchestration/test_errors.py:")
    assert len(lines) == 2


def test_where_no_line_is_the_users_the_call_of_the_node_is_told() -> None:
    from orchestration.artifacts import Artifact

    artifact = Artifact("/nowhere")
    lines = failure_of(lambda: artifact.read_json("x.json"), at="pipelines/taxi.py:3  f(x)")
    assert lines[0] == "ArtifactError: Artifact has no file x.json"


def test_an_exception_without_words_and_a_long_one() -> None:
    def silent() -> None:
        raise RuntimeError

    def long() -> None:
        raise ValueError("x" * 9000)

    assert failure_of(silent)[0] == "RuntimeError: (no message)"
    assert len(failure_of(long)[0]) == 500


def test_what_is_wrong_in_itself_is_not_tried_again() -> None:
    assert not user_failure(ArgumentError("wrong"))["retry"]
    assert user_failure(DataError("late"))["retry"]
    assert user_failure(OSError("line busy"))["retry"]


def test_a_component_of_ours_in_a_child_process_names_the_users_call(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from orchestration.settings import load\n"
        "from orchestration.run import run_pipeline\n"
        "from ec_flow import ec_flow\n"
        "result = run_pipeline(ec_flow, {}, settings=load(tracking='off', home=sys.argv[1] + '/home'))\n"
        "print(result.failed[0].error)\n"
    )
    (tmp_path / "data.csv").write_text("a,b\n1,2\n1,2,3\n")
    (tmp_path / "headrace.toml").write_text("")
    (tmp_path / "ec_flow.py").write_text(
        "from components import read_csv\nfrom orchestration import pipeline\n\n\n"
        "@pipeline\ndef ec_flow():\n    read_csv('data.csv', splits={'train': 1.0})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *facts = done.stdout.splitlines()
    assert first.split(":")[0].endswith("Error")
    assert "  at        ec_flow.py:7  read_csv('data.csv', splits={'train': 1.0})" in facts
