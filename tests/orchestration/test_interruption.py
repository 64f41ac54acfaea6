"""Runs that are cut short: processes that hang or die, leases that are lost, exceptions."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from orchestration.errors import HeadraceError, RunStateError
from orchestration.journal import Journal
from orchestration.journal_tables import runs as runs_table
from orchestration.records import RunState, State
from orchestration.run import run_pipeline
from orchestration.settings import Settings
from tests.orchestration.runs import Heard, Runner, resume, until
from tests.pipelines_for_tests import running

# Processes


def alive(pids: Path) -> list[int]:
    """Return which of the processes whose numbers are in a file are still there."""
    found = []
    for pid in map(int, pids.read_text().split()):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        found += [] if state in "ZX" else [pid]
    return found


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_timeout_leaves_no_process_behind(
    run: Runner, tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.workers.GRACE_SECONDS", 0.5)
    pids = tmp_path / "pids"
    result = run(running.hanging, pids=str(pids), stubborn=stubborn, timeout=2.0)
    assert result.nodes["hangs"].reason.startswith(
        "TimeoutError: the node took longer than its timeout of 2 s"
    )
    assert result.nodes["add"].state is State.SUCCEEDED
    assert len(pids.read_text().split()) == 4
    assert alive(pids) == []


def test_what_a_node_started_ends_with_it(run: Runner, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert run(running.littering, pids=str(pids)).state is RunState.SUCCEEDED
    assert alive(pids) == []


def test_a_fork_server_that_dies_costs_one_attempt(run: Runner, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def kill_its_server() -> None:
        until(pids.exists)
        node = int(pids.read_text().split()[0])
        server = int(Path(f"/proc/{node}/stat").read_text().rpartition(")")[2].split()[1])
        assert b"forkserver" in Path(f"/proc/{server}/cmdline").read_bytes()
        os.kill(server, signal.SIGKILL)

    killer = threading.Thread(target=kill_its_server)
    killer.start()
    heard = Heard()
    result = run(running.second_time_lucky, pids=str(pids), _listener=heard)
    killer.join()
    assert heard.notes[0].startswith(
        "hangs_once: the node's process was killed by SIGKILL, with its fork server"
    )
    assert result.state is RunState.SUCCEEDED
    assert result.attempts["hangs_once"] == 2
    assert alive(pids) == []


# Interrupted


def test_a_run_that_lost_its_lease_ends_itself(settings: Settings, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def steal() -> None:
        until(pids.exists)
        journal = Journal.open(settings.journal_url)
        with journal.engine.begin() as connection:
            connection.execute(runs_table.update().values(owner="somebody else"))
        journal.close()

    thief = threading.Thread(target=steal)
    thief.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.run.LEASE_SECONDS", 1.0)
        with pytest.raises(RunStateError, match="held by another process"):
            run_pipeline(running.hanging, running.hanging.bind({"pids": str(pids)}), settings=settings)
    thief.join()
    assert alive(pids) == []
    journal = Journal.open(settings.journal_url)
    assert journal.runs()[0].state is RunState.RUNNING  # it belongs to somebody else now
    journal.close()


def test_a_run_left_by_an_exception_can_be_resumed_at_once(run: Runner, settings: Settings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dag.Submissions.join", _defect)
        with pytest.raises(Exception, match="our own defect"):
            run(running.diamond)
    journal = Journal.open(settings.journal_url)
    (left,) = journal.runs()
    assert left.state is RunState.INTERRUPTED
    journal.close()
    resumed = resume(settings)
    assert (resumed.id, resumed.state) == (left.id, RunState.SUCCEEDED)


def _defect(submissions: object, name: str) -> None:
    raise ZeroDivisionError("our own defect")


def test_who_watches_cannot_break_a_run(run: Runner) -> None:
    class Broken(Heard):
        def node(self, name: str, state: State, reason: str) -> None:
            super().node(name, state, reason)
            raise BrokenPipeError("the terminal is gone")

    heard = Broken()
    assert run(running.diamond, _listener=heard).state is RunState.SUCCEEDED
    assert len(heard.states) == 1


def test_a_run_that_is_going_cannot_be_run_by_another(settings: Settings, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    refused: list[HeadraceError] = []

    def second() -> None:
        until(pids.exists)
        try:
            resume(settings, Journal.open(settings.journal_url).runs()[0].id)
        except HeadraceError as error:
            refused.append(error)

    other = threading.Thread(target=second)
    other.start()
    bound = running.hanging.bind({"pids": str(pids), "timeout": 2.0})
    result = run_pipeline(running.hanging, bound, settings=settings)
    other.join()
    assert [type(error) for error in refused] == [RunStateError]
    assert "is still going" in str(refused[0])
    assert result.nodes["add"].state is State.SUCCEEDED
