"""Opening and reading Parquet files, with errors that name the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration import DataError
from orchestration.artifacts import location

BATCH_ROWS = 65_536
_BATCH_CELLS = 4 << 20


@contextlib.contextmanager
def open_parquet(uri: str, name: str | None = None, texts: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file.

    Args:
        uri: Where it lies.
        name: How messages call it; its location by default.
        texts: Columns to read dictionary-encoded.

    Raises:
        DataError: It cannot be opened, is no Parquet file, is cut off or damaged.
    """
    shown = name or uri
    try:
        with location(uri).open("rb") as source:
            yield pq.ParquetFile(source, read_dictionary=list(texts) or None, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{shown} cannot be read as Parquet",
            expected="a whole Parquet file",
            received=str(error).partition("\n")[0],
            next=f"read_csv(...) if {shown} is text",
        ) from error


def batch_rows(columns: int) -> int:
    """Return how many rows to hold at a time: 65,536, fewer of a table with more than 64 columns."""
    return max(1024, min(BATCH_ROWS, _BATCH_CELLS // max(columns, 1)))
