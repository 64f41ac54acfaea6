"""A Delta Lake table as an input of a pipeline: the files of the version, not its name, are its content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from orchestration import External, require

if TYPE_CHECKING:
    from orchestration import Artifact
    from orchestration.external import DigestFile

_PINNED = re.compile(r"@(?:v(?P<version>\d+)|(?P<timestamp>\d{4}-\d\d-\d\d(?:T[^@/]*)?))\Z")


class DeltaPath(External):
    """Where a Delta Lake table lies, and which version of it is read; the latest where none is named.

    As text: ``data/trips``, ``data/trips@v12``, ``s3://lake/trips@2026-11-01T00:00:00Z``.

    Credentials of object stores come from the environment (``AWS_ACCESS_KEY_ID`` and so on).

    Args:
        path: A folder or a URL, with or without its version.
        version: Number of the version.
        timestamp: ISO 8601 time; the version that was the latest then.

    Raises:
        ArgumentError: There is more than one version.
    """

    def __new__(cls, path: str, *, version: int | None = None, timestamp: str | None = None) -> Self:
        """Make a path, or take it from its text."""
        pins = [_PINNED.search(path) is not None, version is not None, timestamp is not None]
        require(sum(pins) <= 1, "version", "one version or one timestamp", f"{path}, {version}, {timestamp}")
        pin = f"@v{version}" if version is not None else f"@{timestamp}" if timestamp is not None else ""
        require(not pin or bool(_PINNED.fullmatch(pin)), "timestamp", "an ISO 8601 time, or @v12", pin)
        return super().__new__(cls, path + pin)

    @property
    def uri(self) -> str:
        """The table's folder."""
        return _PINNED.sub("", self)

    @property
    def version(self) -> int | None:
        """The version that is asked for, if any."""
        found = _PINNED.search(self)
        return int(found["version"]) if found and found["version"] else None

    @property
    def timestamp(self) -> str | None:
        """The time whose latest version is asked for, if any."""
        found = _PINNED.search(self)
        return found["timestamp"] if found else None

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return a digest of the version's schema and of the names and sizes of its files.

        A Delta Lake file never changes once it is written, so their bytes need not be read.

        Raises:
            DataError: There is no such table or version.
        """
        del inputs, digest_file
        from components.reading.delta_table import open_delta, table_digest

        return table_digest(open_delta(self))
