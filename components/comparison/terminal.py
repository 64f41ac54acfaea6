"""What ``headrace data`` prints: a table of columns, a list of findings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from components.comparison.wording import number, percent
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics, DatasetStatistics
from components.validation.anomalies import Anomaly

_HEAD = ("column", "type", "missing", "distinct", "min", "median", "max", "most frequent")
_WIDTH = (28, 14, 9, 10, 12, 12, 12, 30)
_ROWS = 60
_ENTRY = ("column", "kind", "severity", "message", "rows", "value", "threshold")


def summary(statistics: DatasetStatistics) -> str:
    """Return a table of the columns of the first split."""
    split = next(iter(statistics.splits.values()))
    lines = [f"{_count(split.rows, 'row')}, {_count(len(split.columns), 'column')}", ""]
    lines.append(_line(_HEAD))
    lines += [_line(_cells(column)) for column in split.columns[:_ROWS]]
    if len(split.columns) > _ROWS:
        lines.append(f"and {len(split.columns) - _ROWS:,} more columns in the report")
    return "\n".join(lines)


def _count(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def _cells(column: ColumnStatistics) -> tuple[str, ...]:
    about = "" if column.distinct_exact else "~"
    distinct = "" if column.distinct is None else f"{about}{column.distinct:,}"
    top = ""
    if column.top and column.top[0].count > 1:
        share = percent(column.top[0].count / max(column.present, 1))
        top = f"{_cut(_readable(str(column.top[0].value)), 18)} ({share})"
    missing = percent(column.missing_share) if column.missing else ""
    return (column.name, column.type, missing, distinct, *_extremes(column), top)


def _extremes(column: ColumnStatistics) -> tuple[str, str, str]:
    if column.kind in ("time", "text"):
        return column.min_text or "", "", column.max_text or ""
    numbers = column.numbers
    if numbers is None or numbers.min is None:
        return "", "", ""
    return number(numbers.min), number(numbers.median), number(numbers.max)


def _line(cells: Sequence[str]) -> str:
    shown = [_cut(_readable(cell), width) for cell, width in zip(cells, _WIDTH, strict=True)]
    left = (0, 1, 7)
    return "  ".join(
        text.ljust(width) if place in left else text.rjust(width)
        for place, (text, width) in enumerate(zip(shown, _WIDTH, strict=True))
    ).rstrip()


def _readable(text: str) -> str:
    # A value may hold what moves a terminal's cursor.
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def as_json(anomalies: Sequence[Anomaly]) -> str:
    """Return the anomalies as one JSON object."""
    found = [anomaly.as_json() for anomaly in anomalies]
    entries = [{name: one[name] for name in _ENTRY} for one in found]
    return json.dumps({"anomalies": entries}, ensure_ascii=False, allow_nan=False)


def verdict(anomalies: Sequence[Anomaly], baseline: str, new: str) -> str:
    """Return the anomalies as a list for people, worst first."""
    if not anomalies:
        return f"{new} is like {baseline}"
    failing = sum(anomaly.severity is Severity.FAIL for anomaly in anomalies)
    lines = [
        f"{new} against {baseline}: {failing} wrong, {len(anomalies) - failing} worth a look",
        "",
        *(f"{anomaly.severity:<5} {_readable(anomaly.message)}" for anomaly in anomalies),
    ]
    return "\n".join(lines)
