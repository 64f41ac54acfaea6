"""Hypothesis strategies for Arrow data."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

FLOATS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), float("inf"), float("-inf")]),
    st.floats(width=32),
)
INTEGERS = st.one_of(st.none(), st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "b", "Zürich", "東京"]), st.text(max_size=6))
DAYS = st.one_of(st.none(), st.integers(-40_000, 60_000))

SCHEMA = pa.schema(
    [
        pa.field("float", pa.float64()),
        pa.field("integer", pa.int64()),
        pa.field("text", pa.string()),
        pa.field("flag", pa.bool_()),
        pa.field("day", pa.date32()),
        pa.field("list", pa.list_(pa.field("item", pa.int64()))),
        pa.field("struct", pa.struct([pa.field("a", pa.string()), pa.field("b", pa.float64())])),
    ]
)


def rows(most: int = 40) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return lists of rows of :data:`SCHEMA`."""
    row = st.fixed_dictionaries(
        {
            "float": FLOATS,
            "integer": INTEGERS,
            "text": TEXTS,
            "flag": st.one_of(st.none(), st.booleans()),
            "day": DAYS,
            "list": st.one_of(st.none(), st.lists(INTEGERS, max_size=3)),
            "struct": st.one_of(st.none(), st.fixed_dictionaries({"a": TEXTS, "b": FLOATS})),
        }
    )
    return st.lists(row, max_size=most)


def batch(found: list[dict[str, Any]]) -> pa.RecordBatch:
    """Return rows as a batch of :data:`SCHEMA`."""
    return pa.RecordBatch.from_pylist(found, SCHEMA)


def cuts(most: int = 40) -> st.SearchStrategy[list[int]]:
    """Return places at which to cut a list of rows."""
    return st.lists(st.integers(0, most), max_size=5).map(sorted)


def pieces(found: pa.RecordBatch, places: list[int]) -> list[pa.RecordBatch]:
    """Return a batch cut at some places, empty pieces included."""
    edges = [0, *(min(place, found.num_rows) for place in places), found.num_rows]
    return [found.slice(a, b - a) for a, b in itertools.pairwise(edges)]
