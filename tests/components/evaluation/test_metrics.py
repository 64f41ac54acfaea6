"""Metrics against scikit-learn's, with ties, weights and joined scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from components.evaluation import (
    Metric,
    accuracy,
    auc,
    bias,
    brier,
    calibration,
    f1,
    log_loss,
    mae,
    positive_rate,
    pr_auc,
    precision,
    r2,
    recall,
    rmse,
)
from components.evaluation.metrics import binary_scores, compute
from components.evaluation.scores import auc_error
from components.evaluation.spec import Task
from components.evaluation.tally import Tally

Array = np.ndarray[Any, Any]
ROWS = 3_000


def tally(task: Task, labels: Array, predictions: Array, weights: Array, limit: int = 1 << 17) -> Tally:
    classes = predictions.shape[1] if task is Task.MULTICLASS else 1
    made = Tally(task, classes, 1, limit)
    made.add(labels.astype(np.float32), predictions.astype(np.float32), weights[:, None])
    return made


def binary_data(ties: bool) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(5)
    scores = rng.beta(0.6, 1.4, ROWS).astype(np.float32)
    if ties:
        scores = np.round(scores, 1).astype(np.float32)
    labels = (rng.random(ROWS) < scores * 0.8).astype(np.float32)
    return labels, scores, rng.integers(0, 4, ROWS).astype(np.float64)


def expected_calibration(labels: Array, scores: Array, sample_weight: Array) -> float:
    number = np.minimum((scores.astype(np.float64) * 10).astype(int), 9)
    gaps = [abs((sample_weight * (scores.astype(np.float64) - labels))[number == b].sum()) for b in range(10)]
    return float(sum(gaps) / sample_weight.sum())


BINARY: list[tuple[Metric, Callable[..., Any]]] = [
    (auc(), sk.roc_auc_score),
    (pr_auc(), sk.average_precision_score),
    (brier(), sk.brier_score_loss),
    (calibration(), expected_calibration),
    (
        log_loss(),
        lambda y, p, sample_weight: sk.log_loss(
            y, np.clip(p.astype(float), 1e-7, 1 - 1e-7), sample_weight=sample_weight
        ),
    ),
    (accuracy(), lambda y, p, sample_weight: sk.accuracy_score(y, p >= 0.5, sample_weight=sample_weight)),
    (
        precision(0.3),
        lambda y, p, sample_weight: sk.precision_score(y, p >= np.float32(0.3), sample_weight=sample_weight),
    ),
    (
        recall(0.3),
        lambda y, p, sample_weight: sk.recall_score(y, p >= np.float32(0.3), sample_weight=sample_weight),
    ),
    (f1(), lambda y, p, sample_weight: sk.f1_score(y, p >= 0.5, sample_weight=sample_weight)),
    (positive_rate(), lambda y, p, sample_weight: np.average(p >= 0.5, weights=sample_weight)),
]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("metric", "reference"), BINARY, ids=lambda item: getattr(item, "name", ""))
def test_binary_metrics_equal_the_reference(
    metric: Metric, reference: Callable[..., Any], ties: bool
) -> None:
    labels, scores, weights = binary_data(ties)
    ours = compute(metric, tally(Task.BINARY, labels, scores[:, None], weights))
    assert ours[0] == pytest.approx(reference(labels, scores, sample_weight=weights), rel=1e-9)


@pytest.mark.parametrize(("metric", "reference"), BINARY, ids=lambda item: getattr(item, "name", ""))
def test_joined_scores_stay_close_and_the_area_within_its_stated_error(
    metric: Metric, reference: Callable[..., Any]
) -> None:
    labels, scores, weights = binary_data(ties=False)
    joined = tally(Task.BINARY, labels, scores[:, None], weights, limit=256)
    truth = reference(labels, scores, sample_weight=weights)
    assert compute(metric, joined)[0] == pytest.approx(truth, abs=0.02)
    if metric.kind == "auc":
        bound = auc_error(binary_scores(joined))
        assert 0 < bound < 0.02
        assert abs(compute(metric, joined)[0] - truth) <= bound


def class_data() -> tuple[Array, Array]:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, ROWS)
    logits = rng.normal(size=(ROWS, 3)) + 1.5 * np.eye(3)[labels]
    return labels, (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


CLASSES: list[tuple[Metric, Callable[[Array, Array], Any]]] = [
    (accuracy(), lambda y, p: sk.accuracy_score(y, p.argmax(axis=1))),
    (precision(), lambda y, p: sk.precision_score(y, p.argmax(axis=1), average="macro")),
    (recall(), lambda y, p: sk.recall_score(y, p.argmax(axis=1), average="macro")),
    (f1(), lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="macro")),
    (log_loss(), lambda y, p: -np.log(p.astype(float)[np.arange(len(y)), y]).mean()),
    (auc(), lambda y, p: np.mean([sk.roc_auc_score(y == c, p[:, c]) for c in range(3)])),
]


@pytest.mark.parametrize(("metric", "reference"), CLASSES, ids=lambda item: getattr(item, "name", ""))
def test_class_metrics_equal_the_reference(metric: Metric, reference: Callable[..., Any]) -> None:
    labels, probabilities = class_data()
    ours = compute(metric, tally(Task.MULTICLASS, labels, probabilities, np.ones(ROWS)))
    assert ours[0] == pytest.approx(reference(labels, probabilities), rel=1e-9)


REGRESSION: list[tuple[Metric, Callable[..., Any], float]] = [
    (rmse(), sk.root_mean_squared_error, 1e-6),
    (mae(), sk.mean_absolute_error, 1e-6),
    (r2(), sk.r2_score, 1e-6),
    (bias(), lambda y, p, sample_weight: np.average(p - y, weights=sample_weight), 1e-5),
]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize(
    ("metric", "reference", "relative"), REGRESSION, ids=lambda i: getattr(i, "name", "")
)
def test_regression_metrics_equal_the_reference(
    metric: Metric, reference: Callable[..., Any], relative: float, scale: float
) -> None:
    rng = np.random.default_rng(7)
    labels = (rng.normal(3, 2, ROWS) * scale).astype(np.float32)
    predictions = (labels + rng.normal(0.3, 1, ROWS) * scale).astype(np.float32)
    weights = rng.integers(0, 3, ROWS).astype(np.float64)
    ours = compute(metric, tally(Task.REGRESSION, labels, predictions[:, None], weights))
    truth = reference(labels.astype(float), predictions.astype(float), sample_weight=weights)
    assert ours[0] == pytest.approx(truth, rel=relative)


@pytest.mark.parametrize("metric", [auc(), pr_auc(), log_loss(), accuracy(), calibration()])
def test_no_rows_leave_a_metric_undefined(metric: Metric) -> None:
    assert np.isnan(compute(metric, Tally(Task.BINARY, 1, 1, 100))[0])


def test_one_class_only_leaves_the_area_undefined() -> None:
    only = tally(Task.BINARY, np.ones(5), np.linspace(0, 1, 5)[:, None], np.ones(5))
    assert np.isnan(compute(auc(), only)[0])
    assert compute(accuracy(), only)[0] == pytest.approx(0.6)
