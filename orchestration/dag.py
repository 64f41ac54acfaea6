"""The DAG as one Beam pipeline: a ParDo per node, its upstream results as side inputs.

On a local runner a node's ``process`` only submits its work and passes a handle on, so that
branches overlap and one failure does not end the job; a last stage joins the results. Work is a
function that never raises: failure is a result.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from orchestration.beam import Beam

if TYPE_CHECKING:
    from orchestration.graph import Node


class Submissions:
    """The nodes of one run that were submitted. Beam's copies of it are all itself.

    Args:
        work: Runs a node.
        nodes: How many nodes there are at most.
    """

    def __init__(self, work: Callable[[str], object], nodes: int) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(nodes, thread_name_prefix="headrace-node")
        self._ends: dict[str, Future[None]] = {}
        _alive[id(self)] = self

    def __reduce__(self) -> Any:
        return _find, (id(self),)

    def submit(self, _: bytes, name: str, needs: Sequence[str], *upstream: Any) -> list[str]:
        """Start a node in a thread of its own, where it waits for its needs.

        Safe to call twice: a runner may process a bundle again.
        """
        for handles in upstream:
            list(handles)  # reading the side input is what makes Beam run upstream first
        with self._lock:
            if name not in self._ends:
                needed = [self._ends[need] for need in needs]
                self._ends[name] = self._threads.submit(self._run, name, needed)
        return [name]

    def _run(self, name: str, needed: list[Future[None]]) -> None:
        for end in needed:
            end.result()
        self._work(name)

    def join(self, name: str) -> None:
        """Wait for a node."""
        self._ends[name].result()


# By identity, so that what is pickled with a run's DoFns is found again.
_alive: WeakValueDictionary[int, Submissions] = WeakValueDictionary()


def _find(identity: int) -> Submissions:
    return _alive[identity]


def run_dag(nodes: Sequence[Node], work: Callable[[str], object]) -> None:
    """Run the nodes of a graph as one Beam job, on the in-memory ``FnApiRunner``.

    Args:
        nodes: In an order in which each follows what it needs.
        work: Runs one node after those it needs; never raises for a node's failure.
    """
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # Beam's words about optional cloud packages
    import apache_beam
    from apache_beam.typehints.decorators import no_annotations

    logging.disable(before)
    # Beam reads annotations as its own type hints, and takes those of *args for a tuple.
    no_annotations(Submissions.submit)
    submissions = Submissions(work, len(nodes))
    with apache_beam.Pipeline(options=Beam(scratch=Path()).pipeline_options()) as pipeline:
        start = pipeline | apache_beam.Impulse()
        handles: dict[str, Any] = {}
        for node in nodes:
            sides = [apache_beam.pvalue.AsIter(handles[name]) for name in node.needs]
            submitted = apache_beam.FlatMap(submissions.submit, node.name, node.needs, *sides)
            handles[node.name] = start | node.name >> submitted
        joined = tuple(handles.values()) | apache_beam.Flatten() | apache_beam.Reshuffle()
        joined | "Join" >> apache_beam.Map(submissions.join)
