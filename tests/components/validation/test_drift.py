"""Distances between distributions: as scipy computes them, and an error where they cannot apply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, strategies as st
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]  # scipy ships no types

from components.comparison import measures
from components.validation import distribution
from components.validation.distribution import Pair, summary
from components.validation.judge import Verdict
from components.validation.run import judge_examples
from components.validation.suite import SuiteError
from components.validation.view import InapplicableError
from orchestration import Beam
from tests.components.validation.material import SHARED, examples_of, rule

small = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


def pair(one: list[Any], two: list[Any], bins: int = 10) -> Pair:
    return Pair(summary(pa.array(one)), summary(pa.array(two)), bins)


@given(small, small)
def test_order_distances_are_those_of_scipy(one: list[float], two: list[float]) -> None:
    both = pair(one, two)
    assert np.isclose(measures.kolmogorov_smirnov(both), stats.ks_2samp(one, two, method="asymp").statistic)
    assert np.isclose(distribution.wasserstein(both), stats.wasserstein_distance(one, two))


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("abcd"), min_size=1))
def test_share_distances_are_those_of_scipy(one: list[str], two: list[str]) -> None:
    both = pair(one, two)
    shares = both.shares
    assert np.isclose(measures.jensen_shannon(both), jensenshannon(*shares, base=2) ** 2, atol=1e-9)
    assert measures.l_infinity(both) == np.abs(shares[0] - shares[1]).max()
    if len({*one, *two}) > 1:
        expected = stats.chi2_contingency(np.stack(both.counts), correction=False).pvalue
        assert np.isclose(measures.chi_square(both), expected)


def test_the_stability_index_of_a_known_case() -> None:
    both = pair(["a"] * 50 + ["b"] * 50, ["a"] * 70 + ["b"] * 30)
    assert np.isclose(measures.stability_index(both), 0.2 * np.log(0.7 / 0.5) - 0.2 * np.log(0.3 / 0.5))


def test_an_empty_bin_has_a_finite_index_and_says_how_in_the_bins() -> None:
    both = pair(["a", "b"], ["a", "a"])
    assert np.isfinite(measures.stability_index(both))
    assert both.table() == [
        {"bin": "a", "baseline": 1, "observed": 2},
        {"bin": "b", "baseline": 1, "observed": 0},
    ]


def test_many_numbers_are_summed_up_in_a_thousand_points_of_about_equal_weight() -> None:
    random = np.random.default_rng(3)
    one, two = random.normal(0, 1, 50_000), random.normal(0.2, 1, 50_000)
    short = summary(pa.array(one))
    assert len(short["values"]) <= 1000
    assert sum(short["counts"]) == 50_000
    both = Pair(short, summary(pa.array(two)))
    assert abs(measures.kolmogorov_smirnov(both) - stats.ks_2samp(one, two).statistic) < 0.002
    assert abs(distribution.wasserstein(both) - stats.wasserstein_distance(one, two)) < 0.01
    assert len(both.bins) == 10


@pytest.mark.parametrize(
    ("one", "two", "measure", "reason"),
    [
        (["a"], ["b"], measures.kolmogorov_smirnov, "categories have no order"),
        (["a"], ["b"], distribution.wasserstein, "categories have no order"),
        (["a"], ["a"], measures.chi_square, "nothing to test"),
        ([1.0], [np.inf], distribution.wasserstein, "infinite"),
        ([1.0], ["a"], measures.l_infinity, "the baseline holds numbers, the data categories"),
        ([1.0], pa.array([], pa.float64()), measures.l_infinity, "the data has no values"),
        (pa.array([None], pa.string()), ["a"], measures.l_infinity, "the baseline has no values"),
    ],
)
def test_what_cannot_be_compared_is_an_error(one: Any, two: Any, measure: Any, reason: str) -> None:
    with pytest.raises(InapplicableError, match=reason):
        measure(pair(one, two))


MEASURES = [
    "l_infinity_distance_to_be_less_than",
    "jensen_shannon_divergence_to_be_less_than",
    "population_stability_index_to_be_less_than",
    "kolmogorov_smirnov_distance_to_be_less_than",
    "wasserstein_distance_to_be_less_than",
]


def verdicts_of(rules: list[Any], **tables: pa.Table) -> dict[str, list[Verdict]]:
    return judge_examples(examples_of(*tables.items()), rules, sorted(tables), Beam()).verdicts


def test_the_skewed_penguins_are_found_and_the_column_that_moved_most_is_named() -> None:
    folder = SHARED / "penguins"
    if not folder.exists():
        pytest.skip(f"the real data set penguins is not at {SHARED}")
    before = pacsv.read_csv(folder / "penguins_processed.csv")
    after = pacsv.read_csv(folder / "penguins_processed_skewed.csv")
    columns = [f.name for f in before.schema if pa.types.is_floating(f.type)]
    rules = [
        rule(f"column_{measure}", column=name, threshold=0.0, baseline_split="before")
        for name in columns
        for measure in MEASURES
    ]
    ranges = [rule("column_values_to_be_between", column=name, min_value=0, max_value=1) for name in columns]
    found = verdicts_of([*rules, *ranges], before=before, after=after)
    assert all(verdict.success for verdict in found["before"])
    broken = [verdict for verdict in found["after"] if not verdict.success]
    assert {verdict.rule.columns[0] for verdict in broken} == {"culmen_length_mm"}
    assert len(broken) == len(MEASURES) + 1
    assert broken[-1].result["partial_unexpected_list"] == [-1.0]
    for verdict in found["after"][: len(rules)]:
        details = verdict.result["details"]
        assert sum(entry["observed"] for entry in details["bins"]) == after.num_rows
        assert details["formula"]
        assert details["largest_shift"]["bin"] in [entry["bin"] for entry in details["bins"]]


def test_a_baseline_can_be_written_into_the_suite() -> None:
    baseline = {"kind": "categories", "values": ["a", "b"], "counts": [1, 1]}
    near, far = pa.table({"c": ["a", "b"]}), pa.table({"c": ["a", "a"]})
    rules = [rule("column_l_infinity_distance_to_be_less_than", column="c", threshold=0.4, baseline=baseline)]
    found = verdicts_of(rules, far=far, near=near)
    assert (found["near"][0].success, found["far"][0].success) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"baseline": {"kind": "numbers"}}, "is no distribution"),
        ({"baseline_split": "nowhere"}, 'there is no split "nowhere"'),
    ],
)
def test_a_baseline_that_is_not_there_breaks_the_rule(arguments: dict[str, Any], error: str) -> None:
    rules = [rule("column_l_infinity_distance_to_be_less_than", column="c", threshold=0.4, **arguments)]
    [verdict] = verdicts_of(rules, all=pa.table({"c": ["a"]}))["all"]
    assert not verdict.success
    assert error in (verdict.error or "")


@pytest.mark.parametrize(
    "arguments", [{}, {"baseline": {}, "baseline_split": "a"}, {"baseline_split": "a", "bins": 1}]
)
def test_a_drift_rule_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    rules = [rule("column_l_infinity_distance_to_be_less_than", column="c", threshold=0.4, **arguments)]
    with pytest.raises(SuiteError, match="cannot be used with these arguments"):
        verdicts_of(rules, all=pa.table({"c": ["a"]}))


def test_text_with_too_many_values_has_no_distribution() -> None:
    table = pa.table({"c": [str(number) for number in range(distribution.MOST_CATEGORIES + 1)]})
    rules = [
        rule("column_l_infinity_distance_to_be_less_than", column="c", threshold=0.4, baseline_split="all")
    ]
    [verdict] = verdicts_of(rules, all=table)["all"]
    assert not verdict.success
    assert "different values" in (verdict.error or "")
