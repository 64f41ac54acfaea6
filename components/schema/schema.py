"""A schema's values: what columns and values should be, and in which environments."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from components.artifacts import Schema
from orchestration import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

COLUMNS_FILE = "schema.json"
SUITE_FILE = "suite.json"
INFERRED_FILE = "inferred.json"

TRAINING = "training"
SERVING = "serving"


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
        optional: Whether the whole column may be missing; nothing about it is checked then.
        checked: Whether anything about it is checked; a column that is not is merely known.
        only_in: The only environments that have the column; empty for no such limit.
        not_in: Environments that do not have it, as ``("serving",)`` for a label.
        semantic: What its values mean, as ``"url"``; empty when nothing is known.
        vanished: Mark for people: the rows last looked at no longer had it. It is still expected.
        notes: Free text for people.
    """

    name: str
    type: str
    nullable: bool = True
    optional: bool = False
    checked: bool = True
    only_in: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    semantic: str = ""
    vanished: bool = False
    notes: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """The type as an Arrow type."""
        from components.data.column_types import parse_type

        return parse_type(self.type)

    @property
    def serving(self) -> bool:
        """Whether the column is there when the model answers requests; labels are not."""
        return self.in_environment(SERVING)

    def in_environment(self, name: str) -> bool:
        """Tell whether rows of an environment have the column."""
        return _belongs(name, self.only_in, self.not_in)

    def to_json(self) -> dict[str, Any]:
        """Return the column as ``schema.json`` holds it: what is as usual is left out."""
        usual, always = SchemaColumn("", ""), ("name", "type", "nullable")
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in ((one.name, getattr(self, one.name)) for one in fields(self))
            if key in always or value != getattr(usual, key)
        }


