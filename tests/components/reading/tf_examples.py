"""``tf.Example`` records one at a time: as the protobuf library writes and reads them, and by hand."""

from __future__ import annotations

from typing import Any

from components.reading.tfrecord_example import message_class

# Values of one feature: ``bytes``, ``float`` or ``int64``, and the values themselves.
Feature = tuple[str, list[Any]]


def encode(features: dict[str, Feature]) -> bytes:
    """Return features as the bytes of a record; what :func:`contents` takes apart."""
    example = message_class()()
    for name, (kind, values) in features.items():
        chosen = getattr(example.features.feature[name], f"{kind}_list")
        chosen.SetInParent()
        chosen.value.extend(values)
    return bytes(example.SerializeToString(deterministic=True))


def contents(data: bytes) -> dict[str, Feature]:
    """Return a record's features, without those of no kind.

    Raises:
        DecodeError: The bytes are no record.
    """
    found: dict[str, Feature] = {}
    for name, feature in sorted(message_class().FromString(data).features.feature.items()):
        if kind := feature.WhichOneof("kind"):
            found[name] = (kind.removesuffix("_list"), list(getattr(feature, kind).value))
    return found


def varint(value: int, *, spare: int = 0) -> bytes:
    """Return a value as a varint, with some bytes more than it needs."""
    value &= 2**64 - 1
    digits = [value >> shift & 127 for shift in range(0, 70, 7)]
    while len(digits) > 1 and not digits[-1]:
        digits.pop()
    digits += [0] * spare
    return bytes([digit | 128 for digit in digits[:-1]] + digits[-1:])


def field(number: int, content: bytes, *, spare: int = 0) -> bytes:
    """Return a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content), spare=spare) + content


def entry(key: bytes, feature: bytes) -> bytes:
    return field(1, field(1, key) + field(2, feature))


def iter_fields(data: bytes) -> Any:
    """Yield number and content of a message's length-delimited fields, in the plainest way."""
    at = 0
    while at < len(data):
        number, length, shift = data[at] >> 3, 0, 0
        at += 1
        while data[at] & 128:
            length |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
        length |= data[at] << shift
        yield number, data[at + 1 : at + 1 + length]
        at += 1 + length
