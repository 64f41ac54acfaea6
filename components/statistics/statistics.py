"""What is known about a data set's columns, as plain values; read with :func:`load_statistics`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from components.artifacts import Statistics
from components.statistics.label_statistics import LabelRelation, LabelSample
from components.statistics.weighted_statistics import Histogram, WeightedStatistics

__all__ = [
    "ColumnStatistics",
    "DatasetStatistics",
    "Hint",
    "Histogram",
    "Kind",
    "NumberStatistics",
    "SliceGroup",
    "SliceStatistics",
    "SpanStatistics",
    "SplitStatistics",
    "TopValue",
    "load_statistics",
]

Kind = Literal["number", "bool", "time", "text", "bytes", "list", "struct", "empty", "other"]


@dataclass(frozen=True)
class TopValue:
    """A frequent value.

    Attributes:
        value: The value; times and dates as ISO text.
        count: How often it occurs, too low by at most the column's ``top_error``.
    """

    value: str | int | float | bool
    count: int


@dataclass(frozen=True)
class NumberStatistics:
    """What is known about finite numbers: a column's values, or the lengths of its texts or lists.

    Times and dates are in seconds since 1970-01-01 UTC, booleans 0 and 1.

    Attributes:
        count: How many finite numbers there are.
        nan: Values that are not a number (not the same as missing).
        positive_infinity: Values that are +infinity.
        negative_infinity: Values that are -infinity.
        zeros: Values that are 0.
        min: Smallest finite value; None without any.
        max: Largest finite value.
        mean: Mean of the finite values.
        std: Sample standard deviation; None for fewer than two values.
        median: Median, interpolated linearly.
        quantiles: Pairs of a share (0 to 1) and the value there.
        rank_error: Bound of the quantiles' rank error as a share; 0.0 when they are exact.
        histogram: Bins of equal width over all splits' range.
        quantile_histogram: Bins between the deciles of this split: about equally many numbers in each,
            more where one value is frequent. Its counts are within the rank error.
    """

    count: int
    nan: int = 0
    positive_infinity: int = 0
    negative_infinity: int = 0
    zeros: int = 0
    min: float | int | None = None
    max: float | int | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    rank_error: float = 0.0
    histogram: Histogram | None = None
    quantile_histogram: Histogram | None = None

    def quantile(self, share: float) -> float | None:
        """Return the value at a share that is in :attr:`quantiles`, or None."""
        return dict(self.quantiles).get(share)

    @property
    def deciles(self) -> tuple[float, ...]:
        """Edges of ten bins of equally many numbers, eleven values; empty without numbers."""
        found = dict(self.quantiles)
        return tuple(found[tenth / 10] for tenth in range(11)) if found else ()


@dataclass(frozen=True)
class Hint:
    """What some of a column's values look like; the rules are in ``components/statistics/hints.py``.

    Attributes:
        name: What they look like: ``date``, ``email``, ``url``, ….
        share: Share of the distinct values looked at that do, above 0.
    """

    name: str
    share: float


@dataclass(frozen=True)
class ColumnStatistics:
    """What is known about one column of one split.

    Attributes:
        name: Name of the column (of the field, inside a struct; ``item`` inside a list).
        type: Arrow type, as text.
        kind: Family of the type; says which attributes are filled.
        present: Values that are not missing.
        missing: Missing (null) values.
        distinct: Number of distinct present values; None for lists and structs.
        distinct_exact: Whether ``distinct`` is exact; else its standard error is 1.6 %, in slices 3 %.
        top: Most frequent values, most frequent first, equal counts in order of value.
        top_error: How much a count in ``top`` may be too low; 0 when they are exact.
        empty: Texts or byte strings of length 0, lists without items.
        min_text: Smallest text, or the earliest time as ISO text.
        max_text: Largest text, or the latest time as ISO text.
        numbers: About the values: numbers, booleans, times.
        lengths: About lengths: characters of texts, bytes of byte strings, items of lists.
        items: About the items of all lists together.
        fields: About the fields of a struct.
        not_utf8: Byte strings that are no UTF-8 text.
        hint: What the column seems to mean, where that is clear; never a rule.
        hints: What its values look like, the largest share first.
        hinted_values: How many distinct values were looked at for the hints.
        hints_exact: Whether these are all distinct values; else they are the 1,024 with the smallest
            hashes, and a share has a standard error of at most 1.6 %.
        weighted: The same with each row counted by its weight; None without weights.
        label: What it tells about the label; None without a label, and for the label itself.
    """

    name: str
    type: str
    kind: Kind
    present: int
    missing: int
    distinct: int | None = None
    distinct_exact: bool = True
    top: tuple[TopValue, ...] = ()
    top_error: int = 0
    empty: int = 0
    min_text: str | None = None
    max_text: str | None = None
    numbers: NumberStatistics | None = None
    lengths: NumberStatistics | None = None
    items: ColumnStatistics | None = None
    fields: tuple[ColumnStatistics, ...] = ()
    not_utf8: int = 0
    hint: str | None = None
    hints: tuple[Hint, ...] = ()
    hinted_values: int = 0
    hints_exact: bool = True
    weighted: WeightedStatistics | None = None
    label: LabelRelation | None = None

    @property
    def nestedness(self) -> int:
        """How many lists lie around the innermost values; 0 for a column that is no list."""
        return 1 + self.items.nestedness if self.items is not None else 0

    def flat(self, prefix: str = "") -> Iterator[tuple[str, ColumnStatistics]]:
        """Yield the column, or the fields of a struct at any depth, by path: ``address.city``."""
        path = f"{prefix}{self.name}"
        if self.kind != "struct":
            yield path, self
        for field_ in self.fields:
            yield from field_.flat(f"{path}.")

    @property
    def rows(self) -> int:
        """Present and missing values together."""
        return self.present + self.missing

    @property
    def missing_share(self) -> float:
        """Share of missing values; 0.0 without rows."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class SliceStatistics:
    """What is known about the rows that agree in some columns.

    Attributes:
        values: Their values, in the order of the group's columns; None where missing.
        rows: How many rows were described.
        rows_error: How many rows of the slice may be missing from its statistics; 0 when none is.
        columns: Statistics in the order of the columns.
    """

    values: tuple[str | int | float | bool | None, ...]
    rows: int
    columns: tuple[ColumnStatistics, ...]
    rows_error: int = 0


