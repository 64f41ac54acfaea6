"""The accumulator of each family of column types; those of nested types hold others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.hashing import is_text
from components.statistics.accumulator import Accumulator, Settings, Units, without_missing
from components.statistics.number_accumulator import NumberAccumulator
from components.statistics.number_summary import NumberSummary
from components.statistics.statistics import ColumnStatistics, Kind
from components.statistics.text_accumulator import TextAccumulator, is_view


@dataclass
class ListAccumulator:
    """Lists: how long they are, and their items."""

    settings: Settings
    kind: pa.DataType
    missing: int = 0
    lengths: NumberSummary = field(init=False)
    items: Accumulator = field(init=False)

    def __post_init__(self) -> None:
        self.lengths = NumberSummary(self.settings)
        self.items = accumulator_for(_item_field(self.kind).type, self.settings)

    def add(self, array: pa.Array, units: Units | None = None) -> None:
        """Take in an array of lists; with ``units`` only the lists count so, their items are left out."""
        if pa.types.is_map(array.type):
            array = pc.cast(array, pa.list_(_item_field(array.type)))
        present, units, missing = without_missing(array, units)
        self.missing += missing
        if len(present):
            lengths = pc.list_value_length(present).to_numpy(zero_copy_only=False)
            self.lengths.add(lengths.astype(np.int64), units)
            if units is None:
                self.items.add(present.flatten())

    def merged(self, other: ListAccumulator) -> ListAccumulator:
        """Return the accumulator of the lists of both."""
        out = ListAccumulator(self.settings, self.kind, self.missing + other.missing)
        out.lengths = self.lengths.merged(other.lengths)
        out.items = self.items.merged(other.items)
        return out

    def extract(self, field: pa.Field, peers: Sequence[ListAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        return ColumnStatistics(
            name=field.name,
            type=str(field.type),
            kind="list",
            present=self.lengths.moments.count,
            missing=self.missing,
            empty=self.lengths.zeros,
            lengths=self.lengths.extract([peer.lengths for peer in peers]),
            items=self.items.extract(_item_field(self.kind), [peer.items for peer in peers]),
        )


_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)


def _item_field(kind: pa.DataType) -> pa.Field:
    if pa.types.is_map(kind):
        pair = pa.struct([pa.field("key", kind.key_type), pa.field("value", kind.item_type)])
        return pa.field("item", pair)
    return pa.field("item", kind.value_type)


@dataclass
class StructAccumulator:
    """Structs: each field on its own. A missing struct makes its fields missing."""

    settings: Settings
    kind: pa.DataType
    missing: int = 0
    present: int = 0
    fields: list[Accumulator] = field(init=False)

    def __post_init__(self) -> None:
        self.fields = [accumulator_for(one.type, self.settings) for one in self.kind]

    def add(self, array: pa.Array, units: Units | None = None) -> None:
        """Take in an array of structs."""
        missing, present = _presence(array, units)
        self.missing += missing
        self.present += present
        for accumulator, values in zip(self.fields, array.flatten(), strict=True):
            accumulator.add(values, units)

    def merged(self, other: StructAccumulator) -> StructAccumulator:
        """Return the accumulator of the structs of both."""
        out = StructAccumulator(self.settings, self.kind, self.missing + other.missing)
        out.present = self.present + other.present
        out.fields = [one.merged(two) for one, two in zip(self.fields, other.fields, strict=True)]
        return out

    def extract(self, field: pa.Field, peers: Sequence[StructAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        inner = tuple(
            accumulator.extract(one, [peer.fields[place] for peer in peers])
            for place, (one, accumulator) in enumerate(zip(self.kind, self.fields, strict=True))
        )
        return ColumnStatistics(
            name=field.name,
            type=str(field.type),
            kind="struct",
            present=self.present,
            missing=self.missing,
            fields=inner,
        )


@dataclass
class CountAccumulator:
    """Types of which only presence is known."""

    missing: int = 0
    present: int = 0

    def add(self, array: pa.Array, units: Units | None = None) -> None:
        """Take in an array."""
        missing, present = _presence(array, units)
        self.missing += missing
        self.present += present

    def merged(self, other: CountAccumulator) -> CountAccumulator:
        """Return the accumulator of the values of both."""
        return CountAccumulator(self.missing + other.missing, self.present + other.present)

    def extract(self, field: pa.Field, peers: Sequence[CountAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        kind: Kind = "empty" if pa.types.is_null(field.type) else "other"
        return ColumnStatistics(field.name, str(field.type), kind, self.present, self.missing)


def _presence(array: pa.Array, units: Units | None) -> tuple[int, int]:
    """Return how many values, or units of values, are missing and present."""
    if units is None:
        return array.null_count, len(array) - array.null_count
    valid = np.asarray(array.is_valid(), np.bool_)
    return int(units[~valid].sum()), int(units[valid].sum())


def accumulator_for(kind: pa.DataType, settings: Settings) -> Accumulator:
    """Return an empty accumulator for a column of a type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind) or is_view(kind):
        return TextAccumulator(settings)
    if any(test(kind) for test in _LISTS):
        return ListAccumulator(settings, kind)
    if pa.types.is_struct(kind):
        return StructAccumulator(settings, kind)
    if pa.types.is_decimal(kind) or (pa.types.is_primitive(kind) and not pa.types.is_interval(kind)):
        return NumberAccumulator(settings)
    return CountAccumulator()


def accumulators_of(schema: pa.Schema, settings: Settings) -> list[Accumulator]:
    """Return an empty accumulator for each column."""
    return [accumulator_for(one.type, settings) for one in schema]
