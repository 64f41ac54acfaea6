"""The score distribution of a binary decision, and what is read off it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.evaluation.arrays import Counts, Floats, Keys, ratio, total
from components.evaluation.key_table import ONE, KeyTable, align, score_keys, scores_of


@dataclass(frozen=True)
class Scores:
    """Weights of negative and positive rows by ascending score.

    Attributes:
        keys: Smallest score key of each bin, shape (n,).
        scores: Middle score of each bin, shape (n,).
        half_width: Half the width of each bin, shape (n,); 0 where the tally is exact.
        negative: Weights, shape (n, width).
        positive: Weights, shape (n, width).
    """

    keys: Keys
    scores: Floats
    half_width: Floats
    negative: Counts
    positive: Counts

    @classmethod
    def of(cls, negative: KeyTable, positive: KeyTable) -> Scores:
        """Join two tables of scores."""
        frame, (below, above) = align([negative, positive])
        low, high = frame.bounds()
        smallest, largest = scores_of(low), scores_of(np.minimum(high, ONE))
        return cls(low, (smallest + largest) / 2, (largest - smallest) / 2, below, above)

    @property
    def total(self) -> Counts:
        """Total weight, shape (width,)."""
        return total(self.negative + self.positive)

    def at(self, threshold: float) -> tuple[Counts, Counts, Counts, Counts]:
        """Return the weights of true positives, false positives, false negatives, true negatives."""
        above = self.keys >= score_keys(np.array([threshold], np.float32))[0]
        tp, fp = total(self.positive[above]), total(self.negative[above])
        return tp, fp, total(self.positive) - tp, total(self.negative) - fp


def area_under_roc(scores: Scores) -> Counts:
    """Return the area by the trapezoid rule, shape (width,): ties count half."""
    below = np.cumsum(scores.negative, axis=0) - scores.negative / 2
    return ratio(total(scores.positive * below), total(scores.positive) * total(scores.negative))


def auc_error(scores: Scores) -> float:
    """Return the largest error the area can have because of joined scores; 0 for an exact tally."""
    joined = (scores.half_width > 0)[:, None] * scores.positive * scores.negative
    pairs = scores.positive.sum() * scores.negative.sum()
    return float(joined.sum() / (2 * pairs)) if pairs else 0.0


def average_precision(scores: Scores) -> Counts:
    """Return the area under the precision-recall curve as average precision, shape (width,)."""
    positive, negative = scores.positive[::-1], scores.negative[::-1]
    found = np.cumsum(positive, axis=0)
    kept = found + np.cumsum(negative, axis=0)
    precise = np.divide(found, kept, out=np.zeros_like(found), where=kept > 0)
    return ratio(total(positive * precise), total(positive))


def calibration_bins(scores: Scores, bins: int) -> tuple[Counts, Counts, Counts]:
    """Return weight, sum of scores and sum of outcomes per equal-width bin, each (bins, width)."""
    number = np.minimum((scores.scores * bins).astype(np.int64), bins - 1)
    weight = scores.negative + scores.positive
    sums = []
    for values in (weight, weight * scores.scores[:, None], scores.positive):
        binned = np.zeros((bins, values.shape[1]))
        np.add.at(binned, number, values)
        sums.append(binned)
    return sums[0], sums[1], sums[2]
