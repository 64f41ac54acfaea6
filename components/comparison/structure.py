"""What differs between the columns of two data sets before a value is looked at: names and types."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics
from components.validation.anomalies import Anomaly
from components.validation.suite import Rule

if TYPE_CHECKING:
    from components.artifacts import Examples

_NUMBER = r"^[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*$"
_WIDTH = {"bool": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4, "float": 5, "double": 6}
Columns = Mapping[str, ColumnStatistics]


def differences(before: Columns, now: Columns, new: Examples) -> Iterator[Anomaly]:
    """Yield an anomaly for every column that is missing, new, or of another type.

    Args:
        before: The baseline's columns.
        now: The new data's columns.
        new: The new rows; asked for texts that are no numbers.
    """
    come = {name.lower(): name for name in now if name not in before}
    for name in before:
        if name not in now:
            alike = difflib.get_close_matches(name.lower(), come, n=1, cutoff=0.6)
            hint = f'; there is a new column "{come[alike[0]]}" (renamed?)' if alike else ""
            yield _anomaly(name, "missing", Severity.FAIL, f"is missing{hint}", None, name)
        elif not same_type(before[name], now[name]):
            yield _changed(before[name], now[name], new)
    for name in come.values():
        yield _anomaly(name, "new", Severity.WARN, f"({now[name].type}) is new", now[name].type, None)


def _anomaly(
    name: str, what: str, severity: Severity, said: str, value: Any, allowed: Any, rows: int | None = None
) -> Anomaly:
    kind = "type_changed" if what == "type" else f"column_{what}"
    rule = Rule(f"baseline_{kind}", {"column": name}, severity)
    return Anomaly("", name, kind, severity, f'column "{name}" {said}', rows, value, allowed, rule)


def same_type(before: ColumnStatistics, now: ColumnStatistics) -> bool:
    """Return whether values of the new type can stand where the baseline's stood.

    A column without any value says nothing about its type; a narrower number fits a wider one.
    """
    if before.type == now.type or not before.present or not now.present:
        return True
    return now.type in _WIDTH and before.type in _WIDTH and 0 < _WIDTH[now.type] <= _WIDTH[before.type]


def _changed(before: ColumnStatistics, now: ColumnStatistics, new: Examples) -> Anomaly:
    severity = Severity.WARN if before.kind == now.kind == "number" else Severity.FAIL
    said = f"changed its type from {before.type} to {now.type}"
    rows = None
    if before.kind == "number" and now.kind == "text":
        rows, example = no_numbers(new, now.name)
        said += f': {rows:,} of {now.rows:,} rows hold text that is no number, first "{example}"'
    return _anomaly(now.name, "type", severity, said, now.type, before.type, rows)


def no_numbers(examples: Examples, column: str) -> tuple[int, str]:
    """Return how many texts of a column are no numbers, and the first of them."""
    import pyarrow.compute as pc

    rows, first = 0, ""
    for split in examples.splits:
        for batch in examples.batches(split, columns=[column]):
            texts = batch.column(0).drop_null()
            odd = texts.filter(pc.invert(pc.match_substring_regex(texts, _NUMBER)))
            if len(odd) and not rows:
                first = str(odd[0].as_py())[:40]
            rows += len(odd)
    return rows, first
