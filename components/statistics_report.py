"""Statistics as one self-contained HTML page that sorts, filters and overlays the splits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from components.data.statistics import ColumnStatistics, DatasetStatistics, Histogram

_MANY = 0.5
_APART = 0.1


def render_report(statistics: DatasetStatistics) -> str:
    """Return the page; it needs no network and no storage, and equal statistics give equal pages."""
    page = _asset("page.html")
    for mark, text in (
        ("/*STYLE*/", _asset("style.css")),
        ("/*SCRIPT*/", _asset("script.js")),
        ("/*DATA*/", _embedded(_payload(statistics))),  # last: a value may look like a mark
    ):
        page = page.replace(mark, text, 1)
    return page


def _asset(name: str) -> str:
    return resources.files("components.data.report").joinpath(name).read_text(encoding="utf-8")


def _embedded(value: Any) -> str:
    # Inside a script element only "</" and "<!--" could end or change the mode of the text.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c")


def _payload(statistics: DatasetStatistics) -> dict[str, Any]:
    # The largest split first: it is drawn as an area, the others as lines above it.
    names = sorted(statistics.splits, key=lambda name: (-statistics.splits[name].rows, name))
    plain = statistics.to_json()["splits"]
    columns = []
    for place, name in enumerate(statistics.columns):
        of_splits = [statistics.splits[split].columns[place] for split in names]
        column = _column([plain[split]["columns"][place] for split in names], of_splits[0])
        apart = difference(of_splits)
        columns.append(
            {**column, "place": place, "name": name, "apart": apart, "notes": notes(of_splits, apart)}
        )
    return {
        "columns": columns,
        "method": _method(statistics),
        "splits": [{"name": split, "rows": statistics.splits[split].rows} for split in names],
    }


def _column(plain: list[dict[str, Any]], shown: ColumnStatistics) -> dict[str, Any]:
    inner = [one["items"] for one in plain if "items" in one]
    nested = [_column(inner, shown.items)] if inner and shown.items else []
    for place, field in enumerate(shown.fields):
        nested.append(_column([one["fields"][place] for one in plain], field))
    return {
        "inner": nested,
        "instant": "time32" not in shown.type and "time64" not in shown.type and "duration" not in shown.type,
        "kind": shown.kind,
        "name": shown.name,
        "splits": plain,
        "type": shown.type,
    }


def _method(statistics: DatasetStatistics) -> str:
    return (
        "Columns with few distinct values (65,536 in small data, 4,096 in large) are described exactly. "
        "Beyond that, distinct counts (~) have a standard error of 1.6 %, quantiles a rank error of at most "
        f"{statistics.quantile_error:.2%}, and counts of frequent values may be a little too low. Histograms "
        "of one column share their bins over all splits; heights are shares of the split's values."
    )


def difference(splits: Sequence[ColumnStatistics]) -> float | None:
    """Return how far the splits lie apart, from 0 to 1, or None where that cannot be said.

    For numbers it is the largest difference of the cumulative shares at the bins' edges
    (Kolmogorov and Smirnov), for texts the largest difference of a frequent value's share.
    """
    kept = [split for split in splits if split.present]
    if len(kept) < 2:
        return None
    shapes = [_shape(split) for split in kept]
    if any(not shape for shape in shapes):
        return None
    keys = {key for shape in shapes for key in shape}
    spread = [[shape.get(key, 0.0) for shape in shapes] for key in keys]
    return max(max(values) - min(values) for values in spread)


def _shape(split: ColumnStatistics) -> dict[Any, float]:
    if split.kind == "text":
        return {top.value: top.count / split.present for top in split.top}
    numbers = split.numbers or split.lengths
    if numbers is None or numbers.histogram is None or not numbers.count:
        return {}
    return _cumulative(numbers.histogram, numbers.count)


def _cumulative(histogram: Histogram, count: int) -> dict[Any, float]:
    shape: dict[Any, float] = {}
    below = 0
    for edge, inside in zip(histogram.edges[1:], histogram.counts, strict=True):
        below += inside
        shape[edge] = below / count
    return shape


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
