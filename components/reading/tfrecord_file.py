"""The records of a TFRecord file, their checksums held against their bytes.

A record is its length (8 bytes, the lowest first), a checksum of these bytes, the data, and a checksum of the
data. A checksum is a CRC-32C, turned by 15 bits and added to a constant: see
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from components.reading.text_source import UNREADABLE, open_bytes
from orchestration import DataError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from components.reading.tfrecord_wire import Flags, Places

LARGEST_RECORD = 1 << 30
_BLOCK = 16 << 20
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_FRAME = _HEADER.size + _FOOTER.size
_GZIP = b"\x1f\x8b\x08"

Crc = TypeVar("Crc", int, npt.NDArray[np.int64])


@dataclass(frozen=True)
class Records:
    """Neighbouring records.

    Attributes:
        content: The buffer in which they lie.
        starts: ``int64 [records]``: where the data of each begins.
        ends: ``int64 [records]``: where they end.
        whole: ``bool [records]``: whether the data have the checksum that was written with them.
        first: Number of the first of them in the file, from 1.
    """

    content: bytes
    starts: Places
    ends: Places
    whole: Flags
    first: int

    @property
    def sizes(self) -> Places:
        """Number of bytes of each: ``int64 [records]``."""
        return self.ends - self.starts

    def part(self, start: int, stop: int) -> Records:
        """Return some of them."""
        here = slice(start, stop)
        return Records(self.content, self.starts[here], self.ends[here], self.whole[here], self.first + start)

    def data(self, place: int) -> bytes:
        """Return the bytes of one of them."""
        return self.content[self.starts[place] : self.ends[place]]


def records(uri: str, name: str) -> Iterator[Records]:
    """Yield a file's records in order, some MiB at a time; gzip is recognised by its first bytes.

    Raises:
        DataError: The file cannot be opened, is no TFRecord file, is cut off, or the length of a record
            is damaged, so that nothing after it can be found; names the record. What lies before it has
            been yielded.
        MissingExtraError: The package that computes the checksums is not installed.
    """
    checksum = _checksum()
    number, wanted = 1, _BLOCK
    with contextlib.closing(_opened(uri, name)) as file:
        source = _Source(file)
        while not source.ended:
            source.fill(wanted)
            starts, ends = _framed(source.held)
            if len(starts):
                whole = _whole(source.held, starts, ends, checksum)
                yield Records(source.held, starts, ends, whole, number)
                number += len(starts)
                source.drop(int(ends[-1]) + _FOOTER.size)
            wanted = max(_BLOCK, _needed(source, name, number))


class _Source:
    """Bytes of a file that have been read and not been used.

    Attributes:
        held: The bytes.
        ended: Whether no more of them can be read.
        error: Why, if it is not the end of the file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.held = b""
        self.ended = False
        self.error: Exception | None = None
        # What is unpacked before an error must not be lost with it, as it would be in one large read.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)

    def fill(self, wanted: int) -> None:
        """Read until so many bytes are held, or the file ends."""
        parts, size = [self.held], len(self.held)
        while size < wanted and not self.ended:
            try:
                parts.append(self._read(wanted - size))
            except UNREADABLE as error:
                self.error, self.ended = error, True
                break
            size += len(parts[-1])
            self.ended = not parts[-1]
        self.held = b"".join(parts)

    def drop(self, size: int) -> None:
        """Forget the first bytes."""
        self.held = self.held[size:]


def _framed(content: bytes) -> tuple[Places, Places]:
    """Return where the data of the records at the front of some bytes begin and end."""
    found = []
    start, last = _HEADER.size, len(content) - _FOOTER.size
    while (length := _length_in(content[start - _HEADER.size : start])) is not None:
        end = start + length
        if end > last:
            break
        found.append(end)
        start = end + _FRAME
    ends = np.array(found, np.int64)
    starts = np.full_like(ends, _HEADER.size)
    starts[1:] = ends[:-1] + _FRAME
    return starts, ends


@functools.lru_cache(maxsize=1 << 14)
def _length_in(header: bytes) -> int | None:
    """Return the length in a header; None where it does not have its checksum, or is cut off."""
    if len(header) < _HEADER.size:
        return None
    length, crc = _HEADER.unpack(header)
    return int(length) if _masked(_checksum()(header[:8])) == crc else None


def _whole(content: bytes, starts: Places, ends: Places, checksum: Callable[[bytes], int]) -> Flags:
    """Return which records have the checksum that follows them."""
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    crcs = np.array([checksum(content[start:end]) for start, end in places], np.int64)
    footers = np.frombuffer(content, np.uint8)[ends[:, np.newaxis] + np.arange(_FOOTER.size)]
    same: Flags = _masked(crcs) == footers.view("<u4").ravel()
    return same


def _needed(source: _Source, name: str, number: int) -> int:
    """Return how many bytes hold the next record.

    Raises:
        DataError: They cannot be read, or nobody can tell.
    """
    held = len(source.held)
    needed = _HEADER.size
    if held >= needed:
        needed = _FRAME + _length(source.held[: _HEADER.size], name, number)
    if source.error is not None and held < needed:
        raise DataError(
            f"{name} cannot be read beyond record {number - 1}",
            expected="a whole file",
            received=str(source.error),
        ) from source.error
    if source.ended and 0 < held < needed:
        raise _cut_off(name, number, held, needed)
    return needed


def _length(header: bytes, name: str, number: int) -> int:
    length = _length_in(header)
    if length is None:
        what = "is no TFRecord file" if number == 1 else f"is damaged at record {number}"
        raise DataError(
            f"{name} {what}: the length of the record has a wrong checksum",
            expected="TFRecord framing: length, checksum, data, checksum",
            received=repr(header),
            next=f"look at {name}: the records after this place cannot be found" if number > 1 else None,
        )
    if length > LARGEST_RECORD:
        raise DataError(
            f"record {number} of {name} is too large",
            expected=f"at most {LARGEST_RECORD >> 30} GiB",
            received=f"{length} bytes",
        )
    return length


def _cut_off(name: str, number: int, held: int, needed: int) -> DataError:
    in_header = held < _HEADER.size
    of_data = f"{held - _HEADER.size} of {needed - _HEADER.size} bytes"
    return DataError(
        f"{name} is cut off in record {number}",
        expected="whole records",
        received=f"{held} of {needed} bytes of its header" if in_header else of_data,
        next="write the file again",
    )


def _opened(uri: str, name: str) -> BinaryIO:
    if uri.endswith((".gz", ".bz2", ".xz")):
        return open_bytes(uri, name)
    file = open_bytes(uri, name)
    head = file.read(_HEADER.size)
    file.seek(0)
    if head.startswith(_GZIP) and _length_in(head) is None:
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # it reads as a BinaryIO does
    return file


def _checksum() -> Callable[[bytes], int]:
    try:
        import google_crc32c
    except ImportError as error:
        raise MissingExtraError(
            "reading TFRecord files needs google-crc32c, which is not installed",
            expected="the package that computes CRC-32C",
            received=str(error),
            next="pip install 'headrace[tfrecord]'",
        ) from error
    value: Callable[[bytes], int] = google_crc32c.value
    return value


def _masked(crc: Crc) -> Crc:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
