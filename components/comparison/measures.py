"""How far two distributions are apart, and how often chance does the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from components.comparison.drift_rules import Measure
from components.comparison.pairs import Binned, CategoryPair, NumberPair
from components.validation.view import InapplicableError

if TYPE_CHECKING:
    from components.comparison.profile import Categories, Floats, Numbers

# Share a bin without any value counts as in the stability index, which has no value for empty bins.
SMALLEST_SHARE = 1e-4
LEAST_EXPECTED = 5.0  # in a bin of the smaller side, for a chi-square test to hold (Cochran)


def formula(measure: Any) -> str:
    """Return the formula of a measure: the first paragraph of its docstring, in one line."""
    return " ".join((measure.__doc__ or "").split("\n\n")[0].split())


def l_infinity(pair: Binned) -> float:
    """Largest difference between the shares of a bin."""
    one, two = pair.shares
    return float(np.abs(one - two).max())


def jensen_shannon(pair: Binned) -> float:
    """Jensen-Shannon divergence of the shares, to base 2: 0 (equal) to 1 (nothing in common)."""
    one, two = pair.shares
    middle = (one + two) / 2
    return max(0.0, float((_relative_entropy(one, middle) + _relative_entropy(two, middle)) / 2))


def _relative_entropy(one: Floats, two: Floats) -> float:
    there = one > 0
    return float((one[there] * np.log2(one[there] / two[there])).sum())


def stability_index(pair: Binned) -> float:
    """Population stability index: sum of (observed - baseline) · ln(observed / baseline) over the bins."""
    one, two = (np.maximum(side, SMALLEST_SHARE) for side in pair.shares)
    return float(((two - one) * np.log(two / one)).sum())


def kolmogorov_smirnov(pair: Binned) -> float:
    """Largest difference between the cumulated shares."""
    _, one, two = pair.cumulated()
    return float(np.abs(one - two).max())


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


def chi_square(pair: Binned) -> float:
    """Probability of a difference as large by chance, by a chi-square test that both are one population.

    Raises:
        InapplicableError: There is only one bin, so nothing can differ.
    """
    counts = np.stack(pair.counts)
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        raise InapplicableError("both hold one and the same value: there is nothing to test")
    return _homogeneous(counts)


def _homogeneous(counts: Floats) -> float:
    from scipy.special import chdtrc  # type: ignore[import-untyped]  # scipy ships no types

    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    return float(chdtrc(counts.shape[1] - 1, ((counts - expected) ** 2 / expected).sum()))


def improbability(pair: Binned) -> float:
    """1 - the probability of such a difference by chance (chi-square test that both are one population)."""
    return 1.0 - chance(pair, Measure.CHI_SQUARE)


def chance(pair: Binned, measure: Measure) -> float:
    """Return how probable a difference as large is by chance, whatever the sizes of both sides.

    The largest difference of cumulated shares has Kolmogorov's and Smirnov's bound, that of a share its
    normal deviation; the other measures have the chi-square test over the bins, rare ones together.
    """
    sizes = [float(side.sum()) for side in pair.counts]
    both = sizes[0] * sizes[1] / (sizes[0] + sizes[1])
    if measure is Measure.KOLMOGOROV_SMIRNOV:
        return min(1.0, 2 * math.exp(-2 * both * kolmogorov_smirnov(pair) ** 2))
    counts = _without_rare(np.stack(pair.counts))
    if measure is not Measure.L_INFINITY and counts.shape[1] > 1:
        return _homogeneous(counts)
    most = min(float(pair.shares[0].max()), 0.5)
    return math.erfc(l_infinity(pair) * math.sqrt(both / (2 * most * (1 - most))))


def _without_rare(counts: Floats) -> Floats:
    """Return counts with the rare bins in one: where little is expected, a chi-square test finds too much."""
    order = np.argsort(counts.sum(axis=0), kind="stable")
    expected = counts.sum(axis=0)[order] * counts.sum(axis=1).min() / counts.sum()
    enough = int(np.searchsorted(expected.cumsum(), LEAST_EXPECTED)) + 1
    rare = max(int((expected < LEAST_EXPECTED).sum()), enough)
    return np.column_stack([counts[:, order[:rare]].sum(axis=1), counts[:, order[rare:]]])


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
