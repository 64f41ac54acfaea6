"""What differs from a baseline, in sentences a person can act on: which column, how far, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from components.comparison.profile import Sides, moment

if TYPE_CHECKING:
    from components.comparison.columns import Comparison

_MOVED = {
    "l_infinity": "the share of a value changed",
    "total_variation": "the shares changed",
    "jensen_shannon": "the distribution changed",
    "population_stability": "the distribution changed",
    "kolmogorov_smirnov": "values moved",
    "wasserstein": "values moved",
    "chi_square": "the distribution changed",
    "range": "values leave the baseline's range",
    "sign": "values are on the other side of zero",
    "unseen": "values are new",
}
_SHOWN = 3


def number(value: float | None) -> str:
    """Return a number for reading, with at most six digits that mean something."""
    if value is None:
        return "–"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.6g}"


def percent(share: float) -> str:
    """Return a share as text; never 0 % for something, nor 100 % for less than all."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if share < 0.0005:
        return "< 0.1 %"
    return f"{min(100 * share, 99.99):.2f} %" if share >= 0.9995 else f"{100 * share:.1f} %"


def sentence(one: Comparison) -> str:
    """Return what a measured comparison found."""
    return _SUBJECTS.get(one.subject, _moved)(one)


def _rows(one: Comparison) -> str:
    counts = one.details["bins"][0]
    return f"{counts['observed']:,} rows, {one.value or 0:.3g} times the baseline's {counts['baseline']:,}"


def _meaning(one: Comparison) -> str:
    before, now = (one.details[side]["hint"] for side in ("baseline", "observed"))
    return f"values looked like {before}, and look like {now or 'nothing in particular'} now"


def _not_finite(one: Comparison) -> str:
    count = one.details["bins"][0]["observed"]
    return f"{count:,} infinite number{'s' if count > 1 else ''}, where the baseline has none"


def _missing(one: Comparison) -> str:
    shift = one.details["largest_shift"]
    missing = [shift[f"{side}_share"] for side in ("baseline", "observed")]
    before, now = missing if shift["bin"] == "missing" else (1 - share for share in missing)
    return f"rows without a value went from {percent(before)} to {percent(now)} (limit: {number(one.limit)})"


def _moved(one: Comparison) -> str:
    subject = "lengths: " if one.subject == "lengths" else ""
    value = one.value or 0.0
    measure = f"{one.measure} {value:{',.0f' if value >= 1_000 else '.3g'}}, limit {number(one.limit)}"
    return f"{subject}{_MOVED[one.measure]}, {_how(one)} ({measure})"


def _how(one: Comparison) -> str:
    before, now = one.details["baseline"], one.details["observed"]
    if one.measure == "unseen":
        return listed(list(one.details["new_values"].items()))
    shown: Callable[[float], str] = moment if one.details.get("moments") else number
    if one.measure in ("range", "sign"):
        ends = [f"{shown(side['min'])} to {shown(side['max'])}" for side in (before, now)]
        return f"{ends[0]} before, {ends[1]} now"
    shift = one.details["largest_shift"]
    shares = f"{percent(shift['baseline_share'])} to {percent(shift['observed_share'])}"
    most = f"most of all {quoted(str(shift['bin']))}, from {shares}"
    if "median" not in before:
        return most
    factor = one.details.get("times_as_large")
    unit = f", about {factor:.4g} times as large (another unit?)" if factor else ""
    return f"median from {shown(before['median'])} to {shown(now['median'])}{unit}; {most}"


_SUBJECTS: dict[str, Callable[[Comparison], str]] = {
    "rows": _rows,
    "meaning": _meaning,
    "missing": _missing,
    "not_finite": _not_finite,
}


def quoted(value: object) -> str:
    """Return a value for reading, cut where it is long, texts in quotes."""
    text = str(value)
    cut = text if len(text) <= 40 else f"{text[:39]}…"
    return f'"{cut}"' if isinstance(value, str) else cut


def listed(counts: list[tuple[object, int]]) -> str:
    """Return the first values with their counts, and how many others there are."""
    shown = ", ".join(f"{quoted(value)} ({count:,})" for value, count in counts[:_SHOWN])
    return shown + (f" and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else "")


def broken(kind: str, rows: int, sides: Sides) -> str | None:
    """Return what rows are like that break what the baseline kept; None where a kind has no words here.

    Args:
        kind: Kind of the anomaly.
        rows: How many rows there are.
        sides: The column before and now.
    """
    before, now = sides.before, sides.now
    several = rows != 1
    match kind:
        case "values_missing":
            was = f"it was {percent(before.missing_share)}" if before.missing else "none did"
            said = f"{'have' if several else 'has'} no value; in the baseline {was}"
        case "values_filled":
            return "far fewer values are missing than in the baseline (filled in?)"
        case "values_unexpected":
            seen = {top.value for top in before.top}
            new = listed([(top.value, top.count) for top in now.top if top.value not in seen])
            said = f"{'hold' if several else 'holds'} {new or 'values'}, not seen in the baseline"
        case "values_out_of_range" if before.numbers and now.numbers:
            was, are = (f"{number(one.min)} to {number(one.max)}" for one in (before.numbers, now.numbers))
            verb = "lie" if several else "lies"
            said = f"{verb} outside the baseline's {was}; new values go from {are}"
        case "lengths_out_of_range" if before.lengths:
            unit = "items" if before.kind == "list" else "characters"
            was = f"{number(before.lengths.min)} to {number(before.lengths.max)} {unit}"
            said = f"{'are' if several else 'is'} shorter or longer than the baseline's {was}"
        case "values_repeated":
            said = "share a value with another; in the baseline none did"
        case _:
            return None
    return f"{rows:,} row{'s' if several else ''} ({percent(rows / max(now.rows, 1))}) {said}"
