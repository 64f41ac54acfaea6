"""Fixtures of the orchestration tests: journals on both databases, settings in a temporary folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestration.journal import Journal
from orchestration.pipeline import Pipeline
from orchestration.result import RunResult
from orchestration.run import run_pipeline
from orchestration.settings import Settings, load
from tests.orchestration import postgres
from tests.orchestration.runs import Runner

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the repository's root, so that the places in error messages are short and stable."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that keep everything below the test's temporary folder, without MLflow."""
    return load(home=tmp_path / "home", tracking="off", concurrency=4)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a private PostgreSQL server's empty database."""
    reason = postgres.unavailable()
    if reason:
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty journal, once in SQLite and once in PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    return new_database(request.getfixturevalue("postgres_url"))


_databases = itertools.count()


def new_database(server: str) -> str:
    """Make an empty database on a server and return its URL."""
    name = f"journal_{next(_databases)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def open_journal(journal_url: str) -> Iterator[Callable[[], Journal]]:
    """Open the same journal any number of times; all are closed at the end."""
    opened: list[Journal] = []

    def open_() -> Journal:
        opened.append(Journal.open(journal_url))
        return opened[-1]

    yield open_
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(open_journal: Callable[[], Journal]) -> Journal:
    """An empty journal."""
    return open_journal()


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which nodes leave their trace."""
    file = tmp_path / "trace.jsonl"
    monkeypatch.setenv("TRACE", str(file))
    return file


@pytest.fixture
def run(settings: Settings) -> Runner:
    """Run a pipeline with parameters; keywords that begin with ``_`` go to ``run_pipeline``."""

    def run_(pipeline: Pipeline, **given: Any) -> RunResult:
        passed = {name[1:]: given.pop(name) for name in list(given) if name.startswith("_")}
        return run_pipeline(pipeline, pipeline.bind(given), **{"settings": settings, **passed})

    return run_
