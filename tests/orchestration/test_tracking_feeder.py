"""The outbox is emptied in order, in the background, whatever the server does."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestration.journal import Journal
from orchestration.records import Mark
from orchestration.tracking import OutboxFeeder
from tests.orchestration.runs import until
from tests.orchestration.tracked import RUN, a_run, began, put, settings


class _Listed:
    """A tracking that writes down what it gets, and fails when told to."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.down = False
        self.refuses: set[str] = set()
        self.hold = threading.Event()
        self.hold.set()

    def deliver(self, mark: Mark) -> list[str]:
        self.hold.wait()
        if self.down:
            raise ConnectionError("the server at https://me:hunter22@host is away")
        if mark.node in self.refuses:
            return ["not like this"]
        self.taken.append(mark.node)
        return []


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
    yield journal
    journal.close()


@contextmanager
def feeding(outbox: Journal, home: Path, tracking: Any) -> Iterator[OutboxFeeder]:
    feeder = OutboxFeeder(outbox, settings(home))
    feeder.tracking = tracking
    feeder.start()
    try:
        yield feeder
    finally:
        tracking.hold.set()
        feeder.finish(0)


def fill(outbox: Journal, count: int) -> list[str]:
    """Put so many marks into the outbox and return their nodes."""
    names = [f"n{i}" for i in range(count)]
    for name in names:
        put(outbox, began(name, 1))
    return names


class TestFeeder:
    def test_marks_arrive_in_order_and_leave_the_outbox(self, outbox: Journal, tmp_path: Path) -> None:
        tracking = _Listed()
        with feeding(outbox, tmp_path, tracking) as feeder:
            names = fill(outbox, 600)  # more than are read at once
            assert feeder.finish(30) == 0
        assert tracking.taken == names
        assert outbox.pending(1) == []

    def test_an_empty_outbox_needs_no_mlflow(self, outbox: Journal, tmp_path: Path) -> None:
        feeder = OutboxFeeder(outbox, settings(tmp_path / "home"))
        feeder.start()
        assert feeder.finish(5) == 0
        assert feeder.trouble is None
        assert not (tmp_path / "home").exists()

    def test_a_server_that_is_away_blocks_nobody_and_loses_nothing(
        self, outbox: Journal, tmp_path: Path
    ) -> None:
        tracking = _Listed()
        tracking.down = True
        with feeding(outbox, tmp_path, tracking) as feeder:
            names = fill(outbox, 5)
            until(lambda: feeder.trouble == "ConnectionError: the server at https://me:***@host is away")
            assert len(outbox.pending()) == 5
            tracking.down = False
            assert feeder.finish(10) == 0
            assert feeder.trouble is None
        assert tracking.taken == names

    def test_nobody_waits_long_for_a_server_that_is_away(
        self, outbox: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orchestration.tracking.feeder.PATIENCE_SECONDS", 0.3)
        tracking = _Listed()
        tracking.down = True
        began = time.monotonic()
        with feeding(outbox, tmp_path, tracking) as feeder:
            fill(outbox, 1)
            assert feeder.finish(60) == 1
            assert time.monotonic() - began < 10
        tracking.down = False
        with feeding(outbox, tmp_path, tracking) as following:
            assert following.finish(60) == 0

    def test_what_is_refused_is_told_and_passed_over(self, outbox: Journal, tmp_path: Path) -> None:
        tracking = _Listed()
        tracking.refuses = {"n1", ""}
        with feeding(outbox, tmp_path, tracking) as feeder:
            fill(outbox, 3)
            put(outbox, a_run())
            assert feeder.finish(10) == 0
            assert feeder.rejected == [f"n1 of {RUN}: not like this", f"run of {RUN}: not like this"]
        assert tracking.taken == ["n0", "n2"]

    def test_two_processes_do_not_deliver_at_the_same_time(self, outbox: Journal, tmp_path: Path) -> None:
        tracking = _Listed()
        with (tmp_path / "tracking.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with feeding(outbox, tmp_path, tracking) as feeder:
                fill(outbox, 2)
                time.sleep(0.6)
                assert tracking.taken == []
                outbox.delivered(outbox.pending(1)[0])  # by the one that has the lock
                fcntl.flock(lock, fcntl.LOCK_UN)
                assert feeder.finish(10) == 0
        assert tracking.taken == ["n1"]

    def test_the_end_comes_between_two_marks_and_the_next_feeder_goes_on(
        self, outbox: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tracking = _Listed()
        tracking.hold.clear()
        names = fill(outbox, 10)
        with feeding(outbox, tmp_path, tracking) as feeder:
            monkeypatch.setattr("orchestration.tracking.feeder.STOP_SECONDS", 0.1)
            assert feeder.finish(0.3) == 10  # it does not wait for a server that never answers
            monkeypatch.undo()
        assert len(tracking.taken) <= 1
        with feeding(outbox, tmp_path, tracking) as following:
            assert following.finish(10) == 0
        assert tracking.taken == names

    def test_the_same_again_is_one_mark(self, outbox: Journal, tmp_path: Path) -> None:
        tracking = _Listed()
        put(outbox, a_run())
        for _ in range(3):
            fill(outbox, 2)
        put(outbox, (began("n0", 1), [("loss", 1.0, 0, 0)]))
        fill(outbox, 1)
        with feeding(outbox, tmp_path, tracking) as feeder:
            assert feeder.finish(10) == 0
        assert tracking.taken == ["", "n1", "n0", "n0"]
