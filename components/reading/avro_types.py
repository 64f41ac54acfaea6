"""Avro schemas as Arrow types, and the values that Arrow does not take as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from components.data.column_types import join_types
from orchestration import DataError

Convert = Callable[[Any], Any]

_PRIMITIVE = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_LOGICAL = {
    "int-date": pa.date32(),
    "int-time-millis": pa.time32("ms"),
    "long-time-micros": pa.time64("us"),
    "long-timestamp-millis": pa.timestamp("ms", "UTC"),
    "long-timestamp-micros": pa.timestamp("us", "UTC"),
    "long-local-timestamp-millis": pa.timestamp("ms"),
    "long-local-timestamp-micros": pa.timestamp("us"),
}
_DIGITS_128, _DIGITS_256 = 38, 76


@dataclass(frozen=True)
class AvroType:
    """An Arrow type, and how a decoded value becomes one of it; None where it already is."""

    kind: pa.DataType
    convert: Convert | None = None


@dataclass
class AvroTypes:
    """Understands the schema of one file.

    Attributes:
        name: How messages call the file.
    """

    name: str
    _named: dict[str, AvroType | None] = field(default_factory=dict)

    def of(self, schema: Any, path: str = "") -> AvroType:
        """Return the type of a parsed Avro schema.

        Args:
            schema: As the file's header holds it: a name, a list of alternatives, or an object.
            path: The column it belongs to, for the error.

        Raises:
            DataError: The schema means more than one type, or itself.
        """
        if isinstance(schema, list):
            return self._union(schema, path)
        if isinstance(schema, str):
            return AvroType(_PRIMITIVE[schema]) if schema in _PRIMITIVE else self._reference(schema, path)
        kind = schema["type"]
        if isinstance(kind, dict | list):
            return self.of(kind, path)
        if logical := self._logical(schema, kind):
            return logical
        if kind == "array":
            return _list_of(self.of(schema["items"], path))
        if kind == "map":
            return _map_of(self.of(schema["values"], path))
        if kind in ("record", "error", "enum", "fixed"):
            return self._name(schema, kind, path)
        return self.of(kind, path)

    def _logical(self, schema: Mapping[str, Any], kind: str) -> AvroType | None:
        logical = schema.get("logicalType")
        if logical == "uuid":
            return AvroType(pa.string(), str)
        if logical == "decimal" and kind in ("bytes", "fixed"):
            digits, scale = int(schema["precision"]), int(schema.get("scale", 0))
            build = pa.decimal128 if digits <= _DIGITS_128 else pa.decimal256
            found = AvroType(build(digits, scale)) if digits <= _DIGITS_256 else None
        else:
            found = AvroType(_LOGICAL[key]) if (key := f"{kind}-{logical}") in _LOGICAL else None
        if found is not None and "name" in schema:
            self._named[schema["name"]] = found
        return found

    def _name(self, schema: Mapping[str, Any], kind: str, path: str) -> AvroType:
        name = schema["name"]
        self._named[name] = None  # being read: a reference to it from within is a type that holds itself
        if kind in ("record", "error"):
            found = self._record(schema, path)
        else:
            found = AvroType(pa.string() if kind == "enum" else pa.binary())
        self._named[name] = found
        return found

    def _record(self, schema: Mapping[str, Any], path: str) -> AvroType:
        prefix = f"{path}." if path else ""
        fields = {f["name"]: self.of(f["type"], prefix + f["name"]) for f in schema["fields"]}
        kind = pa.struct([(name, one.kind) for name, one in fields.items()])
        converts = {name: one.convert for name, one in fields.items() if one.convert}

        def convert(value: Any) -> Any:
            if value is not None:
                for name, change in converts.items():
                    if value[name] is not None:
                        value[name] = change(value[name])
            return value

        return AvroType(kind, convert if converts else None)

    def _reference(self, schema: str, path: str) -> AvroType:
        found = self._named.get(schema)
        if found is None:
            raise DataError(
                f'column "{path}" of {self.name} has a type that holds itself',
                expected="types of a fixed depth",
                received=schema,
            )
        return found

    def _union(self, schemas: list[Any], path: str) -> AvroType:
        found = [one for one in (self.of(s, path) for s in schemas) if not pa.types.is_null(one.kind)]
        if not found:
            return AvroType(pa.null())
        kind: pa.DataType | None = pa.null()
        for one in found:
            kind = None if kind is None else join_types(kind, one.kind)
        changed = [one.convert for one in found if one.convert]
        if kind is None or (changed and len(found) > 1):
            raise DataError(
                f'column "{path}" of {self.name} may hold values of different types',
                expected="one type, or null and one type",
                received=" or ".join(str(one.kind) for one in found),
                next="write the column with one type",
            )
        return AvroType(kind, changed[0] if changed else None)


def _list_of(item: AvroType) -> AvroType:
    change = item.convert
    kind = pa.list_(pa.field("item", item.kind))
    if change is None:
        return AvroType(kind)
    return AvroType(kind, lambda values: [v if v is None else change(v) for v in values])


def _map_of(value: AvroType) -> AvroType:
    change: Convert = value.convert or _same
    kind = pa.list_(pa.field("item", pa.struct([("key", pa.string()), ("value", value.kind)])))

    def convert(entries: Mapping[str, Any]) -> list[dict[str, Any]]:
        pairs = sorted(entries.items())
        return [{"key": key, "value": v if v is None else change(v)} for key, v in pairs]

    return AvroType(kind, convert)


def _same(value: Any) -> Any:
    return value
