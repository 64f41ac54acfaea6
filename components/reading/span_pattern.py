"""Path patterns with fields: ``data/{SPAN}/v{VERSION}/*.csv``, ``data/{YYYY}/{MM}/{DD}/*.parquet``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from components.reading.span_unit import SpanUnit
from orchestration import ArgumentError, DataError
from orchestration.artifacts import location

_FIELD = re.compile(r"\{([A-Za-z_]*)(?::(\d+))?\}")
_WIDTHS = {"SPAN": 0, "VERSION": 0, "YYYY": 4, "MM": 2, "DD": 2, "HH": 2}
_CALENDAR = ("YYYY", "MM", "DD", "HH")
_GLOB = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]")
_MAGIC = "*?["


class SpanKey(NamedTuple):
    """What a path says: the place of its span, its version, and the digits that say so."""

    place: int
    version: int | None
    digits: tuple[str, ...]


class _Piece(NamedTuple):
    """A part of a pattern: a field of fixed or free width, or the text between fields."""

    text: str
    field: str | None = None
    width: int = 0


@dataclass(frozen=True)
class SpanPattern:
    """A pattern with at least one field.

    Attributes:
        text: The pattern.
        glob: A pattern without fields that finds all files of all spans, and maybe more.
        unit: What its spans count.
    """

    text: str
    glob: str
    unit: SpanUnit
    regex: re.Pattern[str]
    fields: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> SpanPattern | None:
        """Return a pattern, or None for a text without fields.

        Raises:
            ArgumentError: A field is unknown or needs another that is not there, or two fields stand
                so that it cannot be told where one ends.
        """
        text = str(location(text))  # as the paths that are found will be written
        pieces = list(_pieces(text))
        fields = tuple(piece.field for piece in pieces if piece.field)
        if not fields:
            return None
        unit = _unit(text, fields)
        glob = "".join(_field_glob(piece) if piece.field else piece.text for piece in pieces)
        return cls(text, glob, unit, re.compile(_regex(text, pieces), re.ASCII), fields)

    @property
    def root(self) -> str:
        """The folder above everything that varies."""
        fixed = self.text[: min(self.text.find(sign) for sign in (*_MAGIC, "{") if sign in self.text)]
        return fixed.rpartition("/")[0]

    @property
    def wild(self) -> bool:
        """Whether it has wildcards beside its fields, and so means files, not the folders it fits."""
        return any(sign in self.text for sign in _MAGIC)

    def read(self, path: str) -> SpanKey | None:
        """Return the span and the version a path names, or None where the pattern does not fit.

        Raises:
            DataError: The path names two spans at once, or a date that is none.
        """
        match = self.regex.fullmatch(path)
        if match is None:
            return None
        values: dict[str, str] = {}
        for name, digits in zip(self.fields, match.groups(), strict=True):
            if int(values.setdefault(name, digits)) != int(digits):
                raise self._contradiction(path, f"{{{name}}} is {values[name]} and {digits}")
        try:
            place = self.unit.place(values)
        except ValueError as error:
            raise self._contradiction(path, str(error)) from error
        version = int(values["VERSION"]) if "VERSION" in values else None
        return SpanKey(place, version, tuple(values.values()))

    def _contradiction(self, path: str, reason: str) -> DataError:
        return DataError(
            f"the path of {path.rpartition('/')[2]} names no {self.unit.noun}",
            expected=f"a path that fits {self.text}",
            received=f"{path}: {reason}",
        )


def _pieces(text: str) -> Iterator[_Piece]:
    end = 0
    for match in _FIELD.finditer(text):
        if match.start() > end:
            yield _Piece(text[end : match.start()])
        name, width = match[1], int(match[2] or 0)
        if name not in _WIDTHS:
            raise _unknown_field(text, match[0], name)
        if width and _WIDTHS[name]:
            raise _malformed(text, f"{{{name}}} has {_WIDTHS[name]} digits", match[0])
        yield _Piece(match[0], name, width or _WIDTHS[name])
        end = match.end()
    if end < len(text):
        yield _Piece(text[end:])


def _unit(text: str, fields: tuple[str, ...]) -> SpanUnit:
    calendar = [name for name in _CALENDAR if name in fields]
    if "SPAN" in fields and calendar:
        raise _malformed(text, "either {SPAN} or the fields of a date", f"{{SPAN}} and {{{calendar[0]}}}")
    if not calendar and "SPAN" not in fields:
        raise _malformed(text, "{SPAN} or {YYYY}… beside {VERSION}", "{VERSION} alone")
    if not calendar:
        return SpanUnit.NUMBER
    needed = _CALENDAR[: _CALENDAR.index(calendar[-1]) + 1]
    lacking = [name for name in needed if name not in calendar]
    if lacking:
        raise _malformed(text, f"{{{lacking[0]}}} as well", "".join(f"{{{name}}}" for name in calendar))
    return SpanUnit(calendar[-1])


def _field_glob(piece: _Piece) -> str:
    return "[0-9]" * piece.width or "[0-9]*"


def _regex(text: str, pieces: list[_Piece]) -> str:
    """Return a regular expression for whole paths, one group for each field."""
    out = ""
    for place, piece in enumerate(pieces):
        if piece.field is None:
            out += _text_regex(piece.text)
            continue
        before = pieces[place - 1] if place else _Piece("/")
        after = pieces[place + 1] if place + 1 < len(pieces) else _Piece("/")
        if piece.width == 0 and after.field and after.width == 0:
            raise _malformed(text, "text between the two, or a width: {SPAN:3}", piece.text + after.text)
        digits = f"[0-9]{{{piece.width}}}" if piece.width else "[0-9]+"
        # Beside a wildcard, which would take some digits for itself, a field is the whole run of digits.
        left = "(?<![0-9])" if before.text[-1] in "*?]" else ""
        right = "(?![0-9])" if after.text[0] in _MAGIC else ""
        out += f"{left}({digits}){right}"
    return out


def _text_regex(text: str) -> str:
    out, end = "", 0
    for match in _GLOB.finditer(text):
        out += re.escape(text[end : match.start()])
        sign = match[0]
        if sign.startswith("["):
            out += "[" + ("^" if sign[1] == "!" else "") + sign[1:-1].lstrip("!").replace("\\", "\\\\") + "]"
        else:
            out += {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}[sign]
        end = match.end()
    return out + re.escape(text[end:])


def _unknown_field(text: str, field: str, name: str) -> ArgumentError:
    close = difflib.get_close_matches(name.upper(), _WIDTHS, n=1, cutoff=0.5)
    return ArgumentError(
        f"{field} is no field of a path pattern",
        expected=", ".join(f"{{{known}}}" for known in _WIDTHS),
        received=text,
        next=f"did you mean {{{close[0]}}}?" if close else None,
    )


def _malformed(text: str, expected: str, received: str) -> ArgumentError:
    return ArgumentError(
        "the fields of a path pattern do not go together",
        expected=expected,
        received=f"{received} in {text}",
    )
