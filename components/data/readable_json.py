"""JSON that people read and compare: sorted keys, one line for each small thing, equal values equal bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LINE = 110
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)


def readable_json(value: Any) -> str:
    """Return ``value`` as JSON text: what fits on a line stays on it, the rest is indented by one."""
    return _render(value, 0) + "\n"


def write_readable(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON in UTF-8."""
    path.write_text(readable_json(value), encoding="utf-8")


def _render(value: Any, depth: int) -> str:
    if not isinstance(value, dict | list | tuple) or _is_row(value):
        return _ENCODER.encode(value)
    if isinstance(value, dict):
        opened, closed = "{", "}"
        items = [f"{_ENCODER.encode(str(key))}: {_render(value[key], depth + 1)}" for key in sorted(value)]
    else:
        opened, closed = "[", "]"
        items = [_render(item, depth + 1) for item in value]
    length = sum(len(item) + 2 for item in items) + depth
    if length <= _LINE and not any("\n" in item for item in items):
        return opened + ", ".join(items) + closed
    pad = " " * (depth + 1)
    return opened + "\n" + ",\n".join(pad + item for item in items) + "\n" + " " * depth + closed


def _is_row(value: Any) -> bool:
    """Tell whether a value is a list of numbers, or of pairs of them, which reads best on one line."""
    return isinstance(value, list | tuple) and all(
        isinstance(item, int | float) or (isinstance(item, list | tuple) and len(item) == 2 and _is_row(item))
        for item in value
    )
