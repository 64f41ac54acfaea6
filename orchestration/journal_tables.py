"""The journal's tables, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

SCHEMA_VERSION = 1

metadata = sa.MetaData()


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


class Told(sa.TypeDecorator[str]):
    """Text of the user's programs; what no database can keep is shown as an escape."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return the text without zero bytes and lone surrogates."""
        if value is None:
            return None
        return value.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


meta = sa.Table("headrace", metadata, sa.Column("schema_version", sa.Integer, primary_key=True))
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String(120), primary_key=True),
    sa.Column("pipeline", sa.String(200), nullable=False, index=True),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("profile", sa.String(100), nullable=False),
    sa.Column("parameters", Json, nullable=False),
    sa.Column("options", Json, nullable=False),
    sa.Column("graph", Json, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    sa.Column("host", sa.String(255)),
    sa.Column("process", sa.String(64)),
)
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("run", sa.String(120), primary_key=True),
    sa.Column("node", sa.String(250), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("key", sa.String(64)),
    sa.Column("key_parts", Json),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("cpu_seconds", sa.Float),
    sa.Column("peak_mb", sa.Float),
    sa.Column("reason", Told),
    sa.Column("error", Told),
    sa.Column("traceback", Told),
    sa.Column("folder", sa.Text),
    sa.Column("metrics", Json),
    sa.Column("outputs", Json),
    sa.Index("attempts_key", "key"),
)
cache = sa.Table(
    "cache",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("run", sa.String(120), nullable=False),
    sa.Column("node", sa.String(250), nullable=False),
    sa.Column("outputs", Json, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
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
    sa.Column("event", Json, nullable=False),
    sa.Column("delivered", sa.Float, index=True),
)
