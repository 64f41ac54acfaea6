"""What rows like these should look like: columns and expectations, concluded from statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from components.schema.schema import SERVING, DatasetSchema, Expectation, SchemaColumn, Severity
from components.statistics.statistics import ColumnStatistics, DatasetStatistics
from orchestration import require

_ROWS_FOR_A_RULE = 30
_ROWS_FOR_EACH_VALUE = 5
_MOST_CODES = 60
# Hints that type and rules say better.
_SAID_BY_RULES = {"categorical", "number", "boolean"}


@dataclass(frozen=True)
class InferenceRules:
    """What a user may choose about inference.

    Attributes:
        tolerance: Share of new rows that may break a rule about values, or lack a value beyond what
            was seen.
        max_categories: Up to this many distinct texts make a category.
        labels: Columns that are missing when the model answers requests.
    """

    tolerance: float = 0.01
    max_categories: int = 100
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(0 <= self.tolerance < 1, "tolerance", "a share in [0, 1)", self.tolerance)
        fits = 1 <= self.max_categories <= 400
        require(fits, "max_categories", "1 to 400 distinct values", self.max_categories)


def infer(statistics: DatasetStatistics, rules: InferenceRules) -> DatasetSchema:
    """Return the schema that all splits of the statistics satisfy.

    Raises:
        ArgumentError: A label is no column.
    """
    names = statistics.columns
    for label in rules.labels:
        require(label in names, "labels", "columns of the data: " + ", ".join(names), label)
    columns = []
    expectations = [
        Expectation("expect_table_row_count_to_be_between", {"min_value": 1}),
    ]
    for place, name in enumerate(names):
        of_splits = [split.columns[place] for split in statistics.splits.values() if split.rows]
        shown = of_splits[0] if of_splits else next(iter(statistics.splits.values())).columns[place]
        nullable = not of_splits or any(one.missing for one in of_splits)
        absent = (SERVING,) if name in rules.labels else ()
        hints = {one.hint for one in of_splits} - _SAID_BY_RULES
        semantic = hints.pop() or "" if len(hints) == 1 else ""
        columns.append(SchemaColumn(name, shown.type, nullable, not_in=absent, semantic=semantic))
        expectations.append(Expectation("expect_column_to_exist", {"column": name}))
        if of_splits:
            expectations.extend(_expectations(name, of_splits, rules))
    return DatasetSchema(tuple(columns), tuple(expectations))


def _expectations(
    name: str, splits: Sequence[ColumnStatistics], rules: InferenceRules
) -> Iterator[Expectation]:
    yield from _presence(name, splits, rules)
    if sum(split.present for split in splits) < _ROWS_FOR_A_RULE:
        return
    if splits[0].kind == "text":
        yield from _categories(name, splits, rules)
    elif splits[0].kind == "number":
        yield from _range(name, splits, rules)
    elif splits[0].kind == "list":
        yield from _lengths(name, splits, rules)


def _presence(name: str, splits: Sequence[ColumnStatistics], rules: InferenceRules) -> Iterator[Expectation]:
    """Expect values where there were values: all of them, or the share seen less some slack."""
    worst = max(splits, key=lambda split: split.missing_share)
    if not worst.missing:
        yield Expectation("expect_column_values_to_not_be_null", {"column": name})
        return
    share = worst.missing_share
    # Three standard errors of the share, so that another sample of the same rows passes.
    slack = rules.tolerance + 3 * math.sqrt(share * (1 - share) / worst.rows)
    mostly = math.floor((1 - share - slack) * 100) / 100
    if mostly > 0:
        yield Expectation("expect_column_values_to_not_be_null", {"column": name, "mostly": mostly})


def _categories(
    name: str, splits: Sequence[ColumnStatistics], rules: InferenceRules
) -> Iterator[Expectation]:
    """Expect one of the texts seen, where few texts are seen often."""
    counts: dict[str, int] = {}
    for split in splits:
        if not split.distinct_exact or len(split.top) < (split.distinct or 0):
            return
        for top in split.top:
            counts[str(top.value)] = counts.get(str(top.value), 0) + top.count
    total = sum(counts.values())
    if len(counts) > rules.max_categories or total < _ROWS_FOR_EACH_VALUE * len(counts):
        return
    # Good and Turing: texts seen once tell how many of the next rows will hold a text not seen yet.
    unseen = sum(count == 1 for count in counts.values()) / total
    kwargs = {"column": name, "value_set": sorted(counts), **_mostly(max(rules.tolerance, 3 * unseen))}
    yield Expectation("expect_column_values_to_be_in_set", kwargs)


def _range(name: str, splits: Sequence[ColumnStatistics], rules: InferenceRules) -> Iterator[Expectation]:
    """Expect bounds that mean something: all of a small range of whole numbers, 0 to 1, or not negative."""
    numbers = [split.numbers for split in splits if split.numbers and split.numbers.min is not None]
    if not numbers:
        return
    low = min(one.min for one in numbers if one.min is not None)
    high = max(one.max for one in numbers if one.max is not None)
    bounds = _bounds(low, high, splits)
    if bounds:
        kwargs = {"column": name, **bounds, **_mostly(rules.tolerance)}
        yield Expectation("expect_column_values_to_be_between", kwargs, Severity.FAIL)


def _lengths(name: str, splits: Sequence[ColumnStatistics], rules: InferenceRules) -> Iterator[Expectation]:
    """Expect lists of the one length that all have, or else no empty list where there was none."""
    lengths = [split.lengths for split in splits if split.lengths and split.lengths.min is not None]
    seen = {bound for one in lengths for bound in (one.min, one.max)}
    if not seen or seen == {0}:
        return
    length = seen.pop() if len(seen) == 1 else None
    bounds: dict[str, Any] = {"min_value": 1} if 0 not in seen else {}
    if length is not None:
        bounds = {"min_value": length, "max_value": length}
    if bounds:
        kwargs = {"column": name, **bounds, **_mostly(rules.tolerance)}
        yield Expectation("expect_column_list_lengths_to_be_between", kwargs)


def _bounds(low: float, high: float, splits: Sequence[ColumnStatistics]) -> dict[str, float]:
    rows = sum(split.present for split in splits)
    if isinstance(low, int) and isinstance(high, int):
        values = high - low + 1
        all_seen = values <= max(split.distinct or 0 for split in splits)
        # Codes, months, hours: counted from 0 or 1. Years and ages go on where the data ended.
        is_code = low in (0, 1) and values <= _MOST_CODES
        if is_code and all_seen and rows >= _ROWS_FOR_EACH_VALUE * values:
            return {"min_value": low, "max_value": high}
    elif low >= 0 and high <= 1:
        return {"min_value": 0, "max_value": 1}
    return {"min_value": 0} if low >= 0 else {}


def _mostly(tolerance: float) -> dict[str, float]:
    return {"mostly": max(0.0, math.floor((1 - tolerance) * 1000 + 1e-9) / 1000)} if tolerance else {}
