"""Errors of the data itself that have a name of their own."""

from __future__ import annotations

from orchestration import DataError


class ColumnTypeError(DataError):
    """A column changes type between files, or holds a value that its type does not allow."""


class ReconciliationError(DataError):
    """Rows read, written and set aside do not balance."""
