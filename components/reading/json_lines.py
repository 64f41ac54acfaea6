"""The lines of a JSON lines file, in blocks, with their numbers; and what is wrong with one of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.reading.bad_rows import shown_text
from components.reading.text_source import open_text
from orchestration import DataError

BLOCK_BYTES = 4 << 20
LONGEST_LINE = 64 << 20
DEEPEST = 100  # levels of lists and objects; Arrow's parser recurses without a limit of its own
_SPACE = b" \t\r\n"
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Lines:
    """Neighbouring lines of a file that are not blank.

    Attributes:
        texts: The lines without their ends.
        numbers: Their numbers in the file, from 1.
    """

    texts: list[bytes]
    numbers: list[int]

    def part(self, start: int, stop: int) -> Lines:
        """Return some of the lines."""
        return Lines(self.texts[start:stop], self.numbers[start:stop])

    def without(self, places: set[int]) -> Lines:
        """Return the lines except those at some places."""
        kept = [place for place in range(len(self.texts)) if place not in places]
        return Lines([self.texts[place] for place in kept], [self.numbers[place] for place in kept])


def blocks(uri: str, name: str, encoding: str) -> Iterator[Lines]:
    """Yield a file's lines in blocks of about 4 MiB.

    Raises:
        DataError: The file cannot be opened or read, is no text in the encoding, or a line is longer
            than 64 MiB.
    """
    number, rest = 0, [b""]
    with open_text(uri, name, encoding, component="read_json") as source:
        while raw := source.read(BLOCK_BYTES):
            cut = raw.rfind(b"\n")
            if cut < 0:
                rest.append(raw)
                _check_length(name, number + 1, rest)
                continue
            lines = (b"".join(rest) + raw[:cut]).split(b"\n")
            rest = [raw[cut + 1 :]]
            yield _not_blank(lines, number)
            number += len(lines)
    yield _not_blank([b"".join(rest)], number)


def _check_length(name: str, line: int, pieces: list[bytes]) -> None:
    size = sum(map(len, pieces))
    if size > LONGEST_LINE:
        raise DataError(
            f"{name}:{line} is too long for one row",
            expected=f"one JSON object on each line, of at most {LONGEST_LINE >> 20} MiB",
            received=f"more than {size >> 20} MiB without a line end: {shown_text(pieces[0][:100])}",
            next="write one object per line; an array of objects must be taken apart first",
        )


def _not_blank(lines: list[bytes], before: int) -> Lines:
    texts, numbers = [], []
    for number, line in enumerate(lines, before + 1):
        text = line.strip(_SPACE)
        if text:
            texts.append(text)
            numbers.append(number)
    return Lines(texts, numbers)


class _TwiceError(ValueError):
    """An object holds the same name twice."""


def parse_line(line: bytes, *, literal: bool = False) -> dict[str, Any]:
    """Return a line's object.

    Args:
        line: The text.
        literal: Give numbers as the text they are written in.

    Raises:
        ValueError: It is no JSON object, or holds a name twice.
    """
    parse = str if literal else None
    try:
        value = json.loads(line, object_pairs_hook=_object, parse_int=parse, parse_float=parse)
    except json.JSONDecodeError as error:
        where = "it is cut off" if error.pos >= len(error.doc.rstrip()) else f"column {error.colno}"
        raise ValueError(f"not JSON: {error.msg} ({where})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{_kind(value)}, not an object")
    return value


def too_deep(line: bytes) -> bool:
    """Tell whether a line nests lists and objects more than 100 levels deep."""
    if line.count(b"[") + line.count(b"{") <= DEEPEST:
        return False
    steps = (1 if byte in b"[{" else -1 if byte in b"]}" else 0 for byte in _STRING.sub(b"", line))
    return max(itertools.accumulate(steps), default=0) > DEEPEST


def problem(line: bytes) -> str | None:
    """Return what is wrong with a line, or None."""
    if too_deep(line):
        return f"it is nested more than {DEEPEST} levels deep"
    try:
        json.dumps(parse_line(line), ensure_ascii=False).encode()  # half a surrogate pair is no text
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is no text"
    except ValueError as error:
        return str(error)
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f'it names "{shown_text(twice)}" twice')
    return found


def _kind(value: Any) -> str:
    kinds = {list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def line_error(name: str, number: int, line: bytes, reason: str) -> DataError:
    """Return the error for a line that is no row."""
    return DataError(
        f"{name}:{number} is no row: {reason}",
        expected="one JSON object on each line, every name once",
        received=shown_text(line),
        next='mend the line, or read_json(..., on_bad_rows="quarantine") to set such lines aside',
    )
