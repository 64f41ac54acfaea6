"""An Iceberg table as an input of a pipeline: the snapshot, not the table's name, is its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from orchestration import External, require

if TYPE_CHECKING:
    from orchestration import Artifact
    from orchestration.external import DigestFile

_PINNED = re.compile(r"@(?P<snapshot>\d+)\Z")


class IcebergTable(External):
    """Which Iceberg table is read, and which snapshot of it; the current one where none is named.

    As text: ``CATALOG.NAMESPACE.TABLE`` (the catalog as PyIceberg's own configuration or environment,
    ``PYICEBERG_CATALOG__NAME__URI`` and so on, knows it: no secret is written down here), or the location
    of a metadata file (``s3://lake/trips/metadata/00003-….metadata.json``), or of a table's folder
    that has a ``version-hint.text``; each with or without a snapshot: ``lake.sales.trips@8595941996``.

    Args:
        name: The table, with or without its snapshot.
        snapshot: Number of the snapshot.

    Raises:
        ArgumentError: There are two snapshots, or the name is none.
    """

    def __new__(cls, name: str, *, snapshot: int | None = None) -> Self:
        """Make a reference to a table, or take it from its text."""
        require(snapshot is None or _PINNED.search(name) is None, "snapshot", "one snapshot", snapshot)
        text = name if snapshot is None else f"{name}@{snapshot}"
        table = _PINNED.sub("", text)
        named = "/" in table or table.count(".") >= 2
        require(named, "table", "CATALOG.NAMESPACE.TABLE, or the location of a metadata file", name)
        return super().__new__(cls, text)

    @property
    def table(self) -> str:
        """The table's name or location."""
        return _PINNED.sub("", self)

    @property
    def snapshot(self) -> int | None:
        """The snapshot that is asked for, if any."""
        found = _PINNED.search(self)
        return int(found["snapshot"]) if found else None

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return a digest of the table's identity, its schema and the snapshot, which never changes.

        Raises:
            DataError: There is no such table or snapshot.
        """
        del inputs, digest_file
        from components.reading.iceberg_plan import open_iceberg

        return open_iceberg(self).digest
