"""The journal's tables, for SQLite and PostgreSQL alike: what is searched for has a column of its own."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from orchestration.errors import ConfigurationError

SCHEMA_VERSION = 3

_LOCK = 0x6865616472616365  # any number of our own

Record = TypeVar("Record")

metadata = sa.MetaData()
meta = sa.Table("headrace", metadata, sa.Column("schema_version", sa.Integer, primary_key=True))
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(120), primary_key=True),
    sa.Column("pipeline", sa.String(200), nullable=False, index=True),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    sa.Column("host", sa.String(255)),
    sa.Column("process", sa.String(64)),
    sa.Column("facts", sa.Text, nullable=False),
)
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("run", sa.String(120), primary_key=True),
    sa.Column("node", sa.String(250), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("key", sa.String(64), index=True),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("facts", sa.Text, nullable=False),
)
files = sa.Table(
    "files",
    metadata,
    sa.Column("path", sa.String(1000), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
)
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("run", sa.String(120), nullable=False),
    sa.Column("node", sa.String(250), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("facts", sa.Text, nullable=False),
    sqlite_autoincrement=True,  # the number of a mark that was delivered is not given again
)


def make(engine: sa.Engine) -> None:
    """Make the tables where they are missing.

    Raises:
        ConfigurationError: They are there as another version made them.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's transaction is exclusive by itself
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if not sa.inspect(connection).has_table(meta.name):
            metadata.create_all(connection)
            connection.execute(meta.insert().values(schema_version=SCHEMA_VERSION))
        version = connection.execute(sa.select(meta.c.schema_version)).scalar_one()
    if version != SCHEMA_VERSION:
        headline = "the journal was written by another version of Headrace"
        expected, received = (f"schema version {number}" for number in (SCHEMA_VERSION, version))
        remedy = "begin another (HEADRACE_HOME=…, or journal in headrace.toml); artifacts can stay"
        raise ConfigurationError(headline, expected=expected, received=received, at="", next=remedy)


def row_of(table: sa.Table, record: object) -> dict[str, Any]:
    """Return a record's row: the table's columns, and whatever else it holds as its ``facts``.

    They are JSON in pure ASCII, so that any character survives, and text: PostgreSQL's own type
    refuses NaN, and a diverging loss is just that.
    """
    facts = msgspec.to_builtins(record)
    columns = {name: facts.pop(name) for name in list(facts) if name in table.c}
    return {**columns, "facts": json.dumps(facts)}


def record_of(kind: type[Record], row: Any) -> Record:
    """Return the record of a row."""
    columns = {str(name): value for name, value in row._mapping.items()}
    return msgspec.convert({**json.loads(columns.pop("facts", "{}")), **columns}, kind)
