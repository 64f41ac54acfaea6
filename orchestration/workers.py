"""The coordinator's side of the fork servers: it speaks to the first of them, which starts the others."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration.forkserver import kill_group

GRACE_SECONDS = 5.0
TICK_SECONDS = 0.2

# Keeps what nodes import quiet, where a person has not set it.
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "GRPC_VERBOSITY": "ERROR",
    "ORT_DISABLE_TELEMETRY": "1",  # importing ONNX Runtime would start a thread that reports home
}


class Workers:
    """The fork servers of one run, and through them its nodes' processes.

    Args:
        path: The children's module search path.
        log: File for what the servers themselves print.
        cancelled: Once it is set, every node's process is ended as one whose time is over.
    """

    def __init__(self, path: list[str], log: Path, cancelled: threading.Event) -> None:
        self._environment = {**QUIET, **os.environ, "PYTHONPATH": os.pathsep.join(path)}
        self._log = log
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._start_root()

    def prepare(self, imports: tuple[str, ...]) -> None:
        """Let the servers for these imports start."""
        self._send(imports=imports).close()

    def run(
        self, imports: tuple[str, ...], payload: Path, log: Path, timeout: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Run a pickled call in a process of its own; yield its events as they come, at last how it ended.

        Args:
            imports: What its server has imported beforehand.
            payload: File of the call.
            log: File for what the process prints.
            timeout: Seconds after which its whole process group is ended (SIGTERM, and after a grace
                period SIGKILL), from its own start: its server may still be importing.

        Yields:
            First ``{"kind": "started", "pid": …}``, then what the node tells, and last
            ``{"kind": "ended", "code": …, "late": …, "cpu_seconds": …, "peak_mb": …}``: the exit status, or
            minus the signal, or None if its server died with it; and whether its time was over.
        """
        pid, late, end = 0, False, math.inf
        ended = {"kind": "ended", "code": None, "cpu_seconds": 0.0, "peak_mb": 0.0}
        for event in self._events(self._send(imports=imports, payload=str(payload), log=str(log))):
            kind = event.get("kind")
            if kind == "ended":
                ended = event
                break
            if kind == "started":
                pid, end = event["pid"], time.monotonic() + (timeout or math.inf)
            if kind:
                yield event
            if pid and (time.monotonic() >= end or (self._cancelled.is_set() and not late)):
                kill_group(pid, signal.SIGKILL if late else signal.SIGTERM)
                late, end = True, time.monotonic() + GRACE_SECONDS
        else:
            if pid:
                kill_group(pid)  # what it started has no server to end it
        yield {**ended, "late": late}

    def _events(self, connection: socket.socket) -> Iterator[dict[str, Any]]:
        """Yield what arrives until nobody is left to write; nothing, as ``{}``, now and then."""
        rest = b""
        connection.settimeout(TICK_SECONDS)
        with connection:
            while True:
                with contextlib.suppress(TimeoutError):
                    while chunk := connection.recv(65536):
                        *lines, rest = (rest + chunk).split(b"\n")
                        for line in lines:
                            with contextlib.suppress(ValueError):  # empty, or cut off by a kill
                                yield json.loads(line)
                    return
                if self._root.poll() is not None:  # what the node left behind may hold the other end
                    return
                yield {}

    def _send(self, **message: Any) -> socket.socket:
        """Send a message with one end of a new connection, and return the other."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            if self._root.poll() is not None and self._control.fileno() >= 0:  # it was killed
                self._control.close()
                self._start_root()
            with contextlib.suppress(OSError):  # it is gone: whoever listens is told so
                socket.send_fds(self._control, [json.dumps(message).encode()], [theirs.fileno()])
        return ours

    def _start_root(self) -> None:
        self._control, theirs = socket.socketpair()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._log.open("ab") as log:
            self._root = subprocess.Popen(
                [sys.executable, "-m", "orchestration.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def close(self) -> None:
        """End every server and child."""
        with self._lock:
            self._control.close()
            self._root.wait()
