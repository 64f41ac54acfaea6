"""Runs the nodes of one run: keys, cache, child processes, retries, and their records."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.attempt import try_once
from orchestration.component import Kind
from orchestration.errors import ArtifactTypeError
from orchestration.failure import user_failure
from orchestration.fingerprint import KeyParts, key_of, key_parts
from orchestration.graph import Graph, Node
from orchestration.journal import Journal
from orchestration.node import Call, staging_folder
from orchestration.parameters import check_value
from orchestration.progress import Listener
from orchestration.promises import Item, Value
from orchestration.records import Attempt, Output, Run, State, now
from orchestration.settings import Settings
from orchestration.store import verify
from orchestration.workers import Workers

Upstream = Mapping[str, Attempt]


class Slots:
    """Shares out places and accelerators among nodes that are ready."""

    def __init__(self, places: int, gpus: int) -> None:
        self._free = threading.Condition()
        self._places = places
        self._gpus = list(range(gpus))

    @contextmanager
    def claim(self, gpus: int) -> Iterator[list[int]]:
        """Wait for a place and for ``gpus`` accelerators; yield their numbers."""
        with self._free:
            self._free.wait_for(lambda: self._places > 0 and len(self._gpus) >= gpus)
            self._places -= 1
            taken, self._gpus = self._gpus[:gpus], self._gpus[gpus:]
        try:
            yield taken
        finally:
            with self._free:
                self._places += 1
                self._gpus += taken
                self._free.notify_all()


@dataclass(frozen=True)
class Instance:
    """A node with everything it depends on known: what runs, once."""

    name: str
    node: Node
    inputs: dict[str, list[Artifact]]
    configuration: dict[str, Any]

    def arguments(self) -> dict[str, Any]:
        """Return what the component is called with."""
        passed: dict[str, Any] = dict(self.configuration)
        for name, parameter in self.node.component.parameters.items():
            if parameter.kind in (Kind.INPUT, Kind.INPUTS):
                found = self.inputs.get(name)
                many = parameter.kind is Kind.INPUTS
                passed[name] = parameter.default if found is None else found if many else found[0]
        return passed


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
        self._slots = Slots(1 if self.in_process else self.settings.concurrency, self.settings.gpus)

    def cancel(self) -> None:
        """Stop: running children are ended, nothing further is started."""
        self.cancelled.set()
        if self.workers is not None:
            self.workers.stop_children()

    # One node

    def work(self, name: str, upstream: Upstream) -> Attempt:
        """Bring one node to its end, given how those it needs ended. Never raises for its failure."""
        node = self.graph.nodes[name]
        try:
            reason = self.obstacle(node, upstream)
            if reason:
                return self._record(name, State.SKIPPED, reason=reason)
            instances = self.instances(node, upstream)
            if node.each is None:
                return self._run_instance(instances[0])
            with ThreadPoolExecutor(self.settings.concurrency) as pool:
                return self._gather(node, list(pool.map(self._run_instance, instances)))
        except Exception as error:  # noqa: BLE001 - found while preparing it: unreadable input, odd value
            return self._record(name, State.FAILED, **user_failure(error, node.at).facts())

    def resolve(self, name: str, upstream: Upstream) -> Attempt | None:
        """Return a node's result if it is known without running anything, else None."""
        node = self.graph.nodes[name]
        if node.each is not None or not all(attempt.state.gave_outputs for attempt in upstream.values()):
            return None
        if self.obstacle(node, upstream):
            return None
        instance = self.instances(node, upstream)[0]
        parts = self._parts(instance)
        return self._reuse(instance, key_of(parts), parts)

    def obstacle(self, node: Node, upstream: Upstream) -> str:
        """Return why a node does not run, given how those it needs ended; "" if nothing speaks against it."""
        read = {edge.node for edges in node.inputs.values() for edge in edges}
        for name, attempt in upstream.items():
            only_after = name in node.after and name not in read
            if not attempt.state.gave_outputs and not (only_after and attempt.state is State.SKIPPED):
                return f"needs {name}, which is {attempt.state}"
        if self.cancelled.is_set():
            return "the run was interrupted before it started"
        for condition in node.conditions:
            artifact = upstream[condition.value.source.node].artifacts(condition.value.output)[0]
            if not condition.holds(artifact):
                return f"{condition} is false: it is {condition.value.read(artifact)!r}"
        return ""

    def instances(self, node: Node, upstream: Upstream) -> list[Instance]:
        """Return what a node stands for: itself, or one instance for each item."""
        if node.each is None:
            return [self._instance(node, upstream, node.name)]
        items = node.each.items
        values = _read(items, upstream, None) if isinstance(items, Value) else list(items)
        if not isinstance(values, list):
            raise ArtifactTypeError(
                f"for_each runs over {items}, which is not a list",
                expected="a list",
                received=f"{type(values).__name__} {values!r}"[:200],
                at=node.at,
            )
        return [self._instance(node, upstream, f"{node.name}[{i}]", i, v) for i, v in enumerate(values)]

    def _instance(
        self, node: Node, upstream: Upstream, name: str, item: int | None = None, value: Any = None
    ) -> Instance:
        inputs = {
            parameter: [
                output.artifact()
                for edge in edges
                for output in upstream[edge.node].outputs
                if output.name == edge.output and (edge.many or output.item in (None, item))
            ]
            for parameter, edges in node.inputs.items()
        }
        configuration = dict(node.configuration)
        for key, given in node.configuration.items():
            if isinstance(given, Value | Item):
                found = _read(given, upstream, item) if isinstance(given, Value) else value
                annotation = node.component.parameters[key].annotation
                configuration[key] = check_value(found, annotation, f"{node.name}({key}=…)", node.at)
        return Instance(name, node, inputs, configuration)

    def _parts(self, instance: Instance) -> KeyParts:
        component, digest_file = instance.node.component, self.journal.digest_file
        return key_parts(component, instance.configuration, instance.inputs, digest_file)

    def _gather(self, node: Node, results: list[Attempt]) -> Attempt:
        """Return one result for a node that ran once for each item."""
        key = key_of({"items": {str(i): attempt.key for i, attempt in enumerate(results)}})
        bad = sorted(
            (a for a in results if not a.state.gave_outputs), key=lambda a: a.state is not State.FAILED
        )
        facts: dict[str, Any] = {
            "key": key,
            "started": min([a.started or now() for a in results], default=now()),
            "cpu_seconds": sum(a.cpu_seconds for a in results),
            "peak_mb": max([a.peak_mb for a in results], default=0.0),
        }
        if bad:
            told = {"error": bad[0].error, "traceback": bad[0].traceback}
            reason = f"{bad[0].node}: {bad[0].reason}"
            return self._record(node.name, bad[0].state, **facts, **told, reason=reason)
        before = self.journal.finished(self.run.id, node.name, key)
        if before is not None:  # the run was resumed after this
            return before
        outputs = tuple(replace(output, item=i) for i, a in enumerate(results) for output in a.outputs)
        cached = bool(results) and all(a.state is State.CACHED for a in results)
        state = State.CACHED if cached else State.SUCCEEDED
        return self._record(node.name, state, **facts, outputs=outputs, reason=f"{len(results)} items")

    # Reuse, run, record

    def _reuse(self, instance: Instance, key: str, parts: KeyParts) -> Attempt | None:
        before = self.journal.finished(self.run.id, instance.name, key)
        if before is not None and self._whole(before):
            self.listener.node(instance.name, before.state, before.reason)
            return before
        looked_for = self.run.options["cache"] or instance.node.name not in self.selected
        if not (looked_for and instance.node.component.policy.cache):
            return None
        earlier = self.journal.cached(key)
        if earlier is None or not self._whole(earlier):
            return None
        facts: dict[str, Any] = {"key": key, "key_parts": parts, "inputs": _inputs(instance)}
        facts["outputs"] = earlier.outputs
        return self._record(instance.name, State.CACHED, reason="an earlier run made the same", **facts)

    def _whole(self, attempt: Attempt) -> bool:
        wrong = next(filter(None, (verify(output.artifact()) for output in attempt.outputs)), "")
        if wrong and wrong not in self._damaged:
            self._damaged.add(wrong)
            self.listener.note(f"{wrong}; it is made again")
        return not wrong

    def _run_instance(self, instance: Instance) -> Attempt:
        parts = self._parts(instance)
        key = key_of(parts)
        reused = self._reuse(instance, key, parts)
        if reused is not None:
            return reused
        if instance.node.name not in self.selected:
            reason = "not selected, and there is no earlier result to use"
            return self._record(instance.name, State.SKIPPED, reason=reason)
        policy = instance.node.component.policy
        for number in range(policy.retries + 1):
            attempt = self._attempt(instance, key, parts)
            last = number == policy.retries or not attempt.retry or self.cancelled.is_set()
            if attempt.state is not State.FAILED or last:
                break
            pause = policy.backoff * 2**number * random.uniform(0.75, 1.25)
            self.listener.note(f"{instance.name}: {attempt.reason}; next attempt in {pause:.1f} s")
            self.cancelled.wait(pause)
        return attempt

    def _attempt(self, instance: Instance, key: str, parts: KeyParts) -> Attempt:
        policy = instance.node.component.policy
        with self._slots.claim(policy.gpu) as gpus:
            if self.cancelled.is_set():
                reason = "the run was interrupted before it started"
                return self._record(instance.name, State.SKIPPED, reason=reason)
            facts: dict[str, Any] = {"key": key, "key_parts": parts, "inputs": _inputs(instance)}
            begun = Attempt(self.run.id, instance.name, State.RUNNING, started=now(), **facts)
            begun = self.journal.begin_attempt(self.owner, begun)
            self.listener.node(instance.name, State.RUNNING, "")
            folder = self.settings.home / "runs" / self.run.id / instance.name / str(begun.number)
            begun = replace(begun, folder=str(folder))
            ended = replace(try_once(self, begun, self._call(instance, begun, gpus)), ended=now())
        return self._finish(ended)

    def _call(self, instance: Instance, attempt: Attempt, gpus: list[int]) -> Call:
        component = instance.node.component
        return Call(
            component,
            instance.arguments(),
            self.settings,
            self.run.pipeline,
            attempt,
            component.imports(instance.configuration),
            {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if self.settings.gpus else {},
            instance.node.at,
        )

    def _record(self, name: str, state: State, **facts: Any) -> Attempt:
        """Record how a node ended of which no process was started just now."""
        times: dict[str, Any] = {"started": now(), "ended": now()}
        return self._finish(Attempt(self.run.id, name, state, **times | facts))

    def _finish(self, attempt: Attempt) -> Attempt:
        attempt = self.journal.finish_attempt(self.owner, attempt)
        self.listener.node(attempt.node, attempt.state, attempt.reason)
        return attempt

    def clean(self, *, scratch: bool = False) -> None:
        """Remove what only a running run needs; ``scratch`` is needed as long as it may be resumed."""
        shutil.rmtree(staging_folder(self.settings, self.run.id), ignore_errors=True)
        if scratch:
            shutil.rmtree(self.settings.home / "scratch" / self.run.id, ignore_errors=True)


def _inputs(instance: Instance) -> tuple[Output, ...]:
    return tuple(Output.of(name, artifact) for name, found in instance.inputs.items() for artifact in found)


def _read(value: Value, upstream: Upstream, item: int | None) -> Any:
    outputs = upstream[value.source.node].outputs
    return value.read(
        next(o.artifact() for o in outputs if o.name == value.output and o.item in (None, item))
    )
