"""Nodes that fail, in this process and in child processes: told the same way, and nothing else harmed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.records import RunState, State
from orchestration.result import RunFailedError, RunResult
from orchestration.run import run_pipeline
from orchestration.settings import load
from tests.orchestration import snapshots
from tests.orchestration.conformance import run_both_ways
from tests.pipelines_for_tests.failing import dying, failing

RAISING = (
    "user_exception", "long_exception", "own_error", "out_of_range", "wrong_type", "nothing_returned",
    "odd_metadata", "foreign_folder", "leaves", "one_of_two", "no_such_value", "value_of_wrong_type",
    "not_a_list", "read_numbers",
)  # fmt: skip
DYING = ("killed", "segfault", "exits", "too_slow")


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunResult]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(snapshots.ROOT)
        home = tmp_path_factory.mktemp("failing")
        yield run_both_ways(failing, load(home=home, tracking="off", concurrency=3))


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(snapshots.ROOT)
        settings = load(home=tmp_path_factory.mktemp("dying"), tracking="off", concurrency=4)
        return run_pipeline(dying, {}, settings=settings)


@pytest.mark.parametrize("node", RAISING)
def test_a_failure_reads_as_it_was_reviewed(failed: list[RunResult], node: str) -> None:
    for result in failed:
        attempt = result.nodes[node]
        assert attempt.state is State.FAILED
        snapshots.check(f"node_{node}", attempt.error)
        assert attempt.reason == attempt.error.splitlines()[0]


@pytest.mark.parametrize("node", DYING)
def test_a_death_reads_as_it_was_reviewed(died: RunResult, node: str) -> None:
    assert died.nodes[node].state is State.FAILED
    snapshots.check(f"node_{node}", died.nodes[node].error)


def test_the_full_traceback_is_kept(failed: list[RunResult]) -> None:
    for result in failed:
        traceback = result.nodes["user_exception"].traceback
        assert traceback.startswith("Traceback (most recent call last)")
        assert "share_of" in traceback and traceback.rstrip().endswith("ZeroDivisionError: division by zero")


def test_what_follows_a_failure_is_skipped_with_the_reason(failed: list[RunResult], died: RunResult) -> None:
    for result, nodes in ((failed[0], RAISING[:9]), (failed[1], RAISING[:9]), (died, DYING)):
        for node in nodes:
            after = result.nodes[f"after_{node}"]
            assert (after.state, after.reason) == (State.SKIPPED, f"needs {node}, which is FAILED")


def test_a_node_that_declines_is_skipped_with_its_reason(failed: list[RunResult]) -> None:
    for result in failed:
        assert result.nodes["declines"].state is State.SKIPPED
        assert result.nodes["declines"].reason == "the champion is better"
        assert result.nodes["after_declines"].reason == "needs declines, which is SKIPPED"


def test_an_independent_branch_succeeds_all_the_same(failed: list[RunResult], died: RunResult) -> None:
    for result in (*failed, died):
        assert result.nodes["spell"].state is State.SUCCEEDED
        assert result.artifact("spell").metadata == {"word": "number 1"}
        assert result.state is RunState.FAILED
        assert result.exit_code == 1


def test_the_result_tells_the_first_failure(failed: list[RunResult]) -> None:
    for result in failed:
        assert result.failed[0].node in RAISING
        assert [attempt.ended for attempt in result.failed] == sorted(a.ended or 0 for a in result.failed)
        with pytest.raises(RunFailedError) as caught:
            result.raise_for_state()
        assert caught.value.next == f"headrace show {result.id}"
