from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from components.statistics.accumulator import Aspects, Settings
from components.statistics.statistics import SplitStatistics
from components.statistics.table_accumulator import TableAccumulator, extract
from components.statistics.weighted_statistics import WeightedNumbers, WeightedStatistics
from components.statistics.weights import UNITS, require_countable, units_of
from orchestration import DataError
from tests.components.data.arrow_strategies import batch, pieces, rows

WEIGHTED = Aspects(weight="w")


def described(parts: list[pa.RecordBatch], capacity: int = 10_000) -> SplitStatistics:
    options = Settings(capacity=capacity)
    total: TableAccumulator | None = None
    for part in parts:
        table = TableAccumulator(part.schema, options, WEIGHTED)
        table.add(part)
        total = table if total is None else total.merged(table)
    assert total is not None
    return extract({"all": total}, options).splits["all"]


def with_weights(found: pa.RecordBatch, weights: list[int]) -> pa.RecordBatch:
    values = (weights * (found.num_rows // max(len(weights), 1) + 1))[: found.num_rows]
    return found.append_column("w", pa.array(values, pa.int64()))


def plain(found: WeightedStatistics | None) -> dict[str, Any]:
    """Return what must agree with the statistics of repeated rows."""
    assert found is not None
    numbers = found.numbers or found.lengths
    facts: dict[str, Any] = {"present": found.present, "missing": found.missing, "empty": found.empty}
    facts["top"] = [(top.value, top.weight) for top in found.top]
    if numbers is not None:
        facts |= {"weight": numbers.weight, "zeros": numbers.zeros, "nan": numbers.nan}
        facts["bins"] = numbers.histogram and numbers.histogram.weights
    return facts


@settings(max_examples=60, deadline=None)
@given(rows(), st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_a_whole_weight_counts_as_that_many_rows(found: list[dict[str, Any]], weights: list[int]) -> None:
    whole = with_weights(batch(found), weights)
    times = whole.column("w").to_numpy()
    repeated = whole.take(pa.array(np.repeat(np.arange(whole.num_rows), times)))
    expected = described([repeated])
    split = described([whole])
    assert split.weight == times.sum()
    for one, two in zip(split.columns[:-1], expected.columns[:-1], strict=True):
        assert one.weighted is not None
        assert (one.weighted.present, one.weighted.missing) == (two.present, two.missing)
        assert [(top.value, top.weight) for top in one.weighted.top] == [
            (top.value, top.count) for top in two.top
        ]
        numbers, counted = one.weighted.numbers, two.numbers
        if numbers is not None and counted is not None and counted.mean is not None:
            assert numbers.mean == pytest.approx(counted.mean, rel=1e-9, abs=1e-9)
            assert (numbers.weight, numbers.zeros, numbers.nan) == (counted.count, counted.zeros, counted.nan)


@settings(max_examples=40, deadline=None)
@given(
    rows(),
    st.lists(st.sampled_from([0.0, 0.1, 1.5, 3.25]), min_size=1),
    st.lists(st.integers(0, 40)),
    st.randoms(),
)
def test_order_and_batches_do_not_matter(
    found: list[dict[str, Any]], weights: list[float], places: list[int], random: Any
) -> None:
    whole = batch(found)
    values = [weights[place % len(weights)] for place in range(whole.num_rows)]
    whole = whole.append_column("w", pa.array(values, pa.float64()))
    parts = pieces(whole, sorted(places))
    random.shuffle(parts)
    one, two = described(parts), described([whole])
    assert one.weight == two.weight
    for left, right in itertools.zip_longest(one.columns, two.columns):
        assert plain(left.weighted) == plain(right.weighted)


def test_numbers_are_those_of_pandas() -> None:
    random = np.random.default_rng(3)
    values, weights = random.normal(5, 2, 5000).round(2), random.gamma(2.0, 0.7, 5000)
    split = described([pa.record_batch({"x": values, "w": weights})])
    numbers = split.columns[0].weighted and split.columns[0].weighted.numbers
    assert isinstance(numbers, WeightedNumbers)
    mean = np.average(values, weights=weights)
    assert numbers.weight == pytest.approx(weights.sum(), rel=1e-6)
    assert numbers.mean == pytest.approx(mean, rel=1e-6)
    assert numbers.std == pytest.approx(np.sqrt(np.average((values - mean) ** 2, weights=weights)), rel=1e-5)
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) / weights.sum()
    for share, value in numbers.quantiles[2:-2]:
        assert value == pytest.approx(values[order][np.searchsorted(shares, share)], abs=0.02)
    sums = pd.Series(weights).groupby(values).sum().sort_values(ascending=False)
    assert split.columns[0].weighted is not None
    top = split.columns[0].weighted.top
    assert [one.weight for one in top[:5]] == pytest.approx(sums.to_list()[:5], rel=1e-4)
    assert numbers.histogram is not None
    expected = np.histogram(values, np.array(numbers.histogram.edges), weights=weights)[0]
    assert numbers.histogram.weights == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


def test_rows_without_weight_do_not_count() -> None:
    split = described([pa.record_batch({"x": [1.0, 100.0], "w": [2.0, 0.0]})])
    weighted = split.columns[0].weighted
    assert weighted is not None
    assert weighted.numbers is not None
    assert (weighted.present, weighted.numbers.mean, split.weight) == (2.0, 1.0, 2.0)
    nothing = described([pa.record_batch({"x": [1.0], "w": [0.0]})])
    assert nothing.weight == 0.0
    assert nothing.columns[0].weighted is not None
    assert nothing.columns[0].weighted.present == 0.0


def test_fields_of_structs_are_weighted_and_items_of_lists_are_not() -> None:
    table = pa.record_batch({"s": [{"a": 1}, {"a": None}], "l": [[1, 2], []], "w": [2, 3]})
    struct, listed, _ = described([table]).columns
    assert struct.fields[0].weighted is not None
    assert (struct.fields[0].weighted.present, struct.fields[0].weighted.missing) == (2.0, 3.0)
    assert listed.weighted is not None
    assert (listed.weighted.present, listed.weighted.empty) == (5.0, 3.0)
    assert listed.items is not None
    assert listed.items.weighted is None


@pytest.mark.parametrize("wrong", [None, float("nan"), float("inf"), -1.0, 1e9])
def test_weights_that_are_none(wrong: float | None) -> None:
    with pytest.raises(DataError, match='column "w" cannot serve as weights'):
        units_of(pa.array([1.0, wrong], pa.float64()), "w")


def test_weights_that_are_too_small_or_too_large() -> None:
    with pytest.raises(DataError, match="too small") as caught:
        units_of(pa.array([1e-8, 2e-8]), "w")
    assert "multiply" in str(caught.value)
    with pytest.raises(DataError, match="too large to be summed"):
        require_countable(1 << 62, "w")
    assert units_of(pa.array([], pa.float64()), "w").sum() == 0
    assert units_of(pa.array([True, False]), "w").tolist() == [UNITS, 0]
