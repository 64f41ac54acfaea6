"""Curves for the report: ROC, precision-recall, calibration, score and residual distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.evaluation.arrays import Counts, Floats
from components.evaluation.key_table import numbers_of
from components.evaluation.metrics import binary_scores, confusion
from components.evaluation.scores import Scores, calibration_bins
from components.evaluation.spec import Task
from components.evaluation.tally import Tally

MOST_POINTS = 101
_BINS = 20


def curves(tally: Tally) -> dict[str, Any]:
    """Return the curves of one model over all rows, as JSON with 6-digit coordinates."""
    if not tally.tables:
        return {}
    if tally.task is Task.BINARY:
        return _binary(binary_scores(tally))
    if tally.task is Task.MULTICLASS:
        return {"confusion": confusion(tally)[:, :, 0].tolist()}
    return {"residuals": _histogram(tally)}


def _binary(scores: Scores) -> dict[str, Any]:
    tp, fp, fn, tn = (float(weight[0]) for weight in scores.at(0.5))
    return {
        "roc": _roc(scores),
        "precision_recall": _precision_recall(scores),
        "calibration": _calibration(scores),
        "scores": _score_histogram(scores),
        "confusion": [[tn, fp], [fn, tp]],
    }


def _roc(scores: Scores) -> list[list[float]]:
    """Return (false positive rate, true positive rate) points from (0, 0) to (1, 1)."""
    negative, positive = _descending(scores)
    if not negative[-1] or not positive[-1]:
        return []
    return _thin(negative / negative[-1], positive / positive[-1])


def _precision_recall(scores: Scores) -> list[list[float]]:
    """Return (recall, precision) points by descending score."""
    negative, positive = _descending(scores)
    if not positive[-1]:
        return []
    kept = negative + positive
    precise = np.divide(positive, kept, out=np.ones_like(kept), where=kept > 0)
    return _thin(positive / positive[-1], precise)


def _descending(scores: Scores) -> tuple[Counts, Counts]:
    return tuple(  # type: ignore[return-value]  # mypy loses the length of a generated tuple
        np.concatenate([[0.0], np.cumsum(weights[::-1, 0])]) for weights in (scores.negative, scores.positive)
    )


def _thin(x: Counts, y: Counts) -> list[list[float]]:
    """Return at most ``MOST_POINTS`` points, evenly spread along the curve's length."""
    steps = np.hypot(np.diff(x), np.diff(y))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], MOST_POINTS))
    chosen = np.unique(np.concatenate([[0], np.minimum(wanted, len(x) - 1), [len(x) - 1]]))
    return [[round(float(x[i]), 6), round(float(y[i]), 6)] for i in chosen]


def _calibration(scores: Scores) -> list[dict[str, float]]:
    """Return the mean score and the share of positives of every filled tenth of the score range."""
    weight, predicted, observed = (sums[:, 0] for sums in calibration_bins(scores, 10))
    return [
        {
            "score": round(float(predicted[i] / weight[i]), 6),
            "observed": round(float(observed[i] / weight[i]), 6),
            "weight": round(float(weight[i]), 6),
        }
        for i in np.flatnonzero(weight > 0)
    ]


def _score_histogram(scores: Scores) -> dict[str, list[float]]:
    number = np.minimum((scores.scores * _BINS).astype(np.int64), _BINS - 1)
    return {
        "negative": np.bincount(number, scores.negative[:, 0], _BINS).tolist(),
        "positive": np.bincount(number, scores.positive[:, 0], _BINS).tolist(),
    }


def _histogram(tally: Tally) -> dict[str, Any]:
    """Return the residuals' distribution between their 1st and 99th percentile."""
    table = tally.get("residual")
    low, high = table.bounds()
    values, weights = (numbers_of(low) + numbers_of(high)) / 2, table.counts[:, 0]
    first, last = _quantile(values, weights, 0.01), _quantile(values, weights, 0.99)
    edges = np.linspace(first, last if last > first else first + 1, _BINS + 1)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)
    return {"edges": [float(f"{edge:.6g}") for edge in edges], "counts": counts.tolist()}


def _quantile(values: Floats, weights: Counts, share: float) -> float:
    reached = np.searchsorted(np.cumsum(weights), share * weights.sum())
    return float(values[min(int(reached), len(values) - 1)])