@dataclass(frozen=True)
class SliceGroup:
    """The slices by one or more columns.

    Attributes:
        by: Names of the columns.
        slices: The slices with most rows, those first.
        other_rows: Rows in none of ``slices``.
        other_slices: How many slices those rows belong to; beyond 4,096 slices in all an estimate
            with a standard error of 1.6 %.
    """

    by: tuple[str, ...]
    slices: tuple[SliceStatistics, ...]
    other_rows: int = 0
    other_slices: int = 0


@dataclass(frozen=True)
class SpanStatistics:
    """What is known about the rows of one span.

    Attributes:
        span: Name of the span.
        rows: Number of rows.
        columns: Statistics in the order of the columns, their bins those of the whole split; filled
            for the last two spans only.
    """

    span: str
    rows: int
    columns: tuple[ColumnStatistics, ...] = ()


@dataclass(frozen=True)
class SplitStatistics:
    """What is known about one split.

    Attributes:
        rows: Number of rows.
        columns: Statistics in the order of the columns.
        weight: Sum of the rows' weights; None without weights.
        label_sample: The rows from which the relations to the label were computed, and its classes.
        slices: Statistics of slices, by the columns asked for.
        spans: The spans the rows come from, oldest first; empty where the examples state none.
    """

    rows: int
    columns: tuple[ColumnStatistics, ...]
    weight: float | None = None
    label_sample: LabelSample | None = None
    slices: tuple[SliceGroup, ...] = ()
    spans: tuple[SpanStatistics, ...] = ()

    def column(self, name: str) -> ColumnStatistics:
        """Return the statistics of a column.

        Raises:
            KeyError: There is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class DatasetStatistics:
    """What is known about a data set.

    Attributes:
        splits: Statistics by split.
        quantile_error: The rank error that was asked for.
        format: Version of the file's format.
        weight: Name of the column of weights, if any.
        label: Name of the label, if any.
    """

    splits: dict[str, SplitStatistics]
    quantile_error: float
    format: int = field(default=1)
    weight: str | None = None
    label: str | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for split in self.splits.values() for column in split.columns][
            : len(next(iter(self.splits.values())).columns)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as JSON values; what is None, 0 or empty by default is left out."""
        plain: dict[str, Any] = _plain(self)
        return plain


def load_statistics(artifact: Statistics) -> DatasetStatistics:
    """Return the values of a Statistics artifact."""
    import msgspec

    return msgspec.convert(artifact.read_json("statistics.json"), DatasetStatistics)


_ALWAYS = {"distinct_exact", "quantile_error", "count", "present", "missing"}


def _plain(value: Any) -> Any:
    """Return JSON values of a dataclass; a tuple of plain values stays as it is, JSON makes it a list."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value] if value and hasattr(value[0], "__dict__") else value
    if not hasattr(value, "__dict__"):
        return value
    # A field left at its default is found in the class itself.
    default = type(value).__dict__
    return {
        name: _plain(inner)
        for name, inner in vars(value).items()
        if name in _ALWAYS or name not in default or inner != default[name]
    }
