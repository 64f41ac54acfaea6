"""All columns beside their baseline: which measures apply to which column, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from components.schema.schema import Severity
from components.validation import comparators
from components.validation.distribution import Binned
from components.validation.drift_rules import DriftRules, Limit, Measure
from components.validation.profile import LEAST_LISTED, Categories, categories_of, numbers_of
from components.validation.view import InapplicableError

if TYPE_CHECKING:
    from components.statistics.statistics import ColumnStatistics, NumberStatistics

_NO_CHANCE = (Measure.RANGE, Measure.SIGN, Measure.UNSEEN)
"""A single value may break these, so the test of the whole distribution has no say."""


@dataclass(frozen=True)
class Comparison:
    """One measure of one column beside its baseline.

    Attributes:
        column: The column, ``struct.field`` for a field, ``list.item`` for the items of lists.
        subject: What was compared: ``values``, ``lengths``, ``missing``, ``not_finite``, ``meaning``,
            ``rows``, ``type`` or ``column``.
        measure: Name of the measure; empty where nothing could be measured.
        value: What it came to; None where it could not be measured.
        limit: The limit that was exceeded, or the lowest one.
        severity: What it means; None for nothing.
        reason: Why it could not be measured; empty where it could.
        details: What the verdict rests on; see :func:`measured`.
    """

    column: str
    subject: str
    measure: str
    value: float | None
    limit: float | None
    severity: Severity | None
    reason: str
    details: dict[str, Any]


def compare_column(
    before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    """Yield every comparison of a column with its baseline."""
    yield from _compare(before.name, before, now, rules)


def _compare(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    if rules.columns.get(name) == ():
        return
    if before.kind != now.kind and "empty" not in (before.kind, now.kind):
        yield not_compared(name, "type", f"the baseline holds {before.type}, the data {now.type}", rules)
        return
    missing = _missing(name, before, now, rules)
    yield from missing
    if not before.present or not now.present:
        yield _nothing(name, before, now, rules, missing)
        return
    compare = _BY_KIND.get(now.kind)
    if compare is not None:
        yield from compare(name, before, now, rules)
    else:
        found = not_compared(name, "values", f"values of type {now.type} have no distribution here", rules)
        # Nobody asked for it: it is kept with the comparisons, and is no alert.
        yield found if name in rules.columns else replace(found, severity=None)


def not_compared(column: str, subject: str, reason: str, rules: DriftRules) -> Comparison:
    """Return the comparison of what cannot be compared."""
    return Comparison(column, subject, "", None, None, rules.not_compared, reason, {})


def _nothing(
    name: str,
    before: ColumnStatistics,
    now: ColumnStatistics,
    rules: DriftRules,
    missing: Sequence[Comparison],
) -> Comparison:
    """Return the comparison of a column without values on a side; a warning where chance explains it."""
    if not before.present and not now.present:
        reason = "neither the baseline nor the data has values"
        return Comparison(name, "values", "", None, None, Severity.WARN, reason, {})
    side = "the data has" if before.present else "the baseline has"
    found = not_compared(name, "values", f"{side} no values", rules)
    rare = all(one.details["chance"] >= rules.chance for one in missing)
    return replace(found, severity=Severity.WARN) if rare else found


def _absent(column: ColumnStatistics) -> int:
    numbers = column.numbers
    strange = numbers.nan + numbers.positive_infinity + numbers.negative_infinity if numbers else 0
    return column.missing + strange


def _missing(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> list[Comparison]:
    """Compare the shares of rows without a (finite) value."""
    if not before.rows or not now.rows:
        return []
    pair = Binned()
    absent = _absent(before), _absent(now)
    pair.kind, pair.bins = "categories", ["missing", "present"]
    sides = [(lost, column.rows - lost) for lost, column in zip(absent, (before, now), strict=True)]
    pair.counts = np.asarray(sides[0], dtype=np.float64), np.asarray(sides[1], dtype=np.float64)
    one, two = (float(shares[0]) for shares in pair.shares)
    chance = comparators.chance(pair)
    severity = rules.missing_severity(two - one) if chance < rules.chance or rules.chance == 1 else None
    limits = {"warn": rules.missing_warn, "fail": rules.missing_fail}
    over = rules.missing_fail if severity is Severity.FAIL else rules.missing_warn
    details = {
        "measure": "missing",
        "formula": "Difference of the shares of rows without a value (null, NaN or infinite).",
        "threshold": over,
        "limits": limits,
        "chance": chance,
        "bins": pair.table(),
        "largest_shift": pair.largest_shift(),
    }
    return [Comparison(name, "missing", "missing", abs(two - one), over, severity, "", details)]


def _infinite(
    name: str, before: NumberStatistics, now: NumberStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    """Look for infinite numbers where the baseline has none."""
    counts = [side.positive_infinity + side.negative_infinity for side in (before, now)]
    if not counts[1]:
        return
    details = {
        "measure": "not_finite",
        "formula": "Infinite numbers, as a share of all numbers.",
        "threshold": 0.0,
        "bins": [
            {"bin": "infinite", "baseline": counts[0], "observed": counts[1]},
            {"bin": "finite", "baseline": before.count, "observed": now.count},
        ],
        "baseline": _facts(before),
        "observed": _facts(now),
    }
    share = counts[1] / (counts[1] + now.count)
    severity = None if counts[0] else rules.not_finite
    yield Comparison(name, "not_finite", "not_finite", share, 0.0, severity, "", details)


def _lists(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    yield from _lengths(name, before, now, rules)
    if before.items is not None and now.items is not None:
        yield from _compare(f"{name}.item", before.items, now.items, rules)


def _structs(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    if name in rules.columns:
        reason = f"a struct is compared by its fields: {', '.join(f'{name}.{f.name}' for f in now.fields)}"
        yield not_compared(name, "values", reason, rules)
    one = {field.name: field for field in before.fields}
    two = {field.name: field for field in now.fields}
    for field in dict.fromkeys([*one, *two]):
        inner = f"{name}.{field}"
        if field in one and field in two:
            yield from _compare(inner, one[field], two[field], rules)
        elif rules.columns.get(inner) != ():
            side = "baseline" if field in two else "data"
            yield not_compared(inner, "column", f"the {side} has no such field", rules)


def _texts(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    yield from _categories(name, before, now, rules)
    yield from _meaning(name, before, now, rules)


def _bytes(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    yield from _meaning(name, before, now, rules)
    yield from _lengths(name, before, now, rules)


def _numbers(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    limits = rules.columns.get(name, rules.numbers if now.kind == "number" else rules.times)
    if before.numbers is None or now.numbers is None or not limits:
        return
    if not before.numbers.count or not now.numbers.count:
        yield not_compared(name, "values", "there are no finite values on one side", rules)
        return
    yield from _infinite(name, before.numbers, now.numbers, rules)
    sides = [
        numbers_of(one.numbers, one.top if one.kind == "number" and not one.top_error else ())
        for one in (before, now)
        if one.numbers is not None
    ]
    pair = comparators.NumberPair(sides[0], sides[1], rules.bins)
    facts = {"baseline": _facts(before.numbers), "observed": _facts(now.numbers)}
    yield from (measured(name, "values", pair, limit, facts, rules) for limit in limits)


def _lengths(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    """Compare lengths: of lists, of byte strings, of texts with too many values to list."""
    if before.lengths is None or now.lengths is None:
        return
    limits = rules.columns.get(name, rules.numbers)
    pair = comparators.NumberPair(numbers_of(before.lengths), numbers_of(now.lengths), rules.bins)
    facts = {"baseline": _facts(before.lengths), "observed": _facts(now.lengths)}
    yield from (measured(name, "lengths", pair, limit, facts, rules) for limit in limits)


def _categories(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    one, two = categories_of(before), categories_of(now)
    chosen = name in rules.columns
    if chosen or min(one.listed, two.listed) >= LEAST_LISTED:
        limits = _fitting(rules.columns.get(name, rules.categories), one, chosen=chosen)
        pair = comparators.CategoryPair(one, two)
        facts = {"baseline": _values(before), "observed": _values(now)}
        yield from (measured(name, "values", pair, limit, facts, rules) for limit in limits)
    if not (chosen or (one.complete and two.complete)):
        yield from _lengths(name, before, now, rules)


def _fitting(limits: Sequence[Limit], baseline: Categories, *, chosen: bool) -> Iterator[Limit]:
    """Yield the limits for texts; what chance explains of new texts is added to the limits of those."""
    for limit in limits:
        if limit.measure is not Measure.UNSEEN or chosen:
            yield limit
        elif baseline.complete:
            more = comparators.expected_unseen(baseline)
            sides = (None if side is None else max(side, more) for side in (limit.warn, limit.fail))
            yield Limit(Measure.UNSEEN, *sides)


def _meaning(
    name: str, before: ColumnStatistics, now: ColumnStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    """Compare what values look like, where the baseline's look like one thing: e-mail addresses, dates."""
    hint = before.hint
    if hint is None or hint in _NO_MEANING or not before.hinted_values or not now.hinted_values:
        return
    shares = [{one.name: one.share for one in side.hints}.get(hint, 0.0) for side in (before, now)]
    lost = max(0.0, shares[0] - shares[1])
    counts = [round(share * side.hinted_values) for share, side in zip(shares, (before, now), strict=True)]
    looked_at = before.hinted_values, now.hinted_values
    others = [whole - count for whole, count in zip(looked_at, counts, strict=True)]
    details = {
        "measure": "meaning",
        "formula": f"Share of the different values that look like {hint}, in the baseline less in the data.",
        "threshold": None,
        "bins": [
            {"bin": hint, "baseline": counts[0], "observed": counts[1]},
            {"bin": "(others)", "baseline": others[0], "observed": others[1]},
        ],
        "baseline": {"hint": hint},
        "observed": {"hint": now.hint},
    }
    severity = rules.meaning if now.hint != hint and lost > 0 else None
    yield Comparison(name, "meaning", "meaning", lost, None, severity, "", details)


