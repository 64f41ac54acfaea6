from __future__ import annotations

import copy
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from components.features import accumulators
from components.features.accumulators import Moments, Quantiles, Tokens
from orchestration import DataError

floats = st.lists(st.floats(width=32), max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=4)


def parts_of(values: list[Any], places: list[int]) -> list[list[Any]]:
    edges = [0, *sorted(min(place, len(values)) for place in places), len(values)]
    return [values[start:stop] for start, stop in pairwise(edges)]


def merged(parts: list[Any]) -> Any:
    whole = copy.deepcopy(parts[0])
    for part in parts[1:]:
        whole.merge(copy.deepcopy(part))
    return whole


def moments_of(values: list[float]) -> Moments:
    moments = Moments()
    moments.add(np.array(values, "float32"))
    return moments


def quantiles_of(values: list[float]) -> Quantiles:
    quantiles = Quantiles()
    quantiles.add(np.array(values, "float32"))
    return quantiles


def same(one: Quantiles, other: Quantiles) -> bool:
    empty = np.array([])
    pairs = ((one.keys, other.keys), (one.counts, other.counts))
    equal = all(np.array_equal(empty if a is None else a, empty if b is None else b) for a, b in pairs)
    return equal and one.level == other.level


@given(floats)
def test_moments_are_exact(values: list[float]) -> None:
    finite = [Fraction(float(np.float32(value))) for value in values if np.isfinite(np.float32(value))]
    moments = moments_of(values)
    assert moments.count == len(finite)
    assert moments.missing == len(values) - len(finite)
    if finite:
        mean = sum(finite) / len(finite)
        assert moments.mean == float(mean)
        assert moments.variance == float(sum((value - mean) ** 2 for value in finite) / len(finite))
        assert (moments.minimum, moments.maximum) == (float(min(finite)), float(max(finite)))


@given(floats, cuts, st.randoms(use_true_random=False))
def test_moments_do_not_depend_on_order_or_split(values: list[float], places: list[int], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert merged([moments_of(part) for part in parts_of(shuffled, places)]) == moments_of(values)


@given(floats, cuts, st.randoms(use_true_random=False), st.integers(2, 12))
def test_quantiles_do_not_depend_on_order_or_split(
    values: list[float], places: list[int], random: Any, bins: int
) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accumulators, "MAX_BINS", bins)
        assert same(merged([quantiles_of(part) for part in parts_of(shuffled, places)]), quantiles_of(values))


@given(floats, st.integers(2, 9))
def test_boundaries_cut_the_rows_into_equal_parts(values: list[float], buckets: int) -> None:
    finite = sorted(float(np.float32(value)) for value in values if np.isfinite(np.float32(value)))
    boundaries = quantiles_of(values).boundaries(buckets)
    assert boundaries == sorted(set(boundaries))
    for part in range(1, buckets):
        wanted = len(finite) * part / buckets
        reached = [value for value in finite if sum(one < value for one in finite) >= wanted]
        if reached and reached[0] != finite[0]:
            assert reached[0] in boundaries


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_boundaries_stay_within_the_stated_width_when_values_are_grouped(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(3, 2, 5_000).astype("float32")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accumulators, "MAX_BINS", 300)
        grouped = quantiles_of(values.tolist())
    assert grouped.level > 0
    exact = np.quantile(values, [part / 8 for part in range(1, 8)], method="higher")
    relative = np.abs(np.array(grouped.boundaries(8)) - exact) / exact
    # A bin spans 2**(level - 23); its neighbour may be the one whose rank fits.
    assert relative.max() <= 2 * 2.0 ** (grouped.level - 23)


def test_negative_zero_counts_as_zero() -> None:
    assert same(quantiles_of([-0.0, 0.0]), quantiles_of([0.0, 0.0]))


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=40), cuts)
def test_tokens_do_not_depend_on_split(values: list[str | None], places: list[int]) -> None:
    def tokens_of(part: list[str | None]) -> Tokens:
        tokens = Tokens("c")
        tokens.add(pa.array(part, pa.string()))
        return tokens

    whole = tokens_of(values)
    assert merged([tokens_of(part) for part in parts_of(values, places)]) == whole
    assert whole.missing == sum(not value for value in values)
    counts = sorted((-values.count(value), value) for value in set(values) if value)
    assert whole.vocabulary(top=5, min_count=2) == [value for count, value in counts if count <= -2][:5]


def test_too_many_tokens_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accumulators, "MAX_TOKENS", 2)
    with pytest.raises(DataError, match='column "id" has too many distinct values'):
        Tokens("id").add(pa.array(["a", "b", "c"]))
