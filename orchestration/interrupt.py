"""Ctrl-C and SIGTERM as a wish: work that goes on is ended in order, or at once when asked twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible(asked: threading.Event, again: Callable[[], object]) -> Iterator[None]:
    """Handle both signals inside the context, where that is possible: in the main thread.

    Args:
        asked: Set by the first signal.
        again: Called at every further one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(_number: int, _frame: object) -> None:
        if asked.is_set():
            again()
        asked.set()

    before: dict[int, Any] = {n: signal.signal(n, ask) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
