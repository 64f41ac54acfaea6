"""What a whole command costs: CPU seconds of every process it starts, wall seconds, the largest process.

The measuring process makes itself a subreaper: what a command leaves to others to reap, a fork
server's children too, is counted here.
"""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """The cost of one command. ``peak_mb`` is the resident size of its largest process, in MiB."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def measure(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command to its end, with all its descendants, in a measuring process of its own.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.resources", str(folder), *command],
        cwd=Path(__file__).resolve().parents[2],
        env=dict(environment),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cpu, wall, peak = map(float, done.stdout.split())
    return Cost(cpu, wall, peak)


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        *(statistics.median(values) for values in zip(*(vars(c).values() for c in costs), strict=True))
    )


def main() -> int:
    """Measure the command of the arguments; its output goes nowhere, the figures to standard output."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started = time.monotonic()
    code = subprocess.Popen(sys.argv[2:], cwd=sys.argv[1], stdout=subprocess.DEVNULL).wait()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime, time.monotonic() - started, used.ru_maxrss / 1024)
    return code


if __name__ == "__main__":
    sys.exit(main())
