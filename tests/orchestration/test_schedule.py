"""Schedules: times as Debian's cron has them, no overlap, catching up, an orderly end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from orchestration.errors import ConfigurationError
from orchestration.journal import Journal
from orchestration.records import Run, RunState
from orchestration.schedule import (
    CatchUp,
    Decision,
    Firing,
    RunHistory,
    ScheduledPipeline,
    Scheduler,
    missed_times,
    next_times,
)

ROOT = Path(__file__).resolve().parents[2]
EVERY_SECOND = "* * * * * *"


def entry(schedule: str, timezone: str = "UTC", catch_up: CatchUp = CatchUp.LATEST) -> ScheduledPipeline:
    return ScheduledPipeline("taxi", "pipelines/taxi.py", schedule, timezone, catch_up)


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


class TestTimes:
    @pytest.mark.parametrize(
        ("schedule", "after", "expected"),
        [
            # 2:00 to 3:00 does not exist on 8 March 2026: made up for at 3:00.
            ("30 2 * * *", "2026-03-07T12:00", ["2026-03-08T03:00:00-05:00", "2026-03-09T02:30:00-05:00"]),
            # 1:00 to 2:00 comes twice on 1 November 2026: taken once.
            ("30 1 * * *", "2026-10-31T12:00", ["2026-11-01T01:30:00-05:00", "2026-11-02T01:30:00-06:00"]),
            # What runs every hour runs in both of them.
            ("0 * * * *", "2026-11-01T00:30", ["2026-11-01T01:00:00-05:00", "2026-11-01T01:00:00-06:00"]),
            ("0 3 * * *", "2026-11-22T12:00", ["2026-11-23T03:00:00-06:00", "2026-11-24T03:00:00-06:00"]),
            # 0 and 7 are Sunday.
            ("0 3 * * 0", "2026-11-22T12:00", ["2026-11-29T03:00:00-06:00", "2026-12-06T03:00:00-06:00"]),
            # Day of month or weekday, whichever comes.
            ("0 3 13 * 5", "2026-11-06T12:00", ["2026-11-13T03:00:00-06:00", "2026-11-20T03:00:00-06:00"]),
        ],
    )
    def test_next_times_in_chicago(self, schedule: str, after: str, expected: list[str]) -> None:
        zone = "America/Chicago"
        found = next_times(entry(schedule, zone), local(after, zone), 2)
        assert [due.isoformat() for due in found] == expected

    def test_the_moment_may_be_told_in_any_zone(self) -> None:
        found = next_times(entry("0 3 * * *", "America/Chicago"), datetime(2026, 11, 22, 9, 0, tzinfo=UTC), 1)
        assert found == [datetime(2026, 11, 23, 9, 0, tzinfo=UTC)]

    schedules = st.sampled_from(["*/20 * * * *", "30 1 * * *", "15 2 * * *", "0 3 * * 1-5", "0 0 1 * *"])
    zones = st.sampled_from(["America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])
    starts = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001

    @given(schedules, zones, starts)
    def test_times_rise_and_can_be_taken_one_by_one(self, schedule: str, zone: str, after: datetime) -> None:
        planned = next_times(entry(schedule, zone), after, 12)
        assert all(
            one.timestamp() < other.timestamp()
            for one, other in zip([after, *planned], planned, strict=False)
        )
        step, last = [], after
        for _ in planned:
            last = next_times(entry(schedule, zone), last, 1)[0]
            step.append(last)
        assert [due.timestamp() for due in step] == [due.timestamp() for due in planned]

    @given(schedules, zones, starts)
    def test_what_was_missed_is_what_would_have_come(self, schedule: str, zone: str, after: datetime) -> None:
        planned = next_times(entry(schedule, zone), after, 12)
        missed = missed_times(entry(schedule, zone), after, planned[-1])
        assert [due.timestamp() for due in missed] == [due.timestamp() for due in planned]
        assert missed_times(entry(schedule, zone), planned[-1], planned[-1]) == []

    def test_a_long_pause_is_bounded(self) -> None:
        end = datetime(2027, 1, 1, tzinfo=UTC)
        missed = missed_times(entry("* * * * *"), end - timedelta(days=365), end)
        assert (len(missed), missed[-1]) == (1_000, end)

    @pytest.mark.parametrize(
        "schedule", ["", "0 3 * *", "61 * * * *", "@daily", "0 0 31 2 *", "0 3 * * * * *"]
    )
    def test_what_is_no_schedule_is_refused(self, schedule: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            entry(schedule)
        assert "pipeline taxi" in str(caught.value)
        assert f'"{schedule}"' in str(caught.value)

    def test_an_unknown_zone_names_the_nearest(self) -> None:
        with pytest.raises(ConfigurationError, match="expected  America/Chicago"):
            entry("0 3 * * *", "America/Chicgo")


class _Clock:
    """A clock that a test sets; looking at it ends the scheduler when the times run out."""

    def __init__(self, *times: datetime) -> None:
        self.times = list(times)
        self.scheduler: Scheduler | None = None

    def __call__(self) -> datetime:
        if len(self.times) == 1 and self.scheduler is not None:
            self.scheduler.stop()
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def run_at(
    planned: ScheduledPipeline, now: datetime, last: datetime | None
) -> tuple[list[datetime], list[Firing]]:
    """Run a scheduler that looks at the clock once; return what it started and what it told."""
    started: list[datetime] = []
    told: list[Firing] = []
    clock = _Clock(now, now)
    scheduler = Scheduler(
        [planned],
        lambda _entry, due: started.append(due),
        last=lambda _entry: last,
        record=told.append,
        clock=clock,
    )
    clock.scheduler = scheduler
    scheduler.run()
    return started, told


NOW = datetime(2026, 11, 22, 12, 0, 5, tzinfo=UTC)


class TestCatchUp:
    def test_latest_makes_up_for_the_newest_and_tells_of_the_others(self) -> None:
        started, told = run_at(entry("0 * * * *"), NOW, NOW - timedelta(hours=3))
        assert started == [datetime(2026, 11, 22, 12, tzinfo=UTC)]
        assert [(firing.due.hour, firing.decision) for firing in told] == [
            (10, Decision.MISSED),
            (11, Decision.MISSED),
            (12, Decision.STARTED),
        ]

    def test_all_makes_up_for_each_in_order(self) -> None:
        started: list[datetime] = []
        done = threading.Event()

        def start(_entry: ScheduledPipeline, due: datetime) -> None:
            started.append(due)
            if len(started) == 3:
                done.set()

        planned = entry("0 * * * *", catch_up=CatchUp.ALL)
        scheduler = Scheduler([planned], start, last=lambda _e: NOW - timedelta(hours=3), clock=lambda: NOW)
        thread = threading.Thread(target=scheduler.run)
        thread.start()
        assert done.wait(10)
        scheduler.stop()
        thread.join(10)
        assert [due.hour for due in started] == [10, 11, 12]

    def test_none_leaves_old_times_and_takes_one_that_has_just_come(self) -> None:
        planned = entry("0 * * * *", catch_up=CatchUp.NONE)
        assert run_at(planned, NOW, NOW - timedelta(hours=3))[0] == [datetime(2026, 11, 22, 12, tzinfo=UTC)]
        later = NOW + timedelta(minutes=30)
        started, told = run_at(planned, later, NOW - timedelta(hours=3))
        assert started == []
        assert {firing.decision for firing in told} == {Decision.MISSED}

    def test_the_first_scheduler_ever_makes_up_for_nothing(self) -> None:
        assert run_at(entry("0 * * * *"), NOW, None) == ([], [])


def started_thread(scheduler: Scheduler) -> threading.Thread:
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    return thread


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)


class TestRunning:
    def test_runs_do_not_overlap_and_skips_are_told(self) -> None:
        going, most, told = [0], [0], list[Firing]()
        free = threading.Event()

        def start(_entry: ScheduledPipeline, _due: datetime) -> None:
            going[0] += 1
            most[0] = max(most[0], going[0])
            free.wait(20)
            going[0] -= 1

        scheduler = Scheduler([entry(EVERY_SECOND)], start, record=told.append)
        thread = started_thread(scheduler)
        wait_for(lambda: sum(f.decision is Decision.OVERLAPPED for f in told) >= 2)
        free.set()
        wait_for(lambda: sum(f.decision is Decision.STARTED for f in told) >= 2)
        scheduler.stop()
        thread.join(10)
        assert most == [1]
        assert [firing.decision for firing in told][:3] == [
            Decision.STARTED,
            Decision.OVERLAPPED,
            Decision.OVERLAPPED,
        ]
        assert told[1].reason == "the run before is still going"

    def test_a_run_of_somebody_else_counts_as_overlap(self) -> None:
        told: list[Firing] = []
        started: list[datetime] = []
        scheduler = Scheduler(
            [entry(EVERY_SECOND)],
            lambda _entry, due: started.append(due),
            record=told.append,
            busy=lambda _entry: "run taxi-1 is still going",
        )
        thread = started_thread(scheduler)
        wait_for(lambda: told)
        scheduler.stop()
        thread.join(10)
        assert started == []
        assert (told[0].decision, told[0].reason) == (Decision.OVERLAPPED, "run taxi-1 is still going")

    def test_one_pipeline_does_not_hold_up_or_break_another(self) -> None:
        free = threading.Event()
        quick: list[datetime] = []
        told: list[Firing] = []

        def start(planned: ScheduledPipeline, due: datetime) -> None:
            if planned.name == "slow":
                free.wait(20)
            elif planned.name == "broken":
                raise ValueError("no such file")
            else:
                quick.append(due)

        planned = [ScheduledPipeline(name, "x.py", EVERY_SECOND) for name in ("slow", "broken", "quick")]
        scheduler = Scheduler(planned, start, record=told.append)
        thread = started_thread(scheduler)
        wait_for(lambda: len(quick) >= 2)
        free.set()
        scheduler.stop()
        thread.join(10)
        failures = [firing for firing in told if firing.decision is Decision.FAILED]
        assert failures[0].entry.name == "broken"
        assert failures[0].reason == "ValueError: no such file"

    def test_due_times_come_at_their_second(self) -> None:
        late: list[float] = []
        scheduler = Scheduler(
            [entry(EVERY_SECOND)], lambda _entry, due: late.append((datetime.now(UTC) - due).total_seconds())
        )
        thread = started_thread(scheduler)
        wait_for(lambda: len(late) >= 3)
        scheduler.stop()
        thread.join(10)
        assert all(0 <= seconds < 1 for seconds in late)


SCRIPT = """
import sys, time
from orchestration.schedule import ScheduledPipeline, Scheduler

