"""Guards that the feature classes share."""

from __future__ import annotations

import math

from orchestration import require


def check_column(name: object) -> None:
    """Refuse what cannot be a column's name."""
    require(is_name(name), "column", "a column name", name)


def check_id_policy(missing: object) -> None:
    """Refuse an unknown policy for the missing values of an id feature."""
    require(missing in ("own", "error"), "missing", '"own" (id 0) or "error"', missing)


def check_whole(value: object, name: str, lowest: int, highest: int, unit: str) -> None:
    """Refuse what is not a whole number of a range, both ends included."""
    fits = isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
    require(fits, name, f"{lowest:,} to {highest:,} {unit}", value)


def is_name(value: object) -> bool:
    """Return whether a value is a non-empty string."""
    return isinstance(value, str) and value != ""


def is_number(value: object) -> bool:
    """Return whether a value is a finite number, booleans excluded."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
