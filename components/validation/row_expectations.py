"""Expectations about rows that Great Expectations lacks, judged from the counts of rows that break them.

Importing this module registers them, so that a suite can name them like any other.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.expectations.model_field_types import MostlyField
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import ValidationDependencies

from components.validation.content_rules import IMAGE_STARTS, NAN_RULE
from components.validation.expectations import MeasuredExpectation

ImageFormat = Literal["bmp", "gif", "jpeg", "png", "tiff", "webp"]
assert set(ImageFormat.__args__) == set(IMAGE_STARTS)  # type: ignore[attr-defined]  # Literal has them


class _RowExpectation(MeasuredExpectation):
    """Base: counts the rows that break a rule.

    Attributes:
        mostly: Share of the rows looked at that must keep the rule.
        row_condition: Only rows that meet it are looked at.
    """

    mostly: MostlyField = 1
    row_condition: Any = None

    map_metric: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ()
    bounds_needed: ClassVar[bool] = True
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.COLUMN
    success_keys: ClassVar[tuple[str, ...]] = ("mostly",)

    @pydantic.root_validator
    def _ordered(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805 - pydantic passes the class
        low, high = values.get("min_value"), values.get("max_value")
        if "min_value" in values and low is None and high is None and cls.bounds_needed:
            raise ValueError("min_value and max_value cannot both be left out")
        return values

    def domain(self) -> dict[str, Any]:
        """Return the columns that the rule is about."""
        return {"column": getattr(self, "column")}  # noqa: B009 - not every rule is about one column

    def get_validation_dependencies(
        self, execution_engine: Any = None, runtime_configuration: Any = None
    ) -> ValidationDependencies:
        """Return the counts of rows, of rows looked at and of rows that break the rule, with examples."""
        found: ValidationDependencies = super(MeasuredExpectation, self).get_validation_dependencies(
            execution_engine, runtime_configuration
        )
        domain = self.domain()
        if self.row_condition is not None:
            condition = self.row_condition
            domain["row_condition"] = condition.dict() if hasattr(condition, "dict") else condition
        values = {name: getattr(self, name) for name in self.arguments}
        for role in ("unexpected_count", "unexpected_values", "filtered_row_count"):
            name = f"{self.map_metric}.{role}"
            found.set_metric_configuration(role, MetricConfiguration(name, domain, values))
        found.set_metric_configuration("rows", MetricConfiguration("table.row_count", {}, {}))
        return found

    @property
    def _mostly(self) -> float:
        share: Any = self.mostly  # the field's type also allows what is replaced before a rule is judged
        return float(share)

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        broken, looked_at = metrics["unexpected_count"], metrics["filtered_row_count"]
        share = broken / looked_at if looked_at else 0.0
        return {
            "success": 1 - share >= self._mostly,
            "result": {
                "element_count": metrics["rows"],
                "missing_count": metrics["rows"] - looked_at,
                "unexpected_count": broken,
                "unexpected_percent": 100 * share,
                "partial_unexpected_list": metrics["unexpected_values"],
            },
        }


class ExpectColumnValuesToNotBeNan(_RowExpectation):
    """Expect no NaN among a column's numbers; a missing number (null) is not NaN."""

    column: str

    map_metric: ClassVar[str] = NAN_RULE
    args_keys: ClassVar[tuple[str, ...]] = ("column",)


class ExpectColumnTextsToBeNumbers(_RowExpectation):
    """Expect texts that write a number (``whole``: a whole one) between ``min_value`` and ``max_value``."""

    column: str
    whole: bool = False
    min_value: float | None = None
    max_value: float | None = None

    map_metric: ClassVar[str] = "column_values.text_number"
    bounds_needed: ClassVar[bool] = False
    arguments: ClassVar[tuple[str, ...]] = ("whole", "min_value", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "whole", "min_value", "max_value")


class ExpectColumnValuesToBeImages(_RowExpectation):
    """Expect bytes that begin as a picture of one of the formats does."""

    column: str
    formats: list[ImageFormat] = ["bmp", "gif", "jpeg", "png"]  # noqa: RUF012 - pydantic copies it

    map_metric: ClassVar[str] = "column_values.image"
    arguments: ClassVar[tuple[str, ...]] = ("formats",)
    args_keys: ClassVar[tuple[str, ...]] = ("column", "formats")


