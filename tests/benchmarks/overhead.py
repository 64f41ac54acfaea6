"""What orchestration itself costs: ten nodes that do nothing, a chain of eight with two branches.

Peers on the same graph, CPU-s of the whole command: KFP local 1.4 and Kedro 1.5 (no isolation, no
records), Dagster in process 4.0, Metaflow 6.6, ZenML 7.5, Prefect 10.9, Airflow 11.7, Dagster
isolated 28.6.

``python -m tests.benchmarks.overhead --runs 5 --json``
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.resources import Cost, measure, median
from tests.benchmarks.taxi import environment

PIPELINE = """
from orchestration import Artifact, component, pipeline

class Nothing(Artifact):
    pass

@component
def first(n: int) -> Nothing:
    return Nothing.new(n=n)

@component
def step(x: Nothing, k: int = 0) -> Nothing:
    return Nothing.new(n=x.metadata["n"], k=k)

@pipeline
def nothing(n: int = 0, length: int = 8) -> None:
    last = first(n)
    for k in range(length - 1):
        last = step.with_(name=f"step_{k}")(last, k=k)
    step.with_(name="left")(last, k=-1)
    step.with_(name="right")(last, k=-2)
"""


def main() -> int:
    """Print the medians: ten nodes, each further node, and ``headrace --help``."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        figures = figures_of(Path(folder), options.runs)
    if options.json:
        print(json.dumps(figures))
        return 0
    print(f"ten nodes          {figures['ten_nodes']:.2f} CPU-s (goal 4)")
    print(f"each further node  {figures['further_node']:.3f} CPU-s (goal 0.05)")
    print(f"headrace --help    {figures['help']:.2f} CPU-s (goal 0.3)")
    return 0


def figures_of(project: Path, runs: int) -> dict[str, float]:
    """Return the CPU seconds of each figure, medians of so many runs after one that is not counted."""
    (project / "headrace.toml").write_text("")
    (project / "pipelines").mkdir()
    (project / "pipelines" / "nothing.py").write_text(PIPELINE)
    headrace = [sys.executable, "-m", "orchestration.cli"]
    run = [*headrace, "run", "nothing"]

    def cost(command: list[str]) -> Cost:
        return measure(command, project, environment(project / ".headrace"))

    cost([*run, "--n", "-1"])  # makes the databases
    ten = [cost([*run, "--n", str(n)]) for n in range(runs)]
    fifty = [cost([*run, "--n", str(n), "--length", "48"]) for n in range(runs)]
    helped = [cost([*headrace, "--help"]) for _ in range(runs)]
    return {
        "ten_nodes": median(ten).cpu_seconds,
        "further_node": (median(fifty).cpu_seconds - median(ten).cpu_seconds) / 40,
        "help": median(helped).cpu_seconds,
        "peak_mb": median(ten).peak_mb,
    }


if __name__ == "__main__":
    sys.exit(main())
