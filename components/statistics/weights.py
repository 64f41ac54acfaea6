"""Weights of rows as whole numbers, so that sums are exact and do not depend on any order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.statistics.accumulator import Units
from components.statistics.statistics import ColumnStatistics, NumberStatistics
from components.statistics.weighted_statistics import (
    WeightedHistogram,
    WeightedNumbers,
    WeightedStatistics,
    WeightedValue,
)
from orchestration import DataError

UNITS = 1 << 20
"""Units in a weight of 1."""
_LARGEST = float(1 << 22)
_MOST = 1 << 62
_LOST = 1e-4


def units_of(weights: pa.Array, name: str) -> Units:
    """Return the weights of rows in units.

    Args:
        weights: Numbers or booleans.
        name: The column's name, for messages.

    Raises:
        DataError: A weight is missing, negative, no finite number or above 4,194,304; or rounding to
            units would change the sum by more than 0.01 %.
    """
    if weights.null_count:
        raise _refused(name, f"{weights.null_count} missing weights")
    floats = pc.cast(weights, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    wrong = floats[~((floats >= 0) & (floats <= _LARGEST))]
    if len(wrong):
        raise _refused(name, f"{wrong[0]}, and {len(wrong) - 1} more such weights")
    units = np.rint(floats * UNITS)
    total = float(floats.sum())
    if np.abs(units - floats * UNITS).sum() > _LOST * total * UNITS:
        raise DataError(
            f'the weights in column "{name}" are too small: they count in steps of 1/{UNITS:,}',
            expected="weights around 1",
            received=f"a mean of {total / len(floats):g}",
            next=f'multiply column "{name}" by a constant; only ratios of weights matter',
        )
    return np.asarray(units, np.int64)


def _refused(name: str, received: str) -> DataError:
    return DataError(
        f'column "{name}" cannot serve as weights',
        expected=f"a number from 0 to {_LARGEST:,.0f} in every row",
        received=received,
        next="filter such rows, or fill in their weight, before statistics are computed",
    )


def require_countable(units: int, name: str) -> None:
    """Refuse weights whose sum cannot be held.

    Raises:
        DataError: The sum is above 4.4e12.
    """
    if units >= _MOST:
        raise DataError(
            f'the weights in column "{name}" are too large to be summed',
            expected=f"a sum below {_MOST / UNITS:.2g}",
            received=f"{units / UNITS:.3g}",
            next=f'divide column "{name}" by a constant; only ratios of weights matter',
        )


def with_weights(column: ColumnStatistics, counted: ColumnStatistics) -> ColumnStatistics:
    """Return a column's statistics with weighted ones beside.

    Args:
        column: The statistics without weights.
        counted: The same column with each row counted once for each unit of its weight.
    """
    fields = tuple(with_weights(one, two) for one, two in zip(column.fields, counted.fields, strict=True))
    weighted = WeightedStatistics(
        present=counted.present / UNITS,
        missing=counted.missing / UNITS,
        empty=counted.empty / UNITS,
        top=tuple(WeightedValue(top.value, top.count / UNITS) for top in counted.top),
        top_error=counted.top_error / UNITS,
        numbers=_numbers(counted.numbers),
        lengths=_numbers(counted.lengths),
    )
    return dataclasses.replace(column, fields=fields, weighted=weighted)


def _numbers(found: NumberStatistics | None) -> WeightedNumbers | None:
    if found is None:
        return None
    histogram = None
    if found.histogram is not None:
        inside = tuple(count / UNITS for count in found.histogram.counts)
        histogram = WeightedHistogram(found.histogram.edges, inside)
    return WeightedNumbers(
        weight=found.count / UNITS,
        nan=found.nan / UNITS,
        zeros=found.zeros / UNITS,
        mean=found.mean,
        # The spread of the units' sample; that of the weights divides by their whole sum.
        std=None if found.std is None else found.std * ((found.count - 1) / found.count) ** 0.5,
        median=found.median,
        quantiles=found.quantiles,
        rank_error=found.rank_error,
        histogram=histogram,
    )
