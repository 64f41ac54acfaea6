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
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GRACE_SECONDS = 5.0
QUIET_SECONDS = 1.0

# Keeps what nodes import quiet, where a person has not set it.
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "GRPC_VERBOSITY": "ERROR",
    "ORT_DISABLE_TELEMETRY": "1",  # importing ONNX Runtime would start a thread that reports home
}


@dataclass(frozen=True)
class Exit:
    """How a child ended, and what it used. ``signal`` is 0 for an ordinary exit."""

    code: int
    signal: int
    cpu_seconds: float
    peak_mb: float


@dataclass
class Child:
    """A node's process. Its events end when it has ended; ``late`` tells that its time was over first."""

    events_fd: int
    pid: Future[int] = field(default_factory=Future)
    exit: Future[Exit] = field(default_factory=Future)
    late: bool = False

    def events(self, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield the child's events as they come; a line cut off by a kill is dropped.

        Args:
            timeout: Seconds after which the child is ended, from its own start: its server may
                still be importing.
        """
        with contextlib.suppress(Exception):  # no child, no event
            self.pid.result()
        end = math.inf if timeout is None else time.monotonic() + timeout
        ready, rest = select.poll(), b""
        ready.register(self.events_fd, select.POLLIN)
        try:
            while True:
                if time.monotonic() >= end:
                    self.late, end = True, math.inf
                    threading.Thread(target=self.stop, daemon=True).start()
                if not ready.poll(1000 * min(QUIET_SECONDS, max(end - time.monotonic(), 0.0))):
                    if self.exit.done():  # what the child started may hold the pipe's other end
                        return
                    continue
                chunk = os.read(self.events_fd, 65536)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    with contextlib.suppress(ValueError):
                        yield json.loads(line)
        finally:
            os.close(self.events_fd)

    def wait(self) -> Exit | None:
        """Return how the child ended; None if its server died with it."""
        try:
            return self.exit.result(timeout=60)
        except (ConnectionError, OSError, TimeoutError):
            return None

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End the child's whole process group: SIGTERM, and after the grace period SIGKILL."""
        with contextlib.suppress(Exception):  # a server that died has taken its children along
            pid = self.pid.result(timeout=30)
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self.exit.done():
                    return
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, number)
                with contextlib.suppress(TimeoutError):
                    self.exit.result(timeout=grace)


class ForkServer:
    """One server process and the connection to it."""

    def __init__(self, control: socket.socket, process: subprocess.Popen[bytes] | None) -> None:
        self.control = control
        self.process = process
        self._children: dict[int, Child] = {}
        self._lock = threading.Lock()
        self._count = 0
        self.ended = False
        threading.Thread(target=self._listen, daemon=True, name="headrace-forkserver").start()

    def run(self, payload: Path, log: Path) -> Child:
        """Fork a child for a pickled call."""
        reader, writer = os.pipe()
        with self._lock:
            self._count += 1
            child = self._children[self._count] = Child(reader)
            try:
                self._send({"op": "run", "id": self._count, "payload": str(payload), "log": str(log)}, writer)
            except OSError as error:
                _lost(child, error)
        os.close(writer)
        return child

    def _send(self, message: dict[str, Any], descriptor: int) -> None:
        socket.send_fds(self.control, [json.dumps(message).encode() + b"\n"], [descriptor])

    def branch(self, imports: tuple[str, ...]) -> ForkServer:
        """Fork a further server that has all this one's imports, and more."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            self._send({"op": "serve", "id": 0, "imports": imports}, theirs.fileno())
        return ForkServer(ours, None)

    def close(self) -> None:
        """End the server and all its children."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)
        self.control.close()
        if self.process is not None:
            self.process.wait()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self.control.makefile("r") as lines:
            for line in lines:
                self._take(json.loads(line))
        with self._lock:
            self.ended = True
            for child in self._children.values():
                _lost(child, ConnectionError("the fork server has ended"))

    def _take(self, message: dict[str, Any]) -> None:
        with self._lock:
            if "exit" not in message:
                self._children[message["id"]].pid.set_result(message["pid"])
                return
            child = self._children.pop(message["id"], None)
        if child is None:
            return
        status = message["status"]
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = 0 if number else os.WEXITSTATUS(status)
        child.exit.set_result(Exit(code, number, message["cpu"], message["peak_mb"]))


def _lost(child: Child, error: Exception) -> None:
    if child.pid.done() and not child.pid.exception():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid.result(), signal.SIGKILL)  # what it started has no server to end it
    for future in (child.pid, child.exit):
        if not future.done():
            future.set_exception(error)


class Workers:
    """The tree of fork servers of one run: nodes whose imports begin alike share the beginning.

    Args:
        path: The children's module search path.
        log: File for what the servers themselves print.
    """

    def __init__(self, path: list[str], log: Path) -> None:
        self._lock = threading.Lock()
        self._servers: dict[tuple[str, ...], ForkServer] = {}
        self._path = path
        self._log = log
        self._children: list[Child] = []
        self._closed = False

    def prepare(self, imports: tuple[str, ...]) -> ForkServer:
        """Return the server for these imports, started now if it is not there."""
        with self._lock:
            return self._server(imports)

    def run(self, imports: tuple[str, ...], payload: Path, log: Path) -> Child:
        """Start a child in the server for these imports."""
        child = self.prepare(imports).run(payload, log)
        with self._lock:
            self._children = [c for c in self._children if not c.exit.done()] + [child]
            closed = self._closed
        if closed:
            child.stop(0.5)
        return child

    def stop_children(self) -> None:
        """End every running child; further ones are ended as soon as they start."""
        with self._lock:
            self._closed = True
            running = [child for child in self._children if not child.exit.done()]
        for child in running:
            threading.Thread(target=child.stop, daemon=True).start()

    def close(self) -> None:
        """End every server and child."""
        with self._lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in reversed(servers):
            server.close()

    def _server(self, imports: tuple[str, ...]) -> ForkServer:
        if imports not in self._servers or self._servers[imports].ended:
            server = self._server(imports[:-1]).branch(imports[-1:]) if imports else self._root()
            self._servers[imports] = server
        return self._servers[imports]

    def _root(self) -> ForkServer:
        ours, theirs = socket.socketpair()
        environment = {**QUIET, **os.environ, "PYTHONPATH": os.pathsep.join(self._path)}
        command = [
            sys.executable,
            "-m",
            "orchestration.forkserver",
            str(theirs.fileno()),
            "orchestration.node",
        ]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log, theirs:
            process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return ForkServer(ours, process)
