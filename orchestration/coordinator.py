"""Runs the nodes of one run: keys, cache, child processes, retries, and their records."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.attempt import Outcome, try_once
from orchestration.errors import ArtifactTypeError, HeadraceError
from orchestration.failure import user_failure
from orchestration.fingerprint import KeyParts, key_of, key_parts
from orchestration.graph import Graph, Node
from orchestration.journal import Journal
from orchestration.node import Call
from orchestration.parameters import check_value
from orchestration.progress import Listener
from orchestration.promises import Item, Value
from orchestration.records import Attempt, Output, Run, State
from orchestration.settings import Settings
from orchestration.store import STAGING, verify
from orchestration.workers import Workers, now

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
    item: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what the component is called with."""
        from orchestration.component import Kind

        parameters = self.node.component.parameters
        passed: dict[str, Any] = {
            name: found if parameters[name].kind is Kind.INPUTS else found[0]
            for name, found in self.inputs.items()
        }
        absent = {
            name: p.default
            for name, p in parameters.items()
            if p.kind in (Kind.INPUT, Kind.INPUTS) and name not in passed
        }
        return {**absent, **passed, **self.configuration}


@dataclass
class Coordinator:
    """Holds one run and does its nodes' work, from several threads."""

    graph: Graph
    run: Run
    owner: str
    journal: Journal
    settings: Settings
    listener: Listener
    selected: set[str]
    use_cache: bool = True
    in_process: bool = False
    workers: Workers | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._slots = Slots(1 if self.in_process else self.settings.concurrency, self.settings.gpus)
        self._tries: dict[str, int] = {}

    def cancel(self) -> None:
        """Stop: running children are ended, nothing further is started."""
        self.cancelled.set()
        if self.workers is not None:
            threading.Thread(target=self.workers.stop_children, daemon=True).start()

    def attempts_of(self, name: str) -> int:
        """Return how many attempts a node took in this process."""
        return self._tries.get(name, 0)

    # One node

    def work(self, name: str, upstream: Upstream) -> Attempt:
        """Bring one node to its end, given how those it needs ended. Never raises for its failure."""
        node = self.graph.nodes[name]
        decided = self._decided(node, upstream)
        if decided is not None:
            return decided
        try:
            instances = self.instances(node, upstream)
            if node.each is None:
                return self._run_instance(instances[0])
            with ThreadPoolExecutor(self.settings.concurrency) as pool:
                return self._gather(node, list(pool.map(self._run_instance, instances)))
        except Exception as error:  # noqa: BLE001 - found while preparing it: unreadable input, odd value
            return self._failed_before_start(node, error)

    def resolve(self, name: str, upstream: Upstream) -> Attempt | None:
        """Return a node's result if it is known without running anything, else None."""
        node = self.graph.nodes[name]
        if any(not attempt.state.gave_outputs for attempt in upstream.values()):
            return None
        if node.each is not None or self._unmet(node, upstream):
            return None
        instance = self.instances(node, upstream)[0]
        parts = self.parts(instance)
        return self._reuse(instance, key_of(parts), parts)

    def instances(self, node: Node, upstream: Upstream) -> list[Instance]:
        """Return what a node stands for: itself, or one instance for each item."""
        if node.each is None:
            return [self._instance(node, upstream, node.name, None, None)]
        items = node.each.items
        values = self._value(items, upstream) if isinstance(items, Value) else list(items)
        if not isinstance(values, list):
            raise ArtifactTypeError(
                f"for_each runs over {items}, which is not a list",
                expected="a list",
                received=f"{type(values).__name__} {values!r}"[:200],
                at=node.at,
            )
        return [self._instance(node, upstream, f"{node.name}[{i}]", i, v) for i, v in enumerate(values)]

    def _instance(self, node: Node, upstream: Upstream, name: str, item: int | None, value: Any) -> Instance:
        inputs: dict[str, list[Artifact]] = {}
        for parameter, edges in node.inputs.items():
            inputs[parameter] = [
                output.artifact()
                for edge in edges
                for output in upstream[edge.node].outputs
                if output.name == edge.output and (output.item is None or edge.many or output.item == item)
            ]
        configuration = dict(node.configuration)
        for key, given in node.configuration.items():
            if isinstance(given, Value | Item):
                found = self._value(given, upstream, item) if isinstance(given, Value) else value
                annotation = node.component.parameters[key].annotation
                configuration[key] = check_value(found, annotation, f"{node.name}({key}=…)", node.at)
        return Instance(name, node, inputs, configuration, item)

    def parts(self, instance: Instance) -> KeyParts:
        """Return the parts of an instance's cache key."""
        digest_file = self.journal.digest_file
        return key_parts(instance.node.component, instance.configuration, instance.inputs, digest_file)

    def _value(self, value: Value, upstream: Upstream, item: int | None = None) -> Any:
        source = upstream[value.source.node]
        found = [o for o in source.outputs if o.name == value.output and o.item in (None, item)]
        return value.read(found[0].artifact())

    def _unmet(self, node: Node, upstream: Upstream) -> str:
        for condition in node.conditions:
            artifact = upstream[condition.value.source.node].artifacts(condition.value.output)[0]
            if not condition.holds(artifact):
                return f"{condition} is false: it is {condition.value.read(artifact)!r}"
        return ""

    # Decisions before anything starts

    def _decided(self, node: Node, upstream: Upstream) -> Attempt | None:
        for name, attempt in upstream.items():
            ordered_only = name in node.after and not any(
                edge.node == name for edges in node.inputs.values() for edge in edges
            )
            allowed = attempt.state is State.SKIPPED and ordered_only
            if not attempt.state.gave_outputs and not allowed:
                return self._skip(node.name, f"needs {name}, which is {attempt.state}")
        if self.cancelled.is_set():
            return self._skip(node.name, "the run was interrupted before it started")
        try:
            unmet = self._unmet(node, upstream)
        except HeadraceError as error:
            return self._failed_before_start(node, error)
        return self._skip(node.name, unmet) if unmet else None

    def _skip(self, name: str, reason: str) -> Attempt:
        attempt = Attempt(self.run.id, name, State.SKIPPED, started=now(), ended=now(), reason=reason)
        return self._finish(attempt, None, remember=False)

    def _failed_before_start(self, node: Node, error: Exception) -> Attempt:
        failure = user_failure(error, node.at)
        attempt = Attempt(
            self.run.id,
            node.name,
            State.FAILED,
            started=now(),
            ended=now(),
            reason=failure.headline,
            error=failure.text,
            traceback=failure.traceback,
        )
        return self._finish(attempt, None, remember=False)

    def _gather(self, node: Node, results: list[Attempt]) -> Attempt:
        bad = [a for a in results if not a.state.gave_outputs]
        outputs = tuple(
            replace(output, item=i) for i, attempt in enumerate(results) for output in attempt.outputs
        )
        worst = min(bad, key=lambda a: a.state is not State.FAILED) if bad else None
        key = key_of({"items": {str(i): attempt.key for i, attempt in enumerate(results)}})
        before = None if worst else self.journal.finished(self.run.id, node.name, key)
        if before is not None:  # the run was resumed after this
            return before
        state = worst.state if worst else State.SUCCEEDED
        if results and all(a.state is State.CACHED for a in results):
            state = State.CACHED
        attempt = Attempt(
            self.run.id,
            node.name,
            state,
            key=key,
            started=min([a.started or now() for a in results], default=now()),
            ended=now(),
            cpu_seconds=sum(a.cpu_seconds for a in results),
            peak_mb=max([a.peak_mb for a in results], default=0.0),
            reason=f"{worst.node}: {worst.reason}" if worst else f"{len(results)} items",
            error=worst.error if worst else "",
            traceback=worst.traceback if worst else "",
            outputs=() if worst else outputs,
        )
        return self._finish(attempt, None, remember=False)

    # Reuse, run, record

    def _reuse(self, instance: Instance, key: str, parts: KeyParts) -> Attempt | None:
        before = self.journal.finished(self.run.id, instance.name, key)
        if before is not None and self._whole(key, before.outputs):
            self.listener.node(instance.name, before.state, before.reason)
            return before
        policy = instance.node.component.policy
        if instance.node.name in self.selected and not (self.use_cache and policy.cache):
            return None
        outputs = self.journal.cached(key)
        if outputs is None or not self._whole(key, tuple(outputs)):
            return None
        attempt = Attempt(
            self.run.id,
            instance.name,
            State.CACHED,
            key=key,
            key_parts=parts,
            started=now(),
            ended=now(),
            reason="an earlier run made the same",
            outputs=tuple(outputs),
        )
        return self._finish(attempt, instance, remember=False)

    def _whole(self, key: str, outputs: tuple[Output, ...]) -> bool:
        for output in outputs:
            wrong = verify(output.artifact())
            if wrong:
                self.listener.note(f"{wrong}; it is made again")
                self.journal.forget(key)
                return False
        return True

    def _run_instance(self, instance: Instance) -> Attempt:
        parts = self.parts(instance)
        key = key_of(parts)
        reused = self._reuse(instance, key, parts)
        if reused is not None:
            return reused
        if instance.node.name not in self.selected:
            return self._skip(instance.name, "not selected, and there is no earlier result to use")
        policy = instance.node.component.policy
        for number in range(policy.retries + 1):
            attempt, retry = self._attempt(instance, key, parts)
            last = number == policy.retries or not retry or self.cancelled.is_set()
            if attempt.state is not State.FAILED or last:
                break
            pause = policy.backoff * 2**number * random.uniform(0.75, 1.25)
            self.listener.note(f"{instance.name}: {attempt.reason}; next attempt in {pause:.1f} s")
            self.cancelled.wait(pause)
        return attempt

    def _attempt(self, instance: Instance, key: str, parts: KeyParts) -> tuple[Attempt, bool]:
        policy = instance.node.component.policy
        with self._slots.claim(policy.gpu) as gpus:
            if self.cancelled.is_set():
                return self._skip(instance.name, "the run was interrupted before it started"), False
            attempt = self._begin(instance, key, parts)
            call = self._call(instance, attempt, gpus)
            outcome = try_once(self, instance, attempt, call)
        ended = self._ended(attempt, outcome)
        remember = ended.state is State.SUCCEEDED and policy.cache
        return self._finish(ended, instance, remember=remember, outcome=outcome), outcome.retry

    def _begin(self, instance: Instance, key: str, parts: KeyParts) -> Attempt:
        started = now()
        attempt = Attempt(
            self.run.id, instance.name, State.RUNNING, key=key, key_parts=parts, started=started
        )
        event = {
            "kind": "node_started",
            "run_id": self.run.id,
            "node": instance.name,
            "started": int(started * 1000),
            "params": parts["configuration"],
            "tags": {"headrace.component": parts["component"]["name"]},
        }
        attempt = self.journal.begin_attempt(self.owner, attempt, event)
        self._tries[instance.node.name] = self._tries.get(instance.node.name, 0) + 1
        self.listener.node(instance.name, State.RUNNING, "")
        return replace(attempt, folder=str(self.folder / instance.name / str(attempt.number)))

    def _call(self, instance: Instance, attempt: Attempt, gpus: list[int]) -> Call:
        variables = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if self.settings.gpus else {}
        return Call(
            instance.node.component,
            instance.arguments(),
            self.settings,
            self.run.id,
            self.run.pipeline,
            instance.name,
            attempt.number,
            Path(attempt.folder),
            self.settings.home / "scratch" / self.run.id / str(attempt.key),
            self.staging / f"{instance.name}-{attempt.number}",
            variables,
            instance.node.at,
        )

    @property
    def folder(self) -> Path:
        """Where logs and attachments of the run's attempts lie."""
        return self.settings.home / "runs" / self.run.id

    @property
    def staging(self) -> Path:
        """Where the run's unpublished outputs lie: on the artifacts' own file system."""
        remote = "://" in self.settings.artifacts
        root = self.settings.home if remote else Path(self.settings.artifacts)
        return root / STAGING / self.run.id

    def clean(self) -> None:
        """Remove what only a running run needs."""
        shutil.rmtree(self.staging, ignore_errors=True)

    def clean_scratch(self) -> None:
        """Remove the nodes' scratch folders, which only a run that may be resumed still needs."""
        shutil.rmtree(self.settings.home / "scratch" / self.run.id, ignore_errors=True)

    def _ended(self, attempt: Attempt, outcome: Outcome) -> Attempt:
        return replace(
            attempt,
            state=outcome.state,
            ended=now(),
            cpu_seconds=outcome.cpu_seconds,
            peak_mb=outcome.peak_mb,
            reason=outcome.reason,
            error=outcome.error,
            traceback=outcome.traceback,
            metrics=outcome.metrics,
            outputs=tuple(outcome.outputs),
        )

    def _finish(
        self, attempt: Attempt, instance: Instance | None, *, remember: bool, outcome: Outcome | None = None
    ) -> Attempt:
        event = {
            "kind": "node_finished",
            "run_id": self.run.id,
            "node": attempt.node,
            "state": str(attempt.state),
            "started": int((attempt.started or time.time()) * 1000),
            "ended": int((attempt.ended or time.time()) * 1000),
            "reason": attempt.reason,
            "error": attempt.error,
            "key": attempt.key or "",
            "cpu_seconds": attempt.cpu_seconds,
            "inputs": _inputs(instance),
            "outputs": _tracked(attempt.outputs),
            "attachments": outcome.attachments if outcome else [],
            "pushes": outcome.pushes if outcome and attempt.state is State.SUCCEEDED else [],
            "metrics": [],
        }
        attempt = self.journal.finish_attempt(self.owner, attempt, event, remember=remember)
        self.listener.node(attempt.node, attempt.state, attempt.reason)
        return attempt


def _inputs(instance: Instance | None) -> list[dict[str, Any]]:
    if instance is None:
        return []
    return _tracked([Output.of(n, a) for n, found in instance.inputs.items() for a in found])


def _tracked(outputs: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": o.name,
            "type": o.type.rpartition(":")[2],
            "uri": o.uri,
            "digest": o.digest,
            "tracked_as": o.artifact().tracked_as,
            "metadata": o.metadata,
        }
        for o in outputs
    ]
