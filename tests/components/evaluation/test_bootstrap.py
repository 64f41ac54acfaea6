"""Bootstrap weights: Poisson, fixed by the row's content, and intervals that cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.data.hashing import mix
from components.evaluation import EvaluationSpec, accuracy, auc, evaluation
from components.evaluation.bootstrap import poisson_weights
from components.evaluation.slicing import OVERALL
from components.evaluation.spec import Task
from components.evaluation.summary import Figure, summarise
from components.evaluation.tally import ModelTallies, SliceTallies, Tallies

Array = np.ndarray[Any, Any]


def test_weights_are_poisson_and_depend_on_nothing_but_the_hash() -> None:
    hashes = mix(np.arange(20_000, dtype=np.uint64))
    weights = poisson_weights(hashes, 50)
    assert weights.shape == (20_000, 50)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert np.abs(np.corrcoef(weights[:, :20].T) - np.eye(20)).max() < 0.04
    order = np.random.default_rng(0).permutation(20_000)
    np.testing.assert_array_equal(poisson_weights(hashes[order], 50), weights[order])
    np.testing.assert_array_equal(poisson_weights(hashes[:7], 30), weights[:7, :30])


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    population = rng.beta(2, 2, 200_000).astype(np.float32)
    outcomes = (rng.random(200_000) < population).astype(np.float32)
    spec = evaluation(metrics=[auc(), accuracy()], replicates=100, confidence=0.9)
    truth = _figures(population, outcomes, np.arange(200_000), spec)
    covered = {"auc": 0, "accuracy": 0}
    trials = 100
    for _ in range(trials):
        rows = rng.choice(200_000, 400, replace=False)
        for name, figure in _figures(population, outcomes, rows, spec).items():
            assert figure.low is not None
            assert figure.high is not None
            covered[name] += figure.low <= truth[name].value <= figure.high
    for name, count in covered.items():
        assert 0.8 * trials <= count <= 0.98 * trials, name


def _figures(scores: Array, labels: Array, rows: Array, spec: EvaluationSpec) -> dict[str, Figure]:
    model = ModelTallies.create(Task.BINARY, 1, spec.replicates, OVERALL)
    ones = np.ones((len(rows), 1))
    model.exact.add(labels[rows], scores[rows][:, None], ones)
    assert model.resampled is not None
    model.resampled.add(
        labels[rows], scores[rows][:, None], poisson_weights(mix(rows.astype(np.uint64)), spec.replicates)
    )
    state = Tallies({OVERALL: SliceTallies(len(rows), {"candidate": model}, float(len(rows)))})
    return summarise(state, spec)[0].metrics
