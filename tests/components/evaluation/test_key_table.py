"""The key table: exact while small, coarser when large, the same in any order."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given, settings, strategies as st

from components.evaluation.key_table import (
    KeyTable,
    align,
    number_keys,
    numbers_of,
    score_keys,
    scores_of,
)

SCORES = st.floats(0, 1, width=32)
NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)


@st.composite
def rows_and_cuts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[int], list[int]]:
    """Rows' keys and weights, an order to bring them in, and where to cut them into parts."""
    keys = score_keys(np.array(draw(st.lists(SCORES, min_size=1, max_size=80)), np.float32))
    weights = np.array(draw(st.lists(st.integers(0, 5), min_size=len(keys), max_size=len(keys))))[:, None]
    order = draw(st.permutations(range(len(keys))))
    cuts = sorted(draw(st.lists(st.integers(0, len(keys)), max_size=5)))
    return keys, weights, list(order), cuts


@given(rows_and_cuts(), st.integers(1, 40), st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_order_any_batches_any_merges_give_the_same_table(
    data: tuple[np.ndarray, np.ndarray, list[int], list[int]], limit: int, backwards: bool
) -> None:
    keys, weights, order, cuts = data
    whole = KeyTable(limit)
    whole.add(keys, weights)
    parts = []
    for chosen in np.split(np.array(order, np.int64), cuts):
        part = KeyTable(limit)
        part.add(keys[chosen], weights[chosen])
        parts.append(pickle.loads(pickle.dumps(part)))
    total = KeyTable(limit)
    for part in reversed(parts) if backwards else parts:
        total.merge(part)
    assert total.level == whole.level
    np.testing.assert_array_equal(total.keys, whole.keys)
    np.testing.assert_array_equal(total.counts, whole.counts)
    assert len(total.keys) <= limit
    assert total.counts.sum() == weights.sum()


@given(st.lists(SCORES, min_size=2, max_size=50))
def test_score_keys_keep_the_order_and_give_the_scores_back(scores: list[float]) -> None:
    values = np.array(scores, np.float32)
    keys = score_keys(values)
    np.testing.assert_array_equal(scores_of(keys), values.astype(np.float64))
    np.testing.assert_array_equal(np.argsort(keys, kind="stable"), np.argsort(values, kind="stable"))


@given(st.lists(NUMBERS, min_size=2, max_size=50))
def test_number_keys_keep_the_order_and_give_the_numbers_back(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    keys = number_keys(values)
    np.testing.assert_array_equal(numbers_of(keys), values.astype(np.float64))
    np.testing.assert_array_equal(np.argsort(keys, kind="stable"), np.argsort(values, kind="stable"))


def test_a_joined_entry_says_between_which_scores_its_rows_lie() -> None:
    scores = np.linspace(0.001, 0.999, 5_000).astype(np.float32)
    table = KeyTable(100)
    table.add(score_keys(scores), np.ones((5_000, 1), np.uint8))
    low, high = (scores_of(keys) for keys in table.bounds())
    place = np.searchsorted(low, scores, side="right") - 1
    assert table.level > 0
    assert np.all(scores >= low[place])
    assert np.all(scores <= high[place])
    assert table.counts.sum() == 5_000


def test_aligned_tables_share_their_keys() -> None:
    left, right = KeyTable(10), KeyTable(10)
    left.add(score_keys(np.array([0.1, 0.2], np.float32)), np.array([[1], [2]]))
    right.add(score_keys(np.array([0.2, 0.3], np.float32)), np.array([[3], [4]]))
    frame, (first, second) = align([left, right])
    np.testing.assert_allclose(scores_of(frame.keys), [0.1, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(first[:, 0], [1, 2, 0])
    np.testing.assert_array_equal(second[:, 0], [0, 3, 4])
