"""The scheduler: starts pipelines when their cron expression says so, in their own time zone.

The times come from CronSim, which follows Debian's cron: Sunday is 0 and 7; a time that a change of
the clocks leaves out is made up for as soon as the clock has jumped; a time that comes twice is
taken once.
"""

from __future__ import annotations

import difflib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from orchestration.errors import ConfigurationError
from orchestration.interrupt import interruptible
from orchestration.records import RunState

if TYPE_CHECKING:
    from orchestration.journal import Journal

# How often the clock is looked at while nothing is due: it may be set, or the machine may have slept.
_LOOK_SECONDS = 30.0
_MOST_MISSED = 1_000
_RUNS_LOOKED_AT = 200


class CatchUp(StrEnum):
    """What happens to times that passed while no scheduler was running."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


class Decision(StrEnum):
    """What became of a due time."""

    STARTED = "STARTED"
    OVERLAPPED = "OVERLAPPED"
    MISSED = "MISSED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class ScheduledPipeline:
    """A pipeline and when it is to run.

    Attributes:
        name: Name of the pipeline.
        file: The pipeline's file.
        schedule: Cron expression: minute, hour, day of month, month, day of week (0 is Sunday);
            six fields have seconds in front.
        timezone: IANA name of the zone the expression speaks of.
        catch_up: What to do about times that passed while no scheduler was running: ``latest`` starts
            one run for the newest of them, ``all`` one for each (the newest 1,000), ``none`` leaves them.

    Raises:
        ConfigurationError: The expression or the zone is wrong, or it means no time at all.
    """

    name: str
    file: str
    schedule: str
    timezone: str = "UTC"
    catch_up: CatchUp = CatchUp.LATEST

    def __post_init__(self) -> None:
        zone = _zone(self)
        try:
            next(CronSim(self.schedule, datetime.now(zone)))
        except (CronSimError, StopIteration, OverflowError) as error:
            raise ConfigurationError(
                f"the schedule of pipeline {self.name} is not a cron expression that comes true",
                expected='minute hour day month weekday, as in "0 3 * * *" or "*/15 8-17 * * MON-FRI"',
                received=f'"{self.schedule}": {str(error) or "it never comes"}',
            ) from error


@dataclass(frozen=True)
class Firing:
    """A due time and what became of it."""

    entry: ScheduledPipeline
    due: datetime
    decision: Decision
    reason: str = ""


def next_times(entry: ScheduledPipeline, after: datetime, n: int) -> list[datetime]:
    """Return the next ``n`` times after a moment, in the pipeline's zone.

    Args:
        entry: The pipeline.
        after: A moment with a time zone; it is not itself among the times.
        n: How many.
    """
    return list(islice(CronSim(entry.schedule, after.astimezone(_zone(entry))), n))


def missed_times(entry: ScheduledPipeline, after: datetime, until: datetime) -> list[datetime]:
    """Return the times after one moment up to another, oldest first, the newest 1,000 at most."""
    # The iterator leaves out the moment it starts from, going back as well.
    start = (until + timedelta(seconds=1)).astimezone(_zone(entry))
    back = CronSim(entry.schedule, start, reverse=True)
    passed = takewhile(lambda due: due > after, (due for due in back if due <= until))
    return list(islice(passed, _MOST_MISSED))[::-1]


def _zone(entry: ScheduledPipeline) -> ZoneInfo:
    try:
        return ZoneInfo(entry.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = difflib.get_close_matches(entry.timezone, available_timezones(), n=1)
        raise ConfigurationError(
            f"the time zone of pipeline {entry.name} is unknown",
            expected=close[0] if close else "an IANA name, such as Europe/Berlin",
            received=entry.timezone,
        ) from error


class RunHistory:
    """What the journal knows about scheduled runs, as :class:`Scheduler` asks for it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def last(self, entry: ScheduledPipeline) -> datetime | None:
        """Return the newest due time that a run was started for."""
        runs = self._journal.runs(pipeline=entry.name, limit=_RUNS_LOOKED_AT)
        due = [str(run.options.get("scheduled_for") or "") for run in runs]
        return max((datetime.fromisoformat(text) for text in due if text), default=None)

    def busy(self, entry: ScheduledPipeline) -> str | None:
        """Tell which run of the pipeline is going, started by anybody."""
        self._journal.mark_interrupted()
        going = self._journal.runs(pipeline=entry.name, states=[RunState.RUNNING], limit=1)
        return f"run {going[0].id} is still going" if going else None


