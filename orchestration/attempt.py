"""One attempt at a node as the coordinator sees it: start the child, listen, and judge how it ended."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.errors import HeadraceError
from orchestration.failure import user_failure
from orchestration.node import Call, execute
from orchestration.records import Attempt, Output, State
from orchestration.workers import Deadline, Exit, wait_for_exit

if TYPE_CHECKING:
    from orchestration.coordinator import Coordinator, Instance

POST_SECONDS = 1.0


@dataclass
class Outcome:
    """What came of an attempt."""

    state: State = State.FAILED
    reason: str = ""
    error: str = ""
    traceback: str = ""
    retry: bool = True
    outputs: list[Output] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    attachments: list[dict[str, str]] = field(default_factory=list)
    pushes: list[dict[str, Any]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


class Reports:
    """Takes a child's events: metrics and progress go on at once, the final one makes the outcome."""

    def __init__(self, coordinator: Coordinator, attempt: Attempt) -> None:
        self.outcome = Outcome()
        self.final = False
        self._coordinator = coordinator
        self._attempt = attempt
        self._metrics: list[dict[str, Any]] = []
        self._posted = 0.0
        self._lock = threading.Lock()

    def take(self, event: dict[str, Any]) -> None:
        """Take one event."""
        kind = event.pop("kind")
        getattr(self, f"_{kind}")(event)

    def _metric(self, event: dict[str, Any]) -> None:
        self.outcome.metrics[event["name"]] = event["value"]
        self._coordinator.listener.metric(self._attempt.node, event["name"], event["value"], event["step"])
        with self._lock:
            self._metrics.append({**event, "time": int(time.time() * 1000)})
        if time.monotonic() - self._posted > POST_SECONDS:
            self.post()

    def post(self) -> None:
        """Hand the metrics collected so far to the outbox."""
        with self._lock:
            metrics, self._metrics = self._metrics, []
        self._posted = time.monotonic()
        if metrics:
            event = {
                "kind": "metrics",
                "run_id": self._attempt.run,
                "node": self._attempt.node,
                "attempt": self._attempt.number,
                "metrics": metrics,
            }
            self._coordinator.journal.post(self._attempt.run, [event])

    def _progress(self, event: dict[str, Any]) -> None:
        node = self._attempt.node
        self._coordinator.listener.progress(node, event["done"], event["total"], event["unit"])

    def _attachment(self, event: dict[str, Any]) -> None:
        self.outcome.attachments.append(event)

    def _push(self, event: dict[str, Any]) -> None:
        self.outcome.pushes.append(event)

    def _result(self, event: dict[str, Any]) -> None:
        self.final = True
        self.outcome.state = State.SUCCEEDED
        self.outcome.outputs = [Output(**output) for output in event["outputs"]]

    def _skip(self, event: dict[str, Any]) -> None:
        self.final = True
        self.outcome.state = State.SKIPPED
        self.outcome.reason = event["reason"]

    def _error(self, event: dict[str, Any]) -> None:
        self.final = True
        self.outcome.state = State.FAILED
        self.outcome.reason = event["headline"]
        self.outcome.error = event["text"]
        self.outcome.traceback = event["traceback"]
        self.outcome.retry = event["retry"]


def try_once(coordinator: Coordinator, instance: Instance, attempt: Attempt, call: Call) -> Outcome:
    """Run one attempt to its end and return what came of it."""
    call.folder.mkdir(parents=True, exist_ok=True)
    reports = Reports(coordinator, attempt)
    try:
        if coordinator.in_process or coordinator.workers is None:
            started = time.process_time()
            execute(call, reports.take)
            reports.outcome.cpu_seconds = time.process_time() - started
        else:
            _in_child(coordinator, instance, call, reports)
    except HeadraceError as error:  # the call cannot travel to a child process
        failure = user_failure(error)
        reports.outcome = Outcome(
            reason=failure.headline, error=failure.text, traceback=failure.traceback, retry=False
        )
    reports.post()
    return reports.outcome


def _in_child(coordinator: Coordinator, instance: Instance, call: Call, reports: Reports) -> None:
    assert coordinator.workers is not None
    policy = instance.node.component.policy
    payload, log = call.folder / "call.pickle", call.folder / "log.txt"
    payload.write_bytes(_pickled(call))
    imports = instance.node.component.imports(instance.configuration)
    child = coordinator.workers.run(imports, payload, log)
    deadline = Deadline(child, policy.timeout)
    _listen(child.events(), reports)
    ended = wait_for_exit(child)
    deadline.cancel()
    payload.unlink(missing_ok=True)
    reports.outcome.cpu_seconds = ended.cpu_seconds if ended else 0.0
    reports.outcome.peak_mb = ended.peak_mb if ended else 0.0
    if not reports.final:
        late = policy.timeout if deadline.passed else None
        reports.outcome = _died(reports.outcome, ended, call, coordinator, late)


def _listen(events: Iterable[dict[str, Any]], reports: Reports) -> None:
    for event in events:
        reports.take(event)


def _died(
    outcome: Outcome, ended: Exit | None, call: Call, coordinator: Coordinator, timeout: float | None
) -> Outcome:
    """Judge a child that ended without a final word."""
    if coordinator.cancelled.is_set():
        return replace(outcome, state=State.INTERRUPTED, reason="the run was interrupted", retry=False)
    headline, hint = _cause(ended, timeout)
    log = _lines(call.folder / "log.txt")
    facts = [*(("log", line) for line in _telling(log)), ("at", call.at), ("next", hint)]
    text = "\n".join([headline, *(f"  {name:<9} {fact}" for name, fact in facts if fact)])
    return replace(outcome, state=State.FAILED, reason=headline, error=text, traceback="\n".join(log[-200:]))


def _cause(ended: Exit | None, timeout: float | None) -> tuple[str, str]:
    """Return how a child ended, and what may help."""
    if timeout is not None:
        headline = f"TimeoutError: the node took longer than its timeout of {timeout:g} s and was stopped"
        return headline, "with_(timeout=…) gives it longer"
    if ended is not None and not ended.signal:
        return f"the node's process ended with exit status {ended.code} before it returned", ""
    name = signal.Signals(ended.signal).name if ended else "SIGKILL, with its fork server"
    memory = ended is None or ended.signal == signal.SIGKILL
    hint = "HEADRACE_CONCURRENCY=1 lets nodes run one at a time" if memory else ""
    return f"the node's process was killed by {name}{' (out of memory?)' * memory}", hint


def _lines(log: Path) -> list[str]:
    if not log.exists():
        return []
    return [line[:200] for line in log.read_text(errors="replace").splitlines() if line.strip()]


def _telling(log: list[str]) -> list[str]:
    """Return the last three lines; after a crash in native code the innermost of Python's stack."""
    crash = [number for number, line in enumerate(log) if "(most recent call first)" in line]
    return [line.strip() for line in log[crash[-1] + 1 :][:3]] if crash else log[-3:]


def _pickled(call: Call) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(call))
    except Exception as error:  # whatever a user's object raises while it is pickled
        raise HeadraceError(
            f"an argument of {call.component.name} cannot travel to the node's process: {error}",
            expected="values that can be pickled",
            at="",
        ) from error
