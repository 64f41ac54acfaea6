"""Live progress: a table that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestration.records import Run, State
from orchestration.result import Listener

if TYPE_CHECKING:
    from rich.table import Table

COLORS = {
    State.PENDING: "dim",
    State.RUNNING: "cyan",
    State.SUCCEEDED: "green",
    State.CACHED: "blue",
    State.FAILED: "bold red",
    State.SKIPPED: "yellow",
    State.INTERRUPTED: "magenta",
}


@dataclass
class Row:
    """What is known of a node."""

    state: State = State.PENDING
    reason: str = ""
    started: float = 0.0
    ended: float = 0.0
    done: int = 0
    total: int | None = None
    unit: str = ""
    metrics: dict[str, float] = field(default_factory=dict)

    def change(self, state: State, reason: str) -> None:
        """Take a change of state."""
        now = time.monotonic()
        if state is State.RUNNING:
            self.started, self.ended = now, 0.0
        else:
            self.started, self.ended = self.started or now, now
        self.state, self.reason = state, reason

    @property
    def seconds(self) -> float:
        """Seconds since the start, until the end."""
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0

    def detail(self) -> str:
        """Return progress, speed and metrics in one line."""
        parts = []
        if self.done:
            whole = f" of {self.total:,}" if self.total else ""
            speed = f", {self.done / self.seconds:,.0f}/s" if self.seconds > 0.05 else ""
            parts.append(f"{self.done:,}{whole} {self.unit}{speed}")
        parts += [f"{name} {value:.4g}" for name, value in list(self.metrics.items())[:4]]
        return self.reason or "  ".join(parts)


class Lines(Listener):
    """One line for each change, for logs and pipes."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.lock = threading.Lock()

    def started(self, run: Run, nodes: list[str]) -> None:
        """Print the run's name."""
        print(f"{run.id}  {len(nodes)} nodes", flush=True)

    def node(self, name: str, state: State, reason: str) -> None:
        """Print the change."""
        with self.lock:
            row = self.rows.setdefault(name, Row())
            row.change(state, reason)
            took = "" if state is State.RUNNING else f"{row.seconds:7.1f} s"
            line = f"  {name:<28} {state:<11} {took:>9}  {row.detail()}"
            print(line.rstrip()[:200], flush=True)

    def progress(self, node: str, done: int, total: int | None, unit: str) -> None:
        """Keep how far the node is, for its next line."""
        with self.lock:
            row = self.rows.setdefault(node, Row())
            row.done, row.total, row.unit = done, total, unit

    def metric(self, node: str, name: str, value: float, step: int) -> None:
        """Keep the value, for the node's next line."""
        with self.lock:
            self.rows.setdefault(node, Row()).metrics[name] = value

    def note(self, text: str) -> None:
        """Print the note."""
        print(f"  note: {text}", flush=True)


class LiveTable(Lines):
    """A table that is redrawn while the run goes on."""

    def started(self, run: Run, nodes: list[str]) -> None:
        """Show all nodes as pending."""
        with self.lock:
            self.title = run.id
            self.rows = {name: Row() for name in nodes}

    def node(self, name: str, state: State, reason: str) -> None:
        """Show the change at the next redrawing."""
        with self.lock:
            self.rows.setdefault(name, Row()).change(state, reason)

    def note(self, text: str) -> None:
        """Show the note below the table; the last three stay."""
        with self.lock:
            self.notes = [*getattr(self, "notes", []), text][-3:]

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        with self.lock:
            table = Table(
                title=getattr(self, "title", ""), title_justify="left", box=None, pad_edge=False, expand=True
            )
            widest = max((len(name) for name in self.rows), default=4)
            table.add_column("node", no_wrap=True, min_width=widest)
            table.add_column("state", no_wrap=True, min_width=11)
            table.add_column("time", no_wrap=True, min_width=8, justify="right")
            table.add_column("", no_wrap=True, ratio=1)
            for name, row in self.rows.items():
                took = f"{row.seconds:.1f} s" if row.started else ""
                color = COLORS[row.state]
                table.add_row(name, Text(str(row.state), style=color), took, Text(row.detail(), style="dim"))
            for text in getattr(self, "notes", []):
                table.add_row("", Text("note", style="yellow"), "", text)
        return table


@contextmanager
def display_for(*, quiet: bool) -> Iterator[Listener]:
    """Yield the listener that suits where standard output goes."""
    if quiet:
        yield Listener()
        return
    if not sys.stdout.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.live import Live

    table = LiveTable()
    with Live(table, console=Console(), refresh_per_second=5, transient=False):
        yield table
