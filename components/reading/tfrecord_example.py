"""``tf.Example`` without TensorFlow: the message built from its own description.

It takes one record at a time, in any encoding; ``tfrecord_features`` takes many apart at once, which all have
to have the usual one, and must agree with it.
"""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]  # ships no types
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types

_PACKAGE = "headrace.example"
_LISTS = {"bytes": "TYPE_BYTES", "float": "TYPE_FLOAT", "int64": "TYPE_INT64"}


def usual_form(data: bytes) -> bytes:
    """Return a record in its one usual encoding: what the library finds in it, and nothing else.

    Every key is there once, every entry has key and value, numbers are packed, lengths and values are as
    short as they can be, and nothing stands there that a ``tf.Example`` does not have.

    Raises:
        ValueError: The bytes are no ``tf.Example``.
    """
    try:
        message = message_class().FromString(data)
    except DecodeError as error:
        raise ValueError("it is no tf.Example") from error
    message.DiscardUnknownFields()
    return bytes(message.SerializeToString(deterministic=True))


@functools.cache
def message_class() -> Any:
    """Return the class of ``tf.Example`` messages."""
    file = descriptor_pb2.FileDescriptorProto(
        name="headrace/example.proto", package=_PACKAGE, syntax="proto3"
    )
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (kind, type_) in enumerate(_LISTS.items(), 1):
        holder = f"{kind.capitalize()}List"
        values = file.message_type.add(name=holder)
        _add(values, "value", 1, type_, repeated=True)
        _add(feature, f"{kind}_list", number, f".{_PACKAGE}.{holder}").oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _add(entry, "key", 1, "TYPE_STRING")
    _add(entry, "value", 2, f".{_PACKAGE}.Feature")
    _add(features, "feature", 1, f".{_PACKAGE}.Features.FeatureEntry", repeated=True)
    _add(file.message_type.add(name="Example"), "features", 1, f".{_PACKAGE}.Features")
    pool = descriptor_pool.DescriptorPool()  # its own: TensorFlow's may be loaded, too
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _add(message: Any, name: str, number: int, kind: str, *, repeated: bool = False) -> Any:
    proto = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number)
    field.label = proto.LABEL_REPEATED if repeated else proto.LABEL_OPTIONAL
    if kind.startswith("."):
        field.type, field.type_name = proto.TYPE_MESSAGE, kind
    else:
        field.type = getattr(proto, kind)
    return field
