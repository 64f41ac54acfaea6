"""What new data must keep of a baseline: rules with bounds that chance alone does not break."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.comparison.chance import (
    NOTABLE,
    UNLIKELY,
    distance_beyond,
    rows_beyond,
    share_beyond,
    unseen_rows,
)
from components.schema.schema import Expectation, Severity
from components.statistics.statistics import ColumnStatistics, NumberStatistics

_FEW = 30  # with fewer values nothing is said about values
_ENOUGH = 100  # with so many, what never occurred is worth a word
_CATEGORIES = 1_000
_CODES = 60
_HARD_EDGE = 10
_OPEN = 0.05  # more than this share of unseen values: the column is no vocabulary
_YEAR = 366 * 86_400
_EPOCH = (5e8, 4.2e9)  # seconds of 1985 to 2103

KOLMOGOROV = "expect_column_kolmogorov_smirnov_distance_to_be_less_than"
L_INFINITY = "expect_column_l_infinity_distance_to_be_less_than"
BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_NULL = "expect_column_values_to_not_be_null"
NULL = "expect_column_values_to_be_null"
UNIQUE = "expect_column_values_to_be_unique"
UNIQUE_ROWS = "expect_compound_columns_to_be_unique"
LENGTHS = "expect_column_value_lengths_to_be_between"


@dataclass(frozen=True)
class Sides:
    """One column, before and now.

    Attributes:
        before: Its statistics in the baseline.
        now: Its statistics in the new data.
    """

    before: ColumnStatistics
    now: ColumnStatistics

    @property
    def name(self) -> str:
        """The column's name."""
        return self.before.name

    @property
    def comparable(self) -> bool:
        """Whether both have enough values to say something about values."""
        return min(self.before.present, self.now.present) >= _FEW

    @property
    def moves_on(self) -> bool:
        """Whether the column goes on where the data ended: times, and numbers that count the rows."""
        return is_time(self.before) or is_counter(self.before)


def is_time(column: ColumnStatistics) -> bool:
    """Return whether a column holds moments: of a time type, or whole seconds since 1970."""
    numbers = column.numbers
    if column.kind == "time":
        return "time32" not in column.type and "time64" not in column.type and "duration" not in column.type
    if numbers is None or not isinstance(numbers.min, int) or not isinstance(numbers.max, int):
        return False
    return _EPOCH[0] <= numbers.min <= numbers.max <= _EPOCH[1] and (column.distinct or 0) >= _ENOUGH


def is_counter(column: ColumnStatistics) -> bool:
    """Return whether a column looks like the number of a row: whole numbers that never repeat."""
    whole = column.numbers is not None and isinstance(column.numbers.min, int)
    return whole and column.kind == "number" and is_unique(column)


def is_unique(column: ColumnStatistics) -> bool:
    """Return whether no value of many occurs twice; measured numbers are not asked."""
    text_or_whole = column.kind == "text" or "int" in column.type
    many = column.present >= _ENOUGH
    return text_or_whole and many and column.distinct_exact and column.distinct == column.present


def column_rules(sides: Sides, shape: Mapping[str, Any] | None, threshold: float) -> Iterator[Expectation]:
    """Yield the rules for one column that both data sets have with the same type.

    Args:
        sides: The column before and now.
        shape: Its distribution in the baseline, where it has one to compare.
        threshold: Difference of (cumulated) shares from which a changed distribution is wrong.
    """
    yield from _presence(sides)
    if not sides.comparable:
        return
    yield from _vocabulary(sides)
    yield from _uniqueness(sides)
    yield from _lengths(sides)
    if not sides.moves_on:
        yield from _bounds(sides)
    if shape is not None:
        yield from _distribution(sides, shape, threshold)


