"""From the journal's outbox to the tracking server: in order, in the background, until it has arrived.

The outbox is at-least-once: a mark may be handed over again after a lost response or a killed
process, so whatever consumes it must be idempotent.
"""

from __future__ import annotations

import fcntl
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING

from orchestration.secrets import redact
from orchestration.tracking.runs import MlflowTracking

if TYPE_CHECKING:
    from orchestration.journal import Journal
    from orchestration.settings import Settings

POLL_SECONDS = 0.5
FLUSH_POLL_SECONDS = 0.05
FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
PATIENCE_SECONDS = 5.0
STOP_SECONDS = 5.0


class OutboxFeeder:
    """A background thread that empties an outbox into a tracking server.

    It never blocks the caller and never raises into it. While the server is away it waits, longer
    each time up to 10 s, and goes on where it stopped; what is still in the outbox when the process
    ends is delivered by the next feeder on the same outbox.

    Args:
        outbox: The journal; new marks are noticed within half a second.
        settings: Tells where MLflow is, and the folder of the lock that one process has at a time.

    Attributes:
        trouble: Why delivery does not go on just now, secrets masked; None while it does.
        rejected: What the server refused for good, one line each; it was passed over.
    """

    def __init__(self, outbox: Journal, settings: Settings) -> None:
        self.trouble: str | None = None
        self.rejected: list[str] = []
        self._outbox = outbox
        self._settings = settings
        self._stopping = False
        self._called = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True, name="headrace-tracking")

    @cached_property
    def tracking(self) -> MlflowTracking:
        """What is fed; made when there is something to deliver."""
        return MlflowTracking(self._settings, self._outbox)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self, timeout: float) -> int:
        """Wait until everything has arrived, but not longer than 5 s for a server that is away; stop.

        The mark just being delivered is waited for five seconds more.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            How many marks are left; if any are, :attr:`trouble` may say why.
        """
        began = time.monotonic()
        self._called.set()
        while self._outbox.pending(1):
            waited = time.monotonic() - began
            if waited > timeout or (self.trouble and waited > PATIENCE_SECONDS):
                break
            time.sleep(FLUSH_POLL_SECONDS)
        self._stopping = True
        self._called.set()
        self._thread.join(STOP_SECONDS)
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
            self._settings.home.mkdir(parents=True, exist_ok=True)
            with (self._settings.home / "tracking.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # one process at a time delivers on this machine
                # Read again: another one may have delivered what was there.
                for mark in self._outbox.pending():
                    if self._stopping:
                        return
                    refused = self.tracking.deliver(mark)
                    self.rejected += [redact(f"{mark.node or 'run'} of {mark.run}: {why}") for why in refused]
                    self.trouble = None
                    self._outbox.delivered(mark)
