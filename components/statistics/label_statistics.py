"""What columns tell about the label, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LabelClass:
    """A class of the label: one value, or a range of many.

    Attributes:
        rows: Sampled rows of the class.
        value: The value; None for a range, and for all further values together.
        low: Smallest value of a range; None for a value.
        high: Largest value of a range.
    """

    rows: int
    value: str | int | float | bool | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LabelSample:
    """The rows from which the relations to the label are computed.

    Attributes:
        rows: How many there are, those without a label left out.
        of_rows: How many rows they were taken from.
        exact: Whether all rows were taken; else shares have a standard error of at most
            ``0.5 / sqrt(rows)``.
        classes: Classes of the label; lifts are in their order.
    """

    rows: int
    of_rows: int
    exact: bool
    classes: tuple[LabelClass, ...] = ()


@dataclass(frozen=True)
class LabelGroup:
    """Rows that are alike in a column, and how the label is spread among them.

    Attributes:
        kind: One ``"value"``, a ``"range"`` of numbers, ``"missing"`` or all ``"other"`` values.
        rows: Sampled rows of the group.
        lifts: For each class of the label its share among these rows divided by its share among
            all: 1 where the column tells nothing.
        value: The value of a group of kind ``"value"``.
        low: Smallest value of a range.
        high: Largest value of a range.
    """

    kind: Literal["value", "range", "missing", "other"]
    rows: int
    lifts: tuple[float, ...] = ()
    value: str | int | float | bool | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LabelRelation:
    """What a column tells about the label.

    Attributes:
        rows: Sampled rows with a label.
        mutual_information: In nats, less what chance alone would give; about 0 (or just below) for a
            column that tells nothing.
        adjusted_mutual_information: From 0 (chance) to 1 (each tells the other).
        pearson: Correlation of a column of numbers with a label of numbers; None for others, and where
            one of them does not vary.
        spearman: The same of their ranks.
        groups: Values or ranges of the column with their lifts.
    """

    rows: int
    mutual_information: float
    adjusted_mutual_information: float
    pearson: float | None = None
    spearman: float | None = None
    groups: tuple[LabelGroup, ...] = ()
