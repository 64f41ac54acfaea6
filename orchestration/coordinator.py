"""Runs the nodes of one run: keys, cache, child processes, retries, and their records."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.attempt import try_once
from orchestration.component import Kind
from orchestration.errors import ArtifactTypeError, told
from orchestration.failure import user_failure
from orchestration.fingerprint import key_of, key_parts
from orchestration.graph import Graph, Node
from orchestration.journal import Journal
from orchestration.node import Call, staging_folder
from orchestration.parameters import check_value
from orchestration.promises import Item, Reference, Value
from orchestration.records import Attempt, Output, Run, State, now
from orchestration.result import Listener
from orchestration.settings import Settings
from orchestration.store import verify
from orchestration.workers import Workers

Upstream = Mapping[str, Attempt]

INTERRUPTED = "the run was interrupted before it started"


@dataclass
class Coordinator:
    """Holds one run and does its nodes' work, from several threads."""

    graph: Graph
    run: Run
    owner: str
    journal: Journal
    settings: Settings
    listener: Listener
    workers: Workers | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.selected = set(self.run.options["selected"])
        self.in_process = bool(self.run.options["in_process"])
        self._damaged: set[str] = set()
        self._places = 1 if self.in_process else self.settings.concurrency
        self._gpus = list(range(self.settings.gpus))
        self._free = threading.Condition()

    def known(self) -> dict[str, Attempt]:
        """Return the results that are known before anything runs."""
        known: dict[str, Attempt] = {}
        for node in self.graph.sorted():
            if node.each is None and known.keys() >= set(node.needs):
                upstream = {need: known[need] for need in node.needs}
                with suppress(Exception):  # found again, and told, when the node's turn comes
                    if not self.obstacle(node, upstream):
                        found = self._reuse(node, *self._calls(node, upstream))
                        known.update({node.name: found} if found else {})
        return known

    def work(self, name: str, upstream: Upstream) -> Attempt:
        """Bring one node to its end, given how those it needs ended. Never raises for its failure."""
        node = self.graph.nodes[name]
        try:
            reason = self.obstacle(node, upstream)
            if reason:
                return self._record(name, State.SKIPPED, reason=reason)
            calls = self._calls(node, upstream)
            if node.each is None:
                return self._run(node, calls[0])
            with ThreadPoolExecutor(self.settings.concurrency) as pool:
                return self._gather(node, list(pool.map(lambda call: self._run(node, call), calls)))
        except Exception as error:  # noqa: BLE001 - found while preparing it: unreadable input, odd value
            return self._record(name, State.FAILED, **user_failure(error, node.at))

    def obstacle(self, node: Node, upstream: Upstream) -> str:
        """Return why a node does not run, given how those it needs ended; "" if nothing speaks against it."""
        read = {edge.node.name for edges in node.inputs.values() for edge in edges}
        for name, attempt in upstream.items():
            only_after = name in node.after and name not in read
            if not attempt.state.gave_outputs and not (only_after and attempt.state is State.SKIPPED):
                return f"needs {name}, which is {attempt.state}"
        if self.cancelled.is_set():
            return INTERRUPTED
        for condition in node.conditions:
            artifact, *_ = _outputs(upstream, condition.value.source, node)
            if not condition.holds(artifact):
                return f"{condition} is false: it is {condition.value.read(artifact)!r}"
        return ""

    # What a node's component is called with

    def _calls(self, node: Node, upstream: Upstream) -> list[Call]:
        """Return what a node stands for: one call of its component, or one for each item."""
        if node.each is None:
            return [self._call(node, upstream, node.name)]
        items = node.each.items
        values = _read(items, upstream, node) if isinstance(items, Value) else list(items)
        if not isinstance(values, list):
            headline = f"for_each runs over {items}, which is not a list"
            raise ArtifactTypeError(headline, expected="a list", received=told(values), at=node.at)
        return [self._call(node, upstream, f"{node.name}[{i}]", i, v) for i, v in enumerate(values)]

    def _call(
        self, node: Node, upstream: Upstream, name: str, item: int | None = None, value: Any = None
    ) -> Call:
        component = node.component
        inputs = {
            key: [artifact for edge in edges for artifact in _outputs(upstream, edge, node, item)]
            for key, edges in node.inputs.items()
        }
        configuration = dict(node.configuration)
        for key, given in node.configuration.items():
            if isinstance(given, Value | Item):
                found = _read(given, upstream, node, item) if isinstance(given, Value) else value
                annotation = component.parameters[key].annotation
                configuration[key] = check_value(found, annotation, f"{node.name}({key}=…)", node.at)
        parts = key_parts(component, configuration, inputs, self.journal.digest_file)
        used = tuple(Output.of(key, artifact) for key, found in inputs.items() for artifact in found)
        attempt = Attempt(self.run.id, name, State.PENDING, key=key_of(parts), key_parts=parts, inputs=used)
        many = {key for key, parameter in component.parameters.items() if parameter.kind is Kind.INPUTS}
        given = configuration | {key: found if key in many else found[0] for key, found in inputs.items()}
        imports = component.imports(configuration)
        return Call(component, given, self.settings, self.run.pipeline, attempt, imports, at=node.at)

    # Reuse, run, record

    def _reuse(self, node: Node, call: Call) -> Attempt | None:
        """Return a result of the same work that was made before, if it may be used and is whole."""
        attempt, key = call.attempt, str(call.attempt.key)
        before = self.journal.finished(attempt.run, attempt.node, key)
        if before is not None and self._whole(before):
            self.listener.node(attempt.node, before.state, before.reason)
            return before
        looked_for = self.run.options["cache"] or node.name not in self.selected
        earlier = self.journal.cached(key) if looked_for and node.component.policy.cache else None
        if earlier is None or not self._whole(earlier):
            return None
        cached = replace(attempt, state=State.CACHED, outputs=earlier.outputs)
        return self._finish(replace(cached, reason="an earlier run made the same"))

    def _whole(self, attempt: Attempt) -> bool:
        wrong = next(filter(None, (verify(output.artifact()) for output in attempt.outputs)), "")
        if wrong and wrong not in self._damaged:
            self._damaged.add(wrong)
            self.listener.note(f"{wrong}; it is made again")
        return not wrong

    def _run(self, node: Node, call: Call) -> Attempt:
        """Take an earlier result or make one, with as many attempts as the policy allows."""
        name, policy = call.attempt.node, node.component.policy
        reused = self._reuse(node, call)
        if reused is not None:
            return reused
        if node.name not in self.selected:
            reason = "not selected, and there is no earlier result to use"
            return self._record(name, State.SKIPPED, reason=reason)
        for number in range(policy.retries + 1):
            attempt = self._attempt(call)
            last = number == policy.retries or not attempt.retry or self.cancelled.is_set()
            if attempt.state is not State.FAILED or last:
                break
            pause = policy.backoff * 2**number * random.uniform(0.75, 1.25)
            self.listener.note(f"{name}: {attempt.reason}; next attempt in {pause:.1f} s")
            self.cancelled.wait(pause)
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
        """Return one result for a node that ran once for each item."""
        key = key_of({"items": {str(i): attempt.key for i, attempt in enumerate(results)}})
        facts: dict[str, Any] = {
            "key": key,
            "started": min([a.started or now() for a in results], default=None),
            "cpu_seconds": sum(a.cpu_seconds for a in results),
            "peak_mb": max([a.peak_mb for a in results], default=0.0),
        }
        bad = [a for a in results if not a.state.gave_outputs]
        if bad:
            worst = min(bad, key=lambda a: a.state is not State.FAILED)
            facts |= {"error": worst.error, "traceback": worst.traceback}
            return self._record(node.name, worst.state, **facts, reason=f"{worst.node}: {worst.reason}")
        before = self.journal.finished(self.run.id, node.name, key)
        if before is not None:  # the run was resumed after this
            return before
        outputs = tuple(replace(output, item=i) for i, a in enumerate(results) for output in a.outputs)
        cached = bool(results) and all(a.state is State.CACHED for a in results)
        state = State.CACHED if cached else State.SUCCEEDED
        return self._record(node.name, state, **facts, outputs=outputs, reason=f"{len(results)} items")

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


def _outputs(upstream: Upstream, source: Reference, reader: Node, item: int | None = None) -> list[Artifact]:
    """Return the artifacts of an output; of one that is repeated with its reader, this item's."""
    found = (o for o in upstream[source.node.name].outputs if o.name == source.output)
    together = source.node.each is reader.each
    return [o.artifact() for o in found if o.item == item or not together]


def _read(value: Value, upstream: Upstream, reader: Node, item: int | None = None) -> Any:
    return value.read(_outputs(upstream, value.source, reader, item)[0])
