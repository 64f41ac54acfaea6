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


class Child:
    """A node's process, as what arrives from it and its server tells about it.

    Attributes:
        pid: 0 until it has started.
        late: Whether its time was over before it had ended.
        code: Its exit status, or minus the signal that ended it; None if its server died with it.
        cpu_seconds: What it used, known once it has ended; so is ``peak_mb``.
    """

    def __init__(self, connection: socket.socket, root: subprocess.Popen[bytes]) -> None:
        self.pid = 0
        self.late = False
        self.code: int | None = None
        self.cpu_seconds = self.peak_mb = 0.0
        self._connection = connection
        self._root = root

    def events(
        self, timeout: float | None = None, cancelled: threading.Event | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the node's events as they come, until its process has ended.

        Args:
            timeout: Seconds after which its whole process group is ended (SIGTERM, and after a grace
                period SIGKILL), from its own start: its server may still be importing.
            cancelled: Ends it likewise once it is set.
        """
        end = math.inf
        for line in self._lines():
            message: Any = None
            with contextlib.suppress(ValueError):  # cut off by a kill
                message = json.loads(line)
            match message:
                case {"kind": _}:
                    yield message
                case {"pid": pid}:
                    self.pid = pid
                    end = time.monotonic() + (timeout or math.inf)
                case {"exit": [code, cpu_seconds, peak_mb]}:
                    self.code, self.cpu_seconds, self.peak_mb = code, cpu_seconds, peak_mb
                    return
            asked = cancelled is not None and cancelled.is_set() and not self.late
            if self.pid and (asked or time.monotonic() >= end):
                kill_group(self.pid, signal.SIGKILL if self.late else signal.SIGTERM)
                self.late, end = True, time.monotonic() + GRACE_SECONDS
        if self.pid:
            kill_group(self.pid)  # what it started has no server to end it

    def _lines(self) -> Iterator[bytes]:
        """Yield line by line until nobody is left to write; an empty one when there is nothing for a while."""
        rest = b""
        with self._connection as connection:
            connection.settimeout(TICK_SECONDS)
            while True:
                with contextlib.suppress(TimeoutError):
                    while chunk := connection.recv(65536):
                        *lines, rest = (rest + chunk).split(b"\n")
                        yield from lines
                    return
                if self._root.poll() is not None:  # what the node left behind may hold the other end
                    return
                yield b""


class Workers:
    """The fork servers of one run, and through them its nodes' processes.

    Args:
        path: The children's module search path.
        log: File for what the servers themselves print.
    """

    def __init__(self, path: list[str], log: Path) -> None:
        self._environment = {**QUIET, **os.environ, "PYTHONPATH": os.pathsep.join(path)}
        self._log = log
        self._lock = threading.Lock()
        self._start_root()

    def run(self, imports: tuple[str, ...], payload: Path, log: Path) -> Child:
        """Start a child for a pickled call, in the server for these imports."""
        connection = self._send(imports=imports, payload=str(payload), log=str(log))
        return Child(connection, self._root)

    def prepare(self, imports: tuple[str, ...]) -> None:
        """Let the servers for these imports start."""
        self._send(imports=imports).close()

    def close(self) -> None:
        """End every server and child."""
        with self._lock:
            self._control.close()
            self._root.wait()

    def _send(self, **message: Any) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            if self._root.poll() is not None and self._control.fileno() >= 0:  # it was killed
                self._control.close()
                self._start_root()
            with contextlib.suppress(OSError):  # it is gone: whoever listens to the child is told so
                socket.send_fds(self._control, [json.dumps(message).encode()], [theirs.fileno()])
        return ours

    def _start_root(self) -> None:
        self._control, theirs = socket.socketpair()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._log.open("ab") as log:
            self._root = subprocess.Popen(
                [sys.executable, "-m", "orchestration.forkserver", str(theirs.fileno()), "orchestration.node"],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
