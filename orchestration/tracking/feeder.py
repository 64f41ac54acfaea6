"""From the journal's outbox to the tracking server: in order, in the background, until it has arrived.

The outbox is at-least-once: an event may be handed over again after a lost response or a killed
process, so whatever consumes it must be idempotent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestration.secrets import redact
from orchestration.tracking.values import RefusedError

if TYPE_CHECKING:
    from orchestration.journal import Journal
    from orchestration.tracking.runs import MlflowTracking

POLL_SECONDS = 0.5
FLUSH_POLL_SECONDS = 0.05
FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
PATIENCE_SECONDS = 5.0


class OutboxFeeder:
    """A background thread that empties an outbox into a tracking server.

    It never blocks the caller and never raises into it. While the server is away it waits, longer
    each time up to 10 s, and goes on where it stopped; what is still in the outbox when the process
    ends is delivered by the next feeder on the same outbox.

    Args:
        outbox: The journal; new events are noticed within half a second.
        tracking_factory: Makes the consumer. While another process holds its lock, that one delivers.

    Attributes:
        trouble: Why delivery does not go on just now, secrets masked; None while it does.
        rejected: Events the server refused for good, one line each; they were passed over.
    """

    def __init__(self, outbox: Journal, tracking_factory: Callable[[], MlflowTracking]) -> None:
        self.trouble: str | None = None
        self.rejected: list[str] = []
        self._outbox = outbox
        self._tracking = tracking_factory()
        self._stopping = False
        self._called = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True, name="headrace-tracking")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def flush(self, timeout: float) -> bool:
        """Wait until the outbox is empty, but not longer than 5 s for a server that is away.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether everything has arrived; if not, :attr:`trouble` says why.
        """
        began = time.monotonic()
        self._called.set()
        while self._outbox.pending(1):
            waited = time.monotonic() - began
            if waited > timeout or (self.trouble and waited > PATIENCE_SECONDS):
                return False
            time.sleep(FLUSH_POLL_SECONDS)
        return True

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop after the event now being delivered; tells whether the thread has ended in time."""
        self._stopping = True
        self._called.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def finish(self, timeout: float) -> int:
        """Wait as :meth:`flush` does, stop, and return how many events are left."""
        self.flush(timeout)
        self.stop()
        return len(self._outbox.pending())

    def _loop(self) -> None:
        delay = 0.0
        while not self._stopping:
            self._called.clear()
            try:
                self._empty_outbox()
                self.trouble, delay = None, 0.0
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the run
                self.trouble = redact(f"{type(error).__name__}: {error}")
                delay = min(max(2 * delay, FIRST_DELAY), LONGEST_DELAY)
            if self._called.wait(delay or POLL_SECONDS):
                delay = 0.0  # somebody waits for the end of the queue

    def _empty_outbox(self) -> None:
        while self._outbox.pending(1):
            with self._tracking.exclusive():
                # Read again: another process may have delivered what was there.
                for number, event in self._outbox.pending():
                    if self._stopping:
                        return
                    try:
                        self._tracking.deliver(event)
                    except RefusedError as error:
                        self.rejected.append(redact(f"{event['kind']} of {event['run_id']}: {error}"))
                    self.trouble = None
                    self._outbox.delivered([number])
