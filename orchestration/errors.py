"""Errors that teach: what is wrong, expected, received, where, and the command to run next."""

from __future__ import annotations

import difflib
import inspect
import linecache
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

_OWN = tuple(f"{Path(__file__).parents[1] / name}/" for name in ("orchestration", "components"))
_LIBRARIES = ("/site-packages/", "/dist-packages/", f"{sysconfig.get_path('stdlib')}/")


@dataclass(eq=False, repr=False)
class HeadraceError(Exception):
    """An error a user can act on.

    Args:
        headline: One sentence that says what is wrong.
        expected: What would have been right.
        received: What was there instead.
        at: The user's own place, ``file:line  source``; found from the stack when None.
        next: The command or the change to try next.
    """

    exit_code: ClassVar[int] = 1

    headline: str
    _: KW_ONLY
    expected: str | None = None
    received: str | None = None
    at: str | None = None
    next: str | None = None

    def __post_init__(self) -> None:
        self.at = user_line() if self.at is None else self.at

    def __str__(self) -> str:
        text = self.headline
        for name in ("expected", "received", "at", "next"):
            if value := getattr(self, name):
                text += f"\n  {name:<9} " + str(value).replace("\n", f"\n{'':<12}")
        return text


class PipelineError(HeadraceError):
    """The pipeline or its arguments are wrong; found before anything runs."""

    exit_code = 2


class ArgumentError(PipelineError):
    """An argument is missing, unknown, of the wrong type or outside its range."""


class ArtifactTypeError(PipelineError):
    """An edge joins an output to an input of another artifact type."""


class ConfigurationError(PipelineError):
    """headrace.toml, a profile or an environment variable cannot be used."""


class MissingExtraError(PipelineError):
    """A framework is asked for whose packages are not installed."""


class DataError(HeadraceError):
    """The data cannot be read or breaks a rule."""


class GateError(HeadraceError):
    """A gate did not pass, or has no evidence to pass on."""


class ArtifactError(HeadraceError):
    """A stored artifact is missing, damaged or not what its manifest says."""


class RunStateError(HeadraceError):
    """A run is not in a state that allows what was asked."""

    exit_code = 2


class SkipNode(Exception):  # noqa: N818 - a decision, not an error
    """Raised by a component that decides not to act: its node becomes SKIPPED, with this reason."""


def require(condition: bool, name: str, expected: str, received: object) -> None:
    """Refuse an argument that is out of range.

    Raises:
        ArgumentError: ``condition`` is false; the message names the argument, what was
            expected and what was received.
    """
    if not condition:
        headline = f'argument "{name}" is out of range'
        raise ArgumentError(headline, expected=expected, received=f"{name}={received!r}")


def told(value: object) -> str:
    """Return a value's type and text, short enough for an error."""
    return f"{type(value).__name__} {value!r}"[:200]


def did_you_mean(word: str, known: Iterable[str], form: str = "{}") -> str | None:
    """Return a question that offers the known word closest to a mistyped one, if any comes close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {form.format(close[0])}?" if close else None


def user_line(trace: TracebackType | None = None) -> str | None:
    """Return ``file:line  source`` of the innermost frame of the user's own code, if any.

    Args:
        trace: The traceback to look through; the caller's stack when None.
    """
    frames = reversed([*traceback.walk_tb(trace)]) if trace else traceback.walk_stack(sys._getframe(1))
    for frame, line in frames:
        # By its module: generated code has no file of its own.
        is_own = str(frame.f_globals.get("__file__")).startswith(_OWN)
        if not is_own and not is_library(frame.f_code.co_filename):
            return place(frame.f_code.co_filename, line)
    return None


def is_library(file: str) -> bool:
    """Return whether a file is Python's or an installed package's; a notebook's cell is neither."""
    if file.startswith("<"):
        return file not in linecache.cache
    return any(folder in file for folder in _LIBRARIES)


def definition(function: Callable[..., Any]) -> str:
    """Return ``file:line  source`` of a function's ``def``, below its decorators."""
    code = inspect.unwrap(function).__code__
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    below = (i for i, text in enumerate(lines) if f"def {code.co_name}" in text)
    return place(code.co_filename, code.co_firstlineno + next(below, 0))


def place(file: str, line: int) -> str:
    """Return ``file:line  source``, the file relative to the working directory where it lies below it."""
    path = Path(file).resolve()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(file)
    return f"{shown.as_posix()}:{line}  {linecache.getline(file, line).strip()}".rstrip()