class ExpectColumnListItemCountsToBeBetween(_RowExpectation):
    """Expect every list to hold ``item`` between ``min_value`` and ``max_value`` times, both included."""

    column: str
    item: str | int | float | bool
    min_value: int | None = None
    max_value: int | None = None

    map_metric: ClassVar[str] = "column_values.list_item_count"
    arguments: ClassVar[tuple[str, ...]] = ("item", "min_value", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "item", "min_value", "max_value")


class ExpectColumnListItemsToBeInSet(_RowExpectation):
    """Expect a share of at least ``min_share`` of each list's items to be in ``value_set``."""

    column: str
    value_set: list[Any]
    min_share: pydantic.confloat(ge=0, le=1) = 1.0  # type: ignore[valid-type]  # a type that pydantic makes

    map_metric: ClassVar[str] = "column_values.list_items_in_set"
    arguments: ClassVar[tuple[str, ...]] = ("value_set", "min_share")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "value_set", "min_share")


class ExpectColumnListItemLengthsToBeBetween(_RowExpectation):
    """Expect the texts of each list to be ``min_value`` to ``max_value`` characters long on average."""

    column: str
    min_value: float | None = None
    max_value: float | None = None

    map_metric: ClassVar[str] = "column_values.list_item_length"
    arguments: ClassVar[tuple[str, ...]] = ("min_value", "max_value")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "min_value", "max_value")


class ExpectColumnListShapesToBe(_RowExpectation):
    """Expect nested lists with ``shape[0]`` items, each with ``shape[1]``, and so on."""

    column: str
    shape: pydantic.conlist(pydantic.conint(ge=0), min_items=1)  # type: ignore[valid-type]  # pydantic's

    map_metric: ClassVar[str] = "column_values.list_shape"
    arguments: ClassVar[tuple[str, ...]] = ("shape",)
    args_keys: ClassVar[tuple[str, ...]] = ("column", "shape")


class ExpectColumnPairListLengthsToBeEqual(_RowExpectation):
    """Expect two columns' lists to have equally many items in every row, as values and their indices do."""

    column_A: str  # noqa: N815 - Great Expectations' name
    column_B: str  # noqa: N815 - Great Expectations' name

    map_metric: ClassVar[str] = "column_pair_values.list_lengths_equal"
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.COLUMN_PAIR
    args_keys: ClassVar[tuple[str, ...]] = ("column_A", "column_B")

    def domain(self) -> dict[str, Any]:
        """Return the columns that the rule is about; rows without one of the two are not looked at."""
        pair = {"column_A": self.column_A, "column_B": self.column_B}
        return {**pair, "ignore_row_if": "either_value_is_missing"}


class ExpectColumnsToBeMissingTogether(_RowExpectation):
    """Expect every row to have a value in all of some columns, or in none: values with their weights."""

    column_list: pydantic.conlist(str, min_items=2)  # type: ignore[valid-type]  # a type that pydantic makes

    map_metric: ClassVar[str] = "multicolumn_values.missing_together"
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.MULTICOLUMN
    args_keys: ClassVar[tuple[str, ...]] = ("column_list",)

    def domain(self) -> dict[str, Any]:
        """Return the columns that the rule is about."""
        return {"column_list": self.column_list, "ignore_row_if": "never"}


class ExpectRowsToSatisfy(_RowExpectation):
    """Expect a condition of every row, as ``tips <= fare and company is not null``; unknown is not broken."""

    condition: str

    map_metric: ClassVar[str] = "multicolumn_values.satisfy"
    arguments: ClassVar[tuple[str, ...]] = ("condition",)
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.MULTICOLUMN
    args_keys: ClassVar[tuple[str, ...]] = ("condition",)

    @pydantic.validator("condition")
    def _understood(cls, value: str) -> str:  # noqa: N805 - pydantic passes the class
        from components.reading.row_condition import Condition
        from orchestration import ArgumentError

        try:
            Condition(value)
        except ArgumentError as error:
            raise ValueError(f"{error.received} ({error.expected})") from error
        return value

    def domain(self) -> dict[str, Any]:
        """Return the columns that the condition names."""
        from components.reading.row_condition import Condition

        return {"column_list": list(Condition(self.condition).columns), "ignore_row_if": "never"}
