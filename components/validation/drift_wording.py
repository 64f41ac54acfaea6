"""Comparisons in words: which column moved, how far, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.validation.comparison import Comparison

_SENTENCES = {
    "l_infinity": "the share of a value changed",
    "total_variation": "the shares changed",
    "jensen_shannon": "the distribution changed",
    "population_stability": "the distribution changed",
    "kolmogorov_smirnov": "the distribution changed",
    "wasserstein": "values moved",
    "chi_square": "the distribution changed",
    "range": "values leave the baseline's range",
    "sign": "values are on the other side of zero",
    "unseen": "values are new",
}


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
    before, now = (_percent(_share(one, side)) for side in ("baseline", "observed"))
    return f"rows without a value went from {before} to {now} (limit: {_number(one.limit)})"


def _moved(one: Comparison) -> str:
    subject = "lengths: " if one.subject == "lengths" else ""
    measure = f"{one.measure} {_number(one.value, 3)}, limit {_number(one.limit)}"
    return f"{subject}{_SENTENCES[one.measure]} ({measure}): {_how(one)}"


def _how(one: Comparison) -> str:
    before, now = one.details["baseline"], one.details["observed"]
    if one.measure == "unseen":
        new = [f'"{name}" ({count:,})' for name, count in one.details["new_values"].items()]
        return ", ".join(new[:3]) + (" and others" if len(new) > 3 else "")
    if one.measure in ("range", "sign"):
        ends = [f"{_number(side['min'])} to {_number(side['max'])}" for side in (before, now)]
        return f"{ends[0]} before, {ends[1]} now"
    shift = one.details["largest_shift"]
    shares = f"{_percent(shift['baseline_share'])} to {_percent(shift['observed_share'])}"
    how = f'most of all "{shift["bin"]}", from {shares}'
    if "mean" in before:
        how += f"; mean from {_number(before['mean'])} to {_number(now['mean'])}"
    return how


def _share(one: Comparison, side: str) -> float:
    missing, present = (bin_[side] for bin_ in one.details["bins"])
    return missing / (missing + present) if missing + present else 0.0


def _number(value: float | None, digits: int = 6) -> str:
    return "none" if value is None else f"{value:.{digits}g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


_SUBJECTS: dict[str, Callable[[Comparison], str]] = {
    "rows": _rows,
    "meaning": _meaning,
    "missing": _missing,
    "not_finite": _not_finite,
}
