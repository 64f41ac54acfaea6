"""A query's rows in disjoint parts, which different workers can read at the same time."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from components.reading.sql_database import POSTGRES, rows_of
from orchestration import DataError

if TYPE_CHECKING:
    import sqlalchemy as sa

_BUCKET = "headrace_bucket"
# PostgreSQL's numbers for int8, int2, int4, float4, float8, numeric, date, timestamp, timestamptz.
_DISTANCES = frozenset((20, 21, 23, 700, 701, 1700, 1082, 1114, 1184))


@dataclass(frozen=True)
class Partition:
    """One part of a query's rows.

    Attributes:
        number: Its place among the parts, from 1.
        count: Number of parts.
        column: The column that decides; None where there is one part only.
        low: Least value of the range; None for the first part, which holds the missing values, too.
        high: First value after the range; None for the last part.
        hashed: Whether the column's hash decides.
    """

    number: int = 1
    count: int = 1
    column: str | None = None
    low: Any = None
    high: Any = None
    hashed: bool = False

    @property
    def name(self) -> str:
        """How messages call the part."""
        if self.column is None:
            return "the query"
        part = f"partition {self.number} of {self.count}"
        if self.hashed:
            return f"{part} (by the hash of {self.column})"
        low = f"from {self.low} " if self.low is not None else ""
        high = f"below {self.high}" if self.high is not None else ""
        return f"{part} ({self.column} {low}{high}".rstrip() + ")"

    def select(self, query: str, what: str, dialect: str) -> sa.Select[Any]:
        """Return the statement that reads the part.

        Args:
            query: The query whose rows are divided.
            what: What to select: ``"*"`` or ``"count(*)"``.
            dialect: Name of the database's dialect.
        """
        import sqlalchemy as sa

        chosen: sa.Select[Any] = sa.select(sa.text(what)).select_from(rows_of(query))
        if self.column is None or self.count == 1:
            return chosen
        column: sa.ColumnClause[Any] = sa.column(self.column)
        if self.hashed:
            return chosen.where(_bucket(column, self.count, dialect) == self.number - 1)
        inside = [column >= self.low] if self.low is not None else []
        inside += [column < self.high] if self.high is not None else []
        whole = sa.and_(*inside)
        return chosen.where(sa.or_(whole, column.is_(None)) if self.number == 1 else whole)


def _bucket(column: sa.ColumnClause[Any], count: int, dialect: str) -> sa.ColumnElement[Any]:
    import sqlalchemy as sa

    if dialect == POSTGRES:
        hashed = sa.func.hashtextextended(sa.cast(column, sa.Text), 0)
        return sa.func.coalesce(sa.func.mod(hashed.op("&")(0x7FFFFFFF), count), 0)
    if dialect in ("mysql", "mariadb"):
        return sa.func.coalesce(sa.func.mod(sa.func.crc32(column), count), 0)
    return sa.func.headrace_bucket(column, count)


def allow_hashing(connection: sa.Connection) -> None:
    """Teach SQLite the hash that partitions need."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.create_function(_BUCKET, 2, _hash_on_sqlite, deterministic=True)


def _hash_on_sqlite(value: object, count: int) -> int:
    return 0 if value is None else zlib.crc32(repr(value).encode()) % count


def plan_partitions(connection: sa.Connection, query: str, column: str | None, count: int) -> list[Partition]:
    """Return parts that together hold every row once.

    A column of numbers, dates or times is cut into ranges of equal width between its least and its
    greatest value; any other column by its hash.

    Raises:
        DataError: The database has no hash that is known here.
    """
    import sqlalchemy as sa

    if column is None or count == 1:
        return [Partition()]
    part: sa.ColumnClause[Any] = sa.column(column)
    if connection.dialect.name == POSTGRES and not _has_distances(connection, query, part):
        return _by_hash(column, count)
    ends = sa.select(sa.func.min(part), sa.func.max(part)).select_from(rows_of(query))
    low, high = connection.execute(ends).one()
    edges = _edges(low, high, count)
    if edges is not None:
        bounds = [None, *edges, None]
        return [
            Partition(n, len(edges) + 1, column, bounds[n - 1], bounds[n]) for n in range(1, len(edges) + 2)
        ]
    if connection.dialect.name not in (POSTGRES, "mysql", "mariadb", "sqlite"):
        raise DataError(
            f'"{column}" cannot divide the rows: it is no number, date or time',
            expected=f"on {connection.dialect.name} a column of numbers, dates or times",
            received=f"{type(low).__name__} values",
            next="read_sql(..., partition_by=…) with another column, or without it",
        )
    return _by_hash(column, count)


def _by_hash(column: str, count: int) -> list[Partition]:
    return [Partition(n, count, column, hashed=True) for n in range(1, count + 1)]


def _has_distances(connection: sa.Connection, query: str, column: sa.ColumnClause[Any]) -> bool:
    """Tell whether PostgreSQL declares a column as numbers, dates or times; not every type has a min."""
    import sqlalchemy as sa

    result = connection.execute(sa.select(column).select_from(rows_of(query)).limit(0))
    cursor: Any = result.cursor  # typed as always there, and always described
    return bool(cursor and cursor.description) and cursor.description[0][1] in _DISTANCES


def _edges(low: Any, high: Any, count: int) -> Sequence[Any] | None:
    """Return the inner edges of ranges; None for values that have no distances."""
    if low is None or isinstance(low, bool) or type(low) is not type(high):
        mixed = isinstance(low, int | float) and isinstance(high, int | float) and not isinstance(low, bool)
        return _numbers(float(low), float(high), count) if mixed else ([] if low is None else None)
    if isinstance(low, int | float | Decimal):
        return _numbers(low, high, count)
    if isinstance(low, dt.datetime):
        return _distinct([low + (high - low) * n / count for n in range(1, count)], low)
    if isinstance(low, dt.date):
        days = (high - low).days + 1
        return _distinct([low + dt.timedelta(days=days * n // count) for n in range(1, count)], low)
    return None


def _numbers(low: Any, high: Any, count: int) -> Sequence[Any] | None:
    if isinstance(low, int):
        return _distinct([low + (high - low + 1) * n // count for n in range(1, count)], low)
    return _distinct([low + (high - low) / count * n for n in range(1, count)], low)


def _distinct(edges: list[Any], low: Any) -> list[Any]:
    return sorted({edge for edge in edges if edge > low})
