"""The records of a TFRecord file, their checksums held against their bytes."""

from __future__ import annotations

import contextlib
import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from components.reading.text_source import UNREADABLE, open_bytes
from orchestration import DataError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_RECORD = 1 << 30
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_GZIP = b"\x1f\x8b\x08"


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        number: Its place in the file, from 1.
        data: Its bytes.
        whole: Whether they have the checksum that was written with them.
    """

    number: int
    data: bytes
    whole: bool


def records(uri: str, name: str) -> Iterator[Record]:
    """Yield a file's records in order; gzip is recognised by its first bytes.

    Raises:
        DataError: The file cannot be opened, is no TFRecord file, is cut off, or the length of a record
            is damaged, so that nothing after it can be found; names the record.
        MissingExtraError: The package that computes the checksums is not installed.
    """
    checksum = _checksum()
    number = 1
    with contextlib.closing(_opened(uri, name, checksum)) as source:
        while header := _read(source, _HEADER.size, name, number):
            length = _length(header, name, number, checksum)
            body = _read(source, length + _FOOTER.size, name, number)
            if len(body) < length + _FOOTER.size:
                raise _cut_off(name, number, f"{len(body)} of {length + _FOOTER.size} bytes")
            data = body[:length]
            yield Record(number, data, _masked(checksum(data)) == _FOOTER.unpack(body[length:])[0])
            number += 1


def _length(header: bytes, name: str, number: int, checksum: Callable[[bytes], int]) -> int:
    if len(header) < _HEADER.size:
        raise _cut_off(name, number, f"{len(header)} of {_HEADER.size} bytes of its header")
    length, crc = _HEADER.unpack(header)
    if _masked(checksum(header[:8])) != crc:
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
    return int(length)


def _cut_off(name: str, number: int, received: str) -> DataError:
    return DataError(
        f"{name} is cut off in record {number}",
        expected="whole records",
        received=received,
        next="write the file again",
    )


def _opened(uri: str, name: str, checksum: Callable[[bytes], int]) -> BinaryIO:
    if uri.endswith((".gz", ".bz2", ".xz")):
        return open_bytes(uri, name)
    file = open_bytes(uri, name)
    head = file.read(_HEADER.size)
    file.seek(0)
    framed = len(head) == _HEADER.size and _masked(checksum(head[:8])) == _HEADER.unpack(head)[1]
    if head.startswith(_GZIP) and not framed:
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # it reads as a BinaryIO does
    return file


def _read(source: BinaryIO, size: int, name: str, number: int) -> bytes:
    try:
        return source.read(size)
    except UNREADABLE as error:
        raise DataError(
            f"{name} cannot be read beyond record {number - 1}",
            expected="a whole file",
            received=str(error),
        ) from error


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


def _masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
