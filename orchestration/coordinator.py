"""Runs the nodes of one run: keys, cache, child processes, retries, and their records."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.attempt import try_once
from orchestration.component import Kind
from orchestration.errors import ArtifactTypeError, SkipNode, told
from orchestration.failure import user_failure
from orchestration.fingerprint import key_of, key_parts
from orchestration.graph import Graph, Node
from orchestration.journal import Journal
from orchestration.node import Call, staging_folder
from orchestration.parameters import check_value
from orchestration.promises import Item, Reference, Value
from orchestration.records import Attempt, Output, Run, State, now
from orchestration.result import Listener, guarded
from orchestration.settings import Settings
from orchestration.store import verify
from orchestration.workers import Workers

INTERRUPTED = "the run was interrupted before it started"


@dataclass
class Coordinator:
    """Holds one run and does its nodes' work, from several threads.

    Attributes:
        results: How nodes have ended, by name.
    """

    graph: Graph
    run: Run
    owner: str
    journal: Journal
    settings: Settings
    listener: Listener
    workers: Workers | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    results: dict[str, Attempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.listener = guarded(self.listener)
        self.selected = set(self.run.options["selected"])
        self._begun: dict[str, list[Attempt | Call]] = {}
        self._places = 1 if self.run.options["in_process"] else self.settings.concurrency
        self._gpus = list(range(self.settings.gpus))
        self._free = threading.Condition()

    def look_ahead(self) -> None:
        """Bring those nodes to their end for which nothing needs to run."""
        for node in self.graph.sorted():
            if self.results.keys() >= set(node.needs):
                self.work(node.name, run=False)

    def work(self, name: str, *, run: bool = True) -> None:
        """Bring one node to its end, after those it needs. Never raises for its failure.

        Args:
            name: The node; nothing is done if it has ended.
            run: Whether its component may run; else it is left to a later call if it must.
        """
        if name in self.results:
            return
        node = self.graph.nodes[name]
        try:
            if name not in self._begun:
                self._check(node)
                self._begun[name] = [self._reuse(node, call) or call for call in self._calls(node)]
            if not run and any(isinstance(begun, Call) for begun in self._begun[name]):
                return
            with ThreadPoolExecutor(self.settings.concurrency) as pool:
                ended = self._gather(node, list(pool.map(self._run, self._begun[name])))
        except SkipNode as decision:
            ended = self._record(name, State.SKIPPED, reason=str(decision))
        except Exception as error:  # noqa: BLE001 - found while preparing it: unreadable input, odd value
            ended = self._record(name, State.FAILED, **user_failure(error, node.at))
        self.results[name] = ended

    def _check(self, node: Node) -> None:
        """Raise SkipNode if how others ended, and what they gave, speaks against running a node."""
        read = {edge.node.name for edges in node.inputs.values() for edge in edges}
        for name in node.needs:
            state = self.results[name].state
            only_after = name in node.after and name not in read
            if not state.gave_outputs and not (only_after and state is State.SKIPPED):
                raise SkipNode(f"needs {name}, which is {state}")
        if self.cancelled.is_set():
            raise SkipNode(INTERRUPTED)
        for condition in node.conditions:
            artifact = self._given(condition.value.source, node)[0]
            if not condition.holds(artifact):
                raise SkipNode(f"{condition} is false: it is {condition.value.read(artifact)!r}")

    # What a node's component is called with

    def _calls(self, node: Node) -> list[Call]:
        """Return what a node stands for: one call of its component, or one for each item."""
        if node.each is None:
            return [self._call(node, node.name)]
        items = node.each.items
        values = self._read(items, node) if isinstance(items, Value) else list(items)
        if not isinstance(values, list):
            headline = f"for_each runs over {items}, which is not a list"
            raise ArtifactTypeError(headline, expected="a list", received=told(values), at=node.at)
        return [self._call(node, f"{node.name}[{i}]", i, value) for i, value in enumerate(values)]

    def _call(self, node: Node, name: str, item: int | None = None, value: Any = None) -> Call:
        component = node.component
        inputs = {
            key: [artifact for edge in edges for artifact in self._given(edge, node, item)]
            for key, edges in node.inputs.items()
        }
        configuration = dict(node.configuration)
        for key, given in node.configuration.items():
            if isinstance(given, Value | Item):
                found = self._read(given, node, item) if isinstance(given, Value) else value
                annotation = component.parameters[key].annotation
                configuration[key] = check_value(found, annotation, f"{node.name}({key}=…)", node.at)
        parts = key_parts(component, configuration, inputs, self.journal.digest_file)
        used = tuple(Output.of(key, artifact) for key, found in inputs.items() for artifact in found)
        attempt = Attempt(self.run.id, name, State.PENDING, key=key_of(parts), key_parts=parts, inputs=used)
        many = {key for key, parameter in component.parameters.items() if parameter.kind is Kind.INPUTS}
        given = configuration | {key: found if key in many else found[0] for key, found in inputs.items()}
        return Call(component, given, self.settings, self.run.pipeline, attempt, at=node.at)

    def _given(self, source: Reference, reader: Node, item: int | None = None) -> list[Artifact]:
        """Return the artifacts of an output; of one that is repeated with its reader, this item's."""
        found = (o for o in self.results[source.node.name].outputs if o.name == source.output)
        together = source.node.each is reader.each
        return [o.artifact() for o in found if o.item == item or not together]

    def _read(self, value: Value, reader: Node, item: int | None = None) -> Any:
        return value.read(self._given(value.source, reader, item)[0])

    # Reuse, run, record

    def _reuse(self, node: Node, call: Call) -> Attempt | None:
        """Return a result of the same work that was made before, if it may be used and is whole."""
        attempt, key, wanted = call.attempt, str(call.attempt.key), node.name in self.selected
        before = self.journal.finished(attempt.run, attempt.node, key)
        looked_for = node.component.policy.cache and (self.run.options["cache"] or not wanted)
        earlier = before or (self.journal.cached(key) if looked_for else None)
        damage = [found for o in earlier.outputs if (found := verify(o.artifact()))] if earlier else []
        if damage:
            self.listener.note(f"{damage[0]}; it is made again")
        elif before:
            self.listener.node(attempt.node, before.state, before.reason)
            return before
        elif earlier:
            cached = replace(attempt, state=State.CACHED, outputs=earlier.outputs)
            return self._finish(replace(cached, reason="an earlier run made the same"))
        if not wanted:
            raise SkipNode("not selected, and there is no earlier result to use")
        return None

    def _run(self, begun: Attempt | Call) -> Attempt:
        """Run what has not ended yet, with as many attempts as the policy allows."""
        if isinstance(begun, Attempt):
            return begun
        policy, attempt = begun.component.policy, self._attempt(begun)
        for number in range(policy.retries):
            if attempt.state is not State.FAILED or not attempt.retry or self.cancelled.is_set():
                break
            pause = policy.backoff * 2**number * random.uniform(0.75, 1.25)
            self.listener.note(f"{attempt.node}: {attempt.reason}; next attempt in {pause:.1f} s")
            self.cancelled.wait(pause)
            attempt = self._attempt(begun)
        return attempt

    def _attempt(self, call: Call) -> Attempt:
        with self._claimed(call.component.policy.gpu) as gpus:
            if self.cancelled.is_set():
                return self._record(call.attempt.node, State.SKIPPED, reason=INTERRUPTED)
            begun = replace(call.attempt, state=State.RUNNING, started=now())
            begun = self.journal.record(self.owner, begun)
            self.listener.node(begun.node, State.RUNNING, "")
            folder = self.settings.home / "runs" / begun.run / begun.node / str(begun.number)
            variables = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if self.settings.gpus else {}
            call = replace(call, attempt=replace(begun, folder=str(folder)), variables=variables)
            return self._finish(try_once(self, call))

    @contextmanager
    def _claimed(self, gpus: int) -> Iterator[list[int]]:
        """Wait for a place and for so many accelerators; yield their numbers."""
        with self._free:
            self._free.wait_for(lambda: self._places > 0 and len(self._gpus) >= gpus)
            self._places -= 1
            taken = [self._gpus.pop(0) for _ in range(gpus)]
        try:
            yield taken
        finally:
            with self._free:
                self._places += 1
                self._gpus += taken
                self._free.notify_all()

    def _gather(self, node: Node, results: list[Attempt]) -> Attempt:
        """Return one result for a node: its only one, or what the results for each item come to."""
        if node.each is None:
            return results[0]
        whole = Attempt(
            self.run.id,
            node.name,
            State.CACHED if {a.state for a in results} == {State.CACHED} else State.SUCCEEDED,
            key=key_of({"items": {str(i): a.key for i, a in enumerate(results)}}),
            started=min((a.started or now() for a in results), default=None),
            cpu_seconds=sum(a.cpu_seconds for a in results),
            peak_mb=max((a.peak_mb for a in results), default=0.0),
            reason=f"{len(results)} items",
            outputs=tuple(replace(output, item=i) for i, a in enumerate(results) for output in a.outputs),
        )
        bad = [a for a in results if not a.state.gave_outputs]
        if bad:
            worst = min(bad, key=lambda a: a.state is not State.FAILED)
            why = replace(whole, state=worst.state, reason=f"{worst.node}: {worst.reason}", outputs=())
            return self._finish(replace(why, error=worst.error, traceback=worst.traceback))
        before = self.journal.finished(whole.run, whole.node, str(whole.key))
        return before or self._finish(whole)  # there is one if the run was resumed after this

    def _record(self, name: str, state: State, **facts: Any) -> Attempt:
        """Record how a node ended of which no process was started just now."""
        return self._finish(Attempt(self.run.id, name, state, **facts))

    def _finish(self, attempt: Attempt) -> Attempt:
        ended = replace(attempt, started=attempt.started or now(), ended=now())
        ended = self.journal.record(self.owner, ended)
        self.listener.node(ended.node, ended.state, ended.reason)
        return ended

    def clean(self, *, scratch: bool = False) -> None:
        """Remove what only a running run needs; ``scratch`` is needed as long as it may be resumed."""
        shutil.rmtree(staging_folder(self.settings, self.run.id), ignore_errors=True)
        if scratch:
            shutil.rmtree(self.settings.home / "scratch" / self.run.id, ignore_errors=True)
