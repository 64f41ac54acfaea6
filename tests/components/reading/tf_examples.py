"""``tf.Example`` records as the protobuf library writes and reads them, one at a time."""

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
