"""Ranges of rows as units of work, and reading them in batches that no file or row group decides.

The rows of a span are numbered in the order of its files. They are described in leaves of 131,072 rows,
each from batches of 65,536, whatever files and row groups they lie in; so the same rows in the same order
give the same statistics, bit for bit. Wide tables are described some columns at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from components.data.parquet_file import open_parquet

COLUMNS_TOGETHER = 64
_BATCHES_IN_LEAF = 2
_BATCH_ROWS = 65_536
_BATCH_BYTES = 128 << 20
_FEWEST_ROWS = 256
_RANGES = 64
_RANGE_CELLS = 1 << 24


@dataclass(frozen=True)
class RowGroup:
    """A row group of a span: its file, its number in it, its first row's number in the span, its rows."""

    file: str
    number: int
    start: int
    rows: int


@dataclass(frozen=True)
class Span:
    """The rows of one split that come from one span of the data, or all of them where there are no spans.

    Attributes:
        split: Name of the split.
        place: Which of the split's spans it is, from 0, oldest first.
        name: Name of the span; ``""`` where there are none.
        files: Its files, in order.
    """

    split: str
    place: int
    name: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class RowRange:
    """Neighbouring leaves of a span, some columns of them: the unit of work.

    Attributes:
        span: The span.
        run: Which run of columns.
        columns: Names of the columns to describe.
        level: The range stands for ``2**level`` places of the merge tree.
        place: Which such range it is.
        batch_rows: Rows of a batch.
        groups: The row groups that hold its rows, in order.
    """

    span: Span
    run: int
    columns: tuple[str, ...]
    level: int
    place: int
    batch_rows: int
    groups: tuple[RowGroup, ...]

    @property
    def leaf_rows(self) -> int:
        """Rows of a leaf."""
        return _BATCHES_IN_LEAF * self.batch_rows

    @property
    def start(self) -> int:
        """Number of the first row in the span."""
        return (self.place << self.level) * self.leaf_rows

    @property
    def end(self) -> int:
        """Number of the row after the last one, in the span."""
        last = self.groups[-1] if self.groups else RowGroup("", 0, 0, 0)
        return min(self.start + (self.leaf_rows << self.level), last.start + last.rows)


def columns_together(schema: pa.Schema) -> list[tuple[str, ...]]:
    """Return the columns in runs of about 64, counting the fields inside nested ones."""
    runs: list[tuple[str, ...]] = []
    room = 0
    for one in schema:
        width = _width(one.type)
        if room < width:
            runs.append(())
            room = COLUMNS_TOGETHER
        runs[-1] = (*runs[-1], one.name)
        room -= width
    return runs


def _width(kind: pa.DataType) -> int:
    inner = (kind.field(place).type for place in range(kind.num_fields)) if kind.num_fields else ()
    return max(sum(map(_width, inner)), 1)


def row_ranges(span: Span, runs: Sequence[tuple[str, ...]]) -> list[RowRange]:
    """Return a span's rows in ranges of equal length, for each run of columns.

    A range is long enough to be worth a worker's start and its result's travel, and there are at most 64;
    a span without rows is one range.
    """
    groups, large = _row_groups(span.files)
    rows = sum(group.rows for group in groups)
    batch_rows = _BATCH_ROWS
    while batch_rows > _FEWEST_ROWS and batch_rows * large > _BATCH_BYTES * len(runs):
        batch_rows //= 2
    leaf = _BATCHES_IN_LEAF * batch_rows
    leaves = max(-(-rows // leaf), 1)
    ranges = []
    for run, columns in enumerate(runs):
        shortest = _RANGE_CELLS // (leaf * len(columns))
        size = max(-(-leaves // _RANGES), min(shortest, leaves), 1)
        level = (size - 1).bit_length()
        for place in range(-(-leaves // (1 << level))):
            first, end = (place << level) * leaf, ((place + 1) << level) * leaf
            inside = tuple(one for one in groups if one.start < end and one.start + one.rows > first)
            ranges.append(RowRange(span, run, columns, level, place, batch_rows, inside))
    return ranges


def _row_groups(files: Sequence[str]) -> tuple[list[RowGroup], float]:
    """Return the row groups of files, and how many bytes a row takes, all columns together."""
    groups: list[RowGroup] = []
    start = held = 0
    for file in files:
        with open_parquet(file) as parquet:
            for number in range(parquet.metadata.num_row_groups):
                found = parquet.metadata.row_group(number)
                groups.append(RowGroup(file, number, start, found.num_rows))
                start += found.num_rows
                held += found.total_byte_size
    return groups, held / max(start, 1)


def batches(work: RowRange, schema: pa.Schema, also: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield a range's rows in its batches; text columns come dictionary-encoded.

    Args:
        work: The range.
        schema: All columns of the files.
        also: Columns to read besides those of the range.

    Raises:
        DataError: A file cannot be read.
    """
    wanted = set(work.columns) | set(also)
    names = [name for name in schema.names if name in wanted]
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in _read(work, schema, names):
        start = 0
        while start < batch.num_rows:
            taken = batch.slice(start, work.batch_rows - held)
            waiting.append(taken)
            held += taken.num_rows
            start += taken.num_rows
            if held == work.batch_rows:
                yield _joined(waiting)
                waiting, held = [], 0
    if waiting:
        yield _joined(waiting)


def _read(work: RowRange, schema: pa.Schema, names: list[str]) -> Iterator[pa.RecordBatch]:
    # Counting the codes of a dictionary is many times faster than counting texts.
    texts = [name for name in names if pa.types.is_string(schema.field(name).type)]
    columns = names if len(names) < len(schema) else None
    by_file: dict[str, list[RowGroup]] = {}
    for group in work.groups:
        by_file.setdefault(group.file, []).append(group)
    for file, groups in by_file.items():
        with open_parquet(file, texts=texts) as parquet:
            for group in groups:
                place = group.start
                for batch in parquet.iter_batches(
                    work.batch_rows, row_groups=[group.number], columns=columns, use_threads=False
                ):
                    low, high = max(work.start - place, 0), min(work.end - place, batch.num_rows)
                    place += batch.num_rows
                    if low < high:
                        yield batch.select(names).slice(low, high - low)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(parts) == 1:
        return parts[0]
    table = pa.Table.from_batches(parts).unify_dictionaries().combine_chunks()
    [batch] = table.to_batches()
    return batch
