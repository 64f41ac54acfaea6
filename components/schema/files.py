"""A schema's readable files, as they are read: ``schema.json``, ``suite.json`` and ``inferred.json``."""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.schema.schema import (
    COLUMNS_FILE,
    INFERRED_FILE,
    SERVING,
    SUITE_FILE,
    DatasetSchema,
    Expectation,
    SchemaColumn,
    Severity,
)
from orchestration import DataError, HeadraceError

Place = Callable[[int], str]

_FIELDS = {field.name for field in dataclasses.fields(SchemaColumn)}
_OWN_META = ("severity", "only_in", "not_in")
# Great Expectations has severities of its own; ours, in "meta", go before them.
_FOREIGN_SEVERITY = {"critical": Severity.FAIL, "warning": Severity.WARN, "info": Severity.WARN}


@dataclass(frozen=True)
class KeptSchema:
    """A schema as a person keeps it in a folder.

    Attributes:
        schema: What the files say now.
        inferred: What had been inferred when they were last brought up to date; None when unknown.
    """

    schema: DatasetSchema
    inferred: DatasetSchema | None = None


def read_schema_files(paths: Sequence[Path]) -> KeptSchema:
    """Return the schema that a person keeps as ``schema.json`` and ``suite.json``.

    Args:
        paths: The files of its folder; ``inferred.json`` beside the two says what was inferred, others
            are not looked at.

    Raises:
        DataError: A file is missing, is no JSON, or does not say what a schema says; names the line.
    """
    files = {path.name: path for path in paths}
    for name in (COLUMNS_FILE, SUITE_FILE):
        if name not in files:
            raise DataError(
                f"the schema has no {name}",
                expected=f"{COLUMNS_FILE} and {SUITE_FILE} side by side",
                received=", ".join(sorted(files)) or "an empty folder",
            )
    columns, suite = read_json(files[COLUMNS_FILE]), read_json(files[SUITE_FILE])
    schema = _schema(
        columns,
        suite,
        _lines_of(files[COLUMNS_FILE], "columns"),
        _lines_of(files[SUITE_FILE], "expectations"),
    )
    kept = files.get(INFERRED_FILE)
    return KeptSchema(schema, None if kept is None else read_inferred(kept))


def read_inferred(path: Path) -> DatasetSchema:
    """Return what an ``inferred.json`` holds.

    Raises:
        DataError: It is no JSON, or does not say what a schema says; names the line.
    """
    value = read_json(path)
    return _schema(value, value, _lines_of(path, "columns"), _lines_of(path, "expectations"))


