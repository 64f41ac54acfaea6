"""From files to Examples: look at every file, agree on one schema, write the splits, balance the rows."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam_sdk
import pyarrow as pa
from apache_beam.transforms.combiners import ToListCombineFn

from components.artifacts import Examples
from components.data.errors import ReconciliationError
from components.data.outcome import Failed, guarded, value_of
from components.data.spread import spread
from components.reading.agreement import Agreement
from components.reading.row_selection import LeftOut, RowSelection
from components.reading.rows_writer import PartWriter, SplitWriter, part_name, write_empty
from components.reading.sources import BadRow, Reader, Scan, SourceFile, in_groups
from components.reading.spans import SpanFiles
from components.reading.splits import Splits
from orchestration import Beam, DataError, Files, HeadraceError, RunContext

__all__ = [
    "QUARANTINE",
    "QUARANTINE_SCHEMA",
    "BadRow",
    "Reader",
    "Scan",
    "SourceFile",
    "group_files",
    "ingest",
    "ingest_groups",
]

QUARANTINE = "quarantine"
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("text", pa.string()),
    ]
)

Group = Sequence[SourceFile]


@dataclass
class Counts:
    """Rows read, and what became of them; added up over all groups."""

    read: int = 0
    quarantined: int = 0
    left_out: LeftOut = field(default_factory=LeftOut)
    written: dict[str, int] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        """Add another group's rows."""
        self.read += other.read
        self.quarantined += other.quarantined
        self.left_out.add(other.left_out)
        for split, rows in other.written.items():
            self.written[split] = self.written.get(split, 0) + rows


def ingest(
    files: Files, reader: Reader, selection: RowSelection | Splits, beam: Beam, run: RunContext
) -> Examples:
    """Read the chosen files into new Examples, through one Beam job.

    Args:
        files: A path, folder or pattern, with fields for spans or without.
        reader: Knows the format.
        selection: Which spans and rows are read and where they go; splits alone keep all rows.
        beam: Starts the job.
        run: Receives metrics.

    Raises:
        ArgumentError: The spans that are asked for do not fit the files' pattern.
        DataError: A file cannot be read, files contradict each other, there is no row, or rows read
            and written do not balance.
    """
    selection = _whole(selection)
    return ingest_groups(group_files(SpanFiles(files).within(selection.spans)), reader, selection, beam, run)


def ingest_groups(
    groups: Sequence[Group], reader: Reader, selection: RowSelection | Splits, beam: Beam, run: RunContext
) -> Examples:
    """Read groups of sources into new Examples; every group becomes one part of each split.

    For what is no file: partitions of a query, fragments of a table. A group's sources are read in order
    by one worker; they are of one span.
    """
    started = time.monotonic()
    selection = _whole(selection)
    examples = Examples.new()
    sources = tuple(source for group in groups for source in group)
    agree = Agreement(reader, selection, sources)
    write = _GroupWriter(reader, selection, _absolute(examples.uri))
    with beam.pipeline() as job:
        scans = (
            spread(job, "Files", sources)
            | "Scan" >> beam_sdk.Map(partial(guarded, reader.scan))
            | "AllScans" >> beam_sdk.CombineGlobally(ToListCombineFn()).without_defaults()
        )
        plan = scans | "Agree" >> beam_sdk.Map(partial(guarded, agree))
        counts = (
            spread(job, "Groups", list(enumerate(groups)))
            | "Write" >> beam_sdk.Map(write, beam_sdk.pvalue.AsSingleton(plan))
            | "AllCounts" >> beam_sdk.CombineGlobally(ToListCombineFn()).without_defaults()
        )
        agreed, written = beam.result(plan), beam.result(counts)
    schema, expected_rows = value_of(agreed.get())
    parts = [value_of(outcome) for _, outcome in sorted(written.get(), key=lambda item: int(item[0]))]
    total = Counts()
    for part in parts:
        total.add(part)
    _balance(total, expected_rows)
    _complete(examples, schema, selection.splits, total)
    examples.metadata.update(_facts(schema, selection, total), **_span_facts(groups, parts, selection.splits))
    _log(run, total, time.monotonic() - started)
    return examples


def _whole(selection: RowSelection | Splits) -> RowSelection:
    return RowSelection(splits=selection) if isinstance(selection, Splits) else selection


def group_files(files: SpanFiles) -> list[list[SourceFile]]:
    """Return the files in order, small neighbours of one span together.

    Workers may start in another folder: they get absolute locations. Names stay relative to the folder
    above all files, so that nothing that is kept tells where the files lay.
    """
    found = files.found()
    names = [_absolute(str(file.path)) for file in found]
    above = _absolute(files.root) if files.root is not None else None
    root = above or os.path.commonpath([str(Path(name).parent) for name in names])
    return in_groups(
        (SourceFile(uri, os.path.relpath(uri, root), span, version), path.stat().st_size)
        for (path, span, version), uri in zip(found, names, strict=True)
    )


