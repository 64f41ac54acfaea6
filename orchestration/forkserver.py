"""A fork server: imports modules once, then forks a child per node. Runs as a process of its own.

It has one thread and never uses what it imports, so that a fork is safe at any time. It ends,
with all its children, when the other end of its control socket closes.

Servers form a tree: each has imported one thing more than the one above it. The coordinator speaks
to the root. A message is a JSON object with a socket for the node's events:
    {"imports": [...], "payload": file, "log": file}
Its way goes down the tree, import by import, and servers that are not there are started. Where no
import is left the node is forked; a message without a payload only prepares the way.

In a node's socket, one JSON object per line: the process's {"kind": "started", "pid": …}, then the
node's own events, and once it has ended the server's
    {"kind": "ended", "code": exit status or minus the signal, "cpu_seconds": …, "peak_mb": …}
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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

Work = Callable[[socket.socket], None]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 10.0
_ask_linux: Callable[[int, int], object] = (
    ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda option, value: None
)


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
        self.ended, self.wakeup = socket.socketpair()
        self.wakeup.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wakeup.fileno(), warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve until the control socket closes, then end all children and see them gone."""
        going = True
        while going:
            ready, _, _ = select.select([self.control, self.ended], [], [])
            if self.ended in ready:
                self.ended.recv(4096)
                self.reap()
            if self.control in ready:
                going = self.receive()
        for pid, ours in self.children.items():
            kill_group(pid)
            ours.close()
        self.children.clear()
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline and not self.reap():
            time.sleep(0.005)

    def receive(self) -> bool:
        """Take one message; False at the end of the connection."""
        # One message: the kernel joins none that bring descriptors.
        data, descriptors, _, _ = socket.recv_fds(self.control, 65536, 1)
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
                self.fork(partial(serve, name), theirs, self.servers[name], events)
            with contextlib.suppress(OSError):  # it ends just now: the coordinator sees the events end
                socket.send_fds(self.servers[name], [json.dumps(message).encode()], [events.fileno()])
        elif "payload" in message:
            self.fork(partial(_run_node, message, os.getpid()), events, events.dup())

    def fork(self, work: Work, theirs: socket.socket, ours: socket.socket, *others: socket.socket) -> None:
        """Start a child that works with its end of a connection and holds nothing else of ours."""
        pid = os.fork()
        if pid:
            theirs.close()
            self.children[pid] = ours
            return
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            mine = (self.control, self.ended, self.wakeup, *self.children.values())
            for other in (ours, *others, *mine):
                other.close()
            work(theirs)
            os._exit(0)
        finally:
            os._exit(1)

    def reap(self) -> bool:
        """Report children that have ended, with what they used; True once there is no child at all."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return False
                kill_group(pid)
                self.end_orphans()
                if pid in self.children:
                    cpu, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
                    code = os.waitstatus_to_exitcode(status)
                    end = {"kind": "ended", "code": code, "cpu_seconds": cpu, "peak_mb": peak_mb}
                    with contextlib.suppress(OSError), self.children.pop(pid) as ours:  # nobody may listen
                        ours.sendall(b"\n%s\n" % json.dumps(end).encode())  # after a line cut off by a kill
        return True

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


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process and those it started in its group, if there are any left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def serve(item: str, control: socket.socket) -> None:
    """Preload, then serve. What cannot be imported is left to the node to report.

    Args:
        item: A module to import, or a variable to set (``NAME=value``).
        control: Where messages come from.
    """
    _ask_linux(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of nodes become ours: none escapes
    gc.disable()  # a third of the time of an import would go into collections that find nothing
    name, _, setting = item.partition("=")
    if setting:
        os.environ[name] = setting
    else:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.freeze()  # children share these pages: no collection of theirs shall touch them
    gc.enable()
    Server(control).serve()


if __name__ == "__main__":  # python -m orchestration.forkserver FD
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve("orchestration.node", socket.socket(fileno=int(sys.argv[1])))
