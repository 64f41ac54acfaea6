"""The journal: the truth about runs, node attempts, artifacts, the cache, and what MLflow must still hear."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestration.errors import ConfigurationError, RunStateError
from orchestration.journal_tables import (
    SCHEMA_VERSION,
    attempts,
    cache,
    files,
    meta,
    metadata,
    outbox,
    runs,
)
from orchestration.records import Attempt, Output, Run, RunState, State

LEASE_SECONDS = 30.0
SETTLED_SECONDS = 2.0

_SCHEMA_LOCK = 0x6865616472616365  # any number of our own

_UNFINISHED = [str(RunState.FAILED), str(RunState.INTERRUPTED)]
_GAVE_OUTPUTS = [str(state) for state in State if state.gave_outputs]


class RunExistsError(RunStateError):
    """The identifier of a new run is taken."""


class Journal:
    """One journal, in SQLite (WAL) or PostgreSQL. Safe to share between threads and processes.

    Every public method is one transaction. A coordinator holds a run by a lease; all it writes
    about the run is refused once another owner has taken the lease over.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Journal:
        """Open a journal by SQLAlchemy URL, and make its tables where they are missing.

        Raises:
            ConfigurationError: The URL or the database cannot be used, or the journal was
                written by a newer version.
        """
        try:
            engine = _engine(url)
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":  # SQLite's transaction is exclusive by itself
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
                fresh = not sa.inspect(connection).has_table(meta.name)
                if fresh:
                    metadata.create_all(connection)
                    connection.execute(meta.insert().values(schema_version=SCHEMA_VERSION))
                version = connection.execute(sa.select(meta.c.schema_version)).scalar_one()
        except (sa.exc.SQLAlchemyError, ModuleNotFoundError, OSError) as error:
            shown = sa.make_url(url).render_as_string(hide_password=True) if "://" in url else url
            raise ConfigurationError(
                "the journal cannot be opened",
                expected="a SQLite file or a PostgreSQL database that can be written to",
                received=f"{shown}: {str(error).splitlines()[0]}",
                at="",
                next="headrace doctor",
            ) from error
        if version != SCHEMA_VERSION:
            raise ConfigurationError(
                "the journal was written by another version of Headrace",
                expected=f"schema version {SCHEMA_VERSION}",
                received=f"schema version {version}",
                at="",
            )
        return cls(engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self.engine.begin() as connection:
            yield connection

    # Runs and their leases

    def start_run(self, run: Run, event: Mapping[str, Any]) -> str:
        """Record a new run, held by the caller, and return the lease's owner token.

        Raises:
            RunExistsError: The identifier is taken.
        """
        owner = uuid.uuid4().hex
        values = {**run.stored(), **_lease(owner)}
        try:
            with self._transaction() as connection:
                connection.execute(runs.insert().values(values))
                _post(connection, run.id, [event])
        except sa.exc.IntegrityError as error:
            raise RunExistsError(f"there is a run {run.id} already", at="") from error
        return owner

    def take_over(self, run_id: str, event: Mapping[str, Any]) -> str:
        """Hold a run that has ended or whose coordinator died, to finish it.

        Raises:
            RunStateError: The run is still going under another owner, or has succeeded.
        """
        self.mark_interrupted()
        owner = uuid.uuid4().hex
        with self._transaction() as connection:
            changed = connection.execute(
                runs.update()
                .where(runs.c.id == run_id, runs.c.state.in_(_UNFINISHED))
                .values(state=RunState.RUNNING, ended=None, **_lease(owner))
            ).rowcount
            if changed:
                _post(connection, run_id, [event])
        if not changed:
            raise _not_resumable(self.run(run_id))
        return owner

    def heartbeat(self, run_id: str, owner: str) -> bool:
        """Prolong a lease; False once another owner holds the run."""
        with self._transaction() as connection:
            return bool(
                connection.execute(
                    runs.update()
                    .where(runs.c.id == run_id, runs.c.owner == owner)
                    .values(lease_until=time.time() + LEASE_SECONDS)
                ).rowcount
            )

    def finish_run(self, run_id: str, owner: str, state: RunState, event: Mapping[str, Any]) -> None:
        """Record how a run ended and give its lease back."""
        with self._transaction() as connection:
            self._hold(connection, run_id, owner)
            connection.execute(
                runs.update()
                .where(runs.c.id == run_id)
                .values(state=state, ended=time.time(), owner=None, lease_until=None)
            )
            _post(connection, run_id, [event])

    def give_up(self, run_id: str, owner: str) -> None:
        """Let go of a run that could not be carried to an end; it becomes INTERRUPTED."""
        with self._transaction() as connection:
            held = sa.and_(runs.c.id == run_id, runs.c.owner == owner)
            connection.execute(runs.update().where(held).values(lease_until=None))
        self.mark_interrupted()

    def mark_interrupted(self) -> list[str]:
        """Mark runs whose coordinator died INTERRUPTED, and return their ids.

        Dead means: its lease ran out, or its process is gone from this host.
        """
        with self._transaction() as connection:
            going = connection.execute(
                sa.select(runs.c.id, runs.c.lease_until, runs.c.host, runs.c.process)
                .where(runs.c.state == RunState.RUNNING)
                .with_for_update()  # of two who look at the same time, one marks and tells
            ).all()
            dead = [row.id for row in going if _is_dead(row)]
            if not dead:
                return []
            now = time.time()
            connection.execute(
                runs.update()
                .where(runs.c.id.in_(dead))
                .values(state=RunState.INTERRUPTED, ended=now, owner=None, lease_until=None)
            )
            open_attempts = sa.and_(attempts.c.run.in_(dead), attempts.c.state == State.RUNNING)
            left = connection.execute(sa.select(attempts).where(open_attempts)).all()
            connection.execute(
                attempts.update()
                .where(open_attempts)
                .values(state=State.INTERRUPTED, ended=now, reason="the run's process died")
            )
            for row in left:
                _post(connection, row.run, [_interrupted_event(row, now)])
            for run_id in dead:
                _post(
                    connection,
                    run_id,
                    [
                        {
                            "kind": "run_finished",
                            "run_id": run_id,
                            "state": str(RunState.INTERRUPTED),
                            "ended": int(now * 1000),
                            "metrics": {},
                        }
                    ],
                )
        return dead

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunStateError: There is no such run.
        """
        with self._transaction() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).first()
        if row is None:
            raise RunStateError(f"there is no run {run_id}", at="", next="headrace runs")
        return Run.restored(dict(row._mapping))

    def runs(
        self, *, pipeline: str | None = None, states: Iterable[RunState] = (), limit: int = 50
    ) -> list[Run]:
        """Return runs, newest first."""
        query = sa.select(runs).order_by(runs.c.created.desc(), runs.c.id.desc()).limit(limit)
        if pipeline:
            query = query.where(runs.c.pipeline == pipeline)
        if states:
            query = query.where(runs.c.state.in_([str(state) for state in states]))
        with self._transaction() as connection:
            return [Run.restored(dict(row._mapping)) for row in connection.execute(query)]

    # Attempts and the cache

    def begin_attempt(self, owner: str, attempt: Attempt, event: Mapping[str, Any]) -> Attempt:
        """Record the start of an attempt; it gets the node's next number."""
        with self._transaction() as connection:
            self._hold(connection, attempt.run, owner)
            numbered = attempt.with_number(_next_number(connection, attempt))
            connection.execute(attempts.insert().values(numbered.stored()))
            _post(connection, attempt.run, [{**event, "attempt": numbered.number}])
        return numbered

    def finish_attempt(
        self, owner: str, attempt: Attempt, event: Mapping[str, Any], *, remember: bool
    ) -> Attempt:
        """Record how an attempt ended, its outputs, its cache entry and its event, all or nothing."""
        with self._transaction() as connection:
            self._hold(connection, attempt.run, owner)
            if attempt.number == 0:
                attempt = attempt.with_number(_next_number(connection, attempt))
            same = sa.and_(
                attempts.c.run == attempt.run,
                attempts.c.node == attempt.node,
                attempts.c.number == attempt.number,
            )
            if not connection.execute(attempts.update().where(same).values(attempt.stored())).rowcount:
                connection.execute(attempts.insert().values(attempt.stored()))
            if remember and attempt.key:
                _remember(connection, attempt)
            _post(connection, attempt.run, [{**event, "attempt": attempt.number}])
        return attempt

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return a run's attempts in the order they were started."""
        query = (
            sa.select(attempts)
            .where(attempts.c.run == run_id)
            .order_by(attempts.c.started, attempts.c.node, attempts.c.number)
        )
        with self._transaction() as connection:
            return [Attempt.restored(dict(row._mapping)) for row in connection.execute(query)]

    def cached(self, key: str) -> list[Output] | None:
        """Return the outputs of the newest success with this key, if any."""
        query = sa.select(cache.c.outputs).where(cache.c.key == key)
        with self._transaction() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else [Output(**output) for output in found]

    def finished(self, run_id: str, node: str, key: str) -> Attempt | None:
        """Return this run's own success of a node with this key, if any."""
        query = sa.select(attempts).where(
            attempts.c.run == run_id,
            attempts.c.node == node,
            attempts.c.key == key,
            attempts.c.state.in_(_GAVE_OUTPUTS),
        )
        with self._transaction() as connection:
            found = connection.execute(query).first()
        return None if found is None else Attempt.restored(dict(found._mapping))

    def forget(self, key: str) -> None:
        """Drop a cache entry whose artifacts are damaged or gone."""
        with self._transaction() as connection:
            connection.execute(cache.delete().where(cache.c.key == key))

    def last_success(self, pipeline: str, node: str, other_than: str, before: float) -> Attempt | None:
        """Return a node's newest success before a time, in another run of the same pipeline."""
        query = (
            sa.select(attempts)
            .join(runs, runs.c.id == attempts.c.run)
            .where(runs.c.pipeline == pipeline, attempts.c.node == node, attempts.c.run != other_than)
            .where(attempts.c.state.in_(_GAVE_OUTPUTS), attempts.c.ended <= before)
            .order_by(attempts.c.ended.desc())
            .limit(1)
        )
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return None if row is None else Attempt.restored(dict(row._mapping))

    # Metrics, on the way to MLflow while a node runs

    def post(self, run_id: str, events: list[Mapping[str, Any]]) -> None:
        """Put events into the outbox."""
        with self._transaction() as connection:
            _post(connection, run_id, events)

    def pending(self, limit: int = 500) -> list[tuple[int, dict[str, Any]]]:
        """Return the oldest events not yet delivered, with their numbers."""
        query = (
            sa.select(outbox.c.id, outbox.c.event)
            .where(outbox.c.delivered.is_(None))
            .order_by(outbox.c.id)
            .limit(limit)
        )
        with self._transaction() as connection:
            return [(row.id, row.event) for row in connection.execute(query)]

    def delivered(self, ids: list[int]) -> None:
        """Mark events as delivered."""
        with self._transaction() as connection:
            connection.execute(outbox.update().where(outbox.c.id.in_(ids)).values(delivered=time.time()))

    # Digests of files that were read before

    def digest_file(self, path: Path) -> str:
        """Return a file's SHA-256 as hex, read again only if its size or time of change differ."""
        from orchestration.store import sha256

        state = path.stat()
        modified = getattr(state, "st_mtime_ns", 0)
        row = {"path": str(path.absolute()), "size": state.st_size, "modified": modified}
        known = sa.select(files.c.digest).filter_by(**row)
        with self._transaction() as connection:
            found = connection.execute(known).scalar_one_or_none()
        if found:
            return str(found)
        digest = sha256(path)
        # A file that was only just written may change again without a new time: not remembered.
        if modified and time.time_ns() - modified > SETTLED_SECONDS * 1e9:
            with self._transaction() as connection:
                _upsert(connection, files, {**row, "digest": digest})
        return digest

    def _hold(self, connection: sa.Connection, run_id: str, owner: str) -> None:
        query = sa.select(runs.c.owner).where(runs.c.id == run_id).with_for_update()
        if connection.execute(query).scalar_one_or_none() != owner:
            raise RunStateError(
                f"run {run_id} is held by another process now",
                expected="to be the only one that writes about it",
                at="",
                next=f"headrace show {run_id}",
            )


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(parsed)
    if parsed.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("busy_timeout=60000", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _post(connection: sa.Connection, run_id: str, events: Iterable[Mapping[str, Any]]) -> None:
    rows = [{"run": run_id, "event": dict(event)} for event in events]
    if rows:
        connection.execute(outbox.insert(), rows)


def _next_number(connection: sa.Connection, attempt: Attempt) -> int:
    query = sa.select(sa.func.max(attempts.c.number)).where(
        attempts.c.run == attempt.run, attempts.c.node == attempt.node
    )
    return (connection.execute(query).scalar_one_or_none() or 0) + 1


def _remember(connection: sa.Connection, attempt: Attempt) -> None:
    entry = {
        "key": attempt.key,
        "run": attempt.run,
        "node": attempt.node,
        "outputs": attempt.stored()["outputs"],
        "created": time.time(),
    }
    _upsert(connection, cache, entry)


def _upsert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or overwrite the one with its key: safe while others do the same."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**row)
    key = [column.name for column in table.primary_key]
    changes = {name: value for name, value in row.items() if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changes))


def _lease(owner: str) -> dict[str, Any]:
    return {
        "owner": owner,
        "lease_until": time.time() + LEASE_SECONDS,
        "host": socket.gethostname(),
        "process": process_identity(os.getpid()),
    }


def process_identity(pid: int) -> str:
    """Return ``pid:start-time``, which no later process shares; only the pid where that is unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return str(pid)
    return f"{pid}:{fields[19]}" if fields[0] not in "ZX" else f"{pid}:dead"


def _is_dead(row: Any) -> bool:
    if row.lease_until is None or row.lease_until < time.time():
        return True
    if row.host != socket.gethostname() or not Path("/proc/self/stat").exists():
        return False
    return process_identity(int(row.process.partition(":")[0])) != str(row.process)


def _interrupted_event(row: Any, now: float) -> dict[str, Any]:
    return {
        "kind": "node_finished",
        "run_id": row.run,
        "node": row.node,
        "attempt": row.number,
        "state": str(State.INTERRUPTED),
        "started": int((row.started or now) * 1000),
        "ended": int(now * 1000),
        "reason": "the run's process died",
        "error": "",
        "key": row.key or "",
        "cpu_seconds": 0.0,
        "inputs": [],
        "outputs": [],
        "attachments": [],
        "pushes": [],
        "metrics": [],
    }


def _not_resumable(run: Run) -> RunStateError:
    if run.state is RunState.SUCCEEDED:
        return RunStateError(f"run {run.id} has succeeded; nothing is left to do", at="")
    return RunStateError(
        f"run {run.id} is still going",
        expected="a run that failed or was interrupted",
        received=f"{run.state}, process {run.process} on {run.host}",
        at="",
        next=f"headrace show {run.id}",
    )
