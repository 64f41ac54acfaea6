"""One column beside its baseline, as statistics describe both: bins, measures and what chance would do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from components.validation.distribution import (
    Binned,
    chi_square,
    formula,
    jensen_shannon,
    kolmogorov_smirnov,
    l_infinity,
    stability_index,
)
from components.validation.drift_rules import Measure
from components.validation.profile import Categories, Numbers
from components.validation.view import InapplicableError

if TYPE_CHECKING:
    from components.validation.profile import Floats

OTHERS = "(others)"
MOST_BINS = 50


class NumberPair(Binned):
    """Two distributions of numbers, in bins between the baseline's quantiles and one outside on each side.

    Args:
        baseline: The numbers to compare with.
        observed: The numbers to judge.
        bins: Number of bins inside the baseline's range, a divisor of 10.
    """

    def __init__(self, baseline: Numbers, observed: Numbers, bins: int = 10) -> None:
        self.kind = "numbers"
        self.baseline, self.observed = baseline, observed
        listed = [*baseline.atoms.tolist(), *observed.atoms.tolist()]
        known = not len(baseline.knots) and not len(observed.knots)
        if known and len(set(listed)) <= 2 * bins:
            values = np.unique(np.asarray(listed))
            self.bins = values.tolist()
            self.counts = _at(baseline, values), _at(observed, values)
        else:
            edges = np.unique(baseline.deciles[:: 10 // bins])
            self.bins = _names(edges)
            self.counts = _between(baseline, edges), _between(observed, edges)

    def cumulated(self) -> tuple[Floats, Floats, Floats]:
        """Return where a distribution steps or bends, just before and at it, with both cumulated shares."""
        both = (self.baseline, self.observed)
        known = np.unique(np.concatenate([part for side in both for part in (side.atoms, side.knots)]))
        points = np.unique(np.concatenate([known, np.nextafter(known, -np.inf)]))
        return points, both[0].below(points), both[1].below(points)


def _at(side: Numbers, values: Floats) -> Floats:
    masses = side.below(values) - side.below(values, included=False)
    return np.asarray(np.maximum(masses, 0.0) * side.count)


def _between(side: Numbers, edges: Floats) -> Floats:
    """Return counts below the first edge, from it to the second (both included), …, above the last."""
    inside = side.below(edges)
    first = side.below(edges[:1], included=False)
    cuts = np.concatenate([[0.0], first, inside[1:] if len(edges) > 1 else inside, [1.0]])
    return np.asarray(np.maximum(np.diff(cuts), 0.0) * side.count)


def _names(edges: Floats) -> list[Any]:
    ends = [f"{edge:.6g}" for edge in edges]
    inside = [f"({low}, {high}]" for low, high in itertools.pairwise(ends)]
    inside = [f"[{inside[0][1:]}", *inside[1:]] if inside else [ends[0]]
    return [f"< {ends[0]}", *inside, f"> {ends[-1]}"]


class CategoryPair(Binned):
    """Two distributions of texts or booleans: a bin for every value that is listed, one for the others.

    Where a value is listed on one side only and the other side's list is not complete, the other
    side is taken to hold as much of it as it can: the distance is never made larger than it is.

    Args:
        baseline: The values to compare with.
        observed: The values to judge.
    """

    def __init__(self, baseline: Categories, observed: Categories) -> None:
        self.kind = "categories"
        self.baseline, self.observed = baseline, observed
        names = sorted({*baseline.counts, *observed.counts})
        one, two = _assumed(baseline, observed, names), _assumed(observed, baseline, names)
        others = not (baseline.complete and observed.complete)
        self.bins = [*names, OTHERS] if others else list(names)
        kept = len(self.bins)
        self.counts = np.asarray(one[:kept]), np.asarray(two[:kept])

    def table(self) -> list[dict[str, Any]]:
        """Return the bins with both counts: the fifty whose shares differ most, the others in one."""
        rows = super().table()
        if len(rows) <= MOST_BINS:
            return rows
        one, two = self.shares
        order = np.argsort(-np.abs(one - two), kind="stable")
        kept = set(order[: MOST_BINS - 1].tolist())
        left = [row for place, row in enumerate(rows) if place not in kept]
        sums = {side: sum(row[side] for row in left) for side in ("baseline", "observed")}
        shown = [row for place, row in enumerate(rows) if place in kept]
        return [*shown, {"bin": f"({len(left):,} more)", **sums}]

    def largest_shift(self) -> dict[str, Any]:
        """Return the value whose share differs most, with both shares."""
        one, two = self.shares
        most = int(abs(one - two).argmax())
        return super().table()[most] | {
            "baseline_share": float(one[most]),
            "observed_share": float(two[most]),
        }


def _assumed(side: Categories, other: Categories, names: list[str]) -> list[float]:
    """Return the count of each name on one side, and last that of all others."""
    rest = float(side.rest)
    counts: list[float] = []
    for name in names:
        count = float(side.counts.get(name, 0))
        if name not in side.counts and rest:
            likely = other.counts.get(name, 0) / other.total * side.total
            count = min(likely, float(side.most_unlisted), rest)
            rest -= count
        counts.append(count)
    return [*counts, rest]


def total_variation(pair: Binned) -> float:
    """Half the sum of the differences between the shares of all bins."""
    one, two = pair.shares
    return float(np.abs(one - two).sum() / 2)


def wasserstein(pair: Binned) -> float:
    """Area between the cumulated shares, in standard deviations of the baseline (of the data if it has none).

    Raises:
        InapplicableError: Both sides are constant, and not the same.
    """
    points, one, two = pair.cumulated()
    apart = one - two
    first, last, width = apart[:-1], apart[1:], np.diff(points)
    sides = np.abs(first) + np.abs(last)
    # A line that crosses zero leaves two triangles, not one trapezium.
    crossing = np.divide(first**2 + last**2, sides, out=np.zeros_like(sides), where=sides > 0)
    area = float((np.where(first * last < 0, crossing, sides) / 2 * width).sum())
    if area == 0:
        return 0.0
    if not isinstance(pair, NumberPair) or not (pair.baseline.std or pair.observed.std):
        raise InapplicableError("both hold one value each, so there is no deviation to measure by")
    return area / (pair.baseline.std or pair.observed.std)


def outside_range(pair: Binned) -> float:
    """Distance of the data outside the baseline's range, in widths of that range's outer fifth.

    Where the outer fifth has no width, the whole range counts, or 1.

    Raises:
        InapplicableError: These are no numbers.
    """
    before, now, width = _widths(pair)
    return max(0.0, (before.low - now.low) / width[0], (now.high - before.high) / width[1])


def other_sign(pair: Binned) -> float:
    """Distance beyond zero, where the baseline has no number, in widths of its range's outer fifth.

    Where the outer fifth has no width, the whole range counts, or 1.

    Raises:
        InapplicableError: These are no numbers.
    """
    before, now, width = _widths(pair)
    below = -now.low / width[0] if before.low >= 0 else 0.0
    above = now.high / width[1] if before.high <= 0 and before.low < 0 else 0.0
    return max(0.0, below, above)


def _widths(pair: Binned) -> tuple[Numbers, Numbers, tuple[float, float]]:
    """Return both sides and the widths of the baseline's lowest and highest fifth."""
    if not isinstance(pair, NumberPair):
        raise InapplicableError("categories have no order, so no range: use another measure")
    before = pair.baseline
    whole = (before.high - before.low) or 1.0
    low, high = float(before.deciles[2]) - before.low, before.high - float(before.deciles[8])
    return before, pair.observed, (low or whole, high or whole)


