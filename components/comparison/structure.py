"""What differs between the columns of two data sets before a value is looked at: names and types."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from components.comparison.findings import Finding
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics

if TYPE_CHECKING:
    from components.artifacts import Examples

_NUMBER = r"^[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*$"
_WIDTH = {"bool": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4, "float": 5, "double": 6}
Columns = Mapping[str, ColumnStatistics]


def differences(before: Columns, now: Columns, new: Examples) -> Iterator[Finding]:
    """Yield a finding for every column that is missing, new, or of another type.

    Args:
        before: The baseline's columns.
        now: The new data's columns.
        new: The new rows; asked for texts that are no numbers.
    """
    gone = [name for name in before if name not in now]
    come = [name for name in now if name not in before]
    for name in gone:
        alike = difflib.get_close_matches(name.lower(), [other.lower() for other in come], n=1, cutoff=0.6)
        other = next((one for one in come if alike and one.lower() == alike[0]), None)
        hint = f'; there is a new column "{other}" (renamed?)' if other else ""
        yield Finding(
            name, "column_missing", Severity.FAIL, f'column "{name}" is missing{hint}', None, None, name
        )
    for name in come:
        message = f'column "{name}" ({now[name].type}) is new'
        yield Finding(name, "column_new", Severity.WARN, message, None, now[name].type, None)
    for name in before:
        if name in now and not same_type(before[name], now[name]):
            yield _changed(before[name], now[name], new)


def same_type(before: ColumnStatistics, now: ColumnStatistics) -> bool:
    """Return whether values of the new type can stand where the baseline's stood.

    A column without any value says nothing about its type; a narrower number fits a wider one.
    """
    if before.type == now.type or not before.present or not now.present:
        return True
    return now.type in _WIDTH and before.type in _WIDTH and 0 < _WIDTH[now.type] <= _WIDTH[before.type]


def comparable_type(before: ColumnStatistics, now: ColumnStatistics) -> bool:
    """Return whether the values can be compared although the type may have changed."""
    return before.present > 0 and now.present > 0 and (before.kind, _unit(before)) == (now.kind, _unit(now))


def _unit(column: ColumnStatistics) -> str:
    # Times are compared in their own unit.
    return column.type if column.kind in ("time", "other") else ""


def _changed(before: ColumnStatistics, now: ColumnStatistics, new: Examples) -> Finding:
    wider = before.kind == now.kind == "number"
    severity = Severity.WARN if wider else Severity.FAIL
    message = f'column "{now.name}" changed its type from {before.type} to {now.type}'
    rows = None
    if before.kind == "number" and now.kind == "text":
        rows, example = no_numbers(new, now.name)
        message += f': {rows:,} of {now.rows:,} rows hold text that is no number, first "{example}"'
    return Finding(now.name, "type_changed", severity, message, rows, now.type, before.type)


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
