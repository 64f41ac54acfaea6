"""Sums are exact, so nothing about them depends on how the rows came."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, strategies as st

from components.validation.exact import Moments

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


def moments(values: list[float]) -> Moments:
    found = Moments()
    found.add(np.asarray(values, dtype=np.float64))
    return found


@given(st.lists(finite, max_size=60))
def test_the_sum_is_the_correctly_rounded_one(values: list[float]) -> None:
    exact = sum(map(Fraction, values), Fraction(0))
    try:
        expected = float(exact)
    except OverflowError:
        expected = math.inf if exact > 0 else -math.inf
    assert moments(values).sum() == expected


@given(st.lists(st.floats(-1e100, 1e100), min_size=2, max_size=40))
def test_the_deviation_is_the_correctly_rounded_one(values: list[float]) -> None:
    mean = sum(map(Fraction, values)) / len(values)
    variance = sum((Fraction(value) - mean) ** 2 for value in values) / (len(values) - 1)
    assert moments(values).deviation() == math.sqrt(float(variance))


@given(st.lists(st.floats(allow_nan=False), max_size=40), st.integers(0, 40), st.randoms())
def test_no_split_and_no_order_changes_a_moment(values: list[float], cut: int, random: object) -> None:
    whole = moments(values)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    parts = moments(shuffled[cut:])
    parts.merge(moments(shuffled[:cut]))
    assert repr((whole.sum(), whole.mean(), whole.deviation())) == repr(
        (parts.sum(), parts.mean(), parts.deviation())
    )


def test_large_numbers_that_cancel_leave_the_small_one() -> None:
    assert moments([1e300, 1.0, -1e300]).sum() == 1.0


def test_nothing_has_no_mean_and_one_number_no_deviation() -> None:
    assert moments([]).mean() is None
    assert moments([3.0]).deviation() is None


def test_infinities_are_told_not_hidden() -> None:
    assert moments([1.0, math.inf]).mean() == math.inf
    assert math.isnan(moments([-math.inf, math.inf]).sum())
    assert moments([1.0, 2.0, math.inf]).deviation() is None


def test_integers_are_added_as_they_are() -> None:
    found = Moments()
    found.add(np.asarray([2**53, 1, 1], dtype=np.int64))
    assert found.sum() == 2**53 + 2
