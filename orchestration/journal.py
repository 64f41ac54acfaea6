"""The journal: the truth about runs, node attempts, their artifacts, and what MLflow must still hear."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestration import events
from orchestration.errors import ConfigurationError, RunStateError
from orchestration.journal_tables import (
    SCHEMA_VERSION,
    attempts,
    files,
    meta,
    metadata,
    outbox,
    record_of,
    row_of,
    runs,
)
from orchestration.records import Attempt, Run, RunState, State, now
from orchestration.store import sha256

LEASE_SECONDS = 30.0
SETTLED_SECONDS = 2.0

_SCHEMA_LOCK = 0x6865616472616365  # any number of our own
_UNFINISHED = (RunState.FAILED, RunState.INTERRUPTED)
_GAVE_OUTPUTS = [state for state in State if state.gave_outputs]


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
                written by another version.
        """
        try:
            engine = _engine(url)
            version = _made(engine)
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

    # Runs and their leases

    def start_run(self, run: Run) -> str:
        """Record a new run, held by the caller, and return the lease's owner token.

        Raises:
            RunExistsError: The identifier is taken.
        """
        lease = _lease()
        try:
            with self.engine.begin() as connection:
                connection.execute(runs.insert().values(row_of(runs, run) | lease))
                _post(connection, run.id, events.run_started(run))
        except sa.exc.IntegrityError as error:
            raise RunExistsError(f"there is a run {run.id} already", at="") from error
        return str(lease["owner"])

    def take_over(self, run_id: str) -> str:
        """Hold a run that has ended or whose coordinator died, to finish it.

        Raises:
            RunStateError: The run is still going under another owner, or has succeeded.
        """
        self.mark_interrupted()
        lease, run = _lease(), self.run(run_id)
        ended = sa.and_(runs.c.id == run_id, runs.c.state.in_(_UNFINISHED))
        again = runs.update().where(ended).values(state=RunState.RUNNING, ended=None, **lease)
        with self.engine.begin() as connection:
            if not connection.execute(again).rowcount:
                raise _not_resumable(run)
            _post(connection, run_id, events.run_started(run))
        return str(lease["owner"])

    def heartbeat(self, run_id: str, owner: str) -> bool:
        """Prolong a lease; False once another owner holds the run."""
        held = sa.and_(runs.c.id == run_id, runs.c.owner == owner)
        with self.engine.begin() as connection:
            prolonged = runs.update().where(held).values(lease_until=time.time() + LEASE_SECONDS)
            return bool(connection.execute(prolonged).rowcount)

    def finish_run(self, run_id: str, owner: str, state: RunState, metrics: dict[str, float]) -> None:
        """Record how a run ended and give its lease back."""
        with self._held(run_id, owner) as connection:
            _end(connection, run_id, state, metrics)

    def give_up(self, run_id: str, owner: str) -> None:
        """Let go of a run that could not be carried to an end; it becomes INTERRUPTED."""
        with self._held(run_id, owner) as connection:
            _interrupt(connection, run_id)

    def mark_interrupted(self) -> list[str]:
        """Mark runs whose coordinator died INTERRUPTED, and return their ids.

        Dead means: its lease ran out, or its process is gone from this host.
        """
        # Locked: of two who look at the same time, one marks and tells.
        going = sa.select(runs).where(runs.c.state == RunState.RUNNING).with_for_update()
        with self.engine.begin() as connection:
            dead = [row.id for row in connection.execute(going).all() if _is_dead(row)]
            for run_id in dead:
                _interrupt(connection, run_id)
        return dead

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunStateError: There is no such run.
        """
        row = self._first(sa.select(runs).where(runs.c.id == run_id))
        if row is None:
            raise RunStateError(f"there is no run {run_id}", at="", next="headrace runs")
        return record_of(Run, row)

    def runs(
        self, *, pipeline: str | None = None, states: Iterable[RunState] = (), limit: int = 50
    ) -> list[Run]:
        """Return runs, newest first."""
        query = sa.select(runs).order_by(runs.c.created.desc(), runs.c.id.desc()).limit(limit)
        if pipeline:
            query = query.where(runs.c.pipeline == pipeline)
        if states:
            query = query.where(runs.c.state.in_(list(states)))
        with self.engine.begin() as connection:
            return [record_of(Run, row) for row in connection.execute(query)]

    # Attempts and the cache

    def begin_attempt(self, owner: str, attempt: Attempt) -> Attempt:
        """Record the start of an attempt; it gets the node's next number."""
        with self._held(attempt.run, owner) as connection:
            attempt = _numbered(connection, attempt)
            connection.execute(attempts.insert().values(row_of(attempts, attempt)))
            _post(connection, attempt.run, events.node_started(attempt))
        return attempt

    def finish_attempt(self, owner: str, attempt: Attempt) -> Attempt:
        """Record how an attempt ended, its outputs and its event, all or nothing."""
        with self._held(attempt.run, owner) as connection:
            attempt = attempt if attempt.number else _numbered(connection, attempt)
            _upsert(connection, attempts, row_of(attempts, attempt))
            _post(connection, attempt.run, events.node_finished(attempt))
        return attempt

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return a run's attempts in the order they were started."""
        order = (attempts.c.started, attempts.c.node, attempts.c.number)
        query = sa.select(attempts).where(attempts.c.run == run_id).order_by(*order)
        with self.engine.begin() as connection:
            return [record_of(Attempt, row) for row in connection.execute(query)]

    def cached(self, key: str) -> Attempt | None:
        """Return the newest success with this key, if any."""
        same = sa.and_(attempts.c.key == key, attempts.c.state == State.SUCCEEDED)
        return self._attempt(sa.select(attempts).where(same).order_by(attempts.c.ended.desc()))

    def finished(self, run_id: str, node: str, key: str) -> Attempt | None:
        """Return this run's own success of a node with this key, if any."""
        same = sa.and_(attempts.c.run == run_id, attempts.c.node == node, attempts.c.key == key)
        return self._attempt(sa.select(attempts).where(same, attempts.c.state.in_(_GAVE_OUTPUTS)))

    def last_success(self, pipeline: str, node: str, other_than: str, before: float) -> Attempt | None:
        """Return a node's newest success before a time, in another run of the same pipeline."""
        query = (
            sa.select(attempts)
            .join(runs, runs.c.id == attempts.c.run)
            .where(runs.c.pipeline == pipeline, attempts.c.node == node, attempts.c.run != other_than)
            .where(attempts.c.state.in_(_GAVE_OUTPUTS), attempts.c.ended <= before)
            .order_by(attempts.c.ended.desc())
        )
        return self._attempt(query)

    # What MLflow must still hear

    def post(self, run_id: str, posted: Iterable[Mapping[str, Any]]) -> None:
        """Put events into the outbox."""
        with self.engine.begin() as connection:
            _post(connection, run_id, *posted)

    def pending(self, limit: int = 500) -> list[tuple[int, dict[str, Any]]]:
        """Return the oldest events not yet delivered, with their numbers."""
        waiting = sa.select(outbox).where(outbox.c.delivered.is_(None)).order_by(outbox.c.id).limit(limit)
        with self.engine.begin() as connection:
            return [(row.id, row.event) for row in connection.execute(waiting)]

    def delivered(self, ids: list[int]) -> None:
        """Mark events as delivered."""
        with self.engine.begin() as connection:
            connection.execute(outbox.update().where(outbox.c.id.in_(ids)).values(delivered=time.time()))

    # Digests of files that were read before

    def digest_file(self, path: Path) -> str:
        """Return a file's SHA-256 as hex, read again only if its size or time of change differ."""
        state = path.stat()
        modified = getattr(state, "st_mtime_ns", 0)
        row = {"path": str(path.absolute()), "size": state.st_size, "modified": modified}
        found = self._first(sa.select(files.c.digest).filter_by(**row))
        if found:
            return str(found.digest)
        digest = sha256(path)
        # A file that was only just written may change again without a new time: not remembered.
        if modified and time.time_ns() - modified > SETTLED_SECONDS * 1e9:
            with self.engine.begin() as connection:
                _upsert(connection, files, {**row, "digest": digest})
        return digest

    def _attempt(self, query: sa.Select[Any]) -> Attempt | None:
        found = self._first(query)
        return None if found is None else record_of(Attempt, found)

    def _first(self, query: sa.Select[Any]) -> Any:
        with self.engine.begin() as connection:
            return connection.execute(query.limit(1)).first()

    @contextmanager
    def _held(self, run_id: str, owner: str) -> Iterator[sa.Connection]:
        """Yield a transaction that nobody but a run's owner gets."""
        query = sa.select(runs.c.owner).where(runs.c.id == run_id).with_for_update()
        with self.engine.begin() as connection:
            if connection.execute(query).scalar_one_or_none() != owner:
                raise RunStateError(
                    f"run {run_id} is held by another process now",
                    expected="to be the only one that writes about it",
                    at="",
                    next=f"headrace show {run_id}",
                )
            yield connection


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed.set(drivername="postgresql+psycopg"))
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(parsed)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by the engine, not by the driver
    connection.execute("PRAGMA busy_timeout=60000")
    connection.execute("PRAGMA synchronous=NORMAL")
    for _ in range(500):  # SQLite itself does not wait here while another connection makes the file
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            break
        time.sleep(0.01)