def parse_schema(columns: Any, suite: Any, where: str) -> DatasetSchema:
    """Return the schema of two JSON values.

    Args:
        columns: The value of ``schema.json``.
        suite: The value of ``suite.json``.
        where: What errors call the place of both.

    Raises:
        DataError: A value does not say what a schema says; names it.
    """
    return _schema(
        columns,
        suite,
        lambda index: f"{where}/{COLUMNS_FILE}, column {index + 1}",
        lambda index: f"{where}/{SUITE_FILE}, expectation {index + 1}",
    )


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        DataError: It is no JSON in UTF-8; names line and column.
    """

    def refuse(name: str) -> Any:
        raise DataError(f"{path} is no JSON: {name} is no value", expected="a number, or null", at="")

    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        line = (text.splitlines() or [""])[error.lineno - 1 :][:1]
        raise DataError(
            f"{path} is no JSON at line {error.lineno}, column {error.colno}",
            expected=f"JSON ({error.msg})",
            received=line[0].strip()[:100] if line else "the end of the file",
            at=f"{path}:{error.lineno}",
            next="a merge left half done, a missing comma or bracket? Nothing has been changed",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8", received=str(error), at="") from error


def _schema(columns: Any, suite: Any, column_at: Place, expectation_at: Place) -> DatasetSchema:
    entries = _entries(columns, "columns", column_at, '{"columns": [{"name": ..., "type": ...}]}')
    rows = tuple(_column(entry, column_at(index)) for index, entry in enumerate(entries))
    names = [row.name for row in rows]
    twice = next((index for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise _wrong(f'{column_at(twice)} names column "{names[twice]}" twice', "different names")
    wanted = '{"name": ..., "expectations": [{"type": ..., "kwargs": {...}}]}'
    listed = _entries(suite, "expectations", expectation_at, wanted)
    known = tuple(_expectation(entry, expectation_at(index)) for index, entry in enumerate(listed))
    meta = suite.get("meta") or {}
    return DatasetSchema(
        rows, known, str(suite.get("name") or "schema"), meta if isinstance(meta, dict) else {}
    )


def _entries(value: Any, key: str, place: Place, expected: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if isinstance(found, list):
        return found
    where = place(0).rpartition(", ")[0] or place(0)
    raise _wrong(f"{where} cannot be used: it lists no {key}", expected, repr(value)[:200])


def _column(entry: Any, where: str) -> SchemaColumn:
    import msgspec

    if not isinstance(entry, dict):
        raise _wrong(
            f"{where} cannot be used: it is no column", '{"name": ..., "type": ...}', repr(entry)[:200]
        )
    values = dict(entry)
    if values.pop("serving", True) is False and SERVING not in values.get("not_in", ()):
        values["not_in"] = [*values.get("not_in", ()), SERVING]
    unknown = sorted(set(values) - _FIELDS)
    if unknown:
        close = difflib.get_close_matches(unknown[0], _FIELDS, n=1)
        raise _wrong(
            f'{where} cannot be used: a column has no "{unknown[0]}"',
            ", ".join(sorted(_FIELDS)),
            unknown[0],
            f'did you mean "{close[0]}"?' if close else None,
        )
    try:
        column = msgspec.convert(values, SchemaColumn)
    except msgspec.ValidationError as error:
        raise _wrong(f"{where} cannot be used: {error}", "a column", repr(entry)[:200]) from error
    try:
        _ = column.arrow_type
    except HeadraceError as error:
        raise _wrong(f"{where} names a type that does not exist", error.expected, error.received) from error
    return column


def _expectation(entry: Any, where: str) -> Expectation:
    sound = isinstance(entry, dict) and isinstance(entry.get("type"), str)
    meta = (entry.get("meta") or {}) if sound else {}
    kwargs = entry.get("kwargs", {}) if sound else None
    if not isinstance(kwargs, dict) or not isinstance(meta, dict):
        wanted = '{"type": "expect_...", "kwargs": {...}, "meta": {"severity": ...}}'
        raise _wrong(f"{where} cannot be used: it is no expectation", wanted, repr(entry)[:200])
    severity = meta.get("severity") or _FOREIGN_SEVERITY.get(str(entry.get("severity")), Severity.FAIL)
    if severity not in list(Severity):
        raise _wrong(f"{where} cannot be used: unknown severity", " or ".join(Severity), repr(severity))
    limits = {name: _names(meta.get(name, []), f"{where}, {name}") for name in ("only_in", "not_in")}
    extra = {key: value for key, value in entry.items() if key not in ("type", "kwargs", "meta")}
    rest = {key: value for key, value in meta.items() if key not in _OWN_META}
    if rest:
        extra["meta"] = rest
    return Expectation(entry["type"], kwargs, Severity(severity), **limits, extra=extra)


def _names(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise _wrong(f"{where} cannot be used", 'a list of environments, as ["serving"]', repr(value)[:200])


def _wrong(
    headline: str, expected: str | None, received: str | None = None, then: str | None = None
) -> DataError:
    return DataError(headline, expected=expected, received=received, at="", next=then)


def _lines_of(path: Path, key: str) -> Place:
    """Return what tells the line of an entry of a list; the file is looked through when first asked."""

    @cache
    def lines() -> list[int]:
        return entry_lines(path.read_text(encoding="utf-8"), key)

    def place(index: int) -> str:
        return f"{path}:{lines()[index] if index < len(lines()) else 1}"

    return place


def entry_lines(text: str, key: str) -> list[int]:
    """Return the line (from 1) of every entry of the list ``key`` of a JSON object, as text."""
    decoder, at = json.JSONDecoder(), _skip(text, 0, "{")
    starts: list[int] = []
    while at < len(text) and text[at] == '"':
        name, at = decoder.raw_decode(text, at)
        at = _skip(text, at, ":")
        if name != key or text[at] != "[":
            at = _skip(text, decoder.raw_decode(text, at)[1], ",")
            continue
        at, starts = _skip(text, at, "["), []
        while text[at] != "]":
            starts.append(at)
            at = _skip(text, decoder.raw_decode(text, at)[1], ",")
        at = _skip(text, at + 1, ",")
    lines: list[int] = []
    before = 0
    for start in starts:
        lines.append((lines[-1] if lines else 1) + text.count("\n", before, start))
        before = start
    return lines


def _skip(text: str, at: int, mark: str) -> int:
    """Return the place after white space, one ``mark`` and more white space."""
    for wanted in (" \t\r\n", mark, " \t\r\n"):
        while at < len(text) and text[at] in wanted:
            at += 1
    return at
