"""A schema in words: columns and expectations for a table, differences for a list."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from components.schema.merge import Change, News
from components.schema.schema import DatasetSchema, Expectation, SchemaColumn, Severity

_LONG = 60
_SHOWN_VALUES = 5
_SUBJECTS = ("column_pair_", "compound_columns_", "select_column_", "multicolumn_", "column_", "table_")
_COLUMN_KEYS = ("column", "column_A", "column_B", "column_list")


def column_words(column: SchemaColumn) -> str:
    """Return what is said about a column itself, apart from its type: ``nullable, not in serving``."""
    words = ["nullable" if column.nullable else "required"]
    words += ["optional"] if column.optional else []
    words += ["not checked"] if not column.checked else []
    words += ["vanished"] if column.vanished else []
    return ", ".join([*words, *limit_words(column), *([column.semantic] if column.semantic else [])])


def limit_words(limited: SchemaColumn | Expectation) -> list[str]:
    """Return the environments that a column or an expectation is limited to."""
    words = [f"only in {' and '.join(limited.only_in)}"] if limited.only_in else []
    return [*words, f"not in {' or '.join(limited.not_in)}"] if limited.not_in else words


def rule_words(rule: Expectation) -> str:
    """Return an expectation in few words: ``values between 0 and 1, 99 %``."""
    kwargs = {key: value for key, value in rule.kwargs.items() if key not in (*_COLUMN_KEYS, "mostly")}
    words = _known_words(rule, kwargs)
    if words is None:
        listed = ", ".join(f"{key}={shown(value)}" for key, value in kwargs.items())
        words = f"{rule_name(rule.type)} {listed}".strip()
    share = rule.kwargs.get("mostly")
    words += f", {100 * share:.4g} %" if isinstance(share, int | float) else ""
    extra = [] if rule.severity is Severity.FAIL else [str(rule.severity)]
    extra += limit_words(rule)
    return f"{words} ({', '.join(extra)})" if extra else words


def _known_words(rule: Expectation, kwargs: dict[str, Any]) -> str | None:
    if rule.type == "expect_column_to_exist":
        return "exists"
    if rule.type == "expect_column_values_to_not_be_null":
        return "not null"
    if "_proportion_of_non_null_values_" in rule.type and kwargs == {"min_value": 0, "strict_min": True}:
        return "some value"
    if rule.type.endswith("_to_be_between") and set(kwargs) <= {"min_value", "max_value"}:
        name = rule_name(rule.type).removesuffix(" to be between")
        low, high = kwargs.get("min_value"), kwargs.get("max_value")
        if low is None or high is None:
            return f"{name} ≥ {low}" if high is None else f"{name} ≤ {high}"
        return f"{name} {low} to {high}"
    if rule.type.endswith("_in_set") and isinstance(kwargs.get("value_set"), list):
        return f"one of {shown(kwargs['value_set'])}"
    return None


def rule_name(kind: str) -> str:
    """Return an expectation's type as words: ``values to be between``."""
    name = kind.removeprefix("expect_")
    return next((name.removeprefix(s) for s in _SUBJECTS if name.startswith(s)), name).replace("_", " ")


def shown(value: Any) -> str:
    """Return a value as JSON on one line, cut where it is long; lists say how many values they hold."""
    if isinstance(value, list | tuple) and len(value) > _SHOWN_VALUES:
        first = ", ".join(
            _cut(json.dumps(item, ensure_ascii=False, default=str)) for item in value[:_SHOWN_VALUES]
        )
        return f"[{first}, … {len(value)} values]"
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def change_lines(changes: Iterable[Change]) -> list[str]:
    """Return differences as lines: what is done, about which column, and what was and is."""
    return [f"{change.news:<9} {_subject(change)} {_difference(change)}".rstrip() for change in changes]


def _subject(change: Change) -> str:
    if not change.columns:
        return "the table:"
    return ", ".join(f'"{name}"' for name in change.columns) + ":"


def _difference(change: Change) -> str:
    what = rule_name(change.rule) if change.rule else "column"
    if change.news is News.VANISHED:
        return f"{what} is gone from the data; it was {change.before}"
    if change.news is News.RETURNED:
        return f"{what} is back, {change.after}"
    if not change.part:
        value = change.before if change.after is None else change.after
        if isinstance(value, dict):
            value = {k: v for k, v in value.items() if k not in _COLUMN_KEYS}
        told = f"{what} {_plain(value)}".rstrip()
        return f"{told}; it would not be inferred now" if change.news is News.KEPT else told
    name = change.part if not change.rule else f"{what}, {change.part}"
    if isinstance(change.before, list) and isinstance(change.after, list):
        return f"{name} {_set_difference(change.before, change.after)}"
    if change.news is News.KEPT:
        return f"{name} stays {_plain(change.before)}; the data say {_plain(change.after)}"
    return f"{name} {_plain(change.before)} → {_plain(change.after)}"


def _plain(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(item)}" for key, item in value.items())
    return value if isinstance(value, str) else shown(value)


def _set_difference(before: list[Any], after: list[Any]) -> str:
    more = [value for value in after if value not in before]
    less = [value for value in before if value not in after]
    parts = [f"+ {shown(more)}"] if more else []
    return " ".join([*parts, *([f"− {shown(less)}"] if less else [])]) or "in another order"


def change_json(change: Change) -> dict[str, Any]:
    """Return a difference as JSON."""
    return {
        "change": str(change.news),
        "columns": list(change.columns),
        "expectation": change.rule or None,
        "part": change.part or None,
        "before": change.before,
        "after": change.after,
    }


def rules_by_column(schema: DatasetSchema) -> dict[str, list[Expectation]]:
    """Return the expectations by the first column they are about; those about the table under ``""``."""
    found: dict[str, list[Expectation]] = {"": [], **{column.name: [] for column in schema.columns}}
    for rule in schema.expectations:
        found.setdefault(next(iter(rule.columns), ""), []).append(rule)
    return found
