"""A fork server: imports modules once, then forks a child per node. Runs as a process of its own.

It has one thread and never uses what it imports, so that a fork is safe at any time. It ends,
with all its children, when the other end of its control socket closes.

Servers form a tree: each has imported one thing more than the one above it. The coordinator speaks
to the root. A message is a JSON object with a socket for the node's events:
    {"imports": [...], "payload": file, "log": file}
Its way goes down the tree, import by import, and servers that are not there are started. Where no
import is left the node is forked; a message without a payload only prepares the way.

In a node's socket, one JSON object per line: the process's {"pid": pid}, then the node's own events,
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
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 10.0
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Server:
    """Serves one control socket.

    Attributes:
        children: Our socket to each child: a node's events, or the control of a further server.
        servers: The same socket by import, of servers; closed once the server has ended.
    """

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: dict[int, socket.socket] = {}
        self.servers: dict[str, socket.socket] = {}
        signal.signal(signal.SIGCHLD, lambda *_: self.reap())

    def serve(self) -> None:
        """Serve until the control socket closes, then end all children and see them gone."""
        while self.receive():
            pass
        for pid, ours in self.children.items():
            kill_group(pid)
            ours.close()
        self.children.clear()
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline and not self.reap():
            time.sleep(0.005)

    def receive(self) -> bool:
        """Take one message; False at the end of the connection. Children are reaped while it waits."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        # One message: the kernel joins none that bring descriptors.
        data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as events:
                events.set_inheritable(False)  # what a node starts must not hold it
                self.take(json.loads(data), events)
        return bool(data)

    def take(self, message: dict[str, Any], events: socket.socket) -> None:
        """Start a node, or hand the message on to the server that has its next import."""
        if message["imports"]:
            name = message["imports"].pop(0)
            if name not in self.servers or self.servers[name].fileno() < 0:
                self.servers[name], theirs = socket.socketpair()
                self.fork(self.servers[name], theirs, partial(serve, imports=[name]))
            with contextlib.suppress(OSError):  # it ends just now: the coordinator sees the events end
                socket.send_fds(self.servers[name], [json.dumps(message).encode()], [events.fileno()])
        elif "payload" in message:
            self.fork(events.dup(), events, partial(_run_node, message, os.getpid()))

    def fork(
        self, ours: socket.socket, theirs: socket.socket, work: Callable[[socket.socket], None]
    ) -> None:
        """Start a child that works with its end of a connection and holds nothing else of ours."""
        pid = os.fork()
        if pid:
            theirs.close()
            self.children[pid] = ours
            return
        status = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            for other in (ours, self.control, *self.children.values()):
                other.close()
            work(theirs)
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
            kill_group(pid)
            self.end_orphans()
            if pid in self.children:
                cpu, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
                end = {"exit": [os.waitstatus_to_exitcode(status), cpu, peak_mb]}
                with contextlib.suppress(OSError), self.children.pop(pid) as ours:  # nobody may listen
                    ours.sendall(b"\n%s\n" % json.dumps(end).encode())  # after a line cut off by a kill

    def end_orphans(self) -> None:
        """End processes that a node has left behind in a session of their own; they are ours now."""
        with contextlib.suppress(OSError):
            ours = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            for pid in set(map(int, ours)) - set(self.children):
                kill_group(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _run_node(message: dict[str, Any], server: int, events: socket.socket) -> None:
    os.setsid()
    _ask_linux(_PR_SET_PDEATHSIG, signal.SIGKILL)  # end when the server ends, however that happens
    if os.getppid() != server:  # it has ended before we asked
        os._exit(1)
    _ask_linux(_PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    with Path(message["log"]).open("ab") as log:
        for standard in (1, 2):
            os.dup2(log.fileno(), standard)
    faulthandler.enable()
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