@dataclass(frozen=True)
class Expectation:
    """One expectation of the suite, by its Great Expectations type.

    Attributes:
        type: For example ``expect_column_values_to_not_be_null``.
        kwargs: Its arguments.
        severity: What breaking it means.
        only_in: The only environments it holds in; empty for no such limit.
        not_in: Environments it does not hold in.
        extra: What else its entry in ``suite.json`` says (``notes``, ``id``, other ``meta``); it is kept.
    """

    type: str
    kwargs: dict[str, Any]
    severity: Severity = Severity.FAIL
    only_in: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it is about; none for one about the table."""
        if self.is_column_list:
            return ()
        names = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        listed = self.kwargs.get("column_list") or ()
        return tuple(str(name) for name in (*names, *listed) if name is not None)

    @property
    def is_column_list(self) -> bool:
        """Whether it lists the columns a table should have."""
        return self.type.startswith("expect_table_columns_to_")

    def in_environment(self, name: str) -> bool:
        """Tell whether it holds in an environment."""
        return _belongs(name, self.only_in, self.not_in)

    def to_json(self) -> dict[str, Any]:
        """Return the expectation as Great Expectations writes it."""
        meta: dict[str, Any] = {"severity": str(self.severity)}
        meta.update({key: list(vars(self)[key]) for key in ("only_in", "not_in") if vars(self)[key]})
        meta.update(self.extra.get("meta", {}))
        others = {key: value for key, value in self.extra.items() if key != "meta"}
        return {"type": self.type, "kwargs": self.kwargs, "meta": meta, **others}


@dataclass(frozen=True)
class DatasetSchema:
    """A schema's values.

    Attributes:
        columns: The columns, in order.
        expectations: The suite.
        name: Name of the suite.
        meta: What else the suite says about itself.
    """

    columns: tuple[SchemaColumn, ...]
    expectations: tuple[Expectation, ...] = field(default=())
    name: str = "schema"
    meta: dict[str, Any] = field(default_factory=dict)

    def column(self, name: str) -> SchemaColumn:
        """Return a column.

        Raises:
            KeyError: There is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that the schema mentions, sorted."""
        parts: tuple[SchemaColumn | Expectation, ...] = (*self.columns, *self.expectations)
        return tuple(sorted({name for part in parts for name in (*part.only_in, *part.not_in)}))

    def for_environment(self, name: str | None) -> DatasetSchema:
        """Return what holds in one environment.

        Columns that the environment does not have are left out, and with them every expectation about
        them; so are expectations that do not hold there, and those about columns that are not checked.
        Lists of all columns (``expect_table_columns_to_match_set``) lose the columns left out.

        Args:
            name: ``"training"``, ``"serving"`` or any name that the schema mentions; None for all of it.

        Raises:
            ArgumentError: The schema does not know the environment.
        """
        if name is None:
            return self._only(self.columns)
        known = sorted({TRAINING, SERVING, *self.environments})
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ArgumentError(
                f'the schema has no environment "{name}"',
                expected=" or ".join(known),
                received=f"environment={name!r}",
                next=f'did you mean "{close[0]}"?' if close else f'add it: "not_in": ["{name}"]',
            )
        chosen = self._only([column for column in self.columns if column.in_environment(name)])
        holding = tuple(one for one in chosen.expectations if one.in_environment(name))
        return replace(chosen, expectations=holding)

    def for_columns(self, present: Collection[str]) -> DatasetSchema:
        """Return what holds for rows with these columns: without the optional ones they do not have.

        Args:
            present: Names of the columns of the rows.
        """
        return self._only([one for one in self.columns if not one.optional or one.name in present])

    def _only(self, columns: Iterable[SchemaColumn]) -> DatasetSchema:
        """Return the schema with some of its columns."""
        kept = tuple(columns)
        absent = {one.name for one in self.columns} - {one.name for one in kept}
        silent = absent | {one.name for one in kept if not one.checked}
        expectations = tuple(
            _without(one, absent) for one in self.expectations if silent.isdisjoint(one.columns)
        )
        return replace(self, columns=kept, expectations=expectations)

    def arrow_schema(self) -> pa.Schema:
        """Return the columns as an Arrow schema."""
        import pyarrow as pa

        return pa.schema([pa.field(c.name, c.arrow_type, c.nullable) for c in self.columns])

    def columns_json(self) -> dict[str, Any]:
        """Return the value of ``schema.json``."""
        return {"columns": [column.to_json() for column in self.columns]}

    def suite_json(self) -> dict[str, Any]:
        """Return the value of ``suite.json``."""
        entries = [expectation.to_json() for expectation in self.expectations]
        return {"name": self.name, "meta": self.meta, "expectations": entries}

    def texts(self) -> dict[str, str]:
        """Return the text of ``schema.json`` and ``suite.json``, one column and one expectation a line."""
        columns, suite = self.columns_json(), self.suite_json()
        head = f'{{"name": {_text(self.name)}, "meta": {_text(self.meta)}, "expectations": ['
        return {
            COLUMNS_FILE: '{"columns": [' + _lines(columns["columns"]) + "]}\n",
            SUITE_FILE: head + _lines(suite["expectations"]) + "]}\n",
        }

    def inferred_text(self) -> str:
        """Return the text of ``inferred.json``: what was inferred, columns and expectations."""
        columns, suite = self.columns_json()["columns"], self.suite_json()["expectations"]
        return f'{{"columns": [{_lines(columns)}],\n"expectations": [{_lines(suite)}]}}\n'

    def write(self, folder: Path, inferred: DatasetSchema | None = None) -> None:
        """Write ``schema.json`` and ``suite.json``, and ``inferred.json`` where something was inferred.

        Args:
            folder: Where to.
            inferred: What was inferred from the rows.
        """
        for name, text in self.texts().items():
            (folder / name).write_text(text, encoding="utf-8")
        if inferred is not None:
            (folder / INFERRED_FILE).write_text(inferred.inferred_text(), encoding="utf-8")


def load_schema(artifact: Schema) -> DatasetSchema:
    """Return the values of a Schema artifact."""
    from components.schema.files import parse_schema

    return parse_schema(artifact.read_json(COLUMNS_FILE), artifact.read_json(SUITE_FILE), artifact.uri)


def _belongs(name: str, only_in: Collection[str], not_in: Collection[str]) -> bool:
    return name not in not_in and (not only_in or name in only_in)


def _without(expectation: Expectation, absent: Collection[str]) -> Expectation:
    """Return an expectation about a table's columns without those that are absent."""
    if not absent or not expectation.is_column_list:
        return expectation
    kwargs = {
        key: [name for name in value if name not in absent] if isinstance(value, list) else value
        for key, value in expectation.kwargs.items()
    }
    return replace(expectation, kwargs=kwargs)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _lines(rows: list[dict[str, Any]]) -> str:
    # In the order of the fields, not of the alphabet: a person reads the column's name first.
    lines = [("\n " if place == 0 else ",\n ") + _text(row) for place, row in enumerate(rows)]
    return "".join(lines) + ("\n" if rows else "")
