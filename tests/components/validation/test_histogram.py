"""Quantiles as pandas computes them, whatever the order, within the stated error where there are too many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from components.validation import histogram
from components.validation.histogram import Histogram

RANKS = [0.0, 0.01, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 0.99, 1.0]


def of(values: object) -> Histogram:
    found = Histogram()
    found.add(np.asarray(values, dtype=np.float64))
    return found


@pytest.mark.parametrize("how", ["nearest", "linear", "lower", "higher", "midpoint"])
@given(values=st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 2)), min_size=1, max_size=50))
def test_quantiles_are_those_of_pandas(how: str, values: list[float]) -> None:
    expected = pd.Series(values).quantile(RANKS, interpolation=how).to_numpy()  # type: ignore[call-overload]  # the stubs want literals
    assert np.allclose(of(values).quantiles(RANKS, how), expected, rtol=1e-12, atol=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), max_size=200), st.integers(1, 7), st.randoms())
def test_batches_and_order_do_not_matter_even_where_buckets_are_merged(
    values: list[float], batch: int, random: object
) -> None:
    whole = small(values, len(values) or 1)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    parts = small(shuffled, batch)
    assert whole.level == parts.level
    assert whole.values.tobytes() == parts.values.tobytes()
    assert whole.counts.tolist() == parts.counts.tolist()


def small(values: list[float], batch: int) -> Histogram:
    """Return a histogram of at most forty buckets, merged from batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "MOST_BUCKETS", 40)
        found = Histogram()
        for start in range(0, len(values), batch):
            found.merge(of(values[start : start + batch]))
        return found


def test_many_values_keep_within_the_stated_relative_error() -> None:
    values = np.random.default_rng(1).lognormal(3, 2, 400_000)
    found = of(values)
    assert found.level > 0
    expected = np.quantile(values, RANKS, method="nearest")
    assert np.abs(np.asarray(found.quantiles(RANKS)) / expected - 1).max() <= found.relative_error
    assert found.relative_error < 1e-3


def test_nothing_has_no_quantiles() -> None:
    assert np.isnan(Histogram().quantiles([0.5])).all()


def test_negative_and_positive_zero_are_one_value() -> None:
    assert of([0.0, -0.0]).counts.tolist() == [2]
