"""Rules that the new data's statistics already prove to be kept need no look at its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.comparison.rules import BETWEEN, IN_SET, LENGTHS, NOT_NULL, UNIQUE
from components.statistics.statistics import ColumnStatistics, NumberStatistics


def surely_kept(kind: str, kwargs: Mapping[str, Any], now: ColumnStatistics) -> bool:
    """Return whether a rule cannot be broken, by what is known exactly about the column.

    Args:
        kind: Name of the expectation.
        kwargs: Its arguments.
        now: The column in the new data.
    """
    if kind == NOT_NULL:
        return not now.missing and not (now.numbers and now.numbers.nan)
    if kind == UNIQUE:
        return now.distinct_exact and now.distinct == now.present
    if kind == IN_SET:
        complete = now.distinct_exact and len(now.top) == now.distinct and not now.top_error
        return complete and {top.value for top in now.top} <= set(kwargs["value_set"])
    if kind == BETWEEN:
        return _within(now.numbers, kwargs)
    if kind == LENGTHS:
        return _within(now.lengths, kwargs)
    return False


def _within(numbers: NumberStatistics | None, kwargs: Mapping[str, Any]) -> bool:
    if numbers is None or numbers.min is None or numbers.max is None:
        return False
    if numbers.positive_infinity or numbers.negative_infinity:
        return False
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    return (low is None or numbers.min >= low) and (high is None or numbers.max <= high)
