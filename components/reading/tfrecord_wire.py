"""The wire format of Protocol Buffers, read at many places of one buffer at once.

A message is a run of fields. A length-delimited field (wire type 2: messages, text, bytes, packed numbers)
is one tag byte (``number << 3 | 2`` for the numbers up to 15), its length as a varint, and as many bytes. A
varint holds 7 bits a byte, the lowest first; every byte but its last one has the highest bit set. See
https://protobuf.dev/programming-guides/encoding/.

Places in the buffer are ``int64``; ``data`` is the buffer, ``uint8 [bytes]``, never empty. Every
function takes the places where something begins and where it has to end, and does one step for all of them.
What does not have its one usual encoding is told apart, never guessed: what it means is for the protobuf
library to say. No place that is returned lies outside of those that were given, whatever the bytes are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TOO_LONG = 1 << 40  # no buffer is: a field of this length always ends beyond its message
_LONGEST_VARINT = 10
_LONG = 64  # bytes of a stretch, from where copying it costs less than a place for each of its bytes


class Fields(NamedTuple):
    """One field at each of some places.

    Attributes:
        tag: ``uint8 [n]``: the tag byte; 0, which is none, where no length-delimited field lies.
        start: ``int64 [n]``: where the field's content begins; the end of the message where there is none.
        stop: ``int64 [n]``: where it ends.
    """

    tag: Bytes
    start: Places
    stop: Places


class Runs(NamedTuple):
    """All fields of each of some messages.

    Attributes:
        counts: ``int64 [n]``: how many fields each message has.
        start: ``int64 [fields]``: where their contents begin, message by message, in order.
        stop: ``int64 [fields]``: where they end.
        odd: ``bool [n]``: whether the message holds anything but such fields.
    """

    counts: Places
    start: Places
    stop: Places
    odd: Flags


class Numbers(NamedTuple):
    """The values of each of some packed lists.

    Attributes:
        counts: ``int64 [n]``: how many values each list has.
        values: ``float32`` or ``int64 [values]``: all of them, list by list.
        odd: ``bool [n]``: whether the list is anything but whole values.
    """

    counts: Places
    values: npt.NDArray[np.float32] | npt.NDArray[np.int64]
    odd: Flags


def fields(data: Bytes, at: Places, ends: Places) -> Fields:
    """Read the length-delimited fields that begin at some places, within messages that end at ``ends``."""
    length, width = _lengths(data, at + 1)
    tag = data.take(at, mode="clip")  # clipped, as a message may end with the buffer: see `usual`
    start = at + 1 + width
    stop = start + length
    usual = stop <= ends
    if usual.all():
        return Fields(tag, start, stop)
    return Fields(
        np.where(usual, tag, np.uint8(0)), np.where(usual, start, ends), np.where(usual, stop, ends)
    )


def _lengths(data: Bytes, at: Places) -> tuple[Places, Places]:
    """Return the lengths that stand at some places, and the number of bytes of each."""
    byte = data.take(at, mode="clip")
    value, width = byte.astype(np.int64), np.ones(len(at), np.int64)
    longer = np.flatnonzero(byte >= 128)
    for place in range(1, 5):
        if not longer.size:
            break
        byte = data.take(at[longer] + place, mode="clip")
        # Less one, for the highest bit of the byte before it, which is part of the value so far.
        value[longer] += (byte.astype(np.int64) - 1) << 7 * place
        width[longer] += 1
        value[longer[byte == 0]] = _TOO_LONG  # a shorter varint says the same: not the usual one
        longer = longer[byte >= 128]
    value[longer] = _TOO_LONG
    return value, width


def runs(data: Bytes, tag: int, at: Places, ends: Places) -> Runs:
    """Read messages that hold one field over and over: all of them advance together, field by field."""
    counts, odd = np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    steps: list[tuple[Places, Fields]] = []
    message, going = np.arange(len(at)), at < ends
    while going.any():
        if not going.all():
            message, at, ends = message[going], at[going], ends[going]
        found = fields(data, at, ends)
        odd[message[found.tag != tag]] = True
        counts[message] += 1
        steps.append((message, found))
        at = found.stop
        going = at < ends
    start, stop = _in_order(steps, counts)
    return Runs(counts, start, stop, odd)


def _in_order(steps: list[tuple[Places, Fields]], counts: Places) -> tuple[Places, Places]:
    """Return starts and stops message by message; they were found step by step."""
    first = np.cumsum(counts) - counts
    start, stop = np.empty((2, counts.sum()), np.int64)
    for step, (message, found) in enumerate(steps):
        place = first[message] + step
        start[place], stop[place] = found.start, found.stop
    return start, stop


def floats(data: Bytes, start: Places, stop: Places) -> Numbers:
    """Read packed lists of ``float``: four bytes each, the lowest first."""
    size = stop - start
    odd = size % 4 != 0
    size[odd] = 0
    values = _content(data, start, size).view("<f4").astype(np.float32, copy=False)
    return Numbers(size // 4, values, odd)


def varints(data: Bytes, start: Places, stop: Places) -> Numbers:
    """Read packed lists of ``int64``: varints of their 64 bits, so that a negative one has ten bytes."""
    size = stop - start
    content = _content(data, start, size)
    ends = np.cumsum(size)
    is_last = content < 128
    filled = np.flatnonzero(size)
    odd = np.zeros(len(start), np.bool_)
    odd[filled] = ~is_last[ends[filled] - 1]
    is_last[ends[filled] - 1] = True  # what is cut off must not run into the next list
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_last)])  # values before each byte
    last = np.flatnonzero(is_last)
    width = np.diff(last, prepend=-1)
    wide = last[(width > _LONGEST_VARINT) | ((width == _LONGEST_VARINT) & (content[last] > 1))]
    odd[np.searchsorted(ends, wide, side="right")] = True  # more than 64 bits
    return Numbers(before[ends] - before[ends - size], _values(content, last, width), odd)


def _values(content: Bytes, last: Places, width: Places) -> npt.NDArray[np.int64]:
    """Return the values of the varints with these last bytes and numbers of bytes."""
    first = last - width + 1
    value = (content[first] & 127).astype(np.uint64)
    longer = np.flatnonzero(width > 1)
    for place in range(1, _LONGEST_VARINT):
        if not longer.size:
            break
        value[longer] |= (content[first[longer] + place] & 127).astype(np.uint64) << np.uint64(7 * place)
        longer = longer[width[longer] > place + 1]
    values: npt.NDArray[np.int64] = value.view(np.int64)
    return values


def _content(data: Bytes, start: Places, size: Places) -> Bytes:
    """Return the bytes of some stretches of the buffer, one after another."""
    ends = np.cumsum(size)
    total = int(ends[-1]) if len(ends) else 0
    if total > _LONG * len(start):
        view, stop = data.data, start + size
        return np.frombuffer(
            b"".join(map(view.__getitem__, map(slice, start.tolist(), stop.tolist()))), np.uint8
        )
    return data.take(np.repeat(start - (ends - size), size) + np.arange(total))
