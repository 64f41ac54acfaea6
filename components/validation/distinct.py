"""Distinct values of columns of any size: partial counts are spread over shards by hash and counted there."""

from __future__ import annotations

import heapq
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.hashing import hash_array
from components.validation.kernels import in_set, per_value
from components.validation.metrics import plain
from components.validation.parts import MOST_EXAMPLES, Violations
from components.validation.relations import considered
from components.validation.view import View, is_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 32_768
_ESCAPES = (("\\", "\\\\"), ("\x1f", "\\u"))


@dataclass(frozen=True)
class DistinctSpec:
    """What to count the distinct values of.

    Attributes:
        key: Name of the result.
        columns: One column, or several whose values count together.
        condition: Row condition as JSON, None for every row.
        positions: Whether the rows of repeated values are wanted, not only their number.
        outside: Count only values that are not in this set.
        ignore_row_if: For several columns: which rows to leave out.
    """

    key: str
    columns: tuple[str, ...]
    condition: Any = None
    positions: bool = False
    outside: tuple[Any, ...] | None = None
    ignore_row_if: str | None = None


@dataclass
class Partial:
    """Some values of one shard: each row's with its position, or each distinct one with its count."""

    values: pa.Array
    counts: NDArray[np.int64] | None
    positions: NDArray[np.int64] | None


class Distinct:
    """Distinct values of one or several shards.

    Attributes:
        count: Distinct values.
        rows: Rows that hold a value.
        repeated: Rows whose value occurs again, with the first of them.
        table: The smallest ``MOST_VALUES`` values, ascending, with their counts.
        most: How often the most frequent value occurs.
        modes: How many values occur as often.
        common: The smallest ``MOST_VALUES`` of those, ascending.
    """

    def __init__(self) -> None:
        self.count = 0
        self.rows = 0
        self.repeated = Violations()
        self.table: list[tuple[Any, int]] = []
        self.most = 0
        self.modes = 0
        self.common: list[Any] = []

    def merge(self, other: Self) -> None:
        """Add another shard; no value may be in both."""
        self.count += other.count
        self.rows += other.rows
        self.repeated.merge(other.repeated)
        self.table = _first(self.table, other.table)
        if other.most > self.most:
            self.most, self.modes, self.common = other.most, other.modes, other.common
        elif other.most == self.most:
            self.modes += other.modes
            self.common = _first(self.common, other.common)

    @property
    def complete(self) -> bool:
        """Whether :attr:`table` holds every value."""
        return self.count == len(self.table)


def _first(one: list[Any], other: list[Any]) -> list[Any]:
    return list(itertools.islice(heapq.merge(one, other), MOST_VALUES))


def partials(spec: DistinctSpec, view: View, shards: int) -> Iterator[tuple[int, Partial]]:
    """Yield a batch's values by shard."""
    view = view.where(spec.condition)
    values, rows = _values(spec, view)
    if not len(values):
        return
    if spec.positions:
        part = Partial(values, None, view.positions[rows])
    else:
        counted = pc.value_counts(values)
        part = Partial(counted.field("values"), counted.field("counts").to_numpy(), None)
    if shards == 1:
        yield 0, part
        return
    shard = hash_array(part.values) % np.uint64(shards)
    order = np.argsort(shard, kind="stable")
    cuts = np.searchsorted(shard[order], np.arange(shards + 1))
    for number in range(shards):
        chosen = order[cuts[number] : cuts[number + 1]]
        if len(chosen):
            yield number, _take(part, chosen)


def _take(part: Partial, rows: NDArray[np.int64]) -> Partial:
    return Partial(
        part.values.take(pa.array(rows)),
        None if part.counts is None else part.counts[rows],
        None if part.positions is None else part.positions[rows],
    )


