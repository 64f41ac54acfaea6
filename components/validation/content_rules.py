"""Row rules about what values contain: numbers written as text, pictures, NaN, and the items of lists."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.validation.kernels import Arguments, Kernel, between, members, per_value, texts
from components.validation.view import InapplicableError, is_text

IMAGE_STARTS: Mapping[str, tuple[bytes, ...]] = {
    "bmp": (b"BM",),
    "gif": (b"GIF87a", b"GIF89a"),
    "jpeg": (b"\xff\xd8\xff",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "tiff": (b"II*\x00", b"MM\x00*"),
    "webp": (b"RIFF",),
}


def not_nan(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Numbers that are no NaN; whole numbers never are."""
    if pa.types.is_floating(array.type):
        return pc.invert(pc.is_nan(array))
    if pa.types.is_integer(array.type) or pa.types.is_decimal(array.type) or pa.types.is_null(array.type):
        return pa.repeat(pa.scalar(True), len(array))
    raise InapplicableError(f"only numbers can be NaN, the column holds {array.type}")


def text_number(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Texts that write a number (``whole``: a whole one) within ``min_value`` and ``max_value``."""
    if not (is_text(array.type) or pa.types.is_binary(array.type) or pa.types.is_null(array.type)):
        raise InapplicableError(f"the column holds {array.type}, not texts: its numbers need no reading")
    read = int if arguments.get("whole") else float
    low = arguments.get("min_value")
    high = arguments.get("max_value")

    def fits(text: str) -> bool:
        try:
            value = read(text)
        except ValueError:
            return False
        if isinstance(value, float) and math.isnan(value):
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    return per_value(texts(array), fits, pa.bool_())


def image(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Bytes that begin as a picture of one of ``formats`` does."""
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise InapplicableError(f"only bytes can be a picture, the column holds {array.type}")
    starts = tuple(start for name in arguments["formats"] for start in IMAGE_STARTS[name])
    flags = [None if value is None else value.startswith(starts) for value in array.to_pylist()]
    return pa.array(flags, pa.bool_())


def item_count(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Lists that hold ``item`` between ``min_value`` and ``max_value`` times."""
    items, parents = _items(array)
    sought = members([arguments["item"]], items.type)
    return between(_sums(array, parents, pc.is_in(items, value_set=sought)), arguments)


def items_in_set(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Lists of whose items a share of at least ``min_share`` is in ``value_set``."""
    items, parents = _items(array)
    known = _sums(array, parents, pc.is_in(items, value_set=members(arguments["value_set"], items.type)))
    needed = pc.multiply(_lengths(array).cast(pa.float64()), float(arguments.get("min_share", 1.0)))
    # A share that is one by its meaning may be a hair less by its arithmetic.
    return pc.greater_equal(known.cast(pa.float64()), pc.subtract(needed, 1e-9))


def item_length(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Lists of texts whose items are ``min_value`` to ``max_value`` characters long on average."""
    items, parents = _items(array)
    if not (is_text(items.type) or pa.types.is_null(items.type)):
        raise InapplicableError(f"only texts have a length, the lists hold {items.type}")
    lengths = pc.utf8_length(items.cast(pa.string()))
    count = _lengths(array)
    mean = pc.divide(_sums(array, parents, lengths).cast(pa.float64()), count.cast(pa.float64()))
    return pc.or_(pc.equal(count, 0), between(mean, arguments))


def list_shape(array: pa.Array, arguments: Arguments) -> pa.BooleanArray:
    """Nested lists with ``shape[0]`` items, each with ``shape[1]``, and so on to their innermost values."""
    good = np.ones(len(array), dtype=bool)
    rows, level = np.arange(len(array)), array
    for size in arguments["shape"]:
        wrong = pc.fill_null(pc.not_equal(_lengths(level), int(size)), True)
        good[rows[np.asarray(wrong.to_numpy(zero_copy_only=False), dtype=bool)]] = False
        level, parents = _items(level)
        rows = rows[parents]
    if _is_list(level.type):
        raise InapplicableError(f"the lists of {array.type} are nested deeper than {len(arguments['shape'])}")
    return pc.if_else(pc.is_valid(array), pa.array(good), pa.scalar(None, pa.bool_()))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _items(array: pa.Array) -> tuple[pa.Array, Any]:
    """Return all items of all lists, and the number of the list that each belongs to."""
    if not _is_list(array.type):
        raise InapplicableError(f"only lists have items, the column holds {array.type}")
    return pc.list_flatten(array), pc.list_parent_indices(array).to_numpy()


def _lengths(array: pa.Array) -> pa.Array:
    if not _is_list(array.type):
        raise InapplicableError(f"only lists have items, the column holds {array.type}")
    return pc.list_value_length(array).cast(pa.int64())


def _sums(array: pa.Array, parents: Any, values: pa.Array) -> pa.Array:
    """Return the sum of each list's values; null where the list is."""
    weights = pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    sums = np.bincount(parents, weights=weights, minlength=len(array)).astype(np.int64)
    return pc.if_else(pc.is_valid(array), pa.array(sums), pa.scalar(None, pa.int64()))


NAN_RULE = "column_values.not_nan"

RULES: dict[str, Kernel] = {
    NAN_RULE: not_nan,
    "column_values.text_number": text_number,
    "column_values.image": image,
    "column_values.list_item_count": item_count,
    "column_values.list_items_in_set": items_in_set,
    "column_values.list_item_length": item_length,
    "column_values.list_shape": list_shape,
}