def _absolute(uri: str) -> str:
    return uri if "://" in uri else str(Path(uri).absolute())


@dataclass(frozen=True)
class _GroupWriter:
    """Writes one group's rows as one part of each split.

    Attributes:
        reader: Knows the format.
        selection: Which rows are written, and where to.
        root: Folder of the new examples.
    """

    reader: Reader
    selection: RowSelection
    root: str

    def __call__(self, group: tuple[int, Group], plan: Any) -> tuple[int, Counts | Failed]:
        """Return the group's number and what became of its rows."""
        part, sources = group
        if isinstance(plan, Failed):
            return part, Counts()
        try:
            return part, self._write(part, sources, plan[0])
        except HeadraceError as error:
            return part, Failed(error)

    def _write(self, part: int, sources: Group, schema: pa.Schema) -> Counts:
        counts = Counts()
        bad: list[BadRow] = []
        with SplitWriter(self.root, part, schema, self.selection.splits) as writer:
            for source in sources:
                for batch in self.reader.read(source, schema, bad):
                    counts.read += batch.num_rows
                    writer.write(self.selection.keep(batch, counts.left_out, source.name))
        counts.written = writer.rows
        counts.quarantined = len(bad)
        counts.read += len(bad)
        _write_quarantine(f"{self.root}/{part_name(QUARANTINE, part)}", bad)
        return counts


def _write_quarantine(uri: str, bad: list[BadRow]) -> None:
    if not bad:
        return
    rows = [vars(row) for row in bad]
    writer = PartWriter(uri, QUARANTINE_SCHEMA)
    writer.write(pa.RecordBatch.from_pylist(rows, QUARANTINE_SCHEMA))
    writer.close()


def _balance(total: Counts, expected: int) -> None:
    """Refuse counts that do not add up, and rows of which none is left."""
    written = sum(total.written.values())
    if total.read != written + total.quarantined + total.left_out.rows or total.read != expected:
        raise ReconciliationError(
            "rows read and rows written do not balance",
            expected=f"{expected} rows, as counted when the files were first looked at",
            received=f"{total.read} read, {written} written, {total.quarantined} set aside, "
            f"{total.left_out.rows} left out",
            next="run again; if it stays, the files change while they are read",
        )
    if not written:
        out = total.left_out
        raise DataError(
            "no row is left",
            expected="at least one row that is written",
            received=f"{total.read} read: {total.quarantined} set aside, {out.filtered} filtered, "
            f"{out.sampled_out} not in the sample, {out.without_split} of no split",
        )


def _complete(examples: Examples, schema: pa.Schema, splits: Splits, total: Counts) -> None:
    """Let splits without rows tell their columns too."""
    for split in splits.names:
        if not total.written.get(split):
            write_empty(f"{examples.uri}/{part_name(split, 0)}", schema)


def _facts(schema: pa.Schema, selection: RowSelection, total: Counts) -> dict[str, Any]:
    """Return the metadata; a reason to leave rows out is counted where it was asked for."""
    facts: dict[str, Any] = {
        "columns": {field.name: str(field.type) for field in schema},
        "quarantined": total.quarantined,
        "read": total.read,
        "splits": {name: {"rows": total.written.get(name, 0)} for name in selection.splits.names},
    }
    if selection.rows.where is not None:
        facts["filtered"] = total.left_out.filtered
    if selection.rows.sample < 1:
        facts["sampled_out"] = total.left_out.sampled_out
    if selection.unknown_split == "drop":
        facts["without_split"] = total.left_out.without_split
    return facts


def _span_facts(groups: Sequence[Group], parts: Sequence[Counts], splits: Splits) -> dict[str, Any]:
    """Return which spans were read, and which part holds which; nothing where there are none."""
    spans: dict[str, dict[str, Any]] = {}
    of_part: dict[str, str] = {}
    written: set[str] = set()
    for part, (group, counts) in enumerate(zip(groups, parts, strict=True)):
        span, version = group[0].span, group[0].version
        if span is None:
            continue
        facts = spans.setdefault(span, {"read": 0, "span": span})
        facts["read"] += counts.read
        if version is not None:
            facts["version"] = version
        for split in (name for name, rows in counts.written.items() if rows):
            of_part[part_name(split, part)] = span
            written.add(split)
    if not spans:
        return {}
    for split in set(splits.names) - written:  # its one part is there to tell the columns
        of_part[part_name(split, 0)] = next(iter(spans))
    return {"parts": dict(sorted(of_part.items())), "spans": list(spans.values())}


def _log(run: RunContext, total: Counts, seconds: float) -> None:
    run.log_metric("rows_read", total.read)
    run.log_metric("rows_quarantined", total.quarantined)
    run.log_metric("rows_left_out", total.left_out.rows)
    run.log_metric("rows_per_second", total.read / max(seconds, 1e-9))
