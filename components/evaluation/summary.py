"""From tallies to figures: metrics with intervals per slice, the champion's, and the differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluation.arrays import Counts
from components.evaluation.metrics import binary_scores, compute
from components.evaluation.scores import auc_error
from components.evaluation.slicing import MISSING, OVERALL, SliceKey, sort_key
from components.evaluation.spec import EvaluationSpec, Metric, Task
from components.evaluation.tally import ModelTallies, SliceTallies, Tallies

_UNBOUNDED = ("rmse", "mae", "bias", "r2", "log_loss")


@dataclass(frozen=True)
class Figure:
    """A metric's value with its confidence interval.

    Attributes:
        value: The value, 7 significant digits; NaN where the metric is undefined.
        low: Lower end of the interval; None without one.
        high: Upper end of the interval; None without one.
        error: Largest error by joined scores; 0 when the metric is exact.
    """

    value: float
    low: float | None = None
    high: float | None = None
    error: float = 0.0

    def to_json(self) -> dict[str, float | None]:
        """Return the figure as JSON; an undefined value is null."""
        value = None if math.isnan(self.value) else self.value
        return {"value": value, "low": self.low, "high": self.high, "error": self.error}


@dataclass(frozen=True)
class Group:
    """The figures of one group of rows.

    Attributes:
        key: The group's columns and values; empty for all rows.
        rows: Evaluated rows.
        metrics: The candidate's figures by metric name.
        champion: The champion's, on the same rows; empty without one.
        differences: Candidate minus champion, resampled in pairs.
        flip_rate: Share of rows (by weight) the two decide differently; None without a champion.
    """

    key: SliceKey
    rows: int
    metrics: dict[str, Figure]
    champion: dict[str, Figure]
    differences: dict[str, Figure]
    flip_rate: float | None

    @property
    def name(self) -> str:
        """The group in words."""
        return describe(self.key)

    def to_json(self) -> dict[str, Any]:
        """Return the group as JSON."""
        return {
            "slice": dict(self.key),
            "rows": self.rows,
            "metrics": _json(self.metrics),
            "champion": _json(self.champion),
            "differences": _json(self.differences),
            "flip_rate": self.flip_rate,
        }


def _json(figures: dict[str, Figure]) -> dict[str, Any]:
    return {name: figure.to_json() for name, figure in figures.items()}


def describe(key: SliceKey) -> str:
    """Return a slice in words: ``company = Taxi Affiliation Services, hour = 3``."""
    return ", ".join(f"{c} = {MISSING if v is None else v}" for c, v in key) or "all rows"


def summarise(tallies: Tallies, spec: EvaluationSpec) -> tuple[Group, list[Group], int]:
    """Return all rows' figures, every large enough slice's in order, and how many were too small."""
    champion = "champion" not in tallies.failures
    overall = _group(OVERALL, tallies.slices.get(OVERALL, SliceTallies()), spec, champion)
    slices = {key: group for key, group in tallies.slices.items() if key != OVERALL}
    large = [key for key, group in slices.items() if group.rows >= spec.minimum_slice_rows]
    order = {item.labels: number for number, item in enumerate(spec.groupings)}
    large.sort(key=lambda key: (order[tuple(label for label, _ in key)], sort_key(key)))
    groups = [_group(key, slices[key], spec, champion) for key in large]
    return overall, groups, len(slices) - len(large)


def _group(key: SliceKey, group: SliceTallies, spec: EvaluationSpec, with_champion: bool) -> Group:
    ours = group.models.get("candidate")
    theirs = group.models.get("champion") if with_champion else None
    compared = theirs is not None and group.weight > 0
    return Group(
        key,
        group.rows,
        _figures(ours, spec),
        _figures(theirs, spec) if theirs else {},
        _differences(ours, theirs, spec) if ours and theirs else {},
        tidy(group.flipped / group.weight) if compared else None,
    )


def _figures(model: ModelTallies | None, spec: EvaluationSpec) -> dict[str, Figure]:
    if model is None:
        return {metric.name: Figure(math.nan) for metric in spec.metrics}
    return {metric.name: _figure(metric, model, spec.confidence) for metric in spec.metrics}


def _figure(metric: Metric, model: ModelTallies, confidence: float) -> Figure:
    value = float(compute(metric, model.exact)[0])
    replicates = compute(metric, model.resampled) if model.resampled else np.zeros(0)
    low, high = _interval(value, replicates, confidence)
    if metric.kind not in _UNBOUNDED and low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 1.0)
    joined = metric.kind == "auc" and model.exact.task is Task.BINARY
    return Figure(tidy(value), low, high, tidy(auc_error(binary_scores(model.exact))) if joined else 0.0)


def _differences(ours: ModelTallies, theirs: ModelTallies, spec: EvaluationSpec) -> dict[str, Figure]:
    found = {}
    for metric in spec.metrics:
        value = float(compute(metric, ours.exact)[0] - compute(metric, theirs.exact)[0])
        paired = np.zeros(0)
        if ours.resampled is not None and theirs.resampled is not None:
            paired = compute(metric, ours.resampled) - compute(metric, theirs.resampled)
        found[metric.name] = Figure(tidy(value), *_interval(value, paired, spec.confidence))
    return found


def _interval(value: float, replicates: Counts, confidence: float) -> tuple[float | None, float | None]:
    """Return the replicates' percentiles, centred on the value.

    Centred, because replicates are counted in coarser score bins than the value. None where more
    than a tenth of the replicates is undefined.
    """
    defined = replicates[~np.isnan(replicates)]
    if math.isnan(value) or not len(defined) or len(defined) < 0.9 * len(replicates):
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) - defined.mean()
    return tidy(value + min(float(low), 0.0)), tidy(value + max(float(high), 0.0))


def tidy(value: float) -> float:
    """Return a number with 7 significant digits, so that equal data give equal bytes."""
    return float(f"{value:.7g}")
