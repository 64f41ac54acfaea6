"""A random sample of rows that can be merged: the rows whose places have the smallest hashes.

A row's place is its number in its span (or in its split, where there are no spans). So the sample depends
on neither files nor batches nor the order of merging, each row is as likely as any other to be in it, and
equal rows are drawn independently of each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.data.hashing import Hashes, mix


@dataclass(frozen=True)
class RowSample:
    """Sampled rows, those of the smallest hashes first.

    Attributes:
        size: How many rows are kept.
        hashes: Hash of each kept row's place, ascending.
        rows: The kept rows.
    """

    size: int
    hashes: Hashes
    rows: pa.RecordBatch

    @classmethod
    def of(cls, batch: pa.RecordBatch, span: str, start: int, size: int, limit: int | None) -> RowSample:
        """Return the sample of a batch whose first row has number ``start`` in its span.

        Args:
            batch: The rows.
            span: Name of the span.
            start: Number of the first row in the span, from 0.
            size: How many rows to keep.
            limit: Hashes from here on are known not to matter.
        """
        seed = int.from_bytes(hashlib.blake2b(span.encode(), digest_size=8).digest(), "little")
        places = np.arange(start, start + batch.num_rows, dtype=np.uint64)
        hashes = mix(mix(places) ^ np.uint64(seed))
        kept = np.arange(len(hashes)) if limit is None else np.flatnonzero(hashes < np.uint64(limit))
        kept = kept[np.argsort(hashes[kept], kind="stable")][:size]
        return cls(size, hashes[kept], _plain(batch.take(pa.array(kept))))

    def merged(self, other: RowSample) -> RowSample:
        """Return the sample of the rows of both."""
        hashes = np.concatenate([self.hashes, other.hashes])
        order = np.argsort(hashes, kind="stable")[: self.size]
        both = pa.concat_batches([self.rows, other.rows])
        return RowSample(self.size, hashes[order], both.take(pa.array(order)))

    @property
    def limit(self) -> int | None:
        """Rows of this hash or above cannot enter a full sample; None while there is room."""
        return int(self.hashes[-1]) if len(self.hashes) == self.size else None


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    # Batches of one column may come with different dictionaries.
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