def start(entry, due):
    print("begin", flush=True)
    time.sleep(float(sys.argv[1]))
    print("end", flush=True)

Scheduler([ScheduledPipeline("taxi", "taxi.py", "* * * * * *")], start).run()
print("over", flush=True)
"""


def scheduler_process(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_lets_the_run_end_and_starts_no_other(self, number: signal.Signals) -> None:
        process = scheduler_process(2)
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        process.send_signal(number)
        assert process.communicate(timeout=20)[0].splitlines() == ["end", "over"]
        assert process.returncode == 0

    def test_a_second_signal_does_not_wait(self) -> None:
        process = scheduler_process(60)
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            process.send_signal(signal.SIGTERM)  # two that come before the first is handled are one
            time.sleep(0.5)
        assert process.communicate(timeout=1)[0].splitlines() == ["over"]


class TestRunHistory:
    def test_the_journal_tells_the_last_due_time_and_who_is_going(self, tmp_path: Path) -> None:
        journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
        history = RunHistory(journal)
        assert history.last(entry("0 3 * * *")) is None
        assert history.busy(entry("0 3 * * *")) is None
        for day, planned in ((20, "2026-11-20T09:00:00+00:00"), (21, "2026-11-21T03:00:00-06:00"), (22, "")):
            run = Run(
                f"taxi-{day}",
                "taxi",
                "taxi.py",
                str(tmp_path),
                "local",
                {},
                {"scheduled_for": planned},
                {"nodes": []},
                RunState.RUNNING,
                time.time(),
                time.time(),
            )
            owner = journal.start_run(run)
            if day != 22:
                journal.finish_run(run.id, owner, RunState.SUCCEEDED)
        assert history.last(entry("0 3 * * *")) == datetime(2026, 11, 21, 9, tzinfo=UTC)
        assert history.busy(entry("0 3 * * *")) == "run taxi-22 is still going"
        assert history.busy(ScheduledPipeline("other", "x.py", "0 3 * * *")) is None
        journal.close()
