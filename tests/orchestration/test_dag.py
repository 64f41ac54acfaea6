"""The DAG as one Beam job: order, overlap, and results of work that is not real."""

from __future__ import annotations

import gc
import pickle
import threading
import time

import pytest
from hypothesis import given, settings, strategies as st

from orchestration import dag, pipeline
from orchestration.dag import Submissions, run_dag
from orchestration.graph import after
from tests.orchestration.conformance import graph_of
from tests.pipelines_for_tests import good
from tests.pipelines_for_tests.steps import start


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

    def work(name: str) -> None:
        with lock:
            assert {f"n{need}" for need in edges[int(name[1:])]} <= set(done)
        time.sleep(0.001)
        with lock:
            done.append(name)

    run_dag(graph_of(shaped).sorted(), work)
    assert sorted(done) == sorted(f"n{node}" for node in range(len(edges)))


def test_branches_overlap() -> None:
    meet = threading.Barrier(3, timeout=20)

    @pipeline
    def wide():
        for k in range(3):
            start.with_(name=f"n{k}")(k)

    # Passes only if all three are there at the same time.
    run_dag(graph_of(wide).sorted(), lambda name: meet.wait())


def test_a_defect_of_ours_reaches_the_caller() -> None:
    def work(name: str) -> None:
        raise ZeroDivisionError("our own defect")

    with pytest.raises(Exception, match="our own defect"):
        run_dag(graph_of(good.built).sorted(), work)


def test_nothing_is_kept_of_a_run() -> None:
    done: list[str] = []
    run_dag(graph_of(good.built).sorted(), done.append)
    gc.collect()
    assert done == ["start", "build"]
    assert not [left for left in dag._alive.values() if left._work == done.append]


def test_a_bundle_that_is_processed_again_submits_nothing_twice() -> None:
    calls: list[str] = []
    submissions = Submissions(calls.append, 2)
    for copy in (submissions, pickle.loads(pickle.dumps(submissions))):
        assert copy.submit(b"", "a", ()) == ["a"]
        assert copy.submit(b"", "b", ("a",), iter(["a"])) == ["b"]
        copy.join("b")
    assert calls == ["a", "b"]
