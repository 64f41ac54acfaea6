"""The journal shared: digests it remembers, several at once, and how it is opened."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration import journal as journals
from orchestration.errors import ConfigurationError
from orchestration.journal import Journal
from tests.orchestration.test_journal import a_run, an_attempt, an_output, finish

# Digests of files


def test_a_file_is_digested_again_only_when_it_changed(journal: Journal, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("a,b\n1,2\n")
    old = time.time() - 60
    os.utime(file, (old, old))
    first = journal.digest_file(file)
    # Same size, same time: the journal must not have read it again, or it would see other bytes.
    file.write_text("a,b\n1,3\n")
    os.utime(file, (old, old))
    assert journal.digest_file(file) == first
    os.utime(file, (old + 1, old + 1))
    assert journal.digest_file(file) != first


def test_a_file_that_was_just_written_is_not_trusted(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SETTLED_SECONDS", 0.2)
    file = tmp_path / "data.csv"
    file.write_text("one")
    same = time.time()
    os.utime(file, (same, same))
    first = journal.digest_file(file)
    file.write_text("two")  # within the clock's grain: the same size, the same time of change
    os.utime(file, (same, same))
    time.sleep(0.3)
    assert journal.digest_file(file) != first


# Several at once


def test_threads_may_digest_and_remember_the_same(journal: Journal, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("one")
    os.utime(file, (1, 1))
    owners = [journal.start_run(a_run(f"r{i}")) for i in range(8)]

    def work(i: int) -> str:
        for _ in range(5):
            digest = journal.digest_file(file)
            finish(journal, owners[i], journal.record(owners[i], an_attempt(f"r{i}")))
        return digest

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    found = journal.cached("k" * 64)
    assert found is not None and found.outputs == (an_output(),)


def test_processes_open_one_empty_journal_at_once_and_share_it(journal_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        started = list(pool.map(_use_journal, [journal_url] * 4, range(4)))
    journal = Journal.open(journal_url)
    try:
        assert sorted(run.id for run in journal.runs()) == sorted(started)
        assert [len(journal.attempts(run)) for run in started] == [10] * 4
        marks = {(mark.run, mark.node, mark.number) for mark in journal.pending()}
        assert len(journal.pending()) == len(marks) == 4 * (1 + 10)
    finally:
        journal.close()


def test_those_who_make_a_journal_at_the_same_time_wait_for_each_other(tmp_path: Path) -> None:
    def open_(url: str) -> int:
        journal = Journal.open(url)
        try:
            return len(journal.runs())
        finally:
            journal.close()

    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(open_, [f"sqlite:///{tmp_path / f'{number}.db'}"] * 8)) == [0] * 8


def _use_journal(url: str, number: int) -> str:
    journal = Journal.open(url)
    run = a_run(f"r{number}")
    owner = journal.start_run(run)
    for _ in range(10):
        finish(journal, owner, journal.record(owner, an_attempt(run.id)))
    journal.close()
    return run.id


# Opening


@pytest.mark.parametrize(
    ("url", "received"),
    [
        ("sqlite:////proc/nobody/journal.db", "/proc/nobody"),
        ("postgresql://joe:hunter2@127.0.0.1:1/none", "127.0.0.1:1"),
        ("nonsense://x", "nonsense"),
    ],
)
def test_a_journal_that_cannot_be_opened_is_told_without_its_password(url: str, received: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Journal.open(url)
    assert caught.value.headline == "the journal cannot be opened"
    assert received in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_journal_of_another_version_is_refused(journal: Journal, journal_url: str) -> None:
    for version in (2, 99):
        with journal.engine.begin() as connection:
            connection.execute(sa.text(f"UPDATE headrace SET schema_version = {version}"))
        with pytest.raises(ConfigurationError, match="another version") as caught:
            Journal.open(journal_url)
        assert caught.value.received == f"schema version {version}"
