"""From the journal's outbox to the tracking server: in order, in the background, until it has arrived.

The outbox is at-least-once: an event may be handed over again after a lost response or a killed
process, so whatever consumes it must be idempotent.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from orchestration.secrets import redact
from orchestration.tracking.values import RefusedError

Event = dict[str, Any]

_BATCH = 500
_POLL_SECONDS = 1.0
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
# Somebody waits for the end of the queue: ask the server more often.
_LONGEST_DELAY_IN_FLUSH = 0.5


class Outbox(Protocol):
    """Events in the order they happened."""

    def pending(self, limit: int) -> list[tuple[int, Event]]:
        """Return the oldest events not yet delivered, with their numbers."""
        ...

    def delivered(self, ids: list[int]) -> None:
        """Forget events that have arrived."""
        ...


class Tracking(Protocol):
    """Where events go."""

    def deliver(self, event: Event) -> None:
        """Take an event in; again and again with the same effect.

        Raises:
            RefusedError: The event can never be taken in.
            Exception: It may work later.
        """
        ...

    def exclusive(self) -> AbstractContextManager[bool]:
        """Hold the right to deliver; yields False while another process has it."""
        ...


class OutboxFeeder:
    """A background thread that empties an outbox into a tracking server.

    It never blocks the caller and never raises into it. While the server is away it waits, longer
    each time up to 10 s, and goes on where it stopped; what is still in the outbox when the process
    ends is delivered by the next feeder on the same outbox.

    Args:
        outbox: Where events come from.
        tracking_factory: Makes the consumer; called in the thread, when there is something to deliver.
        exclusive: Held while delivering, so that two processes do not deliver the same events at the
            same time; the consumer's own lock when None.
    """

    def __init__(
        self,
        outbox: Outbox,
        tracking_factory: Callable[[], Tracking],
        *,
        exclusive: Callable[[], AbstractContextManager[bool]] | None = None,
    ) -> None:
        self._outbox = outbox
        self._factory = tracking_factory
        self._exclusive = exclusive
        self._tracking: Tracking | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._woken = False
        self._asked = 0
        self._answered = 0
        self._thread = threading.Thread(target=self._loop, daemon=True, name="headrace-tracking")
        self.trouble: str | None = None
        """Why delivery does not go on just now, secrets masked; None while it does."""
        self.rejected: list[str] = []
        """Events the server refused for good, one line each; they were passed over."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that there are new events; without it they are noticed within a second."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until every event posted so far has arrived.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether they all have; if not, :attr:`trouble` says why.
        """
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._answered >= mine, timeout)

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop after the event now being delivered; tells whether the thread has ended in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    # --- in the thread ---------------------------------------------------------------------------

    def _loop(self) -> None:
        delay = 0.0
        while not self._stopping:
            asked = self._asked
            self._woken = False
            try:
                empty = self._empty_outbox()
                self.trouble, delay = None, 0.0
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the run
                empty = False
                self.trouble = redact(f"{type(error).__name__}: {error}")
                delay = min(max(delay * 2, _FIRST_DELAY), _LONGEST_DELAY)
            if empty:
                self._answer(asked)
            self._wait(delay, other_has_it=not empty and not delay)

    def _answer(self, asked: int) -> None:
        with self._changed:
            self._answered = asked
            self._changed.notify_all()

    def _wait(self, delay: float, *, other_has_it: bool) -> None:
        with self._changed:
            if delay:
                longest = _LONGEST_DELAY_IN_FLUSH if self._waited_for() else _LONGEST_DELAY
                self._pause(min(delay, longest) * random.uniform(0.8, 1.2))
            elif other_has_it:
                self._changed.wait_for(lambda: self._stopping, _FIRST_DELAY)
            else:
                self._changed.wait_for(
                    lambda: self._stopping or self._woken or self._waited_for(), _POLL_SECONDS
                )

    def _pause(self, seconds: float) -> None:
        """Back off; a flush that begins meanwhile shortens it once."""
        waited_for = self._waited_for()
        until = time.monotonic() + seconds
        self._changed.wait_for(
            lambda: self._stopping or (not waited_for and self._waited_for()), until - time.monotonic()
        )

    def _waited_for(self) -> bool:
        return self._asked > self._answered

    def _empty_outbox(self) -> bool:
        """Deliver until nothing is left; False if stopped, or if another process is delivering."""
        while self._outbox.pending(1):
            tracking = self._tracking = self._tracking or self._factory()
            with (self._exclusive or tracking.exclusive)() as mine:
                if not mine or not self._deliver(tracking, self._outbox.pending(_BATCH)):
                    return False
        return True

    def _deliver(self, tracking: Tracking, rows: list[tuple[int, Event]]) -> bool:
        arrived: list[int] = []
        try:
            for ids, event in coalesce(rows):
                if self._stopping:
                    return False
                try:
                    tracking.deliver(event)
                except RefusedError as error:
                    self.rejected.append(redact(f"{event.get('kind')} of {event.get('run_id')}: {error}"))
                arrived += ids
        finally:
            if arrived:
                self._outbox.delivered(arrived)
        return True


def coalesce(rows: Iterable[tuple[int, Event]]) -> Iterator[tuple[list[int], Event]]:
    """Yield events with their numbers, neighbouring ``metrics`` events of one attempt made one.

    Metrics of different attempts may change places, nothing else does.
    """
    groups: dict[tuple[Any, ...], tuple[list[int], Event]] = {}
    for number, event in rows:
        if event.get("kind") != "metrics":
            yield from groups.values()
            groups = {}
            yield [number], event
            continue
        key = (event["run_id"], event["node"], event["attempt"])
        if key in groups:
            groups[key][0].append(number)
            groups[key][1]["metrics"].extend(event["metrics"])
        else:
            groups[key] = ([number], {**event, "metrics": list(event["metrics"])})
    yield from groups.values()