def unseen(pair: Binned) -> float:
    """Share of the data's values that the baseline does not hold.

    Raises:
        InapplicableError: Not all the baseline's values are known.
    """
    if not isinstance(pair, CategoryPair):
        raise InapplicableError("numbers between others are not unseen: use another measure")
    if not pair.baseline.complete:
        raise InapplicableError(
            f"only {len(pair.baseline.counts):,} of the baseline's values are known: others need not be new"
        )
    return (sum(new_values(pair).values()) + pair.observed.rest) / pair.observed.total


def new_values(pair: CategoryPair) -> dict[str, int]:
    """Return the data's listed values that the baseline does not list, the most frequent first."""
    new = [(name, n) for name, n in pair.observed.counts.items() if name not in pair.baseline.counts]
    return dict(sorted(new, key=lambda entry: (-entry[1], entry[0])))


def improbability(pair: Binned) -> float:
    """1 - the probability of such a difference by chance (chi-square test that both are one population)."""
    return 1.0 - chance(pair)


def chance(pair: Binned) -> float:
    """Return the probability of a difference as large by chance; 1.0 where there is only one bin."""
    try:
        return chi_square(pair)
    except InapplicableError:
        return 1.0


MEASURES: dict[Measure, Callable[[Binned], float]] = {
    Measure.L_INFINITY: l_infinity,
    Measure.TOTAL_VARIATION: total_variation,
    Measure.JENSEN_SHANNON: jensen_shannon,
    Measure.POPULATION_STABILITY: stability_index,
    Measure.KOLMOGOROV_SMIRNOV: kolmogorov_smirnov,
    Measure.WASSERSTEIN: wasserstein,
    Measure.CHI_SQUARE: improbability,
    Measure.RANGE: outside_range,
    Measure.SIGN: other_sign,
    Measure.UNSEEN: unseen,
}
FORMULAS = {measure: formula(function) for measure, function in MEASURES.items()}


def expected_unseen(baseline: Categories) -> float:
    """Return the share of values not seen before that chance explains: three times Good and Turing's."""
    once = sum(count == 1 for count in baseline.counts.values())
    return 3 * once / baseline.total if baseline.total else 0.0
