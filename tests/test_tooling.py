"""The project's own tooling: the pins, what gets installed, the commands, and what the documents promise."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestration.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
TARGETS = ("setup", "demo", "test", "lint", "bench", "pins", "clean")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    project = PROJECT["project"]
    listed = chain(project["dependencies"], *project["optional-dependencies"].values())
    return [found for found in map(Requirement, listed) if found.name != project["name"]]


def run(*command: object, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    words = [str(part) for part in command]
    return subprocess.run(words, cwd=cwd, env=variables or None, capture_output=True, text=True, check=False)


# --- pins ----------------------------------------------------------------------------------------


def test_constraints_hold_exact_versions_and_no_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[\w.\-]+==[\w.+]+", line)]
    assert odd == []
    assert len(pins()) == len([line for line in lines if not line.startswith("#")])


@pytest.mark.parametrize("requirement", requirements(), ids=lambda found: found.name)
def test_every_dependency_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_what_is_installed_may_be_used_together() -> None:
    """What pip put here fits the bounds; a set-up from the pins is checked whole by pip itself."""
    wrong = []
    for requirement in map(Requirement, PROJECT["project"]["dependencies"]):
        if requirement.marker is None or requirement.marker.evaluate():
            found = metadata.version(requirement.name)
            if not requirement.specifier.contains(found):
                wrong.append(f"{requirement.name} {found}, not {requirement.specifier}")
    assert wrong == []


# --- what gets installed -------------------------------------------------------------------------


def test_exactly_the_two_packages_are_installed_with_all_their_files() -> None:
    from setuptools import find_packages

    found = find_packages(str(ROOT), **PROJECT["tool"]["setuptools"]["packages"]["find"])
    assert {name.split(".")[0] for name in found} == {"components", "orchestration"}
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    forgotten = [
        str(file.relative_to(ROOT))
        for top in ("components", "orchestration")
        for file in (ROOT / top).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
        if not (
            ".".join(file.parent.relative_to(ROOT).parts) in found
            and (file.suffix == ".py" or any(file.match(pattern) for pattern in patterns))
        )
    ]
    assert forgotten == []


def test_every_module_of_the_project_is_a_dependency_or_its_own() -> None:
    """Nothing is imported that only happens to be there."""
    top_levels = metadata.packages_distributions()
    allowed = {canonicalize_name(found.name) for found in requirements()}
    own = {"components", "orchestration", "pipelines", *sys.stdlib_module_names}
    foreign = {
        f"{module} in {file.relative_to(ROOT)}"
        for top in ("components", "orchestration", "pipelines")
        for file in (ROOT / top).rglob("*.py")
        for module in imported(file) - own
        if not {canonicalize_name(name) for name in top_levels.get(module, [module])} & allowed
    }
    assert foreign == set()


def imported(file: Path) -> set[str]:
    """Top-level names of the modules a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target: str) -> None:
    done = run("make", "--dry-run", target)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", [".ci/run", ".ci/make-venv"])
def test_scripts_are_executable_and_well_formed(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    assert run("sh", "-n", script).returncode == 0


def fake_python(folder: Path, fits: bool) -> str:
    """Put a ``python3`` into a folder that is too old, or lacks ensurepip and pip; return a PATH with it."""
    script = folder / "bin" / "python3"
    script.parent.mkdir()
    answers = f"""#!/bin/sh
case "$*" in
    --version) echo "Python 3.9.1" ;;
    *-venv*) echo python3.12-venv ;;
    *version_info*) exit {0 if fits else 1} ;;
    *"import ensurepip"*|*pip*) exit 1 ;;
esac
"""
    script.write_text(answers, encoding="utf-8")
    script.chmod(0o755)
    for tool in ("sh", "cat", "dirname", "true"):
        (script.parent / tool).symlink_to(shutil.which(tool) or "")
    # Not root: the script would rightly install the missing package.
    (script.parent / "id").write_text("#!/bin/sh\necho 1000\n", encoding="utf-8")
    (script.parent / "id").chmod(0o755)
    return str(script.parent)


@pytest.mark.parametrize(
    ("fits", "expected", "remedy"),
    [
        (False, "Headrace needs Python 3.11, 3.12 or 3.13\n  received  Python 3.9.1", "make PYTHON="),
        (True, "this Python cannot make virtual environments", "sudo apt-get install python3.12-venv"),
    ],
)
def test_set_up_says_what_the_machine_lacks(tmp_path: Path, fits: bool, expected: str, remedy: str) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "make-venv", tmp_path / ".ci")
    done = run(tmp_path / ".ci" / "make-venv", "demo", cwd=tmp_path, PATH=fake_python(tmp_path, fits))
    assert done.returncode == 2
    assert expected in done.stderr
    assert remedy in done.stderr.splitlines()[-1]
    assert not (tmp_path / ".venv").exists()


