"""Ctrl-C and SIGTERM as a wish: work that goes on is ended in order, or at once when asked twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def interruptible(asked: threading.Event, again: Callable[[], object]) -> Iterator[None]:
    """Handle both signals inside the context, where that is possible: in the main thread.

    Args:
        asked: Set by the first signal.
        again: Called at every further one.
    """

    def ask(_number: int, _frame: object) -> None:
        if asked.is_set():
            again()
        asked.set()

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, number, signal.signal(number, ask))
        yield
