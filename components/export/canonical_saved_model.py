"""SavedModels with equal bytes for equal models.

TensorFlow numbers functions and tables by a counter of the whole process, so that the same model
has other names after a resume. Here those numbers are replaced by their rank.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]  # ships no types
from google.protobuf.message import Message  # type: ignore[import-untyped]  # ships no types
from tensorflow.core.protobuf import saved_model_pb2

_TABLE = re.compile(r"^(\^?key_value_init)(\d+)")
_NUMBER = re.compile(r"^()(\d+)$")
_NUMBERED = ("shared_name", "_user_specified_name")  # attributes that may hold nothing but a number
_SUFFIX = re.compile(r"^(.*_)(\d+)$", re.DOTALL)
# Constants are data, not names.
_DATA = ("tensorflow.TensorProto",)


def canonicalize(folder: Path, inputs: Mapping[str, str]) -> None:
    """Rewrite ``saved_model.pb`` in place; remove the fingerprint, which holds a random identifier.

    Args:
        folder: A SavedModel.
        inputs: Names for the signature's inputs, by the name of the function's parameter.
    """
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in model.meta_graphs:
        _settle(graph)
        for parameter, name in inputs.items():
            _rename_input(graph.signature_def["serving_default"].inputs, parameter, name)
    file.write_bytes(model.SerializeToString(deterministic=True))


def _settle(graph: Any) -> None:
    library = graph.graph_def.library
    inputs = {name for signature in graph.signature_def.values() for name in signature.inputs}
    names = _Names({function.signature.name for function in library.function}, inputs)
    _walk(graph, names.collect)
    _walk(graph, names.renamed)
    functions = sorted(library.function, key=lambda function: str(function.signature.name))
    copies = [type(function).FromString(function.SerializeToString()) for function in functions]
    del library.function[:]
    library.function.extend(copies)


def _rename_input(inputs: Any, parameter: str, name: str) -> None:
    if parameter != name:
        inputs[name].CopyFrom(inputs[parameter])
        del inputs[parameter]


class _Names:
    """The numbers in names, and what they become."""

    def __init__(self, functions: set[str], inputs: set[str]) -> None:
        self._functions = functions
        self._inputs = inputs
        self._numbers: set[int] = set()
        self._ranks: dict[int, int] = {}

    def _match(self, text: str, place: str) -> re.Match[str] | None:
        if text in self._functions:
            return _SUFFIX.match(text)
        if place in _NUMBERED and text not in self._inputs:
            return _NUMBER.match(text)
        return _TABLE.match(text)

    def collect(self, text: str, place: str) -> str:
        found = self._match(text, place)
        if found:
            self._numbers.add(int(found[2]))
        return text

    def renamed(self, text: str, place: str) -> str:
        if not self._ranks:
            self._ranks = {number: rank for rank, number in enumerate(sorted(self._numbers))}
        found = self._match(text, place)
        return f"{found[1]}{self._ranks[int(found[2])]}{text[found.end() :]}" if found else text


Change = Callable[[str, str], str]


def _walk(message: Message, change: Change, place: str = "") -> None:
    """Apply ``change`` to every name in a message: its strings, and the keys of its maps."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _walk_map(field, value, change)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type.full_name not in _DATA:
                for one in value if field.is_repeated else [value]:
                    _walk(one, change, place)
        elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            _change_field(message, field, value, change, place)


def _walk_map(field: Any, value: Any, change: Change) -> None:
    content = field.message_type.fields_by_name["value"]
    for key in list(value):
        if content.type == FieldDescriptor.TYPE_MESSAGE:
            if content.message_type.full_name not in _DATA:
                _walk(value[key], change, str(key))
        elif content.type == FieldDescriptor.TYPE_STRING:
            value[key] = change(value[key], str(key))
        settled = change(key, "") if isinstance(key, str) else key
        if settled != key:
            _move(value, key, settled, content)


def _move(value: Any, key: str, settled: str, content: Any) -> None:
    if content.type == FieldDescriptor.TYPE_MESSAGE:
        value[settled].CopyFrom(value[key])
    else:
        value[settled] = value[key]
    del value[key]


def _change_field(message: Message, field: Any, value: Any, change: Change, place: str) -> None:
    def changed(one: Any) -> Any:
        if isinstance(one, str):
            return change(one, place)
        try:
            return change(one.decode(), place).encode()
        except UnicodeDecodeError:
            return one

    if field.is_repeated:
        value[:] = [changed(one) for one in value]
    else:
        setattr(message, field.name, changed(value))
