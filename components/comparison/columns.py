"""All columns beside their baseline: which measures apply to which column, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from components.comparison import measures
from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.comparison.pairs import Binned, CategoryPair, NumberPair
from components.comparison.profile import (
    LEAST_LISTED,
    Categories,
    Sides,
    categories_of,
    moment,
    numbers_of,
    times_as_large,
)
from components.schema.schema import Severity
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
        details: What the verdict rests on; see :func:`found`.
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
    return _compare(Sides(before, now), rules)


def _compare(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    name, before, now = sides.name, sides.before, sides.now
    if rules.columns.get(name) == ():
        return
    if before.kind != now.kind and "empty" not in (before.kind, now.kind):
        yield not_compared(name, "type", f"the baseline holds {before.type}, the data {now.type}", rules)
        return
    missing = _missing(sides, rules)
    yield from missing
    if not before.present or not now.present:
        yield _nothing(sides, rules, missing)
        return
    compare = _BY_KIND.get(now.kind)
    if compare is not None:
        yield from compare(sides, rules)
    else:
        refused = not_compared(name, "values", f"values of type {now.type} have no distribution here", rules)
        # Nobody asked for it: it is kept with the comparisons, and is no alert.
        yield refused if name in rules.columns else replace(refused, severity=None)


def not_compared(column: str, subject: str, reason: str, rules: DriftRules) -> Comparison:
    """Return the comparison of what cannot be compared."""
    return Comparison(column, subject, "", None, None, rules.not_compared, reason, {})


def _nothing(sides: Sides, rules: DriftRules, missing: Sequence[Comparison]) -> Comparison:
    """Return the comparison of a column without values on a side; a warning where chance explains it."""
    name, before, now = sides.name, sides.before, sides.now
    if not before.present and not now.present:
        reason = "neither the baseline nor the data has values"
        return Comparison(name, "values", "", None, None, Severity.WARN, reason, {})
    side = "the data has" if before.present else "the baseline has"
    refused = not_compared(name, "values", f"{side} no values", rules)
    rare = all(one.details["chance"] >= rules.chance for one in missing)
    return replace(refused, severity=Severity.WARN) if rare else refused


def _absent(column: ColumnStatistics) -> int:
    numbers = column.numbers
    strange = numbers.nan + numbers.positive_infinity + numbers.negative_infinity if numbers else 0
    return column.missing + strange


def _missing(sides: Sides, rules: DriftRules) -> list[Comparison]:
    """Compare the shares of rows without a (finite) value."""
    both = sides.before, sides.now
    if not all(column.rows for column in both):
        return []
    counts = [(_absent(column), column.rows - _absent(column)) for column in both]
    pair = Binned(["missing", "present"], *counts)
    one, two = (float(shares[0]) for shares in pair.shares)
    limits = {"warn": rules.missing_warn, "fail": rules.missing_fail}
    chance = measures.chi_square(pair) if one != two else 1.0
    judged = rules.judged(abs(two - one), **limits, chance=chance)
    formula = "Difference of the shares of rows without a value (null, NaN or infinite)."
    facts = {"limits": limits, "chance": chance}
    return [found(sides.name, "missing", "missing", abs(two - one), judged, formula, pair, facts)]


def found(
    column: str,
    subject: str,
    measure: str,
    value: float,
    judged: tuple[Severity | None, float | None],
    formula: str,
    pair: Binned,
    facts: dict[str, Any],
) -> Comparison:
    """Return a comparison with what its verdict rests on.

    As JSON: ``measure``, ``formula``, ``threshold`` (the limit that counts), ``bins`` (``bin``, ``baseline``,
    ``observed``: counts), ``largest_shift`` (a bin with ``baseline_share`` and ``observed_share``) and, where
    they apply, ``limits`` (``warn`` and ``fail``), ``chance`` (probability of such a difference by chance,
    None where chance has no say), ``baseline`` and ``observed`` (facts about both sides).
    """
    severity, limit = judged
    details = {
        "measure": measure,
        "formula": formula,
        "threshold": limit,
        "bins": pair.table(),
        "largest_shift": pair.largest_shift(),
        **facts,
    }
    return Comparison(column, subject, measure, value, limit, severity, "", details)


def _infinite(
    name: str, before: NumberStatistics, now: NumberStatistics, rules: DriftRules
) -> Iterator[Comparison]:
    """Look for infinite numbers where the baseline has none."""
    counts = [side.positive_infinity + side.negative_infinity for side in (before, now)]
    if not counts[1]:
        return
    pair = Binned(["infinite", "finite"], (counts[0], before.count), (counts[1], now.count))
    judged = (None if counts[0] else rules.not_finite), 0.0
    facts = {"baseline": _facts(before), "observed": _facts(now)}
    share, formula = float(pair.shares[1][0]), "Infinite numbers, as a share of all numbers."
    yield found(name, "not_finite", "not_finite", share, judged, formula, pair, facts)


def _lists(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    yield from _lengths(sides, rules)
    before, now = sides.before.items, sides.now.items
    if before is not None and now is not None:
        yield from _compare(Sides(before, now, f"{sides.name}.item"), rules)


def _structs(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    name = sides.name
    if name in rules.columns:
        fields = ", ".join(f"{name}.{field.name}" for field in sides.now.fields)
        yield not_compared(name, "values", f"a struct is compared by its fields: {fields}", rules)
    one, two = ({field.name: field for field in side.fields} for side in (sides.before, sides.now))
    for field in dict.fromkeys([*one, *two]):
        inner = f"{name}.{field}"
        if field in one and field in two:
            yield from _compare(Sides(one[field], two[field], inner), rules)
        elif rules.columns.get(inner) != ():
            side = "baseline" if field in two else "data"
            yield not_compared(inner, "column", f"the {side} has no such field", rules)


def _texts(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    yield from _categories(sides, rules)
    yield from _meaning(sides, rules)


def _bytes(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    yield from _meaning(sides, rules)
    yield from _lengths(sides, rules)


def _numbers(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    limits = rules.columns.get(sides.name, rules.numbers if sides.now.kind == "number" else rules.times)
    before, now = sides.before.numbers, sides.now.numbers
    if before is None or now is None or not limits:
        return
    pair = _number_pair(sides, rules.bins)
    if pair is None:
        yield not_compared(sides.name, "values", "there are no finite values on one side", rules)
        return
    yield from _infinite(sides.name, before, now, rules)
    facts: dict[str, Any] = {"baseline": _facts(before), "observed": _facts(now)}
    facts |= {"moments": True} if sides.moments else {"times_as_large": times_as_large(before, now)}
    yield from (measured(sides.name, "values", pair, limit, facts, rules) for limit in limits)


def _number_pair(sides: Sides, bins: int = 10) -> NumberPair | None:
    """Return the numbers of both sides; None where a side has no finite one."""
    both = []
    for side in (sides.before, sides.now):
        if side.numbers is None or not side.numbers.count:
            return None
        both.append(
            numbers_of(side.numbers, side.top if side.kind == "number" and not side.top_error else ())
        )
    return NumberPair(both[0], both[1], bins, moment if sides.moments else "{:.6g}".format)


def _lengths(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    """Compare lengths: of lists, of byte strings, of texts with too many values to list."""
    before, now = sides.before.lengths, sides.now.lengths
    if before is None or now is None:
        return
    limits = rules.columns.get(sides.name, rules.numbers)
    pair = NumberPair(numbers_of(before), numbers_of(now), rules.bins)
    facts = {"baseline": _facts(before), "observed": _facts(now)}
    yield from (measured(sides.name, "lengths", pair, limit, facts, rules) for limit in limits)


def _categories(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    name, one, two = sides.name, categories_of(sides.before), categories_of(sides.now)
    chosen = name in rules.columns
    if chosen or min(one.listed, two.listed) >= LEAST_LISTED:
        limits = _fitting(rules.columns.get(name, rules.categories), one, chosen=chosen)
        pair = CategoryPair(one, two)
        facts = {"baseline": _values(sides.before), "observed": _values(sides.now)}
        yield from (measured(name, "values", pair, limit, facts, rules) for limit in limits)
    if not (chosen or (one.complete and two.complete)):
        yield from _lengths(sides, rules)


def apart(before: ColumnStatistics, now: ColumnStatistics) -> float | None:
    """Return how far two columns lie apart, from 0 to 1; None where that cannot be said.

    Of numbers (and of the lengths of lists) it is the largest difference of the cumulated shares, of texts
    that of the shares of a value.
    """
    sides = Sides(before, now)
    if before.kind != now.kind or not before.present or not now.present:
        return None
    if now.kind in ("text", "bool"):
        return measures.l_infinity(CategoryPair(categories_of(before), categories_of(now)))
    if before.lengths is not None and now.lengths is not None:
        return measures.kolmogorov_smirnov(NumberPair(numbers_of(before.lengths), numbers_of(now.lengths)))
    pair = _number_pair(sides)
    return None if pair is None else measures.kolmogorov_smirnov(pair)


def _fitting(limits: Sequence[Limit], baseline: Categories, *, chosen: bool) -> Iterator[Limit]:
    """Yield the limits for texts; what chance explains of new texts is added to the limits of those."""
    for limit in limits:
        if limit.measure is not Measure.UNSEEN or chosen:
            yield limit
        elif baseline.complete:
            more = measures.expected_unseen(baseline)
            sides = (None if side is None else max(side, more) for side in (limit.warn, limit.fail))
            yield Limit(Measure.UNSEEN, *sides)


def _meaning(sides: Sides, rules: DriftRules) -> Iterator[Comparison]:
    """Compare what values look like, where the baseline's look like one thing: e-mail addresses, dates."""
    before, now = sides.before, sides.now
    hint = before.hint
    if hint is None or hint in _NO_MEANING or not before.hinted_values or not now.hinted_values:
        return
    shares = [{one.name: one.share for one in side.hints}.get(hint, 0.0) for side in (before, now)]
    lost = max(0.0, shares[0] - shares[1])
    alike = [
        (share * side.hinted_values, (1 - share) * side.hinted_values)
        for share, side in zip(shares, (before, now), strict=True)
    ]
    judged = (rules.meaning if now.hint != hint and lost > 0 else None), None
    formula = f"Share of the different values that look like {hint}, in the baseline less in the data."
    facts = {"baseline": {"hint": hint}, "observed": {"hint": now.hint}}
    pair = Binned([hint, "(others)"], *alike)
    yield found(sides.name, "meaning", "meaning", lost, judged, formula, pair, facts)


