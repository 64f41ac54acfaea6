"""The features of many ``tf.Example`` messages, each with all its values, straight from the bytes.

The messages (tensorflow/core/example/example.proto and feature.proto), all of whose fields are
length-delimited::

    Example   features = 1
    Features  feature = 1, a map: entries of key = 1 and value = 2, a Feature
    Feature   one of bytes_list = 1, float_list = 2, int64_list = 3, or none
    BytesList value = 1, once for each value
    FloatList, Int64List  value = 1, all values packed in one field
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from components.reading.tfrecord_wire import (
    Bytes,
    Fields,
    Flags,
    Numbers,
    Places,
    fields,
    floats,
    runs,
    varints,
)

# The kinds of a feature, at the numbers of their fields.
KINDS = ("none", "bytes", "float", "int64")
_BYTES, _FLOAT, _INT64 = 1, 2, 3
_FIRST, _SECOND, _THIRD = (number << 3 | 2 for number in (1, 2, 3))


@dataclass(frozen=True)
class Feature:
    """One feature of neighbouring records.

    Attributes:
        records: ``int64 [n]``: places of the records that have it, ascending.
        kinds: ``uint8 [n]``: what its values are, as places in ``KINDS``.
        counts: ``int64 [n]``: how many values; -1 for one that is of no kind, which counts as missing.
        most: The largest of these numbers.
        kind: What its values are in the first record that has a list of them; ``"none"`` if no record has.
        since: The place of that record.
        values: All values one after another: ``binary``, ``float`` or ``int64``. None where they are of
            several kinds, or of none.
    """

    records: Places
    kinds: Bytes
    counts: Places
    most: int
    kind: str
    since: int
    values: pa.Array | None

    def first_but(self, kind: str) -> tuple[int, str] | None:
        """Return the place of the first record whose values are of another kind than this; and that kind."""
        if self.values is not None and self.kind == kind:
            return None
        others = np.flatnonzero((self.kinds > 0) & (self.kinds != KINDS.index(kind)))
        return (int(self.records[others[0]]), KINDS[self.kinds[others[0]]]) if others.size else None


class _Entries(NamedTuple):
    """Entries of the map: the ``record`` and ``kind`` of each, and from where to where its list lies."""

    record: Places
    kind: Bytes
    start: Places
    stop: Places

    def take(self, order: Places) -> _Entries:
        """Return them in another order."""
        record, start, stop = (places.take(order) for places in (self.record, self.start, self.stop))
        return _Entries(record, self.kind.take(order), start, stop)


class _Lists(NamedTuple):
    """All lists of one kind.

    Attributes:
        entries: ``int64 [n]``: which entries have one.
        counts: ``int64 [n]``: how many values each has.
        odd: ``bool [n]``: which have an unusual encoding.
        values: Gives the values of all lists from one place to another.
    """

    entries: Places
    counts: Places
    odd: Flags
    values: Callable[[int, int], pa.Array]


def decode(content: bytes, starts: Places, ends: Places) -> tuple[dict[str, Feature], Flags]:
    """Take the ``tf.Example`` messages of a buffer apart.

    Args:
        content: The buffer.
        starts: ``int64 [records]``: where the messages begin, ascending.
        ends: ``int64 [records]``: where they end.

    Returns:
        The features by name, and ``bool [records]``: which messages do not have the usual encoding and must
        be looked at with the protobuf library. There are no features if there is such a message.
    """
    data = np.frombuffer(content or b"\0", np.uint8)
    entries, key, odd = _entries(data, starts, ends)
    names, name_of, unnamed = _names(data, key)
    odd[entries.record[unnamed]] = True
    # By name, and within a name by record; few names fit in 16 bits, which are sorted ten times faster.
    order = np.argsort(name_of.astype(np.uint16) if len(names) <= 1 << 16 else name_of, kind="stable")
    name_of = name_of.take(order)
    entries = entries.take(order)
    twice = (name_of[1:] == name_of[:-1]) & (entries.record[1:] == entries.record[:-1])
    odd[entries.record[1:][twice]] = True
    lists = {kind: read(data, entries) for kind, read in _READ.items()}
    for one in lists.values():
        odd[entries.record[one.entries[one.odd]]] = True
    return ({} if odd.any() else _features(names, name_of, entries, lists)), odd


def _entries(data: Bytes, starts: Places, ends: Places) -> tuple[_Entries, Fields, Flags]:
    """Return the entries of all messages, message by message, their keys, and which messages are odd."""
    example = fields(data, starts, ends)
    map_ = runs(data, _FIRST, example.start, example.stop)
    odd = map_.odd | ((starts < ends) & ((example.tag != _FIRST) | (example.stop != ends)))
    record = np.repeat(np.arange(len(starts)), map_.counts)
    key = fields(data, map_.start, map_.stop)
    feature = fields(data, key.stop, map_.stop)
    odd[record[(key.tag != _FIRST) | (feature.tag != _SECOND) | (feature.stop != map_.stop)]] = True
    list_ = fields(data, feature.start, feature.stop)
    known = (list_.tag == _FIRST) | (list_.tag == _SECOND) | (list_.tag == _THIRD)
    odd[record[(feature.start < feature.stop) & ~(known & (list_.stop == feature.stop))]] = True
    kind = np.where(known, list_.tag >> 3, np.uint8(0))
    return _Entries(record, kind, list_.start, list_.stop), key, odd


def _names(data: Bytes, key: Fields) -> tuple[list[str], Places, Flags]:
    """Return the different keys, which of them each entry has, and the entries whose key is no text."""
    keys = _slices(data, key.start, key.stop).dictionary_encode()
    names, wrong = [], np.zeros(len(keys.dictionary), np.bool_)
    for place, name in enumerate(keys.dictionary.to_pylist()):
        try:
            names.append(name.decode())
        except UnicodeDecodeError:
            names.append("")
            wrong[place] = True
    name_of = keys.indices.to_numpy()
    return names, name_of, wrong.take(name_of)


def _bytes_lists(data: Bytes, entries: _Entries) -> _Lists:
    chosen = np.flatnonzero(entries.kind == _BYTES)
    found = runs(data, _FIRST, entries.start.take(chosen), entries.stop.take(chosen))

    def values(first: int, last: int) -> pa.Array:
        return _slices(data, found.start[first:last], found.stop[first:last])

    return _Lists(chosen, found.counts, found.odd, values)


def _packed_lists(
    kind: int, read: Callable[[Bytes, Places, Places], Numbers], data: Bytes, entries: _Entries
) -> _Lists:
    chosen = np.flatnonzero(entries.kind == kind)
    start, stop = entries.start.take(chosen), entries.stop.take(chosen)
    packed = fields(data, start, stop)
    odd = (start < stop) & ((packed.tag != _FIRST) | (packed.stop != stop))
    found = read(data, packed.start, packed.stop)
    return _Lists(chosen, found.counts, odd | found.odd, lambda a, b: pa.array(found.values[a:b]))


_READ: dict[int, Callable[[Bytes, _Entries], _Lists]] = {
    _BYTES: _bytes_lists,
    _FLOAT: partial(_packed_lists, _FLOAT, floats),
    _INT64: partial(_packed_lists, _INT64, varints),
}


def _features(
    names: list[str], name_of: Places, entries: _Entries, lists: dict[int, _Lists]
) -> dict[str, Feature]:
    """Return the features by name; the entries are in the order of their names."""
    if not names:
        return {}
    counts = np.full(len(name_of), -1, np.int64)
    begins = np.zeros(len(name_of), np.int64)  # where an entry's values begin among those of its kind
    for one in lists.values():
        counts[one.entries] = one.counts
        begins[one.entries] = np.cumsum(one.counts) - one.counts
    borders = np.searchsorted(name_of, np.arange(len(names) + 1))
    first, last, same = _filled(entries.kind, borders[:-1])
    most = np.maximum.reduceat(counts, borders[:-1]).tolist()
    kind, since, begin = (of.take(first).tolist() for of in (entries.kind, entries.record, begins))
    end = (begins + counts).take(last).tolist()
    found = {}
    for place, (name, start, stop) in enumerate(zip(names, borders[:-1], borders[1:], strict=True)):
        values = lists[kind[place]].values(begin[place], end[place]) if same[place] and kind[place] else None
        of = entries.record[start:stop], entries.kind[start:stop], counts[start:stop]
        found[name] = Feature(*of, most[place], KINDS[kind[place]], since[place], values)
    return found


def _filled(kinds: Bytes, starts: Places) -> tuple[Places, Places, list[bool]]:
    """Return the first and the last entry that has a list, for each name, and whether all have one kind.

    Where no entry of a name has a list, they are its first and its last.
    """
    place, filled = np.arange(len(kinds)), kinds > 0
    filled |= np.repeat(np.maximum.reduceat(kinds, starts) == 0, np.diff(starts, append=len(kinds)))
    first = np.minimum.reduceat(np.where(filled, place, len(kinds)), starts)
    last = np.maximum.reduceat(np.where(filled, place, -1), starts)
    least = np.minimum.reduceat(np.where(filled, kinds, np.uint8(255)), starts)
    return first, last, (least == np.maximum.reduceat(kinds, starts)).tolist()


def _slices(data: Bytes, start: Places, stop: Places) -> pa.Array:
    """Return stretches of the buffer, in order and apart from each other, as ``binary``."""
    # Arrow's values lie one right after another: so what lies between two of them is made a value, too.
    offsets = np.stack([start, stop], axis=1).astype(np.int32).ravel()
    all_ = pa.Array.from_buffers(
        pa.binary(), max(len(offsets) - 1, 0), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return all_.take(pa.array(np.arange(0, len(offsets), 2)))
