"""Two distributions in the same bins: numbers between the baseline's quantiles, texts by value."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from components.comparison.profile import Categories, Numbers
from components.validation.metrics import plain
from components.validation.view import InapplicableError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from components.comparison.profile import Floats

OTHERS = "(others)"
MOST_BINS = 50
SIDES = ("baseline", "observed")


def most_moved(bins: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return bins with both counts: of many the fifty whose shares differ most, and one for the others."""
    if len(bins) <= MOST_BINS:
        return [dict(entry) for entry in bins]
    sums = [sum(entry[side] for entry in bins) or 1 for side in SIDES]
    moved = [abs(entry["baseline"] / sums[0] - entry["observed"] / sums[1]) for entry in bins]
    kept = set(sorted(range(len(bins)), key=lambda place: -moved[place])[: MOST_BINS - 1])
    left = [entry for place, entry in enumerate(bins) if place not in kept]
    others = {"bin": f"({len(left):,} more)", **{side: sum(entry[side] for entry in left) for side in SIDES}}
    return [*(dict(entry) for place, entry in enumerate(bins) if place in kept), others]


class Binned:
    """Two distributions, the baseline's and the data's, counted in the same bins.

    Attributes:
        bins: What each bin holds.
        counts: How many of the baseline's values, and of the data's, are in each.
    """

    def __init__(self, bins: list[Any], baseline: ArrayLike, observed: ArrayLike) -> None:
        self.bins = bins
        self.counts = np.asarray(baseline, dtype=np.float64), np.asarray(observed, dtype=np.float64)

    @property
    def shares(self) -> tuple[Floats, Floats]:
        """Share of each bin in the baseline and in the data."""
        one, two = (counts / (counts.sum() or 1.0) for counts in self.counts)
        return one, two

    def cumulated(self) -> tuple[Floats, Floats, Floats]:
        """Return the points where either distribution steps, and both cumulated shares there.

        Raises:
            InapplicableError: Categories have no order.
        """
        raise InapplicableError("categories have no order, so no cumulated distribution: use another measure")

    def table(self) -> list[dict[str, Any]]:
        """Return every bin with both counts."""
        one, two = self.counts
        rows = zip(self.bins, one.tolist(), two.tolist(), strict=True)
        return [{"bin": plain(name), "baseline": round(a), "observed": round(b)} for name, a, b in rows]

    def largest_shift(self) -> dict[str, Any]:
        """Return the bin whose share differs most, with both shares."""
        one, two = self.shares
        most = int(abs(one - two).argmax())
        counts = {side: round(float(own[most])) for side, own in zip(SIDES, self.counts, strict=True)}
        shares = {"baseline_share": float(one[most]), "observed_share": float(two[most])}
        return {"bin": plain(self.bins[most])} | counts | shares


class NumberPair(Binned):
    """Two distributions of numbers, in bins between the baseline's quantiles and one outside on each side.

    Args:
        baseline: The numbers to compare with.
        observed: The numbers to judge.
        bins: Number of bins inside the baseline's range, a divisor of 10.
        named: What an edge is called.
    """

    def __init__(
        self,
        baseline: Numbers,
        observed: Numbers,
        bins: int = 10,
        named: Callable[[float], str] = "{:.6g}".format,
    ) -> None:
        self.baseline, self.observed = baseline, observed
        listed = [*baseline.atoms.tolist(), *observed.atoms.tolist()]
        known = not len(baseline.knots) and not len(observed.knots)
        if known and len(set(listed)) <= 2 * bins:
            values = np.unique(np.asarray(listed))
            super().__init__(values.tolist(), _at(baseline, values), _at(observed, values))
        else:
            edges = np.unique(baseline.deciles[:: 10 // bins])
            names = _names([named(edge) for edge in edges.tolist()])
            super().__init__(names, _between(baseline, edges), _between(observed, edges))

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


def _names(ends: list[str]) -> list[Any]:
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
        self.baseline, self.observed = baseline, observed
        names = sorted({*baseline.counts, *observed.counts})
        one, two = _assumed(baseline, observed, names), _assumed(observed, baseline, names)
        if not (baseline.complete and observed.complete):
            names.append(OTHERS)
        super().__init__(names, one[: len(names)], two[: len(names)])

    def table(self) -> list[dict[str, Any]]:
        """Return the bins with both counts: the fifty whose shares differ most, the others in one."""
        return most_moved(super().table())


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
