"""The commands, and how any of them ends: exit codes and errors."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.errors import HeadraceError

if TYPE_CHECKING:
    from cyclopts import App

# Imported only when they are called: ``headrace --help`` stays quick.
COMMANDS = {
    "run": ("orchestration.cli.running:run", "Run a pipeline."),
    "plan": (
        "orchestration.cli.running:plan",
        "Show what a run would do, and why, without running anything.",
    ),
    "resume": ("orchestration.cli.running:resume", "Finish a run that failed or was interrupted."),
    "explain": ("orchestration.cli.looking:explain", "Say which part of a node's cache key changed."),
    "runs": ("orchestration.cli.looking:runs", "List runs, newest first."),
    "show": ("orchestration.cli.looking:show", "Show a run, or all about one of its nodes."),
    "list": ("orchestration.cli.looking:list_", "List the pipelines in pipelines/."),
    "schedule": ("orchestration.cli.services:schedule", "Run scheduled pipelines when they are due."),
    "ui": ("orchestration.cli.services:ui", "Open the MLflow dashboard on the right store."),
    "doctor": (
        "orchestration.cli.doctor:doctor",
        "Check versions, stores, disk; each problem with its remedy.",
    ),
}


def build() -> App:
    """Return the application with our own commands and those that installed packages add.

    A package adds one by an entry point in the group ``headrace.commands``.
    """
    from cyclopts import App

    app = App(
        name="headrace",
        help="Machine learning pipelines: declared in Python, run by Apache Beam, tracked in MLflow.",
        version=_version,
        help_format="plaintext",
    )
    for name, (target, text) in COMMANDS.items():
        app.command(target, name=name, help=text)
    for entry in metadata.entry_points(group="headrace.commands"):
        app.command(entry.value, name=entry.name, help=_purpose(entry.module))
    return app


def _purpose(module: str) -> str:
    """Return what a command's module says of itself after ``headrace NAME: ``, without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    with Path(spec.origin).open(encoding="utf-8") as source:
        words = source.readline().strip('" \n').rpartition("``: ")[2]
    return words[:1].upper() + words[1:]


def _version() -> str:
    try:
        return metadata.version("headrace")
    except metadata.PackageNotFoundError:
        return "not installed"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 a node failed, 2 wrong input, 130 interrupted."""
    # A command is short: collecting what its imports leave behind would take a third of its time, and
    # at the end of the process, with MLflow imported, another 0.8 CPU-s.
    gc.set_threshold(100_000, 20, 100)
    code = _exit_code(list(sys.argv[1:] if arguments is None else arguments))
    gc.freeze()
    sys.exit(code)


def _exit_code(given: list[str]) -> int:
    try:
        if given[:1] in (["run"], ["plan"]) and "--help" in given[2:]:
            from orchestration.cli.running import print_pipeline_help

            print_pipeline_help(given[1])
            given = [given[0], "--help"]
        code = build()(given, exit_on_error=False, print_error=True, result_action="return_value")
    except HeadraceError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2 if error.exit_code == 1 else error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, as `head` does, has seen enough
        sys.stdout = None
        return 0
    except Exception as error:
        if type(error).__module__.startswith("cyclopts"):
            return 2  # it has said what is wrong
        raise
    return code if isinstance(code, int) else 0
