"""From files to Examples: look at every file, agree on one schema, write the splits, balance the rows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import apache_beam as beam_sdk
import pyarrow as pa
from apache_beam.transforms.combiners import ToListCombineFn

from components.artifacts import Examples
from components.data.column_types import join_types
from components.data.errors import ColumnTypeError, ReconciliationError
from components.data.outcome import Failed, guarded, value_of
from components.data.rows_writer import PartWriter, SplitWriter, part_name, write_empty
from components.data.splits import Splits
from components.data.spread import spread
from orchestration import Beam, DataError, Files, HeadraceError, RunContext

QUARANTINE = "quarantine"
_GROUP_BYTES = 64 << 20
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("text", pa.string()),
    ]
)


@dataclass(frozen=True)
class SourceFile:
    """An input file: where it lies, and how messages and the quarantine call it."""

    uri: str
    name: str


@dataclass(frozen=True)
class Scan:
    """What one file turned out to hold.

    Attributes:
        file: The file.
        columns: Type by column name, in the file's order.
        rows: Number of rows.
    """

    file: SourceFile
    columns: dict[str, pa.DataType]
    rows: int


@dataclass(frozen=True)
class BadRow:
    """A row that is set aside, and why."""

    file: str
    line: int | None
    column: str | None
    reason: str
    text: str


@dataclass
class Counts:
    """Rows read, and written by split, and set aside; added up over all groups."""

    read: int = 0
    quarantined: int = 0
    written: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add another group's rows."""
        self.read += other.read
        self.quarantined += other.quarantined
        for split, rows in other.written.items():
            self.written[split] = self.written.get(split, 0) + rows


class Reader(Protocol):
    """What a file format must know how to do; travels to the Beam workers."""

    @property
    def text(self) -> bool:
        """Whether types were inferred from text, so that any column could also stay text."""

    def scan(self, file: SourceFile) -> Scan:
        """Look at the whole file once, as far as types and row counts need it."""

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the agreed schema; rows that are set aside go to ``bad``."""

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return where the file first holds a value of the column that is not ``kind``."""


def ingest(files: Files, reader: Reader, splits: Splits, beam: Beam, run: RunContext) -> Examples:
    """Read all matching files into new Examples, through one Beam job.

    Raises:
        DataError: A file cannot be read, files contradict each other, there is no row, or rows read
            and written do not balance.
    """
    started = time.monotonic()
    examples = Examples.new()
    groups = group_files(files.paths())
    with beam.pipeline() as job:
        scans = (
            spread(job, "Files", [file for group in groups for file in group])
            | "Scan" >> beam_sdk.Map(partial(guarded, reader.scan))
            | "AllScans" >> beam_sdk.CombineGlobally(ToListCombineFn()).without_defaults()
        )
        plan = scans | "Agree" >> beam_sdk.Map(partial(guarded, _Agreement(reader, splits)))
        counts = (
            spread(job, "Groups", list(enumerate(groups)))
            | "Write"
            >> beam_sdk.Map(_write_group, beam_sdk.pvalue.AsSingleton(plan), reader, splits, examples.uri)
            | "AllCounts" >> beam_sdk.CombineGlobally(ToListCombineFn()).without_defaults()
        )
        agreed, written = beam.result(plan), beam.result(counts)
    schema, expected_rows = value_of(agreed.get())
    total = Counts()
    for part in sorted(written.get(), key=lambda item: item[0]):
        total.add(value_of(part[1]))
    _finish(examples, schema, splits, total, expected_rows)
    _log(run, total, time.monotonic() - started)
    return examples


def group_files(paths: Sequence[Path]) -> list[list[SourceFile]]:
    """Return the files in order, small neighbours together: a group becomes one part of each split."""
    names = [str(path) for path in paths]
    root = os.path.commonpath([str(path.parent) for path in paths])
    groups: list[list[SourceFile]] = []
    size = 0
    for path, name in zip(paths, names, strict=True):
        file = SourceFile(name, os.path.relpath(name, root) if root else name)
        bytes_ = path.stat().st_size
        if not groups or size + bytes_ > _GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(file)
        size += bytes_
    return groups


