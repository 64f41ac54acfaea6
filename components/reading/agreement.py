"""The one schema that holds the rows of every source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from components.data.column_types import join_types, stored_type
from components.data.errors import ColumnTypeError
from components.data.outcome import Failed
from components.reading.row_selection import RowSelection
from components.reading.sources import Reader, Scan, SourceFile
from orchestration import DataError


@dataclass(frozen=True)
class Agreement:
    """Finds the schema that all sources fit in, and holds the row selection against it."""

    reader: Reader
    selection: RowSelection
    sources: tuple[SourceFile, ...]

    def __call__(self, scans: list[Scan | Failed]) -> tuple[pa.Schema, int]:
        """Return the schema and the number of rows of all sources.

        Raises:
            ColumnTypeError: A column has types that no type holds together.
            DataError: A source could not be read, has other columns than another; there is no row; the
                row selection names a column that is not there or compares what cannot be compared.
        """
        failed = [scan for scan in scans if isinstance(scan, Failed)]
        if failed:
            raise min((one.error for one in failed), key=str)
        order = {source: place for place, source in enumerate(self.sources)}
        found = sorted((s for s in scans if isinstance(s, Scan)), key=lambda scan: order[scan.file])
        rows = sum(scan.rows for scan in found)
        if not rows:
            raise DataError(
                "the input has no rows",
                expected="at least one row",
                received=f"{len(found)} file(s) without rows, first {found[0].file.name}",
            )
        # A source without columns and rows has nothing to say: an empty partition, for one.
        telling = [scan for scan in found if scan.columns or scan.rows]
        schema = pa.schema([pa.field(name, self._agree(name, telling)) for name in self._columns(telling)])
        self.selection.check(schema)
        return schema, rows

    def _columns(self, scans: Sequence[Scan]) -> list[str]:
        if not getattr(self.reader, "optional_columns", False):
            for scan in scans:
                _check_columns(scans[0], scan)
        return list(dict.fromkeys(name for scan in scans for name in scan.columns))

    def _agree(self, column: str, scans: Sequence[Scan]) -> pa.DataType:
        join = getattr(self.reader, "join_types", join_types)
        having = [scan for scan in scans if column in scan.columns]
        kind, decided_by = pa.null(), having[0]
        for scan in having:
            joined = join(kind, scan.columns[column])
            if joined is None:
                raise self._contradiction(column, decided_by, scan)
            if not joined.equals(kind):
                kind, decided_by = joined, scan
        return stored_type(kind)

    def _contradiction(self, column: str, one: Scan, other: Scan) -> ColumnTypeError:
        if pa.types.is_string(one.columns[column]):
            one, other = other, one  # text is the odd one out: it has the value that is no number
        kind, odd = one.columns[column], other.columns[column]
        names = max(len(str(kind)), len(str(odd)))
        evidence = self.reader.explain(other.file, column, kind)
        return ColumnTypeError(
            f'column "{column}" changes type between files',
            expected=f"{kind!s:<{names}}  {one.file.name}",
            received=f"{odd!s:<{names}}  {other.file.name}{evidence}",
            next=self._remedy(column, kind, evidence),
        )

    def _remedy(self, column: str, kind: pa.DataType, evidence: str) -> str | None:
        if not self.reader.text:
            return None
        component = getattr(self.reader, "component", "read_csv")
        value = evidence.rpartition(": ")[2]
        can_be_null = component == "read_csv" and value.startswith('"')
        nulls = f", null_values=[{value}]" if can_be_null else ""
        return f'{component}(..., column_types={{"{column}": "{kind}"}}{nulls})'


def _check_columns(first: Scan, scan: Scan) -> None:
    missing = [name for name in first.columns if name not in scan.columns]
    extra = [name for name in scan.columns if name not in first.columns]
    if missing or extra:
        found = [f"no {name}" for name in missing] + [f"also {name}" for name in extra]
        raise DataError(
            f"{scan.file.name} has other columns than {first.file.name}",
            expected=", ".join(first.columns),
            received=", ".join(found),
            next=f"name the files that belong together, by a path ({first.file.name}) or a pattern",
        )
