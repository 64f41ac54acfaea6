"""The taxi pipeline as a whole command: the first run, and an unchanged one after it.

The same steps on the same data cost TFX 1.16 89 CPU-s, 102 s and 1.4 GB the first time and
11.3 CPU-s, 14 s unchanged (quiet machine, compiled bytecode, medians of 3).

``python -m tests.benchmarks.taxi --runs 3 --json``
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.resources import Cost, measure, median

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data" / "taxi" / "data.csv"
TFX = {"first": Cost(89, 102, 1400), "unchanged": Cost(11.3, 14, 1400)}
GOALS = {"first": Cost(25, 102, 1024), "unchanged": Cost(2.5, 14, 1024)}


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a run with a home of its own, bytecode compiled."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith("HEADRACE_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "HEADRACE_HOME": str(home), "PYTHONPATH": str(ROOT)}


def main() -> int:
    """Print the medians beside TFX's figures; exit 2 where the data is not here."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"the taxi data is not here: {DATA}", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "orchestration.cli", "run", "pipelines/taxi.py", "--data", str(DATA)]
    costs: dict[str, list[Cost]] = {"first": [], "unchanged": []}
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="headrace-bench-") as home:
            for found in costs.values():
                found.append(measure(command, ROOT, environment(Path(home))))
    medians = {which: median(found) for which, found in costs.items()}
    if options.json:
        print(json.dumps({which: vars(cost) for which, cost in medians.items()}))
        return 0
    for which, cost in medians.items():
        print(
            f"{which:<10} {cost.cpu_seconds:6.1f} CPU-s (TFX {TFX[which].cpu_seconds}, goal "
            f"{GOALS[which].cpu_seconds})  {cost.wall_seconds:6.1f} s  {cost.peak_mb:5.0f} MB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
