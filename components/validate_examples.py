"""Validation: rows are held against a schema's rules; what breaks them stops, is set aside or reported."""

from __future__ import annotations

import time
from typing import NamedTuple

from components.artifacts import Examples, Schema, Statistics, Validation
from orchestration import ArgumentError, Beam, DataError, RunContext, component


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
    *,
    splits: list[str] | None = None,
    key: list[str] | None = None,
    beam: Beam,
    run: RunContext,
) -> Checked:
    """Hold every split against a schema: its Great Expectations suite, its columns' types and nullability.

    The metrics the rules need are computed in one Beam pass; Great Expectations judges them without seeing
    a row. A rule's severity decides what breaking it means: ``fail`` stops the run, ``quarantine`` sets the
    rows that break it aside and goes on with the others (which are then validated themselves), ``warn`` is
    reported. A rule that cannot be checked is broken; a rule without rows of its own that asks for
    quarantine fails.

    Args:
        examples: The rows.
        statistics: Their statistics; they must count the same rows.
        schema: ``schema.json`` (columns with type and nullability) and ``suite.json`` (expectations, each
            with ``meta.severity``).
        splits: Splits to validate; all of them by default. Others go on unseen.
        key: Columns that tell a person which row it is; the evidence shows their values.

    Returns:
        The examples that may be used, and the findings: ``anomalies.json`` (worst first), ``report.html``,
        ``result.json`` (Great Expectations' result by split), ``plan.json`` and ``metrics.json`` (what was
        computed), ``docs/<split>.html`` (Data Docs), ``evidence.parquet`` (the first rows that broke each
        rule) and, where rows were set aside, ``quarantine/part-*.parquet``.

    Raises:
        ArgumentError: There is no such split, or no such key column.
        DataError: There are no rows, the statistics are of other rows, or a rule cannot be understood.
        GateError: A rule with severity ``fail`` is broken. Report and evidence are attached to the run.
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
    outcome = validate(examples, schema, chosen, beam, key)
    validation, gate = outcome.validation, outcome.gate
    run.log_metric("rows_per_second", examples.rows / max(time.monotonic() - started, 1e-9))
    _show(validation, run)
    if gate is not None:
        gate.next = f"open report.html and evidence.parquet: headrace show {run.run_id} {run.node}"
        raise gate
    return Checked(outcome.examples, validation)


def _show(validation: Validation, run: RunContext) -> None:
    for severity, count in validation.metadata["anomalies"].items():
        run.log_metric(f"anomalies_{severity}", count)
    for name in ("report.html", "anomalies.json", "evidence.parquet"):
        run.attach(validation.path / name, name)


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
