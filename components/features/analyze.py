"""The analyze pass: one Beam job, whatever the number of features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam

from components.features.feature import Analyzer
from orchestration import DataError, HeadraceError

if TYPE_CHECKING:
    from components.artifacts import Examples
    from components.features.feature import Analysis
    from orchestration import Beam

BATCH_ROWS = 65_536


@dataclass(frozen=True, order=True)
class RowGroup:
    """A piece of work: one row group of one Parquet file."""

    file: Path
    group: int


@dataclass
class Analyzed:
    """Accumulators of some rows, or what went wrong first.

    Errors travel as values, because a Beam runner would turn them into text.
    """

    rows: int = 0
    accumulators: dict[Analyzer, Any] = field(default_factory=dict)
    error: tuple[RowGroup, HeadraceError] | None = None

    def merge(self, other: Analyzed) -> None:
        """Add what another part has seen."""
        self.rows += other.rows
        errors = [error for error in (self.error, other.error) if error is not None]
        self.error = min(errors, key=lambda pair: pair[0], default=None)
        for analyzer, accumulator in other.accumulators.items():
            if analyzer in self.accumulators:
                self.accumulators[analyzer].merge(accumulator)
            else:
                self.accumulators[analyzer] = accumulator


def row_groups(files: Iterable[Path]) -> list[RowGroup]:
    """Return the row groups of Parquet files, in order."""
    import pyarrow.parquet as pq

    found: list[RowGroup] = []
    for file in files:
        with file.open("rb") as source:
            groups = pq.read_metadata(source).num_row_groups
        found.extend(RowGroup(file, group) for group in range(groups))
    return found


class Analyze(beam.DoFn):
    """Summarizes one row group."""

    def __init__(self, analyzers: tuple[Analyzer, ...], columns: list[str]) -> None:
        self.analyzers = analyzers
        self.columns = columns

    def process(self, place: RowGroup) -> Iterator[Analyzed]:
        """Yield the row group's accumulators."""
        import pyarrow.parquet as pq

        accumulators = {one: one.create() for one in self.analyzers}
        rows = 0
        try:
            with place.file.open("rb") as source:
                batches = pq.ParquetFile(source).iter_batches(
                    BATCH_ROWS, row_groups=[place.group], columns=self.columns, use_threads=False
                )
                for batch in batches:
                    rows += batch.num_rows
                    for analyzer, accumulator in accumulators.items():
                        analyzer.add(accumulator, batch)
        except HeadraceError as error:
            yield Analyzed(error=(place, error))
            return
        yield Analyzed(rows, accumulators)


class Merge(beam.CombineFn):
    """Merges the row groups' accumulators."""

    def create_accumulator(self) -> Analyzed:
        """Return an empty result."""
        return Analyzed()

    def add_input(self, whole: Analyzed, part: Analyzed) -> Analyzed:
        """Add a row group."""
        whole.merge(part)
        return whole

    def merge_accumulators(self, parts: Iterable[Analyzed]) -> Analyzed:
        """Merge results."""
        whole = Analyzed()
        for part in parts:
            whole.merge(part)
        return whole

    def extract_output(self, whole: Analyzed) -> Analyzed:
        """Return the result itself."""
        return whole


def analyze(examples: Examples, split: str, analyzers: tuple[Analyzer, ...], runner: Beam) -> Analysis:
    """Collect the facts about a split in one pass.

    Raises:
        DataError: The split is empty, or a column does not hold what a feature needs.
    """
    expected = int(examples.metadata["splits"][split]["rows"])
    if expected == 0:
        raise DataError(f'the split "{split}" has no rows to analyze', expected="at least one row")
    if not analyzers:
        return {}
    found = _run(row_groups(examples.files(split)), analyzers, runner)
    if found.error is not None:
        raise found.error[1]
    if found.rows != expected:
        raise DataError(
            f'the split "{split}" does not hold the rows its manifest states',
            expected=f"{expected:,} rows",
            received=f"{found.rows:,} rows",
        )
    return found.accumulators


def _run(places: list[RowGroup], analyzers: tuple[Analyzer, ...], runner: Beam) -> Analyzed:
    columns = sorted({one.column for one in analyzers})
    with runner.pipeline() as pipeline:
        merged = (
            pipeline
            | "RowGroups" >> beam.Create(places)
            | "Spread" >> beam.Reshuffle()
            | "Analyze" >> beam.ParDo(Analyze(analyzers, columns))
            | "Merge" >> beam.CombineGlobally(Merge())  # type: ignore[no-untyped-call]  # Beam's
        )
        result = runner.result(merged)
    found: Analyzed = result.get()
    return found
