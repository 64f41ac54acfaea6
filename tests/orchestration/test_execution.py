"""Runs: what runs, in which order, how often, and what it tells."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration import component, for_each, pipeline, value
from orchestration.errors import RunStateError
from orchestration.journal import Journal
from orchestration.pipeline import Pipeline
from orchestration.records import RunState, State
from orchestration.run import run_pipeline
from orchestration.settings import Settings
from tests.orchestration.conformance import run_both_ways
from tests.orchestration.runs import Heard, Runner, changed, resume, states
from tests.pipelines_for_tests import good, running
from tests.pipelines_for_tests.running import Span, spans
from tests.pipelines_for_tests.steps import Number, start

# The same in this process and in child processes


@pytest.mark.parametrize(
    ("pipeline", "parameters"),
    [
        (good.chain, {"n": 4}), (good.outputs, {}), (good.decided, {"n": 3}), (good.decided, {"n": 9}),
        (good.repeated, {}), (good.repeated, {"items": ()}), (good.outer, {}), (good.ordered, {}),
        (good.built, {}), (good.collected, {}), (running.passed_on, {}), (running.told, {}),
    ],
    ids=lambda case: case.name if isinstance(case, Pipeline) else "-".join(map(str, case.values())),
)  # fmt: skip
def test_every_way_to_run_gives_the_same(
    pipeline: Pipeline, parameters: dict[str, Any], settings: Settings
) -> None:
    for result in run_both_ways(pipeline, settings, **parameters):
        assert result.state is RunState.SUCCEEDED


def test_results_flow_along_the_edges(run: Runner) -> None:
    result = run(good.outputs, n=5)
    assert result.artifact("join").metadata == {"word": "5 5"}
    assert result.artifact("named").metadata == {"word": "5 4 6"}
    assert result.artifact("add").metadata == {"n": 6}
    assert result.artifact("both", "word").metadata == {"word": "5"}


@pytest.mark.parametrize(
    ("n", "skipped"), [(2, {"big", "spell_big", "three"}), (3, {"big", "spell_big"}), (4, {"small", "three"})]
)
def test_conditions_decide_on_data(run: Runner, n: int, skipped: set[str]) -> None:
    result = run(good.decided, n=n)
    assert {name for name, state in states(result).items() if state == "SKIPPED"} == skipped
    if n == 2:
        assert result.nodes["big"].reason == "start.n > 3 is false: it is 2"


def test_a_repetition_runs_once_for_each_item(run: Runner) -> None:
    result = run(good.repeated, n=1, items=(1, 2, 3))
    # add: 1+k; again: doubled by the value of its own item
    assert result.artifact("total").metadata == {"n": 2 * (2 + 3 + 4)}
    assert [output.item for output in result.nodes["again"].outputs] == [0, 1, 2]
    assert result.nodes["add"].reason == "3 items"


def test_a_repetition_over_nothing_gives_nothing(run: Runner) -> None:
    assert run(good.repeated, items=()).artifact("total").metadata == {"n": 0}


# At the same time


def overlap(found: Sequence[Span]) -> int:
    """Return how many spans there are at the busiest moment."""
    moments = [(span.began, 1) for span in found] + [(span.ended, -1) for span in found]
    return max(itertools.accumulate(step for _, step in sorted(moments)))


def test_independent_nodes_overlap_in_processes_of_their_own(run: Runner, trace: Path) -> None:
    result = run(running.side_by_side, count=2, seconds=1.0)
    found = spans(trace)
    assert overlap(found) == 2
    assert len({span.pid for span in found} | {os.getpid()}) == 3
    assert result.seconds < 1.9


def test_no_more_run_at_once_than_allowed(run: Runner, trace: Path, settings: Settings) -> None:
    for places in (1, 3):
        trace.unlink(missing_ok=True)
        capped = dataclasses.replace(settings, concurrency=places)
        run(running.side_by_side, count=6, seconds=0.15, _settings=capped, _cache=False)
        assert overlap(spans(trace)) == places


def test_items_of_a_repetition_run_at_once_too(run: Runner) -> None:
    result = run(running.small_steps, seconds=0.0)
    assert result.state is RunState.SUCCEEDED


def test_a_short_arm_does_not_wait_for_a_long_one(run: Runner, trace: Path) -> None:
    run(running.uneven, seconds=0.4)
    by_name = {span.name: span for span in spans(trace)}
    assert by_name["further"].began < by_name["long"].ended


def test_accelerators_are_claimed_one_by_one(run: Runner, trace: Path, settings: Settings) -> None:
    run(running.side_by_side, count=4, seconds=0.2, gpu=1, _settings=dataclasses.replace(settings, gpus=2))
    found = spans(trace)
    assert overlap(found) == 2
    for device in ("0", "1"):
        own = [span for span in found if span.devices == device]
        assert len(own) == 2 and overlap(own) == 1


def test_a_node_without_accelerators_sees_none(run: Runner, trace: Path, settings: Settings) -> None:
    run(running.side_by_side, count=1, seconds=0.0, _settings=dataclasses.replace(settings, gpus=2))
    assert [span.devices for span in spans(trace)] == [""]


def test_runs_begun_in_the_same_second_have_names_of_their_own(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: run_pipeline(good.built, {"n": n}, settings=settings), range(4)))
    assert len({result.id for result in results}) == 4
    assert [result.artifact("build").metadata["n"] for result in results] == [0, 2, 4, 6]


# Again


def test_retries_wait_longer_each_time(run: Runner, trace: Path, settings: Settings) -> None:
    heard = Heard()
    result = run(running.retried, fails=2, retries=2, backoff=0.2, _listener=heard)
    assert result.state is RunState.SUCCEEDED
    assert result.attempts["flaky"] == 3
    first, second, third = spans(trace)
    assert 0.75 * 0.2 < second.began - first.ended < third.began - second.ended
    assert third.began - second.ended > 0.75 * 0.4
    assert "OSError: attempt 1 found the line busy; next attempt in" in heard.notes[0]
    journal = Journal.open(settings.journal_url)
    kept = [(a.number, str(a.state)) for a in journal.attempts(result.id) if a.node == "flaky"]
    assert kept == [(1, "FAILED"), (2, "FAILED"), (3, "SUCCEEDED")]
    journal.close()


def test_retries_come_to_an_end(run: Runner) -> None:
    result = run(running.retried, fails=5, retries=1, backoff=0.0)
    assert result.nodes["flaky"].error.startswith("OSError: attempt 2 found the line busy")
    assert result.attempts["flaky"] == 2
    assert result.nodes["add"].state is State.SKIPPED


def test_the_scratch_folder_outlives_attempts_and_is_removed_after_success(
    run: Runner, settings: Settings
) -> None:
    result = run(running.retried, fails=2, retries=2, backoff=0.0)
    assert result.artifact("flaky").metadata == {"n": 2}  # the third attempt saw what the first two left
    assert not list((settings.home / "scratch").glob("*/*"))


def test_resume_does_only_what_is_missing(
    run: Runner, trace: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEEDED", str(tmp_path / "needed.txt"))
    failed = run(running.resumable, n=2, where=Path("a/b"))
    assert failed.state is RunState.FAILED
    assert changed(failed) == {"start", "before", "beside"}
    (tmp_path / "needed.txt").write_text("42")
    resumed = resume(settings)
    assert resumed.id == failed.id and resumed.state is RunState.SUCCEEDED
    assert resumed.artifact("behind").metadata["n"] == 42
    assert sorted(span.name for span in spans(trace)) == [
        "before", "behind", "beside", "needs_file", "needs_file",
    ]  # fmt: skip
    journal = Journal.open(settings.journal_url)
    numbers = {(a.node, a.number): str(a.state) for a in journal.attempts(failed.id)}
    journal.close()
    assert numbers == {
        ("start", 1): "SUCCEEDED", ("before", 1): "SUCCEEDED", ("beside", 1): "SUCCEEDED",
        ("needs_file", 1): "FAILED", ("needs_file", 2): "SUCCEEDED",
        ("behind", 1): "SKIPPED", ("behind", 2): "SUCCEEDED",
    }  # fmt: skip
    with pytest.raises(RunStateError, match="there is no unfinished run"):
        resume(settings)
    with pytest.raises(RunStateError, match="has succeeded"):
        resume(settings, failed.id)


@dataclass(frozen=True)
class Rooted:
    """A setting that cannot leave its process."""

    n: int = 1

    def __reduce__(self) -> str:
        raise TypeError("it holds a lock")


@component(retries=3)
def rooted(number: Number, setting: Rooted) -> Number:
    return number


@pipeline
def travelling():
    """A node whose argument cannot be pickled."""
    rooted(start(1), Rooted())


def test_an_argument_that_cannot_travel_fails_its_node_once(run: Runner) -> None:
    result = run(travelling)
    assert result.attempts["rooted"] == 1
    assert result.nodes["rooted"].reason == (
        "ArgumentError: an argument of rooted cannot travel to the node's process: it holds a lock"
    )
    assert "test_execution.py" in result.nodes["rooted"].error
    assert run(travelling, _in_process=True).state is RunState.SUCCEEDED


@component
def written(number: Number, tens: int, ones: int) -> Number:
    return Number.of(10 * tens + ones)


@pipeline
def promised():
    """A node that takes a value and an item at once."""
    number = start(4)
    for_each([1, 2], lambda item: written(number, value(number, "n"), item))


def test_a_value_and_an_item_go_to_their_own_parameters(run: Runner) -> None:
    outputs = run(promised, _in_process=True).nodes["written"].outputs
    assert [output.metadata["n"] for output in outputs] == [41, 42]


# What a node tells


def test_what_a_node_tells_is_kept(run: Runner, settings: Settings) -> None:
    heard = Heard()
    result = run(running.told, _listener=heard)
    assert heard.metrics == [("rehearsed", "loss", 1.0 / step, step - 1) for step in (1, 2, 3)]
    assert heard.progressed == [("rehearsed", 5, 10, "rows")]
    assert result.metrics == {"rehearsed.loss": pytest.approx(1 / 3)}
    attempt = result.nodes["rehearsed"]
    folder = Path(attempt.folder)
    assert (folder / "attachments" / "report.html").read_text() == "<b>fine</b>"
    log = (folder / "log.txt").read_text()
    assert "a word on standard output" in log and "a word on standard error" in log
    assert attempt.cpu_seconds > 0 and attempt.peak_mb > 1
    assert not (folder / "call.pickle").exists()
    assert not (Path(settings.artifacts) / ".staging" / result.id).exists()


def test_the_outbox_tells_the_run_from_start_to_end(run: Runner, settings: Settings) -> None:
    result = run(running.told)
    journal = Journal.open(settings.journal_url)
    marks, attempt = journal.pending(), journal.attempt(result.id, "rehearsed", 1)
    ran = journal.run(result.id)
    journal.close()
    assert {mark.run for mark in marks} == {result.id}
    told = [mark.node for mark in marks if not mark.metrics]
    assert sorted(told) == sorted({*result.nodes, ""}) and told[-1] == ""
    measured = [metric for mark in marks for metric in mark.metrics]
    assert {mark.node for mark in marks if mark.metrics} == {"rehearsed"}
    assert [(name, step) for name, _, _, step in measured] == [("loss", 0), ("loss", 1), ("loss", 2)]
    assert all(ran.started <= at / 1000 <= (ran.ended or 0) for _, _, at, _ in measured)
    assert attempt == result.nodes["rehearsed"]
    assert attempt.state is State.SUCCEEDED and attempt.outputs[0].type.endswith("Number")
    assert [attachment["name"] for attachment in attempt.attachments] == ["report.html"]
