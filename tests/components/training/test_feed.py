from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from components.features.transformed import Rows
from components.training.feed import batches, permutation, steps


def rows_of(count: int, *, dense: int = 2, ids: int = 1) -> Rows:
    numbers = np.arange(count)
    return Rows(
        np.repeat(numbers[:, None], dense, 1).astype("float32"),
        np.repeat(numbers[:, None], ids, 1).astype("int32"),
        numbers.astype("float32"),
    )


@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(1, 40), st.integers(1, 15))
def test_every_row_is_fed_once_with_its_own_label(seed: int, epoch: int, count: int, size: int) -> None:
    order = permutation(seed, epoch, count)
    fed = list(batches(rows_of(count), size, order=order))
    assert len(fed) == steps(count, size)
    labels = np.concatenate([labels for _, labels in fed])
    assert labels.shape == (count, 1)
    assert sorted(labels[:, 0].tolist()) == list(range(count))
    for blocks, some in fed:
        np.testing.assert_array_equal(blocks["numbers"], np.repeat(some, 2, 1))
        np.testing.assert_array_equal(blocks["ids"], some.astype("int32"))


@given(st.integers(1, 40), st.integers(1, 15), st.integers(0, 60))
def test_beginning_in_the_middle_gives_the_rest(count: int, size: int, first: int) -> None:
    order = permutation(1, 2, count)
    everything = [labels.tolist() for _, labels in batches(rows_of(count), size, order=order)]
    rest = [labels.tolist() for _, labels in batches(rows_of(count), size, order=order, first=first)]
    assert rest == everything[first:]


def test_the_order_follows_seed_and_epoch_only() -> None:
    np.testing.assert_array_equal(permutation(3, 1, 100), permutation(3, 1, 100))
    assert permutation(3, 1, 100).tolist() != permutation(3, 2, 100).tolist()
    assert permutation(3, 1, 100).tolist() != permutation(4, 1, 100).tolist()


def test_a_block_without_a_column_is_absent() -> None:
    blocks, _ = next(batches(rows_of(3, ids=0), 2))
    assert list(blocks) == ["numbers"]
