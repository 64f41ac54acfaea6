"""Rows of PostgreSQL as Arrow batches, from its binary COPY: a tenth of the work of Python values."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.data.column_types import to_type
from components.reading.bad_rows import shown_text
from components.reading.conform import conform
from components.reading.sql_database import SNAPSHOT, refused
from components.reading.sql_types import as_array
from orchestration import DataError, MissingExtraError
from orchestration.secrets import resolve

if TYPE_CHECKING:
    import sqlalchemy as sa

_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def adbc_batches(
    url: str, statement: sa.Select[Any], schema: pa.Schema, what: str, snapshot: str | None
) -> Iterator[pa.RecordBatch]:
    """Yield a statement's rows in a schema.

    Args:
        url: SQLAlchemy URL of a PostgreSQL database, or its reference.
        statement: What to read.
        schema: Its columns in their order, in the types they are stored in.
        what: What is being read, for errors.
        snapshot: The snapshot to read from.

    Raises:
        DataError: The database refuses, or a value is not of its column's type.
        MissingExtraError: ``headrace[adbc]`` is not installed.
    """
    adbc = _driver()
    try:
        with adbc.connect(_plain_url(url)) as connection, connection.cursor() as cursor:
            cursor.execute(_MOMENT)
            if snapshot is not None and SNAPSHOT.fullmatch(snapshot):
                cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            cursor.execute("SET LOCAL TIME ZONE 'UTC'")
            cursor.execute(_text(statement))
            for batch in cursor.fetch_record_batch():
                arrays = [_column(batch.column(n), field, what) for n, field in enumerate(schema)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except (adbc.Error, OSError) as error:
        raise refused(what, str(error)) from None


def _driver() -> Any:
    try:
        return importlib.import_module("adbc_driver_postgresql.dbapi")
    except ImportError as error:
        raise MissingExtraError(
            'driver="adbc" needs adbc-driver-postgresql, which is not installed',
            expected="the package that reads PostgreSQL as Arrow",
            received=str(error),
            next="pip install 'headrace[adbc]'",
        ) from error


def _plain_url(url: str) -> str:
    import sqlalchemy as sa

    parsed = sa.make_url(resolve(url, "url"))
    return parsed.set(drivername="postgresql").render_as_string(hide_password=False)


def _text(statement: sa.Select[Any]) -> str:
    from sqlalchemy.dialects import postgresql

    # Named parameters, of which there are none left: others would double every per cent sign.
    dialect: sa.Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # it has none
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _column(array: pa.Array, field: pa.Field, what: str) -> pa.Array:
    name = getattr(array.type, "extension_name", None)
    if name is None:
        return conform(array, field, what)
    if name == "arrow.uuid":
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], field.type)
    if name == "arrow.json":
        values = [None if text is None else json.loads(text) for text in array.storage.to_pylist()]
        return as_array(values, field, what)
    try:
        return to_type(array.storage, field.type)
    except (pa.ArrowException, TypeError) as error:
        raise DataError(
            f'column "{field.name}" of {what} cannot be read through ADBC',
            expected=str(field.type),
            received=f"{array.type}: {shown_text(str(error))}",
            next=f'CAST({field.name} AS text) in the query, or driver="sqlalchemy"',
        ) from error
