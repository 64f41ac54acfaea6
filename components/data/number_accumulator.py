"""Accumulates columns of numbers, booleans, dates and times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.accumulator import Settings
from components.data.frequencies import Frequencies, Numbers, NumberTable
from components.data.hashing import as_numbers
from components.data.number_summary import NumberSummary
from components.data.statistics import ColumnStatistics, Kind, TopValue


@dataclass
class NumberAccumulator:
    """Numbers, booleans, dates and times."""

    settings: Settings
    missing: int = 0
    summary: NumberSummary = field(init=False)

    def __post_init__(self) -> None:
        self.summary = NumberSummary(self.settings)

    def add(self, array: pa.Array) -> None:
        """Take in an array."""
        self.missing += array.null_count
        present = array.drop_null() if array.null_count else array
        if pa.types.is_decimal(array.type):
            present = pc.cast(present, pa.float64(), safe=False)
        numbers = as_numbers(present)
        if numbers is not None and len(numbers):
            self.summary.add(_wide(numbers))

    def merged(self, other: NumberAccumulator) -> NumberAccumulator:
        """Return the accumulator of the values of both."""
        out = NumberAccumulator(self.settings, self.missing + other.missing)
        out.summary = self.summary.merged(other.summary)
        return out

    def extract(self, field: pa.Field, peers: Sequence[NumberAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        summary = self.summary
        kind, scale = _family(field.type)
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
            top=() if frequencies is None else self._top(frequencies, field.type),
            top_error=0 if frequencies is None else frequencies.error,
            min_text=_iso(summary.smallest, field.type) if is_time else None,
            max_text=_iso(summary.largest, field.type) if is_time else None,
            numbers=summary.extract([peer.summary for peer in peers], scale),
        )

    def _top(self, frequencies: Frequencies[NumberTable], kind: pa.DataType) -> tuple[TopValue, ...]:
        table = frequencies.table
        order = np.lexsort((table.values, -table.counts))[: self.settings.top_k]
        return tuple(TopValue(_shown(table.values[i].item(), kind), int(table.counts[i])) for i in order)


def _wide(numbers: Numbers) -> Numbers:
    """Return numbers as int64, uint64 or float64."""
    kind = numbers.dtype.kind
    if kind == "f":
        return numbers.astype(np.float64, copy=False)
    if kind == "u" and numbers.dtype.itemsize == 8:
        return numbers
    return numbers.astype(np.int64, copy=False)


_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def _family(kind: pa.DataType) -> tuple[Kind, float]:
    """Return the family of a type of numbers, and the factor that turns its unit into seconds."""
    if pa.types.is_boolean(kind):
        return "bool", 1.0
    if pa.types.is_date32(kind):
        return "time", 86_400.0
    if pa.types.is_date64(kind):
        return "time", 1e-3
    if pa.types.is_temporal(kind):
        return "time", _SECONDS[kind.unit]
    return "number", 1.0


def _iso(value: int | None, kind: pa.DataType) -> str | None:
    if value is None:
        return None
    raw = pa.int32() if kind.bit_width == 32 else pa.int64()
    shown = pa.array([value], raw).view(kind)
    if pa.types.is_duration(kind):
        return f"{value} {kind.unit}"
    return str(pc.cast(shown, pa.string())[0].as_py())


def _shown(value: Any, kind: pa.DataType) -> str | int | float | bool:
    if pa.types.is_boolean(kind):
        return bool(value)
    if pa.types.is_temporal(kind):
        return _iso(value, kind) or ""
    return value  # type: ignore[no-any-return]  # a Python number
