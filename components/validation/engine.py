"""Great Expectations on top of computed metrics: an engine that looks up, and never touches a row."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa
from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.validator.metric_configuration import MetricConfiguration

from components.validation.kernels import number
from components.validation.metrics import Metric, MetricStore
from components.validation.view import is_text, value_type

# Every call states the format: without it Great Expectations asks for other metrics than it was planned with.
RESULT_FORMAT = {"result_format": "BASIC"}


class MetricUnavailableError(GreatExpectationsError):
    """The store has no value for a metric; the message says why."""


class MetricStoreExecutionEngine(PandasExecutionEngine):
    """Answers every metric from a store of computed ones.

    Args:
        store: The metrics; for planning, one that knows only the columns and their types.
        others: The stores of all splits, by name: what Great Expectations calls another table is a split.
    """

    def __init__(self, store: MetricStore, others: Mapping[str, MetricStore] | None = None) -> None:
        super().__init__()
        self.store = store
        self.others = dict(others or {})
        self._types = {column.name: value_type(column.type) for column in store.schema}
        self._dtypes = store.schema.empty_table().to_pandas().dtypes

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: Any = None,
        runtime_configuration: Any = None,
    ) -> dict[Any, Any]:
        """Return the metrics' values by id.

        Raises:
            MetricUnavailableError: One was not computed.
        """
        return {metric.id: self.value(of(metric)) for metric in metrics_to_resolve}

    def value(self, metric: Metric) -> Any:
        """Return one metric's value, in the form Great Expectations computes it itself.

        Raises:
            MetricUnavailableError: It was not computed.
        """
        other = metric.domain.get("table")
        if other is not None:
            if other not in self.others:
                raise MetricUnavailableError(f'there is no split "{other}" to compare with')
            return MetricStoreExecutionEngine(self.others[other]).value(here(metric))
        if metric.name in _SCHEMA_METRICS:
            return _SCHEMA_METRICS[metric.name](self)
        absent = [name for name in metric.columns if name not in self._types]
        if absent:
            raise MetricUnavailableError(f'column "{absent[0]}" does not exist')
        if metric.key in self.store.errors:
            raise MetricUnavailableError(self.store.errors[metric.key])
        if metric.key not in self.store.values:
            raise MetricUnavailableError(f"metric {metric.name} was not computed")
        return self._native(metric, self.store.values[metric.key])

    def _native(self, metric: Metric, value: Any) -> Any:
        if metric.name == "column.value_counts":
            return pd.Series(
                [n for _, n in value], index=pd.Index([v for v, _ in value], name="value"), name="count"
            )
        if metric.name in _NUMERIC and isinstance(value, str | list):
            return self._typed(self._types[metric.columns[0]], value)
        return value

    def _typed(self, kind: pa.DataType, value: Any) -> Any:
        if isinstance(value, list):
            return [self._typed(kind, item) for item in value]
        if pa.types.is_timestamp(kind):
            return datetime.datetime.fromisoformat(value)
        if pa.types.is_date(kind):
            return datetime.date.fromisoformat(value)
        found = None if is_text(kind) else number(value)
        return value if found is None else found

    def _arrow_types(self) -> dict[str, str]:
        return {name: str(kind) for name, kind in self._types.items()}

    def _column_types(self) -> list[dict[str, Any]]:
        return [{"name": name, "type": kind} for name, kind in self._dtypes.items()]


_NUMERIC = frozenset(
    f"column.{name}"
    for name in ("min", "max", "sum", "mean", "median", "standard_deviation", "quantile_values")
)

# Known from the schema alone, so neither planned nor computed.
_SCHEMA_METRICS: dict[str, Any] = {
    "table.columns": lambda engine: list(engine.store.schema.names),
    "table.column_count": lambda engine: len(engine.store.schema),
    "table.column_types": MetricStoreExecutionEngine._column_types,
    "table.arrow_types": MetricStoreExecutionEngine._arrow_types,
}


def of(configuration: MetricConfiguration) -> Metric:
    """Return Great Expectations' description of a metric as one of ours."""
    return Metric.of(
        configuration.metric_name,
        configuration.metric_domain_kwargs,
        configuration.metric_value_kwargs,
    )


def computable(metrics: Iterable[Metric]) -> list[Metric]:
    """Return the metrics that must be computed from rows, each once; those of other splits as their own."""
    own = [here(metric) for metric in metrics if metric.name not in _SCHEMA_METRICS]
    return list({metric.key: metric for metric in own}.values())


def here(metric: Metric) -> Metric:
    """Return a metric of another split as the metric that is computed in that split."""
    return replace(metric, domain={name: v for name, v in metric.domain.items() if name != "table"})
