"""How much two samples of the same rows differ by chance alone, so that only more than that is reported."""

from __future__ import annotations

import math

UNLIKELY = 1e-5  # what is said to be wrong happens by chance once in so many checks
NOTABLE = 1e-3  # what is only worth a look


def rows_beyond(seen: int, new: int, chance: float = UNLIKELY) -> int:
    """Return how many new rows may lie where none of the seen ones does before chance explains it no longer.

    Rows of one source land in either sample at random: that ``k`` rows of a kind are all among the new
    ones has the probability ``(new / (seen + new)) ** k``, whatever the distribution.

    Args:
        seen: Rows of the baseline, at least 1.
        new: New rows, at least 1.
        chance: Probability below which it is not chance.
    """
    return max(1, math.ceil(math.log(chance) / math.log(new / (seen + new))))


def deviations(chance: float) -> float:
    """Return how many standard deviations a normal value exceeds with a probability of ``chance``."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - chance)


def share_beyond(share: float, seen: int, new: int, chance: float = UNLIKELY) -> float:
    """Return by how much a share may exceed the baseline's ``share`` by chance; 0 to 1."""
    kept = min(max(share, 1 / max(seen, 1)), 0.5) if share <= 0.5 else share
    return deviations(chance) * math.sqrt(kept * (1 - kept) * (seen + new) / (seen * new))


def unseen_rows(once: int, seen: int, new: int, chance: float = UNLIKELY) -> int:
    """Return how many new rows may hold values the baseline lacks before chance explains it no longer.

    Values seen once tell how many are not seen yet (Good and Turing).

    Args:
        once: How many values the baseline has exactly once.
        seen: Values of the baseline.
        new: New values.
        chance: Probability below which it is not chance.
    """
    expected = once * new / seen
    return math.ceil(expected + deviations(chance) * math.sqrt(2 * expected)) + rows_beyond(seen, new, chance)
