"""The journal, on SQLite and on a real PostgreSQL: the same tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from orchestration import journal as journals
from orchestration.errors import RunStateError
from orchestration.journal import Journal, process_identity
from orchestration.journal_tables import runs as runs_table
from orchestration.records import Attempt, Output, Run, RunState, State


def a_run(name: str = "noop-1", pipeline: str = "noop", created: float = 1.0) -> Run:
    return Run(
        name, pipeline, "noop.py", "/project", "local", {"n": 1}, {"cache": True}, {"nodes": []},
        RunState.RUNNING, created, created,
    )  # fmt: skip


def an_attempt(run: str = "noop-1", node: str = "step", state: State = State.RUNNING, **more: Any) -> Attempt:
    return Attempt(run, node, state, key="k" * 64, key_parts={"code": {}}, started=10.0, **more)


def an_output(digest: str = "d" * 64) -> Output:
    return Output("output", "tests.pipelines_for_tests.steps:Number", "/store/x", digest, {"n": 1})


def finish(journal: Journal, owner: str, attempt: Attempt, state: State = State.SUCCEEDED) -> Attempt:
    ended = replace(attempt, state=state, ended=12.0, outputs=(an_output(),))
    return journal.record(owner, ended)


def lease_ran_out(journal: Journal, run_id: str = "noop-1") -> None:
    """Pretend that nothing was heard of the run's coordinator, on another host, for too long."""
    with journal.engine.begin() as connection:
        past = {"lease_until": time.time() - 1, "host": "elsewhere"}
        connection.execute(runs_table.update().where(runs_table.c.id == run_id).values(past))


# Runs


def test_a_run_comes_back_as_it_was_written(journal: Journal) -> None:
    run = a_run()
    journal.start_run(run)
    found = journal.run("noop-1")
    assert replace(found, host=None, process=None) == run
    assert found.process == process_identity(os.getpid())


def test_runs_are_listed_newest_first_and_filtered(journal: Journal) -> None:
    for number, pipeline in enumerate(["noop", "taxi", "noop"]):
        run = a_run(f"r{number}", pipeline, created=float(number))
        owner = journal.start_run(run)
        if number == 2:
            journal.finish_run(run.id, owner, RunState.FAILED)
    assert [run.id for run in journal.runs()] == ["r2", "r1", "r0"]
    assert [run.id for run in journal.runs(pipeline="noop")] == ["r2", "r0"]
    assert [run.id for run in journal.runs(states=[RunState.FAILED])] == ["r2"]
    assert [run.id for run in journal.runs(limit=1)] == ["r2"]


def test_an_unknown_run_is_named(journal: Journal) -> None:
    with pytest.raises(RunStateError, match="there is no run nobody"):
        journal.run("nobody")


def test_the_journal_outlives_its_process(open_journal: Callable[[], Journal]) -> None:
    first = open_journal()
    first.start_run(a_run())
    first.close()
    assert open_journal().run("noop-1").pipeline == "noop"


# Leases and fencing


def test_only_the_owner_writes_about_a_run(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    attempt = journal.record(owner, an_attempt())
    lease_ran_out(journal)
    second = journal.take_over("noop-1")
    for write in (
        lambda: journal.record(owner, an_attempt(node="other")),
        lambda: finish(journal, owner, attempt),
        lambda: journal.finish_run("noop-1", owner, RunState.SUCCEEDED),
    ):
        with pytest.raises(RunStateError, match="held by another process"):
            write()
    assert not journal.heartbeat("noop-1", owner)
    assert journal.heartbeat("noop-1", second)
    assert journal.run("noop-1").state is RunState.RUNNING
    assert journal.cached("k" * 64) is None


def test_a_refused_write_leaves_no_trace(journal: Journal) -> None:
    journal.start_run(a_run())
    before = journal.pending()
    with pytest.raises(RunStateError):
        journal.record("a stranger", an_attempt())
    assert journal.attempts("noop-1") == []
    assert journal.pending() == before


def test_a_run_that_is_going_cannot_be_taken_over(journal: Journal) -> None:
    journal.start_run(a_run())
    began = time.monotonic()
    with pytest.raises(RunStateError, match="still going") as caught:
        journal.take_over("noop-1")
    assert time.monotonic() - began < 5
    assert caught.value.next == "headrace show noop-1"


def test_a_run_that_succeeded_cannot_be_taken_over(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    journal.finish_run("noop-1", owner, RunState.SUCCEEDED)
    with pytest.raises(RunStateError, match="has succeeded"):
        journal.take_over("noop-1")


def test_a_run_that_does_not_exist_cannot_be_taken_over(journal: Journal) -> None:
    with pytest.raises(RunStateError, match="there is no run nobody"):
        journal.take_over("nobody")


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.INTERRUPTED])
def test_an_unfinished_run_is_taken_over_once(journal: Journal, state: RunState) -> None:
    owner = journal.start_run(a_run())
    journal.finish_run("noop-1", owner, state)
    assert journal.take_over("noop-1") != owner
    with pytest.raises(RunStateError, match="still going"):
        journal.take_over("noop-1")
    resumed = journal.run("noop-1")
    assert resumed.state is RunState.RUNNING and resumed.ended is None


