"""``headrace data``: look at files, and hold new files against old ones, without any pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from components.comparison.files import ReadOptions

if TYPE_CHECKING:
    from orchestration import Beam, RunContext

data = App(
    name="data",
    help="Look at files of rows, and compare new ones with old ones. Needs no pipeline.",
    help_format="plaintext",
)


@data.command
def report(
    path: str,
    /,
    *paths: str,
    output: Path | None = None,
    open: bool = False,  # noqa: A002 - the option's name
    options: ReadOptions = ReadOptions(),  # noqa: B008 - frozen
) -> int:
    """Describe every column of some files in one HTML page, and in a table here.

    Args:
        path: File, folder or pattern: CSV, Parquet, JSON lines, Avro or TFRecord, told by the name.
        paths: More files of the same data.
        output: Where the page goes; report.html beside you by default.
        open: Open the page in the browser.
        options: How to read what the names do not tell.
    """
    from components.comparison.terminal import summary

    target = output or Path("report.html")
    with _workspace() as (beam, run):
        from components.comparison.files import read_files
        from components.compute_statistics import compute_statistics
        from components.statistics.report_page import render_report
        from components.statistics.statistics import load_statistics

        _say(f"reading {path}" + (f" and {len(paths)} more" if paths else ""))
        examples = read_files([path, *paths], "all", options, beam, run)
        _say("describing")
        statistics = load_statistics(compute_statistics(examples, beam=beam, run=run))
        _write(target, render_report(statistics, title=Path(path).name))
    print(summary(statistics))
    print(f"\n{target}")
    if open:
        _open(target)
    return 0


@data.command
def compare(
    baseline: str,
    new: str,
    /,
    *,
    threshold: float = 0.1,
    json: bool = False,
    output: Path | None = None,
    options: ReadOptions = ReadOptions(),  # noqa: B008 - frozen
) -> int:
    """Say what is wrong or different in new files, going by old ones.

    Answers 0 where nothing is wrong, 1 where something is of severity "fail",
    2 where the files cannot be used. What two random halves of the same rows
    differ by is not reported as wrong.

    Args:
        baseline: Good data: file, folder or pattern.
        new: The data to judge.
        threshold: Difference of shares from which a column's distribution is wrong; half of it is a warning.
        json: Print {"anomalies": [{"column", "kind", "severity", "message", "rows", "value", "threshold"}]}.
        output: Also write an HTML page with both data sets.
        options: How to read what the names do not tell.
    """
    with _workspace() as (beam, run):
        from components.comparison.compare import compare_files
        from components.comparison.terminal import as_json, verdict

        found = compare_files(baseline, new, options, threshold, beam, run, _say)
        print(as_json(found.anomalies) if json else verdict(found.anomalies, baseline, new))
        if output is not None:
            _write(output, found.page(baseline, new))
            _say(f"wrote {output}")
    return int(found.failed)


@contextmanager
def _workspace() -> Iterator[tuple[Beam, RunContext]]:
    """Yield what components need, everything in one temporary folder that is gone afterwards."""
    import logging
    import tempfile

    from orchestration import Beam, HeadraceError, RunContext
    from orchestration.artifacts import staging

    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)  # Beam tells what is not installed
    with tempfile.TemporaryDirectory(prefix="headrace-data-") as folder, staging(Path(folder)):
        try:
            yield Beam(), RunContext(run_id="data", pipeline="data", node="data")
        except HeadraceError as error:
            error.at = ""  # the place in the user's code is the command itself
            raise
        finally:
            log.setLevel(level)


def _write(target: Path, page: str) -> None:
    from orchestration import ArtifactError

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ArtifactError(
            "the report cannot be written", expected="a file in a folder I may write to", received=str(error)
        ) from error


def _open(page: Path) -> None:
    import webbrowser

    webbrowser.open(page.resolve().as_uri())


def _say(text: str) -> None:
    import sys

    print(f"{text} …", file=sys.stderr, flush=True)
