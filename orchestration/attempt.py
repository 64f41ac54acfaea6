"""One attempt at one node as the coordinator sees it: start the child, listen, and judge how it ended."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration import events
from orchestration.errors import HeadraceError
from orchestration.failure import user_failure
from orchestration.node import Call, execute
from orchestration.records import Attempt, Output, State
from orchestration.workers import Exit

if TYPE_CHECKING:
    from orchestration.coordinator import Coordinator

POST_SECONDS = 1.0


class Reports:
    """Takes a child's events: metrics and progress go on at once, the final one decides the attempt."""

    def __init__(self, coordinator: Coordinator, attempt: Attempt) -> None:
        self.attempt = attempt
        self.final = False
        self._coordinator = coordinator
        self._metrics: list[dict[str, Any]] = []
        self._posted = 0.0
        self._lock = threading.RLock()  # a component run in this process may report from threads of its own

    def take(self, event: dict[str, Any]) -> None:
        """Take one event."""
        attempt, listener = self.attempt, self._coordinator.listener
        with self._lock:
            match event.pop("kind"):
                case "metric":
                    self._measured(**event)
                case "progress":
                    listener.progress(attempt.node, **event)
                case "attachment":
                    self.change(attachments=(*attempt.attachments, event))
                case "push":
                    self.change(pushes=(*attempt.pushes, event))
                case "result":
                    outputs = tuple(Output(**output) for output in event["outputs"])
                    self.end(state=State.SUCCEEDED, outputs=outputs)
                case "skip":
                    self.end(state=State.SKIPPED, **event)
                case "error":
                    self.end(state=State.FAILED, **event)

    def change(self, **facts: Any) -> None:
        """Change what is known of the attempt."""
        self.attempt = replace(self.attempt, **facts)

    def end(self, **facts: Any) -> None:
        """Take the final word."""
        self.final = True
        self.change(**facts)

    def _measured(self, name: str, value: float, step: int) -> None:
        self.change(metrics={**self.attempt.metrics, name: value})
        self._coordinator.listener.metric(self.attempt.node, name, value, step)
        self._metrics.append({"name": name, "value": value, "step": step, "time": int(time.time() * 1000)})
        if time.monotonic() - self._posted > POST_SECONDS:
            self.post()

    def post(self) -> None:
        """Hand the metrics collected so far to the outbox."""
        with self._lock:
            metrics, self._metrics = self._metrics, []
            self._posted = time.monotonic()
        if metrics:
            measured = events.node_measured(self.attempt, metrics)
            self._coordinator.journal.post(self.attempt.run, [measured])


def try_once(coordinator: Coordinator, attempt: Attempt, call: Call) -> Attempt:
    """Run one attempt to its end and return it as it ended."""
    Path(attempt.folder).mkdir(parents=True, exist_ok=True)
    reports = Reports(coordinator, attempt)
    if coordinator.workers is None:
        started = time.process_time()
        execute(call, reports.take)
        reports.change(cpu_seconds=time.process_time() - started)
    else:
        _in_child(coordinator, call, reports)
    reports.post()
    return reports.attempt


def _in_child(coordinator: Coordinator, call: Call, reports: Reports) -> None:
    assert coordinator.workers is not None
    folder = Path(call.attempt.folder)
    payload, log = folder / "call.pickle", folder / "log.txt"
    try:
        payload.write_bytes(_pickled(call))
    except HeadraceError as error:
        reports.end(state=State.FAILED, **user_failure(error, call.at).facts() | {"retry": False})
        return
    child = coordinator.workers.run(call.imports, payload, log)
    for event in child.events(call.component.policy.timeout):
        reports.take(event)
    ended = child.wait()
    payload.unlink(missing_ok=True)
    if ended:
        reports.change(cpu_seconds=ended.cpu_seconds, peak_mb=ended.peak_mb)
    if reports.final:
        return
    if coordinator.cancelled.is_set():
        reports.end(state=State.INTERRUPTED, reason="the run was interrupted", retry=False)
    else:
        timeout = call.component.policy.timeout if child.late else None
        reports.end(state=State.FAILED, **_death(ended, call, timeout, _lines(log)))


def _death(ended: Exit | None, call: Call, timeout: float | None, log: list[str]) -> dict[str, str]:
    """Describe a child that ended without a final word."""
    headline, hint = _cause(ended, timeout)
    facts = [*(("log", line) for line in _telling(log)), ("at", call.at), ("next", hint)]
    text = "\n".join([headline, *(f"  {name:<9} {fact}" for name, fact in facts if fact)])
    return {"reason": headline, "error": text, "traceback": "\n".join(log[-200:])}


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
