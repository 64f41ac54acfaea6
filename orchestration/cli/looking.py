"""``list``, ``runs``, ``show`` and ``explain``: what there is, what happened, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from orchestration.cli.discovery import discover
from orchestration.cli.report import short
from orchestration.cli.running import purpose, usage
from orchestration.errors import RunStateError
from orchestration.fingerprint import KeyParts
from orchestration.journal import Journal
from orchestration.records import Attempt, Run
from orchestration.settings import load, project_root

Json = Annotated[bool, Parameter(name="--json", negative=())]


def list_(*, json_: Json = False) -> int:
    """List the pipelines in ``pipelines/`` with their parameters and schedules."""
    found = list(discover(project_root()))
    if json_:
        print(
            json.dumps(
                [
                    {
                        "name": p.name,
                        "file": str(p.file),
                        "description": purpose(p),
                        "schedule": p.schedule,
                        "timezone": p.timezone,
                        "parameters": list(p.signature.parameters),
                    }
                    for p in found
                ]
            )
        )
        return 0
    for each in found:
        when = f"  [{each.schedule} {each.timezone}]" if each.schedule else ""
        print(f"{each.name:<20} {purpose(each)}{when}")
        print(f"{'':<20} headrace run {short(each.file, Path.cwd())} {usage(each)}")
    if not found:
        print(f"no pipeline in {short(project_root() / 'pipelines', Path.cwd())}")
    return 0


def runs(
    *, pipeline: str | None = None, limit: int = 20, profile: str | None = None, json_: Json = False
) -> int:
    """List runs, newest first.

    Args:
        pipeline: Only runs of this pipeline.
        limit: How many.
        profile: Profile of headrace.toml.
        json_: Print a JSON list.
    """
    journal = _journal(profile)
    found = journal.runs(pipeline=pipeline, limit=limit)
    if json_:
        print(json.dumps([_run_json(run) for run in found]))
        return 0
    for run in found:
        took = f"{(run.ended or run.started) - run.started:8.1f} s" if run.ended else f"{'going':>10}"
        given = " ".join(f"{name}={value}" for name, value in run.parameters.items())
        print(f"{run.id:<36} {run.state:<11} {_time(run.started)} {took}  {given}"[:160])
    if not found:
        print("no run yet; start one with: headrace run PIPELINE")
    return 0


def show(
    run_id: str | None = None, node: str | None = None, /, *, profile: str | None = None, json_: Json = False
) -> int:
    """Show a run; with a node, all about its attempts: metrics, outputs, reports, the full traceback.

    Args:
        run_id: The run; the newest by default.
        node: One of its nodes.
        profile: Profile of headrace.toml.
        json_: Print one JSON object.
    """
    journal = _journal(profile)
    run = journal.run(run_id) if run_id else _newest(journal)
    attempts = [a for a in journal.attempts(run.id) if node in (None, a.node)]
    if node and not attempts:
        raise RunStateError(
            f"run {run.id} has no attempt at {node}",
            expected=", ".join(dict.fromkeys(a.node for a in journal.attempts(run.id))),
            at="",
        )
    if json_:
        print(json.dumps({"run": _run_json(run), "attempts": [asdict(a) for a in attempts]}))
        return 0
    print(f"{run.id} {run.state}, started {_time(run.started)}, profile {run.profile}")
    print(f"  parameters {json.dumps(run.parameters, ensure_ascii=False)}")
    for attempt in attempts:
        _print_attempt(attempt, whole=node is not None)
    return 0


def explain(run_id: str, node: str, /, *, profile: str | None = None, json_: Json = False) -> int:
    """Say why a node ran, or did not: which part of its cache key changed since the last success.

    Args:
        run_id: The run.
        node: The node.
        profile: Profile of headrace.toml.
        json_: Print one JSON object.
    """
    journal = _journal(profile)
    run = journal.run(run_id)
    found = [a for a in journal.attempts(run_id) if a.node == node]
    if not found:
        raise RunStateError(
            f"run {run_id} has no attempt at {node}",
            expected=", ".join(dict.fromkeys(a.node for a in journal.attempts(run_id))),
            at="",
        )
    attempt = found[-1]
    before = journal.last_success(run.pipeline, node, run_id, attempt.started or run.started)
    changes = differences((before.key_parts if before else None) or {}, attempt.key_parts or {})
    if json_:
        print(
            json.dumps(
                {
                    "node": node,
                    "state": str(attempt.state),
                    "key": attempt.key,
                    "compared_with": before.run if before else None,
                    "changes": [
                        dict(zip(("part", "name", "before", "now"), c, strict=True)) for c in changes
                    ],
                }
            )
        )
        return 0
    print(f"{node} in {run_id}: {attempt.state}{', ' + attempt.reason if attempt.reason else ''}")
    if before is None:
        print("  there is no earlier success of this node to compare with")
    elif not changes:
        print(f"  nothing its result depends on has changed since {before.run}")
    else:
        print(f"  changed since {before.run}:")
        for part, name, old, new in changes:
            print(f"  {part:<14} {name}\n  {'before':<14} {_brief(old)}\n  {'now':<14} {_brief(new)}")
    return 0


def differences(old: KeyParts, new: KeyParts) -> list[tuple[str, str, Any, Any]]:
    """Return ``(part, name, old, new)`` for every entry of the key that differs."""
    before, now = ({(part, n): v for part in key for n, v in key[part].items()} for key in (old, new))
    changed = sorted(entry for entry in {*before, *now} if before.get(entry) != now.get(entry))
    return [(*entry, before.get(entry), now.get(entry)) for entry in changed]


def _print_attempt(attempt: Attempt, *, whole: bool) -> None:
    facts = f"{attempt.seconds:.1f} s, {attempt.cpu_seconds:.1f} CPU-s, {attempt.peak_mb:.0f} MB"
    print(f"  {attempt.node:<28} {attempt.state:<11} attempt {attempt.number}  {facts}")
    if attempt.reason:
        print(f"    reason    {attempt.reason}")
    if not whole:
        return
    for name, value in attempt.metrics.items():
        print(f"    metric    {name} {value:.6g}")
    for output in attempt.outputs:
        print(
            f"    output    {output.name}: {output.type.rpartition(':')[2]} {short(output.uri, Path.cwd())}"
        )
    folder = Path(attempt.folder) if attempt.folder else None
    if folder and folder.exists():
        for file in sorted((folder / "attachments").glob("*")):
            print(f"    report    {short(file, Path.cwd())}")
        print(f"    log       {short(folder / 'log.txt', Path.cwd())}")
    if attempt.error:
        print("    " + attempt.error.replace("\n", "\n    "))
    if attempt.traceback:
        print("    " + attempt.traceback.rstrip().replace("\n", "\n    "))


def _journal(profile: str | None) -> Journal:
    journal = Journal.open(load(profile=profile).journal_url)
    journal.mark_interrupted()
    return journal


def _newest(journal: Journal) -> Run:
    found = journal.runs(limit=1)
    if not found:
        raise RunStateError("there is no run yet", at="", next="headrace run PIPELINE")
    return found[0]


def _run_json(run: Run) -> dict[str, Any]:
    return {**asdict(run), "seconds": (run.ended or run.started) - run.started}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "—" if value is None else text if len(text) <= 100 else f"{text[:97]}…"
