"""Errors that teach: what is wrong, expected, received, where, and the command to run next."""

from __future__ import annotations

import inspect
import linecache
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

_OWN_PACKAGES = ("orchestration", "components")
_LIBRARIES = (*(f"/{name}-packages/" for name in ("site", "dist")), f"{sysconfig.get_path('stdlib')}/")


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

    def __init__(
        self,
        headline: str,
        *,
        expected: str | None = None,
        received: str | None = None,
        at: str | None = None,
        next: str | None = None,
    ) -> None:
        super().__init__(headline)
        self.headline = headline
        self.expected = expected
        self.received = received
        self.at = at if at is not None else user_line()
        self.next = next

    def __str__(self) -> str:
        facts = {
            "expected": self.expected,
            "received": self.received,
            "at": self.at,
            "next": self.next,
        }
        lines = [self.headline]
        for name, value in facts.items():
            if value:
                first, *rest = str(value).splitlines() or [""]
                lines.append(f"  {name:<9} {first}")
                lines.extend(f"  {'':<9} {line}" for line in rest)
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        facts = (self.headline, self.expected, self.received, self.at, self.next)
        return (_rebuild, (type(self), *facts))


def _rebuild(
    kind: type[HeadraceError],
    headline: str,
    expected: str | None,
    received: str | None,
    at: str | None,
    next: str | None,
) -> HeadraceError:
    return kind(headline, expected=expected, received=received, at=at or "", next=next)


class PipelineError(HeadraceError):
    """The pipeline or its arguments are wrong; found before anything runs."""

    exit_code = 2


class ArgumentError(PipelineError):
    """An argument is missing, unknown, of the wrong type or outside its range."""


class ArtifactTypeError(PipelineError):
    """An edge joins an output to an input of another artifact type."""


class CycleError(PipelineError):
    """A node needs, directly or through others, its own output."""


class DuplicateNameError(PipelineError):
    """Two nodes of one pipeline carry the same name."""


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
        raise ArgumentError(
            f'argument "{name}" is out of range',
            expected=expected,
            received=f"{name}={received!r}",
        )


def user_line() -> str | None:
    """Return ``file:line  source`` of the innermost frame that is not Headrace's own, if any."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_own(frame.f_globals) and not is_library(file):
            return place(file, frame.f_lineno)
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


def is_own(names: dict[str, Any]) -> bool:
    """Return whether a frame's globals are those of a module of Headrace."""
    spec = names.get("__spec__")  # a module run with ``python -m`` is called __main__ otherwise
    module = str(spec.name if spec else names.get("__name__", ""))
    return module.split(".", maxsplit=1)[0] in _OWN_PACKAGES


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
    source = linecache.getline(file, line).strip()
    path = Path(file)
    try:
        shown = path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        shown = path.as_posix()
    return f"{shown}:{line}  {source}".rstrip()