def _presence(sides: Sides) -> Iterator[Expectation]:
    """Expect values where there were values; twice the missing ones, or five points more, are too many."""
    before, now = sides.before, sides.now
    share, of = before.missing_share, (before.rows, now.rows)
    if not now.rows or not before.present:
        return
    if not before.missing:
        yield from _tolerated(
            NOT_NULL, {}, sides, rows_beyond(*of), 1 if before.rows >= _ENOUGH else rows_beyond(*of, NOTABLE)
        )
        return
    floor = min(0.05, share)
    limits = [
        math.ceil(now.rows * (share + max(least, share_beyond(share, *of, chance))))
        + rows_beyond(*of, chance)
        for least, chance in ((floor, UNLIKELY), (floor / 2, NOTABLE))
    ]
    yield from _tolerated(NOT_NULL, {}, sides, *limits)
    fewer = share - max(0.1, share_beyond(share, *of))
    if fewer > 0:  # missing values that were filled in: a guess at them may hide in the column now
        kwargs = {"column": sides.name, "mostly": fewer}
        yield Expectation(NULL, kwargs, Severity.WARN)


def _vocabulary(sides: Sides) -> Iterator[Expectation]:
    """Expect one of the values seen, where the column is a vocabulary."""
    before = sides.before
    whole = before.kind == "number" and before.numbers is not None and isinstance(before.numbers.min, int)
    if sides.moves_on or not (before.kind == "text" or whole):
        return
    known = before.distinct if before.distinct_exact else None
    if not known or known > (_CATEGORIES if before.kind == "text" else _CODES) or len(before.top) < known:
        return
    once = sum(top.count == 1 for top in before.top)
    if once > _OPEN * before.present or before.present < 5 * known:
        return
    kwargs = {"value_set": sorted({top.value for top in before.top}, key=str)}
    of = (once, before.present, sides.now.present)
    closed = before.kind == "text" and once <= 2 and before.present >= _ENOUGH
    yield from _tolerated(IN_SET, kwargs, sides, unseen_rows(*of), 1 if closed else unseen_rows(*of, NOTABLE))


def _uniqueness(sides: Sides) -> Iterator[Expectation]:
    """Expect a column without a repeated value to stay so; a repetition concerns two rows."""
    if is_unique(sides.before) and not is_time(sides.before):
        least = 2 * rows_beyond(sides.before.rows, sides.now.rows)
        more = math.ceil(6 * (sides.now.rows / sides.before.rows) ** 2)
        yield from _tolerated(UNIQUE, {}, sides, max(least, more), 2)


def _lengths(sides: Sides) -> Iterator[Expectation]:
    """Expect texts about as long as those seen."""
    lengths = sides.before.lengths
    if sides.before.kind != "text" or lengths is None or lengths.min is None or lengths.max is None:
        return
    slack = max(1, round((lengths.max - lengths.min) / 10)) if lengths.max > lengths.min else 0
    kwargs = {"min_value": max(0, int(lengths.min) - slack), "max_value": int(lengths.max) + slack}
    of = (sides.before.present, sides.now.present)
    yield from _tolerated(LENGTHS, kwargs, sides, rows_beyond(*of), rows_beyond(*of, NOTABLE))


def _bounds(sides: Sides) -> Iterator[Expectation]:
    """Expect numbers near those seen; none beyond an edge that means something, few beyond others."""
    numbers = sides.before.numbers
    if sides.before.kind != "number" or numbers is None or numbers.min is None or numbers.max is None:
        return
    low, high = float(numbers.min), float(numbers.max)
    hard = hard_edges(sides.before, numbers) if sides.before.present >= _ENOUGH else {}
    if hard:
        yield Expectation(BETWEEN, {"column": sides.name, **hard}, Severity.FAIL)
    width = high - low
    if not math.isfinite(width):
        return
    of = (numbers.count, sides.now.present)
    near = {"min_value": low - width / 10, "max_value": high + width / 10}
    far = {"min_value": low - width, "max_value": high + width}
    yield from _tolerated(BETWEEN, near, sides, rows_beyond(*of), rows_beyond(*of, NOTABLE))
    yield from _tolerated(BETWEEN, far, sides, None, 1)


def hard_edges(column: ColumnStatistics, numbers: NumberStatistics) -> dict[str, float]:
    """Return the bounds that values of a column cannot pass, as far as its values tell.

    No value below 0 where there is none; none outside 0 to 1 where both ends occur; and codes such as
    months and hours end where a value that occurs often has no neighbour.
    """
    low, high = numbers.min, numbers.max
    assert low is not None
    assert high is not None
    if (low, high) == (0, 1):
        return {"min_value": 0, "max_value": 1}
    found: dict[str, float] = {"min_value": 0} if low >= 0 else {}
    counts = {top.value: top.count for top in column.top}
    is_code = isinstance(low, int) and isinstance(high, int) and len(counts) == column.distinct
    if is_code and high - low < _CODES:
        for name, edge, inner in (("min_value", low, low + 1), ("max_value", high, high - 1)):
            at, beside = counts.get(edge, 0), counts.get(inner, 0)
            if beside and at * min(1.0, at / beside) >= _HARD_EDGE:
                found[name] = edge
    return found


