"""How each metric is computed: from which accumulators, and how its value is read from them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.validation import content_rules, kernels, parsing, phases
from components.validation.distinct import Distinct, DistinctSpec
from components.validation.distribution import Shape
from components.validation.metrics import Metric, plain
from components.validation.parts import (
    Extremes,
    Found,
    Order,
    Ranks,
    Rows,
    Sums,
    Tally,
    Violations,
)
from components.validation.relations import RELATIONS, considered
from components.validation.view import InapplicableError, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

RULES = kernels.RULES | content_rules.RULES | parsing.RULES | phases.RULES
Parts = Mapping[str, Any]
_NULLNESS = ("column_values.nonnull", "column_values.null")


@dataclass(frozen=True)
class PartSpec:
    """One accumulator: its name, how it begins and what a batch adds to it."""

    key: str
    create: Callable[[], Any]
    add: Callable[[Any, View], None]


@dataclass(frozen=True)
class Recipe:
    """A metric's accumulators and how its value is read from them.

    Attributes:
        needs: Accumulators and distinct counts, by the role they play.
        read: Takes them by role, gives the metric's JSON value.
    """

    needs: Mapping[str, PartSpec | DistinctSpec]
    read: Callable[[Parts], Any]


class UnknownMetricError(InapplicableError):
    """No recipe computes this metric."""


def recipe(metric: Metric) -> Recipe:
    """Return how a metric is computed.

    Raises:
        UnknownMetricError: It is none of the metrics that can be computed in one pass over Arrow batches.
    """
    rule, _, suffix = metric.name.rpartition(".")
    if metric.name in _AGGREGATES:
        return _AGGREGATES[metric.name](metric)
    if suffix in _VIOLATION_READS and rule in _VIOLATIONS:
        source = _VIOLATIONS[rule](rule, metric)
        return Recipe({"violations": source}, _VIOLATION_READS[suffix](rule, metric))
    raise UnknownMetricError(f"metric {metric.name} cannot be computed from Arrow batches")


def _scope(metric: Metric, *also: str) -> str:
    return json.dumps([*also, metric.domain], sort_keys=True)


def _condition(metric: Metric) -> Any:
    return metric.domain.get("row_condition")


# ---- rules about rows -------------------------------------------------------------------------------------


def _violations(rule: str, metric: Metric, mask: Callable[[View], tuple[pa.BooleanArray, int]]) -> PartSpec:
    columns = metric.columns

    def add(part: Violations, view: View) -> None:
        view = view.where(_condition(metric))
        broken, looked_at = mask(view)
        part.add(view, broken, looked_at, columns)

    return PartSpec(rule_key(rule, metric), Violations, add)


def rule_key(rule: str, metric: Metric) -> str:
    """Return the name of the accumulator that a row rule's metrics share."""
    return Metric(rule, metric.domain, metric.arguments).key


def _column_rule(rule: str, metric: Metric) -> PartSpec:
    return _violations(rule, metric, lambda view: broken_values(rule, metric, view))


def broken_values(rule: str, metric: Metric, view: View) -> tuple[pa.BooleanArray, int]:
    """Return which rows of a view break a rule about one column, and how many rows the rule looks at."""
    name = metric.columns[0]
    array, missing = view.column(name), view.missing(name)
    if rule in _NULLNESS:
        return (missing if rule.endswith("nonnull") else pc.invert(missing)), view.rows
    if rule == content_rules.NAN_RULE:
        missing = pc.is_null(array)
    present = view.rows - missing.true_count
    if not present:  # nothing to judge, so neither can a rule be unfit for the column's type
        return pa.repeat(pa.scalar(False), view.rows), 0
    holds = pc.fill_null(RULES[rule](array, metric.arguments), False)
    return pc.invert(pc.or_(missing, holds)), present


def _relation(rule: str, metric: Metric) -> PartSpec:
    return _violations(rule, metric, lambda view: broken_rows(rule, metric, view))


def broken_rows(rule: str, metric: Metric, view: View) -> tuple[pa.BooleanArray, int]:
    """Return which rows of a view break a rule over several columns, and how many it looks at."""
    columns = metric.columns
    looked_at = considered(view, columns, metric.domain.get("ignore_row_if", "never"))
    holds = pc.fill_null(RELATIONS[rule](view, columns, metric.arguments), False)
    return pc.and_(looked_at, pc.invert(holds)), looked_at.true_count


