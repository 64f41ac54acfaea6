"""What new rows must keep of a baseline: rules with bounds that chance alone does not break."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from components.comparison.chance import NOTABLE, UNLIKELY, rows_beyond, share_beyond, unseen_rows
from components.comparison.profile import Sides, is_moment
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics, NumberStatistics
from components.validation.suite import Rule

_FEW = 30  # with fewer values nothing is said about values
_ENOUGH = 100  # with so many, what never occurred is worth a word
_CATEGORIES = 1_000
_CODES = 60
_HARD_EDGE = 10
_OPEN = 0.05  # more than this share of unseen values: the column is no vocabulary
_YEAR = 366 * 86_400

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_NULL = "expect_column_values_to_not_be_null"
NULL = "expect_column_values_to_be_null"
UNIQUE = "expect_column_values_to_be_unique"
UNIQUE_ROWS = "expect_compound_columns_to_be_unique"
LENGTHS = "expect_column_value_lengths_to_be_between"
LIST_LENGTHS = "expect_column_list_lengths_to_be_between"


def comparable(sides: Sides) -> bool:
    """Return whether both have enough values to say something about values."""
    return min(sides.before.present, sides.now.present) >= _FEW


def moves_on(column: ColumnStatistics) -> bool:
    """Return whether a column goes on where the data ended: moments, and numbers that count the rows."""
    return is_moment(column) or is_counter(column)


def is_counter(column: ColumnStatistics) -> bool:
    """Return whether a column looks like the number of a row: whole numbers that never repeat."""
    whole = column.numbers is not None and isinstance(column.numbers.min, int)
    return whole and column.kind == "number" and is_unique(column)


def is_unique(column: ColumnStatistics) -> bool:
    """Return whether no value of many occurs twice; measured numbers are not asked."""
    text_or_whole = column.kind == "text" or "int" in column.type
    many = column.present >= _ENOUGH
    return text_or_whole and many and column.distinct_exact and column.distinct == column.present


def rules_of(sides: Sides) -> list[Rule]:
    """Return the rules for a column of both data sets, but those that statistics prove to be kept."""
    made = list(_presence(sides))
    if comparable(sides):
        made += [*_vocabulary(sides), *_uniqueness(sides), *_lengths(sides)]
        if not moves_on(sides.before):
            made += _bounds(sides)
    return [rule for rule in made if not surely_kept(rule, sides.now)]


def _presence(sides: Sides) -> Iterator[Rule]:
    """Expect values where there were values; twice the missing ones, or five points more, are too many."""
    before, now = sides.before, sides.now
    share, of = before.missing_share, (before.rows, now.rows)
    if not now.rows or not before.present:
        return
    floor = min(0.05, share)
    limits = [
        math.ceil(now.rows * (share + max(least, share_beyond(share, *of, chance))))
        + rows_beyond(*of, chance)
        for least, chance in ((floor, UNLIKELY), (floor / 2, NOTABLE))
    ]
    if not before.missing:
        limits = [rows_beyond(*of), 1 if before.rows >= _ENOUGH else rows_beyond(*of, NOTABLE)]
    emptied = max(share, 1 / before.rows) ** now.rows  # that not one new row has a value
    fails, warns = (
        min(limit, now.rows) if emptied < chance else limit
        for limit, chance in zip(limits, (UNLIKELY, NOTABLE), strict=True)
    )
    yield from _tolerated(NOT_NULL, {}, sides, fails, warns)
    fewer = share - max(0.1, share_beyond(share, *of))
    if fewer > 0:  # missing values that were filled in: a guess at them may hide in the column now
        kwargs = {"column": sides.name, "mostly": fewer}
        yield Rule(NULL, kwargs, Severity.WARN)


def _vocabulary(sides: Sides) -> Iterator[Rule]:
    """Expect one of the values seen, where the column is a vocabulary."""
    before = sides.before
    whole = before.kind == "number" and before.numbers is not None and isinstance(before.numbers.min, int)
    if moves_on(before) or not (before.kind == "text" or whole):
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


def _uniqueness(sides: Sides) -> Iterator[Rule]:
    """Expect a column without a repeated value to stay so; a repetition concerns two rows."""
    if is_unique(sides.before) and not is_moment(sides.before):
        least = 2 * rows_beyond(sides.before.rows, sides.now.rows)
        more = math.ceil(6 * (sides.now.rows / sides.before.rows) ** 2)
        yield from _tolerated(UNIQUE, {}, sides, max(least, more), 2)


def _lengths(sides: Sides) -> Iterator[Rule]:
    """Expect texts and lists about as long as those seen."""
    lengths = sides.before.lengths
    kind = {"text": LENGTHS, "list": LIST_LENGTHS}.get(sides.before.kind)
    if kind is None or lengths is None or lengths.min is None or lengths.max is None:
        return
    slack = max(1, round((lengths.max - lengths.min) / 10)) if lengths.max > lengths.min else 0
    kwargs = {"min_value": max(0, int(lengths.min) - slack), "max_value": int(lengths.max) + slack}
    of = (sides.before.present, sides.now.present)
    yield from _tolerated(kind, kwargs, sides, rows_beyond(*of), rows_beyond(*of, NOTABLE))


def _bounds(sides: Sides) -> Iterator[Rule]:
    """Expect numbers near those seen; none beyond an edge that means something, few beyond others."""
    numbers = sides.before.numbers
    if sides.before.kind != "number" or numbers is None or numbers.min is None or numbers.max is None:
        return
    low, high = float(numbers.min), float(numbers.max)
    hard = hard_edges(sides.before, numbers) if sides.before.present >= _ENOUGH else {}
    if hard:
        yield Rule(BETWEEN, {"column": sides.name, **hard}, Severity.FAIL)
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


def goes_on(sides: Sides) -> bool:
    """Return whether new moments or counts lie mostly behind the baseline's last: time goes on, no fault.

    A gap longer than both the baseline and a year is one.
    """
    before, now = sides.before.numbers, sides.now.numbers
    if not moves_on(sides.before) or before is None or now is None:
        return False
    if before.max is None or now.median is None:
        return False
    assert before.min is not None
    assert now.min is not None
    gap = now.min - before.max
    leap = is_moment(sides.before) and gap > max(_YEAR, before.max - before.min)
    return now.median > before.max and not leap


def whole_row_rules(columns: Sequence[str], repeated: int, rows: int, new: int) -> Iterator[Rule]:
    """Yield the rules about whole rows.

    Args:
        columns: Columns that rows are compared by.
        repeated: Rows of the baseline that are equal to another one.
        rows: Rows of the baseline.
        new: New rows.
    """
    if repeated > rows / 2 or min(rows, new) < _FEW:
        return
    share = min(0.9, repeated / rows * max(1.0, new / rows))
    limits = [
        math.ceil(new * (share + (share_beyond(share, rows, new, chance) if share else 0)))
        + 2 * rows_beyond(rows, new, chance)
        for chance in (UNLIKELY, NOTABLE)
    ]
    yield from _limited(UNIQUE_ROWS, {"column_list": list(columns)}, new, *limits)


def _tolerated(
    kind: str, kwargs: dict[str, Any], sides: Sides, fails: int | None, warns: int | None
) -> Iterator[Rule]:
    of = sides.now.rows if kind == NOT_NULL else sides.now.present
    yield from _limited(kind, {"column": sides.name, **kwargs}, of, fails, warns)


def _limited(
    kind: str, kwargs: dict[str, Any], rows: int, fails: int | None, warns: int | None
) -> Iterator[Rule]:
    """Yield a rule that is broken from so many rows on, one for each severity."""
    for least, severity in ((fails, Severity.FAIL), (warns, Severity.WARN)):
        if least is not None and least <= rows:
            # Between two whole numbers of rows, so that rounding decides nothing.
            mostly = {} if least == 1 else {"mostly": 1 - (least - 0.5) / rows}
            yield Rule(kind, {**kwargs, **mostly}, severity)


def surely_kept(rule: Rule, now: ColumnStatistics) -> bool:
    """Return whether a rule cannot be broken, by what is known exactly about the column: no look at its rows.

    Args:
        rule: The rule.
        now: The column in the new data.
    """
    kind = rule.type
    if kind == NOT_NULL:
        return not now.missing and not (now.numbers and now.numbers.nan)
    if kind == UNIQUE:
        return now.distinct_exact and now.distinct == now.present
    if kind == IN_SET:
        complete = now.distinct_exact and len(now.top) == now.distinct and not now.top_error
        return complete and {top.value for top in now.top} <= set(rule.kwargs["value_set"])
    if kind in (BETWEEN, LENGTHS, LIST_LENGTHS):
        return _within(now.numbers if kind == BETWEEN else now.lengths, rule)
    return False


def _within(numbers: NumberStatistics | None, rule: Rule) -> bool:
    if numbers is None or numbers.min is None or numbers.max is None:
        return False
    if numbers.positive_infinity or numbers.negative_infinity:
        return False
    low, high = rule.kwargs.get("min_value"), rule.kwargs.get("max_value")
    return (low is None or numbers.min >= low) and (high is None or numbers.max <= high)
