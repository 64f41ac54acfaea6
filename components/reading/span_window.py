"""Which spans are read: the newest, a named one, a range, or a window that rolls with the newest."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from components.reading.span_unit import SpanUnit
from orchestration import ArgumentError, DataError, require

LATEST = "latest"
_LABEL = r"\d+(?:-\d\d){0,2}(?:T\d\d)?"
_LAST = re.compile(rf"last (?P<count>[1-9]\d{{0,6}})(?: to (?P<end>{_LABEL}))?", re.ASCII)
_RANGE = re.compile(rf"(?P<first>{_LABEL})?\.\.(?P<end>{_LABEL})?", re.ASCII)
_ONE = re.compile(_LABEL, re.ASCII)
_FORMS = '"latest", "7", "3..7", "3..", "last 7", "last 7 to 20" or "all"; dates as 2026-11-22'
_SHOWN = 6


@dataclass(frozen=True)
class SpanWindow:
    """A choice among the spans there are.

    Attributes:
        span: ``"latest"``; one span (``"7"``, ``"2026-11-22"``); a range with both ends included
            (``"3..7"``, ``"2026-11-01..2026-11-07"``, ``"3.."`` up to the newest); ``"last 7"``, the
            seven spans that end with the newest; ``"last 7 to 20"``, those that end with span 20;
            ``"all"``.
        missing: What happens when spans inside the window have no files: ``"fail"``, or ``"skip"`` to
            read the others.
    """

    span: str = LATEST
    missing: Literal["fail", "skip"] = "fail"

    def __post_init__(self) -> None:
        known = self.span in (LATEST, "all") or any(f.fullmatch(self.span) for f in (_LAST, _RANGE, _ONE))
        require(known, "span", _FORMS, self.span)
        require(self.missing in ("fail", "skip"), "missing_spans", '"fail" or "skip"', self.missing)

    @classmethod
    def of(cls, span: str | int = LATEST, missing: Literal["fail", "skip"] = "fail") -> SpanWindow:
        """Return the window of a component's arguments.

        Raises:
            ArgumentError: ``span`` has none of the forms.
        """
        return cls(str(span), missing)

    def choose(self, unit: SpanUnit, found: Collection[int]) -> list[int]:
        """Return the places of the chosen spans, in order.

        Args:
            unit: What the spans count.
            found: Places of the spans that have files; at least one.

        Raises:
            ArgumentError: The window is not one of this unit, or ends before it begins.
            DataError: No span is in the window, or one inside it is missing.
        """
        first, last = self._bounds(unit, min(found), max(found))
        chosen = sorted(place for place in found if first <= place <= last)
        if not chosen or (len(chosen) <= last - first and self.missing == "fail"):
            raise self._gaps(unit, first, last, chosen, found)
        return chosen

    def _bounds(self, unit: SpanUnit, oldest: int, newest: int) -> tuple[int, int]:
        if self.span == LATEST:
            return newest, newest
        if last := _LAST.fullmatch(self.span):
            end = self._place(unit, last["end"], newest)
            return end - int(last["count"]) + 1, end
        if ends := _RANGE.fullmatch(self.span):
            first, end = self._place(unit, ends["first"], oldest), self._place(unit, ends["end"], newest)
            ordered = first <= end or not (ends["first"] and ends["end"])
            require(ordered, "span", "a range that ends after it begins", self.span)
            return first, end
        if self.span == "all":
            return oldest, newest
        one = self._place(unit, self.span, newest)
        return one, one

    def _place(self, unit: SpanUnit, label: str | None, otherwise: int) -> int:
        if label is None:
            return otherwise
        place = unit.parse(label)
        if place is None:
            raise ArgumentError(
                'argument "span" does not fit the pattern',
                expected=f"the pattern's fields name each {unit.noun}, such as {unit.example}",
                received=f"span={self.span!r}",
            )
        return place

    def _gaps(
        self, unit: SpanUnit, first: int, last: int, chosen: list[int], found: Collection[int]
    ) -> DataError:
        there = unit.label(min(found))
        if len(found) > 1:
            there = f"{len(found)} from {there} to {unit.label(max(found))}"
        return DataError(
            _headline(unit, first, last, chosen),
            expected=f"every {unit.noun} of span={self.span!r}",
            received=f"the {unit.noun}s there are: {there}",
            next='missing_spans="skip" to read the others' if chosen else 'span="latest" for the newest',
        )


def _headline(unit: SpanUnit, first: int, last: int, chosen: list[int]) -> str:
    wanted = last - first + 1
    missing = wanted - len(chosen)
    if missing < 1:
        return f"there is no {unit.noun} from {unit.label(first)} on"
    have = set(chosen)
    gaps = [place for place in range(first, last + 1)[: len(chosen) + _SHOWN] if place not in have]
    # A window may reach back before the first span that can be.
    shown = ", ".join(unit.label(place) for place in gaps[:_SHOWN] if place >= unit.first)
    if missing == 1:
        return f"{unit.noun} {shown} has no files"
    return f"{missing} of {wanted} {unit.noun}s have no files: {shown}" + (", …" if missing > _SHOWN else "")