_NO_MEANING = ("categorical", "identifier", "free_text")
_MOST_NEW = 20


def measured(
    column: str, subject: str, pair: Binned, limit: Limit, facts: dict[str, Any], rules: DriftRules
) -> Comparison:
    """Return what a measure of a pair comes to.

    Its details, as JSON: ``measure``, ``formula``, ``threshold`` (the limit that counts), ``limits``
    (``warn`` and ``fail``), ``chance`` (probability of such a difference by chance), ``bins`` (``bin``,
    ``baseline``, ``observed``: counts), ``largest_shift`` (a bin with ``baseline_share`` and
    ``observed_share``), ``baseline`` and ``observed`` (facts about both sides).
    """
    measure = limit.measure
    try:
        value = comparators.MEASURES[measure](pair)
    except InapplicableError as error:
        return Comparison(column, subject, str(measure), None, limit.fail, rules.not_compared, str(error), {})
    chance = comparators.chance(pair)
    allowed = measure not in _NO_CHANCE and rules.chance < 1 and chance >= rules.chance
    severity = None if allowed else limit.severity(value)
    details = {
        "measure": str(measure),
        "formula": comparators.FORMULAS[measure],
        "threshold": limit.exceeded(value),
        "limits": {"warn": limit.warn, "fail": limit.fail},
        "chance": chance,
        "bins": pair.table(),
        "largest_shift": pair.largest_shift(),
        **facts,
    }
    if isinstance(pair, comparators.CategoryPair) and measure is Measure.UNSEEN:
        details["new_values"] = dict(list(comparators.new_values(pair).items())[:_MOST_NEW])
    return Comparison(column, subject, str(measure), value, limit.exceeded(value), severity, "", details)


def _facts(numbers: NumberStatistics) -> dict[str, Any]:
    """Return what a person wants to know about numbers that moved."""
    names = ("count", "mean", "std", "min", "median", "max")
    return {name: getattr(numbers, name) for name in names}


def _values(column: ColumnStatistics) -> dict[str, Any]:
    return {"count": column.present, "distinct": column.distinct}


_Compare = Callable[[str, "ColumnStatistics", "ColumnStatistics", DriftRules], Iterator[Comparison]]
_BY_KIND: dict[str, _Compare] = {
    "number": _numbers,
    "time": _numbers,
    "text": _texts,
    "bool": _texts,
    "bytes": _bytes,
    "list": _lists,
    "struct": _structs,
}
