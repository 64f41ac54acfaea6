"""JSON that people read and compare: sorted keys, one line for each small thing, equal values equal bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LINE = 110


def readable_json(value: Any) -> str:
    """Return ``value`` as JSON text: what fits on a line stays on it, the rest is indented by one."""
    return _render(value, 0) + "\n"


def write_readable(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON in UTF-8."""
    path.write_text(readable_json(value), encoding="utf-8")


def _render(value: Any, depth: int) -> str:
    flat = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    if len(flat) + depth <= _LINE or not isinstance(value, dict | list | tuple) or _is_row(value):
        return flat
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        items = [
            f"{pad}{json.dumps(str(key), ensure_ascii=False)}: {_render(value[key], depth + 1)}"
            for key in sorted(value)
        ]
        return "{\n" + ",\n".join(items) + "\n" + " " * depth + "}"
    items = [pad + _render(item, depth + 1) for item in value]
    return "[\n" + ",\n".join(items) + "\n" + " " * depth + "]"


def _is_row(value: Any) -> bool:
    """Tell whether a value is a list of numbers, or of pairs of them, which reads best on one line."""
    return isinstance(value, list | tuple) and all(
        isinstance(item, int | float) or (isinstance(item, list | tuple) and len(item) == 2 and _is_row(item))
        for item in value
    )
