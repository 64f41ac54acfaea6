"""The features of a TFRecord file's records, some records at a time; bad records are set aside."""

from __future__ import annotations

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

_CHECKSUM = "its bytes do not have the checksum they were written with"


@dataclass(frozen=True)
class Piece:
    """Neighbouring records, without those that are set aside.

    Attributes:
        numbers: ``int64 [records]``: their numbers in the file.
        size: Number of their bytes.
        features: Their features by name.
    """

    numbers: Places
    size: int
    features: dict[str, Feature]

    @property
    def rows(self) -> int:
        """Number of the records."""
        return len(self.numbers)


def pieces(file: SourceFile, most: int, bad: list[BadRow], *, quarantine: bool) -> Iterator[Piece]:
    """Yield all records of a file, at most so many at a time.

    Args:
        file: The file.
        most: How many records.
        bad: Receives those that are set aside.
        quarantine: Whether bad records are set aside instead of failing.

    Raises:
        DataError: The file or a record of it cannot be read. What lies before it has been yielded.
    """
    for block in records(file.uri, file.name):
        for some in block.pieces(most):
            features, odd = decode(some.content, some.starts, some.ends)
            if some.whole.all() and not odd.any():
                numbers = some.first + np.arange(len(some.starts))
                yield Piece(numbers, int((some.ends - some.starts).sum()), features)
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
    yield _piece(numbers, messages)
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


def _piece(numbers: list[int], messages: list[bytes]) -> Piece:
    """Return the features of messages that all have their usual encoding."""
    ends = np.cumsum([len(message) for message in messages], dtype=np.int64)
    starts = ends - np.array([len(message) for message in messages], np.int64)
    content = b"".join(messages)
    features, odd = decode(content, starts, ends)
    assert not odd.any(), f"record {numbers[int(odd.argmax())]} has no usual encoding"
    return Piece(np.array(numbers, np.int64), len(content), features)
