"""``ui`` and ``schedule``: the commands that stay."""

from __future__ import annotations

import functools
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.cli.discovery import discover
from orchestration.errors import PipelineError
from orchestration.settings import load, project_root

if TYPE_CHECKING:
    from orchestration.schedule import ScheduledPipeline


def ui(*, profile: str | None = None, host: str = "127.0.0.1", port: int = 5000) -> int:
    """Open the MLflow dashboard on the profile's own store.

    Args:
        profile: Profile of headrace.toml.
        host: Address to listen on.
        port: Port to listen on.
    """
    from orchestration.dashboard import ui as serve_dashboard

    settings = load(profile=profile)
    deliver_waiting(profile)
    serve_dashboard(settings, host=host, port=port)
    return 0


def deliver_waiting(profile: str | None) -> None:
    """Hand MLflow what an earlier run could not deliver."""
    from orchestration.journal import Journal

    settings = load(profile=profile)
    journal = Journal.open(settings.journal_url)
    if settings.tracking == "off" or not journal.pending(1):
        return
    from orchestration.tracking import OutboxFeeder

    feeder = OutboxFeeder(journal, settings)
    feeder.start()
    feeder.finish(10)


def schedule(*names: str, profile: str | None = None, dry_run: bool = False) -> int:
    """Run the pipelines that have a schedule, when they are due; ends with Ctrl-C or SIGTERM.

    Args:
        names: Only these pipelines; all with a schedule by default.
        profile: Profile of headrace.toml.
        dry_run: Print the next times and end.
    """
    from orchestration.journal import Journal
    from orchestration.schedule import RunHistory, ScheduledPipeline, Scheduler, next_times

    found = [p for p in discover(project_root()) if p.schedule and (not names or p.name in names)]
    if not found:
        raise PipelineError(
            "no pipeline has a schedule",
            expected='@pipeline(schedule="0 3 * * *", timezone="Europe/Berlin") in pipelines/',
            received=", ".join(names) or "none",
            at="",
            next="headrace list",
        )
    entries = [ScheduledPipeline(p.name, str(p.file), p.schedule or "", p.timezone) for p in found]
    for entry in entries:
        times = ", ".join(t.isoformat() for t in next_times(entry, datetime.now().astimezone(), 3))
        print(f"{entry.name:<20} {entry.schedule} {entry.timezone}  next {times}", flush=True)
    if not dry_run:
        history = RunHistory(Journal.open(load(profile=profile).journal_url))
        start = functools.partial(_start, profile=profile)
        Scheduler(entries, start, last=history.last, busy=history.busy).run()
    return 0


def _start(entry: ScheduledPipeline, due: datetime, *, profile: str | None) -> None:
    """Run a pipeline as ``headrace run`` does, in a process of its own, and wait for it."""
    command = [sys.executable, "-m", "orchestration.cli", "run", f"{entry.file}:{entry.name}"]
    command += ["--scheduled-for", due.isoformat()]
    if profile:
        command += ["--profile", profile]
    subprocess.run(command, check=False, cwd=Path.cwd())
