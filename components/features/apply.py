"""The apply pass: raw rows to numeric Parquet, one output file per row group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.features.analyze import BATCH_ROWS, RowGroup
from components.features.frozen import FrozenFeatures
from components.features.onnx_graph import IDS, NUMBERS, OnnxTransform
from components.features.spec import LABEL_COLUMN
from components.model_format import encode
from orchestration import DataError, HeadraceError

if TYPE_CHECKING:
    from orchestration import Beam


@dataclass(frozen=True)
class Piece:
    """A row group to transform, its split, and the file to write."""

    split: str
    source: RowGroup
    target: Path


@dataclass
class Counted:
    """Rows by split: read, written, dropped for want of a label; or what went wrong first."""

    read: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    error: tuple[RowGroup, HeadraceError] | None = None

    @classmethod
    def sum(cls, parts: Any) -> Counted:
        """Return the counts of all parts together."""
        whole = cls()
        for part in parts:
            for name in ("read", "written", "dropped"):
                counts = getattr(whole, name)
                for split, rows in getattr(part, name).items():
                    counts[split] = counts.get(split, 0) + rows
            errors = [error for error in (whole.error, part.error) if error is not None]
            whole.error = min(errors, key=lambda pair: pair[0], default=None)
        return whole


class Apply(beam.DoFn):
    """Transforms one row group."""

    def __init__(self, frozen: FrozenFeatures) -> None:
        self.frozen = frozen
        self._transform: OnnxTransform | None = None

    def setup(self) -> None:
        """Build the graph, once per worker."""
        self._transform = OnnxTransform(self.frozen)

    def process(self, piece: Piece) -> Iterator[Counted]:
        """Write the row group's features and yield its counts."""
        assert self._transform is not None
        try:
            read, written = transform_file(self.frozen, self._transform, piece)
        except HeadraceError as error:
            yield Counted(error=(piece.source, error))
            return
        yield Counted({piece.split: read}, {piece.split: written}, {piece.split: read - written})


def transform_file(frozen: FrozenFeatures, transform: OnnxTransform, piece: Piece) -> tuple[int, int]:
    """Transform a row group; return the rows read and written.

    Raises:
        DataError: A value is missing where no policy allows it, or has the wrong type.
    """
    columns = sorted({*frozen.spec.columns, *frozen.spec.label.columns})
    schema = transformed_schema(frozen)
    read = written = 0
    # A retried bundle writes the same file again: the rename keeps it whole at every moment.
    partial = piece.target.with_name(f"_{piece.target.name}")
    with piece.source.file.open("rb") as source, partial.open("wb") as target:
        batches = pq.ParquetFile(source).iter_batches(
            BATCH_ROWS, row_groups=[piece.source.group], columns=columns, use_threads=False
        )
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for batch in batches:
                rows = transform_batch(frozen, transform, batch)
                read, written = read + batch.num_rows, written + rows.num_rows
                writer.write_batch(rows)
    partial.rename(piece.target)
    return read, written


def transform_batch(
    frozen: FrozenFeatures, transform: OnnxTransform, batch: pa.RecordBatch
) -> pa.RecordBatch:
    """Return a batch's features and label, without the rows that have no label.

    Raises:
        DataError: A value is missing where no policy allows it, or has the wrong type.
    """
    labels, kept = labelled(frozen, batch)
    blocks = transform(encode(frozen.inputs, batch))
    empty = np.empty((batch.num_rows, 0))
    arrays = [pa.array(column[kept]) for column in blocks.get(NUMBERS, empty).T]
    arrays += [pa.array(column[kept]) for column in blocks.get(IDS, empty).T]
    return pa.record_batch([*arrays, pa.array(labels[kept])], schema=transformed_schema(frozen))


def labelled(frozen: FrozenFeatures, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows' labels, and which rows have one: ``float32`` and ``bool`` of shape ``(rows,)``.

    Raises:
        DataError: A label is missing and the label's policy is ``"error"``.
    """
    labels = frozen.labels(batch)
    kept = np.isfinite(labels)
    if frozen.spec.label.missing == "error" and not kept.all():
        name = frozen.spec.label.column
        raise DataError(
            f'the label "{frozen.spec.label}" is missing in some rows',
            expected="a label in every row",
            received=f"{int((~kept).sum()):,} of {len(kept):,} rows of a batch without one",
            next=f'label("{name}", missing="drop") leaves such rows out and counts them',
        )
    return labels, kept


def transformed_schema(frozen: FrozenFeatures) -> pa.Schema:
    """Return the Arrow schema of transformed rows: dense columns, id columns, label."""
    dense = [pa.field(name, pa.float32(), nullable=False) for name in frozen.dense_columns]
    ids = [pa.field(one.name, pa.int32(), nullable=False) for one in frozen.id_columns]
    return pa.schema([*dense, *ids, pa.field(LABEL_COLUMN, pa.float32(), nullable=False)])


def apply(frozen: FrozenFeatures, pieces: list[Piece], runner: Beam) -> Counted:
    """Transform row groups in one Beam job and return the row counts.

    Raises:
        DataError: A value is missing where no policy allows it, or has the wrong type.
    """
    with runner.pipeline() as pipeline:
        counts = (
            pipeline
            | "RowGroups" >> beam.Create(pieces)
            | "Spread" >> beam.Reshuffle()
            | "Apply" >> beam.ParDo(Apply(frozen))
            | "Count" >> beam.CombineGlobally(Counted.sum)
        )
        result = runner.result(counts)
    counted: Counted = result.get()
    if counted.error is not None:
        raise counted.error[1]
    return counted
