"""All columns of a table in one accumulator, and the Beam combiner over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam_sdk
import pyarrow as pa

from components.data.accumulator import Accumulator, Settings
from components.data.accumulators import accumulator_for
from components.data.merge_tree import MergeTree
from components.data.outcome import Failed, guarded
from components.data.parquet_file import batch_rows, open_parquet
from components.data.statistics import DatasetStatistics, SplitStatistics

_RUNS = 64
_RUN_CELLS = 1 << 24


@dataclass
class TableAccumulator:
    """The statistics of some rows of a table, so far."""

    schema: pa.Schema
    settings: Settings
    rows: int = 0
    columns: list[Accumulator] = field(init=False)

    def __post_init__(self) -> None:
        self.columns = [accumulator_for(one.type, self.settings) for one in self.schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in rows; text columns may come dictionary-encoded."""
        self.rows += batch.num_rows
        for accumulator, values in zip(self.columns, batch.columns, strict=True):
            accumulator.add(values)

    def merged(self, other: TableAccumulator) -> TableAccumulator:
        """Return the accumulator of the rows of both."""
        out = TableAccumulator(self.schema, self.settings, self.rows + other.rows)
        out.columns = [one.merged(two) for one, two in zip(self.columns, other.columns, strict=True)]
        return out


def extract(tables: Mapping[str, TableAccumulator], settings: Settings) -> DatasetStatistics:
    """Return the statistics of a data set from the accumulators of its splits."""
    splits = {}
    for name, table in tables.items():
        columns = tuple(
            accumulator.extract(one, [peer.columns[place] for peer in tables.values()])
            for place, (one, accumulator) in enumerate(zip(table.schema, table.columns, strict=True))
        )
        splits[name] = SplitStatistics(table.rows, columns)
    return DatasetStatistics(splits, settings.quantile_error)


@dataclass(frozen=True)
class RowGroups:
    """A run of neighbouring row groups of one split: the unit of work.

    Attributes:
        split: Name of the split.
        level: The run stands for ``2**level`` places of the merge tree.
        place: Which such run it is.
        groups: File and number of each row group.
    """

    split: str
    level: int
    place: int
    groups: tuple[tuple[str, int], ...]


def row_group_runs(split: str, files: Iterable[str], columns: int) -> list[RowGroups]:
    """Return a split's row groups in order, in runs of equal length.

    A run is long enough to be worth a worker's start and its result's travel, and there are at most 64.
    """
    groups: list[tuple[str, int]] = []
    rows = 0
    for file in files:
        with open_parquet(file) as parquet:
            rows += parquet.metadata.num_rows
            groups.extend((file, number) for number in range(parquet.metadata.num_row_groups))
    shortest = _RUN_CELLS * len(groups) // max(rows * columns, 1)
    size = max(-(-len(groups) // _RUNS), min(shortest, len(groups)), 1)
    level = (size - 1).bit_length()
    starts = range(0, len(groups), 1 << level)
    return [RowGroups(split, level, s >> level, tuple(groups[s : s + (1 << level)])) for s in starts]


def accumulate_run(work: RowGroups, schema: pa.Schema, settings: Settings) -> tuple[str, Any]:
    """Return a run's split and its statistics, or the error."""
    return work.split, guarded(_accumulate, work, schema, settings)


def _accumulate(work: RowGroups, schema: pa.Schema, settings: Settings) -> MergeTree[TableAccumulator]:
    """Return the statistics of a run of row groups."""
    tree: MergeTree[TableAccumulator] = MergeTree()
    for offset, (file, number) in enumerate(work.groups):
        table = TableAccumulator(schema, settings)
        for batch in _batches(file, number, schema):
            table.add(batch)
        # Merging compresses: what travels between workers is small.
        small = TableAccumulator(schema, settings).merged(table)
        tree.add(0, (work.place << work.level) + offset, small)
    return tree


def _batches(file: str, number: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield a row group's rows, at most 65,536 at a time and fewer of wide tables."""
    # Counting the codes of a dictionary is many times faster than counting texts.
    texts = [one.name for one in schema if pa.types.is_string(one.type)]
    with open_parquet(file, texts=texts) as parquet:
        size = batch_rows(len(schema))
        yield from parquet.iter_batches(size, row_groups=[number], use_threads=False)


Trees = dict[str, MergeTree[TableAccumulator]] | Failed
"""By split, what has been merged so far; or the error of a worker."""


class DescribeSplits(beam_sdk.CombineFn):
    """Combines the trees of all workers into the statistics of all splits.

    Args:
        splits: Names of the splits, also of those without rows.
        schema: The columns.
        settings: What the user chose.
    """

    def __init__(self, splits: list[str], schema: pa.Schema, settings: Settings) -> None:
        self.splits = splits
        self.schema = schema
        self.settings = settings

    def create_accumulator(self, *args: Any, **kwargs: Any) -> Trees:
        """Return no trees."""
        return {}

    def add_input(
        self, mutable_accumulator: Trees, element: tuple[str, Any], *args: Any, **kwargs: Any
    ) -> Trees:
        """Take in a run's split and tree, or its error."""
        split, tree = element
        new: Trees = tree if isinstance(tree, Failed) else {split: tree}
        return self.merge_accumulators([mutable_accumulator, new])

    def merge_accumulators(self, accumulators: Iterable[Trees], *args: Any, **kwargs: Any) -> Trees:
        """Return the trees of all; of several errors the first by its text."""
        merged: dict[str, MergeTree[TableAccumulator]] = {}
        failed = []
        for trees in accumulators:
            if isinstance(trees, Failed):
                failed.append(trees)
                continue
            for split, tree in trees.items():
                merged[split] = merged[split].merged(tree) if split in merged else tree
        return min(failed, key=lambda one: str(one.error)) if failed else merged

    def extract_output(self, accumulator: Trees, *args: Any, **kwargs: Any) -> DatasetStatistics | Failed:
        """Return the statistics, which are small, so that the accumulators need not travel further."""
        if isinstance(accumulator, Failed):
            return accumulator
        tables = {split: tree.result() for split, tree in accumulator.items()}
        empty = TableAccumulator(self.schema, self.settings)
        return extract({split: tables.get(split) or empty for split in self.splits}, self.settings)
