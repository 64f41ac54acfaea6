"""Digests of what a query answers; independent of the order of the rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from components.reading.sql_database import POSTGRES, connected, rows_of, streamed
from orchestration import DataError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from components.reading.sql_query import SqlQuery

_ROWS = 10_000
_BITS = 256


def digest_of(source: SqlQuery) -> str:
    """Return the digest of a query's version: stated, asked for, or that of all its rows.

    Raises:
        DataError: The database refuses, or the version query answers nothing.
    """
    if source.version is not None:
        return _sha(source, source.version)
    with connected(source.url, "the version of the query's rows") as connection:
        if source.version_query is not None:
            return _sha(source, _answer(connection, source.version_query))
        columns, content = (
            _on_postgres(connection, source.query)
            if connection.dialect.name == POSTGRES
            else _by_reading(connection, source.query)
        )
        return _sha(source, f"{columns}\0{content}")


def _sha(source: SqlQuery, version: str) -> str:
    return hashlib.sha256(f"{source.query}\0{source.url}\0{version}".encode()).hexdigest()


def _answer(connection: sa.Connection, query: str) -> str:
    import sqlalchemy as sa

    escaped = query.strip().rstrip(";").replace(":", r"\:")
    rows = [tuple(row) for row in connection.execute(sa.text(escaped)).fetchmany(_ROWS + 1)]
    useful = any(value is not None for row in rows for value in row)
    if not useful or len(rows) > _ROWS:
        raise DataError(
            "version_query answers nothing that could be a version",
            expected=f"1 to {_ROWS} rows with a value, such as SELECT count(*), max(changed_at) FROM …",
            received=f"{len(rows)} row(s)" + ("" if useful else " without a value"),
        )
    return repr(rows)


def _on_postgres(connection: sa.Connection, query: str) -> tuple[str, str]:
    import sqlalchemy as sa

    head = connection.execute(sa.select(sa.text("*")).select_from(rows_of(query)).limit(0))
    columns = [(column[0], column[1]) for column in _description(head)]
    row = r"headrace_rows\:\:text"
    hashes = [sa.text(rf"sum(hashtextextended({row}, {seed})\:\:numeric)") for seed in (0, 1)]
    counted = sa.select(sa.text("count(*)"), *hashes).select_from(rows_of(query))
    return repr(columns), repr([str(value) for value in connection.execute(counted).one()])


def _by_reading(connection: sa.Connection, query: str) -> tuple[str, str]:
    import sqlalchemy as sa

    result = connection.execute(streamed(sa.select(sa.text("*")).select_from(rows_of(query)), _ROWS))
    columns, whole, rows = list(result.keys()), 0, 0
    while some := result.fetchmany(_ROWS):
        rows += len(some)
        for row in some:
            values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
            whole += int.from_bytes(hashlib.sha256(repr(values).encode()).digest(), "big")
    return repr(columns), f"{rows}\0{whole % (1 << _BITS):x}"


def _description(result: sa.CursorResult[tuple[object, ...]]) -> list[tuple[object, ...]]:
    cursor: Any = result.cursor  # typed as always there, and always described
    return [tuple(column) for column in (cursor.description if cursor else None) or ()]
