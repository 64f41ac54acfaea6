"""A fork server: imports modules once, then forks a child per node. Runs as a process of its own.

It has one thread and never uses what it imports, so that a fork is safe at any time. It ends,
with all its children, when the other end of its control socket closes.

Protocol, one JSON message per line over a Unix socket:
    -> {"op": "run", "id": n, "payload": file, "log": file}  with the write end of the event pipe
    <- {"pid": pid, "id": n}
    -> {"op": "serve", "id": 0, "imports": [...]}            with a control socket for the new server
    <- {"exit": pid, "id": n, "status": wait status, "cpu": seconds, "peak_mb": MiB}
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 10.0
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Server:
    """Serves one control socket. ``children`` are its own by process: a node's number, or 0 for a server."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.pid = os.getpid()
        self.children: dict[int, int] = {}
        self.received = b""
        self.descriptors: list[int] = []
        self.wakeup, self.writer = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self.writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve until the control socket closes, then end all children and see them gone."""
        while True:
            watched: list[Any] = [self.control, self.wakeup]
            ready, _, _ = select.select(watched, [], [])
            if self.wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup, 4096)
                self.reap()
            if self.control in ready and not self.receive():
                break
        for pid in self.children:
            _kill_group(pid)
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline and not self.reap():
            time.sleep(0.005)

    def receive(self) -> bool:
        """Take what has arrived; False at the end of the connection."""
        data = b""
        with contextlib.suppress(ConnectionError):
            data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 16)
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)  # what a node starts must not hold its event pipe
            self.descriptors += descriptors
        *lines, self.received = (self.received + data).split(b"\n")
        for line in lines:
            self.fork(json.loads(line))
        return bool(data)

    def fork(self, message: dict[str, Any]) -> None:
        """Fork for a message; the child never returns."""
        descriptor = self.descriptors.pop(0)
        pid = os.fork()
        if pid == 0:
            self.become_child(message, descriptor)
        os.close(descriptor)
        self.children[pid] = message["id"]
        if message["op"] == "run":
            self.reply({"pid": pid, "id": message["id"]})

    def become_child(self, message: dict[str, Any], descriptor: int) -> None:
        """Be the node's process, or another server."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (self.control.detach(), self.wakeup, self.writer, *self.descriptors):
                os.close(other)
            if message["op"] == "serve":
                serve(socket.socket(fileno=descriptor), message["imports"])
            else:
                _run_node(message, descriptor, self.pid)
            status = 0
        finally:
            os._exit(status)

    def reap(self) -> bool:
        """Report children that have ended, with what they used; True once there is no child at all."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            number = self.children.pop(pid, 0)
            _kill_group(pid)
            self.end_orphans()
            if number:
                cpu, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
                self.reply({"exit": pid, "id": number, "status": status, "cpu": cpu, "peak_mb": peak_mb})

    def end_orphans(self) -> None:
        """End processes that a node has left behind in a session of their own; they are ours now."""
        with contextlib.suppress(OSError):
            ours = Path(f"/proc/self/task/{self.pid}/children").read_text().split()
            for pid in set(map(int, ours)) - set(self.children):
                _kill_group(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def reply(self, message: dict[str, Any]) -> None:
        """Send a message; a coordinator that is gone is found at the next read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.control.sendall(json.dumps(message).encode() + b"\n")


def _run_node(message: dict[str, Any], events: int, server: int) -> None:
    os.setsid()
    _ask_linux(_PR_SET_PDEATHSIG, signal.SIGKILL)  # end when the server ends, however that happens
    if os.getppid() != server:  # it has ended before we asked
        os._exit(1)
    _ask_linux(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(message["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(log, standard)
    os.close(log)
    faulthandler.enable()
    from orchestration.node import main

    main(message["payload"], events)
    sys.stdout.flush()
    sys.stderr.flush()


def _ask_linux(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def serve(control: socket.socket, imports: list[str]) -> None:
    """Preload, then serve. What cannot be imported is left to the node to report.

    Args:
        control: Where messages come from.
        imports: Modules to import and variables to set (``NAME=value``), in order.
    """
    _ask_linux(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of nodes become ours: none escapes
    gc.disable()  # a third of the time of an import would go into collections that find nothing
    for item in imports:
        name, _, setting = item.partition("=")
        if setting:
            os.environ[name] = setting
            continue
        with contextlib.suppress(Exception):
            importlib.import_module(item)
    gc.freeze()  # children share these pages: no collection of theirs shall touch them
    gc.enable()
    Server(control).serve()


if __name__ == "__main__":  # python -m orchestration.forkserver FD IMPORT …
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
