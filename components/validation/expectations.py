"""Expectations Great Expectations lacks: Arrow types, known columns, list lengths, finite numbers, UTF-8.

Importing this module registers them, so that a suite can name them like any other.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider.column_condition_partial import (
    column_condition_partial,
)
from great_expectations.expectations.metrics.map_metric_provider.column_map_metric_provider import (
    ColumnMapMetricProvider,
)
from great_expectations.render.components import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies


class MeasuredExpectation(BatchExpectation):
    """Base of expectations that judge metrics they name themselves, without Great Expectations' registry."""

    @classmethod
    def is_abstract(cls) -> bool:
        """Keep the bases out of the registry."""
        return cls.__name__ == "MeasuredExpectation" or cls.__name__.startswith("_")

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None, **_: Any
    ) -> list[RenderedStringTemplateContent]:
        """Say in Data Docs what is expected: the class's own first sentence, and the short arguments."""
        sentence = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
        shown = {name: value for name, value in configuration.kwargs.items() if len(str(value)) <= 100}
        named = ", ".join(f"{name}=${name}" for name in shown)
        styling = (runtime_configuration or {}).get("styling")
        text = f"{sentence} ({named})" if named else sentence
        template = {"template": text, "params": shown, "styling": styling}
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=template)]

    def needs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return metric name and domain, by the role the metric plays."""
        raise NotImplementedError

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: Any = None
    ) -> ValidationDependencies:
        """Return the metrics this expectation judges."""
        dependencies: ValidationDependencies = super().get_validation_dependencies(
            execution_engine, runtime_configuration
        )
        for role, (name, domain) in self.needs().items():
            dependencies.set_metric_configuration(role, MetricConfiguration(name, domain, {}))
        return dependencies


class ExpectColumnArrowTypeToBe(MeasuredExpectation):
    """Expect a column to exist with this Arrow type; one without any value (type null) may be anything."""

    column: str
    arrow_type: str

    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.COLUMN
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")
    success_keys: ClassVar[tuple[str, ...]] = ("arrow_type",)
    args_keys: ClassVar[tuple[str, ...]] = ("column", "arrow_type")

    def needs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The columns' types."""
        return {"types": ("table.arrow_types", {})}

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        observed = metrics["types"].get(self.column)
        same = observed is not None and _bare(observed) in (_bare(self.arrow_type), "null")
        return {"success": same, "result": {"observed_value": observed}}


def _bare(kind: str) -> str:
    """Return a type's text without the name of list items: ``item`` in memory is ``element`` in Parquet."""
    return re.sub(r"\blist<[^:<>]+: ", "list<item: ", kind)


class ExpectTableColumnsToBeKnown(MeasuredExpectation):
    """Expect no column that is not listed."""

    known_columns: list[str]

    success_keys: ClassVar[tuple[str, ...]] = ("known_columns",)
    args_keys: ClassVar[tuple[str, ...]] = ("known_columns",)

    def needs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The columns' names."""
        return {"types": ("table.arrow_types", {})}

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        new = [name for name in metrics["types"] if name not in self.known_columns]
        return {"success": not new, "result": {"observed_value": new}}


class ColumnValuesFinite(ColumnMapMetricProvider):
    """Numbers that are neither infinite nor NaN (which is missing, not infinite)."""

    condition_metric_name = "column_values.finite"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: Any, **kwargs: Any) -> Any:  # noqa: N805 - Great Expectations passes the class
        import numpy as np

        return np.isfinite(column)


class ExpectColumnValuesToBeFinite(ColumnMapExpectation):
    """Expect no infinite numbers in a column."""

    map_metric = "column_values.finite"
    args_keys: ClassVar[tuple[str, ...]] = ("column",)


class ColumnValuesUtf8(ColumnMapMetricProvider):
    """Bytes that are UTF-8 text."""

    condition_metric_name = "column_values.utf8"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: Any, **kwargs: Any) -> Any:  # noqa: N805 - Great Expectations passes the class
        return column.map(lambda value: value == value.decode("utf-8", "ignore").encode())


class ExpectColumnValuesToBeUtf8(ColumnMapExpectation):
    """Expect a column of bytes to hold UTF-8 text."""

    map_metric = "column_values.utf8"
    args_keys: ClassVar[tuple[str, ...]] = ("column",)


class ColumnListLength(ColumnMapMetricProvider):
    """Lists with a number of items within bounds."""

    condition_metric_name = "column_values.list_length.between"
    condition_value_keys = ("min_value", "max_value")

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column: Any, min_value: Any = None, max_value: Any = None, **kwargs: Any) -> Any:  # noqa: N805 - Great Expectations passes the class
        lengths = column.map(len)
        low = lengths >= min_value if min_value is not None else lengths >= 0
        return low & (lengths <= max_value) if max_value is not None else low


class ExpectColumnListLengthsToBeBetween(ColumnMapExpectation):
    """Expect the lists of a column to have between ``min_value`` and ``max_value`` items, both included."""

    min_value: int | None = None
    max_value: int | None = None

    map_metric = "column_values.list_length.between"
    success_keys: ClassVar[tuple[str, ...]] = ("min_value", "max_value", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "min_value", "max_value")
