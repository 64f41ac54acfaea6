"""What the tests of runs share: a listener that remembers, and what a run came to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration.cli.discovery import load_pipeline
from orchestration.cli.running import find_unfinished
from orchestration.pipeline import Pipeline
from orchestration.records import Run, State
from orchestration.result import Listener, RunResult
from orchestration.run import resume_run
from orchestration.settings import Settings

Runner = Callable[..., RunResult]


class Heard(Listener):
    """Remembers all it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.states: list[tuple[str, State]] = []
        self.metrics: list[tuple[str, str, float, int]] = []
        self.progressed: list[tuple[str, int, int | None, str]] = []
        self.run = ""

    def started(self, run: Run, nodes: list[str]) -> None:
        self.run = run.id

    def note(self, text: str) -> None:
        self.notes.append(text)

    def node(self, name: str, state: State, reason: str) -> None:
        self.states.append((name, state))

    def metric(self, node: str, name: str, value: float, step: int) -> None:
        self.metrics.append((node, name, value, step))

    def progress(self, node: str, done: int, total: int | None, unit: str) -> None:
        self.progressed.append((node, done, total, unit))


def resume(settings: Settings, run_id: str | None = None) -> RunResult:
    """Finish a run, or the newest that is not finished, as ``headrace resume`` does."""
    run = find_unfinished(run_id, settings)
    pipeline = load_pipeline(f"{run.file}:{run.pipeline}", Path(run.project))
    return resume_run(pipeline, run.id, settings=settings)


def states(result: RunResult) -> dict[str, str]:
    return {name: str(attempt.state) for name, attempt in result.nodes.items()}


def changed(result: RunResult) -> set[str]:
    """Names of the nodes that really ran."""
    return {name for name, attempt in result.nodes.items() if attempt.state is State.SUCCEEDED}


def chosen(pipeline: Pipeline, **choice: Any) -> set[str]:
    return pipeline.graph(pipeline.bind({})).select(**choice)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
