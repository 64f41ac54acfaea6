"""A worker's result or its error, as a value: a raised error would come back inside Beam's traceback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestration import HeadraceError
from orchestration.errors import user_line


@dataclass(frozen=True)
class Failed:
    """An error on its way from a worker to the driver, which raises it."""

    error: HeadraceError


def guarded(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``work`` returns, or :class:`Failed`."""
    try:
        return work(*arguments)
    except HeadraceError as error:
        return Failed(error)


def value_of(outcome: Any) -> Any:
    """Return the value of an outcome.

    Raises:
        HeadraceError: The worker failed with it.
    """
    if isinstance(outcome, Failed):
        outcome.error.at = outcome.error.at or user_line()
        raise outcome.error
    return outcome
