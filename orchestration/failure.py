"""A user's exception, told in a few lines: what it was, and where in the user's code."""

from __future__ import annotations

import traceback
from typing import Any

from orchestration.errors import HeadraceError, PipelineError, user_line
from orchestration.secrets import redact


def user_failure(error: BaseException, at: str | None = None) -> dict[str, Any]:
    """Describe an exception for its user and for the journal.

    Args:
        error: The exception.
        at: The place to name where no line of the user's own is on the stack: the node's call.

    Returns:
        ``error``, the lines to show; ``reason``, the first of them, the exception as Python names it
        (``ValueError: no rows``); ``traceback``, the full one, for ``headrace show``; and ``retry``,
        whether trying again could help. Secrets are masked.
    """
    if isinstance(error, HeadraceError):
        error.at = at if error.at is None else error.at
        shown = f"{type(error).__name__}: {error}"
    else:
        line = user_line(error.__traceback__) or at or ""
        shown = str(HeadraceError(_shortened(error), at=line))
    texts = {"reason": shown.splitlines()[0], "error": shown}
    texts["traceback"] = "".join(traceback.format_exception(error))
    retry = not isinstance(error, PipelineError)  # wrong now, wrong again
    return {**{name: _safe(text) for name, text in texts.items()}, "retry": retry}


def _shortened(error: BaseException) -> str:
    first, *rest = (str(error).strip() or "(no message)").splitlines()
    lines = [f"{type(error).__name__}: {first}"[:500], *(f"  {line}"[:300] for line in rest[:4])]
    return "\n".join([*lines, f"  … {len(rest) - 4} further lines"] if len(rest) > 4 else lines)


def _safe(text: str) -> str:
    """Mask secrets, and escape what no terminal and no database takes."""
    return redact(text).replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
