"""How a run ended, in few lines: a failure first says what the user's code raised."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from orchestration.records import Attempt, RunState, State
from orchestration.result import RunResult
from orchestration.settings import Settings

LINES = 15


def print_outcome(result: RunResult, settings: Settings, folder: Path, *, quiet: bool) -> None:
    """Print a failure to standard error, a success to standard output (unless quiet)."""
    if result.failed:
        print("\n".join(failure_lines(result)), file=sys.stderr)
    elif result.state is RunState.INTERRUPTED:
        lines = [f"{result.id} was interrupted", f"  resume    headrace resume {result.id}"]
        print("\n".join(lines), file=sys.stderr)
    elif not quiet:
        print("\n".join(success_lines(result, settings, folder)))


def failure_lines(result: RunResult) -> list[str]:
    """Return the report of a failed run: at most 15 lines, the user's exception first, resume last."""
    first = result.failed[0]
    states = [attempt.state for attempt in result.nodes.values()]
    done = sum(state.gave_outputs for state in states)
    tail = [
        f"  node      {first.node}, attempt {result.attempts.get(first.node, first.number)}",
        *(f"  also      {other.node}: {other.reason}"[:160] for other in result.failed[1:3]),
        f"  run       {done} of {len(states)} nodes done, {states.count(State.SKIPPED)} skipped",
        f"  details   headrace show {result.id} {first.node}",
        f"  resume    headrace resume {result.id}",
    ]
    text = first.error.splitlines() or [first.reason]
    room = LINES - len(tail)
    if len(text) > room:
        text = [*text[: room - 1], f"  … {len(text) - room + 1} further lines"]
    return [*text, *tail]


def success_lines(result: RunResult, settings: Settings, folder: Path) -> list[str]:
    """Return the closing lines of a run that succeeded: what it made and where to look."""
    lines = [f"{result.id} SUCCEEDED in {result.seconds:.1f} s"]
    lines += [
        f"  skipped   {name}: {attempt.reason}"
        for name, attempt in result.nodes.items()
        if attempt.state is State.SKIPPED
    ]
    for name, attempt in result.nodes.items():
        for output in attempt.outputs:
            if output.type.endswith(":PushedModel"):
                facts = output.metadata
                lines.append(f"  pushed    {facts.get('name')} version {facts.get('version')} ({name})")
    if result.undelivered:
        lines.append(
            f"  tracking  {result.undelivered} events wait for MLflow; the next command delivers them"
        )
    lines.append(f"  details   headrace show {result.id}")
    if settings.tracking != "off":
        lines.append("  dashboard headrace ui")
    return lines


def to_json(result: RunResult) -> dict[str, Any]:
    """Return the object ``headrace run --json`` prints."""
    run = {"id": result.id, "pipeline": result.pipeline, "state": str(result.state)}
    return {
        "run": {**run, "seconds": round(result.seconds, 3)},
        "nodes": [_node_json(result, name, attempt) for name, attempt in result.nodes.items()],
        "metrics": result.metrics,
    }


def _node_json(result: RunResult, name: str, attempt: Attempt) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    for output in attempt.outputs:
        shown = {"type": output.type.rpartition(":")[2], "uri": output.uri, "digest": output.digest}
        if output.item is None:
            outputs[output.name] = shown
        else:
            outputs.setdefault(output.name, []).append(shown)
    return {
        "name": name,
        "state": str(attempt.state),
        "seconds": round(attempt.seconds, 3),
        "cpu_seconds": round(attempt.cpu_seconds, 3),
        "attempts": result.attempts.get(name, 0),
        "reason": attempt.reason,
        "outputs": outputs,
    }


def short(path: Path | str, folder: Path) -> str:
    """Return a path seen from a folder, where that is shorter."""
    relative = os.path.relpath(path, folder)
    return relative if len(relative) < len(str(path)) else str(path)
