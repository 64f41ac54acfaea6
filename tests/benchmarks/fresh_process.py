"""Measuring one piece of work in a process of its own, on rows that yet another process generated.

Memory that generating needed is not counted then, and imports are paid before the clock starts.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from components.artifacts import Examples

Result = TypeVar("Result")


def generate(folder: Path, rows: int, columns: int | None = None) -> None:
    """Write generated rows below a folder: ``train`` and ``eval``, 4 to 1."""
    code = "import sys; from tests.benchmarks.taxi_rows import *; "
    code += "write_taxi_rows(Path(sys.argv[1]), *map(int, sys.argv[2:]))"
    sizes = [str(rows)] if columns is None else [str(rows), str(columns)]
    subprocess.run([sys.executable, "-c", code, str(folder), *sizes], check=True)


def generated_examples(folder: Path) -> Examples:
    """Return the rows below a folder as Examples: each folder of Parquet files is a split."""
    import pyarrow.parquet as pq

    rows = {
        path.name: sum(pq.read_metadata(file).num_rows for file in sorted(path.glob("*.parquet")))
        for path in sorted(folder.iterdir())
        if path.is_dir()
    }
    splits = {name: {"rows": count} for name, count in rows.items()}
    return Examples(str(folder), {"splits": splits}, "digest")


def timed(work: Callable[[], Result], rows: int) -> Result:
    """Do the work, print what it cost as one line of JSON, and return its result."""
    started, wall = time.process_time(), time.monotonic()
    result = work()
    seconds = time.process_time() - started
    figures = {
        "cpu_seconds": seconds,
        "rows_per_cpu_second": rows / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "seconds": time.monotonic() - wall,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return result


def measure(module: str, work: str, folder: Path, rows: int) -> list[Any]:
    """Run one kind of work of a benchmark in a process of its own; return the lines of JSON it printed."""
    command = [sys.executable, "-m", module, "--work", work, "--folder", str(folder), "--rows", str(rows)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, text=True)
    return [json.loads(line) for line in out.stdout.splitlines() if line.startswith(("{", "["))]


def print_figures(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print figures for a person, or as one JSON object."""
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.writelines(f"{name:28} {value:>12,}\n" for name, value in figures.items())
