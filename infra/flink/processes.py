"""Background processes with a pid file each: started once, found again, ended with all their children."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Process:
    """A background process that leads a process group of its own.

    Attributes:
        name: Names its pid file and its log.
        folder: Where both lie.
    """

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file that takes what it prints."""
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def start(self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> None:
        """Start it, in a new session so that it outlives the terminal and can be ended as a group."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(json.dumps({"pid": started.pid, "born": _born(started.pid)}))

    def pid(self) -> int | None:
        """Return its process id; None if it does not run, even where the id now belongs to another."""
        try:
            known = json.loads(self._pid_file.read_text())
        except FileNotFoundError:
            return None
        return int(known["pid"]) if known["born"] and _born(known["pid"]) == known["born"] else None

    def stop(self) -> bool:
        """End it and all it started; return whether it ran."""
        pid = self.pid()
        if pid is not None:
            os.killpg(pid, signal.SIGTERM)
            until = time.monotonic() + GRACE_SECONDS
            while self.pid() is not None and time.monotonic() < until:
                time.sleep(0.1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what of the group is left
        self._pid_file.unlink(missing_ok=True)
        return pid is not None


def _born(pid: int) -> str:
    """Return when a process started, in the system's own words; empty if there is none, or it has ended."""
    try:
        # After the command's name in brackets: the state, and 19 fields later the start.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return "" if Path("/proc/self").exists() else _born_without_proc(pid)
    return "" if state == "Z" else fields[18]


def _born_without_proc(pid: int) -> str:
    asked = ["ps", "-o", "state=,lstart=", "-p", str(pid)]
    state, _, start = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition(" ")
    return "" if state.startswith("Z") else start.strip()
