"""How many rows may be set aside before something else must be wrong, and how their text is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestration import DataError

MOST_BAD_ROWS = 100_000
_KEPT = 10_000


def limit_bad_rows(name: str, bad: int) -> None:
    """Refuse a file of which too many rows are set aside.

    Raises:
        DataError: They are more than 100,000.
    """
    if bad > MOST_BAD_ROWS:
        raise DataError(
            f"{name} has more than {MOST_BAD_ROWS} bad rows",
            expected="a few bad rows to set aside",
            received="so many that the format, the encoding or a column type must be wrong",
            next="headrace data report FILE to look at the file",
        )


def check_stated(types: Mapping[str, object], columns: Sequence[str]) -> None:
    """Refuse types stated for columns that no file has.

    Raises:
        DataError: There is such a column.
    """
    for name in types:
        if name not in columns:
            raise DataError(
                f'column_types names column "{name}", which the data does not have',
                expected="one of " + ", ".join(columns),
                received=name,
            )


def kept_text(text: str | bytes) -> str:
    """Return a bad row's text as the quarantine keeps it: at most 10,000 characters, always UTF-8."""
    shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
    shown = shown.encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= _KEPT else shown[: _KEPT - 1] + "…"


def shown_text(text: str | bytes, most: int = 80) -> str:
    """Return a text as a message shows it: one line of at most ``most`` characters."""
    line = kept_text(text).replace("\n", "\\n")
    return line if len(line) <= most else line[: most - 1] + "…"
