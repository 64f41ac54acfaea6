"""The Beam job that describes all splits: ranges of rows, then spans, then splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam_sdk
import pyarrow as pa
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from components.data.outcome import Failed, guarded
from components.data.row_ranges import RowRange, batches
from components.data.spread import spread
from components.statistics.accumulator import Aspects, Settings
from components.statistics.merge_tree import MergeTree
from components.statistics.span_cache import Kept
from components.statistics.statistics import (
    DatasetStatistics,
    SliceGroup,
    SliceStatistics,
    SpanStatistics,
    SplitStatistics,
)
from components.statistics.table_accumulator import TableAccumulator, describe, describe_columns

SPANS_SHOWN = 2

SpanKey = tuple[int, str, int]
"""Run of columns, split, place of the span."""


@dataclass(frozen=True)
class Plan:
    """What is to be described.

    Attributes:
        schema: All columns.
        settings: What the user chose for every column.
        aspects: What is described besides.
        spans: Names of the spans by split, oldest first.
        runs: The columns in runs that are described together.
    """

    schema: pa.Schema
    settings: Settings
    aspects: Aspects
    spans: dict[str, tuple[str, ...]]
    runs: tuple[tuple[str, ...], ...]

    def empty(self, run: int, span: str = "") -> TableAccumulator:
        """Return the accumulator of no rows."""
        part = pa.schema([self.schema.field(name) for name in self.runs[run]])
        return TableAccumulator(part, self.settings, self.aspects, span)


def accumulate_range(work: RowRange, plan: Plan) -> tuple[SpanKey, Any]:
    """Return what a range is part of and its statistics, or the error."""
    return (work.run, work.span.split, work.span.place), guarded(_accumulate, work, plan)


def _accumulate(work: RowRange, plan: Plan) -> MergeTree[TableAccumulator]:
    tree: MergeTree[TableAccumulator] = MergeTree()
    leaf, row = work.place << work.level, work.start
    table = plan.empty(work.run, work.span.name)
    for batch in batches(work, plan.schema, plan.aspects.columns):
        table.add(batch, row)
        row += batch.num_rows
        if row % work.leaf_rows == 0:
            tree.add(0, leaf, table.compressed())
            table, leaf = plan.empty(work.run, work.span.name), leaf + 1
    if table.rows or leaf == 0:
        tree.add(0, leaf, table.compressed())
    return tree


Tree = MergeTree[TableAccumulator] | Failed


class MergeRanges(beam_sdk.CombineFn):
    """Combines the trees of a span's ranges into the accumulator of the span."""

    def __init__(self) -> None:
        beam_sdk.CombineFn.__init__(self)

    def create_accumulator(self, *args: Any, **kwargs: Any) -> Tree:
        """Return an empty tree."""
        return MergeTree()

    def add_input(self, mutable_accumulator: Tree, element: Tree, *args: Any, **kwargs: Any) -> Tree:
        """Take in a range's tree, or its error."""
        return self.merge_accumulators([mutable_accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[Tree], *args: Any, **kwargs: Any) -> Tree:
        """Return the tree of all; of several errors the first by its text."""
        merged: MergeTree[TableAccumulator] = MergeTree()
        failed = []
        for tree in accumulators:
            if isinstance(tree, Failed):
                failed.append(tree)
            elif not failed:
                merged = merged.merged(tree)
        return first_failed(failed) if failed else merged

    def extract_output(
        self, accumulator: Tree, *args: Any, **kwargs: Any
    ) -> TableAccumulator | Failed | None:
        """Return the merge of all leaves in their order."""
        return accumulator if isinstance(accumulator, Failed) else accumulator.result()


def first_failed(failed: Iterable[Failed]) -> Failed:
    """Return the first error by its text, so that the order of work does not matter."""
    return min(failed, key=lambda one: str(one.error))


Placed = tuple[str, int, Any]
"""Split, place of the span, its accumulator or the error."""


def _by_run(element: tuple[SpanKey, Any]) -> tuple[int, Placed]:
    (run, split, place), table = element
    return run, (split, place, table)


def described(
    element: tuple[int, Iterable[Placed]], plan: Plan, kept: Kept | None = None
) -> tuple[int, dict[str, SplitStatistics] | Failed]:
    """Return the statistics of a run of columns, by split; or the error.

    Args:
        element: The run and the accumulators of the spans that were computed.
        plan: What is to be described.
        kept: Spans whose accumulators are taken from the cache.
    """
    run, computed = element
    tables = {(split, place): table for split, place, table in computed}
    failed = [table for table in tables.values() if isinstance(table, Failed)]
    return run, first_failed(failed) if failed else guarded(_describe, run, tables, plan, kept)


def _describe(
    run: int, tables: Mapping[tuple[str, int], TableAccumulator], plan: Plan, kept: Kept | None
) -> dict[str, SplitStatistics]:
    merged = {split: _merge_spans(run, split, tables, plan, kept) for split in plan.spans}
    totals = [one.total for one in merged.values()]
    return {
        split: dataclasses.replace(describe(one.total, totals), spans=_spans(plan.spans[split], one, totals))
        for split, one in merged.items()
    }


@dataclass(frozen=True)
class _Merged:
    """The spans of a split: all of them together, the rows of each, and the last ones by their place."""

    total: TableAccumulator
    rows: list[int]
    recent: dict[int, TableAccumulator]


def _merge_spans(
    run: int, split: str, tables: Mapping[tuple[str, int], TableAccumulator], plan: Plan, kept: Kept | None
) -> _Merged:
    tree: MergeTree[TableAccumulator] = MergeTree()
    names = plan.spans[split]
    rows, recent = [], {}
    for place, name in enumerate(names):
        # One after the other: what is kept of many spans need not be in memory together.
        table = tables.get((split, place))
        if table is None and kept is not None:
            table = kept.cache.load((run, split, place))
        table = table or plan.empty(run, name)
        tree.add(0, place, table)
        rows.append(table.rows)
        if place >= len(names) - SPANS_SHOWN:
            recent[place] = table
    return _Merged(tree.result() or plan.empty(run), rows, recent)


def _spans(
    names: Sequence[str], merged: _Merged, splits: list[TableAccumulator]
) -> tuple[SpanStatistics, ...]:
    if names == ("",):
        return ()
    return tuple(
        SpanStatistics(
            name,
            merged.rows[place],
            describe_columns(merged.recent[place], splits) if place in merged.recent else (),
        )
        for place, name in enumerate(names)
    )


def describe_splits(
    job: beam_sdk.Pipeline, work: Sequence[RowRange], plan: Plan, kept: Kept | None = None
) -> PCollection[list[tuple[int, dict[str, SplitStatistics] | Failed]]]:
    """Return the statistics of all splits, by run of columns.

    Args:
        job: The pipeline.
        work: Ranges of the spans to compute.
        plan: What is to be described.
        kept: Where accumulators of spans are kept, and which are taken from there.
    """
    spans = (
        spread(job, "Ranges", work)
        | "Accumulate" >> beam_sdk.Map(accumulate_range, plan)
        | "Spans" >> beam_sdk.CombinePerKey(MergeRanges())
    )
    if kept is not None:
        spans = spans | "Keep" >> beam_sdk.Map(kept.cache.keep)
    found: PCollection[list[tuple[int, dict[str, SplitStatistics] | Failed]]] = (
        spans
        | "ByRun" >> beam_sdk.Map(_by_run)
        | "Runs" >> beam_sdk.GroupByKey()
        | "Describe" >> beam_sdk.Map(described, plan, kept)
        | "All" >> ToList()
    )
    return found


def joined(parts: Sequence[dict[str, SplitStatistics]], plan: Plan) -> DatasetStatistics:
    """Return the statistics of all columns from those of some at a time, in their order."""
    splits = {}
    for split in plan.spans:
        of_split = [part[split] for part in parts]
        first = of_split[0]
        splits[split] = dataclasses.replace(
            first,
            columns=tuple(column for one in of_split for column in one.columns),
            slices=tuple(
                _joined_slices([one.slices[place] for one in of_split]) for place in range(len(first.slices))
            ),
            spans=tuple(
                dataclasses.replace(
                    span, columns=tuple(column for one in of_split for column in one.spans[place].columns)
                )
                for place, span in enumerate(first.spans)
            ),
        )
    return DatasetStatistics(
        splits,
        plan.settings.quantile_error,
        weight=plan.aspects.weight or None,
        label=plan.aspects.label or None,
    )


def _joined_slices(groups: Sequence[SliceGroup]) -> SliceGroup:
    slices: list[SliceStatistics] = []
    for place, one in enumerate(groups[0].slices):
        columns = tuple(column for group in groups for column in group.slices[place].columns)
        slices.append(dataclasses.replace(one, columns=columns))
    return dataclasses.replace(groups[0], slices=tuple(slices))
