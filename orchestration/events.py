"""What the outbox holds for MLflow: plain JSON objects, made from the journal's records."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestration.records import Attempt, Run, State, now

Event = dict[str, Any]


def run_started(run: Run) -> Event:
    """A run begins, or goes on after it was resumed."""
    return {
        **_run("run_started", run),
        "pipeline": run.pipeline,
        "params": run.parameters,
        "tags": {"headrace.profile": run.profile},
        "started": _milliseconds(run.started),
    }


def run_finished(run: Run, metrics: dict[str, float]) -> Event:
    """A run has ended, with these metrics of its own."""
    ended = _milliseconds(run.ended)
    return {**_run("run_finished", run), "state": str(run.state), "ended": ended, "metrics": metrics}


def node_started(attempt: Attempt) -> Event:
    """An attempt begins."""
    parts = attempt.key_parts or {}
    return {
        **_attempt("node_started", attempt),
        "started": _milliseconds(attempt.started),
        "params": parts.get("configuration", {}),
        "tags": {"headrace.component": parts.get("component", {}).get("name")},
    }


def node_measured(attempt: Attempt, metrics: list[dict[str, Any]]) -> Event:
    """An attempt reports ``name``, ``value``, ``step`` and ``time`` (milliseconds) of each metric."""
    return {**_attempt("metrics", attempt), "metrics": metrics}


def node_finished(attempt: Attempt) -> Event:
    """An attempt has ended, or was not needed."""
    kept = ("state", "reason", "error", "key", "cpu_seconds", "inputs", "outputs", "attachments")
    facts = msgspec.to_builtins(attempt)
    return {
        **_attempt("node_finished", attempt),
        **{name: facts[name] for name in kept},
        "pushes": facts["pushes"] if attempt.state is State.SUCCEEDED else [],
        "started": _milliseconds(attempt.started),
        "ended": _milliseconds(attempt.ended),
    }


def _run(kind: str, run: Run) -> Event:
    return {"kind": kind, "run_id": run.id, "graph": run.graph}


def _attempt(kind: str, attempt: Attempt) -> Event:
    return {"kind": kind, "run_id": attempt.run, "node": attempt.node, "attempt": attempt.number}


def _milliseconds(seconds: float | None) -> int:
    return int((seconds or now()) * 1000)
