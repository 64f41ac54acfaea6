"""Connections to the database of a query, and its errors as ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.reading.bad_rows import shown_text
from orchestration import ConfigurationError, DataError, MissingExtraError
from orchestration.secrets import redact, remember, resolve

if TYPE_CHECKING:
    import sqlalchemy as sa

POSTGRES = "postgresql"
SNAPSHOT = re.compile(r"[0-9A-Za-z-]+")
_DRIVERS = {"psycopg": "postgres", "psycopg2": "postgres"}


@contextlib.contextmanager
def connected(url: str, what: str, snapshot: str | None = None) -> Iterator[sa.Connection]:
    """Connect to a database for reading.

    Args:
        url: SQLAlchemy URL; references to secrets are resolved here, at the moment of use.
        what: What is being read, for errors.
        snapshot: A snapshot that :func:`exported_snapshot` gave; every connection then sees the same rows.

    Raises:
        ConfigurationError: The reference cannot be resolved, or the URL is none.
        DataError: The database refuses.
        MissingExtraError: Its driver is not installed.
    """
    import sqlalchemy as sa

    engine = _engine(url)
    _check_file(engine.url, what)
    try:
        with database_errors(what), engine.connect() as plain:
            connection = plain
            if engine.dialect.name == POSTGRES:
                connection = plain.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                if snapshot is not None and SNAPSHOT.fullmatch(snapshot):
                    connection.execute(sa.text(f"SET TRANSACTION SNAPSHOT '{snapshot}'"))
                connection.execute(sa.text("SET LOCAL TIME ZONE 'UTC'"))
            elif engine.dialect.name == "sqlite":
                connection.execute(sa.text("PRAGMA query_only = ON"))
            yield connection
    finally:
        engine.dispose()


def _check_file(url: sa.URL, what: str) -> None:
    """Refuse an SQLite file that is not there: to connect would make an empty one."""
    name = url.database if url.get_backend_name() == "sqlite" else None
    if name and not name.startswith((":memory:", "file:")) and not Path(name).exists():
        raise DataError(
            f"{what} cannot be read: there is no such SQLite file",
            expected="a file; sqlite:////absolute/path has four slashes",
            received=redact(name),
            next=f"ls -l {redact(name)}",
        )


def _engine(url: str) -> sa.Engine:
    import sqlalchemy as sa

    resolved = resolve(url, "url")
    try:
        parsed = sa.make_url(resolved)
        if parsed.password:
            remember(str(parsed.password))
        return sa.create_engine(parsed, poolclass=sa.NullPool, hide_parameters=True)
    except sa.exc.NoSuchModuleError as error:
        raise ConfigurationError(
            "no driver of SQLAlchemy has this name",
            expected="a URL such as postgresql+psycopg://… or sqlite:///…",
            received=f"{parsed.drivername}://…",
            next="pip install the package that brings the driver",
        ) from error
    except ImportError as error:
        module = error.name or "the driver"
        package = f"'headrace[{_DRIVERS[module]}]'" if module in _DRIVERS else module
        raise MissingExtraError(
            f"reading this database needs {module}, which is not installed",
            expected="the database's Python driver",
            received=str(error),
            next=f"pip install {package}",
        ) from error
    except (sa.exc.ArgumentError, ValueError):
        # Not chained: SQLAlchemy quotes the whole URL.
        raise ConfigurationError(
            "the URL of the database cannot be read",
            expected="DIALECT+DRIVER://USER:PASSWORD@HOST/DATABASE",
            received=f"the value of {url}" if url != resolved else redact(url),
        ) from None


@contextlib.contextmanager
def database_errors(what: str) -> Iterator[None]:
    """Turn the errors of SQLAlchemy and its drivers into ours, without secrets and without parameters."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        raise refused(what, str(error.orig)) from None
    except sa.exc.SQLAlchemyError as error:
        raise refused(what, str(error)) from None


def refused(what: str, said: str) -> DataError:
    """Return the error for what a database says, without secrets."""
    return DataError(
        f"{what} cannot be read: the database refuses",
        expected="rows",
        received=shown_text(redact(said.strip()), 300),
        next="try the query with the database's own client",
    )


@contextlib.contextmanager
def exported_snapshot(url: str, what: str) -> Iterator[str | None]:
    """Hold a snapshot that other connections can join while this context lasts; None where there is none.

    PostgreSQL can: all partitions, in both passes and in every worker, then see the same moment.
    """
    import sqlalchemy as sa

    with connected(url, what) as connection:
        if connection.dialect.name != POSTGRES:
            yield None
            return
        yield str(connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one())


def rows_of(query: str) -> sa.TextClause:
    """Return a query as the source of another one; a colon in it is no parameter."""
    import sqlalchemy as sa

    escaped = query.replace(":", r"\:")
    return sa.text(f"(\n{escaped}\n) AS headrace_rows")


def streamed(statement: sa.Select[Any], rows: int) -> sa.Select[Any]:
    """Return a statement whose rows come through a cursor of the server, some at a time."""
    return statement.execution_options(stream_results=True, max_row_buffer=rows)
