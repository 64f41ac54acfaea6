"""The DAG as one Beam pipeline: a ParDo per node, its upstream results as side inputs.

On a local runner a node's ``process`` only submits its work and passes a handle on, so that
branches overlap and one failure does not end the job; a last stage joins the results. Work is a
function that never raises: failure is a result.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.beam import Beam

if TYPE_CHECKING:
    from orchestration.graph import Node
    from orchestration.records import Attempt

Work = Callable[[str, "Mapping[str, Attempt]"], "Attempt"]


class Submissions:
    """The nodes of one run that were submitted, and their results to come."""

    def __init__(self, work: Work, nodes: int) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max(nodes, 1), thread_name_prefix="headrace-node")
        self._results: dict[str, Future[Attempt]] = {}

    def submit(self, name: str, needs: Sequence[str]) -> None:
        """Start a node in a thread of its own once its needs are there.

        Safe to call twice: a runner may process a bundle again.
        """
        with self._lock:
            if name not in self._results:
                upstream = {need: self._results[need] for need in needs}
                self._results[name] = self._threads.submit(self._run, name, upstream)

    def _run(self, name: str, upstream: Mapping[str, Future[Attempt]]) -> Attempt:
        return self._work(name, {need: result.result() for need, result in upstream.items()})

    def result(self, name: str) -> Attempt:
        """Wait for a node."""
        return self._results[name].result()


# By token, so that the pickled DoFns of a run find what cannot be pickled.
_runs: dict[str, Submissions] = {}


def run_dag(nodes: Sequence[Node], work: Work) -> dict[str, Attempt]:
    """Run the nodes of a graph as one Beam job, on the in-memory ``FnApiRunner``.

    Args:
        nodes: In an order in which each follows what it needs.
        work: Runs one node, given its upstream results; never raises for a node's failure.

    Returns:
        The result of every node by name.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # Beam's words about optional cloud packages
    import apache_beam

    logging.disable(before)

    token = uuid.uuid4().hex
    submissions = _runs[token] = Submissions(work, len(nodes))
    try:
        with apache_beam.Pipeline(options=Beam(scratch=Path()).pipeline_options()) as pipeline:
            _build(pipeline, nodes, token)
        return {node.name: submissions.result(node.name) for node in nodes}
    finally:
        del _runs[token]


def _build(pipeline: Any, nodes: Sequence[Node], token: str) -> None:
    import apache_beam
    from apache_beam.typehints.decorators import no_annotations

    # Beam reads annotations as its own type hints, and takes those of *args for a tuple.
    submit = no_annotations(_submit)
    start = pipeline | apache_beam.Impulse()
    handles: dict[str, Any] = {}
    for node in nodes:
        sides = [apache_beam.pvalue.AsIter(handles[name]) for name in node.needs]
        work = apache_beam.FlatMap(submit, token, node.name, node.needs, *sides)
        handles[node.name] = start | node.name >> work
    joined = tuple(handles.values()) | apache_beam.Flatten() | apache_beam.Reshuffle()
    joined | "Join" >> apache_beam.Map(_join, token=token)


def _submit(_: bytes, token: str, name: str, needs: Sequence[str], *upstream: Any) -> Iterator[str]:
    for handles in upstream:
        list(handles)  # reading the side input is what makes Beam run upstream first
    _runs[token].submit(name, needs)
    yield name


def _join(name: str, token: str) -> None:
    _runs[token].result(name)
