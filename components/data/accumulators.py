"""The accumulator of each family of column types; those of nested types hold others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.accumulator import Accumulator, Settings
from components.data.hashing import is_text
from components.data.number_accumulator import NumberAccumulator
from components.data.number_summary import NumberSummary
from components.data.statistics import ColumnStatistics, Kind
from components.data.text_accumulator import TextAccumulator


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

    def add(self, array: pa.Array) -> None:
        """Take in an array of lists."""
        self.missing += array.null_count
        if pa.types.is_map(array.type):
            array = pc.cast(array, pa.list_(_item_field(array.type)))
        present = array.drop_null()
        if len(present):
            self.lengths.add(pc.list_value_length(present).to_numpy(zero_copy_only=False).astype(np.int64))
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

    def add(self, array: pa.Array) -> None:
        """Take in an array of structs."""
        self.missing += array.null_count
        self.present += len(array) - array.null_count
        for accumulator, values in zip(self.fields, array.flatten(), strict=True):
            accumulator.add(values)

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

    def add(self, array: pa.Array) -> None:
        """Take in an array."""
        self.missing += array.null_count
        self.present += len(array) - array.null_count

    def merged(self, other: CountAccumulator) -> CountAccumulator:
        """Return the accumulator of the values of both."""
        return CountAccumulator(self.missing + other.missing, self.present + other.present)

    def extract(self, field: pa.Field, peers: Sequence[CountAccumulator]) -> ColumnStatistics:
        """Return the column's statistics."""
        kind: Kind = "empty" if pa.types.is_null(field.type) else "other"
        return ColumnStatistics(field.name, str(field.type), kind, self.present, self.missing)


def accumulator_for(kind: pa.DataType, settings: Settings) -> Accumulator:
    """Return an empty accumulator for a column of a type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind):
        return TextAccumulator(settings)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return ListAccumulator(settings, kind)
    if pa.types.is_struct(kind):
        return StructAccumulator(settings, kind)
    if pa.types.is_decimal(kind) or (pa.types.is_primitive(kind) and not pa.types.is_interval(kind)):
        return NumberAccumulator(settings)
    return CountAccumulator()
