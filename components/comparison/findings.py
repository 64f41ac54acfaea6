"""What differs between two data sets, in sentences a person can act on."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from components.comparison.rules import Sides, is_time
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics, NumberStatistics

_SHOWN = 3
_FACTORS = (1000.0, 100.0, 60.0, 10.0, 3600.0, 1.609344, 2.54, 2.2046226)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or different.

    Attributes:
        column: Which column; None for the table.
        kind: What kind of thing, as ``values_missing``.
        severity: ``fail`` or ``warn``.
        message: The same in a sentence.
        rows: New rows concerned, where it is about rows.
        value: What was found.
        threshold: What was allowed.
    """

    column: str | None
    kind: str
    severity: Severity
    message: str
    rows: int | None = None
    value: Any = None
    threshold: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {**vars(self), "severity": str(self.severity)}


def order(finding: Finding) -> tuple[Any, ...]:
    """Sort key: the worst first, the table before its columns, ties in a fixed order."""
    failing, column = finding.severity is Severity.FAIL, finding.column is not None
    whole = finding.kind.startswith(("column_", "type_"))
    return (not failing, column, not whole, finding.column or "", -(finding.rows or 0), finding.kind)


def distinct(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings without those that say in other words what a graver one says."""
    best: dict[tuple[str | None, str], Finding] = {}
    for finding in sorted(findings, key=order):
        best.setdefault((finding.column, finding.kind), finding)
    kinds = {(finding.column, finding.kind) for finding in best.values()}
    kept = [
        finding
        for finding in best.values()
        if not (finding.kind == "lengths_out_of_range" and (finding.column, "values_unexpected") in kinds)
    ]
    return sorted(kept, key=order)


def worded(finding: Finding, sides: Sides, details: dict[str, Any]) -> Finding:
    """Return a finding with a sentence about the column before and now."""
    name, now, before = f'"{finding.column}"', sides.now, sides.before
    rows = finding.rows or 0
    share = percent(rows / max(now.rows, 1))
    some, one = f"{rows:,} row{'' if rows == 1 else 's'} ({share})", rows == 1
    if finding.kind == "values_missing":
        was = "none did" if not before.missing else f"it was {percent(before.missing_share)}"
        return replace(
            finding, message=f"{name}: {some} {'has' if one else 'have'} no value; in the baseline {was}"
        )
    if finding.kind == "values_unexpected":
        said = f"{'holds' if one else 'hold'} {_unseen(sides)}, not seen in the baseline"
        return replace(finding, message=f"{name}: {some} {said}")
    if finding.kind == "values_out_of_range":
        said = f"{'lies' if one else 'lie'} outside the baseline's {_range(sides)}"
        return replace(finding, message=f"{name}: {some} {said}")
    if finding.kind == "lengths_out_of_range":
        lengths = before.lengths or NumberStatistics(0)
        was = f"{lengths.min:,} to {lengths.max:,} characters"
        return replace(
            finding,
            message=f"{name}: {some} {'is' if one else 'are'} shorter or longer than the baseline's {was}",
        )
    if finding.kind == "values_repeated":
        return replace(
            finding, message=f"{name}: {some} share a value with another; in the baseline none did"
        )
    if finding.kind == "distribution_changed":
        return replace(finding, message=f"{name}: {_moved(sides, finding, details)}")
    return finding


def percent(share: float) -> str:
    """Return a share as text; never 0 % for something, nor 100 % for less than all."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    digits = 2 if 0.9995 <= share < 1 else 1
    return f"{min(100 * share, 99.99) if share < 1 else 100:.{digits}f} %"


def _unseen(sides: Sides) -> str:
    seen = {top.value for top in sides.before.top}
    new = [top for top in sides.now.top if top.value not in seen]
    shown = ", ".join(f"{_quoted(top.value)} ({top.count:,})" for top in new[:_SHOWN])
    more = f" and {len(new) - _SHOWN:,} more" if len(new) > _SHOWN else ""
    return f"{shown}{more}" if shown else "values"


def _quoted(value: object) -> str:
    text = str(value)
    cut = text if len(text) <= 40 else f"{text[:39]}…"
    return f'"{cut}"' if isinstance(value, str) else cut


def _range(sides: Sides) -> str:
    before, now = (side.numbers or NumberStatistics(0) for side in (sides.before, sides.now))
    was, are = (f"{number(one.min)} to {number(one.max)}" for one in (before, now))
    return f"{was}; new values go from {are}"


def _moved(sides: Sides, finding: Finding, details: dict[str, Any]) -> str:
    value, allowed = float(finding.value), float(finding.threshold)
    before, now = sides.before.numbers, sides.now.numbers
    if "cumul" in str(details.get("formula")) and before is not None and now is not None:
        middle = f"median {_at(sides.before, before.median)} → {_at(sides.now, now.median)}"
        measure = f"cumulated shares differ by {value:.3g} ({allowed:.3g} allowed)"
        return f"values moved, {middle}{_factor(before, now)}; {measure}"
    shift = details.get("largest_shift", {})
    shares = (percent(shift.get("baseline_share", 0)), percent(shift.get("observed_share", 0)))
    what = f"share of {_quoted(shift.get('bin'))}"
    return f"{what} {shares[0]} → {shares[1]} ({percent(allowed)} of change allowed)"


def _at(column: ColumnStatistics, value: float | None) -> str:
    if value is None or not is_time(column):
        return number(value)
    try:
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return number(value)


def _factor(before: NumberStatistics, now: NumberStatistics) -> str:
    """Return a hint at another unit: every quantile about the same, telling number of times as large."""
    old, new = dict(before.quantiles), dict(now.quantiles)
    ratios = [new[q] / old[q] for q in (0.25, 0.5, 0.75, 0.9) if q in new and old.get(q)]
    if len(ratios) < 3 or min(ratios) <= 0:
        return ""
    middle = sorted(ratios)[len(ratios) // 2]
    alike = max(ratios) / min(ratios) < 1.1
    for factor in (*_FACTORS, *(1 / factor for factor in _FACTORS)):
        if alike and abs(math.log(middle / factor)) < 0.03:
            return f", about {factor:.4g} times as large (another unit?)"
    return ""


def number(value: float | None) -> str:
    """Return a number for reading, with at most six digits that mean something."""
    if value is None:
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.6g}"


def swapped(pairs: Sequence[Sides], findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with a word where two columns look like each other's baseline."""
    moved = {finding.column for finding in findings if finding.kind == "distribution_changed"}
    suspects = [sides for sides in pairs if sides.name in moved]
    partner: dict[str, str] = {}
    for place, one in enumerate(suspects):
        for other in suspects[place + 1 :]:
            if one.name in partner or other.name in partner:
                continue
            if _alike(one.before, other.now) and _alike(other.before, one.now):
                partner |= {one.name: other.name, other.name: one.name}
    return [_as_swapped(finding, partner.get(str(finding.column))) for finding in findings]


def _as_swapped(finding: Finding, partner: str | None) -> Finding:
    if partner is None or finding.kind != "distribution_changed":
        return finding
    message = re.sub(r", about [^;]*", "", finding.message)  # that is not about a unit
    return replace(finding, message=f'{message}; it looks like "{partner}" (swapped?)')


def _alike(one: ColumnStatistics, other: ColumnStatistics) -> bool:
    if one.kind != other.kind:
        return False
    if one.numbers is not None and other.numbers is not None and one.kind == "number":
        a, b = dict(one.numbers.quantiles), dict(other.numbers.quantiles)
        width = a.get(0.95, 0.0) - a.get(0.05, 0.0)
        steps = [abs(a[q] - b[q]) for q in (0.1, 0.25, 0.5, 0.75, 0.9) if q in a and q in b]
        return bool(steps) and width > 0 and sum(steps) / len(steps) < 0.05 * width
    a_top, b_top = ({top.value: top.count / side.present for top in side.top} for side in (one, other))
    values = [*list(a_top)[:10], *list(b_top)[:10]]
    return bool(values) and max(abs(a_top.get(v, 0) - b_top.get(v, 0)) for v in values) < 0.05
