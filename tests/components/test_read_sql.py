from __future__ import annotations

import datetime as dt
import pickle
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import SqlQuery, read_parquet, read_sql
from components.artifacts import Examples
from components.data.errors import ColumnTypeError
from orchestration import (
    ArgumentError,
    ConfigurationError,
    DataError,
    HeadraceError,
    MissingExtraError,
    pipeline,
)
from orchestration.run import run_pipeline
from orchestration.settings import load, use
from tests.components.reading.reader_conformance import bytes_of
from tests.orchestration import postgres

WHOLE: dict[str, Any] = {"splits": {"all": 1.0}}
TYPES = {"day": "date32", "flag": "bool"}


@pytest.fixture
def trips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a database of 500 rows; ``${TRIPS_DB}`` is its URL."""
    path = tmp_path / "trips.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE trips (id INT, fare REAL, name TEXT, day DATE, flag INT, raw BLOB)")
        rows = [
            (
                None if n % 50 == 0 else n,
                n / 4,
                f"n{n % 7}",
                f"2026-01-{1 + n % 28:02d}",
                n % 2,
                bytes([n % 9]),
            )
            for n in range(500)
        ]
        database.executemany("INSERT INTO trips VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()
    monkeypatch.setenv("TRIPS_DB", f"sqlite:///{path}")
    return path


def query(text: str = "trips", **version: str) -> SqlQuery:
    return SqlQuery(text, url="${TRIPS_DB}", **version)


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()


def digest(source: SqlQuery) -> str:
    return source.content_digest({}, lambda path: "")


def rows(examples: Examples) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pa.concat_tables(
        [pq.read_table(file) for file in examples.files("all")]
    ).to_pylist()
    return found


@pytest.mark.parametrize(
    ("column", "count", "parts"), [(None, 8, 1), ("id", 8, 8), ("fare", 3, 3), ("name", 4, 4)]
)
def test_parts_hold_every_row_once(trips: Path, column: str | None, count: int, parts: int) -> None:
    examples = read_sql(query(), column_types=TYPES, partition_by=column, partitions=count, **WHOLE)
    assert examples.metadata["columns"] == {
        "id": "int64",
        "fare": "double",
        "name": "string",
        "day": "date32[day]",
        "flag": "bool",
        "raw": "binary",
    }
    found = rows(examples)
    assert sorted(row["fare"] for row in found) == [n / 4 for n in range(500)]
    assert found[1]["day"] == dt.date(2026, 1, 1 + int(found[1]["fare"] * 4) % 28)
    assert sum(row["id"] is None for row in found) == 10
    assert len(examples.files("all")) <= parts
    assert parts == 1 or len(examples.files("all")) > 1


def test_the_text_of_a_query_is_taken_to_the_letter(trips: Path) -> None:
    text = "SELECT ':x' AS a, '12:30' AS b, '100%' AS c, '%s' AS d, ':' AS e FROM trips WHERE id = 1; -- end"
    with pytest.raises(DataError):  # the comment swallows nothing: two statements are no query
        read_sql(query(text), **WHOLE)
    text = text.partition(";")[0] + " -- one row;"
    assert rows(read_sql(query(text), **WHOLE)) == [
        {"a": ":x", "b": "12:30", "c": "100%", "d": "%s", "e": ":"}
    ]


@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        ("nowhere", DataError, "the query cannot be read: the database refuses"),
        ("SELECT id FROM trips WHERE id < 0", DataError, "the input has no rows"),
        ("SELECT id FROM trips UNION ALL SELECT 'x'", ColumnTypeError, 'column "id" of the query'),
    ],
)
def test_queries_that_give_no_rows(trips: Path, text: str, kind: type[DataError], match: str) -> None:
    with pytest.raises(kind, match=match):
        read_sql(query(text))


def test_stated_types(trips: Path) -> None:
    with pytest.raises(ColumnTypeError, match=r'column "name" of the query .* is not int64'):
        read_sql(query(), column_types={"name": "int64"})
    with pytest.raises(DataError, match='column_types names column "tip"'):
        read_sql(query(), column_types={"tip": "int64"})


def test_the_digest_follows_the_rows_whatever_their_order(trips: Path) -> None:
    before = digest(query())
    change(trips, "CREATE TABLE other AS SELECT * FROM trips ORDER BY fare DESC")
    change(trips, "DROP TABLE trips")
    change(trips, "ALTER TABLE other RENAME TO trips")
    assert digest(query()) == before
    change(trips, "UPDATE trips SET fare = fare + 1 WHERE id = 3")
    assert digest(query()) != before
    assert digest(query("SELECT * FROM trips WHERE id <> 3")) != digest(query())


def test_versions_instead_of_rows(trips: Path) -> None:
    stated = digest(query(version="1"))
    asked = digest(query(version_query="SELECT count(*), max(fare) FROM trips"))
    change(trips, "DELETE FROM trips WHERE id = 3")
    assert digest(query(version="1")) == stated != digest(query(version="2"))
    assert digest(query(version_query="SELECT count(*), max(fare) FROM trips")) != asked


@pytest.mark.parametrize(
    "text", ["SELECT max(id) FROM trips WHERE id < 0", "SELECT id FROM trips WHERE id < 0"]
)
def test_a_version_that_is_nothing_fails(trips: Path, text: str) -> None:
    with pytest.raises(DataError, match="version_query answers nothing that could be a version"):
        digest(query(version_query=text))


def test_a_query_travels_as_text() -> None:
    source = query("SELECT 1;", version="7")
    assert pickle.loads(pickle.dumps(source)) == source == SqlQuery(str(source))
    assert (source.query, source.url, source.version) == ("SELECT 1", "${TRIPS_DB}", "7")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"query": "trips"}, "a query needs the URL of its database"),
        ({"query": "", "url": "sqlite://"}, "a query needs its text"),
        ({"query": "t", "url": "postgresql://me:hunter22@host/db"}, "the URL of a database holds a password"),
        (
            {"query": "t", "url": "postgresql://me:hunter22@host/${DB}"},
            "the URL of a database holds a password",
        ),
        ({"query": "t", "url": "sqlite://", "version": "1", "version_query": "SELECT 1"}, "has two versions"),
    ],
)
def test_queries_that_are_refused(arguments: dict[str, str], match: str) -> None:
    with pytest.raises(ArgumentError, match=match) as caught:
        SqlQuery(**arguments)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "kind", "match"),
    [
        ("${NO_SUCH_DB}", ConfigurationError, 'setting "url" needs'),
        ("nonsense", ConfigurationError, "the URL of the database cannot be read"),
        ("klingon://host/db", ConfigurationError, "no driver of SQLAlchemy has this name"),
        ("mssql+pymssql://host/db", MissingExtraError, "needs pymssql, which is not installed"),
        ("sqlite:////no/such/folder/a.db", DataError, "there is no such SQLite file"),
    ],
)
def test_databases_that_cannot_be_reached(url: str, kind: type[HeadraceError], match: str) -> None:
    with pytest.raises(kind, match=match):
        read_sql(SqlQuery("t", url=url))


def test_a_database_is_only_read(trips: Path) -> None:
    with pytest.raises(DataError, match="readonly database"):
        digest(query(version_query="DELETE FROM trips RETURNING id"))
    assert read_sql(query("SELECT fare FROM trips")).rows == 500


def test_arguments(trips: Path) -> None:
    with pytest.raises(ArgumentError, match='argument "partitions" is out of range'):
        read_sql(query(), partitions=0)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    if reason := postgres.unavailable():
        pytest.skip(reason)
    import sqlalchemy as sa

    with postgres.server() as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "CREATE TABLE trips AS SELECT i AS id, i::bigint * 4000000000 AS big,"
                    " i / 4.0::float8 AS fare, (i / 8.0)::numeric(10, 2) AS amount, i / 8.0 AS free,"
                    " 'n' || i % 7 AS name, date '2026-01-01' + i % 28 AS day,"
                    " timestamptz '2026-01-01 05:00+02' + i * interval '1 hour' AS at,"
                    " array[i, null] AS tags, '{\"a\": 1}'::jsonb AS facts, md5(i::text)::uuid AS code,"
                    " decode('ff', 'hex') AS raw, i % 2 = 0 AS flag FROM generate_series(1, 2000) i"
                )
            )
        engine.dispose()
        yield url


@pytest.mark.postgres
@pytest.mark.parametrize("column", ["id", "fare", "amount", "day", "at", "name", "code", "flag"])
def test_postgres_in_parts(postgres_url: str, column: str) -> None:
    source = SqlQuery("SELECT * FROM trips ORDER BY id", url=postgres_url)
    whole = read_sql(source, **WHOLE)
    parts = read_sql(source, partition_by=column, partitions=3, **WHOLE)
    assert len(parts.files("all")) > 1
    assert sorted(map(repr, rows(parts))) == sorted(map(repr, rows(whole)))
    assert whole.metadata["columns"] == {
        "id": "int32",
        "big": "int64",
        "fare": "double",
        "amount": "decimal128(10, 2)",
        "free": whole.metadata["columns"]["free"],
        "name": "string",
        "day": "date32[day]",
        "at": "timestamp[us, tz=UTC]",
        "tags": "list<item: int32>",
        "facts": "struct<a: int64>",
        "code": "string",
        "raw": "binary",
        "flag": "bool",
    }
    assert rows(whole)[0]["at"] == dt.datetime(2026, 1, 1, 4, tzinfo=dt.UTC)
    assert whole.metadata == parts.metadata


@pytest.mark.postgres
def test_postgres_gives_the_examples_that_parquet_gives(postgres_url: str, tmp_path: Path) -> None:
    declared = (
        "SELECT id, big, fare, amount, name, day, at, raw, flag, tags, code::text FROM trips ORDER BY id"
    )
    found = read_sql(SqlQuery(declared, url=postgres_url))
    table = pa.concat_tables(
        [pq.read_table(file) for split in ("train", "eval") for file in found.files(split)]
    )
    pq.write_table(table.sort_by("id"), tmp_path / "a.parquet")
    assert bytes_of(read_parquet(str(tmp_path))) == bytes_of(found)


@pytest.mark.postgres
def test_postgres_parts_see_one_moment(postgres_url: str) -> None:
    import sqlalchemy as sa

    from components.reading.sql_database import connected, exported_snapshot

    engine = sa.create_engine(postgres_url)
    count = sa.text("SELECT count(*) FROM moving")
    with engine.begin() as other:
        other.execute(sa.text("CREATE TABLE moving AS SELECT 1 AS a"))
    with exported_snapshot(postgres_url, "it") as snapshot:
        with engine.begin() as other:
            other.execute(sa.text("INSERT INTO moving VALUES (2)"))
        with connected(postgres_url, "it", snapshot) as joined, connected(postgres_url, "it") as later:
            assert (joined.execute(count).scalar_one(), later.execute(count).scalar_one()) == (1, 2)
            with pytest.raises(sa.exc.DBAPIError, match="read-only transaction"):
                joined.execute(sa.text("INSERT INTO moving VALUES (3)"))
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("column", [None, "fare", "at", "day", "amount", "name", "code"])
def test_adbc_gives_the_same_examples(postgres_url: str, column: str | None) -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra headrace[adbc] is not installed")
    text = "SELECT *, '100%' AS share, ':x' AS colon FROM trips ORDER BY id"
    source = SqlQuery(text, url=postgres_url)
    one, other = (
        read_sql(source, partition_by=column, partitions=3, driver=driver)
        for driver in ("sqlalchemy", "adbc")
    )
    assert bytes_of(one) == bytes_of(other)
    assert one.metadata == other.metadata


@pytest.mark.postgres
def test_errors_of_adbc(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra headrace[adbc] is not installed")
    failing = SqlQuery("SELECT id, 1 / (id - 1500) AS a FROM trips", url=postgres_url)
    with pytest.raises(DataError, match="the query cannot be read: the database refuses") as caught:
        read_sql(failing, driver="adbc")
    assert "division by zero" in str(caught.value)
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql.dbapi", None)
    with pytest.raises(MissingExtraError) as missing:
        read_sql(SqlQuery("trips", url=postgres_url), driver="adbc")
    assert missing.value.next == "pip install 'headrace[adbc]'"


def test_adbc_is_for_postgres(trips: Path) -> None:
    with pytest.raises(ArgumentError, match='argument "driver" is out of range'):
        read_sql(query(), driver="adbc")


@pytest.mark.postgres
def test_postgres_digests_in_the_server(postgres_url: str) -> None:
    import sqlalchemy as sa

    def now(text: str = "trips") -> str:
        return digest(SqlQuery(text, url=postgres_url))

    before = now()
    assert before == now()
    assert now("SELECT * FROM trips ORDER BY name, id DESC") == now(
        "SELECT * FROM trips ORDER BY name, id DESC"
    )
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE trips SET fare = -1 WHERE id = 7"))
    changed = now()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE trips SET fare = 1.75 WHERE id = 7"))  # and lies elsewhere now
    engine.dispose()
    assert changed != before == now()


@pytest.mark.postgres
def test_the_password_is_nowhere(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READER_PW", "hunter22")  # the server trusts everybody it knows
    url = postgres_url.replace("headrace@", "headrace:${READER_PW}@")
    examples = read_sql(SqlQuery("SELECT id FROM trips", url=url), partition_by="id", **WHOLE)
    assert examples.rows == 2000
    assert "hunter22" not in str(examples.metadata) + str(SqlQuery("trips", url=url))
    with pytest.raises(DataError) as caught:
        read_sql(SqlQuery("SELECT id FROM trips", url=url.replace("headrace:", "nobody:")))
    assert "hunter22" not in str(caught.value)
    assert caught.value.__cause__ is None


@pipeline
def from_database(source: SqlQuery) -> None:
    """Read the trips, in parts."""
    read_sql(source, partition_by="id", partitions=2)


def test_in_a_pipeline_the_rows_decide_and_the_url_stays_a_reference(trips: Path, tmp_path: Path) -> None:
    settings = load(home=tmp_path / "home", tracking="off")

    def states() -> list[str]:
        with use(settings):
            result = run_pipeline(from_database, {"source": str(query())}, settings=settings, in_process=True)
        return [node.state.value for node in result.nodes.values()]

    assert states() == ["SUCCEEDED"]
    assert states() == ["CACHED"]
    change(trips, "UPDATE trips SET fare = 7 WHERE id = 3")
    assert states() == ["SUCCEEDED"]
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert kept
    assert not any(str(trips).encode() in path.read_bytes() for path in kept)