def _distribution(sides: Sides, shape: Mapping[str, Any], threshold: float) -> Iterator[Expectation]:
    """Expect the distribution of before; how wrong another one is, :func:`drift_limits` tells."""
    limits = drift_limits(sides, shape, threshold)
    if limits:
        kwargs = {"column": sides.name, "threshold": min(limits.values()), "baseline": dict(shape)}
        yield Expectation(KOLMOGOROV if shape["kind"] == "numbers" else L_INFINITY, kwargs, Severity.WARN)


def drift_limits(sides: Sides, shape: Mapping[str, Any], threshold: float) -> dict[Severity, float]:
    """Return from which difference on a distribution is wrong, and from which worth a look.

    Both lie above what is meant by different and above what chance does; one that cannot be reached is left
    out.

    Args:
        sides: The column before and now.
        shape: Its distribution in the baseline.
        threshold: What is meant by different; half of it is worth a look.
    """
    of = (sides.before.present, sides.now.present)
    most = min(max(shape["counts"]) / sum(shape["counts"]), 0.5)
    found = {}
    for least, chance, severity in (
        (threshold, UNLIKELY, Severity.FAIL),
        (threshold / 2, NOTABLE, Severity.WARN),
    ):
        numbers = shape["kind"] == "numbers"
        by_chance = distance_beyond(*of, chance) if numbers else share_beyond(most, *of, chance)
        found[severity] = _round(max(least, by_chance))
    if sides.moves_on and _later(sides):
        del found[Severity.FAIL]
    return {severity: limit for severity, limit in found.items() if limit < 1}


def _later(sides: Sides) -> bool:
    """Return whether new values lie mostly behind the baseline's last: time goes on, that is no fault.

    A gap longer than both the baseline and a year is one.
    """
    before, now = sides.before.numbers, sides.now.numbers
    if before is None or now is None or before.max is None or now.median is None:
        return False
    assert before.min is not None
    assert now.min is not None
    gap = now.min - before.max
    leap = is_time(sides.before) and gap > max(_YEAR, before.max - before.min)
    return now.median > before.max and not leap


def row_rules(columns: list[str], repeated: int, rows: int, new: int) -> Iterator[Expectation]:
    """Yield the rules about whole rows.

    Args:
        columns: Columns that rows are compared by.
        repeated: Rows of the baseline that are equal to another one.
        rows: Rows of the baseline.
        new: New rows.
    """
    if len(columns) < 2 or repeated > rows / 2 or min(rows, new) < _FEW:
        return
    share = min(0.9, repeated / rows * max(1.0, new / rows))
    limits = [
        math.ceil(new * (share + (share_beyond(share, rows, new, chance) if share else 0)))
        + 2 * rows_beyond(rows, new, chance)
        for chance in (UNLIKELY, NOTABLE)
    ]
    yield from _limited(UNIQUE_ROWS, {"column_list": columns}, new, *limits)


def _tolerated(
    kind: str, kwargs: dict[str, Any], sides: Sides, fails: int | None, warns: int | None
) -> Iterator[Expectation]:
    of = sides.now.rows if kind == NOT_NULL else sides.now.present
    yield from _limited(kind, {"column": sides.name, **kwargs}, of, fails, warns)


def _limited(
    kind: str, kwargs: dict[str, Any], rows: int, fails: int | None, warns: int | None
) -> Iterator[Expectation]:
    """Yield a rule that is broken from so many rows on, one for each severity."""
    for least, severity in ((fails, Severity.FAIL), (warns, Severity.WARN)):
        if least is not None and least <= rows:
            # Between two whole numbers of rows, so that rounding decides nothing.
            mostly = {} if least == 1 else {"mostly": 1 - (least - 0.5) / rows}
            yield Expectation(kind, {**kwargs, **mostly}, severity)


def _round(value: float) -> float:
    return float(f"{value:.4g}")
