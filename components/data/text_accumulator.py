"""Accumulates columns of texts and byte strings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.accumulator import Settings
from components.data.frequencies import Frequencies, Integers, NumberTable, TextTable
from components.data.number_summary import NumberSummary
from components.data.statistics import ColumnStatistics, TopValue

LONGEST_SHOWN = 1000
LISTED = 400
"""Texts are all listed, whatever ``top_k`` says, where there are no more than this."""


@dataclass
class TextAccumulator:
    """Texts and byte strings."""

    settings: Settings
    missing: int = 0
    present: int = 0
    smallest: Any = None
    largest: Any = None
    frequencies: Frequencies[TextTable] | None = None
    lengths: NumberSummary = field(init=False)

    def __post_init__(self) -> None:
        self.lengths = NumberSummary(self.settings)

    def add(self, array: pa.Array) -> None:
        """Take in an array, dictionary-encoded or plain."""
        self.missing += array.null_count
        present = array.drop_null() if array.null_count else array
        if not len(present):
            return
        self.present += len(present)
        table = TextTable.of(present)
        self.lengths.add_table(_length_table(table))
        bounds = pc.min_max(table.values).as_py()
        self._widen(bounds["min"], bounds["max"])
        capacity = self.settings.capacity
        before = self.frequencies or Frequencies(table.take(_NONE, _NONE), capacity)
        self.frequencies = before.merged(Frequencies(table, capacity))

    def _widen(self, low: Any, high: Any) -> None:
        if low is None:
            return
        self.smallest = low if self.smallest is None else min(self.smallest, low)
        self.largest = high if self.largest is None else max(self.largest, high)

    def merged(self, other: TextAccumulator) -> TextAccumulator:
        """Return the accumulator of the values of both."""
        out = dataclasses.replace(
            self, missing=self.missing + other.missing, present=self.present + other.present
        )
        out.lengths = self.lengths.merged(other.lengths)
        out._widen(other.smallest, other.largest)
        if self.frequencies is None:
            out.frequencies = other.frequencies
        elif other.frequencies is not None:
            out.frequencies = self.frequencies.merged(other.frequencies)
        return out

    def extract(self, field: pa.Field, peers: Sequence[TextAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        frequencies = self.frequencies
        text = _is_unicode(field.type)
        return ColumnStatistics(
            name=field.name,
            type=str(field.type),
            kind="text" if text else "bytes",
            present=self.present,
            missing=self.missing,
            distinct=0 if frequencies is None else frequencies.distinct,
            distinct_exact=frequencies is None or frequencies.distinct_is_exact,
            top=self._top() if text else (),
            top_error=0 if frequencies is None else frequencies.error,
            empty=self.lengths.zeros,
            min_text=_cut(self.smallest) if text else None,
            max_text=_cut(self.largest) if text else None,
            lengths=self.lengths.extract([peer.lengths for peer in peers]),
        )

    def _top(self) -> tuple[TopValue, ...]:
        if self.frequencies is None:
            return ()
        table = self.frequencies.table
        kept = self.settings.top_k
        if self.frequencies.complete and len(table) <= LISTED:
            kept = max(kept, len(table))
        order = np.argsort(-table.counts, kind="stable")[:kept]
        if len(order):
            # All values as frequent as the last one compete for its place, by their text.
            order = np.flatnonzero(table.counts >= table.counts[order[-1]])
        values = table.values.take(pa.array(order)).to_pylist()
        pairs = sorted(zip(-table.counts[order], values, strict=True))[:kept]
        return tuple(TopValue(_cut(value) or "", int(-count)) for count, value in pairs)


_NONE: Integers = np.zeros(0, np.int64)


def _is_unicode(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _length_table(table: TextTable) -> NumberTable:
    measure = pc.utf8_length if _is_unicode(table.values.type) else pc.binary_length
    lengths = measure(table.values).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(lengths, table.counts).astype(np.int64) if lengths.max() < 1 << 16 else None
    if counts is not None:
        used = np.flatnonzero(counts)
        return NumberTable(used, counts[used])
    order = np.argsort(lengths, kind="stable")
    return NumberTable(lengths[order], table.counts[order]).plus(NumberTable(_NONE, _NONE))


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_SHOWN:
        return text
    return text[: LONGEST_SHOWN - 1] + "…"
