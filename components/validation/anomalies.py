"""What is wrong with the data, in a person's words, worst first."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.schema.schema import Severity
from components.validation.metrics import plain
from components.validation.suite import Rule, shortened

if TYPE_CHECKING:
    from components.validation.judge import Verdict

_ORDER = {Severity.FAIL: 0, Severity.QUARANTINE: 1, Severity.WARN: 2}

# Kind of an anomaly by the rule that found it; the first fragment that occurs in the rule's name counts.
_KINDS = (
    ("to_not_be_nan", "values_missing"),
    ("texts_to_be_numbers", "values_malformed"),
    ("to_be_images", "values_malformed"),
    ("list_item_counts", "values_unexpected"),
    ("list_shapes", "shape_changed"),
    ("list_lengths_to_be_equal", "rows_inconsistent"),
    ("missing_together", "rows_inconsistent"),
    ("rows_to_satisfy", "rows_inconsistent"),
    ("arrow_type", "type_changed"),
    ("of_type", "type_changed"),
    ("type_list", "type_changed"),
    ("column_type_to_be", "type_changed"),
    ("columns_to_be_known", "column_new"),
    ("column_to_exist", "column_missing"),
    ("columns_to_match", "columns_changed"),
    ("column_count", "columns_changed"),
    ("row_count", "row_count_out_of_range"),
    ("distance_to_be", "distribution_changed"),
    ("divergence_to_be", "distribution_changed"),
    ("stability_index_to_be", "distribution_changed"),
    ("probability_to_be", "distribution_changed"),
    ("quantile_values", "statistic_out_of_range"),
    ("to_not_be_null", "values_missing"),
    ("non_null_values", "values_missing"),
    ("values_to_be_null", "values_unexpected"),
    ("unique_within_record", "rows_inconsistent"),
    ("proportion_of_unique", "statistic_out_of_range"),
    ("unique_value_count", "statistic_out_of_range"),
    ("to_be_unique", "values_repeated"),
    ("pair_values", "rows_inconsistent"),
    ("multicolumn", "rows_inconsistent"),
    ("in_set", "values_unexpected"),
    ("contain_set", "values_unexpected"),
    ("equal_set", "values_unexpected"),
    ("values_to_be_between", "values_out_of_range"),
    ("z_scores", "values_out_of_range"),
    ("outliers", "values_out_of_range"),
    ("finite", "values_out_of_range"),
    ("lengths", "lengths_out_of_range"),
    ("creasing", "values_out_of_order"),
    ("match", "values_malformed"),
    ("parseable", "values_malformed"),
    ("utf8", "values_malformed"),
    ("to_be_between", "statistic_out_of_range"),
)
NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Anomaly:
    """One thing that is wrong.

    Attributes:
        split: Where.
        column: Which column, several joined by a comma; None for the table.
        kind: What kind of thing, as ``values_out_of_range``.
        severity: What it means for the run.
        message: The same in a sentence.
        rows: Rows concerned, where it is about rows.
        value: What was found.
        threshold: What was allowed.
        rule: The rule that found it.
        details: What the verdict rests on, as JSON: of a comparison its bins, counts, formula, threshold.
    """

    split: str
    column: str | None
    kind: str
    severity: Severity
    message: str
    rows: int | None
    value: Any
    threshold: Any
    rule: Rule
    details: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the anomaly as JSON, its rule as text; ``details`` only where there are any."""
        shown = {name: getattr(self, name) for name in ("split", "column", "kind", "message", "rows")}
        exact = {"value": plain(self.value), "threshold": plain(self.threshold)}
        exact |= {"details": self.details} if self.details is not None else {}
        return {**shown, **exact, "severity": str(self.severity), "rule": str(self.rule)}

    @property
    def identity(self) -> tuple[str, str]:
        """What tells anomalies apart: the split and the rule."""
        return self.split, self.rule.identity

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort key: the worst first, ties in a fixed order."""
        numbers = isinstance(self.value, int | float) and isinstance(self.threshold, int | float)
        over = self.value / self.threshold if numbers and self.threshold else 0.0
        return (
            _ORDER[self.severity],
            self.kind == NOT_CHECKED,
            not self.kind.startswith(("column_", "type_")),
            -(self.rows or 0),
            -over,
            self.column or "",
            self.rule.identity,
            self.split,
        )


def gravest(found: Iterable[tuple[Hashable, Anomaly]]) -> list[Anomaly]:
    """Return the gravest anomaly of each key, worst first."""
    best: dict[Hashable, Anomaly] = {}
    for key, anomaly in sorted(found, key=lambda pair: pair[1].order):
        best.setdefault(key, anomaly)
    return list(best.values())


def place(split: str, column: str | None) -> str:
    """Return where something is, in words; where there is only one split, it has no name."""
    if not split:
        return f'"{column}"' if column else "the data"
    return f'column "{column}" of split {split}' if column else f"split {split}"


def find(verdicts: Mapping[str, list[Verdict]], columns: Iterable[str]) -> list[Anomaly]:
    """Return the anomalies behind the verdicts that are not a success, worst first.

    Args:
        verdicts: Verdicts by split.
        columns: Names of the columns that exist.
    """
    existing = set(columns)
    found = [
        _anomaly(split, verdict, existing)
        for split, judged in verdicts.items()
        for verdict in judged
        if not verdict.success
    ]
    # A missing column breaks all its rules; one anomaly with the gravest severity says so once.
    return gravest(
        ((one.split, one.column if one.kind == "column_missing" else one.rule.identity), one) for one in found
    )


def kind(rule: Rule) -> str:
    """Return the kind of anomaly that breaking a rule is."""
    return next((name for fragment, name in _KINDS if fragment in rule.type), "rule_broken")


def _anomaly(split: str, verdict: Verdict, existing: set[str]) -> Anomaly:
    rule = verdict.rule
    absent = [name for name in rule.columns if name not in existing]
    if absent:
        message = f'column "{absent[0]}" is missing from split {split}'
        value, allowed = sorted(existing), absent[0]
        return Anomaly(split, absent[0], "column_missing", rule.severity, message, None, value, allowed, rule)
    column = ", ".join(rule.columns) or None
    if verdict.error is not None:
        message = f"{_subject(rule)} could not be checked in split {split}: {verdict.error}"
        return Anomaly(split, column, NOT_CHECKED, rule.severity, message, None, None, None, rule)
    value, allowed = _measured(verdict)
    message = _sentence(split, verdict, value, allowed)
    details = verdict.result.get("details")
    compared = details if isinstance(details, dict) and "bins" in details else None
    return Anomaly(
        split, column, kind(rule), rule.severity, message, verdict.rows, value, allowed, rule, compared
    )


def _subject(rule: Rule) -> str:
    if not rule.columns:
        return "the table"
    return ("column " if len(rule.columns) == 1 else "columns ") + ", ".join(f'"{n}"' for n in rule.columns)


def _measured(verdict: Verdict) -> tuple[Any, Any]:
    """Return what was found and what was allowed."""
    rule, result = verdict.rule, verdict.result
    if verdict.rows is not None:
        return result.get("unexpected_percent"), 100 * (1 - float(rule.kwargs.get("mostly", 1)))
    kwargs = {
        k: v for k, v in rule.kwargs.items() if k not in ("column", "column_A", "column_B", "column_list")
    }
    return result.get("observed_value"), {
        k: v for k, v in sorted(kwargs.items()) if not k.startswith("baseline")
    }


def _sentence(split: str, verdict: Verdict, value: Any, allowed: Any) -> str:
    rule, rows = verdict.rule, verdict.rows
    if rows is None:
        wanted = ", ".join(f"{name}={shortened(item)}" for name, item in allowed.items())
        number = isinstance(value, float)
        found = f"{_subject(rule)} of split {split}: found {f'{value:.6g}' if number else shortened(value)}"
        return f"{found}, expected {what(rule)} {wanted}".rstrip()
    share = f" ({value:.3g} %)" if isinstance(value, int | float) else ""
    noun = f"row{share} breaks" if rows == 1 else f"rows{share} break"
    examples = verdict.result.get("partial_unexpected_list") or []
    shown = f", e.g. {shortened(examples[0])}" if any(item is not None for item in examples[:1]) else ""
    return f"{_subject(rule)} of split {split}: {rows:,} {noun} {what(rule)}{_bounds(rule)}{shown}"


def what(rule: Rule) -> str:
    """Return a rule's name as words: ``values to be between``."""
    words = rule.type.removeprefix("expect_").replace("_", " ")
    for subject in (
        "column pair ",
        "compound columns ",
        "select column ",
        "multicolumn ",
        "column ",
        "table ",
    ):
        words = words.removeprefix(subject)
    return f'"{words}"'


def _bounds(rule: Rule) -> str:
    named = (
        "min_value",
        "max_value",
        "regex",
        "value",
        "value_set",
        "like_pattern",
        "strftime_format",
        "threshold",
        "item",
        "formats",
        "shape",
        "condition",
    )
    shown = [f"{name}={shortened(rule.kwargs[name])}" for name in named if rule.kwargs.get(name) is not None]
    return f" ({', '.join(shown)})" if shown else ""
