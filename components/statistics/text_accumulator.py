"""Accumulates columns of texts and byte strings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.statistics.accumulator import Settings, Units, without_missing
from components.statistics.frequencies import Frequencies, Integers, NumberTable, TextTable
from components.statistics.hints import Shape, hints_of_bytes, hints_of_texts, strange_bytes
from components.statistics.number_summary import NumberSummary
from components.statistics.shown_values import cut_text
from components.statistics.statistics import ColumnStatistics, TopValue

LISTED = 400
"""Texts are all listed, whatever ``top_k`` says, where there are no more than this."""


@dataclass
class TextAccumulator:
    """Texts and byte strings."""

    settings: Settings
    missing: int = 0
    present: int = 0
    not_utf8: int = 0
    smallest: Any = None
    largest: Any = None
    frequencies: Frequencies[TextTable] | None = None
    lengths: NumberSummary = field(init=False)

    def __post_init__(self) -> None:
        self.lengths = NumberSummary(self.settings)

    def add(self, array: pa.Array, units: Units | None = None) -> None:
        """Take in an array, dictionary-encoded or plain."""
        if is_view(array.type):
            array = array.cast(pa.large_string() if _is_unicode(array.type) else pa.large_binary())
        present, units, missing = without_missing(array, units)
        self.missing += missing
        if not len(present):
            return
        self.present += len(present) if units is None else int(units.sum())
        table = TextTable.of(present, units)
        if not _is_unicode(table.values.type):
            self.not_utf8 += int(table.counts[strange_bytes(table.values)].sum())
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
            self,
            missing=self.missing + other.missing,
            present=self.present + other.present,
            not_utf8=self.not_utf8 + other.not_utf8,
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
            min_text=cut_text(self.smallest) if text and self.present else None,
            max_text=cut_text(self.largest) if text and self.present else None,
            lengths=self.lengths.extract([peer.lengths for peer in peers]),
            not_utf8=self.not_utf8,
            **self._hints(text=text),
        )

    def _hints(self, *, text: bool) -> dict[str, Any]:
        frequencies = self.frequencies
        if frequencies is None or not self.settings.hints:
            return {}
        values, exact = frequencies.looked_at()
        shape = Shape(self.present, frequencies.distinct, frequencies.distinct_is_exact)
        found = hints_of_texts(values.values, shape) if text else hints_of_bytes(values.values)
        return {
            "hint": found.hint,
            "hints": found.hints,
            "hinted_values": found.values,
            "hints_exact": exact,
        }

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
        return tuple(TopValue(cut_text(value), int(-count)) for count, value in pairs)


_NONE: Integers = np.zeros(0, np.int64)


def is_view(kind: pa.DataType) -> bool:
    """Tell whether a type holds texts or byte strings as views, of which Arrow computes little."""
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _is_unicode(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in texts)


def _length_table(table: TextTable) -> NumberTable:
    measure = pc.utf8_length if _is_unicode(table.values.type) else pc.binary_length
    lengths = measure(table.values).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(lengths, table.counts).astype(np.int64) if lengths.max() < 1 << 16 else None
    if counts is not None:
        used = np.flatnonzero(counts)
        return NumberTable(used, counts[used])
    order = np.argsort(lengths, kind="stable")
    return NumberTable(lengths[order], table.counts[order]).plus(NumberTable(_NONE, _NONE))
