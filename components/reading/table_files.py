"""The files of a table as sources of an ingestion."""

from __future__ import annotations

import os
from collections.abc import Iterable

from components.reading.sources import SourceFile, in_groups
from orchestration import DataError


def grouped(table: str, files: Iterable[tuple[SourceFile, int]]) -> list[list[SourceFile]]:
    """Return a table's files in order, small neighbours together.

    Args:
        table: How messages call the table.
        files: The files and their sizes in bytes.

    Raises:
        DataError: There is none.
    """
    groups = in_groups(files)
    if not groups:
        raise DataError(f"{table} holds no rows", expected="at least one row", received="no file")
    return groups


def absolute(table: str) -> str:
    """Return where a table lies so that every worker finds it: they may start in another folder."""
    return table if "://" in table else os.path.abspath(table)  # noqa: PTH100 - links stay
