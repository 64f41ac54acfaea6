"""Splits or spans beside their baseline, column by column, and the anomalies among the comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.comparison.columns import Comparison, compare_column, found, not_compared
from components.comparison.drift_rules import DriftRules
from components.comparison.pairs import Binned
from components.comparison.wording import sentence
from components.schema.schema import Severity
from components.validation.anomalies import NOT_CHECKED, Anomaly, gravest, place
from components.validation.metrics import plain
from components.validation.suite import Rule
from orchestration import ArgumentError, DataError

if TYPE_CHECKING:
    from components.statistics.statistics import DatasetStatistics, SpanStatistics, SplitStatistics

_KINDS = {
    "values": "distribution_changed",
    "lengths": "distribution_changed",
    "missing": "missing_share_changed",
    "meaning": "meaning_changed",
    "not_finite": "values_not_finite",
    "rows": "row_count_changed",
}
_MEASURED_KINDS = {"range": "range_left", "sign": "range_left", "unseen": "values_new"}


@dataclass(frozen=True)
class Drift:
    """The comparisons of data with a baseline.

    Attributes:
        baseline: What the baseline is, for people.
        compared: Every comparison, by split.
        itself: Whether the baseline is the data itself, so that nothing can differ.
    """

    baseline: str
    compared: dict[str, list[Comparison]]
    itself: bool = False

    @property
    def anomalies(self) -> list[Anomaly]:
        """The alerts among the comparisons."""
        found = anomalies_of(self.compared, self.baseline)
        if self.itself:
            rule = Rule("drift_baseline", {"baseline": self.baseline}, Severity.WARN)
            message = (
                f"nothing was compared: the {self.baseline} is the data itself, so there is no other yet"
            )
            found.append(Anomaly("", None, NOT_CHECKED, Severity.WARN, message, None, None, None, rule))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return all comparisons as JSON."""
        splits = {split: [plain(vars(one)) for one in own] for split, own in self.compared.items()}
        return {"baseline": self.baseline, "itself": self.itself, "splits": splits}


def without_repeats(drift: list[Anomaly], broken: list[Anomaly]) -> list[Anomaly]:
    """Return the anomalies of a comparison without those that the schema's rules have found already."""
    known = {(one.split, one.column) for one in broken if one.kind in ("column_missing", "type_changed")}
    return [one for one in drift if one.kind != NOT_CHECKED or (one.split, one.column) not in known]


def compare_splits(
    before: DatasetStatistics,
    now: DatasetStatistics,
    rules: DriftRules,
    *,
    splits: Iterable[str] | None = None,
    columns: Sequence[str] | None = None,
    baseline_split: str | None = None,
) -> dict[str, list[Comparison]]:
    """Return every comparison, by split of the data.

    Args:
        before: The baseline.
        now: The data.
        rules: How much may differ.
        splits: Splits of the data; all of them by default.
        columns: Columns to compare; those of either side by default.
        baseline_split: The baseline's split to compare every split with. By default the one of the
            same name, or the only one.

    Raises:
        ArgumentError: There is no split to compare with.
    """
    return {
        split: _compare_split(
            before.splits[baseline_of(before, split, baseline_split)], now.splits[split], rules, columns
        )
        for split in sorted(now.splits if splits is None else splits)
    }


def compare_spans(
    statistics: DatasetStatistics,
    rules: DriftRules,
    *,
    splits: Iterable[str],
    columns: Sequence[str] | None = None,
) -> dict[str, list[Comparison]]:
    """Return the comparisons of each split's last span with the one before it.

    Raises:
        DataError: A split has only one span.
    """
    compared = {}
    for split in sorted(splits):
        spans = last_spans(statistics.splits[split])
        if len(spans) < 2:
            raise DataError(
                f'split "{split}" has no earlier span to compare with',
                expected="at least two spans, read by a pattern with {SPAN} or a date",
                received=", ".join(span.span for span in statistics.splits[split].spans) or "no spans",
            )
        before, now = spans
        compared[split] = _compare_split(before, now, rules, columns)
    return compared


