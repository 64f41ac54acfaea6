"""Curves: what the report draws agrees with the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from components.evaluation.curves import MOST_POINTS, curves
from components.evaluation.spec import Task
from components.evaluation.tally import Tally

ROWS = 2_000


@pytest.fixture(scope="module")
def drawn() -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    scores = rng.beta(1, 2, ROWS).astype(np.float32)
    labels = (rng.random(ROWS) < scores).astype(np.float32)
    tally = Tally(Task.BINARY, 1, 1, 1 << 17)
    tally.add(labels, scores[:, None], np.ones((ROWS, 1)))
    return curves(tally), labels, scores


def test_the_roc_runs_from_corner_to_corner_and_keeps_its_area(
    drawn: tuple[dict[str, Any], Any, Any],
) -> None:
    found, labels, scores = drawn
    x, y = np.array(found["roc"]).T
    assert len(x) <= MOST_POINTS + 2
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(y) >= 0)
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(labels, scores), abs=0.003)


def test_calibration_and_scores_hold_every_row(drawn: tuple[dict[str, Any], Any, Any]) -> None:
    found, labels, scores = drawn
    assert sum(entry["weight"] for entry in found["calibration"]) == ROWS
    mean = sum(entry["weight"] * entry["score"] for entry in found["calibration"]) / ROWS
    assert mean == pytest.approx(scores.mean(), abs=1e-5)
    assert sum(found["scores"]["positive"]) == labels.sum()
    assert sum(found["scores"]["negative"]) == ROWS - labels.sum()
    assert found["confusion"] == confusion_matrix(labels, scores >= 0.5).tolist()


def test_precision_ends_at_the_share_of_positives(drawn: tuple[dict[str, Any], Any, Any]) -> None:
    found, labels, _ = drawn
    assert found["precision_recall"][-1] == [1.0, pytest.approx(labels.mean(), abs=1e-6)]


def test_residuals_lie_between_the_first_and_the_last_percentile() -> None:
    rng = np.random.default_rng(4)
    labels = rng.normal(size=ROWS).astype(np.float32)
    errors = rng.normal(2, 1, ROWS).astype(np.float32)
    tally = Tally(Task.REGRESSION, 1, 1, 1 << 17)
    tally.add(labels, (labels + errors)[:, None], np.ones((ROWS, 1)))
    residuals = curves(tally)["residuals"]
    assert sum(residuals["counts"]) == ROWS
    assert residuals["edges"][0] == pytest.approx(np.quantile(errors, 0.01), abs=0.05)
    assert residuals["edges"][-1] == pytest.approx(np.quantile(errors, 0.99), abs=0.05)


def test_one_class_draws_no_roc_and_no_rows_draw_nothing() -> None:
    tally = Tally(Task.BINARY, 1, 1, 100)
    assert curves(tally) == {}
    tally.add(np.ones(3, np.float32), np.full((3, 1), 0.7, np.float32), np.ones((3, 1)))
    assert curves(tally)["roc"] == []
