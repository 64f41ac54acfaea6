"""The statistics of slices: rows that agree in one or more columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from components.data.hashing import Hashes, hash_rows
from components.statistics.accumulator import Accumulator, Settings
from components.statistics.accumulators import accumulators_of
from components.statistics.frequencies import Integers, estimate_distinct, smallest_hashes
from components.statistics.shown_values import Shown, shown
from components.statistics.statistics import SliceGroup, SliceStatistics

TRACKED = 2
"""How many times as many slices are followed as are asked for."""
_CAPACITY, _QUANTILE_ERROR, _TOP = 256, 0.02, 10


def slice_settings(settings: Settings) -> Settings:
    """Return what holds for slices: less is kept of each, so that many fit into memory."""
    return Settings(
        quantile_error=max(settings.quantile_error, _QUANTILE_ERROR),
        top_k=min(settings.top_k, _TOP),
        capacity=min(settings.capacity, _CAPACITY),
        hints=False,
    )


@dataclass
class Slice:
    """The rows of one slice."""

    values: tuple[Shown | None, ...]
    columns: list[Accumulator]
    rows: int = 0

    def merged(self, other: Slice) -> Slice:
        """Return the slice with the rows of both."""
        columns = [one.merged(two) for one, two in zip(self.columns, other.columns, strict=True)]
        return Slice(self.values, columns, self.rows + other.rows)


@dataclass
class SliceAccumulator:
    """The largest slices by some columns.

    Where there are more slices than are followed, the smallest are dropped, and ``error`` says how many
    rows a slice may thereby have lost (after Misra and Gries).

    Attributes:
        by: Names of the columns.
        schema: The columns that are described.
        settings: What the user chose.
        most: How many slices are asked for; twice as many are followed.
        rows: Rows of all slices.
        error: How many rows may be missing from a slice; 0 while none was dropped.
        kept: The slices that are followed, by the hash of their values.
        smallest: Sketch of the number of distinct slices.
    """

    by: tuple[str, ...]
    schema: pa.Schema
    settings: Settings
    most: int
    rows: int = 0
    error: int = 0
    kept: dict[int, Slice] = field(default_factory=dict)
    smallest: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in rows."""
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        hashes = hash_rows(batch, self.by)
        order = np.argsort(hashes, kind="stable")
        ascending = hashes[order]
        starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
        counts = np.diff(starts, append=batch.num_rows)
        distinct = ascending[starts]
        self.smallest = smallest_hashes(self.smallest, distinct)
        followed = self._followed(distinct, counts)
        rows = batch.take(pa.array(order[_ranges(starts[followed], counts[followed])]))
        ends = np.cumsum(counts[followed])
        for place, end in zip(followed.tolist(), ends.tolist(), strict=True):
            self._add_to(int(distinct[place]), rows.slice(end - int(counts[place]), int(counts[place])))
        self._drop()

    def _followed(self, distinct: Hashes, counts: Integers) -> Integers:
        """Return which slices of a batch are taken in: those followed already, and the largest new ones."""
        known = np.isin(distinct, np.array(list(self.kept), np.uint64))
        new = np.flatnonzero(~known)
        new = new[np.lexsort((distinct[new], -counts[new]))]
        limit = TRACKED * self.most
        if len(new) > limit:
            self.error += int(counts[new[limit]])
        return np.sort(np.concatenate([np.flatnonzero(known), new[:limit]]))

    def _add_to(self, hashed: int, rows: pa.RecordBatch) -> None:
        if hashed not in self.kept:
            values = tuple(_value(rows.column(name)) for name in self.by)
            self.kept[hashed] = Slice(values, accumulators_of(self.schema, self.settings))
        slice_ = self.kept[hashed]
        slice_.rows += rows.num_rows
        for accumulator, name in zip(slice_.columns, self.schema.names, strict=True):
            accumulator.add(rows.column(name))

    def _drop(self) -> None:
        limit = TRACKED * self.most
        if len(self.kept) <= limit:
            return
        order = sorted(self.kept, key=lambda hashed: (-self.kept[hashed].rows, hashed))
        self.error += self.kept[order[limit]].rows
        self.kept = {hashed: self.kept[hashed] for hashed in order[:limit]}

    def merged(self, other: SliceAccumulator) -> SliceAccumulator:
        """Return the slices of the rows of both."""
        out = SliceAccumulator(self.by, self.schema, self.settings, self.most, self.rows + other.rows)
        out.error = self.error + other.error
        out.smallest = smallest_hashes(self.smallest, other.smallest)
        empty = Slice((), accumulators_of(self.schema, self.settings))
        for hashed in self.kept.keys() | other.kept.keys():
            one, two = self.kept.get(hashed), other.kept.get(hashed)
            values = (one or two or empty).values
            out.kept[hashed] = (one or replace(empty, values=values)).merged(two or empty)
        out._drop()
        return out

    def extract(self, peers: Sequence[Sequence[Accumulator]]) -> SliceGroup:
        """Return the largest slices.

        Args:
            peers: For each column the accumulators whose bins the histograms share.
        """
        largest = sorted(self.kept.values(), key=lambda one: (-one.rows, json.dumps(one.values)))[: self.most]
        slices = tuple(
            SliceStatistics(
                values=one.values,
                rows=one.rows,
                columns=tuple(
                    accumulator.extract(field_, beside)
                    for accumulator, field_, beside in zip(one.columns, self.schema, peers, strict=True)
                ),
                rows_error=self.error,
            )
            for one in largest
        )
        return SliceGroup(
            by=self.by,
            slices=slices,
            other_rows=self.rows - sum(one.rows for one in largest),
            other_slices=max(estimate_distinct(self.smallest) - len(largest), 0),
        )


def _ranges(starts: Integers, counts: Integers) -> Integers:
    """Return the places of all ranges that begin at ``starts`` and are ``counts`` long."""
    ends = np.cumsum(counts)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - counts), counts)
    return np.asarray(places, np.int64)


def _value(column: pa.Array) -> Shown | None:
    first = column.slice(0, 1)
    if pa.types.is_dictionary(first.type):
        first = first.dictionary_decode()
    return shown(first[0]) if first[0].is_valid else None
