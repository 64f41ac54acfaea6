"""Columns beside their baseline: what statistics tell of distances is near what the rows tell."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from components.comparison.columns import Comparison, apart, compare_column
from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.comparison.measures import FORMULAS, MEASURES, chance
from components.comparison.pairs import CategoryPair, NumberPair
from components.comparison.profile import Categories, Numbers, categories_of, numbers_of
from components.comparison.wording import sentence
from components.compute_statistics import compute_statistics
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics, NumberStatistics, TopValue, load_statistics
from orchestration import ArgumentError
from tests.components.validation.material import examples_of

RANDOM = np.random.default_rng(11)


def column(values: Any, kind: pa.DataType | None = None, **arguments: Any) -> ColumnStatistics:
    table = pa.table({"x": pa.array(values, kind)})
    statistics = load_statistics(compute_statistics(examples_of(("all", table)), **arguments))
    return statistics.splits["all"].columns[0]


def numbers(values: Any) -> Numbers:
    found = column(values)
    assert found.numbers is not None
    return numbers_of(found.numbers, found.top)


def by_measure(before: Any, now: Any, rules: DriftRules | None = None) -> dict[str, Comparison]:
    found = compare_column(column(before), column(now), rules or DriftRules())
    return {one.measure: one for one in found}


ONLY = DriftRules(numbers=(Limit(Measure.KOLMOGOROV_SMIRNOV, warn=0.01),))
SHAPES = {
    "normal": lambda n, shift: RANDOM.normal(shift, 1, n),
    "skewed": lambda n, shift: np.exp(RANDOM.normal(shift, 1.5, n)),
    "with a heap at zero": lambda n, shift: RANDOM.exponential(1 + shift, n) * (RANDOM.random(n) > 0.3),
    "whole": lambda n, shift: RANDOM.poisson(40 + 8 * shift, n),
    "few": lambda n, shift: RANDOM.binomial(6, 0.4 + shift / 5, n),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_distances_of_numbers_are_near_those_of_the_rows(name: str, shift: float) -> None:
    one, two = SHAPES[name](4_000, 0.0), SHAPES[name](3_000, shift)
    both = NumberPair(numbers(one), numbers(two))
    exact = stats.ks_2samp(one, two, method="asymp").statistic
    assert abs(MEASURES[Measure.KOLMOGOROV_SMIRNOV](both) - exact) < 0.02
    moved = stats.wasserstein_distance(one, two) / np.std(one, ddof=1)
    assert abs(MEASURES[Measure.WASSERSTEIN](both) - moved) < 0.02 + 0.05 * moved


few = st.lists(st.sampled_from([-2.0, 0.0, 0.5, 1.0, 7.0]), min_size=1, max_size=30)


@functools.cache
def _known(values: tuple[float, ...]) -> Numbers:
    """Return what statistics would tell of numbers, without the pass that computes them."""
    ordered, counts = np.unique(np.asarray(values), return_counts=True)
    top = tuple(TopValue(v, n) for v, n in zip(ordered.tolist(), counts.tolist(), strict=True))
    quantiles = tuple((s, float(np.quantile(values, s))) for s in np.round(np.arange(11) / 10, 1).tolist())
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return numbers_of(NumberStatistics(len(values), quantiles=quantiles, std=std, mean=0.0), top)


@settings(max_examples=60)
@given(few, few)
def test_few_numbers_are_compared_exactly(one: list[float], two: list[float]) -> None:
    both = NumberPair(_known(tuple(one)), _known(tuple(two)))
    exact = stats.ks_2samp(one, two, method="asymp").statistic
    assert np.isclose(MEASURES[Measure.KOLMOGOROV_SMIRNOV](both), exact)
    scale = np.std(one, ddof=1) if len(set(one)) > 1 else np.std(two, ddof=1) if len(set(two)) > 1 else 0
    if scale:
        moved = stats.wasserstein_distance(one, two) / scale
        assert np.isclose(MEASURES[Measure.WASSERSTEIN](both), moved)
    assert [
        sum(side) for side in zip(*((b["baseline"], b["observed"]) for b in both.table()), strict=True)
    ] == [
        len(one),
        len(two),
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_data_beside_itself_has_no_distance(name: str) -> None:
    values = SHAPES[name](2_000, 0.0)
    for one in by_measure(values, values).values():
        assert one.value == pytest.approx(0, abs=1e-12)
        assert one.severity is None
        assert one.details["chance"] in (None, pytest.approx(1))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", [30, 300, 3_000])
def test_two_samples_of_one_population_are_no_alert(name: str, size: int) -> None:
    found = by_measure(SHAPES[name](size, 0.0), SHAPES[name](size, 0.0))
    assert [one.measure for one in found.values() if one.severity is Severity.FAIL] == []
    assert {one.measure for one in found.values() if one.severity} <= {"range"}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shift_is_an_alert_that_shows_bins_counts_formula_and_threshold(name: str) -> None:
    one = by_measure(SHAPES[name](2_000, 0.0), SHAPES[name](2_000, 2.0))["kolmogorov_smirnov"]
    assert one.severity is Severity.FAIL
    assert one.limit == one.details["threshold"] == 0.2
    assert one.details["formula"] == "Largest difference between the cumulated shares."
    assert sum(entry["baseline"] for entry in one.details["bins"]) == pytest.approx(2_000, abs=8)
    assert sum(entry["observed"] for entry in one.details["bins"]) == pytest.approx(2_000, abs=8)
    assert one.details["largest_shift"]["bin"] in [entry["bin"] for entry in one.details["bins"]]
    assert one.details["observed"]["mean"] > one.details["baseline"]["mean"]


def test_values_outside_the_baseline_have_bins_of_their_own() -> None:
    both = NumberPair(numbers(np.arange(100.0)), numbers([-5.0, *np.arange(98.0), 500.0]))
    assert both.table()[0] == {"bin": "< 0", "baseline": 0, "observed": 1}
    above = both.table()[-1]
    assert (above["bin"], above["baseline"]) == ("> 99", 0)
    assert 1 <= above["observed"] <= 2, "counts between two quantiles are estimated"


def test_a_constant_that_changes_is_seen() -> None:
    found = by_measure([3.0] * 50, [4.0] * 50)
    assert found["kolmogorov_smirnov"].value == 1
    assert found["wasserstein"].value is None
    assert "one value each" in found["wasserstein"].reason
    assert found["wasserstein"].severity is Severity.FAIL


def test_texts_are_compared_by_their_shares() -> None:
    found = by_measure(["a"] * 60 + ["b"] * 40, ["a"] * 20 + ["b"] * 70 + ["c"] * 10)
    assert found["l_infinity"].value == pytest.approx(0.4)
    assert found["unseen"].value == pytest.approx(0.1)
    assert found["unseen"].details["new_values"] == {"c": 10}


def test_of_texts_that_are_not_all_listed_the_distance_is_never_too_large() -> None:
    """Values that one side does not list may still be there, up to the count of its rarest listed value."""
    before = Categories({"a": 50, "b": 10}, rest=40, most_unlisted=10)
    now = Categories({"a": 50, "c": 12}, rest=38, most_unlisted=12)
    both = CategoryPair(before, now)
    assert {entry["bin"]: (entry["baseline"], entry["observed"]) for entry in both.table()} == {
        "a": (50, 50),
        "b": (10, 10),
        "c": (10, 12),
        "(others)": (30, 28),
    }
    assert MEASURES[Measure.L_INFINITY](both) == pytest.approx(0.02)


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 40), min_size=50, max_size=200),
    st.lists(st.integers(0, 40), min_size=50, max_size=200),
)
def test_a_cut_list_never_gives_a_larger_distance_than_the_whole(one: list[int], two: list[int]) -> None:
    def counted(values: list[int], most: int) -> Categories:
        names, counts = np.unique([str(v) for v in values], return_counts=True)
        order = np.argsort(-counts, kind="stable")[:most]
        top = tuple(TopValue(str(names[i]), int(counts[i])) for i in order)
        return categories_of(ColumnStatistics("x", "string", "text", len(values), 0, len(names), top=top))

    whole = MEASURES[Measure.TOTAL_VARIATION](CategoryPair(counted(one, 99), counted(two, 99)))
    cut = MEASURES[Measure.TOTAL_VARIATION](CategoryPair(counted(one, 6), counted(two, 6)))
    assert cut <= whole + 1e-9


def test_texts_with_too_many_values_are_compared_by_their_lengths() -> None:
    before = [f"id-{n}" for n in range(100_000, 103_000)]
    now = [f"identifier-{n}" for n in range(3_000)]
    found = list(compare_column(column(before), column(now), DriftRules()))
    assert {one.subject for one in found} >= {"missing", "lengths"}
    assert "values" not in {one.subject for one in found}
    assert any(one.severity is Severity.FAIL for one in found if one.subject == "lengths")


@pytest.mark.parametrize(
    ("before", "now", "subject", "reason"),
    [
        ([1.0, 2.0], ["a", "b"], "type", "the baseline holds double, the data string"),
        ([1.0, 2.0] * 50, pa.nulls(100, pa.float64()), "values", "the data has no values"),
        (pa.nulls(100, pa.float64()), [1.0, 2.0] * 50, "values", "the baseline has no values"),
        ([float("nan")] * 50, [1.0] * 50, "values", "there are no finite values on one side"),
        ([[1], [2]], [1, 2], "type", "the baseline holds list<"),
    ],
)
def test_what_cannot_be_compared_is_an_alert_and_has_no_value(
    before: Any, now: Any, subject: str, reason: str
) -> None:
    found = [one for one in compare_column(column(before), column(now), DriftRules()) if one.reason]
    assert [(one.subject, one.value, one.severity) for one in found] == [(subject, None, Severity.FAIL)]
    assert found[0].reason.startswith(reason)


@pytest.mark.parametrize(
    ("values", "measure", "reason"),
    [
        (["a", "b"], Measure.KOLMOGOROV_SMIRNOV, "categories have no order"),
        (["a", "b"], Measure.WASSERSTEIN, "categories have no order"),
        (["a", "b"], Measure.RANGE, "categories have no order"),
        ([1.0, 2.0], Measure.UNSEEN, "numbers between others are not unseen"),
        ([f"id {number}" for number in range(500)], Measure.UNSEEN, "of the baseline's values are known"),
    ],
)
def test_a_measure_that_has_no_meaning_is_an_alert_not_zero(
    values: Any, measure: Measure, reason: str
) -> None:
    rules = DriftRules(columns={"x": (Limit(measure, warn=0.5),)})
    column_ = column(values * 20)
    [one] = [one for one in compare_column(column_, column_, rules) if one.reason]
    assert (one.value, one.severity, one.measure) == (None, Severity.FAIL, str(measure))
    assert reason in one.reason


def test_a_column_that_never_had_values_is_a_warning() -> None:
    nothing = pa.nulls(40, pa.string())
    found = {one.subject: one for one in compare_column(column(nothing), column(nothing), DriftRules())}
    assert found["values"].severity is Severity.WARN
    assert found["values"].value is None


def test_a_share_of_missing_values_is_compared_nan_and_infinite_ones_included() -> None:
    found = by_measure([1.0, 2.0] * 100, [1.0, 2.0, None, float("nan"), float("inf")] * 40)
    assert found["missing"].value == pytest.approx(0.6)
    assert found["not_finite"].value == pytest.approx(0.2 / 0.6)
    assert found["missing"].severity is Severity.FAIL
    assert found["missing"].details["bins"][0] == {"bin": "missing", "baseline": 0, "observed": 120}


def test_lists_and_structs_are_compared_inside() -> None:
    before = column([{"a": [1, 2], "b": "x"}] * 100)
    now = column([{"a": [1, 9, 9], "b": "y"}] * 100)
    alerts = {(one.column, one.subject) for one in compare_column(before, now, DriftRules()) if one.severity}
    assert {("x.a", "lengths"), ("x.a.item", "values"), ("x.b", "values")} <= alerts


def test_a_field_that_came_or_went_is_an_alert() -> None:
    before, now = column([{"a": 1, "b": 2}] * 9), column([{"a": 1, "c": 2}] * 9)
    found = {one.column: one.reason for one in compare_column(before, now, DriftRules()) if one.reason}
    assert found == {"x.b": "the data has no such field", "x.c": "the baseline has no such field"}


def test_what_has_no_distribution_is_kept_as_not_compared_and_fails_only_where_asked_for() -> None:
    both = ColumnStatistics("x", "month_day_nano_interval", "other", present=9, missing=0)
    limits = {"x": (Limit(Measure.RANGE, warn=1),)}
    for rules, severity in ((DriftRules(), None), (DriftRules(columns=limits), Severity.FAIL)):
        [one] = [one for one in compare_column(both, both, rules) if one.reason]
        assert (one.value, one.severity) == (None, severity)


def test_a_column_can_have_limits_of_its_own_or_be_left_out() -> None:
    before, now = column([1.0, 2.0] * 50), column([1.0, 9.0] * 50)
    strict = DriftRules(columns={"x": (Limit(Measure.POPULATION_STABILITY, fail=0.1),)})
    assert [one.measure for one in compare_column(before, now, strict)] == ["missing", "population_stability"]
    assert list(compare_column(before, now, DriftRules(columns={"x": ()}))) == []


def test_times_are_compared_only_where_limits_are_set() -> None:
    before = column(pa.array(range(100)).cast(pa.timestamp("s")))
    now = column(pa.array(range(1_000, 1_100)).cast(pa.timestamp("s")))
    assert [one.measure for one in compare_column(before, now, DriftRules())] == ["missing"]
    rules = DriftRules(times=(Limit(Measure.KOLMOGOROV_SMIRNOV, fail=0.5),))
    assert [one.value for one in compare_column(before, now, rules)] == [0, pytest.approx(1)]


def test_a_small_difference_of_a_small_sample_is_chance_unless_asked_otherwise() -> None:
    before, now = column([0.0, 1.0] * 5), column([0.0] * 7 + [1.0] * 3)
    assert not any(one.severity for one in compare_column(before, now, DriftRules()))
    assert any(one.severity for one in compare_column(before, now, DriftRules(chance=1)))


def test_what_chance_makes_now_and_then_can_be_a_warning_where_a_failure_needs_more() -> None:
    rules = DriftRules(chance=0.01, chance_to_fail=1e-9)
    assert rules.judged(0.5, 0.1, 0.2, 0.02) == (None, 0.1)
    assert rules.judged(0.5, 0.1, 0.2, 0.001) == (Severity.WARN, 0.1)
    assert rules.judged(0.5, 0.1, 0.2, 1e-12) == (Severity.FAIL, 0.2)
    assert rules.judged(0.5, None, 0.2, 0.001) == (None, 0.2)


@pytest.mark.parametrize(
    ("factor", "said"), [(100, "about 100 times"), (1.609344, "about 1.609 times"), (1.3, "")]
)
def test_another_unit_is_named(factor: float, said: str) -> None:
    values = np.exp(RANDOM.normal(2, 1, 900))
    [one] = [one for one in compare_column(column(values), column(values * factor), ONLY) if one.value]
    assert ("another unit?" in sentence(one)) == bool(said)
    assert said in sentence(one)


def test_moments_are_written_as_dates() -> None:
    seconds = np.arange(1_400_000_000, 1_400_900_000, 1_000)
    [one] = [one for one in compare_column(column(seconds), column(seconds + 86_400), ONLY) if one.value]
    assert "median from 2014-05-18 21:45 to 2014-05-19 21:45" in sentence(one)
    assert one.details["bins"][0]["bin"] == "< 2014-05-13 16:53"


@pytest.mark.parametrize(("before", "now"), [(300, 300), (1_000, 40), (40, 1_000)])
def test_chance_is_not_taken_for_a_difference_whatever_the_sizes(before: int, now: int) -> None:
    draw, weights = np.random.default_rng(1), 1 / np.arange(1, 41)
    found: dict[Measure, list[float]] = {}
    for _ in range(300):
        sides = [draw.multinomial(size, weights / weights.sum()).tolist() for size in (before, now)]
        names = [{str(name): n for name, n in enumerate(side) if n} for side in sides]
        texts = CategoryPair(Categories(names[0], 0, 0), Categories(names[1], 0, 0))
        for measure in (Measure.L_INFINITY, Measure.JENSEN_SHANNON):
            found.setdefault(measure, []).append(chance(texts, measure))
        values = [tuple(draw.normal(size=size).round(2).tolist()) for size in (before, now)]
        pair = NumberPair(_known(values[0]), _known(values[1]))
        found.setdefault(Measure.KOLMOGOROV_SMIRNOV, []).append(chance(pair, Measure.KOLMOGOROV_SMIRNOV))
    for measure, chances in found.items():
        assert np.mean(np.asarray(chances) < 0.01) <= 0.03, measure


def test_a_measure_can_be_given_by_its_name() -> None:
    assert Limit("l_infinity", fail=0.1) == Limit(Measure.L_INFINITY, fail=0.1)  # type: ignore[arg-type]  # a name
    with pytest.raises(ArgumentError, match="measure"):
        Limit("manhattan", fail=0.1)  # type: ignore[arg-type]  # the mistake that is tested


def test_how_far_columns_lie_apart() -> None:
    one, other = column([0.0] * 50 + [1.0] * 50), column([0.0] * 80 + [1.0] * 20)
    assert apart(one, other) == pytest.approx(0.3)
    texts = [column(["a"] * many + ["b"] * (10 - many)) for many in (7, 3)]
    assert apart(texts[0], texts[1]) == pytest.approx(0.4)
    lists = [column([[1] * length] * 9) for length in (1, 2)]
    assert apart(lists[0], lists[1]) == 1
    assert apart(one, texts[0]) is None
    assert apart(one, column(pa.nulls(9, pa.float64()))) is None


def test_every_measure_has_a_formula() -> None:
    assert set(FORMULAS) == set(Measure)
    assert all(text.endswith((".", ").")) and len(text) > 20 for text in FORMULAS.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limit(Measure.RANGE, warn=-1.0),
        lambda: Limit(Measure.RANGE, warn=2.0, fail=1.0),
        lambda: DriftRules(chance=0),
        lambda: DriftRules(bins=7),
        lambda: DriftRules(min_rows=2, max_rows=1),
        lambda: DriftRules(not_compared=Severity.QUARANTINE),
        lambda: DriftRules(numbers=(Limit(Measure.RANGE), Limit(Measure.RANGE))),
    ],
)
def test_rules_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(ArgumentError):
        make()
