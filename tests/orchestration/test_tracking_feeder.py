"""The outbox is emptied in order, in the background, whatever the server does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestration.journal import Journal
from orchestration.tracking import MlflowTracking, OutboxFeeder, RefusedError
from tests.orchestration.mlflow_events import RUN, settings, snapshot, whole_run

Event = dict[str, Any]


class _Listed:
    """A tracking that writes down what it gets, and fails when told to."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.down = False
        self.refuses: set[str] = set()
        self.lock = threading.Lock()
        self.hold = threading.Event()
        self.hold.set()

    def deliver(self, event: Event) -> None:
        self.hold.wait()
        if self.down:
            raise ConnectionError("the server at https://me:hunter22@host is away")
        if event["kind"] in self.refuses:
            raise RefusedError("not like this")
        self.taken.append(event)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self.lock:
            yield


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
    yield journal
    journal.close()


@contextmanager
def feeding(outbox: Journal, tracking: Any) -> Iterator[OutboxFeeder]:
    feeder = OutboxFeeder(outbox, lambda: tracking)
    feeder.start()
    try:
        yield feeder
    finally:
        tracking.hold.set()
        assert feeder.stop(10)


def kinds(count: int) -> list[Event]:
    return [{"kind": f"k{i}", "run_id": RUN} for i in range(count)]


class TestFeeder:
    def test_events_arrive_in_order_and_leave_the_outbox(self, outbox: Journal) -> None:
        tracking = _Listed()
        with feeding(outbox, tracking) as feeder:
            outbox.post(RUN, [*kinds(1_200)])
            assert feeder.flush(20)
        assert tracking.taken == kinds(1_200)
        assert outbox.pending(1) == []

    def test_an_empty_outbox_needs_no_mlflow(self, outbox: Journal, tmp_path: Path) -> None:
        feeder = OutboxFeeder(outbox, lambda: MlflowTracking(settings(tmp_path / "home")))
        feeder.start()
        assert feeder.flush(5)
        assert feeder.stop()
        assert feeder.trouble is None
        assert not (tmp_path / "home").exists()

    def test_a_server_that_is_away_blocks_nobody_and_loses_nothing(self, outbox: Journal) -> None:
        tracking = _Listed()
        tracking.down = True
        with feeding(outbox, tracking) as feeder:
            outbox.post(RUN, [*kinds(5)])
            assert not feeder.flush(0.5)
            troubles = [feeder.trouble]
            tracking.down = False
            assert feeder.flush(10)
            troubles.append(feeder.trouble)
        assert troubles == ["ConnectionError: the server at https://me:***@host is away", None]
        assert tracking.taken == kinds(5)

    def test_a_flush_does_not_wait_long_for_a_server_that_is_away(
        self, outbox: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orchestration.tracking.feeder.PATIENCE_SECONDS", 0.3)
        tracking = _Listed()
        tracking.down = True
        began = time.monotonic()
        with feeding(outbox, tracking) as feeder:
            outbox.post(RUN, [*kinds(1)])
            assert not feeder.flush(60)
            assert time.monotonic() - began < 10
            tracking.down = False
            assert feeder.flush(60)

    def test_a_refused_event_is_told_and_passed_over(self, outbox: Journal) -> None:
        tracking = _Listed()
        tracking.refuses = {"k1"}
        with feeding(outbox, tracking) as feeder:
            outbox.post(RUN, [*kinds(3)])
            assert feeder.flush(10)
            assert feeder.rejected == [f"k1 of {RUN}: not like this"]
        assert [event["kind"] for event in tracking.taken] == ["k0", "k2"]

    def test_two_processes_do_not_deliver_at_the_same_time(self, outbox: Journal) -> None:
        tracking = _Listed()
        with feeding(outbox, tracking) as feeder:
            with tracking.lock:
                outbox.post(RUN, [*kinds(2)])
                assert not feeder.flush(0.6)
                assert tracking.taken == []
                outbox.delivered([outbox.pending(1)[0][0]])
            assert feeder.flush(10)
        assert tracking.taken == kinds(2)[1:]

    def test_stop_comes_between_two_events_and_the_next_feeder_goes_on(self, outbox: Journal) -> None:
        tracking = _Listed()
        tracking.hold.clear()
        told: Any = tracking
        feeder = OutboxFeeder(outbox, lambda: told)
        outbox.post(RUN, [*kinds(10)])
        feeder.start()
        assert not feeder.flush(0.3)
        assert not feeder.stop(0.1)
        tracking.hold.set()
        assert feeder.stop(10)
        assert len(tracking.taken) <= 1
        with feeding(outbox, tracking) as following:
            assert following.flush(10)
        assert tracking.taken == kinds(10)

    def test_the_lock_keeps_another_process_out(self, tmp_path: Path) -> None:
        one, other = MlflowTracking(settings(tmp_path)), MlflowTracking(settings(tmp_path))
        mine = threading.Event()

        def wait() -> None:
            with other.exclusive():
                mine.set()

        thread = threading.Thread(target=wait)
        with one.exclusive():
            thread.start()
            assert not mine.wait(0.3)
        assert mine.wait(10)
        thread.join()

    def test_events_survive_the_journal(self, outbox: Journal, tmp_path: Path) -> None:
        home, direct = tmp_path / "home", tmp_path / "direct"
        events = whole_run(tmp_path)
        outbox.post(RUN, [*events])
        feeder = OutboxFeeder(outbox, lambda: MlflowTracking(settings(home)))
        feeder.start()
        assert feeder.flush(60), feeder.trouble
        assert feeder.stop(10)
        assert feeder.rejected == []
        tracking = MlflowTracking(settings(direct))
        for event in json.loads(json.dumps(events)):
            tracking.deliver(event)
        assert snapshot(settings(home).tracking) == snapshot(settings(direct).tracking)