def _made(engine: sa.Engine) -> int:
    """Make the tables where they are missing, and return the version they were written by."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's transaction is exclusive by itself
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
        if not sa.inspect(connection).has_table(meta.name):
            metadata.create_all(connection)
            connection.execute(meta.insert().values(schema_version=SCHEMA_VERSION))
        return int(connection.execute(sa.select(meta.c.schema_version)).scalar_one())


def _post(connection: sa.Connection, run_id: str, *posted: Mapping[str, Any]) -> None:
    if posted:
        connection.execute(outbox.insert(), [{"run": run_id, "event": event} for event in posted])


def _end(connection: sa.Connection, run_id: str, state: RunState, metrics: dict[str, float]) -> None:
    ended = {"state": state, "ended": now(), "owner": None, "lease_until": None}
    connection.execute(runs.update().where(runs.c.id == run_id).values(ended))
    row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).one()
    _post(connection, run_id, events.run_finished(record_of(Run, row), metrics))


def _interrupt(connection: sa.Connection, run_id: str) -> None:
    going = sa.select(attempts).where(attempts.c.run == run_id, attempts.c.state == State.RUNNING)
    for row in connection.execute(going).all():
        left = replace(
            record_of(Attempt, row), state=State.INTERRUPTED, ended=now(), reason="the run's process died"
        )
        _upsert(connection, attempts, row_of(attempts, left))
        _post(connection, run_id, events.node_finished(left))
    _end(connection, run_id, RunState.INTERRUPTED, {})


def _numbered(connection: sa.Connection, attempt: Attempt) -> Attempt:
    same = sa.and_(attempts.c.run == attempt.run, attempts.c.node == attempt.node)
    last = connection.execute(sa.select(sa.func.max(attempts.c.number)).where(same)).scalar_one_or_none()
    return replace(attempt, number=(last or 0) + 1)


def _upsert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or overwrite the one with its key: safe while others do the same."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**row)
    key = [column.name for column in table.primary_key]
    changes = {name: value for name, value in row.items() if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changes))


def _lease() -> dict[str, Any]:
    return {
        "owner": uuid.uuid4().hex,
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
