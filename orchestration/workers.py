"""The coordinator's side of the fork servers: one tree of servers, one child process per attempt."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
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
    """A node's process, as what arrives in its event pipe tells about it.

    Attributes:
        pid: 0 until it has started.
        late: Whether its time was over before it had ended.
        code: Its exit status, or minus the signal that ended it; None if its server died with it.
        cpu_seconds: What it used, known once it has ended; so is ``peak_mb``.
    """

    def __init__(self, pipe: int, server: socket.socket) -> None:
        self.pid = 0
        self.late = False
        self.code: int | None = None
        self.cpu_seconds = self.peak_mb = 0.0
        self._pipe = pipe
        self._server = server

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
                    end = math.inf if timeout is None else time.monotonic() + timeout
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
        """Yield line by line until the server is gone; an empty one when there is nothing for a while."""
        poll, rest = select.poll(), b""
        poll.register(self._pipe, select.POLLIN)
        poll.register(self._server, 0)  # its end is told all the same
        with open(self._pipe, "rb", buffering=0) as pipe:  # noqa: PTH123 - a descriptor
            while True:
                ready = [descriptor for descriptor, _ in poll.poll(1000 * TICK_SECONDS)]
                if self._pipe in ready:
                    chunk = pipe.read(65536)
                    if not chunk:
                        return
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from lines
                elif ready:
                    return
                yield b""


class Workers:
    """The tree of fork servers of one run: nodes whose imports begin alike share the beginning.

    Args:
        path: The children's module search path.
        log: File for what the servers themselves print.
    """

    def __init__(self, path: list[str], log: Path) -> None:
        self._path = path
        self._log = log
        self._lock = threading.RLock()
        self._servers: dict[tuple[str, ...], socket.socket] = {}
        self._roots: list[subprocess.Popen[bytes]] = []

    def run(self, imports: tuple[str, ...], payload: Path, log: Path) -> Child:
        """Start a child for a pickled call, in the server for these imports."""
        reader, writer = os.pipe()
        with self._lock:
            server = self.prepare(imports)
            _send(server, writer, op="run", payload=str(payload), log=str(log))
        os.close(writer)
        return Child(reader, server)

    def prepare(self, imports: tuple[str, ...]) -> socket.socket:
        """Return the connection to the server for these imports, which is started if it is not there."""
        with self._lock:
            if imports not in self._servers or _is_gone(self._servers[imports]):
                ours, theirs = socket.socketpair()
                with theirs:
                    if imports:
                        before = self.prepare(imports[:-1])
                        _send(before, theirs.fileno(), op="serve", imports=imports[-1:])
                    else:
                        self._start_root(theirs.fileno())
                self._servers[imports] = ours
            return self._servers[imports]

    def _start_root(self, control: int) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            root = subprocess.Popen(
                [sys.executable, "-m", "orchestration.forkserver", str(control), "orchestration.node"],
                pass_fds=[control],
                env={**QUIET, **os.environ, "PYTHONPATH": os.pathsep.join(self._path)},
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._roots.append(root)

    def close(self) -> None:
        """End every server and child."""
        with self._lock:
            for server in self._servers.values():
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)
            for root in self._roots:
                root.wait()
            for server in self._servers.values():
                server.close()
            self._servers = {}


def _send(server: socket.socket, descriptor: int, **message: Any) -> None:
    with contextlib.suppress(OSError):  # it is gone: whoever listens to the child is told so
        socket.send_fds(server, [json.dumps(message).encode()], [descriptor])


def _is_gone(server: socket.socket) -> bool:
    poll = select.poll()
    poll.register(server, 0)
    return bool(poll.poll(0))
