"""The cluster's processes: found again, ended whole, and never mistaken for somebody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.flink.processes import Process

SLEEPING = "import time; time.sleep(600)"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEPING!r}])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process("sleeper", tmp_path / "folder")
    yield made
    made.stop()


def start(process: Process, program: str) -> None:
    process.start([sys.executable, "-c", program], cwd=Path.cwd(), environment=os.environ)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def runs(pid: int) -> bool:
    state = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return state.stdout.strip() not in ("", "Z")


def test_a_process_is_found_again_and_ended(process: Process) -> None:
    start(process, SLEEPING)
    found = Process(process.name, process.folder)
    assert found.pid() is not None
    assert found.stop()
    assert found.pid() is None
    assert not found.stop()


def test_what_it_started_ends_with_it(process: Process) -> None:
    start(process, PARENT)
    assert within(10, lambda: process.log.read_text().strip().isdigit())
    child = int(process.log.read_text())
    assert runs(child)
    process.stop()
    assert within(5, lambda: not runs(child))


def test_another_process_with_its_number_is_left_alone(process: Process) -> None:
    other = subprocess.Popen([sys.executable, "-c", SLEEPING], start_new_session=True)
    try:
        process.folder.mkdir()
        known = {"pid": other.pid, "born": "before the machine was started"}
        (process.folder / "sleeper.pid").write_text(json.dumps(known))
        assert process.pid() is None
        assert not process.stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_one_that_ended_by_itself_does_not_run(process: Process) -> None:
    start(process, "print('over')")
    assert within(10, lambda: process.pid() is None)
    assert process.log.read_text() == "over\n"