def last_spans(split: SplitStatistics) -> list[SpanStatistics]:
    """Return the last two spans of a split that are described, as far as there are two."""
    return [span for span in split.spans if span.columns][-2:]


def baseline_of(before: DatasetStatistics, split: str, baseline_split: str | None) -> str:
    """Return which split of the baseline a split is compared with.

    Raises:
        ArgumentError: There is none, or it would be a guess.
    """
    known = sorted(before.splits)
    if baseline_split is None and split not in known and len(known) == 1:
        return known[0]
    wanted = baseline_split or split
    if wanted not in known:
        raise ArgumentError(
            f'the baseline has no split "{wanted}"',
            expected="baseline_split=" + " or ".join(f'"{name}"' for name in known),
            received=f'split "{split}" of the data, baseline_split={baseline_split!r}',
        )
    return wanted


def _compare_split(
    before: SplitStatistics | SpanStatistics,
    now: SplitStatistics | SpanStatistics,
    rules: DriftRules,
    columns: Sequence[str] | None,
) -> list[Comparison]:
    one = {column.name: column for column in before.columns}
    two = {column.name: column for column in now.columns}
    compared = _rows(before.rows, now.rows, rules)
    for name in dict.fromkeys([*one, *two]) if columns is None else columns:
        if rules.columns.get(name) == ():
            continue
        if name in one and name in two:
            compared += compare_column(one[name], two[name], rules)
        elif name in one:
            compared.append(not_compared(name, "column", "the data has no such column", rules))
        elif name in two:
            compared.append(not_compared(name, "column", "the baseline has no such column", rules))
    return compared


def _rows(before: int, now: int, rules: DriftRules) -> list[Comparison]:
    if rules.min_rows is None and rules.max_rows is None:
        return []
    if not before:
        return [not_compared("", "rows", "the baseline has no rows", rules)]
    ratio = now / before
    low, high = rules.min_rows or 0.0, rules.max_rows if rules.max_rows is not None else float("inf")
    over = low if ratio < low else high if ratio > high else None
    judged = (None if over is None else rules.rows_severity), over
    limits = {"min_rows": rules.min_rows, "max_rows": rules.max_rows}
    formula = "Rows of the data divided by rows of the baseline."
    pair = Binned(["rows"], [before], [now])
    return [found("", "rows", "rows", ratio, judged, formula, pair, {"limits": limits})]


def anomalies_of(compared: dict[str, list[Comparison]], baseline: str = "baseline") -> list[Anomaly]:
    """Return the anomalies among comparisons: for each column and subject the gravest alert of each kind.

    Args:
        compared: Comparisons by split.
        baseline: What the baseline is, for people.
    """
    alerts = [
        (one.subject, _anomaly(split, one, one.severity, baseline))
        for split, own in compared.items()
        for one in own
        if one.severity is not None
    ]
    return gravest(
        ((anomaly.split, anomaly.column, subject, anomaly.kind), anomaly) for subject, anomaly in alerts
    )


def _rows_concerned(one: Comparison) -> int | None:
    """Return how many rows an alert is about, where it is about rows."""
    if one.subject in ("missing", "not_finite", "rows"):
        return int(one.details["bins"][0]["observed"])
    new = one.details.get("new_values")
    return round(one.value * one.details["observed"]["count"]) if new and one.value is not None else None


def _anomaly(split: str, one: Comparison, severity: Severity, baseline: str) -> Anomaly:
    kwargs = {"column": one.column} if one.column else {}
    rule = Rule(f"drift_{one.measure or one.subject}", {**kwargs, "baseline": baseline}, severity)
    column = one.column or None
    where = place(split, column)
    if one.value is None:
        message = f"{where} cannot be compared with the {baseline}: {one.reason}"
        return Anomaly(split, column, NOT_CHECKED, severity, message, None, None, None, rule)
    kind = _MEASURED_KINDS.get(one.measure, _KINDS[one.subject])
    rows = _rows_concerned(one)
    message = f"{where}: {sentence(one)}"
    details = plain(one.details)
    return Anomaly(split, column, kind, severity, message, rows, one.value, one.limit, rule, details)
