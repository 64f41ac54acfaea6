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


def row_group_runs(split: str, files: Iterable[str]) -> list[RowGroups]:
    """Return a split's row groups in order, in at most 64 runs of equal length (a power of two)."""
    groups = [(file, number) for file in files for number in range(_row_groups(file))]
    level = max(0, (len(groups) - 1) // _RUNS).bit_length()
    size = 1 << level
    starts = range(0, len(groups), size)
    return [RowGroups(split, level, s >> level, tuple(groups[s : s + size])) for s in starts]


def _row_groups(file: str) -> int:
    with open_parquet(file) as parquet:
        return int(parquet.metadata.num_row_groups)


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
        tree.add(0, (work.place << work.level) + offset, table)
    return tree


def _batches(file: str, number: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield a row group's rows, at most 65,536 at a time and fewer of wide tables."""
    # Counting the codes of a dictionary is many times faster than counting texts.
    texts = [one.name for one in schema if pa.types.is_string(one.type)]
    with open_parquet(file, texts=texts) as parquet:
        size = batch_rows(len(schema))
        yield from parquet.iter_batches(size, row_groups=[number], use_threads=False)


Tree = MergeTree[TableAccumulator] | Failed


class MergeTables(beam_sdk.CombineFn):  # type: ignore[misc]  # Beam's classes have no types
    """Combines trees of accumulators into the accumulator of a whole split."""

    def create_accumulator(self, *args: Any, **kwargs: Any) -> MergeTree[TableAccumulator]:
        """Return an empty tree."""
        return MergeTree()

    def add_input(
        self,
        accumulator: Tree,
        element: Tree,
        *args: Any,
        **kwargs: Any,
    ) -> Tree:
        """Take in a tree."""
        return self.merge_accumulators([accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[Tree], *args: Any, **kwargs: Any) -> Tree:
        """Return the tree of all."""
        total: MergeTree[TableAccumulator] = MergeTree()
        failed = []
        for tree in accumulators:
            if isinstance(tree, Failed):
                failed.append(tree)
            else:
                total = total.merged(tree)
        return min(failed, key=lambda one: str(one.error)) if failed else total

    def extract_output(
        self, accumulator: Tree, *args: Any, **kwargs: Any
    ) -> TableAccumulator | Failed | None:
        """Return the one accumulator of all row groups."""
        return accumulator if isinstance(accumulator, Failed) else accumulator.result()
