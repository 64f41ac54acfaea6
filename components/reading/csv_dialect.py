"""How the text of a CSV file is to be understood."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration import require


@dataclass(frozen=True)
class CsvDialect:
    """The settings of a CSV reader.

    Attributes:
        delimiter: One character between the values.
        escape: One character that makes the next one literal, or None.
        encoding: Name of the text encoding.
        header: Whether the first row holds the column names.
        column_names: Names to use; instead of the header's, where there is one.
        null_values: Texts that mean a missing value; the empty text always does.
    """

    delimiter: str = ","
    escape: str | None = None
    encoding: str = "utf-8"
    header: bool = True
    column_names: tuple[str, ...] | None = None
    null_values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one = len(self.delimiter) == 1 and self.delimiter not in '"\r\n' and self.delimiter.isascii()
        require(one, "delimiter", "one ASCII character, no quote and no line end", self.delimiter)
        escape = self.escape is None or (
            len(self.escape) == 1 and self.escape.isascii() and self.escape not in f'"\r\n{self.delimiter}'
        )
        require(escape, "escape", "one ASCII character such as a backslash, or None", self.escape)
        require(_is_encoding(self.encoding), "encoding", "a text encoding Python knows", self.encoding)
        names = self.column_names
        unique = names is None or (bool(names) and len(set(names)) == len(names))
        require(unique, "column_names", "different names, or None", names)


def _is_encoding(name: str) -> bool:
    try:
        return bool("x".encode(name))
    except LookupError:
        return False
