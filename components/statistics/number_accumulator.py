"""Accumulates columns of numbers, booleans, dates and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.hashing import as_numbers
from components.statistics.accumulator import Settings, Units, without_missing
from components.statistics.frequencies import Frequencies, Numbers, NumberTable
from components.statistics.hints import Shape, hints_of_numbers
from components.statistics.number_summary import NumberSummary
from components.statistics.shown_values import family, iso_text, number_shown
from components.statistics.statistics import ColumnStatistics, TopValue


@dataclass
class NumberAccumulator:
    """Numbers, booleans, dates and times.

    Attributes:
        settings: What the user chose.
        missing: Missing values.
        smallest: Of decimals, which a float may not hold exactly.
        largest: Of decimals.
        summary: Of all values that are there.
    """

    settings: Settings
    missing: int = 0
    smallest: Decimal | None = None
    largest: Decimal | None = None
    summary: NumberSummary = field(init=False)

    def __post_init__(self) -> None:
        self.summary = NumberSummary(self.settings)

    def add(self, array: pa.Array, units: Units | None = None) -> None:
        """Take in an array, dictionary-encoded or plain."""
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        present, units, missing = without_missing(array, units)
        self.missing += missing
        if pa.types.is_decimal(array.type):
            self._widen(present)
            present = pc.cast(present, pa.float64(), safe=False)
        numbers = as_numbers(present)
        if numbers is not None and len(numbers):
            self.summary.add(_wide(numbers), units)

    def _widen(self, decimals: pa.Array) -> None:
        bounds = pc.min_max(decimals).as_py()
        lows = [low for low in (self.smallest, bounds["min"]) if low is not None]
        highs = [high for high in (self.largest, bounds["max"]) if high is not None]
        self.smallest, self.largest = min(lows, default=None), max(highs, default=None)

    def merged(self, other: NumberAccumulator) -> NumberAccumulator:
        """Return the accumulator of the values of both."""
        out = NumberAccumulator(self.settings, self.missing + other.missing)
        out.smallest = min((low for low in (self.smallest, other.smallest) if low is not None), default=None)
        out.largest = max((top for top in (self.largest, other.largest) if top is not None), default=None)
        out.summary = self.summary.merged(other.summary)
        return out

    def extract(self, field: pa.Field, peers: Sequence[NumberAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        summary = self.summary
        logical = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        kind, scale = family(logical)
        frequencies = summary.frequencies
        strange = summary.nan + summary.positive_infinity + summary.negative_infinity
        is_time = kind == "time"
        return ColumnStatistics(
            name=field.name,
            type=str(field.type),
            kind=kind,
            present=summary.moments.count + strange,
            missing=self.missing,
            distinct=0 if frequencies is None else frequencies.distinct,
            distinct_exact=frequencies is None or frequencies.distinct_is_exact,
            top=() if frequencies is None else self._top(frequencies, logical),
            top_error=0 if frequencies is None else frequencies.error,
            min_text=iso_text(summary.smallest, logical) if is_time else _digits(self.smallest),
            max_text=iso_text(summary.largest, logical) if is_time else _digits(self.largest),
            numbers=summary.extract([peer.summary for peer in peers], scale),
            **(self._hints(frequencies) if kind == "number" and frequencies and self.settings.hints else {}),
        )

    def _hints(self, frequencies: Frequencies[NumberTable]) -> dict[str, Any]:
        table, exact = frequencies.looked_at()
        values = table.values
        if not exact and self.summary.points is not None:
            values = np.unique(self.summary.points.values)
        shape = Shape(self.summary.moments.count, frequencies.distinct, frequencies.distinct_is_exact)
        found = hints_of_numbers(values, shape)
        return {
            "hint": found.hint,
            "hints": found.hints,
            "hinted_values": found.values,
            "hints_exact": exact,
        }

    def _top(self, frequencies: Frequencies[NumberTable], kind: pa.DataType) -> tuple[TopValue, ...]:
        table = frequencies.table
        order = np.lexsort((table.values, -table.counts))[: self.settings.top_k]
        return tuple(
            TopValue(number_shown(table.values[i].item(), kind), int(table.counts[i])) for i in order
        )


def _wide(numbers: Numbers) -> Numbers:
    """Return numbers as int64, uint64 or float64."""
    kind = numbers.dtype.kind
    if kind == "f":
        return numbers.astype(np.float64, copy=False)
    if kind == "u" and numbers.dtype.itemsize == 8:
        return numbers
    return numbers.astype(np.int64, copy=False)


def _digits(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