def broken_positions(metric: Metric, view: View) -> NDArray[np.int64]:
    """Return the positions of a view's rows that break the rule whose broken rows a metric counts.

    Raises:
        InapplicableError: The rule needs more than one row at a time.
    """
    rule = metric.name.rpartition(".")[0]
    view = view.where(_condition(metric))
    if rule in RELATIONS:
        broken, _ = broken_rows(rule, metric, view)
    elif rule in RULES or rule in _NULLNESS:
        broken, _ = broken_values(rule, metric, view)
    else:
        raise InapplicableError(f"{rule} cannot be decided row by row")
    return np.asarray(view.positions[pc.indices_nonzero(broken).to_numpy()], dtype=np.int64)


def _unique(rule: str, metric: Metric) -> DistinctSpec:
    columns = tuple(metric.columns)
    ignore = metric.domain.get("ignore_row_if")
    return DistinctSpec(_scope(metric, "distinct", ""), columns, _condition(metric), True, None, ignore)


def _order(rule: str, metric: Metric) -> PartSpec:
    ascending, strictly = rule.endswith("increasing"), bool(metric.arguments.get("strictly"))

    def add(part: Order, view: View) -> None:
        part.add(view.where(_condition(metric)), metric.columns[0])

    return PartSpec(rule_key(rule, metric), lambda: Order(ascending, strictly), add)


def violations_of(part: Violations | Order | Distinct) -> Violations:
    """Return the broken rows that an accumulator of any row rule has found."""
    if isinstance(part, Distinct):
        return part.repeated
    return part.violations() if isinstance(part, Order) else part


def _read_count(rule: str, metric: Metric) -> Callable[[Parts], Any]:
    return lambda parts: violations_of(parts["violations"]).count


def _read_considered(rule: str, metric: Metric) -> Callable[[Parts], Any]:
    return lambda parts: violations_of(parts["violations"]).considered


def _read_values(rule: str, metric: Metric) -> Callable[[Parts], Any]:
    columns = metric.columns

    def read(parts: Parts) -> Any:
        shown = [values for _, values in violations_of(parts["violations"]).examples[:20]]
        if "column" in metric.domain:
            return [values[0] for values in shown]
        if "column_list" in metric.domain:
            return [dict(zip(columns, values, strict=True)) for values in shown]
        return shown

    return read


_VIOLATION_READS: dict[str, Callable[[str, Metric], Callable[[Parts], Any]]] = {
    "unexpected_count": _read_count,
    "unexpected_values": _read_values,
    "filtered_row_count": _read_considered,
}

_VIOLATIONS: dict[str, Callable[[str, Metric], PartSpec | DistinctSpec]] = {
    **dict.fromkeys(_NULLNESS, _column_rule),
    **dict.fromkeys(RULES, _column_rule),
    **dict.fromkeys(RELATIONS, _relation),
    "column_values.unique": _unique,
    "compound_columns.unique": _unique,
    "column_values.increasing": _order,
    "column_values.decreasing": _order,
}

# ---- numbers about columns and tables ---------------------------------------------------------------------


def _rows(metric: Metric) -> PartSpec:
    return PartSpec(
        _scope(Metric("", {k: v for k, v in metric.domain.items() if k == "row_condition"}), "rows"),
        Rows,
        lambda part, view: part.add(view.where(_condition(metric))),
    )


def _missing(metric: Metric) -> PartSpec:
    rule = "column_values.nonnull"
    return _column_rule(rule, Metric(rule, metric.domain))


def _present(metric: Metric) -> Recipe:
    needs = {"rows": _rows(metric), "missing": _missing(metric)}
    return Recipe(needs, lambda parts: parts["rows"].count - parts["missing"].count)


def _present_share(metric: Metric) -> Recipe:
    def read(parts: Parts) -> float:
        rows = parts["rows"].count
        return (rows - parts["missing"].count) / rows if rows else 0

    return Recipe({"rows": _rows(metric), "missing": _missing(metric)}, read)


def _row_count(metric: Metric) -> Recipe:
    return Recipe({"rows": _rows(metric)}, lambda parts: parts["rows"].count)


def _column(create: Callable[[], Any], kind: str) -> Callable[[Metric], PartSpec]:
    def spec(metric: Metric) -> PartSpec:
        name = metric.columns[0]
        return PartSpec(
            _scope(metric, kind), create, lambda part, view: part.add(view.where(_condition(metric)), name)
        )

    return spec


_extremes = _column(Extremes, "extremes")
_sums = _column(lambda: Sums(squares=False), "sums")
_squares = _column(lambda: Sums(squares=True), "squares")
_ranks = _column(Ranks, "ranks")
_shape = _column(Shape, "shape")


def _reading(
    spec: Callable[[Metric], PartSpec], read: Callable[[Any, Metric], Any]
) -> Callable[[Metric], Recipe]:
    def build(metric: Metric) -> Recipe:
        return Recipe({"part": spec(metric)}, lambda parts: read(parts["part"], metric))

    return build