SLOW_AND_QUICK = """
import pytest

@pytest.mark.slow
def test_slow():
    pass

def test_quick():
    pass
"""


@pytest.mark.parametrize(
    ("arguments", "until", "expected"),
    [
        ([], "", "1 passed, 1 deselected"),
        (["--slow"], "", "2 passed"),
        (["--slow"], "1", "1 passed, 1 skipped"),
        (["-m", "slow"], "", "1 passed, 1 deselected"),
        (["tests/test_both.py::test_slow"], "", "1 passed"),
    ],
)
def test_slow_tests_run_last_and_while_time_allows(
    tmp_path: Path, arguments: list[str], until: str, expected: str
) -> None:
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests" / "test_both.py").write_text(SLOW_AND_QUICK, encoding="utf-8")
    variables = {"HEADRACE_SLOW_UNTIL": until} if until else {}
    done = run(sys.executable, "-m", "pytest", "-v", *arguments, cwd=tmp_path, PATH="", **variables)
    assert f"{expected} in " in done.stdout.splitlines()[-1], done.stdout
    if expected == "2 passed":
        assert done.stdout.index("test_quick PASSED") < done.stdout.index("test_slow PASSED")


# --- documents -----------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda found: str(found.relative_to(ROOT)))
def test_documents_link_to_what_is_there(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [
        link for link in links if "://" not in link and not (document.parent / link).resolve().exists()
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda found: str(found.relative_to(ROOT)))
def test_documents_name_only_commands_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    added = {entry.name for entry in metadata.entry_points(group="headrace.commands")}
    added |= set(PROJECT["project"]["entry-points"]["headrace.commands"])
    verbs = set(re.findall(r"(?:^|`|\$ )headrace ([a-z]+)", text, re.MULTILINE))
    assert verbs <= {*COMMANDS, *added}
    assert set(re.findall(r"(?:^|`|\$ )make ([a-z]+)", text, re.MULTILINE)) <= set(TARGETS)


def blocks(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_pipeline_language_run(tmp_path: Path) -> None:
    """The code of docs/pipelines.md, put together as one file, is imported, described and tested."""
    code = blocks(ROOT / "docs" / "pipelines.md")
    assert len(code) >= 5
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "headrace.toml").touch()
    file = tmp_path / "pipelines" / "examples.py"
    whole = "\n\n".join(code)
    file.write_text(whole, encoding="utf-8")
    done = run(sys.executable, "-m", "pytest", "-q", file, cwd=tmp_path, PATH="", PYTHONPATH=str(ROOT))
    assert " passed" in done.stdout, done.stdout + done.stderr
    names = set(re.findall(r"^@pipeline.*?\ndef (\w+)", whole, re.DOTALL | re.MULTILINE))
    describe = (
        "from pathlib import Path; from orchestration.cli.discovery import load_pipeline\n"
        f"for name in {sorted(names)!r}:\n"
        f"    found = load_pipeline(f'{file}:{{name}}', Path({str(tmp_path)!r}))\n"
        "    assert found.graph(found.bind({})).sorted(), name\n"
    )
    described = run(sys.executable, "-c", describe, cwd=tmp_path, PATH="", PYTHONPATH=str(ROOT))
    assert described.returncode == 0, described.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda found: str(found.relative_to(ROOT)))
def test_python_in_documents_is_python(document: Path) -> None:
    for block in blocks(document):
        ast.parse(block)


def test_the_table_of_modules_is_whole() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("## Modules of")[2].partition("\n## ")[0]
    first = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    named = set(re.findall(r"`([a-z_]+)/?`", "".join(first)))
    here = (ROOT / "orchestration").iterdir()
    known = {found.stem for found in here if found.suffix == ".py" or (found / "__init__.py").exists()}
    assert named == known - {"__init__"}


def stubs(document: Path) -> dict[str, ast.FunctionDef]:
    """The signatures a document shows, ``def name(…): ...``, by name."""
    parsed = (node for block in blocks(document) for node in ast.parse(block).body)
    return {node.name: node for node in parsed if isinstance(node, ast.FunctionDef)}


def test_every_component_is_documented_with_its_signature() -> None:
    import components
    from orchestration import Component

    exported = [getattr(components, name) for name in components.__all__]
    known = {found.name: found for found in exported if isinstance(found, Component)}
    shown = stubs(ROOT / "docs" / "components.md")
    assert shown.keys() == known.keys()
    for name, component in known.items():
        given = component.signature.parameters.values()
        arguments = shown[name].args
        assert [a.arg for a in (*arguments.args, *arguments.kwonlyargs)] == [p.name for p in given], name
        written = [value for value in (*arguments.defaults, *arguments.kw_defaults) if value is not None]
        defaults = [eval(ast.unparse(value), dict(vars(components))) for value in written]
        assert defaults == [p.default for p in given if p.default is not p.empty], name
