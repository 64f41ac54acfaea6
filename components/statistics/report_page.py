"""Statistics as one self-contained HTML page that sorts, filters and overlays the splits."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from components.comparison import picture
from components.comparison.columns import apart
from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.schema.schema import Severity
from components.statistics.report.columns import column_json, notes, slice_json
from components.statistics.statistics import ColumnStatistics, DatasetStatistics, SplitStatistics

_SCRIPTS = ("base.js", "charts.js", "details.js", "changes.js", "table.js", "start.js")
_MOST_SLICE_CELLS = 40_000
_MOST_DRAWN = 200  # changes shown with everything; of the others the sentence
_MOVED = 0.1
_SPANS = DriftRules(  # nobody asked for the comparison: it fails nothing
    numbers=(Limit(Measure.KOLMOGOROV_SMIRNOV, warn=_MOVED),),
    categories=(Limit(Measure.L_INFINITY, warn=_MOVED),),
    missing_warn=_MOVED,
    missing_fail=None,
    not_finite=Severity.WARN,
    not_compared=Severity.WARN,
)
Split = tuple[str, SplitStatistics, bool]


def render_report(
    statistics: DatasetStatistics,
    *,
    title: str = "Statistics",
    baseline: DatasetStatistics | None = None,
    changes: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """Return the page; it needs no network and no storage, and equal statistics give equal pages.

    Args:
        statistics: What to show.
        title: Heading.
        baseline: Older statistics to draw behind the new ones; columns are matched by name.
        changes: What changed since the baseline, shown first, worst first: ``{"column", "severity",
            "message"}`` and, where there are some, ``"details"`` with ``formula``, ``threshold`` and
            ``bins`` (``{"bin", "baseline", "observed"}``) and ``"value"``. Without it, and where the data
            has spans, what moved since the last span.
    """
    page = _asset("page.html")
    for mark, text in (
        ("/*STYLE*/", _asset("style.css") + picture.style()),
        ("/*SCRIPT*/", "".join(_asset(name) for name in _SCRIPTS)),
        # Last: a value may look like a mark.
        ("/*DATA*/", _embedded(_payload(statistics, title, baseline, changes))),
    ):
        page = page.replace(mark, text, 1)
    return page


def _asset(name: str) -> str:
    return resources.files("components.statistics.report").joinpath(name).read_text(encoding="utf-8")


def _embedded(value: Any) -> str:
    # Inside a script element only "</" and "<!--" could end or change the mode of the text.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").encode("utf-8", "replace").decode()  # no lone surrogates


def _payload(
    statistics: DatasetStatistics,
    title: str,
    baseline: DatasetStatistics | None,
    changes: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    # The baseline first, then the largest split: they are drawn as areas, the others as lines above.
    shown: list[Split] = [
        *((_before(name, statistics), split, True) for name, split in _ordered(baseline)),
        *((name, split, False) for name, split in _ordered(statistics)),
    ]
    by_name = [{column.name: column for column in split.columns} for _, split, _ in shown]
    names = list(dict.fromkeys(name for known in reversed(by_name) for name in known))
    columns = [_column(place, [known.get(name) for known in by_name]) for place, name in enumerate(names)]
    places = {name: place for place, name in enumerate(names)}
    spans, against = _since_last_span(statistics)
    return {
        "against": "against the baseline" if baseline is not None else against,
        "bases": sum(is_base for *_, is_base in shown),
        "changes": _changes(spans if changes is None else changes),
        "columns": columns,
        "label": statistics.label,
        "method": _method(statistics),
        "shares": _shares(statistics),
        "at99": next((at for at, share in enumerate(_shares(statistics)) if share == 0.99), 0),
        "splits": [_split(name, split, is_base, places, len(names)) for name, split, is_base in shown],
        "title": title,
        "weight": statistics.weight,
    }


def _changes(changes: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return what is shown of changes, the first ones with what they rest on, drawn."""
    if changes is None:
        return None
    found = [{name: one.get(name) for name in ("column", "severity", "message")} for one in changes]
    for shown, one in zip(found[:_MOST_DRAWN], changes, strict=False):
        if one.get("details"):
            shown["drawn"] = picture.drawn(one["details"], one.get("value"))
    return found


def _before(name: str, statistics: DatasetStatistics) -> str:
    """Return what a split of the baseline is called beside the new ones."""
    return f"{name} before" if name in statistics.splits else name


def _ordered(statistics: DatasetStatistics | None) -> list[tuple[str, SplitStatistics]]:
    splits = statistics.splits.items() if statistics is not None else ()
    return sorted(splits, key=lambda item: (-item[1].rows, item[0]))


def _column(place: int, found: list[ColumnStatistics | None]) -> dict[str, Any]:
    kept = [one for one in found if one is not None]
    distances = [apart(one, other) for one, other in itertools.combinations(kept, 2)]
    most = max((distance for distance in distances if distance is not None), default=None)
    rounded = None if most is None else round(most, 6)
    return {**column_json(found), "place": place, "apart": rounded, "notes": notes(kept, rounded)}


def _shares(statistics: DatasetStatistics) -> list[float]:
    """Return the shares at which quantiles are known; the same for all columns."""
    for split in statistics.splits.values():
        for column in split.columns:
            for numbers in (column.numbers, column.lengths):
                if numbers is not None and numbers.quantiles:
                    return [share for share, _ in numbers.quantiles]
    return []


def _split(
    name: str, split: SplitStatistics, is_base: bool, places: Mapping[str, int], columns: int
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "rows": split.rows}
    if is_base:
        found["base"] = True
    if split.label_sample is not None:
        found["classes"] = [vars(one) for one in split.label_sample.classes]
    slices = [(group.by, one) for group in split.slices for one in group.slices]
    if slices and not is_base:
        kept = slices[: max(1, _MOST_SLICE_CELLS // max(columns, 1))]
        found["slices"] = [slice_json(by, one, places) for by, one in kept]
    return found


def _since_last_span(statistics: DatasetStatistics) -> tuple[list[dict[str, Any]] | None, str]:
    """Return what moved from the last span but one to the last, the most moved first."""
    from components.comparison.splits import anomalies_of, compare_spans, last_spans

    two = {name: last_spans(split) for name, split in _ordered(statistics)}
    known = [name for name, spans in two.items() if len(spans) == 2]
    if not known:
        return None, ""
    before, now = two[known[-1]]
    against = f"span {now.span} ({now.rows:,} rows) against {before.span} ({before.rows:,} rows)"
    moved = anomalies_of(compare_spans(statistics, _SPANS, splits=known), "span before")
    return [anomaly.as_json() for anomaly in moved], against


def _method(statistics: DatasetStatistics) -> str:
    return (
        "Columns with few distinct values (65,536 in small data, 4,096 in large) are described exactly. "
        "Beyond that, distinct counts (~) have a standard error of 1.6 %, quantiles a rank error of at most "
        f"{statistics.quantile_error:.2%}, and counts of frequent values may be a little too low. Areas are "
        "shares of a split's values; where one bin holds nearly all, bins lie between quantiles and the last "
        "hundredth is left out."
    )
