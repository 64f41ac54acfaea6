"""The rules for new data: chance breaks none of them, and what they are for breaks them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from components.comparison.chance import rows_beyond, share_beyond, unseen_rows
from components.comparison.profile import Sides
from components.comparison.row_rules import (
    BETWEEN,
    IN_SET,
    LIST_LENGTHS,
    NOT_NULL,
    UNIQUE,
    goes_on,
    hard_edges,
    rules_of,
    surely_kept,
    whole_row_rules,
)
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics, NumberStatistics, TopValue
from components.validation.suite import Rule


@given(seen=st.integers(1, 10**7), new=st.integers(1, 10**7))
def test_the_number_of_rows_is_the_smallest_that_chance_does_not_explain(seen: int, new: int) -> None:
    rows, share = rows_beyond(seen, new, 1e-5), new / (seen + new)
    assert share**rows <= 1e-5 * (1 + 1e-9)
    assert rows == 1 or share ** (rows - 1) > 1e-5 * (1 - 1e-9)


@given(
    share=st.floats(0, 0.5), rows=st.integers(50, 5000), new=st.integers(50, 5000), seed=st.integers(0, 2**32)
)
def test_shares_of_one_population_stay_within_the_bound(share: float, rows: int, new: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    before, now = draw.binomial(rows, share) / rows, draw.binomial(new, share) / new
    # What is expected of a share includes rows that chance alone adds.
    slack = share_beyond(before, rows, new, 1e-9) + rows_beyond(rows, new, 1e-9) / new
    assert now <= before + slack


def test_values_seen_once_allow_for_unseen_ones() -> None:
    assert unseen_rows(0, 1000, 1000) == rows_beyond(1000, 1000) == 17
    assert unseen_rows(50, 1000, 1000) > 50 + 17


def numbers(name: str, values: list[float] | list[int], kind: str = "double") -> ColumnStatistics:
    found, counts = np.unique(values, return_counts=True)
    top = tuple(
        TopValue(v.item(), int(c)) for v, c in sorted(zip(found, counts, strict=True), key=lambda p: -p[1])
    )
    about = NumberStatistics(
        len(values),
        min=min(values),
        max=max(values),
        median=float(np.median(values)),
    )
    return ColumnStatistics(name, kind, "number", len(values), 0, len(found), top=top, numbers=about)


def texts(name: str, counts: dict[str, int], missing: int = 0) -> ColumnStatistics:
    top = tuple(TopValue(value, count) for value, count in sorted(counts.items(), key=lambda p: -p[1]))
    lengths = NumberStatistics(1, min=min(map(len, counts)), max=max(map(len, counts)))
    return ColumnStatistics(
        name, "string", "text", sum(counts.values()), missing, len(counts), top=top, lengths=lengths
    )


def rules(
    before: ColumnStatistics, now: ColumnStatistics | None = None
) -> dict[tuple[str, Severity], dict[str, Any]]:
    """Return the rules by name and severity, for new data of which nothing is known for sure."""
    known = now or before
    unsure = replace(
        known,
        present=known.present - 1,
        missing=known.missing + 1,
        distinct_exact=False,
        lengths=None,
        numbers=known.numbers and replace(known.numbers, min=None),
    )
    return {(rule.type, rule.severity): dict(rule.kwargs) for rule in rules_of(Sides(before, unsure))}


def test_a_column_that_was_always_filled_may_not_lack_seventeen_of_a_thousand() -> None:
    found = rules(numbers("x", list(np.linspace(-1, 1, 1000))))
    assert found[NOT_NULL, Severity.FAIL]["mostly"] == pytest.approx(1 - 16.5 / 1000)
    assert "mostly" not in found[NOT_NULL, Severity.WARN]  # one missing value is worth a word


def test_twice_as_many_missing_values_are_too_many() -> None:
    column = texts("x", {"a": 90_000}, missing=1_000)
    allowed = 1 - rules(column)[NOT_NULL, Severity.FAIL]["mostly"]
    assert 2 * 1_000 / 91_000 <= allowed < 2.1 * 1_000 / 91_000


def test_a_vocabulary_is_closed_and_free_text_is_not() -> None:
    found = rules(texts("x", {"a": 600, "b": 400}))
    assert found[IN_SET, Severity.FAIL]["value_set"] == ["a", "b"]
    assert "mostly" not in found[IN_SET, Severity.WARN]
    free = {f"text {n}": 1 for n in range(900)} | {"often": 100}
    assert (IN_SET, Severity.FAIL) not in rules(texts("x", free))


def test_a_column_without_repetition_may_not_repeat() -> None:
    found = rules(texts("key", {f"k{n}": 1 for n in range(200)}))
    assert (UNIQUE, Severity.FAIL) in found
    assert (UNIQUE, Severity.FAIL) not in rules(texts("x", {"a": 2} | {f"k{n}": 1 for n in range(200)}))


@pytest.mark.parametrize(
    ("values", "kind", "edges"),
    [
        ([0.0, 0.3, 1.0] * 50, "double", {"min_value": 0, "max_value": 1}),
        ([0.1, 0.3, 0.9] * 50, "double", {"min_value": 0}),
        ([-1.5, 0.3, 2.0] * 50, "double", {}),
        (list(range(1, 13)) * 50, "int64", {"min_value": 1, "max_value": 12}),
        ([1] * 900 + [2] * 90 + [3] * 9 + [4], "int64", {"min_value": 1}),
        (list(range(1950, 2010)) * 2, "int64", {"min_value": 0}),
    ],
)
def test_edges_that_mean_something(values: list[float], kind: str, edges: dict[str, float]) -> None:
    column = numbers("x", values, kind)
    assert column.numbers is not None
    assert hard_edges(column, column.numbers) == edges


def test_time_goes_on() -> None:
    days = [1_700_000_000 + 3_600 * n for n in range(1_000)]
    before = numbers("at", days, "int64")
    later, earlier = (numbers("at", [d + step for d in days], "int64") for step in (3_600_000, -3_600_000))
    assert goes_on(Sides(before, later))
    assert not goes_on(Sides(before, earlier))
    leap = numbers("at", [d + 3 * 366 * 86_400 for d in days], "int64")
    assert not goes_on(Sides(before, leap)), "a gap of years is a fault"
    assert BETWEEN not in {kind for kind, _ in rules(before, later)}


def test_lists_stay_as_long_as_they_were() -> None:
    lengths = NumberStatistics(200, min=3, max=3)
    lists = ColumnStatistics("x", "list<double>", "list", 200, 0, lengths=lengths)
    found = rules(lists)
    assert (
        found[LIST_LENGTHS, Severity.FAIL]["min_value"],
        found[LIST_LENGTHS, Severity.FAIL]["max_value"],
    ) == (3, 3)
    assert rules_of(Sides(lists, lists)) == []


def test_a_column_that_lost_all_its_values_is_wrong_where_chance_does_not_explain_it() -> None:
    before = texts("x", {"a": 500, "b": 500}, missing=10_000)
    for rows, severities in ((400, {Severity.FAIL, Severity.WARN}), (80, {Severity.WARN}), (9, set())):
        now = ColumnStatistics("x", "null", "empty", 0, rows)
        found = [rule for rule in rules_of(Sides(before, now)) if rule.type == NOT_NULL]
        assert {rule.severity for rule in found} == severities


def test_repeated_rows_are_counted_against_those_of_before() -> None:
    (fails, warns) = whole_row_rules(["a", "b"], 0, 1_000, 1_000)
    assert (fails.severity, warns.severity) == (Severity.FAIL, Severity.WARN)
    assert fails.kwargs["mostly"] < warns.kwargs["mostly"] < 1
    assert list(whole_row_rules(["a", "b"], 600, 1_000, 1_000)) == []  # repetition is in its nature
    assert list(whole_row_rules(["a", "b"], 0, 1_000, 20)) == []


def test_statistics_prove_only_what_they_know_exactly() -> None:
    filled = numbers("x", [1.0, 2.0, 3.0])
    assert surely_kept(Rule(NOT_NULL, {}), filled)
    assert surely_kept(Rule(BETWEEN, {"min_value": 1, "max_value": 3}), filled)
    assert not surely_kept(Rule(BETWEEN, {"min_value": 1.5}), filled)
    assert surely_kept(Rule(UNIQUE, {}), filled)
    assert not surely_kept(Rule("expect_column_mean_to_be_between", {}), filled)
    few = texts("x", {"a": 2, "b": 1}, missing=1)
    assert not surely_kept(Rule(NOT_NULL, {}), few)
    assert not surely_kept(Rule(UNIQUE, {}), few)
    assert surely_kept(Rule(IN_SET, {"value_set": ["a", "b", "c"]}), few)
    assert not surely_kept(Rule(IN_SET, {"value_set": ["a"]}), few)
    assert not surely_kept(Rule(IN_SET, {"value_set": ["a", "b"]}), replace(few, distinct=3))
    assert not surely_kept(Rule(IN_SET, {"value_set": ["a", "b"]}), replace(few, distinct_exact=False))
    assert filled.numbers is not None
    for special in ("nan", "positive_infinity"):
        about = replace(filled.numbers, **{special: 1})  # type: ignore[arg-type]  # the name says which
        odd = replace(filled, numbers=about)
        kind = NOT_NULL if special == "nan" else BETWEEN
        assert not surely_kept(Rule(kind, {"min_value": 0}), odd)
