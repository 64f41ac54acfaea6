"""The rows of a database query become Examples."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.splits import SplitRules
from components.reading.sql_query import SqlQuery
from orchestration import Beam, RunContext, component, require


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_sql(
    query: SqlQuery,
    *,
    splits: SplitRules | None = None,
    split_by: list[str] | None = None,
    split_column: str | None = None,
    split_time: str | None = None,
    unknown_split: Literal["fail", "drop"] = "fail",
    where: str | None = None,
    sample: float = 1.0,
    seed: int = 0,
    column_types: dict[str, str] | None = None,
    partition_by: str | None = None,
    partitions: int = 8,
    driver: Literal["sqlalchemy", "adbc"] = "sqlalchemy",
    beam: Beam,
    run: RunContext,
) -> Examples:
    """Read what a query answers into splits of Parquet, from any database SQLAlchemy knows.

    The rows come in batches, through a cursor of the server where the driver has one. With
    ``partition_by`` they are read in parts that run as separate elements of the Beam job: ranges of a
    column of numbers, dates or times, or hashes of any other column; together they hold every row once.
    On PostgreSQL all parts see the same snapshot of the database; elsewhere a table that changes
    between the passes ends in an error where the number of its rows changes.

    Types are those PostgreSQL declares; where a database does not say them (SQLite), those the values
    show.

    Args:
        query: The query, where to ask it, and what tells that its answer has changed; see
            :class:`components.reading.sql_query.SqlQuery`.
        splits, split_by, split_column, split_time, unknown_split, where, sample, seed: Which rows are kept
            and which split each goes to, the same for all readers: see ``RowSelection``. By default 80 %
            ``train`` and 20 % ``eval``.
        column_types: Arrow types by column; SQLite's dates are text until they are stated here.
        partition_by: The column that divides the rows; None reads them in one part.
        partitions: Number of parts, 1 to 10,000.
        driver: How the rows come: ``"sqlalchemy"`` from any database, ``"adbc"`` from PostgreSQL as
            Arrow batches, for about a tenth of the CPU time; the same examples.

    Returns:
        Examples with ``splits``, ``columns`` (type by name) and ``read`` rows in their metadata, and the
        rows left out by reason. The URL
        is nowhere in them.

    Raises:
        ArgumentError: An argument is out of range, or the URL holds a password.
        ColumnTypeError: A column holds values of different types.
        ConfigurationError: The URL's reference cannot be resolved.
        DataError: The database refuses, or there is no row.
        MissingExtraError: The database's driver, or ``headrace[adbc]``, is not installed.
    """
    require(driver in ("sqlalchemy", "adbc"), "driver", '"sqlalchemy" or "adbc"', driver)
    require(1 <= partitions <= 10_000, "partitions", "1 to 10,000", partitions)
    from components.data.column_types import stored_types
    from components.reading.ingest import ingest_groups
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits
    from components.reading.sql_database import POSTGRES, connected, exported_snapshot
    from components.reading.sql_partitions import plan_partitions
    from components.reading.sql_reader import SqlReader

    source = SqlQuery(query)  # outside a pipeline it may be its JSON text
    types = stored_types(column_types)
    into = Splits.of(splits, split_by, split_column, split_time)
    selection = RowSelection(SpanWindow(), into, RowFilter.of(where, sample, seed), unknown_split)
    with exported_snapshot(source.url, "the query") as snapshot:
        with connected(source.url, "the query", snapshot) as connection:
            dialect = connection.dialect.name
            fits = driver == "sqlalchemy" or dialect == POSTGRES
            require(fits, "driver", f'"sqlalchemy" for {dialect}; "adbc" reads PostgreSQL', driver)
            parts = plan_partitions(connection, source.query, partition_by, partitions)
        reader = SqlReader(source.query, source.url, tuple(parts), types, snapshot, driver == "adbc")
        return ingest_groups(reader.sources(), reader, selection, beam, run)
