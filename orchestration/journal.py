"""The journal: the truth about runs, node attempts, their artifacts, and what MLflow must still hear."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from orchestration.errors import ConfigurationError, RunStateError
from orchestration.journal_tables import Record, attempts, files, make, outbox, record_of, row_of, runs
from orchestration.records import Attempt, Mark, Measured, Run, RunState, State, now
from orchestration.secrets import redact
from orchestration.store import sha256

LEASE_SECONDS = 30.0
SETTLED_SECONDS = 2.0

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
            make(engine)
        except (sa.exc.SQLAlchemyError, ModuleNotFoundError, OSError) as error:
            raise ConfigurationError(
                "the journal cannot be opened",
                expected="a SQLite file or a PostgreSQL database that can be written to",
                received=f"{redact(url)}: {str(error).splitlines()[0]}",
                at="",
                next="headrace doctor",
            ) from error
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
                _mark(connection, run.id)
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
        again = runs.update().where(runs.c.id == run_id, runs.c.state.in_(_UNFINISHED))
        with self.engine.begin() as connection:
            if not connection.execute(again.values(state=RunState.RUNNING, ended=None, **lease)).rowcount:
                done = run.state is RunState.SUCCEEDED
                raise RunStateError(
                    f"run {run_id} {'has succeeded; nothing is left to do' if done else 'is still going'}",
                    expected="a run that failed or was interrupted",
                    received=f"{run.state}, process {run.process} on {run.host}",
                    at="",
                    next=f"headrace show {run_id}",
                )
            _mark(connection, run_id)
        return str(lease["owner"])

    def heartbeat(self, run_id: str, owner: str) -> bool:
        """Prolong a lease; False once another owner holds the run."""
        held = runs.update().where(runs.c.id == run_id, runs.c.owner == owner)
        with self.engine.begin() as connection:
            return bool(connection.execute(held.values(lease_until=time.time() + LEASE_SECONDS)).rowcount)

    def finish_run(self, run_id: str, owner: str, state: RunState) -> None:
        """Record how a run ended and give its lease back; what is still going of it is INTERRUPTED."""
        with self._held(run_id, owner) as connection:
            _end(connection, run_id, state)

    def mark_interrupted(self) -> list[str]:
        """Mark runs whose coordinator died INTERRUPTED, and return their ids.

        Dead means: its lease ran out, or its process is gone from this host.
        """
        # Locked: of two who look at the same time, one marks and tells.
        going = sa.select(runs).where(runs.c.state == RunState.RUNNING).with_for_update()
        with self.engine.begin() as connection:
            dead = [row.id for row in connection.execute(going).all() if _is_dead(row)]
            for run_id in dead:
                _end(connection, run_id, RunState.INTERRUPTED)
        return dead

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            RunStateError: There is no such run.
        """
        for run in self._read(Run, sa.select(runs).filter_by(id=run_id)):
            return run
        raise RunStateError(f"there is no run {run_id}", at="", next="headrace runs")

    def runs(
        self, *, pipeline: str | None = None, states: Iterable[RunState] = (), limit: int = 50
    ) -> list[Run]:
        """Return runs, newest first."""
        query = sa.select(runs).order_by(runs.c.created.desc(), runs.c.id.desc()).limit(limit)
        if pipeline:
            query = query.where(runs.c.pipeline == pipeline)
        if states:
            query = query.where(runs.c.state.in_(list(states)))
        return self._read(Run, query)

    # Attempts and the cache

    def record(self, owner: str, attempt: Attempt) -> Attempt:
        """Record an attempt as it is now, all or nothing; a new one gets the node's next number."""
        with self._held(attempt.run, owner) as connection:
            if not attempt.number:
                numbers = sa.select(attempts.c.number).filter_by(run=attempt.run, node=attempt.node)
                last = connection.execute(numbers.order_by(attempts.c.number.desc()).limit(1)).scalar()
                attempt = replace(attempt, number=(last or 0) + 1)
            _write(connection, attempt)
        return attempt

    def attempt(self, run_id: str, node: str, number: int) -> Attempt:
        """Return an attempt that was recorded."""
        one = sa.select(attempts).filter_by(run=run_id, node=node, number=number)
        return self._read(Attempt, one)[0]

    def attempts(self, run_id: str) -> list[Attempt]:
        """Return a run's attempts in the order they were started."""
        order = (attempts.c.started, attempts.c.node, attempts.c.number)
        return self._read(Attempt, sa.select(attempts).filter_by(run=run_id).order_by(*order))

    def cached(self, key: str) -> Attempt | None:
        """Return the newest success with this key, if any."""
        return self._newest(sa.select(attempts).filter_by(key=key, state=State.SUCCEEDED))

    def finished(self, run_id: str, node: str, key: str) -> Attempt | None:
        """Return this run's own success of a node with this key, if any."""
        same = sa.select(attempts).filter_by(run=run_id, node=node, key=key)
        return self._newest(same.where(attempts.c.state.in_(_GAVE_OUTPUTS)))

    def last_success(self, pipeline: str, node: str, other_than: str, before: float) -> Attempt | None:
        """Return a node's newest success before a time, in another run of the same pipeline."""
        query = (
            sa.select(attempts)
            .join(runs, runs.c.id == attempts.c.run)
            .where(runs.c.pipeline == pipeline, attempts.c.node == node, attempts.c.run != other_than)
            .where(attempts.c.state.in_(_GAVE_OUTPUTS), attempts.c.ended <= before)
        )
        return self._newest(query)

    # What MLflow must still hear

    def post(self, attempt: Attempt, metrics: list[Measured]) -> None:
        """Put what an attempt measured into the outbox."""
        with self.engine.begin() as connection:
            _mark(connection, attempt.run, attempt.node, attempt.number, metrics)

    def pending(self, limit: int = 500) -> list[Mark]:
        """Return the oldest marks not yet delivered."""
        return self._read(Mark, sa.select(outbox).order_by(outbox.c.id).limit(limit))

    def delivered(self, mark: Mark) -> None:
        """Take a mark out of the outbox."""
        with self.engine.begin() as connection:
            connection.execute(outbox.delete().where(outbox.c.id == mark.id))

    # Digests of files that were read before

    def digest_file(self, path: Path) -> str:
        """Return a file's SHA-256 as hex, read again only if its size or time of change differ."""
        state = path.stat()
        modified = getattr(state, "st_mtime_ns", 0)
        row = {"path": str(path.absolute()), "size": state.st_size, "modified": modified}
        for found in self._read(dict[str, Any], sa.select(files).filter_by(**row)):
            return str(found["digest"])
        digest = sha256(path)
        # A file that was only just written may change again without a new time: not remembered.
        if modified and time.time_ns() - modified > SETTLED_SECONDS * 1e9:
            with self.engine.begin() as connection:
                _upsert(connection, files, {**row, "digest": digest})
        return digest

    def _newest(self, query: sa.Select[Any]) -> Attempt | None:
        found = self._read(Attempt, query.order_by(attempts.c.ended.desc()).limit(1))
        return found[0] if found else None

    def _read(self, kind: type[Record], query: sa.Select[Any]) -> list[Record]:
        with self.engine.begin() as connection:
            return [record_of(kind, row) for row in connection.execute(query)]

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
    # Transactions are begun by the engine, not by the driver.
    engine = sa.create_engine(parsed, connect_args={"timeout": 60, "isolation_level": None})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
    for _ in range(500):  # SQLite itself does not wait here while another connection makes the file
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode=WAL")
            break
        time.sleep(0.01)


def _mark(
    connection: sa.Connection, run: str, node: str = "", number: int = 0, metrics: Sequence[Measured] = ()
) -> None:
    row = {"run": run, "node": node, "number": number, "facts": json.dumps({"metrics": metrics})}
    if not metrics:  # what MLflow is told is how things are then: one mark will do
        connection.execute(outbox.delete().filter_by(**row))
    connection.execute(outbox.insert().values(row))


def _write(connection: sa.Connection, attempt: Attempt) -> None:
    _upsert(connection, attempts, row_of(attempts, attempt))
    _mark(connection, attempt.run, attempt.node, attempt.number)


def _end(connection: sa.Connection, run_id: str, state: RunState) -> None:
    going = sa.select(attempts).filter_by(run=run_id, state=State.RUNNING)
    for row in connection.execute(going).all():
        left = replace(record_of(Attempt, row), state=State.INTERRUPTED, ended=now())
        _write(connection, replace(left, reason="the run's process died"))
    ended = {"state": state, "ended": now(), "owner": None, "lease_until": None}
    connection.execute(runs.update().where(runs.c.id == run_id).values(ended))
    _mark(connection, run_id)


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
