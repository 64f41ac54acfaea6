"""Validation: rows are held against a schema's rules; what breaks them stops, is set aside or reported."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from components.artifacts import Examples, Schema, Statistics, Validation
from components.comparison.drift_rules import DriftRules
from orchestration import ArgumentError, Beam, DataError, RunContext, component, require

if TYPE_CHECKING:
    from components.comparison.splits import Drift


class Checked(NamedTuple):
    """What validation hands on.

    Attributes:
        examples: The rows that may be used: the input itself where nothing was set aside.
        validation: What was found.
    """

    examples: Examples
    validation: Validation


@component(imports=("pyarrow.parquet", "apache_beam", "great_expectations"))
def validate_examples(
    examples: Examples,
    statistics: Statistics,
    schema: Schema,
    baseline: Statistics | None = None,
    *,
    splits: list[str] | None = None,
    key: list[str] | None = None,
    environment: str | None = None,
    drift: DriftRules = DriftRules(),  # noqa: B008 - frozen
    baseline_split: str | None = None,
    previous_span: bool = False,
    beam: Beam,
    run: RunContext,
) -> Checked:
    """Hold every split against a schema: its Great Expectations suite, its columns' types and nullability.

    The metrics the rules need are computed in one Beam pass; Great Expectations judges them without seeing
    a row. A rule's severity decides what breaking it means: ``fail`` stops the run, ``quarantine`` sets the
    rows that break it aside and goes on with the others (which are then validated themselves), ``warn`` is
    reported. A rule that cannot be checked is broken; a rule without rows of its own that asks for
    quarantine fails.

    With a ``baseline``, the statistics of every split are compared with it, column by column: statistics
    of the previous run (:func:`components.previous_statistics`), of the training rows for a log of served
    requests, or of any other data. With a ``baseline_split`` and no baseline, the other splits are
    compared with that one; with ``previous_span``, each split's last span with the one before. What
    cannot be compared is an anomaly too, never no difference.

    Args:
        examples: The rows.
        statistics: Their statistics; they must count the same rows.
        schema: ``schema.json`` (columns with type and nullability) and ``suite.json`` (expectations, each
            with ``meta.severity``).
        baseline: Statistics to compare with; none by default.
        splits: Splits to validate; all of them by default. Others go on unseen.
        key: Columns that tell a person which row it is; the evidence shows their values.
        environment: Only what the schema says of this environment holds, as ``"serving"``: rows
            without a label. By default all of it.
        drift: How much may differ from the baseline, by measure and column.
        baseline_split: The split to compare with. By default the baseline's of the same name, or its
            only one.
        previous_span: Compare the last span of the rows with the one before it; no baseline is given
            then.

    Returns:
        The examples that may be used, and the findings: ``anomalies.json`` (worst first), ``report.html``,
        ``result.json`` (Great Expectations' result by split), ``plan.json`` and ``metrics.json`` (what was
        computed), ``docs/<split>.html`` (Data Docs), ``evidence.parquet`` (the first rows that broke each
        rule), ``drift.json`` (every comparison with the baseline, also those within their limits) and,
        where rows were set aside, ``quarantine/part-*.parquet``.

    Raises:
        ArgumentError: There is no such split, key column, environment or split to compare with.
        DataError: There are no rows, the statistics are of other rows, or a rule cannot be understood.
        GateError: A rule with severity ``fail`` is broken, or a limit of drift exceeded. Report and
            evidence are attached to the run.
    """
    from components.validation.run import validate

    chosen = sorted(set(splits)) if splits is not None else examples.splits
    unknown = [name for name in chosen if name not in examples.splits]
    if unknown or not chosen:
        raise ArgumentError(
            f'there is no split "{unknown[0]}"' if unknown else "there is no split to validate",
            expected=" or ".join(examples.splits) or "examples with at least one split",
            received=f"splits={splits!r}",
        )
    _refuse_other_rows(examples, statistics)
    _refuse_empty(examples, chosen)
    started = time.monotonic()
    _refuse_other_key(examples, key or [])
    other = _Other(baseline, baseline_split, previous_span)
    compared = _compared(statistics, schema, other, chosen, environment, drift)
    outcome = validate(examples, schema, chosen, beam, key=key, environment=environment, drift=compared)
    validation, gate = outcome.validation, outcome.gate
    run.log_metric("rows_per_second", examples.rows / max(time.monotonic() - started, 1e-9))
    _show(validation, run)
    if baseline is not None:
        _show_changes(statistics, baseline, validation, run)
    if gate is not None:
        gate.next = f"open validation.html and evidence.parquet: headrace show {run.run_id} {run.node}"
        raise gate
    return Checked(outcome.examples, validation)


@dataclass(frozen=True)
class _Other:
    """What the rows are compared with; nothing by default."""

    baseline: Statistics | None = None
    split: str | None = None
    span: bool = False

    def __post_init__(self) -> None:
        alone = not self.span or (self.baseline is None and self.split is None)
        require(alone, "previous_span", "no baseline and no baseline_split beside it", self.span)


def _compared(
    statistics: Statistics,
    schema: Schema,
    other: _Other,
    splits: list[str],
    environment: str | None,
    rules: DriftRules,
) -> Drift | None:
    """Return the comparisons with the baseline, None where there is nothing to compare with."""
    if other == _Other():
        return None
    from components.comparison.splits import Drift, compare_spans, compare_splits
    from components.statistics.statistics import load_statistics
    from components.validation.suite import known_columns

    now = load_statistics(statistics)
    columns = known_columns(schema, environment)
    if other.span:
        return Drift("previous span", compare_spans(now, rules, splits=splits, columns=columns))
    before, name = now, f"split {other.split}"
    if other.baseline is not None:
        before, name = load_statistics(other.baseline), "baseline"
    chosen = [split for split in splits if other.baseline is not None or split != other.split]
    compared = compare_splits(before, now, rules, splits=chosen, columns=columns, baseline_split=other.split)
    itself = other.baseline is not None and other.split is None and _same(other.baseline, statistics)
    return Drift(name, compared, itself)


def _same(one: Statistics, two: Statistics) -> bool:
    return one.uri == two.uri or (bool(one.digest) and one.digest == two.digest)


def _show(validation: Validation, run: RunContext) -> None:
    for severity, count in validation.metadata["anomalies"].items():
        run.log_metric(f"anomalies_{severity}", count)
    run.attach(validation.path / "report.html", "validation.html")
    for name in ("anomalies.json", "evidence.parquet"):
        run.attach(validation.path / name, name)


def _show_changes(
    statistics: Statistics, baseline: Statistics, validation: Validation, run: RunContext
) -> None:
    """Attach the statistics page with what moved since the baseline first."""
    from components.statistics.report_page import render_report
    from components.statistics.statistics import load_statistics

    found = validation.read_json("anomalies.json")
    moved = [one for one in found if "measure" in (one.get("details") or {})]
    now, before = load_statistics(statistics), load_statistics(baseline)
    page = render_report(now, title="Statistics against the baseline", baseline=before, changes=moved)
    run.folder.mkdir(parents=True, exist_ok=True)
    made = run.folder / "changes.html"
    made.write_text(page, encoding="utf-8")
    run.attach(made, "changes.html")


def _refuse_other_rows(examples: Examples, statistics: Statistics) -> None:
    counted = statistics.metadata.get("rows", examples.rows)
    if counted != examples.rows:
        raise DataError(
            "the statistics are not of these examples",
            expected=f"statistics of {examples.rows:,} rows",
            received=f"statistics of {counted:,} rows",
            next="pass compute_statistics(examples) of the same examples",
        )


def _refuse_other_key(examples: Examples, key: list[str]) -> None:
    names = examples.arrow_schema().names if key else []
    unknown = [name for name in key if name not in names]
    if unknown:
        raise ArgumentError(
            f'there is no column "{unknown[0]}" to tell rows by',
            expected=" or ".join(names),
            received=f"key={key!r}",
        )


def _refuse_empty(examples: Examples, splits: list[str]) -> None:
    empty = [name for name in splits if examples.metadata["splits"][name]["rows"] == 0]
    if empty:
        raise DataError(
            f'split "{empty[0]}" has no rows, so nothing about it can be checked',
            expected="at least one row in every split",
            received=", ".join(f"{s}: {f['rows']:,}" for s, f in sorted(examples.metadata["splits"].items())),
            next="look at the input pattern and the split shares of the reader",
        )
