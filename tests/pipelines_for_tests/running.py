"""Nodes that leave a trace of when and where they ran, for tests of how runs are carried out.

The trace is a file named by the variable ``TRACE``; without it nothing is written.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from orchestration import RunContext, component, for_each, pipeline, value, when
from orchestration.graph import after
from tests.pipelines_for_tests.steps import Number, add, start, total


def _write_whole(file: Path, text: str) -> None:
    """Write a file that somebody waits for: it is there with all its content, or not at all."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(text)
    part.rename(file)


@dataclass(frozen=True)
class Span:
    """When and where a node was at work."""

    name: str
    began: float
    ended: float
    pid: int
    devices: str


def trace(name: str, began: float) -> None:
    """Add a line to the trace."""
    if "TRACE" in os.environ:
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        span = {"name": name, "began": began, "ended": time.time(), "pid": os.getpid(), "devices": devices}
        with Path(os.environ["TRACE"]).open("a") as file:
            file.write(json.dumps(span) + "\n")


def spans(file: Path) -> list[Span]:
    """Return what a trace holds."""
    return [Span(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


@component
def work(number: Number, name: str, seconds: float = 0.0) -> Number:
    """Take some time, and leave a trace."""
    began = time.time()
    time.sleep(seconds)
    trace(name, began)
    return Number.of(number.metadata["n"], name=name)


@component
def clip(number: Number, limit: int) -> Number:
    """Give the same for many limits."""
    trace(f"clip_{limit}", time.time())
    return Number.of(min(number.metadata["n"], limit))


@component
def same(number: Number) -> Number:
    """Give the input on as it is."""
    return number


@component
def flaky(number: Number, fails: int, run: RunContext) -> Number:
    """Fail the first few times; what was tried is remembered in the scratch folder."""
    trace("flaky", time.time())
    tried = run.scratch / "tried.txt"
    before = len(tried.read_text()) if tried.exists() else 0
    tried.write_text("x" * (before + 1))
    if before < fails:
        raise OSError(f"attempt {run.attempt} found the line busy")
    return Number.of(before)


@component
def needs_file(number: Number) -> Number:
    """Fail as long as a file is missing that is no part of the key."""
    trace("needs_file", time.time())
    return Number.of(int(Path(os.environ["NEEDED"]).read_text()))


@component
def rehearsed(number: Number, run: RunContext) -> Number:
    """Tell all a node can tell."""
    print("a word on standard output")
    print("a word on standard error", file=sys.stderr)
    for step in range(3):
        run.log_metric("loss", 1.0 / (step + 1), step)
    run.progress(5, 10, "rows")
    report = run.scratch / "report.html"
    report.write_text("<b>fine</b>")
    run.attach(report)
    return Number.of(1)


@component
def hangs(number: Number, pids: str, stubborn: bool = False) -> Number:
    """Start processes in every way there is, write down their numbers, and hang."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    command = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)",
    ]
    children = [subprocess.Popen(command), subprocess.Popen(command, start_new_session=True)]
    if not (daemon := os.fork()):
        os.setsid()
        if not os.fork():
            _write_whole(Path(f"{pids}.daemon"), str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.waitpid(daemon, 0)
    while not Path(f"{pids}.daemon").exists():
        time.sleep(0.01)
    numbers = [os.getpid(), *(child.pid for child in children), int(Path(f"{pids}.daemon").read_text())]
    _write_whole(Path(pids), " ".join(map(str, numbers)))
    time.sleep(600)
    return number


@component
def litters(number: Number, pids: str) -> Number:
    """Start processes and end without them."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    children = [subprocess.Popen(command), subprocess.Popen(command, start_new_session=True)]
    Path(pids).write_text(" ".join(str(child.pid) for child in children))
    return number


@component(retries=1, backoff=0.0)
def hangs_once(number: Number, pids: str, run: RunContext) -> Number:
    """Hang at the first attempt, with a process of its own; return at the second."""
    if run.attempt == 1:
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        _write_whole(Path(pids), f"{os.getpid()} {helper.pid}")
        time.sleep(600)
    return number


@pipeline
def second_time_lucky(pids: str):
    """A node whose first attempt never ends by itself, and one after it."""
    add(hangs_once(start(1), pids), 1)


@pipeline
def diamond(n: int = 1, left: int = 1, limit: int = 100):
    """A diamond: one start, two arms, one end."""
    number = start(n)
    one = add.with_(name="left")(number, left)
    other = clip(number, limit)
    total([one, other])
    work(other, "after_clip")


@pipeline
def side_by_side(count: int = 2, seconds: float = 1.0, gpu: int = 0):
    """Independent nodes that take their time."""
    number = start(1)
    for k in range(count):
        work.with_(name=f"work_{k}", gpu=gpu)(number, f"work_{k}", seconds)


@pipeline
def uneven(seconds: float = 0.5):
    """A long arm and a short one that goes on: the short one must not wait for the long one."""
    number = start(1)
    work.with_(name="long")(number, "long", 3 * seconds)
    short = work.with_(name="short")(number, "short", seconds)
    work.with_(name="further")(short, "further", seconds)


@pipeline
def retried(fails: int = 2, retries: int = 2, backoff: float = 0.1):
    """One node that needs several attempts."""
    add(flaky.with_(retries=retries, backoff=backoff)(start(1), fails))


@pipeline
def resumable(n: int = 1, where: Path = Path("x")):
    """A node in the middle that fails until a file is there."""
    number = start(n)
    before = work.with_(name="before")(number, "before")
    middle = needs_file(before)
    work.with_(name="behind")(middle, "behind")
    work.with_(name="beside")(number, "beside")


@pipeline
def passed_on():
    """An input that is also the output."""
    add(same(same.with_(name="first")(start(3))), 1)


@pipeline
def told():
    """A node that tells all it can."""
    rehearsed(start(1))


@pipeline
def uncached():
    """A node whose results are never reused."""
    number = start(1)
    work.with_(name="always", cache=False)(number, "always")
    work.with_(name="once")(number, "once")


@pipeline
def hanging(pids: str, stubborn: bool = False, timeout: float | None = None):
    """A node that never ends by itself, and a neighbour."""
    number = start(1)
    hangs.with_(timeout=timeout)(number, pids, stubborn)
    add(number, 1)


@pipeline
def littering(pids: str):
    """A node that leaves processes behind, and one after it."""
    add(litters(start(1), pids), 1)


@pipeline
def repeated_work(items: tuple[int, ...] = (3, 4, 5)):
    """A repetition, with one node after it."""
    number = start(1, items)
    total(for_each(value(number, "items"), lambda item: add(number, item)))


@pipeline
def small_steps(seconds: float = 0.2):
    """Eight nodes of some tenths of a second, in a shape with branches, a decision and a repetition."""
    first = start(1, (1, 2))
    left = add.with_(name="left")(first, 1, seconds)
    right = add.with_(name="right")(first, 2, seconds / 2)
    middle = total.with_(name="middle")([left, right])
    each = for_each(value(first, "items"), lambda k: add.with_(name="each")(middle, k, seconds / 2))
    last = total.with_(name="last")(each)
    with when(value(last, "n") > 0):
        decided = add.with_(name="decided")(last, 5, seconds)
    end = add.with_(name="end")(decided, 6, seconds / 2)
    after(end, left)
