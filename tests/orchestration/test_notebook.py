"""Components and pipelines typed into a notebook or a script: they run in child processes all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

CELLS = [
    """
import threading
from orchestration import Artifact, RunContext, component, for_each, pipeline, value
BY = 10
lock = threading.Lock()  # what cannot travel does no harm as long as nobody uses it

class Count(Artifact):
    pass
""",
    """
def scaled(n: int) -> int:
    return n * BY

def chosen(n: int) -> int:
    return scaled(n) + 1
""",
    """
@component
def count(n: int) -> Count:
    return Count.new(n=n, items=[1, 2])

@component
def apply(count: Count, function: object, by: int = 0) -> Count:
    return Count.new(n=function(count.metadata["n"]) + by)

@component
def add_up(counts: list[Count], run: RunContext) -> Count:
    run.log_metric("counts", len(counts))
    return Count.new(n=sum(c.metadata["n"] for c in counts))
""",
    """
@pipeline
def notebook(n: int = 1):
    first = count(n)
    each = for_each(value(first, "items"), lambda k: apply(first, chosen, k))
    add_up(each)
""",
]

# Runs the cells as IPython does: compiled under a name that linecache knows, in a main without a file.
NOTEBOOK = """
import json, linecache, sys
main = sys.modules["__main__"]
cells = json.loads(sys.argv[1])
del main.__file__
def run_cell(text, number):
    name = f"<ipython-input-{number}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), vars(main))
for number, text in enumerate(cells):
    run_cell(text, number)
first, second = notebook.run(n=2), notebook.run(n=2)
run_cell("def scaled(n: int) -> int:\\n    return n * BY + 100\\n", 99)
third = notebook.run(n=2)
inside = notebook.run(n=2, in_process=True, cache=False)
def told(r):
    return {"state": str(r.state), "n": r.artifact("add_up").metadata["n"], "metrics": r.metrics,
            "nodes": {name: str(a.state) for name, a in r.nodes.items()},
            "error": [a.error for a in r.failed]}
print(json.dumps({"runs": [told(r) for r in (first, second, third, inside)], "html": first._repr_html_(),
                  "at": first.nodes["count"].state and str(notebook.graph({"n": 1}).nodes["count"].at)}))
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "headrace.toml").write_text("")
    script = folder / "session.py"
    script.write_text(NOTEBOOK)
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(CELLS)], cwd=folder, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT), "HEADRACE_TRACKING": "off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_functions_of_a_notebook_run_in_child_processes(session: dict[str, Any]) -> None:
    first = session["runs"][0]
    assert first["error"] == []
    assert first["state"] == "SUCCEEDED"
    assert first["n"] == (2 * 10 + 1 + 1) + (2 * 10 + 1 + 2)
    assert first["metrics"] == {"add_up.counts": 2.0}


def test_a_second_run_of_the_same_cells_is_cached(session: dict[str, Any]) -> None:
    assert set(session["runs"][1]["nodes"].values()) == {"CACHED"}


def test_a_helper_that_was_typed_again_makes_its_users_run_again(session: dict[str, Any]) -> None:
    third = session["runs"][2]
    assert third["nodes"] == {"count": "CACHED", "apply": "SUCCEEDED", "add_up": "SUCCEEDED"}
    assert third["n"] == session["runs"][0]["n"] + 200


def test_in_process_gives_the_same(session: dict[str, Any]) -> None:
    assert session["runs"][3]["n"] == session["runs"][2]["n"]


def test_a_result_shows_itself_in_a_notebook(session: dict[str, Any]) -> None:
    assert "<td>add_up</td><td>SUCCEEDED</td>" in session["html"]


def test_errors_point_into_the_cell(session: dict[str, Any]) -> None:
    assert session["at"] == "<ipython-input-3>:4  first = count(n)"


SCRIPT = """
from orchestration import Artifact, component, pipeline

class Count(Artifact):
    pass

def twice(n: int) -> int:
    return 2 * n

@component
def count(n: int) -> Count:
    return Count.new(n=twice(n))

@component
def fail(count: Count) -> Count:
    return Count.new(n=count.metadata["nothing"])

@pipeline
def script(n: int = 1):
    fail(count(n))

if __name__ == "__main__":
    result = script.run(n=4)
    print(result.artifact("count").metadata["n"], result.nodes["fail"].error)
"""


def test_a_script_runs_its_own_pipeline(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text("")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT), "HEADRACE_TRACKING": "off"},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "8 KeyError: 'nothing'", '  at        script.py:16  return Count.new(n=count.metadata["nothing"])',
    ]  # fmt: skip
