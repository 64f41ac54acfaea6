"""A user's exception, told in a few lines: what it was, and where in the user's code."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from orchestration.errors import HeadraceError, PipelineError, is_library, is_own, place
from orchestration.secrets import redact


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        reason: The exception as Python names it: ``ValueError: no rows``.
        error: The lines to show, the reason first.
        traceback: The full traceback, for ``headrace show``.
        retry: Whether trying again could help.
        at: The innermost line of the user's own code, if any.
    """

    reason: str
    error: str
    traceback: str
    retry: bool = True
    at: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what is recorded of it: secrets masked, and what no terminal can show as an escape."""
        texts = {"reason": self.reason, "error": self.error, "traceback": self.traceback}
        return {**{name: _shown(text) for name, text in texts.items()}, "retry": self.retry}


def _shown(text: str) -> str:
    return redact(text).replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def user_failure(error: BaseException, at: str | None = None) -> Failure:
    """Describe an exception for its user.

    Args:
        error: The exception.
        at: The place to name where no line of the user's own is on the stack: the node's call.
    """
    full = "".join(traceback.format_exception(error))
    name = type(error).__name__
    if isinstance(error, HeadraceError):
        error.at = at if error.at is None else error.at
        retry = not isinstance(error, PipelineError)  # wrong now, wrong again
        return Failure(f"{name}: {error.headline}", f"{name}: {error}", full, retry, error.at or "")
    first, *rest = (str(error).strip() or "(no message)").splitlines()
    headline = f"{name}: {first}"[:500]
    at = innermost_user_line(error.__traceback__) or at or ""
    lines = [headline, *(f"  {line}"[:300] for line in rest[:4])]
    if len(rest) > 4:
        lines.append(f"  … {len(rest) - 4} further lines")
    if at:
        lines.append(f"  {'at':<9} {at}")
    return Failure(headline, "\n".join(lines), full, at=at)


def innermost_user_line(trace: TracebackType | None) -> str:
    """Return ``file:line  source`` of the deepest frame that is the user's, if any is."""
    found = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not is_library(code.co_filename) and not is_own(trace.tb_frame.f_globals):
            found = place(code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found
