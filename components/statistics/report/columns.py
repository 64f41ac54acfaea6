"""One column as the page of statistics needs it: small, and with what a reader should not miss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from components.statistics.statistics import (
    ColumnStatistics,
    Histogram,
    NumberStatistics,
    SliceStatistics,
)

_MANY = 0.5
_APART = 0.1
_LONGEST = 160
_MOST_VALUES = 20
_NO_INSTANT = ("time32", "time64", "duration")


def column_json(found: Sequence[ColumnStatistics | None]) -> dict[str, Any]:
    """Return a column of all splits; None stands for a split that has no such column."""
    kept = [one for one in found if one is not None]
    shown = kept[-1]
    alike = [one if one is None or one.kind == shown.kind else None for one in found]
    column: dict[str, Any] = {
        "kind": shown.kind,
        "name": shown.name,
        "splits": [None if one is None else _one(one, shown.kind) for one in found],
        "type": shown.type,
    }
    if _is_instant(shown):
        column["instant"] = True
    if shown.hint:
        column["hint"] = shown.hint
    if shown.hints:
        column["hints"] = [[hint.name, _short(hint.share)] for hint in shown.hints]
    inner = _inner(alike)
    if inner:
        column["inner"] = inner
    return column


def _is_instant(column: ColumnStatistics) -> bool:
    moment = column.kind == "time" and not any(word in column.type for word in _NO_INSTANT)
    return moment or column.hint == "epoch_seconds"


def _inner(found: Sequence[ColumnStatistics | None]) -> list[dict[str, Any]]:
    items = [None if one is None else one.items for one in found]
    nested = [column_json(items)] if any(items) else []
    width = min((len(one.fields) for one in found if one is not None), default=0)
    fields = ([None if one is None else one.fields[place] for one in found] for place in range(width))
    return [*nested, *(column_json(field) for field in fields)]


def _one(column: ColumnStatistics, kind: str) -> dict[str, Any]:
    values = {
        "distinct": column.distinct,
        "distinct_exact": column.distinct_exact or None,
        "empty": column.empty or None,
        "max_text": _text(column.max_text),
        "min_text": _text(column.min_text),
        "missing": column.missing,
        "not_utf8": column.not_utf8 or None,
        "present": column.present,
        "top": [[_text(top.value), top.count] for top in column.top[:_MOST_VALUES]] or None,
        "weighted": _weighted(column),
        "label": _label(column),
    }
    if column.kind == kind:  # of another type in this split, its numbers say nothing beside the others'
        values["numbers"] = _numbers(column.numbers)
        values["lengths"] = _numbers(column.lengths)
    return {name: value for name, value in values.items() if value is not None}


def _numbers(numbers: NumberStatistics | None) -> dict[str, Any] | None:
    if numbers is None:
        return None
    values: dict[str, Any] = {"count": numbers.count}
    for name in ("nan", "positive_infinity", "negative_infinity", "zeros", "rank_error"):
        if getattr(numbers, name):
            values[name] = _short(getattr(numbers, name))
    for name in ("min", "max", "mean", "std", "median"):
        if getattr(numbers, name) is not None:
            values[name] = _short(getattr(numbers, name), 12)
    if numbers.quantiles:
        values["q"] = [_short(value, 8) for _, value in numbers.quantiles]
    if numbers.histogram is not None:
        values["h"] = _histogram(numbers.histogram)
    return values


def _histogram(histogram: Histogram) -> dict[str, Any]:
    edges = histogram.edges
    low, high, bins = edges[0], edges[-1], len(histogram.counts)
    step = high / bins - low / bins
    even = all(
        math.isclose(edge, low + step * place, rel_tol=1e-9, abs_tol=abs(step) * 1e-6)
        for place, edge in enumerate(edges)
    )
    ends = {"low": _short(low, 15), "high": _short(high, 15)} if even else {"edges": list(edges)}
    return {**ends, "counts": list(histogram.counts)}


def _weighted(column: ColumnStatistics) -> dict[str, Any] | None:
    weighted = column.weighted
    if weighted is None:
        return None
    values: dict[str, Any] = {"missing": _short(weighted.missing), "present": _short(weighted.present)}
    if weighted.top:
        values["top"] = [[_text(top.value), _short(top.weight)] for top in weighted.top[:_MOST_VALUES]]
    for name in ("numbers", "lengths"):
        numbers = getattr(weighted, name)
        if numbers is not None:
            values[name] = {
                part: _short(getattr(numbers, part))
                for part in ("mean", "std", "median")
                if getattr(numbers, part) is not None
            }
    return values


def _label(column: ColumnStatistics) -> dict[str, Any] | None:
    relation = column.label
    if relation is None:
        return None
    groups = [
        {
            **{name: _short(_text(value)) for name, value in vars(group).items() if value is not None},
            "lifts": [_short(lift, 4) for lift in group.lifts[:6]],
        }
        for group in relation.groups[:12]
    ]
    facts = {
        name: _short(value, 5)
        for name, value in vars(relation).items()
        if name != "groups" and value is not None
    }
    return {**facts, "groups": groups}


def slice_json(by: Sequence[str], one: SliceStatistics, places: Mapping[str, int]) -> dict[str, Any]:
    """Return a slice: for each column of the page present, missing, mean, median and most frequent value."""
    columns: list[Any] = [None] * len(places)
    for column in one.columns:
        numbers = column.numbers or column.lengths
        top = column.top[0].value if column.top and column.kind in ("text", "bool") else None
        mean, median = (None, None) if numbers is None else (numbers.mean, numbers.median)
        columns[places[column.name]] = [
            column.present,
            column.missing,
            _short(mean, 6),
            _short(median, 6),
            _text(top),
        ]
    pairs = zip(by, one.values, strict=True)
    name = ", ".join(f"{key}={'missing' if value is None else _text(value)}" for key, value in pairs)
    return {"name": name, "rows": one.rows, "columns": columns}


def _text(value: Any) -> Any:
    """Return a value with a text shortened; a page is no place for whole documents."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[: _LONGEST - 1]}…"
    return _short(value, 12)


def _short(value: Any, digits: int = 7) -> Any:
    """Return a float with the digits a reader can use, which makes the page small."""
    if not isinstance(value, float) or not math.isfinite(value):
        return None if isinstance(value, float) else value
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def notes(splits: Sequence[ColumnStatistics], apart: float | None) -> list[str]:
    """Return what a reader should not miss about a column, in a few words each."""
    rows = sum(split.rows for split in splits)
    missing = sum(split.missing for split in splits)
    found = []
    if rows and missing == rows:
        found.append("no value at all")
    elif missing > _MANY * rows:
        found.append("mostly missing")
    kept = [split for split in splits if split.present]
    if kept and all(split.distinct == 1 for split in kept):
        found.append("one value only")
    if kept and all(_looks_like_a_key(split) for split in kept):
        found.append("every value differs")
    numbers = [split.numbers for split in kept if split.numbers]
    if any(one.nan for one in numbers):
        found.append("holds NaN")
    if any(one.positive_infinity or one.negative_infinity for one in numbers):
        found.append("holds infinity")
    if apart is not None and apart > _APART and min(split.present for split in kept) >= 100:
        found.append("splits differ")
    return found


def _looks_like_a_key(split: ColumnStatistics) -> bool:
    if split.distinct is None or split.present < 100 or "double" in split.type or "float" in split.type:
        return False
    return split.distinct == split.present if split.distinct_exact else split.distinct > 0.95 * split.present
