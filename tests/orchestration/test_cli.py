"""The command as a person uses it: its output, its exit codes, its JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PIPELINES = '''
import os, time
from orchestration import Artifact, RunContext, component, pipeline, value, when

class Number(Artifact):
    pass

@component
def start(n: int, run: RunContext) -> Number:
    run.log_metric("n", n)
    return Number.new(n=n)

@component
def add(x: Number, k: int = 1, seconds: float = 0.0) -> Number:
    time.sleep(seconds)
    return Number.new(n=x.metadata["n"] + k)

@component
def divide(x: Number) -> Number:
    return Number.new(n=1 / (x.metadata["n"] - x.metadata["n"]))

@component
def vanish(x: Number) -> Number:
    os.kill(os.getpid(), 9)

@pipeline(schedule="0 3 * * *", timezone="America/Chicago")
def sums(n: int = 1, seconds: float = 0.0, deep: bool = False):
    """Adds numbers."""
    first = start(n)
    second = add(first, seconds=seconds)
    with when(value(second, "n") > 100):
        add.with_(name="big")(second)

@pipeline
def broken(n: int = 1):
    """Fails in the middle, on one of two branches."""
    first = start(n)
    bad = divide(first)
    add.with_(name="after_bad")(bad)
    add.with_(name="other_branch")(first)

@pipeline
def killed(n: int = 1):
    """Its node dies."""
    vanish(start(n))
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project with one file of pipelines."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "headrace.toml").write_text("")
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "numbers_file.py").write_text(PIPELINES)
    return folder


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "HEADRACE_TRACKING": "off"}


def headrace(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *arguments],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_run_prints_a_line_for_each_change_and_where_to_look(project: Path) -> None:
    done = headrace(project, "run", "pipelines/numbers_file.py:sums", "--n", "3")
    assert done.returncode == 0, done.stderr
    assert "add                          SUCCEEDED" in done.stdout
    assert "skipped   big: add.n > 100 is false: it is 4" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("  details   headrace show sums-")


def test_json_is_one_object_and_nothing_else(project: Path) -> None:
    done = headrace(project, "run", "pipelines/numbers_file.py:sums", "--n=200", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and done.stderr == ""
    assert set(found) == {"run", "nodes", "metrics"}
    assert set(found["run"]) == {"id", "pipeline", "state", "seconds"}
    by_name = {node["name"]: node for node in found["nodes"]}
    assert by_name["big"]["state"] == "SUCCEEDED" and by_name["big"]["attempts"] == 1
    assert set(by_name["start"]["outputs"]["output"]) == {"type", "uri", "digest"}
    assert by_name["start"]["cpu_seconds"] >= 0 and found["metrics"] == {"start.n": 200.0}


def test_a_second_run_is_cached_and_plan_says_so(project: Path) -> None:
    headrace(project, "run", "pipelines/numbers_file.py:sums", "--n", "11")
    planned = headrace(project, "plan", "pipelines/numbers_file.py:sums", "--n", "11")
    assert [line.split()[0] for line in planned.stdout.splitlines()[1:]] == ["cached", "cached", "run"]
    assert "will be skipped: add.n > 100 is false" in planned.stdout
    again = headrace(project, "run", "pipelines/numbers_file.py:sums", "--n", "11", "--json")
    states = [node["state"] for node in json.loads(again.stdout)["nodes"]]
    assert states == ["CACHED", "CACHED", "SKIPPED"]
    fresh = headrace(project, "run", "pipelines/numbers_file.py:sums", "--n", "11", "--no-cache", "--json")
    assert json.loads(fresh.stdout)["nodes"][0]["state"] == "SUCCEEDED"


def test_a_failure_says_the_users_error_first_and_the_resume_command_last(project: Path) -> None:
    done = headrace(project, "run", "pipelines/numbers_file.py:broken")
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "ZeroDivisionError: division by zero"
    assert lines[1].strip().startswith("at        pipelines/numbers_file.py:")
    assert lines[-1].split()[:3] == ["resume", "headrace", "resume"]
    assert len(lines) <= 15
    assert "other_branch                 SUCCEEDED" in done.stdout
    assert "needs divide, which is FAILED" in done.stdout


def test_show_has_the_full_traceback_and_json_has_the_states(project: Path) -> None:
    done = headrace(project, "run", "pipelines/numbers_file.py:broken", "--json")
    run_id = json.loads(done.stdout)["run"]["id"]
    shown = headrace(project, "show", run_id, "divide")
    assert "Traceback (most recent call last)" in shown.stdout
    listed = json.loads(headrace(project, "runs", "--json").stdout)
    assert listed[0]["id"] == run_id and listed[0]["state"] == "FAILED"


def test_a_killed_node_is_a_failure_of_that_node(project: Path) -> None:
    done = headrace(project, "run", "pipelines/numbers_file.py:killed")
    assert done.returncode == 1
    assert done.stderr.startswith("the node's process was killed by SIGKILL (out of memory?)")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "pipelines/numbers_file.py:sums", "--m", "3"], 'pipeline sums has no parameter "m"'),
        (
            ["run", "pipelines/numbers_file.py:sums", "--n", "x"],
            'parameter "n" of pipeline sums has the wrong',
        ),
        (["run", "pipelines/numbers_file.py"], "holds 3 pipelines"),
        (["run", "nothing.py"], "there is no pipeline file nothing.py"),
        (["run", "pipelines/numbers_file.py:sums", "--only", "ad"], 'there is no node "ad"'),
        (["show", "nothing-1"], "there is no run nothing-1"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_arguments_exit_2_and_teach(project: Path, arguments: list[str], expected: str) -> None:
    done = headrace(project, *arguments)
    assert done.returncode == 2
    assert expected in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_explain_names_the_part_of_the_key_that_changed(project: Path) -> None:
    headrace(project, "run", "pipelines/numbers_file.py:sums", "--n", "21", "--json")
    second = headrace(project, "run", "pipelines/numbers_file.py:sums", "--n", "22", "--json")
    run_id = json.loads(second.stdout)["run"]["id"]
    changes = json.loads(headrace(project, "explain", run_id, "start", "--json").stdout)["changes"]
    assert changes == [{"part": "configuration", "name": "n", "before": 21, "now": 22}]


def test_list_and_schedule_dry_run_show_the_pipelines(project: Path) -> None:
    listed = headrace(project, "list")
    assert "Adds numbers." in listed.stdout and "--n 1 --seconds 0.0 --deep False" in listed.stdout
    planned = headrace(project, "schedule", "--dry-run")
    assert planned.returncode == 0 and "America/Chicago" in planned.stdout


def test_help_of_a_pipeline_names_its_parameters(project: Path) -> None:
    shown = headrace(project, "run", "pipelines/numbers_file.py:sums", "--help").stdout
    assert "--seconds" in shown and "float, default 0.0" in shown


def test_doctor_names_every_store(project: Path) -> None:
    found = json.loads(headrace(project, "doctor", "--json").stdout)
    topics = {finding["topic"] for finding in found}
    assert {"python", "journal", "tracking", "artifacts", "free disk", "torch"} <= topics


def test_interrupt_leaves_no_process_and_resume_finishes(project: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "orchestration.cli",
            "run",
            "pipelines/numbers_file.py:sums",
            "--n",
            "31",
            "--seconds",
            "30",
        ],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.split()[:2] == ["add", "RUNNING"]:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "was interrupted" in errors and "headrace resume" in errors
    assert not processes_with(str(project))


def processes_with(text: str) -> list[str]:
    """Command lines and working folders of live processes that mention a text."""
    deadline = time.monotonic() + 5
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                place = (entry / "cwd").readlink()
                if text in str(place) and "Z" not in (entry / "stat").read_text().split(")")[1][:3]:
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
