"""Statistics of every column, in one pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from components.artifacts import Examples, Statistics
from orchestration import Beam, DataError, RunContext, component, require

if TYPE_CHECKING:
    import pyarrow as pa

    from components.data.accumulator import Settings
    from components.data.statistics import DatasetStatistics


@component(imports=("pyarrow.parquet", "apache_beam"))
def compute_statistics(
    examples: Examples,
    *,
    quantile_error: float = 0.01,
    top_k: int = 20,
    beam: Beam,
    run: RunContext,
) -> Statistics:
    """Describe every column of every split in one pass.

    Columns of few distinct values are described exactly: up to 65,536 in small data (32 Mi cells),
    4,096 in large. Beyond, the distinct count has a standard error of 1.6 %, quantiles keep within
    ``quantile_error``, and counts of frequent values state how much they may be too low. The same
    examples always give the same bytes.

    Args:
        examples: Rows to describe; any number of splits.
        quantile_error: Bound of the rank error of quantiles, as a share, in (0, 0.5).
        top_k: How many of the most frequent values to keep for each column, 1 to 1,000.

    Returns:
        ``statistics.json`` (read it with ``load_statistics``) and ``report.html``.

    Raises:
        ArgumentError: An argument is out of range.
        DataError: A file cannot be read, or rows are missing.
    """
    require(0 < quantile_error < 0.5, "quantile_error", "a rank error in (0, 0.5)", quantile_error)
    require(1 <= top_k <= 1000, "top_k", "1 to 1,000 values", top_k)
    from components.data.accumulator import Settings, capacity_for
    from components.data.readable_json import write_readable
    from components.statistics_report import render_report

    started = time.monotonic()
    schema = examples.arrow_schema()
    settings = Settings(quantile_error, top_k, capacity_for(examples.rows, len(schema)))
    statistics = _describe(examples, schema, settings, beam)
    out = Statistics.new(rows=examples.rows, columns=len(statistics.columns))
    write_readable(out.file("statistics.json"), statistics.to_json())
    out.file("report.html").write_text(render_report(statistics), encoding="utf-8")
    run.attach(out.file("report.html"), "statistics.html")
    run.log_metric("rows", examples.rows)
    run.log_metric("rows_per_second", examples.rows / max(time.monotonic() - started, 1e-9))
    return out


def _describe(examples: Examples, schema: pa.Schema, settings: Settings, beam: Beam) -> DatasetStatistics:
    import apache_beam as beam_sdk

    from components.data.outcome import value_of
    from components.data.spread import spread
    from components.data.table_accumulator import DescribeSplits, accumulate_run, row_group_runs

    work = [
        run
        for split in examples.splits
        for run in row_group_runs(split, [str(file) for file in examples.files(split)], len(schema))
    ]
    describe = DescribeSplits(examples.splits, schema, settings)
    with beam.pipeline() as job:
        statistics = (
            spread(job, "RowGroups", work)
            | "Accumulate" >> beam_sdk.Map(accumulate_run, schema, settings)
            | "Describe" >> beam_sdk.CombineGlobally(describe)
        )
        result = beam.result(statistics)
    found: DatasetStatistics = value_of(result.get())
    for split, described in found.splits.items():
        _balance(split, described.rows, int(examples.metadata["splits"][split]["rows"]))
    return found


def _balance(split: str, read: int, expected: int) -> None:
    if read != expected:
        raise DataError(
            f'split "{split}" does not hold the rows its manifest states',
            expected=f"{expected} rows",
            received=f"{read} rows",
            next="run the node that made these examples again",
        )
