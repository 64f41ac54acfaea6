"""Writes rows as Parquet, one file per split, in row groups of a fixed size: equal rows, equal bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.reading.splits import Splits
from orchestration.artifacts import location

if TYPE_CHECKING:
    from types import TracebackType

LARGEST_ROW_GROUP = 131_072
_CELLS = 4 << 20
_BUFFER_BYTES = 128 << 20


def row_group_rows(columns: int) -> int:
    """Return how many rows a row group holds: a power of two, at most 131,072 and 4 Mi cells."""
    fitting = max(_CELLS // max(columns, 1), 1024)
    return min(LARGEST_ROW_GROUP, 1 << (fitting.bit_length() - 1))


def part_name(split: str, part: int) -> str:
    """Return the path of a split's part inside an artifact."""
    return f"{split}/part-{part:05d}.parquet"


class PartWriter:
    """Writes one Parquet file; rows are kept until a whole row group is there."""

    def __init__(self, uri: str, schema: pa.Schema) -> None:
        self.uri = uri
        self.schema = schema
        self.rows = 0
        self._size = row_group_rows(len(schema))
        self._kept: list[pa.RecordBatch] = []
        self._kept_rows = self._kept_bytes = 0
        self._file: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        while batch.num_rows:
            taken = batch.slice(0, self._size - self._kept_rows)
            self._keep(taken)
            batch = batch.slice(taken.num_rows)

    def _keep(self, batch: pa.RecordBatch) -> None:
        self._kept.append(batch)
        self._kept_rows += batch.num_rows
        self._kept_bytes += batch.nbytes
        if self._kept_rows == self._size or self._kept_bytes > _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            path = location(self.uri)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._writer = pq.ParquetWriter(
                self._file, self.schema, compression="zstd", write_page_checksum=True
            )
        # One chunk for each column: where pages end must not depend on how the rows came in.
        table = pa.Table.from_batches(self._kept, self.schema).combine_chunks()
        self._writer.write_table(table, row_group_size=self._size)
        self.rows += self._kept_rows
        self._kept, self._kept_rows, self._kept_bytes = [], 0, 0

    def close(self, *, even_if_empty: bool = False) -> None:
        """Write what is left and the footer; no file at all without rows, unless asked for."""
        if self._kept_rows or (even_if_empty and self._writer is None):
            self._flush()
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()


class SplitWriter:
    """Deals rows out to the parts of the splits; a context manager."""

    def __init__(self, root: str, part: int, schema: pa.Schema, splits: Splits) -> None:
        self.splits = splits
        self.writers = [PartWriter(f"{root}/{part_name(name, part)}", schema) for name in splits.names]

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows, each to its split."""
        if len(self.writers) == 1:
            self.writers[0].write(batch)
            return
        of_row = self.splits.assign(batch)
        for place, writer in enumerate(self.writers):
            chosen = np.flatnonzero(of_row == place)
            if len(chosen):
                writer.write(batch.take(pa.array(chosen)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self.writers:
            writer.close()

    @property
    def rows(self) -> dict[str, int]:
        """Rows written, by split."""
        return {n: w.rows for n, w in zip(self.splits.names, self.writers, strict=True)}


def write_empty(uri: str, schema: pa.Schema) -> None:
    """Write a part without rows, which still tells the schema."""
    PartWriter(uri, schema).close(even_if_empty=True)