_NO_MEANING = ("categorical", "identifier", "free_text")
_MOST_NEW = 20


def measured(
    column: str, subject: str, pair: Binned, limit: Limit, facts: dict[str, Any], rules: DriftRules
) -> Comparison:
    """Return what a measure of a pair comes to; what is known of both sides among ``facts``."""
    measure = limit.measure
    try:
        value = measures.MEASURES[measure](pair)
    except InapplicableError as error:
        return Comparison(column, subject, str(measure), None, limit.fail, rules.not_compared, str(error), {})
    chance = None if measure in _NO_CHANCE else measures.chance(pair, measure)
    judged = rules.judged(value, limit.warn, limit.fail, chance or 0.0)
    more = {"limits": {"warn": limit.warn, "fail": limit.fail}, "chance": chance, **facts}
    if isinstance(pair, CategoryPair) and measure is Measure.UNSEEN:
        more["new_values"] = dict(list(measures.new_values(pair).items())[:_MOST_NEW])
    return found(column, subject, str(measure), value, judged, measures.FORMULAS[measure], pair, more)


def _facts(numbers: NumberStatistics) -> dict[str, Any]:
    """Return what a person wants to know about numbers that moved."""
    names = ("count", "mean", "std", "min", "median", "max")
    return {name: getattr(numbers, name) for name in names}


def _values(column: ColumnStatistics) -> dict[str, Any]:
    return {"count": column.present, "distinct": column.distinct}


_BY_KIND: dict[str, Callable[[Sides, DriftRules], Iterator[Comparison]]] = {
    "number": _numbers,
    "time": _numbers,
    "text": _texts,
    "bool": _texts,
    "bytes": _bytes,
    "list": _lists,
    "struct": _structs,
}
