"""One attempt at one node as the coordinator sees it: start the child, listen, and judge how it ended."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.errors import ArgumentError, HeadraceError
from orchestration.failure import user_failure
from orchestration.node import Call, execute
from orchestration.records import Attempt, Measured, Output, State
from orchestration.workers import Workers

if TYPE_CHECKING:
    from orchestration.coordinator import Coordinator

POST_SECONDS = 1.0


def try_once(coordinator: Coordinator, call: Call) -> Attempt:
    """Run one attempt to its end and return it as it ended."""
    Path(call.attempt.folder).mkdir(parents=True, exist_ok=True)
    reports = Reports(coordinator, call)
    if coordinator.workers is None:
        started = time.process_time()
        execute(call, reports.take)
        used = time.process_time() - started
        reports.take({"kind": "ended", "code": 0, "late": False, "cpu_seconds": used})
    else:
        _in_child(coordinator.workers, call, reports)
    return reports.attempt


def _in_child(workers: Workers, call: Call, reports: Reports) -> None:
    import cloudpickle

    payload, log = (Path(call.attempt.folder) / name for name in ("call.pickle", "log.txt"))
    try:
        payload.write_bytes(cloudpickle.dumps(call))
    except Exception as error:  # noqa: BLE001 - whatever a user's object raises while it is pickled
        headline = f"an argument of {call.component.name} cannot travel to the node's process: {error}"
        failure = user_failure(ArgumentError(headline, at=call.at))
        reports.change(state=State.FAILED, **failure)
    else:
        imports = call.component.imports(call.arguments)
        for event in workers.run(imports, payload, log, call.component.policy.timeout):
            reports.take(event)
        payload.unlink(missing_ok=True)


class Reports:
    """Takes a node's events: metrics and progress go on at once, the result decides the attempt."""

    def __init__(self, coordinator: Coordinator, call: Call) -> None:
        self.attempt = call.attempt
        self._call = call
        self._coordinator = coordinator
        self._metrics: list[Measured] = []
        self._posted = 0.0
        self._lock = threading.RLock()  # a component run in this process may report from threads of its own

    def take(self, event: dict[str, Any]) -> None:
        """Take one event."""
        with self._lock:
            match event.pop("kind"):
                case "metric":
                    self._measured(**event)
                case "progress":
                    self._coordinator.listener.progress(self.attempt.node, **event)
                case "attachments" | "pushes" as several:
                    self.change(**{several: (*getattr(self.attempt, several), event)})
                case "result":
                    outputs = tuple(Output(**output) for output in event.pop("outputs", ()))
                    self.change(**{**event, "state": State(event["state"]), "outputs": outputs})
                case "ended":
                    self._ended(**event)

    def change(self, **facts: Any) -> None:
        """Change what is known of the attempt."""
        self.attempt = replace(self.attempt, **facts)

    def _measured(self, name: str, value: float, step: int) -> None:
        self.change(metrics={**self.attempt.metrics, name: value})
        self._coordinator.listener.metric(self.attempt.node, name, value, step)
        self._metrics.append((name, value, int(time.time() * 1000), step))
        if time.monotonic() - self._posted > POST_SECONDS:
            self._post()

    def _post(self) -> None:
        if self._metrics:
            self._coordinator.journal.post(self.attempt, self._metrics)
        self._metrics, self._posted = [], time.monotonic()

    def _ended(self, code: int | None, late: bool, **used: float) -> None:
        self._post()
        self.change(**used)
        if self.attempt.state is not State.RUNNING:
            return
        if self._coordinator.cancelled.is_set():
            self.change(state=State.INTERRUPTED, reason="the run was interrupted", retry=False)
        else:
            self.change(state=State.FAILED, **_death(self._call, code, late))


def _death(call: Call, code: int | None, late: bool) -> dict[str, str]:
    """Describe a process that ended without a result, with the last three lines of its log.

    After a crash in native code they are the innermost of Python's stack.
    """
    headline, hint = _cause(code, late, call.component.policy.timeout)
    log = Path(call.attempt.folder) / "log.txt"
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line[:200] for line in text.splitlines() if line.strip()]
    crash = [number for number, line in enumerate(lines) if "(most recent call first)" in line]
    telling = lines[crash[-1] + 1 :][:3] if crash else lines[-3:]
    told = "\n".join([headline, *(f"  {'log':<9} {line.strip()}" for line in telling)])
    error = str(HeadraceError(told, at=call.at or "", next=hint))
    return {"reason": headline, "error": error, "traceback": "\n".join(lines[-200:])}


def _cause(code: int | None, late: bool, timeout: float | None) -> tuple[str, str]:
    """Return how a process ended, and what may help."""
    if late:
        headline = f"TimeoutError: the node took longer than its timeout of {timeout:g} s and was stopped"
        return headline, "with_(timeout=…) gives it longer"
    if code is not None and code >= 0:
        return f"the node's process ended with exit status {code} before it returned", ""
    name = signal.Signals(-code).name if code else "SIGKILL, with its fork server"
    killed = f"the node's process was killed by {name}"
    if "SIGKILL" not in name:
        return killed, ""
    return f"{killed} (out of memory?)", "HEADRACE_CONCURRENCY=1 lets nodes run one at a time"
