"""The language between plan, computation and judgement: metrics by name, domain and arguments, as JSON."""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# Domain and argument entries that name the batch or the wording of the answer, not what is computed.
_IGNORED = frozenset({"batch_id", "result_format", "condition_parser", "include_nested"})


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: exact for numbers, text for everything without a JSON form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=lambda item: (type(item).__name__, item))
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    if hasattr(value, "item"):  # numpy scalars
        return plain(value.item())
    if hasattr(value, "dict"):  # pydantic models: row conditions
        return plain(value.dict())
    return str(value)


@dataclass(frozen=True)
class Metric:
    """One number or list to compute: Great Expectations' name for it, its columns and its arguments.

    Attributes:
        name: Great Expectations' name, as ``column_values.between.unexpected_count``.
        domain: Columns and row filter, as ``{"column": "fare"}``.
        arguments: What the metric is computed with, as ``{"min_value": 0}``.
    """

    name: str
    domain: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, domain: Mapping[str, Any], arguments: Mapping[str, Any]) -> Metric:
        """Return the metric with everything left out that does not change its value."""
        return cls(name, _needed(domain), _needed(arguments))

    @functools.cached_property
    def key(self) -> str:
        """The metric as one line of JSON: equal for equal metrics, in whatever order they were written."""
        return json.dumps([self.name, self.domain, self.arguments], sort_keys=True, ensure_ascii=False)

    @property
    def columns(self) -> list[str]:
        """Names of the columns the metric reads, in the order the rule names them."""
        if "column_list" in self.domain:
            return list(self.domain["column_list"])
        return [self.domain[name] for name in ("column", "column_A", "column_B") if name in self.domain]


def _needed(entries: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: plain(v) for k, v in entries.items() if v is not None and k not in _IGNORED}
    return dict(sorted(kept.items()))


@dataclass
class MetricStore:
    """Computed metrics of one split.

    Attributes:
        schema: Arrow schema of the rows.
        values: JSON value by metric key.
        errors: Why a metric could not be computed, by metric key.
    """

    schema: pa.Schema
    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the store as JSON, in an order that does not depend on the order of computation."""
        rows = []
        for key in sorted({*self.values, *self.errors}):
            name, domain, arguments = json.loads(key)
            row = {"metric": name, "domain": domain, "arguments": arguments}
            row |= {"error": self.errors[key]} if key in self.errors else {"value": self.values[key]}
            rows.append(row)
        columns = [{"name": column.name, "type": str(column.type)} for column in self.schema]
        return {"columns": columns, "metrics": rows}