def test_a_heartbeat_prolongs_the_lease(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = journal.start_run(a_run())
    lease_ran_out(journal)
    assert journal.heartbeat("noop-1", owner)
    assert journal.mark_interrupted() == []
    monkeypatch.setattr(journals, "LEASE_SECONDS", -1.0)
    assert journal.heartbeat("noop-1", owner)
    assert journal.mark_interrupted() == ["noop-1"]


# Dead coordinators


def test_a_run_whose_process_died_is_interrupted(journal: Journal, journal_url: str) -> None:
    script = (
        "import sys; from orchestration.journal import Journal;"
        "from tests.orchestration.test_journal import a_run, an_attempt;"
        "journal = Journal.open(sys.argv[1]); owner = journal.start_run(a_run());"
        "journal.record(owner, an_attempt()); import os; os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", script, journal_url], check=False)
    assert died.returncode == 9
    journal.start_run(a_run("alive"))
    assert journal.mark_interrupted() == ["noop-1"]
    assert journal.run("noop-1").state is RunState.INTERRUPTED
    assert journal.run("alive").state is RunState.RUNNING
    (attempt,) = journal.attempts("noop-1")
    assert attempt.state is State.INTERRUPTED and attempt.reason == "the run's process died"
    marked = [(mark.run, mark.node) for mark in journal.pending()]
    assert marked[-2:] == [("noop-1", "step"), ("noop-1", "")]
    assert journal.mark_interrupted() == []


def test_a_reused_process_number_is_not_the_same_process(journal: Journal) -> None:
    journal.start_run(a_run())
    with journal.engine.begin() as connection:
        connection.execute(runs_table.update().values(process=f"{os.getpid()}:1"))
    assert journal.mark_interrupted() == ["noop-1"]


def test_a_zombie_counts_as_dead() -> None:
    child = subprocess.Popen(["true"])
    try:
        deadline = time.monotonic() + 10
        while not process_identity(child.pid).endswith(":dead") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process_identity(child.pid) == f"{child.pid}:dead"
    finally:
        child.wait()


def test_of_many_who_take_over_one_wins(journal: Journal, journal_url: str) -> None:
    owner = journal.start_run(a_run())
    journal.finish_run("noop-1", owner, RunState.FAILED)

    def take(_: int) -> bool:
        other = Journal.open(journal_url)
        try:
            return bool(other.take_over("noop-1"))
        except RunStateError:
            return False
        finally:
            other.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1


# Attempts and the cache


