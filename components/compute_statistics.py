"""Statistics of every column, in one pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from components.artifacts import Examples, Statistics
from orchestration import Beam, DataError, RunContext, component, require

if TYPE_CHECKING:
    import pyarrow as pa

    from components.data.row_ranges import Span
    from components.statistics.accumulator import Aspects
    from components.statistics.describe_splits import Plan
    from components.statistics.span_cache import Kept
    from components.statistics.statistics import DatasetStatistics

_SLICED_COLUMNS = 10_000


@component(imports=("pyarrow.parquet", "apache_beam"))
def compute_statistics(
    examples: Examples,
    *,
    quantile_error: float = 0.01,
    top_k: int = 20,
    weight: str | None = None,
    label: str | None = None,
    slices: list[list[str]] | None = None,
    max_slices: int = 20,
    span_cache: str | None = None,
    beam: Beam,
    run: RunContext,
) -> Statistics:
    """Describe every column of every split in one pass.

    Columns of few distinct values are described exactly: up to 65,536 in small data (32 Mi cells),
    4,096 in large. Beyond, the distinct count has a standard error of 1.6 %, quantiles keep within
    ``quantile_error``, and counts of frequent values state how much they may be too low. The same rows
    in the same order give the same bytes, whatever files and row groups they lie in.

    Args:
        examples: Rows to describe; any number of splits.
        quantile_error: Bound of the rank error of quantiles, as a share, in (0, 0.5).
        top_k: How many of the most frequent values to keep for each column, 1 to 1,000.
        weight: Column of weights, numbers from 0 to 4,194,304, around 1 best: counts, means, standard
            deviations, quantiles, histograms and frequent values are given with weights too.
        label: Column whose relations to all others are described: mutual information, correlation, and
            lift of each frequent value, from a random sample of 16,384 rows (fewer of more than 256
            columns); exact where there are no more rows.
        slices: Groups of columns; each group's combinations of values are described on their own.
        max_slices: How many slices of each group, those with most rows, 1 to 1,000; the others are
            counted. Columns times groups times ``max_slices`` may be 10,000.
        span_cache: A folder where the statistics of each span are kept, so that a rolling window
            computes only the spans it has not seen. It changes no result, and may be deleted.

    Returns:
        ``statistics.json`` (read it with ``load_statistics``) and ``report.html``.

    Raises:
        ArgumentError: An argument is out of range, or names no column of a fitting type.
        DataError: A file cannot be read, rows are missing, or a weight is none.
    """
    require(0 < quantile_error < 0.5, "quantile_error", "a rank error in (0, 0.5)", quantile_error)
    require(1 <= top_k <= 1000, "top_k", "1 to 1,000 values", top_k)
    require(1 <= max_slices <= 1000, "max_slices", "1 to 1,000 slices", max_slices)
    from components.data.readable_json import write_readable
    from components.data.row_ranges import columns_together
    from components.statistics.accumulator import Aspects, Settings, capacity_for, sample_rows_for
    from components.statistics.describe_splits import Plan
    from components.statistics.report_page import render_report

    started = time.monotonic()
    schema = examples.arrow_schema()
    groups = tuple(tuple(group) for group in slices or ())
    aspects = Aspects(weight or "", label or "", groups, max_slices, sample_rows_for(len(schema)))
    _check(aspects, schema)
    spans = _spans(examples)
    names = {split: tuple(one.name for one in spans if one.split == split) for split in examples.splits}
    settings = Settings(quantile_error, top_k, capacity_for(examples.rows, len(schema)))
    plan = Plan(schema, settings, aspects, names, tuple(columns_together(schema)))
    statistics = _describe(spans, plan, span_cache, beam, run)
    for split, described in statistics.splits.items():
        _balance(split, described.rows, int(examples.metadata["splits"][split]["rows"]))
    out = Statistics.new(rows=examples.rows, columns=len(statistics.columns))
    write_readable(out.file("statistics.json"), statistics.to_json())
    out.file("report.html").write_text(render_report(statistics), encoding="utf-8")
    run.attach(out.file("report.html"), "statistics.html")
    run.log_metric("rows", examples.rows)
    run.log_metric("rows_per_second", examples.rows / max(time.monotonic() - started, 1e-9))
    return out


def _check(aspects: Aspects, schema: pa.Schema) -> None:
    """Refuse names of columns that are not there or cannot serve."""
    import pyarrow as pa

    from components.data.hashing import is_text
    from components.statistics.table_accumulator import tells_of_label

    names = ", ".join(schema.names)
    for argument, found in (
        ("weight", [aspects.weight]),
        ("label", [aspects.label]),
        ("slices", [name for group in aspects.slices for name in group]),
    ):
        for name in filter(None, found):
            require(name in schema.names, argument, f"a column: {names}", name)
    if aspects.weight:
        kind = schema.field(aspects.weight).type
        fits = pa.types.is_primitive(kind) and not pa.types.is_temporal(kind)
        require(
            fits or pa.types.is_decimal(kind), "weight", "a column of numbers", f"{aspects.weight}: {kind}"
        )
    if aspects.label:
        kind = schema.field(aspects.label).type
        received = f"{aspects.label}: {kind}"
        require(tells_of_label(kind), "label", "a column of numbers, booleans, times or texts", received)
    for group in aspects.slices:
        require(
            bool(group), "slices", "at least one column in each group", [list(one) for one in aspects.slices]
        )
        for name in group:
            kind = schema.field(name).type
            fits = tells_of_label(kind) or is_text(kind)
            require(fits, "slices", "columns of numbers, booleans, times or texts", f"{name}: {kind}")
    described = len(schema) * len(aspects.slices) * aspects.max_slices
    require(
        described <= _SLICED_COLUMNS,
        "max_slices",
        f"columns times groups times max_slices up to {_SLICED_COLUMNS:,}",
        f"{len(schema)} x {len(aspects.slices)} x {aspects.max_slices}",
    )


def _spans(examples: Examples) -> list[Span]:
    """Return the spans of all splits, oldest first; one for each split where the examples state none."""
    from components.data.row_ranges import Span
    from components.reading.spans import spans_of

    span_of = spans_of(examples)
    order = list(dict.fromkeys(str(one["span"]) for one in examples.metadata.get("spans", ())))
    found = []
    for split in examples.splits:
        files: dict[str, list[str]] = {name: [] for name in order} if span_of else {"": []}
        for file in examples.files(split):
            files.setdefault(span_of.get(f"{split}/{file.name}", ""), []).append(str(file))
        found += [
            Span(split, place, name, tuple(inside)) for place, (name, inside) in enumerate(files.items())
        ]
    return found


def _describe(
    spans: list[Span], plan: Plan, span_cache: str | None, beam: Beam, run: RunContext
) -> DatasetStatistics:
    from components.data.outcome import value_of
    from components.data.row_ranges import row_ranges
    from components.statistics.describe_splits import describe_splits, described, joined

    kept = _kept(spans, plan, span_cache) if span_cache else None
    work = [
        one
        for span in spans
        if kept is None or (span.split, span.place) not in kept.spans
        for one in row_ranges(span, plan.runs)
    ]
    if work:
        with beam.pipeline() as job:
            result = beam.result(describe_splits(job, work, plan, kept))
        parts = sorted(result.get(), key=lambda one: one[0])
    else:  # every span is kept: nothing is left that a job could do
        parts = [described((place, ()), plan, kept) for place in range(len(plan.runs))]
    if kept is not None:
        run.log_metric("spans_reused", len(kept.spans))
    return joined([value_of(part) for _, part in parts], plan)


def _kept(spans: list[Span], plan: Plan, folder: str) -> Kept:
    """Return the cache and the spans it holds whole."""
    from components.statistics.span_cache import Kept, SpanCache

    cache = SpanCache.of(folder, spans, plan)
    places = range(len(plan.runs))
    held = (
        (one.split, one.place)
        for one in spans
        if all(cache.holds((place, one.split, one.place)) for place in places)
    )
    return Kept(cache, tuple(held))


def _balance(split: str, read: int, expected: int) -> None:
    if read != expected:
        raise DataError(
            f'split "{split}" does not hold the rows its manifest states',
            expected=f"{expected} rows",
            received=f"{read} rows",
            next="run the node that made these examples again",
        )
