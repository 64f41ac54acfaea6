"""The features of a TFRecord file's records, some records at a time; bad records are set aside."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.reading.bad_rows import kept_text, limit_bad_rows
from components.reading.sources import BadRow, SourceFile
from components.reading.tfrecord_example import usual_form
from components.reading.tfrecord_features import Feature, decode
from components.reading.tfrecord_file import Records, records
from components.reading.tfrecord_wire import Flags, Places
from orchestration import DataError

_PIECE_ROWS = 2048  # so few that what is made of them stays in the processor's cache
_CHECKSUM = "its bytes do not have the checksum they were written with"


@dataclass(frozen=True)
class Piece:
    """Neighbouring records, without those that are set aside.

    Attributes:
        numbers: ``int64 [records]``: their numbers in the file.
        size: Number of their bytes in the file.
        features: Their features by name.
    """

    numbers: Places
    size: int
    features: dict[str, Feature]

    @property
    def rows(self) -> int:
        """Number of the records."""
        return len(self.numbers)


@dataclass
class Room:
    """A batch that is filled piece by piece; without bounds where nothing is collected.

    Attributes:
        rows: Most records in it.
        size: Bytes of records; the one that exceeds them is the last one.
        used_rows: Records that are in it.
        used_size: Their bytes.
    """

    rows: int = sys.maxsize
    size: int = sys.maxsize
    used_rows: int = 0
    used_size: int = 0

    def fitting(self, sizes: Places) -> int:
        """Return how many of the next records, of which there is one, to take apart at once."""
        most = min(_PIECE_ROWS, self.rows - self.used_rows)
        within = np.searchsorted(np.cumsum(sizes[:most]), self.size - self.used_size, side="right")
        return min(len(sizes), most, int(within) + 1)

    def add(self, piece: Piece) -> bool:
        """Count a piece's records; return whether the batch is full."""
        self.used_rows += piece.rows
        self.used_size += piece.size
        return self.used_rows == self.rows or self.used_size > self.size

    def clear(self) -> None:
        """Begin the next batch."""
        self.used_rows = self.used_size = 0


def pieces(file: SourceFile, room: Room, bad: list[BadRow], *, quarantine: bool) -> Iterator[Piece]:
    """Yield all records of a file, so many at a time that no piece belongs to two batches.

    Args:
        file: The file.
        room: The batch; the caller adds every piece to it before asking for the next one.
        bad: Receives the records that are set aside.
        quarantine: Whether bad records are set aside instead of failing.

    Raises:
        DataError: The file or a record of it cannot be read. What lies before it has been yielded.
    """
    for block in records(file.uri, file.name):
        start = 0
        while start < len(block.starts):
            stop = start + room.fitting(block.sizes[start:])
            yield from _decoded(file, block.part(start, stop), bad, quarantine)
            start = stop


def _decoded(file: SourceFile, some: Records, bad: list[BadRow], quarantine: bool) -> Iterator[Piece]:
    features, odd = decode(some.content, some.starts, some.ends)
    if some.whole.all() and not odd.any():
        yield Piece(some.first + np.arange(len(some.starts)), int(some.sizes.sum()), features)
    else:
        yield from _one_by_one(file, some, odd, bad, quarantine)


def _one_by_one(
    file: SourceFile, some: Records, odd: Flags, bad: list[BadRow], quarantine: bool
) -> Iterator[Piece]:
    """Yield records some of which are bad or have an unusual encoding."""
    numbers: list[int] = []
    messages: list[bytes] = []
    failed: DataError | None = None
    try:
        for number, message in _usual(file, some, odd, bad, quarantine):
            numbers.append(number)
            messages.append(message)
    except DataError as error:
        failed = error
    good = np.array(numbers, np.int64)
    yield Piece(good, int(some.sizes[good - some.first].sum()), _features(messages))
    if failed is not None:  # only now: something may be wrong with a record before it
        raise failed


def _usual(
    file: SourceFile, some: Records, odd: Flags, bad: list[BadRow], quarantine: bool
) -> Iterator[tuple[int, bytes]]:
    """Yield numbers and messages of the good records, all in their usual encoding."""
    for place, (is_whole, is_odd) in enumerate(zip(some.whole, odd, strict=True)):
        number, data = some.first + place, some.data(place)
        reason = None if is_whole else _CHECKSUM
        if is_whole and is_odd:
            try:
                data = usual_form(data)
            except ValueError as error:
                reason = str(error)
        if reason is None:
            yield number, data
            continue
        _refuse(file, number, reason, quarantine)
        bad.append(BadRow(file.name, number, None, reason, kept_text(data[:1000])))
        limit_bad_rows(file.name, len(bad))


def _refuse(file: SourceFile, number: int, reason: str, quarantine: bool) -> None:
    if not quarantine:
        raise DataError(
            f"record {number} of {file.name} cannot be read: {reason}",
            expected="whole records, each a tf.Example",
            received=reason,
            next='read_tfrecord(..., on_bad_rows="quarantine") to set such records aside',
        )


def _features(messages: list[bytes]) -> dict[str, Feature]:
    """Return the features of messages that all have their usual encoding."""
    sizes = np.array([len(message) for message in messages], np.int64)
    ends = np.cumsum(sizes)
    features, odd = decode(b"".join(messages), ends - sizes, ends)
    assert not odd.any(), "the protobuf library wrote a message in an unusual encoding"
    return features
