"""What a span counts: plain numbers, or years, months, days or hours of the calendar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import Enum

_HOURS = 24
_MONTHS = 12
_LABELS = {
    "SPAN": r"(?P<SPAN>\d+)",
    "YYYY": r"(?P<YYYY>\d{4})",
    "MM": r"(?P<YYYY>\d{4})-(?P<MM>\d{2})",
    "DD": r"(?P<YYYY>\d{4})-(?P<MM>\d{2})-(?P<DD>\d{2})",
    "HH": r"(?P<YYYY>\d{4})-(?P<MM>\d{2})-(?P<DD>\d{2})T(?P<HH>\d{2})",
}


class SpanUnit(Enum):
    """The step from one span to the next; the value is the finest field that a pattern has for it."""

    NUMBER = "SPAN"
    YEAR = "YYYY"
    MONTH = "MM"
    DAY = "DD"
    HOUR = "HH"

    @property
    def noun(self) -> str:
        """How messages call one span."""
        return "span" if self is SpanUnit.NUMBER else self.name.lower()

    @property
    def example(self) -> str:
        """A label of this unit."""
        return self.label(self.place({"SPAN": "7", "YYYY": "2026", "MM": "11", "DD": "22", "HH": "03"}))

    @property
    def first(self) -> int:
        """The first place there can be."""
        return (
            0 if self is SpanUnit.NUMBER else self.place({"YYYY": "0001", "MM": "01", "DD": "01", "HH": "00"})
        )

    def place(self, fields: Mapping[str, str]) -> int:
        """Return where a span stands, so that neighbours differ by one.

        Args:
            fields: Digits by field name; at least the fields of this unit.

        Raises:
            ValueError: The fields are no date.
        """
        if self is SpanUnit.NUMBER:
            return int(fields["SPAN"])
        month = int(fields["MM"]) if self is not SpanUnit.YEAR else 1
        day = int(fields["DD"]) if self in (SpanUnit.DAY, SpanUnit.HOUR) else 1
        whole = date(int(fields["YYYY"]), month, day)
        if self is SpanUnit.YEAR:
            return whole.year
        if self is SpanUnit.MONTH:
            return whole.year * _MONTHS + whole.month - 1
        hour = int(fields["HH"]) if self is SpanUnit.HOUR else 0
        if hour >= _HOURS:
            raise ValueError(f"hour must be in 0..{_HOURS - 1}")
        return whole.toordinal() * _HOURS + hour if self is SpanUnit.HOUR else whole.toordinal()

    def label(self, place: int) -> str:
        """Return the name of a span: ``7``, or ``2026``, ``2026-11``, ``2026-11-22``, ``2026-11-22T03``."""
        if self is SpanUnit.NUMBER:
            return str(place)
        if self is SpanUnit.YEAR:
            return f"{place:04d}"
        if self is SpanUnit.MONTH:
            return f"{place // _MONTHS:04d}-{place % _MONTHS + 1:02d}"
        if self is SpanUnit.DAY:
            return date.fromordinal(place).isoformat()
        return f"{date.fromordinal(place // _HOURS).isoformat()}T{place % _HOURS:02d}"

    def parse(self, label: str) -> int | None:
        """Return the place of a label, or None where it is none of this unit."""
        match = re.fullmatch(_LABELS[self.value], label, re.ASCII)
        try:
            return self.place(match.groupdict()) if match else None
        except ValueError:
            return None
