"""A small run, killed or interrupted at any moment: nothing is left behind, and a resume finishes it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from orchestration.journal import Journal
from orchestration.records import RunState, State
from orchestration.run import resume_run, run_pipeline
from tests.faults.small_run import SmallRun, contradictions, only_run, settings_of
from tests.pipelines_for_tests.running import small_steps

LONGEST = 4.0  # seconds a whole run takes, with its start, on a machine that has more to do
_choose = random.Random(20261122)
MOMENTS = sorted(_choose.uniform(0.2, LONGEST) for _ in range(20))
ANSWER = (1 + 1 + 1 + 2) * 2 + 1 + 2 + 5 + 6


def finish(home: Path) -> None:
    """Resume what was begun, or begin it; then hold all that was kept against itself."""
    settings = settings_of(home)
    run = only_run(home)
    if run is None:  # killed before it was recorded: nothing had begun
        result = run_pipeline(small_steps, {"seconds": 0.0}, settings=settings)
    elif run.state is RunState.SUCCEEDED:  # killed after its end
        result = None
    else:
        result = resume_run(small_steps, run.id, settings=settings)
    if result is not None:
        assert result.state is RunState.SUCCEEDED
        assert result.artifact("end").metadata == {"n": ANSWER}
    finished = only_run(home)
    assert finished is not None and finished.state is RunState.SUCCEEDED
    assert contradictions(home) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment:.2f}s")
def test_killed_at_any_moment_it_is_finished_by_resume(tmp_path: Path, moment: float) -> None:
    run = SmallRun(tmp_path / "home")
    time.sleep(moment)
    run.end(signal.SIGKILL)
    assert run.left_behind(seconds=5.0) == []
    finish(tmp_path / "home")


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for moment in (1.2, 1.6, 2.0, 2.4):
        recorded = only_run(home)
        if recorded is not None and recorded.state is RunState.SUCCEEDED:
            break
        run = SmallRun(home, ["--resume", recorded.id] if recorded else [])
        time.sleep(moment)
        run.end(signal.SIGKILL)
        assert run.left_behind(seconds=5.0) == []
    finish(home)


def started_node(home: Path) -> None:
    """Wait until a node is at work."""
    deadline = time.monotonic() + 30
    while not list((home / "runs").glob("*/left/1/call.pickle")):
        assert time.monotonic() < deadline, "the run did not start"
        time.sleep(0.01)


def test_killed_in_the_middle_it_is_finished_by_resume(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = SmallRun(home, ["--seconds", "0.4"])
    started_node(home)
    run.end(signal.SIGKILL)
    assert run.left_behind(seconds=5.0) == []
    recorded = only_run(home)
    assert recorded is not None and recorded.state is RunState.RUNNING  # nobody has looked yet
    finish(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_interrupted_it_ends_in_order_and_resume_finishes(tmp_path: Path, number: signal.Signals) -> None:
    home = tmp_path / "home"
    run = SmallRun(home, ["--seconds", "0.8"])
    started_node(home)
    began = time.monotonic()
    assert run.end(number) == 130
    assert run.output.split() == ["INTERRUPTED"]
    assert time.monotonic() - began < 10
    assert run.left_behind(seconds=0.0) == []
    recorded = only_run(home)
    assert recorded is not None and recorded.state is RunState.INTERRUPTED
    journal = Journal.open(settings_of(home).journal_url)
    states = {attempt.node: attempt.state for attempt in journal.attempts(recorded.id)}
    journal.close()
    assert states["start"] is State.SUCCEEDED
    assert State.INTERRUPTED in (states["left"], states["right"])
    assert State.RUNNING not in states.values()
    finish(home)


def test_of_two_coordinators_one_gets_the_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = SmallRun(home, ["--seconds", "0.4"])
    started_node(home)
    first.end(signal.SIGKILL)
    recorded = only_run(home)
    assert recorded is not None
    both = [SmallRun(home, ["--resume", recorded.id]) for _ in range(2)]
    codes = []
    for run in both:
        run.output, run.errors = run.process.communicate(timeout=60)
        codes.append(run.process.returncode)
    assert sorted(codes) == [0, 2]
    (refused,) = [run for run in both if run.process.returncode == 2]
    assert "is still going" in refused.errors or "has succeeded" in refused.errors
    assert contradictions(home) == []
