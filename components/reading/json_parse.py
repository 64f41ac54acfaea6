"""JSON lines as Arrow, by Arrow's own parser; what it refuses is looked at line by line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from components.data.column_types import to_type
from components.reading.json_lines import Lines, parse_line, too_deep

EXACT = 2**53  # whole numbers beyond it are not all doubles
_CHANGED = re.compile(r"Column\(/(?P<column>[^)]*)\) changed from (?P<old>\w+) to (?P<new>\w+)")


def infer(lines: Lines) -> pa.Schema:
    """Return the columns of lines with the types their values show.

    Raises:
        pyarrow.ArrowInvalid: A line is no object, or a column changes type.
    """
    return _parse(lines, None, "infer").schema


def parse(lines: Lines, schema: pa.Schema) -> pa.RecordBatch:
    """Return lines as rows of a schema; other columns are left out, missing ones are null.

    Raises:
        pyarrow.ArrowInvalid: A line is no object, or a value is not of its column's type.
    """
    written = pa.schema([pa.field(f.name, written_type(f.type)) for f in schema])
    table = _parse(lines, written, "ignore")
    arrays = [cast(table.column(f.name).combine_chunks(), f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _parse(lines: Lines, schema: pa.Schema | None, others: str) -> pa.Table:
    if not lines.texts:
        empty = schema if schema is not None else pa.schema([])
        return pa.Table.from_pylist([], empty)
    if not all(text.startswith(b"{") and text.endswith(b"}") for text in lines.texts):
        raise pa.ArrowInvalid("a line is no object")
    if any(map(too_deep, lines.texts)):
        raise pa.ArrowInvalid("a line is nested too deeply")
    content = b"\n".join(lines.texts) + b"\n"
    table = pj.read_json(
        io.BytesIO(content),
        read_options=pj.ReadOptions(use_threads=False, block_size=len(content) + 1),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior=others),
    )
    if table.num_rows != len(lines.texts):
        raise pa.ArrowInvalid("a line holds more or less than one object")
    return table


def written_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which JSON writes values of ``kind``: dates, times and decimals are text."""
    if pa.types.is_list(kind):
        return pa.list_(pa.field("item", written_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, written_type(f.type)) for f in kind])
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return kind if plain or pa.types.is_null(kind) else pa.string()


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values in the type they are stored in.

    Raises:
        pyarrow.ArrowInvalid: A value cannot become ``kind``.
    """
    if array.type.equals(kind):
        return array
    try:
        return to_type(array, kind) if pa.types.is_string(array.type) else pc.cast(array, kind)
    except pa.ArrowNotImplementedError as error:
        raise pa.ArrowInvalid(str(error)) from error


def seen_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of values that were inferred: Arrow takes text such as 2026-01-31 for a time."""
    if pa.types.is_list(kind):
        return pa.list_(pa.field("item", seen_type(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, seen_type(f.type)) for f in kind])
    return pa.string() if pa.types.is_timestamp(kind) else kind


def misfits(lines: Lines, schema: pa.Schema, start: int = 0) -> Iterator[int]:
    """Yield the place of every line that :func:`parse` refuses, found by halving."""
    try:
        parse(lines, schema)
    except pa.ArrowInvalid:
        if len(lines.texts) == 1:
            yield start
            return
        middle = len(lines.texts) // 2
        yield from misfits(lines.part(0, middle), schema, start)
        yield from misfits(lines.part(middle, len(lines.texts)), schema, start + middle)


def first_contradiction(lines: Lines) -> tuple[int, str, str, str] | None:
    """Return the first line whose values contradict the lines before it, and the column and both kinds."""
    low, high = 0, len(lines.texts)
    message = _refusal(lines)
    while high - low > 1:
        middle = (low + high) // 2
        found = _refusal(lines.part(0, middle))
        low, high, message = (low, middle, found) if found else (middle, high, message)
    changed = _CHANGED.search(message)
    if changed is None:
        return None
    return high - 1, changed["column"].replace("/", "."), changed["old"], changed["new"]


def _refusal(lines: Lines) -> str:
    try:
        infer(lines)
    except pa.ArrowInvalid as error:
        return str(error)
    return ""


def rounded(column: pa.Array, lines: Lines, name: str) -> int | None:
    """Return the place of the first line whose whole number in a column a double does not hold exactly."""
    if not _holds_large(column):
        return None
    for place, line in enumerate(lines.texts):
        if _has_large(parse_line(line).get(name)):
            return place
    return None


def _holds_large(column: pa.Array) -> bool:
    if pa.types.is_list(column.type):
        return _holds_large(column.flatten())
    if pa.types.is_struct(column.type):
        return any(_holds_large(child) for child in column.flatten())
    if not pa.types.is_floating(column.type):
        return False
    values = column.drop_null().to_numpy(zero_copy_only=False)
    return bool(len(values)) and bool(np.any(np.abs(values) >= EXACT))


def _has_large(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_large, value.values()))
    if isinstance(value, list):
        return any(map(_has_large, value))
    return isinstance(value, int) and abs(value) > EXACT and int(float(value)) != value


def as_text(lines: Lines, types: Mapping[str, pa.DataType]) -> Lines:
    """Return lines with the values of text columns written as text, numbers as they stand in the file."""
    texts = {name: pa.types.is_string(kind) for name, kind in types.items() if _as_text(kind)}
    if not texts:
        return lines
    return Lines([_line_as_text(line, texts) for line in lines.texts], lines.numbers)


def _as_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or not (pa.types.is_nested(kind) or written_type(kind).equals(kind))


def _line_as_text(line: bytes, texts: Mapping[str, bool]) -> bytes:
    try:
        row, literal = parse_line(line), parse_line(line, literal=True)
    except ValueError:
        return line  # found and told by whoever looks for broken lines
    for name, anything in texts.items():
        value = row.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            row[name] = literal[name]
        elif anything and isinstance(value, bool | dict | list):
            row[name] = json.dumps(value, ensure_ascii=False)
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")
