"""A fork server: imports modules once, then forks a child per node. Runs as a process of its own.

It has one thread and never uses what it imports, so that a fork is safe at any time. It ends,
with all its children, when the other end of its control socket closes.

Protocol, one JSON message at a time over a Unix socket, each with a descriptor:
    {"op": "run", "payload": file, "log": file}  with the write end of the node's event pipe
    {"op": "serve", "imports": [...]}            with a control socket for the new server

In an event pipe, one JSON object per line: the process's {"pid": pid}, then the node's own events,
and once it has ended the server's {"exit": [status, or minus the signal; CPU seconds; peak MiB]}.
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
    """Serves one control socket. ``children``: the event pipe by process, or None for a server."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.pid = os.getpid()
        self.children: dict[int, int | None] = {}
        self.wakeup, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve until the control socket closes, then end all children and see them gone."""
        control = self.control.fileno()
        while True:
            ready, _, _ = select.select([control, self.wakeup], [], [])
            if self.wakeup in ready:
                os.read(self.wakeup, 4096)
                self.reap()
            if control in ready and not self.receive():
                break
        for pid in self.children:
            kill_group(pid)
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline and not self.reap():
            time.sleep(0.005)

    def receive(self) -> bool:
        """Fork for a message; False at the end of the connection."""
        data, descriptors = b"", list[int]()
        with contextlib.suppress(ConnectionError):
            # One message: the kernel joins none that bring descriptors.
            data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 1)
        for descriptor in descriptors:
            message = json.loads(data)
            os.set_inheritable(descriptor, False)  # what a node starts must not hold its event pipe
            pid = os.fork()
            if pid == 0:
                self.become_child(message, descriptor)  # never returns
            self.children[pid] = descriptor if message["op"] == "run" else None
            if message["op"] == "serve":
                os.close(descriptor)
        return bool(data)

    def become_child(self, message: dict[str, Any], descriptor: int) -> None:
        """Be the node's process, or another server."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            pipes = [pipe for pipe in self.children.values() if pipe is not None]
            for other in (self.control.detach(), self.wakeup, self.writer, *pipes):
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
            pipe = self.children.pop(pid, None)
            kill_group(pid)
            self.end_orphans()
            if pipe is not None:
                cpu, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
                end = {"exit": [os.waitstatus_to_exitcode(status), cpu, peak_mb]}
                with contextlib.suppress(BrokenPipeError):  # a coordinator that is gone ends us soon
                    os.write(pipe, b"\n%s\n" % json.dumps(end).encode())  # after a line cut off by a kill
                os.close(pipe)

    def end_orphans(self) -> None:
        """End processes that a node has left behind in a session of their own; they are ours now."""
        with contextlib.suppress(OSError):
            ours = Path(f"/proc/self/task/{self.pid}/children").read_text().split()
            for pid in set(map(int, ours)) - set(self.children):
                kill_group(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


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
    os.write(events, b'{"pid": %d}\n' % os.getpid())
    from orchestration.node import main

    main(message["payload"], events)
    sys.stdout.flush()
    sys.stderr.flush()


def _ask_linux(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value)


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process and those it started in its group, if there are any left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


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
