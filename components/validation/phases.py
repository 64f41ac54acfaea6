"""Rules whose bounds come from the data: a first pass finds the statistics, a second judges the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.validation.kernels import Kernel
from components.validation.metrics import Metric, MetricStore
from components.validation.view import InapplicableError

_Z_SCORE = "column_values.z_score.under_threshold"
_OUTLIERS = "column_values.not_outliers"


def first(metric: Metric) -> list[Metric]:
    """Return the metrics a metric's second pass starts from; none where one pass is enough."""
    rule = metric.name.rpartition(".")[0]
    moments = [Metric("column.mean", metric.domain), Metric("column.standard_deviation", metric.domain)]
    if rule == _Z_SCORE:
        return moments
    if rule == _OUTLIERS:
        if metric.arguments.get("method", "iqr") == "std":
            return moments
        arguments = {"allow_relative_error": "linear", "quantiles": [0.25, 0.75]}
        return [Metric("column.quantile_values", metric.domain, arguments)]
    return []


def bind(metric: Metric, store: MetricStore) -> Metric:
    """Return the metric with what its first pass found among its arguments, under ``first``.

    Raises:
        InapplicableError: The first pass could not compute it.
    """
    needed = first(metric)
    for part in needed:
        if part.key in store.errors:
            raise InapplicableError(store.errors[part.key])
    values = [store.values[part.key] for part in needed]
    return replace(metric, arguments={**metric.arguments, "first": values})


def z_score(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Values less than ``threshold`` deviations from the mean; all of them where there is no deviation."""
    mean, deviation = arguments.get("first", (None, None))
    scores = _numeric(array)
    if not deviation:
        return pa.repeat(pa.scalar(True), len(array))
    scores = pc.divide(pc.subtract(scores, mean), deviation)
    threshold = float(arguments["threshold"])
    if arguments.get("double_sided", True):
        scores, threshold = pc.abs(scores), abs(threshold)
    return pc.or_(pc.less(scores, threshold), pc.is_nan(scores))


def not_outliers(array: pa.Array, arguments: Mapping[str, Any]) -> pa.BooleanArray:
    """Values within Tukey's fences (``iqr``), or within deviations from the mean (``std``)."""
    numbers = _numeric(array)
    found = arguments.get("first", (None, None))
    if isinstance(found[0], list):
        found = found[0]
    if any(not isinstance(value, int | float) for value in found):
        return pa.repeat(pa.scalar(True), len(array))
    multiplier = float(arguments.get("multiplier", 1.5))
    if arguments.get("method", "iqr") == "std":
        mean, deviation = found
        if deviation * multiplier <= 0:
            return pc.equal(numbers, mean)
        return pc.less(pc.abs(pc.subtract(numbers, mean)), deviation * multiplier)
    low, high = found
    margin = (high - low) * multiplier
    return pc.and_(pc.greater_equal(numbers, low - margin), pc.less_equal(numbers, high + margin))


def _numeric(array: pa.Array) -> pa.Array:
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        return array.cast(pa.float64(), safe=False)
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.float64())
    raise InapplicableError(f"the column holds {array.type}, not numbers")


RULES: dict[str, Kernel] = {_Z_SCORE: z_score, _OUTLIERS: not_outliers}
