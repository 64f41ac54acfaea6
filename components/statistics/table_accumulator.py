"""Everything that is known about some rows of a table, in one accumulator."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from components.data.hashing import is_text
from components.statistics.accumulator import NO_ASPECTS, Accumulator, Aspects, Settings, Units
from components.statistics.accumulators import accumulators_of
from components.statistics.label_relations import Label
from components.statistics.label_statistics import LabelRelation, LabelSample
from components.statistics.row_sample import RowSample
from components.statistics.slice_accumulator import SliceAccumulator, slice_settings
from components.statistics.statistics import ColumnStatistics, DatasetStatistics, SplitStatistics
from components.statistics.weights import UNITS, require_countable, units_of, with_weights


@dataclass
class TableAccumulator:
    """The statistics of some rows of a table, so far.

    Attributes:
        schema: The columns that are described; rows may have more, such as a label.
        settings: What the user chose for every column.
        aspects: What is described besides.
        span: Name of the span the rows belong to.
        rows: How many rows were taken in.
        units: Sum of their weights.
        columns: For each column its accumulator.
        weighted: The same with every row counted by its weight; empty without weights.
        slices: One for each group of slices.
        sample: Sample of the rows; None without a label.
    """

    schema: pa.Schema
    settings: Settings
    aspects: Aspects = NO_ASPECTS
    span: str = ""
    rows: int = 0
    units: int = 0
    columns: list[Accumulator] = field(init=False)
    weighted: list[Accumulator] = field(init=False)
    slices: list[SliceAccumulator] = field(init=False)
    sample: RowSample | None = None

    def __post_init__(self) -> None:
        plain = dataclasses.replace(self.settings, hints=False)
        self.columns = accumulators_of(self.schema, self.settings)
        self.weighted = accumulators_of(self.schema, plain) if self.aspects.weight else []
        few = slice_settings(self.settings)
        most = self.aspects.max_slices
        self.slices = [SliceAccumulator(by, self.schema, few, most) for by in self.aspects.slices]

    def add(self, batch: pa.RecordBatch, start: int | None = None) -> None:
        """Take in rows; text columns may come dictionary-encoded.

        Args:
            batch: The rows.
            start: Number of the first of them in its span; by default they follow those taken in.

        Raises:
            DataError: A weight is missing or cannot be one.
        """
        described = [batch.column(name) for name in self.schema.names]
        for accumulator, values in zip(self.columns, described, strict=True):
            accumulator.add(values)
        if self.aspects.weight:
            self._add_weighted(described, units_of(batch.column(self.aspects.weight), self.aspects.weight))
        for slices in self.slices:
            slices.add(batch)
        if self.aspects.label:
            self._add_to_sample(batch, self.rows if start is None else start)
        self.rows += batch.num_rows

    def _add_weighted(self, described: list[pa.Array], units: Units) -> None:
        self.units += int(units.sum())
        require_countable(self.units, self.aspects.weight)
        for accumulator, values in zip(self.weighted, described, strict=True):
            accumulator.add(values, units)

    def _add_to_sample(self, batch: pa.RecordBatch, start: int) -> None:
        names = [one.name for one in self.schema if tells_of_label(one.type)]
        wanted = list(dict.fromkeys([*names, self.aspects.label]))
        limit = None if self.sample is None else self.sample.limit
        new = RowSample.of(batch.select(wanted), self.span, start, self.aspects.sample_rows, limit)
        self.sample = new if self.sample is None else self.sample.merged(new)

    def merged(self, other: TableAccumulator) -> TableAccumulator:
        """Return the accumulator of the rows of both.

        Raises:
            DataError: The sum of the weights is too large.
        """
        out = TableAccumulator(self.schema, self.settings, self.aspects, self.span, self.rows + other.rows)
        out.units = self.units + other.units
        require_countable(out.units, self.aspects.weight)
        out.columns = _merged(self.columns, other.columns)
        out.weighted = _merged(self.weighted, other.weighted)
        out.slices = [one.merged(two) for one, two in zip(self.slices, other.slices, strict=True)]
        samples = [one.sample for one in (self, other) if one.sample is not None]
        out.sample = samples[0].merged(samples[1]) if len(samples) == 2 else next(iter(samples), None)
        return out

    def compressed(self) -> TableAccumulator:
        """Return the same with little memory: what travels between workers is small."""
        return TableAccumulator(self.schema, self.settings, self.aspects, self.span).merged(self)


def _merged(ones: list[Accumulator], others: list[Accumulator]) -> list[Accumulator]:
    return [one.merged(other) for one, other in zip(ones, others, strict=True)]


def tells_of_label(kind: pa.DataType) -> bool:
    """Tell whether a type's relation to a label is described: numbers, booleans, times and texts."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind):
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    primitive = pa.types.is_primitive(kind) and not pa.types.is_interval(kind)
    return bool(primitive or pa.types.is_decimal(kind))


def extract(tables: Mapping[str, TableAccumulator], settings: Settings) -> DatasetStatistics:
    """Return the statistics of a data set from the accumulators of its splits."""
    splits = {name: describe(table, list(tables.values())) for name, table in tables.items()}
    aspects = next((table.aspects for table in tables.values()), NO_ASPECTS)
    return DatasetStatistics(
        splits, settings.quantile_error, weight=aspects.weight or None, label=aspects.label or None
    )


def describe(table: TableAccumulator, splits: list[TableAccumulator]) -> SplitStatistics:
    """Return the statistics of one split; histograms share their bins with those of all ``splits``."""
    relations, sample = _relations(table)
    columns = tuple(
        dataclasses.replace(column, label=relations.get(column.name))
        for column in describe_columns(table, splits)
    )
    peers = [[split.columns[place] for split in splits] for place in range(len(table.columns))]
    return SplitStatistics(
        rows=table.rows,
        columns=columns,
        weight=table.units / UNITS if table.aspects.weight else None,
        label_sample=sample,
        slices=tuple(slices.extract(peers) for slices in table.slices),
    )


def describe_columns(table: TableAccumulator, splits: list[TableAccumulator]) -> tuple[ColumnStatistics, ...]:
    """Return the statistics of each column, weighted ones beside where there are weights."""
    found = []
    for place, (one, accumulator) in enumerate(zip(table.schema, table.columns, strict=True)):
        column = accumulator.extract(one, [split.columns[place] for split in splits])
        if table.weighted:
            counted = table.weighted[place].extract(one, [split.columns[place] for split in splits])
            column = with_weights(column, counted)
        found.append(column)
    return tuple(found)


def _relations(table: TableAccumulator) -> tuple[dict[str, LabelRelation], LabelSample | None]:
    name = table.aspects.label
    if not name:
        return {}, None
    if table.sample is None:
        return {}, LabelSample(0, 0, exact=True)
    rows = table.sample.rows
    label = Label(rows.column(name))
    sample = LabelSample(
        rows=len(label.values),
        of_rows=table.rows,
        exact=rows.num_rows == table.rows,
        classes=label.grouping.classes,
    )
    described = [one for one in table.schema.names if one != name and one in rows.schema.names]
    return {one: label.relation(rows.column(one)) for one in described}, sample
