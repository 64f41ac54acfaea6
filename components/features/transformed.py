"""Reading a Transform artifact: frozen features, transformed rows, sample rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.features.frozen import STATE_FILE, FrozenFeatures
from components.features.spec import LABEL_COLUMN
from orchestration import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from components.artifacts import Transform

SAMPLE_FILE = "sample.parquet"
ROWS_FOLDER = "examples"
SAMPLE_ROWS = 256


@dataclass(frozen=True)
class Rows:
    """Transformed rows in memory.

    Attributes:
        dense: ``float32``, ``(rows, width)``; width may be 0.
        ids: ``int32``, ``(rows, columns)``; columns may be 0.
        label: ``float32``, ``(rows,)``.
    """

    dense: np.ndarray
    ids: np.ndarray
    label: np.ndarray

    def __len__(self) -> int:
        return len(self.label)


def load_frozen(transform: Transform) -> FrozenFeatures:
    """Return the frozen features of a Transform artifact.

    Raises:
        ArtifactError: ``transform.json`` is missing or unreadable.
    """
    return FrozenFeatures.from_json(transform.read_json(STATE_FILE))


def load_rows(transform: Transform, split: str, *, frozen: FrozenFeatures, limit: int | None = None) -> Rows:
    """Read a split's transformed rows into memory, in order.

    Args:
        transform: The artifact.
        split: Name of the split.
        frozen: The artifact's frozen features.
        limit: Read only so many rows from the start.

    Raises:
        ArtifactError: There is no such split.
    """
    import numpy as np

    total = split_rows(transform, split)
    rows = total if limit is None else min(limit, total)
    dense_names = frozen.dense_columns
    id_names = [one.name for one in frozen.id_columns]
    loaded = Rows(
        np.empty((rows, len(dense_names)), np.float32),
        np.empty((rows, len(id_names)), np.int32),
        np.empty(rows, np.float32),
    )
    start = 0
    for batch in _batches(files(transform, split)):
        if start >= rows:
            break
        kept = batch.slice(0, rows - start)
        stop = start + kept.num_rows
        for place, name in enumerate(dense_names):
            loaded.dense[start:stop, place] = kept.column(name).to_numpy()
        for place, name in enumerate(id_names):
            loaded.ids[start:stop, place] = kept.column(name).to_numpy()
        loaded.label[start:stop] = kept.column(LABEL_COLUMN).to_numpy()
        start = stop
    if start != rows:
        raise ArtifactError(
            f'the split "{split}" does not hold the rows its manifest states',
            expected=f"{total:,} rows",
            received=f"{start:,} rows",
        )
    return loaded


def load_sample(transform: Transform) -> pa.RecordBatch:
    """Return raw rows, inputs only: those the first transformed rows of the analyzed split came from."""
    import pyarrow.parquet as pq

    with (transform.path / SAMPLE_FILE).open("rb") as source:
        # Without threads of its own: one that still holds a Python file aborts the process at exit.
        table = pq.ParquetFile(source).read(use_threads=False).combine_chunks()
    batches: list[pa.RecordBatch] = table.to_batches()
    return batches[0]


def split_rows(transform: Transform, split: str) -> int:
    """Return how many transformed rows a split has.

    Raises:
        ArtifactError: There is no such split.
    """
    splits = transform.metadata["splits"]
    if split not in splits:
        raise ArtifactError(
            f'there is no split "{split}"', expected=" or ".join(sorted(splits)), received=split
        )
    return int(splits[split]["rows"])


def files(transform: Transform, split: str) -> list[Path]:
    """Return a split's Parquet files of transformed rows, in order."""
    return sorted((transform.path / ROWS_FOLDER / split).glob("part-*.parquet"))


def _batches(paths: list[Path]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    for path in paths:
        with path.open("rb") as source:
            yield from pq.ParquetFile(source).iter_batches(65_536, use_threads=False)