class Scheduler:
    """Starts pipelines when they are due, each in a thread of its own, never two runs of one at a time.

    A time that comes while the pipeline's last run is still going is skipped (with ``catch_up="all"``
    it waits instead). A run that fails does not touch the schedule.

    Args:
        entries: The pipelines.
        start: Runs a pipeline for a due time and returns when it has ended.
        last: Tells the newest due time that was handled earlier, by any scheduler; None if there was
            none. Without it nothing from before the start is made up for.
        busy: Tells why a pipeline cannot start now (another run of it is going); None if it can.
        record: Hears what became of every due time; told on standard error when None.
        clock: Tells the time, with a time zone.
    """

    def __init__(
        self,
        entries: Iterable[ScheduledPipeline],
        start: Callable[[ScheduledPipeline, datetime], object],
        *,
        last: Callable[[ScheduledPipeline], datetime | None] = lambda _entry: None,
        busy: Callable[[ScheduledPipeline], str | None] = lambda _entry: None,
        record: Callable[[Firing], None] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lanes = [_Lane(entry, start, busy, record or _say) for entry in entries]
        self._last = last
        self._clock = clock
        # Unlike an event's lock, a simple queue may be used by a handler that interrupts its own thread.
        self._asked: SimpleQueue[None] = SimpleQueue()

    def run(self) -> None:
        """Start what is due until :meth:`stop`, SIGTERM or Ctrl-C; then wait for the runs still going.

        A second signal does not wait for them.
        """
        began = self._clock()
        seen = {lane: self._last(lane.entry) or began for lane in self._lanes}
        with interruptible(self.stop):
            wait = 0.0
            while not self._is_asked(wait):
                now = self._clock()
                for lane in self._lanes:
                    due = missed_times(lane.entry, seen[lane], now)
                    if due:
                        seen[lane] = due[-1]
                        lane.arrive(due, now)
                wait = self._idle(now)
            self._drain()

    def stop(self) -> None:
        """Start nothing more; :meth:`run` returns when the runs still going have ended.

        Asked again, it does not wait for them.
        """
        self._asked.put(None)

    def _is_asked(self, seconds: float) -> bool:
        """Tell whether :meth:`stop` was called, once for each call; wait so long for it."""
        try:
            self._asked.get(timeout=seconds)
        except Empty:
            return False
        return True

    def _idle(self, now: datetime) -> float:
        """Return the seconds until the next due time, or until the clock should be looked at again."""
        coming = [due for lane in self._lanes for due in next_times(lane.entry, now, 1)]
        left = (min(coming) - now).total_seconds() if coming else _LOOK_SECONDS
        return min(max(left, 0.0), _LOOK_SECONDS)

    def _drain(self) -> None:
        for lane in self._lanes:
            lane.close()
        while any(lane.going for lane in self._lanes) and not self._is_asked(0.1):
            pass


def _say(firing: Firing) -> None:
    reason = f"  {firing.reason}" if firing.reason else ""
    line = f"{firing.due.isoformat()}  {firing.entry.name}  {firing.decision.lower()}{reason}"
    print(line, file=sys.stderr, flush=True)


class _Lane:
    """One pipeline's due times, worked off one at a time."""

    def __init__(
        self,
        entry: ScheduledPipeline,
        start: Callable[[ScheduledPipeline, datetime], object],
        busy: Callable[[ScheduledPipeline], str | None],
        record: Callable[[Firing], None],
    ) -> None:
        self.entry = entry
        self.going = False
        self._start = start
        self._busy = busy
        self._record = record
        self._waiting: deque[datetime] = deque()
        self._lock = threading.Lock()

    def arrive(self, due: list[datetime], now: datetime) -> None:
        """Decide about due times, oldest first, that have come since the last look."""
        wanted = self._wanted(due, now)
        for passed in due[: len(due) - len(wanted)]:
            self._tell(passed, Decision.MISSED, "no scheduler was running, or the machine slept")
        with self._lock:
            keep = not self.going or self.entry.catch_up is CatchUp.ALL
            if keep:
                self._waiting.extend(wanted)
            begin = keep and bool(wanted) and not self.going
            self.going = self.going or begin
        if not keep:
            for passed in wanted:
                self._tell(passed, Decision.OVERLAPPED, "the run before is still going")
        if begin:
            threading.Thread(target=self._work, daemon=True, name=f"schedule-{self.entry.name}").start()

    def _wanted(self, due: list[datetime], now: datetime) -> list[datetime]:
        if self.entry.catch_up is CatchUp.ALL:
            return due
        just_come = now - due[-1] <= timedelta(seconds=2 * _LOOK_SECONDS)
        return due[-1:] if just_come or self.entry.catch_up is CatchUp.LATEST else []

    def close(self) -> None:
        """Forget what is waiting; the next scheduler makes up for it."""
        with self._lock:
            self._waiting.clear()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self.going = False
                    return
                due = self._waiting.popleft()
            self._run(due)

    def _run(self, due: datetime) -> None:
        try:
            reason = self._busy(self.entry)
            if reason:
                self._tell(due, Decision.OVERLAPPED, reason)
                return
            self._tell(due, Decision.STARTED, "")
            self._start(self.entry, due)
        except Exception as error:  # noqa: BLE001 - one pipeline's trouble must not end the others' schedule
            self._tell(due, Decision.FAILED, f"{type(error).__name__}: {error}")

    def _tell(self, due: datetime, decision: Decision, reason: str) -> None:
        self._record(Firing(self.entry, due, decision, reason))
