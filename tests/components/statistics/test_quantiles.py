from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, strategies as st

from components.statistics.frequencies import NumberTable
from components.statistics.moments import Moments
from components.statistics.quantiles import Floats, Quantiles

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)
SHARES = np.linspace(0, 1, 21)


def of(values: Floats) -> Quantiles:
    table = NumberTable.of(np.sort(values))
    return Quantiles(table.values.astype(np.float64), table.counts)


@given(VALUES)
def test_nothing_left_out_gives_what_numpy_gives(values: list[float]) -> None:
    found = of(np.array(values)).at(SHARES)
    assert np.allclose(found, np.quantile(values, SHARES), rtol=1e-12, atol=1e-9)


@given(st.lists(VALUES, min_size=1, max_size=6), st.integers(2, 12))
def test_ranks_keep_within_the_stated_slack(groups: list[list[float]], size: int) -> None:
    summary = of(np.array(groups[0])).compressed(size)
    for group in groups[1:]:
        summary = summary.merged(of(np.array(group)).compressed(size)).compressed(size)
    everything = np.sort(np.concatenate([np.array(group) for group in groups]))
    assert summary.count == len(everything)
    assert len(summary.values) <= size
    bounds = np.concatenate([everything, everything + 0.5, everything - 0.5])
    exact = np.searchsorted(everything, bounds, side="left")
    assert np.abs(summary.below(bounds) - exact).max() <= summary.slack


@pytest.mark.parametrize("name", ["normal", "lognormal", "few", "spike"])
def test_the_error_stays_small_over_many_merges(name: str) -> None:
    random = np.random.default_rng(3)
    makers: dict[str, Callable[[], Floats]] = {
        "normal": lambda: random.normal(size=5000),
        "lognormal": lambda: random.lognormal(0, 3, 5000),
        "few": lambda: random.integers(0, 30, 5000).astype(float),
        "spike": lambda: np.where(random.random(5000) < 0.9, 0.0, random.normal(size=5000)),
    }
    groups = [makers[name]() for _ in range(64)]
    layer = [of(group).compressed(1000) for group in groups]
    while len(layer) > 1:
        layer = [a.merged(b).compressed(1000) for a, b in zip(layer[::2], layer[1::2], strict=True)]
    everything = np.sort(np.concatenate(groups))
    assert layer[0].slack <= 0.01 * len(everything)
    ranks = np.searchsorted(everything, layer[0].values, side="left")
    assert np.abs(layer[0].below(layer[0].values) - ranks).max() <= layer[0].slack


@given(VALUES, VALUES)
def test_moments_merge_to_those_of_all(one: list[float], two: list[float]) -> None:
    parts = [Moments.of(NumberTable.of(np.sort(np.array(values)))) for values in (one, two)]
    both = parts[0].merged(parts[1])
    everything = np.array(one + two)
    assert both.count == len(everything)
    assert both.mean == pytest.approx(everything.mean(), rel=1e-9, abs=1e-6)
    assert both.deviation == pytest.approx(everything.std(ddof=1), rel=1e-6, abs=1e-3)
