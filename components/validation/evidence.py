"""Row evidence: which rows broke which rule, by split, file and row, with the values that broke it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.validation.anomalies import kind
from components.validation.judge import Check, Verdict
from components.validation.metrics import Metric, plain
from components.validation.parts import Violations
from components.validation.suite import Rule
from components.validation.view import place

if TYPE_CHECKING:
    from components.artifacts import Examples

SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("key", pa.string()),
        ("column", pa.string()),
        ("kind", pa.string()),
        ("severity", pa.string()),
        ("values", pa.string()),
        ("rule", pa.string()),
    ]
)


def counting(check: Check) -> Metric | None:
    """Return the metric that counts a rule's broken rows, None for a rule that is not about rows."""
    name = f"{getattr(check.expectation, 'map_metric', None)}.unexpected_count"
    return next((metric for metric in check.metrics if metric.name == name), None)


def rows_of(split: str, files: list[str], rule: Rule, violations: Violations) -> list[dict[str, Any]]:
    """Return one record for each of the first rows that broke a rule."""
    records = []
    for position, values in violations.examples:
        file, row = place(position)
        named = dict(zip(rule.columns, values, strict=False))
        records.append(
            {
                "split": split,
                "file": files[file],
                "row": row,
                "key": None,
                "column": ", ".join(rule.columns),
                "kind": kind(rule),
                "severity": str(rule.severity),
                "values": json.dumps(named, ensure_ascii=False),
                "rule": str(rule),
            }
        )
    return records


def gather(
    checks: list[Check],
    verdicts: Mapping[str, list[Verdict]],
    violations: Mapping[str, Mapping[str, Violations]],
    files: Mapping[str, list[str]],
) -> list[dict[str, Any]]:
    """Return the evidence for every broken rule: at most a hundred rows each, the first in the split.

    Args:
        checks: The rules, in the order of the verdicts.
        verdicts: Verdicts by split.
        violations: Broken rows by split and metric key.
        files: File names by split, in the files' order.
    """
    records = []
    for split in sorted(verdicts):
        for check, verdict in zip(checks, verdicts[split], strict=True):
            metric = None if verdict.success else counting(check)
            if metric is not None and metric.key in violations[split]:
                records += rows_of(split, files[split], verdict.rule, violations[split][metric.key])
    return records


def add_keys(records: list[dict[str, Any]], examples: Examples, key: list[str]) -> None:
    """Add to every record the values of some columns that tell people which row it is.

    Reads only the row groups that hold such a row, and of them only these columns.

    Args:
        records: The evidence; its ``key`` is filled in as JSON.
        examples: The rows it is about.
        key: Names of the columns.
    """
    wanted: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        wanted.setdefault((record["split"], record["file"]), []).append(record)
    for (split, name), own in wanted.items():
        path = next(path for path in examples.files(split) if path.name == name)
        with path.open("rb") as source:
            parquet = pq.ParquetFile(source)
            start = 0
            for group in range(parquet.num_row_groups):
                stop = start + parquet.metadata.row_group(group).num_rows
                here = [record for record in own if start <= record["row"] < stop]
                if here:
                    table = parquet.read_row_group(group, columns=key, use_threads=False)
                    places = pa.array([record["row"] - start for record in here])
                    for record, row in zip(here, table.take(places).to_pylist(), strict=True):
                        record["key"] = json.dumps(plain(row), ensure_ascii=False)
                start = stop


def write(records: list[dict[str, Any]], path: Path) -> None:
    """Write the evidence as Parquet; rows are counted from 0 within their file."""
    with path.open("wb") as sink:
        pq.write_table(pa.Table.from_pylist(records, schema=SCHEMA), sink)
