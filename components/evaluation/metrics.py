"""Metrics computed from tallies, for the rows as they are and for every bootstrap replicate at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from components.evaluation.arrays import Counts, Floats, ratio, total
from components.evaluation.key_table import KeyTable, numbers_of, scores_of
from components.evaluation.scores import Scores, area_under_roc, average_precision, calibration_bins
from components.evaluation.spec import Metric, Task
from components.evaluation.tally import Tally

CLIP = 1e-7


def compute(metric: Metric, tally: Tally) -> Counts:
    """Return a metric's value for every column of weights, shape (width,); NaN where undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if tally.task is Task.BINARY:
            value = _BINARY[metric.kind](binary_scores(tally), metric)
        else:
            value = (_MULTICLASS if tally.task is Task.MULTICLASS else _REGRESSION)[metric.kind](tally)
    return np.where(np.isfinite(value), value, np.nan)


def binary_scores(tally: Tally) -> Scores:
    """Return a binary tally's score distribution."""
    return Scores.of(tally.get("negative"), tally.get("positive"))


def confusion(tally: Tally) -> Counts:
    """Return a multiclass tally's confusion matrix, shape (classes, classes, width), labels first."""
    table = tally.get("confusion")
    cells = np.zeros((tally.classes**2, tally.width))
    cells[table.keys] = table.counts
    return cells.reshape(tally.classes, tally.classes, tally.width)


def _log_loss(scores: Scores) -> Counts:
    clipped = np.clip(scores.scores, CLIP, 1 - CLIP)[:, None]
    return ratio(
        total(-scores.positive * np.log(clipped) - scores.negative * np.log1p(-clipped)), scores.total
    )


def _accuracy(scores: Scores, metric: Metric) -> Counts:
    tp, _, _, tn = scores.at(metric.threshold)
    return ratio(tp + tn, scores.total)


def _precision(scores: Scores, metric: Metric) -> Counts:
    tp, fp, _, _ = scores.at(metric.threshold)
    return ratio(tp, tp + fp)


def _recall(scores: Scores, metric: Metric) -> Counts:
    tp, _, fn, _ = scores.at(metric.threshold)
    return ratio(tp, tp + fn)


def _f1(scores: Scores, metric: Metric) -> Counts:
    tp, fp, fn, _ = scores.at(metric.threshold)
    return ratio(2 * tp, 2 * tp + fp + fn)


def _positive_rate(scores: Scores, metric: Metric) -> Counts:
    tp, fp, _, _ = scores.at(metric.threshold)
    return ratio(tp + fp, scores.total)


def _brier(scores: Scores) -> Counts:
    middle = scores.scores[:, None]
    return ratio(total(scores.positive * (1 - middle) ** 2 + scores.negative * middle**2), scores.total)


def _calibration_error(scores: Scores, metric: Metric) -> Counts:
    weight, predicted, observed = calibration_bins(scores, metric.bins)
    return ratio(total(np.abs(predicted - observed)), total(weight))


_BINARY: Mapping[str, Callable[[Scores, Metric], Counts]] = {
    "auc": lambda scores, _: area_under_roc(scores),
    "pr_auc": lambda scores, _: average_precision(scores),
    "log_loss": lambda scores, _: _log_loss(scores),
    "brier": lambda scores, _: _brier(scores),
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "positive_rate": _positive_rate,
    "calibration": _calibration_error,
}


def _class_auc(tally: Tally) -> Counts:
    areas = [
        area_under_roc(Scores.of(tally.get(f"rest:{n}"), tally.get(f"class:{n}")))
        for n in range(tally.classes)
    ]
    return np.asarray(np.mean(areas, axis=0))  # NaN where a class has no rows, or there are too many classes


def _class_log_loss(tally: Tally) -> Counts:
    table = tally.get("true")
    low, high = table.bounds()
    middle = np.clip((scores_of(low) + scores_of(high)) / 2, CLIP, 1)[:, None]
    return ratio(total(-table.counts * np.log(middle)), total(table.counts))


def _class_accuracy(tally: Tally) -> Counts:
    cells = confusion(tally)
    return ratio(np.trace(cells), cells.sum(axis=(0, 1)))


def _class_mean(tally: Tally, denominator: Callable[[Counts], Counts]) -> Counts:
    """Return the mean over the classes that have rows of their share of rows classified right."""
    cells = confusion(tally)
    rates = np.nan_to_num(np.einsum("ccw->cw", cells) / denominator(cells))
    present = cells.sum(axis=1) > 0
    return ratio(total(np.where(present, rates, 0)), total(present))


_MULTICLASS: Mapping[str, Callable[[Tally], Counts]] = {
    "auc": _class_auc,
    "log_loss": _class_log_loss,
    "accuracy": _class_accuracy,
    "precision": lambda tally: _class_mean(tally, lambda cells: cells.sum(axis=0)),
    "recall": lambda tally: _class_mean(tally, lambda cells: cells.sum(axis=1)),
    "f1": lambda tally: _class_mean(tally, lambda cells: (cells.sum(axis=0) + cells.sum(axis=1)) / 2),
}


def _mean(table: KeyTable, of: Callable[[Floats], Floats]) -> Counts:
    """Return the weighted mean of a function of a table's numbers, shape (width,)."""
    low, high = table.bounds()
    middle = (numbers_of(low) + numbers_of(high)) / 2
    return ratio(total(table.counts * of(middle)[:, None]), total(table.counts))


def _mean_squared_error(tally: Tally) -> Counts:
    return _mean(tally.get("residual"), np.square)


def _r2(tally: Tally) -> Counts:
    labels = tally.get("label")
    low, high = labels.bounds()
    middle = ((numbers_of(low) + numbers_of(high)) / 2)[:, None]
    distance = (middle - _mean(labels, np.positive)) ** 2
    variance = ratio(total(labels.counts * distance), total(labels.counts))
    return 1 - ratio(_mean_squared_error(tally), variance)


_REGRESSION: Mapping[str, Callable[[Tally], Counts]] = {
    "rmse": lambda tally: np.sqrt(_mean_squared_error(tally)),
    "mae": lambda tally: _mean(tally.get("residual"), np.abs),
    "bias": lambda tally: _mean(tally.get("residual"), np.positive),
    "r2": _r2,
}
