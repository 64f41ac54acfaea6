"""The journal's tables, for SQLite and PostgreSQL alike: what is searched for has a column of its own."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

SCHEMA_VERSION = 2

Record = TypeVar("Record")


class Json(sa.TypeDecorator[Any]):
    """JSON in a text column. PostgreSQL's own type refuses NaN, and a diverging loss is just that."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Return the text of a value; pure ASCII, so that any character survives."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """Return the value of a text."""
        return None if value is None else json.loads(value)


def _id(name: str, length: int, **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), **more)


metadata = sa.MetaData()
meta = sa.Table("headrace", metadata, sa.Column("schema_version", sa.Integer, primary_key=True))
runs = sa.Table(
    "runs",
    metadata,
    _id("id", 120, primary_key=True),
    _id("pipeline", 200, nullable=False, index=True),
    _id("state", 20, nullable=False, index=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    _id("owner", 64),
    sa.Column("lease_until", sa.Float),
    _id("host", 255),
    _id("process", 64),
    sa.Column("facts", Json, nullable=False),
)
attempts = sa.Table(
    "attempts",
    metadata,
    _id("run", 120, primary_key=True),
    _id("node", 250, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    _id("state", 20, nullable=False),
    _id("key", 64, index=True),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("facts", Json, nullable=False),
)
files = sa.Table(
    "files",
    metadata,
    _id("path", 1000, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.BigInteger, nullable=False),
    _id("digest", 64, nullable=False),
)
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    _id("run", 120, nullable=False),
    sa.Column("event", Json, nullable=False),
    sa.Column("delivered", sa.Float, index=True),
)


def row_of(table: sa.Table, record: object) -> dict[str, Any]:
    """Return a record's row: the table's columns, and whatever else it holds as its ``facts``."""
    facts = msgspec.to_builtins(record)
    columns = {name: facts.pop(name) for name in list(facts) if name in table.c}
    return {**columns, "facts": facts}


def record_of(kind: type[Record], row: Any) -> Record:
    """Return the record of a row."""
    columns = {str(name): value for name, value in row._mapping.items()}
    return msgspec.convert({**columns.pop("facts"), **columns}, kind)