@dataclass(frozen=True)
class _Agreement:
    """Finds the one schema that holds every file."""

    reader: Reader
    splits: Splits

    def __call__(self, scans: list[Scan | Failed]) -> tuple[pa.Schema, int]:
        failed = [scan for scan in scans if isinstance(scan, Failed)]
        if failed:
            raise min((one.error for one in failed), key=str)
        found = sorted((s for s in scans if isinstance(s, Scan)), key=lambda scan: scan.file.uri)
        rows = sum(scan.rows for scan in found)
        if not rows:
            raise DataError(
                "the input has no rows",
                expected="at least one row",
                received=f"{len(found)} file(s) without rows, first {found[0].file.name}",
            )
        fields = [pa.field(name, self._agree(name, found)) for name in found[0].columns]
        schema = pa.schema(fields)
        self.splits.check(schema)
        return schema, rows

    def _agree(self, column: str, scans: Sequence[Scan]) -> pa.DataType:
        kind, decided_by = pa.null(), scans[0]
        for scan in scans:
            _check_columns(scans[0], scan)
            joined = join_types(kind, scan.columns[column])
            if joined is None:
                raise self._contradiction(column, decided_by, scan)
            if not joined.equals(kind):
                kind, decided_by = joined, scan
        return pa.string() if pa.types.is_null(kind) else kind

    def _contradiction(self, column: str, one: Scan, other: Scan) -> ColumnTypeError:
        if pa.types.is_string(one.columns[column]):
            one, other = other, one  # text is the odd one out: it has the value that is no number
        kind, odd = one.columns[column], other.columns[column]
        names = max(len(str(kind)), len(str(odd)))
        evidence = self.reader.explain(other.file, column, kind)
        return ColumnTypeError(
            f'column "{column}" changes type between files',
            expected=f"{kind!s:<{names}}  {one.file.uri}",
            received=f"{odd!s:<{names}}  {other.file.uri}{evidence}",
            next=_remedy(column, kind, evidence, self.reader.text),
        )


def _remedy(column: str, kind: pa.DataType, evidence: str, text: bool) -> str | None:
    if not text:
        return None
    value = evidence.rpartition(": ")[2]
    nulls = f", null_values=[{value}]" if value.startswith('"') else ""
    return f'read_csv(..., column_types={{"{column}": "{kind}"}}{nulls})'


def _check_columns(first: Scan, scan: Scan) -> None:
    missing = [name for name in first.columns if name not in scan.columns]
    extra = [name for name in scan.columns if name not in first.columns]
    if missing or extra:
        found = [f"no {name}" for name in missing] + [f"also {name}" for name in extra]
        raise DataError(
            f"{scan.file.name} has other columns than {first.file.name}",
            expected=", ".join(first.columns),
            received=", ".join(found),
        )


def _write_group(
    group: tuple[int, list[SourceFile]], plan: Any, reader: Reader, splits: Splits, root: str
) -> tuple[int, Counts | Failed]:
    """Write one group's rows as one part of each split."""
    part, files = group
    if isinstance(plan, Failed):
        return part, Counts()
    schema = plan[0]
    counts = Counts()
    try:
        with SplitWriter(root, part, schema, splits) as writer:
            bad: list[BadRow] = []
            for file in files:
                for batch in reader.read(file, schema, bad):
                    writer.write(batch)
                    counts.read += batch.num_rows
    except HeadraceError as error:
        return part, Failed(error)
    counts.written = writer.rows
    counts.quarantined = len(bad)
    counts.read += len(bad)
    _write_quarantine(f"{root}/{part_name(QUARANTINE, part)}", bad)
    return part, counts


def _write_quarantine(uri: str, bad: list[BadRow]) -> None:
    if not bad:
        return
    rows = [vars(row) for row in bad]
    writer = PartWriter(uri, QUARANTINE_SCHEMA)
    writer.write(pa.RecordBatch.from_pylist(rows, QUARANTINE_SCHEMA))
    writer.close()


def _finish(examples: Examples, schema: pa.Schema, splits: Splits, total: Counts, expected: int) -> None:
    """Balance the rows, complete empty splits and state the counts."""
    written = sum(total.written.values())
    if total.read != written + total.quarantined or total.read != expected:
        raise ReconciliationError(
            "rows read and rows written do not balance",
            expected=f"{expected} rows, as counted when the files were first looked at",
            received=f"{total.read} read, {written} written, {total.quarantined} set aside",
            next="run again; if it stays, the files change while they are read",
        )
    for split in splits.names:
        if not total.written.get(split):
            write_empty(f"{examples.uri}/{part_name(split, 0)}", schema)
    examples.metadata.update(
        columns={field.name: str(field.type) for field in schema},
        quarantined=total.quarantined,
        read=total.read,
        splits={name: {"rows": total.written.get(name, 0)} for name in splits.names},
    )


def _log(run: RunContext, total: Counts, seconds: float) -> None:
    run.log_metric("rows_read", total.read)
    run.log_metric("rows_quarantined", total.quarantined)
    run.log_metric("rows_per_second", total.read / max(seconds, 1e-9))
