from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.data.hashing import hash_array, hash_rows, hash_texts, mix, rehash, uniform
from tests.components.data.arrow_strategies import batch, cuts, pieces, rows


@given(rows(), cuts())
def test_a_row_hashes_alike_in_any_batch(found: list[dict[str, Any]], places: list[int]) -> None:
    whole = batch(found)
    parts = [hash_rows(piece) for piece in pieces(whole, places)]
    assert np.array_equal(np.concatenate(parts), hash_rows(whole))


@given(rows(), st.randoms())
def test_the_order_of_rows_and_columns_does_not_matter(found: list[dict[str, Any]], random: Any) -> None:
    whole = batch(found)
    order = list(range(whole.num_rows))
    random.shuffle(order)
    names = list(whole.schema.names)
    random.shuffle(names)
    shuffled = whole.take(pa.array(order, pa.int64())).select(names)
    assert np.array_equal(hash_rows(shuffled), hash_rows(whole)[order])


@given(rows())
def test_a_column_without_values_changes_nothing(found: list[dict[str, Any]]) -> None:
    whole = batch(found)
    wider = whole.append_column("new", pa.nulls(whole.num_rows, pa.float64()))
    assert np.array_equal(hash_rows(wider), hash_rows(whole))


@given(st.lists(st.text(max_size=30)))
def test_equal_texts_and_only_they_hash_alike(texts: list[str]) -> None:
    hashes = hash_array(pa.array(texts, pa.string()))
    assert len(set(hashes.tolist())) == len(set(texts))
    encoded = pa.array(texts, pa.string()).dictionary_encode()
    assert np.array_equal(hash_array(encoded), hashes)


def test_an_integer_and_the_equal_float_hash_alike() -> None:
    integers = hash_array(pa.array([0, 1, -7, 2**53, None], pa.int64()))
    floats = hash_array(pa.array([0.0, 1.0, -7.0, 2.0**53, None], pa.float64()))
    assert np.array_equal(integers, floats)
    assert np.array_equal(integers, hash_array(pa.array([-0.0, 1, -7, 2.0**53, None], pa.float64())))


def test_large_integers_that_a_float_cannot_tell_apart_hash_apart() -> None:
    hashes = hash_array(pa.array([2**53 + 1, 2**53 + 2, 2**53 + 3, 2**63 - 1, -(2**63)], pa.int64()))
    assert len(set(hashes.tolist())) == 5


def test_long_texts_beside_short_ones() -> None:
    texts = [
        "x" * 512,
        "x" * 513,
        "x" * 514,
        "",
        "x",
        "x" * 7,
        "x" * 8,
        "x" * 9,
        "x" * 70_000 + "y",
        "x" * 70_000 + "z",
    ]
    hashes = hash_array(pa.array(texts))
    assert len(set(hashes.tolist())) == len(texts)
    assert np.array_equal(hash_array(pa.array(texts[::-1])), hashes[::-1])


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1, 2], [2, 1], [1], [], None], pa.list_(pa.int64())),
        pa.array([{"a": 1, "b": None}, {"a": None, "b": 1}, {"a": 1, "b": 1}, None]),
        pa.array([[("k", 1)], [("k", 2)], [("j", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([b"a", b"b", b"", None]),
        pa.array([b"\xffa", b"\xffb", None], pa.binary(2)),
        pa.array(["a", "b", ""], pa.large_string()),
        pa.array([decimal.Decimal("1.10"), decimal.Decimal("1.20"), None]),
        pa.array([1, 2, None], pa.timestamp("us", "UTC")),
        pa.array([1, 2, None], pa.time64("us")),
        pa.array([True, False, None]),
    ],
    ids=lambda array: str(array.type),
)
def test_different_values_of_every_type_hash_apart(array: pa.Array) -> None:
    hashes = hash_array(array)
    assert len(set(hashes.tolist())) == len(array)
    assert np.array_equal(hash_array(array.slice(1)), hashes[1:])


@given(st.lists(st.binary(max_size=40)), st.integers(0, 3))
def test_a_text_hashes_alike_wherever_it_lies(values: list[bytes], cut: int) -> None:
    array = pa.array([b"front", *values], pa.binary())[1:]
    assert np.array_equal(hash_texts(array[cut:]), hash_texts(pa.array(values, pa.binary()))[cut:])
    alone = [hash_texts(pa.array([value], pa.binary()))[0] for value in values]
    assert hash_texts(array).tolist() == alone


def test_hashes_are_spread_evenly() -> None:
    hashes = mix(np.arange(100_000, dtype=np.uint64))
    counts = np.bincount((hashes >> np.uint64(60)).astype(np.int64), minlength=16)
    expected = 100_000 / 16
    assert float(((counts - expected) ** 2 / expected).sum()) < 38  # chi-square, 15 degrees, p = 0.001


def test_hashes_stay_what_they_are() -> None:
    # Splits depend on them: another value here would deal every user's rows anew.
    known = pa.record_batch({"a": pa.array([1, None]), "b": pa.array(["x", "Zürich"])})
    assert hash_rows(known).tolist() == [0x2DBBCF65A5D3CCB2, 0xE9BAAAAB8DC2B71E]


def test_samples_stay_what_they_are() -> None:
    # As above: another value here would draw another sample of the same rows.
    hashes = np.array([0, 1, 2**64 - 1], np.uint64)
    assert rehash(hashes, 0).tolist() == [0x52173814641A12B7, 0x99AD58AAC80087B6, 0x1C27F43DAEE180B7]
    assert uniform(hashes).tolist() == [0.0, 0.0, 1 - 2**-53]
