"""Groups of rows by the values of raw columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from components.evaluation.arrays import Codes
from components.evaluation.spec import Slice
from orchestration import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SliceKey = tuple[tuple[str, str | None], ...]

OVERALL: SliceKey = ()
MISSING = "(missing)"


def groups(batch: pa.RecordBatch, slices: tuple[Slice, ...]) -> Iterator[tuple[SliceKey, Codes]]:
    """Yield the key and the row numbers of every group in a batch, all rows' (empty) key first.

    Raises:
        DataError: A slice's column is missing or cannot be grouped.
    """
    yield OVERALL, np.arange(batch.num_rows)
    for item in slices:
        yield from _groups_of(batch, item)


def _groups_of(batch: pa.RecordBatch, item: Slice) -> Iterator[tuple[SliceKey, Codes]]:
    coded = [_codes(batch, name, item.edges) for name in item.columns]
    sizes = [len(values) for _, values in coded]
    joint = np.ravel_multi_index([codes for codes, _ in coded], sizes)
    order = np.argsort(joint, kind="stable")
    starts = np.flatnonzero(np.diff(joint[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        if len(rows):
            values = (values[codes[rows[0]]] for codes, values in coded)
            yield tuple(zip(item.labels, values, strict=True)), rows


def _codes(batch: pa.RecordBatch, name: str, edges: tuple[float, ...]) -> tuple[Codes, list[str | None]]:
    """Return each row's value number, and the values as text (None for a missing one)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name not in batch.schema.names:
        raise DataError(
            f'there is no column "{name}" to slice by',
            expected=f"{name} among the examples' columns",
            received=", ".join(batch.schema.names),
        )
    column = batch.column(name)
    if pa.types.is_nested(column.type):
        kind = str(column.type)
        raise DataError(f'column "{name}" cannot be sliced by', expected="single values", received=kind)
    if edges:
        return _bucketed(column, name, edges)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values: list[str | None] = [None if v is None else shown(v) for v in encoded.dictionary.to_pylist()]
    codes = pc.fill_null(encoded.indices.cast(pa.int64()), len(values)).to_numpy(zero_copy_only=False)
    return codes, [*values, None]


def _bucketed(column: pa.Array, name: str, edges: tuple[float, ...]) -> tuple[Codes, list[str | None]]:
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(f'column "{name}" cannot be bucketed', expected="numbers", received=str(column.type))
    numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    codes = np.searchsorted(np.array(edges), numbers, side="right")
    inner = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    labels = [f"below {edges[0]:g}", *inner, f"from {edges[-1]:g}", None]
    return np.where(np.isnan(numbers), len(labels) - 1, codes), labels


def shown(value: object) -> str:
    """Return a slice value as text: whole floats without a fraction, booleans in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def sort_key(key: SliceKey) -> tuple[object, ...]:
    """Order slices by column, then by value: numbers by size, then text, missing last."""
    return tuple((column, *_value_order(value)) for column, value in key)


def _value_order(value: str | None) -> tuple[int, float, int, str]:
    if value is None:
        return (2, 0.0, 0, "")
    edge = value.removeprefix("below ").removeprefix("from ").split(" to ")[0]
    try:
        return (0, float(edge), 0 if value.startswith("below ") else 1, value)
    except ValueError:
        return (1, 0.0, 0, value)