def test_attempts_are_numbered_and_come_back_whole(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    first = journal.record(owner, an_attempt())
    assert first.number == 1
    ended = replace(
        first, state=State.FAILED, ended=11.5, cpu_seconds=0.25, peak_mb=64.0, reason="it broke",
        error="ValueError: it broke", traceback="Traceback …", folder="/runs/noop-1/step/1",
        metrics={"loss": 0.5},
    )  # fmt: skip
    journal.record(owner, ended)
    second = finish(journal, owner, journal.record(owner, an_attempt()))
    assert second.number == 2
    assert journal.attempts("noop-1") == [ended, second]
    assert ended.seconds == 1.5


def test_an_attempt_that_never_began_gets_a_number_too(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    skipped = journal.record(owner, an_attempt(state=State.SKIPPED))
    assert skipped.number == 1
    assert journal.pending()[-1].number == 1
    assert journal.attempt("noop-1", "step", 1) == skipped


def test_the_cache_remembers_the_newest_success(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    key = "k" * 64
    assert journal.cached(key) is None
    finish(journal, owner, journal.record(owner, an_attempt()))
    newer = replace(
        journal.record(owner, an_attempt()), state=State.SUCCEEDED, ended=13.0,
        outputs=(an_output("e" * 64),),
    )  # fmt: skip
    journal.record(owner, newer)
    found = journal.cached(key)
    assert found is not None and found.outputs == (an_output("e" * 64),)


def test_only_a_success_is_found_again(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    attempt = journal.record(owner, an_attempt())
    assert journal.cached("k" * 64) is None
    journal.record(owner, replace(attempt, state=State.FAILED, ended=11.0))
    assert journal.cached("k" * 64) is None


def test_a_run_finds_its_own_success_by_key(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    done = finish(journal, owner, journal.record(owner, an_attempt()))
    assert journal.finished("noop-1", "step", "k" * 64) == done
    assert journal.finished("noop-1", "step", "x" * 64) is None
    assert journal.finished("noop-1", "other", "k" * 64) is None


def test_numbers_that_are_none_survive(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    attempt = journal.record(owner, an_attempt())
    lost = {"loss": float("nan"), "top": float("inf")}
    ended = replace(attempt, state=State.SUCCEEDED, ended=11.0, metrics=lost)
    journal.record(owner, ended)
    (found,) = journal.attempts("noop-1")
    assert str(found.metrics) == "{'loss': nan, 'top': inf}"
    journal.post(attempt, [(name, value, 1, 0) for name, value in lost.items()])
    assert str(journal.pending()[-1].metrics) == "[('loss', nan, 1, 0), ('top', inf, 1, 0)]"


def test_odd_characters_survive(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    attempt = journal.record(owner, an_attempt())
    odd = "snowman ☃, quote ', zero \x00, lone \ud800 surrogate"
    ended = replace(attempt, state=State.FAILED, ended=11.0, error=odd, reason=odd, traceback=odd)
    journal.record(owner, ended)
    (found,) = journal.attempts("noop-1")
    assert found.error.startswith("snowman ☃, quote ', zero")
    journal.post(attempt, [(odd, 1.0, 1, 0)])
    assert journal.pending()[-1].metrics[0][0].startswith("snowman ☃, quote ', zero")


# The outbox


def test_marks_leave_the_outbox_in_order_and_once(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    first = journal.record(owner, an_attempt())
    journal.post(first, [("loss", 1 / (step + 1), 100 + step, step) for step in range(3)])
    journal.post(first, [("loss", 0.1, 103, 3)])
    second = journal.record(owner, an_attempt(node="other"))
    pending = journal.pending()
    assert [(mark.run, mark.node, mark.number) for mark in pending] == [
        ("noop-1", "", 0), *[("noop-1", "step", 1)] * 3, ("noop-1", "other", 1),
    ]  # fmt: skip
    assert [[step for *_, step in mark.metrics] for mark in pending] == [[], [], [0, 1, 2], [3], []]
    assert [mark.id for mark in pending] == sorted({mark.id for mark in pending})
    for mark in pending[:2]:
        journal.delivered(mark)
    assert journal.pending(limit=2) == pending[2:4]
    for mark in pending:
        journal.delivered(mark)
    assert journal.pending() == []
    finish(journal, owner, second)
    assert journal.pending()[0].id > pending[-1].id


def test_one_mark_stands_for_all_changes_and_none_is_lost_that_came_meanwhile(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    attempt = journal.record(owner, an_attempt())
    run, begun = journal.pending()
    finish(journal, owner, attempt)
    journal.delivered(begun)  # by a process that looked before the attempt ended
    ended = journal.pending()[-1]
    assert (ended.node, ended.number) == ("step", 1) and ended.id > begun.id
    journal.post(attempt, [("loss", 1.0, 1, 0)])
    journal.record(owner, an_attempt())
    journal.finish_run("noop-1", owner, RunState.FAILED)
    marked = [(mark.node, mark.number, len(mark.metrics)) for mark in journal.pending()]
    assert marked == [("step", 1, 0), ("step", 1, 1), ("step", 2, 0), ("", 0, 0)]
    assert run not in journal.pending()


def test_what_is_still_going_ends_with_its_run(journal: Journal) -> None:
    owner = journal.start_run(a_run())
    done = finish(journal, owner, journal.record(owner, an_attempt()))
    going = journal.record(owner, an_attempt(node="other"))
    journal.finish_run("noop-1", owner, RunState.INTERRUPTED)
    assert journal.attempt("noop-1", "step", 1) == done
    left = journal.attempt("noop-1", "other", 1)
    assert left == replace(going, state=State.INTERRUPTED, ended=left.ended, reason="the run's process died")
    assert left.ended and journal.run("noop-1").state is RunState.INTERRUPTED