def _values(spec: DistinctSpec, view: View) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return the values to count and the mask of the rows they come from."""
    if len(spec.columns) > 1:
        kept = considered(view, list(spec.columns), spec.ignore_row_if or "never")
        values = compound(view, spec.columns).filter(kept)
    else:
        kept = pc.invert(view.missing(spec.columns[0]))
        values = countable(view.present(spec.columns[0]))
        if spec.outside is not None:
            array = view.column(spec.columns[0])
            kept = pc.and_(kept, pc.invert(in_set(array, {"value_set": spec.outside})))
            values = countable(array.filter(kept))
    return values, np.asarray(kept.to_numpy(zero_copy_only=False), dtype=bool)


def countable(array: pa.Array) -> pa.Array:
    """Return values in a form that can be counted: lists and structs as their JSON, -0.0 as 0.0."""
    if pa.types.is_nested(array.type):
        return per_value(array, lambda value: json.dumps(plain(value), ensure_ascii=False), pa.string())
    if pa.types.is_floating(array.type):
        return pc.add(array, pa.scalar(0.0, array.type))
    return array


def compound(view: View, columns: tuple[str, ...]) -> pa.Array:
    """Return one text per row that is equal exactly where all values are; missing equals missing."""
    return pc.binary_join_element_wise(*(_escaped(view, name) for name in columns), "\x1f")


def _escaped(view: View, name: str) -> pa.Array:
    array = countable(view.column(name))
    text = array if is_text(array.type) else array.cast(pa.string())
    for old, new in _ESCAPES:
        text = pc.replace_substring(text, pattern=old, replacement=new)
    return pc.if_else(view.missing(name), pa.scalar("\\N"), text)


def count(spec: DistinctSpec, parts: list[Partial]) -> Distinct:
    """Return the distinct values of one shard."""
    found = Distinct()
    values = pa.chunked_array([part.values for part in parts]).combine_chunks()
    distinct, counts = _counted(values, parts)
    found.count = len(distinct)
    found.rows = int(counts.sum())
    found.most = int(counts.max())
    found.table = _smallest(distinct, counts)
    frequent = counts == found.most
    found.modes = int(frequent.sum())
    found.common = [v for v, _ in _smallest(distinct.filter(pa.array(frequent)), counts[frequent])]
    found.repeated.considered = found.rows
    found.repeated.count = int(counts[counts > 1].sum())
    if spec.positions and found.repeated.count:
        positions = np.concatenate([part.positions for part in parts if part.positions is not None])
        repeated = distinct.filter(pa.array(counts > 1))
        rows = np.flatnonzero(pc.is_in(values, value_set=repeated).to_numpy(zero_copy_only=False))
        first = rows[np.argsort(positions[rows])[:MOST_EXAMPLES]]
        shown = [_shown(spec, value) for value in values.take(pa.array(first)).to_pylist()]
        found.repeated.examples = list(zip(positions[first].tolist(), shown, strict=True))
    return found


def repeated_positions(parts: list[Partial]) -> NDArray[np.int64]:
    """Return the positions of all rows of one shard whose value occurs again."""
    values = pa.chunked_array([part.values for part in parts]).combine_chunks()
    positions = np.concatenate([part.positions for part in parts if part.positions is not None])
    counted = pc.value_counts(values)
    repeated = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    again = np.asarray(pc.is_in(values, value_set=repeated).to_numpy(zero_copy_only=False), dtype=bool)
    return np.asarray(positions[again], dtype=np.int64)


def _counted(values: pa.Array, parts: list[Partial]) -> tuple[pa.Array, NDArray[np.int64]]:
    if parts[0].counts is None:
        counted = pc.value_counts(values)
        return counted.field("values"), counted.field("counts").to_numpy()
    encoded = values.dictionary_encode()
    weights = np.concatenate([part.counts for part in parts if part.counts is not None])
    sums = np.zeros(len(encoded.dictionary), np.int64)
    np.add.at(sums, encoded.indices.to_numpy(), weights)
    return encoded.dictionary, sums


def _smallest(distinct: pa.Array, counts: NDArray[np.int64]) -> list[tuple[Any, int]]:
    order = pc.sort_indices(distinct)[:MOST_VALUES] if not pa.types.is_boolean(distinct.type) else None
    if order is None:
        return sorted(zip(distinct.to_pylist(), counts.tolist(), strict=True))
    return list(zip(distinct.take(order).to_pylist(), counts[order.to_numpy()].tolist(), strict=True))


def _shown(spec: DistinctSpec, value: Any) -> list[Any]:
    if len(spec.columns) == 1:
        return [plain(value)]
    parts = value.split("\x1f")
    return [None if part == "\\N" else _unescaped(part) for part in parts]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\x1f" if found[1] == "u" else found[1], text)