def _distinct(metric: Metric, outside: bool = False) -> DistinctSpec:
    sought = tuple(metric.arguments.get("value_set") or ()) if outside else None
    also = json.dumps(sought) if outside else ""
    return DistinctSpec(
        _scope(metric, "distinct", also), tuple(metric.columns), _condition(metric), False, sought
    )


def _counting(read: Callable[[Distinct, Metric], Any], outside: bool = False) -> Callable[[Metric], Recipe]:
    def build(metric: Metric) -> Recipe:
        return Recipe({"part": _distinct(metric, outside)}, lambda parts: read(parts["part"], metric))

    return build


def _modes(found: Distinct, metric: Metric) -> list[Any]:
    if found.modes > len(found.common):
        raise too_many(found.modes)
    return [plain(value) for value in found.common]


def _value_counts(found: Distinct, metric: Metric) -> list[list[Any]]:
    if not found.complete:
        raise too_many(found.count)
    return [[plain(value), count] for value, count in found.table]


def too_many(count: int) -> InapplicableError:
    """Return the error of a list that would be too long to keep."""
    return InapplicableError(f"{count:,} distinct values are too many to list them all")


def _unique_share(metric: Metric) -> Recipe:
    return Recipe(
        {"part": _distinct(metric)},
        lambda parts: parts["part"].count / parts["part"].rows if parts["part"].rows else 0,
    )


def _sought(metric: Metric) -> Recipe:
    """Recipe for the members of a set that a column lacks."""
    name, values = metric.columns[0], list(metric.arguments.get("value_set") or [])

    def add(part: Found, view: View) -> None:
        view = view.where(_condition(metric))
        part.add(view.column(name), values)

    spec = PartSpec(_scope(metric, "found", json.dumps(values)), Found, add)
    if metric.name.endswith(".count"):
        return Recipe({"part": spec}, lambda parts: len(parts["part"].lacking(values)))
    return Recipe({"part": spec}, lambda parts: parts["part"].lacking(values)[:20])


def _histogram(metric: Metric) -> Recipe:
    bins = [float(edge) for edge in metric.arguments["bins"]]
    name = metric.columns[0]

    def add(part: Tally, view: View) -> None:
        numbers = view.where(_condition(metric)).numbers(name)
        part.add(np.histogram(numbers, np.asarray(bins))[0])

    spec = PartSpec(_scope(metric, "histogram", json.dumps(bins)), lambda: Tally(len(bins) - 1), add)
    return Recipe({"part": spec}, lambda parts: parts["part"].counts.tolist())


def _between_count(metric: Metric) -> Recipe:
    spec = _column_rule("column_values.between", metric)
    return Recipe({"part": spec}, lambda parts: parts["part"].considered - parts["part"].count)


def _number(value: float | None) -> Any:
    return None if value is None or math.isnan(value) else plain(value)


def _quantiles(part: Ranks, metric: Metric) -> list[Any]:
    how = metric.arguments.get("allow_relative_error") or "nearest"
    return part.quantiles(metric.arguments["quantiles"], how)


def _median(part: Ranks, metric: Metric) -> Any:
    return part.quantiles([0.5], "linear")[0]


_AGGREGATES: dict[str, Callable[[Metric], Recipe]] = {
    "table.row_count": _row_count,
    "column.non_null_count": _present,
    "column_values.nonnull.count": _present,
    "column.non_null_proportion": _present_share,
    "column.min": _reading(_extremes, lambda part, _: plain(part.low)),
    "column.max": _reading(_extremes, lambda part, _: plain(part.high)),
    "column.sum": _reading(_sums, lambda part, _: _number(part.moments.sum())),
    "column.mean": _reading(_sums, lambda part, _: _number(part.moments.mean())),
    "column.standard_deviation": _reading(_squares, lambda part, _: _number(part.moments.deviation())),
    "column.quantile_values": _reading(_ranks, _quantiles),
    "column.median": _reading(_ranks, _median),
    "column.distribution": _reading(_shape, lambda part, _: part.summary()),
    "column.distinct_values.count": _counting(lambda found, _: found.count),
    "column.most_common_value": _counting(_modes),
    "column.value_counts": _counting(_value_counts),
    "column.unique_proportion": _unique_share,
    "column.distinct_values.not_in_set.count": _counting(lambda found, _: found.count, outside=True),
    "column.distinct_values.not_in_set": _counting(
        lambda found, _: [plain(value) for value, _ in found.table[:20]], outside=True
    ),
    "column.distinct_values.missing_from_column.count": _sought,
    "column.distinct_values.missing_from_column": _sought,
    "column.histogram": _histogram,
    "column_values.between.count": _between_count,
}
