"""The DAG as one Beam job: order, overlap, and results of work that is not real."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings, strategies as st

from orchestration import dag, pipeline
from orchestration.dag import Submissions, run_dag
from orchestration.graph import after
from orchestration.records import Attempt, State
from tests.orchestration.conformance import graph_of
from tests.pipelines_for_tests import good
from tests.pipelines_for_tests.steps import start


def succeeded(name: str) -> Attempt:
    return Attempt("run", name, State.SUCCEEDED)


@settings(max_examples=6)
@given(
    st.integers(1, 8).flatmap(
        lambda n: st.lists(st.sets(st.integers(0, max(0, n - 1)), max_size=3), min_size=n, max_size=n)
    )
)
def test_any_graph_runs_every_node_once_and_after_what_it_needs(wanted: list[set[int]]) -> None:
    edges = [{need for need in needs if need < node} for node, needs in enumerate(wanted)]

    @pipeline
    def shaped():
        made = [start.with_(name=f"n{node}")(node) for node in range(len(edges))]
        for node, needs in enumerate(edges):
            if needs:
                after(made[node], *(made[need] for need in sorted(needs)))

    done: list[str] = []
    lock = threading.Lock()

    def work(name: str, upstream: Mapping[str, Attempt]) -> Attempt:
        with lock:
            assert all(need in done for need in upstream)
            assert set(upstream) == {f"n{need}" for need in edges[int(name[1:])]}
        time.sleep(0.001)
        with lock:
            done.append(name)
        return succeeded(name)

    results = run_dag(graph_of(shaped).sorted(), work)
    assert sorted(done) == sorted(results) == sorted(f"n{node}" for node in range(len(edges)))


def test_branches_overlap() -> None:
    meet = threading.Barrier(3, timeout=20)

    @pipeline
    def wide():
        for k in range(3):
            start.with_(name=f"n{k}")(k)

    def work(name: str, upstream: Mapping[str, Attempt]) -> Attempt:
        meet.wait()  # passes only if all three are there at the same time
        return succeeded(name)

    assert len(run_dag(graph_of(wide).sorted(), work)) == 3


def test_a_defect_of_ours_reaches_the_caller() -> None:
    def work(name: str, upstream: Mapping[str, Attempt]) -> Attempt:
        raise ZeroDivisionError("our own defect")

    with pytest.raises(Exception, match="our own defect"):
        run_dag(graph_of(good.built).sorted(), work)
    assert dag._runs == {}


def test_a_bundle_that_is_processed_again_submits_nothing_twice() -> None:
    calls: list[str] = []

    def work(name: str, upstream: Mapping[str, Attempt]) -> Attempt:
        calls.append(name)
        return succeeded(name)

    submissions = Submissions(work, 2)
    for _ in range(3):
        submissions.submit("a", ())
        submissions.submit("b", ("a",))
    assert submissions.result("b").state is State.SUCCEEDED
    assert sorted(calls) == ["a", "b"]
