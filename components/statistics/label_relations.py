"""What columns tell about the label, computed from a sample of rows.

A column's values are grouped: each frequent value, ten ranges of about equally many rows where a column of
numbers has more than 20 values, missing ones, all others. Mutual information and lifts come from the joint
counts of groups and classes of the label; correlations from the values themselves.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.data.hashing import as_numbers
from components.statistics.frequencies import NumberTable, TextTable
from components.statistics.label_statistics import LabelClass, LabelGroup, LabelRelation
from components.statistics.mutual_information import information
from components.statistics.shown_values import family, shown

_MOST_VALUES = 20
_MOST_CLASSES = 10
_RANGES = 10

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grouping:
    """Rows put into groups: a code for each row, and what each code means."""

    codes: Codes
    groups: tuple[LabelGroup, ...]

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The groups as classes of a label."""
        return tuple(LabelClass(one.rows, one.value, one.low, one.high) for one in self.groups)


class Label:
    """The label of some rows."""

    def __init__(self, values: pa.Array) -> None:
        known = np.asarray(values.is_valid(), np.bool_)
        self.places = pa.array(np.flatnonzero(known))
        self.values = values.take(self.places)
        self.grouping = grouped(self.values, _MOST_CLASSES)
        self.numbers = _floats(self.values)

    def relation(self, values: pa.Array) -> LabelRelation:
        """Return what a column of the same rows tells about the label."""
        values = values.take(self.places)
        groups = grouped(values, _MOST_VALUES)
        shape = (len(groups.groups), len(self.grouping.groups))
        joint = np.zeros(shape, np.int64)
        np.add.at(joint, (groups.codes, self.grouping.codes), 1)
        found = information(joint)
        pearson, spearman = self._correlations(values)
        return LabelRelation(
            rows=len(values),
            mutual_information=found.plain - found.by_chance,
            adjusted_mutual_information=found.adjusted,
            pearson=pearson,
            spearman=spearman,
            groups=tuple(
                dataclasses.replace(group, lifts=tuple(lifts))
                for group, lifts in zip(groups.groups, _lifts(joint), strict=True)
            ),
        )

    def _correlations(self, values: pa.Array) -> tuple[float | None, float | None]:
        numbers = _floats(values)
        if numbers is None or self.numbers is None:
            return None, None
        both = np.isfinite(numbers) & np.isfinite(self.numbers)
        one, two = numbers[both], self.numbers[both]
        return correlation(one, two), correlation(ranks(one), ranks(two))


def _lifts(joint: npt.NDArray[np.int64]) -> list[list[float]]:
    total = joint.sum()
    lifts = joint * float(total) / np.outer(joint.sum(axis=1), joint.sum(axis=0)) if total else joint
    return [[float(one) for one in row] for row in lifts]


def grouped(values: pa.Array, most: int) -> Grouping:
    """Return values in at most ``most`` groups of one value, or in ranges, and the rest of them."""
    numbers = _floats(values)
    missing = np.asarray(values.is_null(), np.bool_)
    codes = np.full(len(values), -1, np.int64)
    if numbers is None:
        groups = _frequent_texts(values, codes, most)
    else:
        groups = _frequent_numbers(values, numbers, codes, most)
    for kind, rest in (("other", (codes < 0) & ~missing), ("missing", missing)):
        if rest.any():
            codes[rest] = len(groups)
            groups.append(LabelGroup("missing" if kind == "missing" else "other", int(rest.sum())))
    return Grouping(codes, tuple(groups))


def _frequent_texts(values: pa.Array, codes: Codes, most: int) -> list[LabelGroup]:
    valid = np.flatnonzero(np.asarray(values.is_valid(), np.bool_))
    encoded = values.drop_null().dictionary_encode()
    if not len(encoded):
        return []
    table = TextTable.of(encoded)
    names = table.values.to_pylist()
    order = sorted(range(len(names)), key=lambda place: (-table.counts[place], names[place]))[:most]
    place_of = np.full(len(names), -1, np.int64)
    place_of[order] = np.arange(len(order))
    codes[valid] = place_of[encoded.indices.to_numpy(zero_copy_only=False)]
    return [LabelGroup("value", int(table.counts[place]), value=names[place]) for place in order]


def _frequent_numbers(values: pa.Array, numbers: Floats, codes: Codes, most: int) -> list[LabelGroup]:
    finite = np.isfinite(numbers)  # missing values are NaN here
    table = NumberTable.of(np.sort(numbers[finite]))
    if len(table) <= most:
        codes[finite] = np.searchsorted(table.values, numbers[finite])
        firsts = [int(np.flatnonzero(codes == place)[0]) for place in range(len(table))]
        return [
            LabelGroup("value", int(count), value=shown(values[first]))
            for count, first in zip(table.counts, firsts, strict=True)
        ]
    inside = numbers[finite]
    edges = np.unique(np.quantile(inside, np.arange(1, _RANGES) / _RANGES, method="inverted_cdf"))
    found = np.searchsorted(edges, inside, side="left")
    used = np.unique(found)
    codes[finite] = np.searchsorted(used, found)
    ranges = [inside[found == place] for place in used]
    return [LabelGroup("range", len(one), low=float(one.min()), high=float(one.max())) for one in ranges]


def _floats(values: pa.Array) -> Floats | None:
    """Return numbers, booleans and times (in seconds) as floats, NaN where missing; None for others."""
    kind = values.type
    missing = np.asarray(values.is_null(), np.bool_)
    if pa.types.is_decimal(kind):
        values = pc.cast(values, pa.float64(), safe=False)
    numbers = as_numbers(values)
    if numbers is None:
        return None
    floats = numbers.astype(np.float64) * family(kind)[1]
    floats[missing] = np.nan
    return floats


def correlation(one: Floats, two: Floats) -> float | None:
    """Return Pearson's correlation; None where one does not vary."""
    if len(one) < 2:
        return None
    # Scaled first: squares of large numbers would overflow.
    left, right = _centred(one), _centred(two)
    if left is None or right is None:
        return None
    product = float((left * right).sum())
    return max(-1.0, min(1.0, product / float(np.sqrt((left**2).sum() * (right**2).sum()))))


def _centred(values: Floats) -> Floats | None:
    largest = float(np.abs(values).max())
    if not largest or values.min() == values.max():
        return None
    scaled = values / largest
    centred = np.asarray(scaled - scaled.mean(), np.float64)
    return centred if np.any(centred) else None


def ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)
