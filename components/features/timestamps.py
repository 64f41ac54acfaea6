"""Features of points in time: the parts of a UTC calendar date and clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from components.features.checks import check_column, check_id_policy
from components.features.feature import Analysis, Graph, IdFeature, OneColumnFeature, State
from orchestration import require

if TYPE_CHECKING:
    from components.features.ops import Ops, Tensor
    from components.model_format import Dtype

PARTS = {"minute": 60, "hour": 24, "weekday": 7, "day": 31, "month": 12}
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}
_DAY = 86_400
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # years 1 to 9999
_ERA = 146_097  # days in 400 years, a whole number of weeks
# Five eras make every allowed time positive, where all runtimes divide alike.
_SHIFT_DAYS = 5 * _ERA
# Days from 0000-03-01, where the calendar's arithmetic starts, to 1970-01-01.
_CALENDAR = 719_468


@dataclass(frozen=True)
class Timestamp:
    """A column of points in time, not yet a feature: continue with :meth:`parts`."""

    column: str
    unit: Literal["s", "ms", "us"] = "s"
    missing: Literal["own", "error"] = "own"

    def parts(self, *parts: str) -> tuple[TimestampPart, ...]:
        """Return one id feature per part: ``minute``, ``hour``, ``weekday``, ``day`` or ``month``."""
        require(len(parts) > 0, "parts", " or ".join(PARTS), parts)
        return tuple(TimestampPart(self.column, part, self.unit, self.missing) for part in parts)


@dataclass(frozen=True)
class TimestampPart(OneColumnFeature, IdFeature):
    """A part of a point in time, in UTC, as an id: 0 missing, then the part's values from its lowest.

    Times before year 1 or after year 9999 count as missing.

    Attributes:
        column: Raw column of Arrow timestamps or dates, or of integers since 1970-01-01 UTC.
        part: ``minute``, ``hour``, ``weekday`` (Monday first), ``day`` (of the month) or ``month``.
        unit: Unit of an integer column: ``"s"``, ``"ms"`` or ``"us"``.
        missing: ``"own"`` or ``"error"``.
    """

    kind: ClassVar[str] = "timestamp"
    accepts: ClassVar[tuple[Dtype, ...]] = ("int64",)

    column: str
    part: str
    unit: Literal["s", "ms", "us"] = "s"
    missing: Literal["own", "error"] = "own"

    def __post_init__(self) -> None:
        check_column(self.column)
        check_id_policy(self.missing)
        require(self.part in PARTS, "part", " or ".join(PARTS), self.part)
        require(self.unit in UNITS, "unit", " or ".join(UNITS), self.unit)

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        return f"{self.column}.{self.part}"

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`."""
        return {"cardinality": PARTS[self.part] + 1}

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        ops = graph.ops
        units = UNITS[self.unit]
        raw = ops.column(self.column)
        known = ops.both(ops.at_least(raw, _FIRST * units), ops.at_most(raw, _LAST * units))
        raw = ops.where(known, raw, 0)
        seconds = ops.quotient(ops.add(raw, _SHIFT_DAYS * _DAY * units), units)
        return ops.multiply(ops.add(_part(ops, self.part, seconds), 1), ops.to_int(known))


def _part(ops: Ops, part: str, seconds: Tensor) -> Tensor:
    """Return a part counted from 0, of seconds since 1970 shifted by whole eras."""
    if part == "minute":
        return ops.quotient(ops.remainder(seconds, 3_600), 60)
    if part == "hour":
        return ops.quotient(ops.remainder(seconds, _DAY), 3_600)
    days = ops.quotient(seconds, _DAY)
    if part == "weekday":
        return ops.remainder(ops.add(days, 3), 7)  # 1970-01-01 was a Thursday
    month_from_march, day = _calendar(ops, days)
    return day if part == "day" else ops.remainder(ops.add(month_from_march, 2), 12)


def _calendar(ops: Ops, days: Tensor) -> tuple[Tensor, Tensor]:
    """Return the month counted from March and the day of the month, both from 0.

    Years start in March, so that the leap day is a year's last one, and months alternate in a
    pattern of 153 days in five.
    """
    day_of_era = ops.remainder(ops.add(days, _CALENDAR), _ERA)
    leaps = ops.subtract(
        ops.subtract(ops.quotient(day_of_era, 36_524), ops.quotient(day_of_era, 1_460)),
        ops.quotient(day_of_era, 146_096),
    )
    year = ops.quotient(ops.add(day_of_era, leaps), 365)
    before = ops.subtract(ops.add(ops.multiply(year, 365), ops.quotient(year, 4)), ops.quotient(year, 100))
    day_of_year = ops.subtract(day_of_era, before)
    month = ops.quotient(ops.add(ops.multiply(day_of_year, 5), 2), 153)
    first = ops.quotient(ops.add(ops.multiply(month, 153), 2), 5)
    return month, ops.subtract(day_of_year, first)


def timestamp(
    column: str, *, unit: Literal["s", "ms", "us"] = "s", missing: Literal["own", "error"] = "own"
) -> Timestamp:
    """Name a column of points in time.

    Args:
        column: Raw column of Arrow timestamps or dates, or of integers since 1970-01-01 UTC.
        unit: Unit of an integer column.
        missing: ``"own"`` gives missing values id 0; ``"error"`` refuses them.
    """
    check_column(column)
    return Timestamp(column, unit, missing)
