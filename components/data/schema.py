"""A schema's two readable files: ``schema.json`` (columns) and ``suite.json`` (expectations)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Schema
from orchestration import DataError, HeadraceError

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS_FILE = "schema.json"
SUITE_FILE = "suite.json"


class Severity(StrEnum):
    """What a broken expectation means for the run."""

    FAIL = "fail"
    QUARANTINE = "quarantine"
    WARN = "warn"


@dataclass(frozen=True)
class SchemaColumn:
    """A column as it should be.

    Attributes:
        name: Its name.
        type: Arrow type, as text.
        nullable: Whether a value may be missing.
        serving: Whether the column is there when the model answers requests; labels are not.
    """

    name: str
    type: str
    nullable: bool = True
    serving: bool = True

    @property
    def arrow_type(self) -> pa.DataType:
        """The type as an Arrow type."""
        from components.data.column_types import parse_type

        return parse_type(self.type)


@dataclass(frozen=True)
class Expectation:
    """One expectation of the suite, by its Great Expectations type.

    Attributes:
        type: For example ``expect_column_values_to_not_be_null``.
        kwargs: Its arguments.
        severity: What breaking it means.
    """

    type: str
    kwargs: dict[str, Any]
    severity: Severity = Severity.FAIL

    def to_json(self) -> dict[str, Any]:
        """Return the expectation as Great Expectations writes it."""
        return {"type": self.type, "kwargs": self.kwargs, "meta": {"severity": str(self.severity)}}


@dataclass(frozen=True)
class DatasetSchema:
    """A schema's values.

    Attributes:
        columns: The columns, in order.
        expectations: The suite.
    """

    columns: tuple[SchemaColumn, ...]
    expectations: tuple[Expectation, ...] = field(default=())

    def column(self, name: str) -> SchemaColumn:
        """Return a column.

        Raises:
            KeyError: There is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def arrow_schema(self) -> pa.Schema:
        """Return the columns as an Arrow schema."""
        import pyarrow as pa

        return pa.schema([pa.field(c.name, c.arrow_type, c.nullable) for c in self.columns])

    def write(self, folder: Path, name: str) -> None:
        """Write ``schema.json`` and ``suite.json``, one column and one expectation a line.

        Args:
            folder: Where to.
            name: Name of the suite.
        """
        columns = [asdict(column) for column in self.columns]
        suite = [expectation.to_json() for expectation in self.expectations]
        columns_text = '{"columns": [' + _lines(columns) + "]}\n"
        suite_text = f'{{"name": {json.dumps(name)}, "meta": {{}}, "expectations": [' + _lines(suite) + "]}\n"
        (folder / COLUMNS_FILE).write_text(columns_text, encoding="utf-8")
        (folder / SUITE_FILE).write_text(suite_text, encoding="utf-8")


def _lines(rows: list[dict[str, Any]]) -> str:
    # In the order of the fields, not of the alphabet: a person reads the column's name first.
    return "".join(
        ("\n " if place == 0 else ",\n ") + json.dumps(row, ensure_ascii=False, allow_nan=False)
        for place, row in enumerate(rows)
    ) + ("\n" if rows else "")


def load_schema(artifact: Schema) -> DatasetSchema:
    """Return the values of a Schema artifact."""
    return parse_schema(artifact.read_json(COLUMNS_FILE), artifact.read_json(SUITE_FILE), artifact.uri)


def read_schema_files(paths: list[Path]) -> DatasetSchema:
    """Return the schema that a person keeps as ``schema.json`` and ``suite.json``.

    Raises:
        DataError: A file is missing, is no JSON, or does not say what a schema says.
    """
    found: dict[str, Any] = {}
    for name in (COLUMNS_FILE, SUITE_FILE):
        path = next((path for path in paths if path.name == name), None)
        if path is None:
            raise DataError(
                f"the schema has no {name}",
                expected=f"{COLUMNS_FILE} and {SUITE_FILE} side by side",
                received=", ".join(sorted(path.name for path in paths)),
            )
        try:
            found[name] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path} is no JSON", expected="a JSON object", received=str(error)) from error
    return parse_schema(found[COLUMNS_FILE], found[SUITE_FILE], str(paths[0].parent))


def parse_schema(columns: Any, suite: Any, where: str) -> DatasetSchema:
    """Return the schema of two JSON values.

    Raises:
        DataError: A value does not say what a schema says; names it.
    """
    import msgspec

    try:
        rows = tuple(msgspec.convert(columns["columns"], list[SchemaColumn]))
        known = tuple(_expectation(entry) for entry in suite["expectations"])
        for row in rows:
            _ = row.arrow_type
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the schema in {where} cannot be used",
            expected='{"columns": [{"name", "type", "nullable"}]} and {"expectations": [{"type", "kwargs"}]}',
            received=f"{type(error).__name__}: {error}",
        ) from error
    except HeadraceError as error:
        raise DataError(
            f"the schema in {where} names a type that does not exist",
            expected=error.expected,
            received=error.received,
        ) from error
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'the schema in {where} names column "{twice[0]}" twice', expected="different names")
    return DatasetSchema(rows, known)


def _expectation(entry: Any) -> Expectation:
    severity = (entry.get("meta") or {}).get("severity", Severity.FAIL)
    return Expectation(str(entry["type"]), dict(entry.get("kwargs", {})), Severity(severity))
