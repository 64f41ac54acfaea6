"""The bytes of a text file as UTF-8, checked while they stream past."""

from __future__ import annotations

import codecs
import contextlib
import lzma
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from orchestration import DataError
from orchestration.artifacts import location

# What reading a file, or unpacking it, raises where its bytes are damaged or missing.
UNREADABLE = (EOFError, OSError, lzma.LZMAError, zlib.error)
_SHOWN_BYTES = 40


class TextSource:
    """A readable stream of UTF-8 text, made from a file in any encoding.

    It drops a byte-order mark, counts lines, and refuses what is not text.

    Args:
        file: The raw bytes.
        name: How messages call the file.
        encoding: The encoding of the raw bytes.
        tail: UTF-8 text to give after the end of the file.
        component: The component that reads it, for the remedies in its errors.
    """

    closed = False

    def __init__(
        self, file: BinaryIO, name: str, encoding: str, tail: bytes = b"", component: str = "read_csv"
    ) -> None:
        self.name = name
        self.component = component
        self.encoding = codecs.lookup(encoding).name
        self.lines = 0
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._started = False
        self._rest = b""
        self._tail = tail

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes of UTF-8 text; nothing at the end.

        Raises:
            DataError: The bytes are not text in the stated encoding, or the file is cut off.
        """
        while not self._rest:
            raw = self._read(size)
            self._rest = self._as_utf8(raw)
            if not raw:
                self._rest, self._tail = self._rest + self._tail, b""
                break
        cut = len(self._rest) if size < 0 else size
        out, self._rest = self._rest[:cut], self._rest[cut:]
        self.lines += out.count(b"\n")
        return out

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except UNREADABLE as error:
            raise DataError(
                f"{self.name} cannot be read to its end",
                expected="a whole file",
                received=str(error),
            ) from error

    def _as_utf8(self, raw: bytes) -> bytes:
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise self._wrong_encoding(raw, error) from error
        clean = raw if self.encoding == "utf-8" else text.encode()
        if clean and not self._started:
            clean = clean.removeprefix(codecs.BOM_UTF8)
            self._started = True
        if b"\0" in clean:
            raise self._binary(clean)
        return clean

    def _wrong_encoding(self, raw: bytes, error: UnicodeDecodeError) -> DataError:
        sick = raw[max(error.start - 10, 0) : error.start + _SHOWN_BYTES - 10]
        line = self.lines + 1 + error.object[: error.start].count(b"\n")
        other = "latin-1" if self.encoding == "utf-8" else "utf-8"
        return DataError(
            f"{self.name}:{line} is not {self.encoding} text",
            expected=f"text encoded as {self.encoding}",
            received=f"{sick!r} ({error.reason})",
            next=f'{self.component}(..., encoding="{other}") if the file was written that way',
        )

    def _binary(self, clean: bytes) -> DataError:
        place = clean.index(b"\0")
        line = self.lines + 1 + clean[:place].count(b"\n")
        return DataError(
            f"{self.name}:{line} holds a NUL byte: this is no text file",
            expected="a text file",
            received=repr(clean[max(place - 10, 0) : place + _SHOWN_BYTES - 10]),
            next=f'{self.component}(..., encoding="utf-16") for UTF-16, read_parquet(...) for Parquet',
        )

    def close(self) -> None:
        """Close the underlying file."""
        self.closed = True
        self._file.close()


@contextlib.contextmanager
def open_text(
    uri: str, name: str, encoding: str, tail: bytes = b"", component: str = "read_csv"
) -> Iterator[TextSource]:
    """Open a file as text; ``.gz``, ``.bz2`` and ``.xz`` are decompressed.

    Raises:
        DataError: The file cannot be opened.
    """
    with contextlib.closing(TextSource(open_bytes(uri, name), name, encoding, tail, component)) as source:
        yield source


def open_bytes(uri: str, name: str) -> BinaryIO:
    """Open a file for reading, decompressed according to its name.

    Raises:
        DataError: The file cannot be opened.
    """
    try:
        file: BinaryIO = location(uri).open("rb")
    except OSError as error:
        raise DataError(
            f"{name} cannot be opened: {error.strerror or error}",
            expected="a readable file",
            received=name,
            next=f"ls -l {name}",
        ) from error
    suffix = uri.rpartition(".")[2]
    if suffix == "gz":
        import gzip

        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # it reads as a BinaryIO does
    if suffix == "bz2":
        import bz2

        return bz2.BZ2File(file)  # type: ignore[return-value]  # as above
    if suffix == "xz":
        return lzma.LZMAFile(file)  # type: ignore[return-value]  # as above
    return file
