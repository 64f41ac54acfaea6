"""What ingestion and the file formats say to each other: a source, what it holds, the rows set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP_BYTES = 64 << 20


@dataclass(frozen=True)
class SourceFile:
    """One input: a file, or whatever else a reader can read at one go (a partition of a query).

    Attributes:
        uri: Where it lies, absolute, so that every worker finds it; or what the reader needs to find it.
        name: How messages and the quarantine call it: relative to the root of all sources.
        span: The span it belongs to; None without spans.
        version: The span's version; None without versions.
    """

    uri: str
    name: str
    span: str | None = None
    version: int | None = None


@dataclass(frozen=True)
class Scan:
    """What one source turned out to hold.

    Attributes:
        file: The source.
        columns: Type by column name, in the source's order; none for a source that is wholly empty.
        rows: Number of rows.
    """

    file: SourceFile
    columns: dict[str, pa.DataType]
    rows: int


@dataclass(frozen=True)
class BadRow:
    """A row that is set aside, and why."""

    file: str
    line: int | None
    column: str | None
    reason: str
    text: str


class Reader(Protocol):
    """What a format must know how to do; travels to the Beam workers.

    A reader may also have: ``component`` (str, ``"read_csv"`` when absent), the component's name in
    remedies; ``optional_columns`` (bool, False when absent), whether a source may lack columns that
    another has, so that they are null there; ``join_types``, a function like that of ``column_types``,
    which gives the type that holds two sources' types, or None.
    """

    @property
    def text(self) -> bool:
        """Whether types were inferred from text, so that any column could also stay text."""

    def scan(self, file: SourceFile) -> Scan:
        """Look at the whole source once, as far as types and row counts need it."""

    def read(self, file: SourceFile, schema: pa.Schema, bad: list[BadRow]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the agreed schema; rows that are set aside go to ``bad``."""

    def explain(self, file: SourceFile, column: str, kind: pa.DataType) -> str:
        """Return where the source first holds a value of the column that is not ``kind``."""


def in_groups(sized: Iterable[tuple[SourceFile, int]]) -> list[list[SourceFile]]:
    """Return sources in order, small neighbours of one span together, from each one's size in bytes."""
    groups: list[list[SourceFile]] = []
    size = 0
    for source, bytes_ in sized:
        if not groups or size + bytes_ > _GROUP_BYTES or groups[-1][-1].span != source.span:
            groups.append([])
            size = 0
        groups[-1].append(source)
        size += bytes_
    return groups
