"""Inputs that live outside the pipeline: their content, not their name, is part of the cache key."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from orchestration.artifacts import Artifact, location
from orchestration.errors import DataError

DigestFile = Callable[[Path], str]


class External(str):
    """A parameter type: a name whose content decides whether a node must run again."""

    def among(self, configuration: Mapping[str, Any]) -> Self:
        """Return the same, narrowed by the component's other arguments where these choose a part of it."""
        return self

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return a digest of what the name stands for just now.

        Args:
            inputs: The node's input artifacts, by parameter.
            digest_file: Gives a file's SHA-256 as hex, remembering what it has read before.
        """
        raise NotImplementedError(f"{type(self).__name__}.content_digest")


class Files(External):
    """A path, a folder or a pattern with ``*``, ``?`` and ``**``."""

    def paths(self) -> list[Path]:
        """Return the matching files, sorted by name; hidden files are left out.

        Raises:
            DataError: Nothing matches.
        """
        shown = (path for path in self._candidates() if not path.name.startswith((".", "_")))
        found = sorted(path for path in shown if path.is_file())
        if not found:
            seen = f"none, seen from {Path.cwd()}"
            raise DataError(f"no input file matches {self}", received=seen, next=f"ls {self}")
        return found

    def _candidates(self) -> list[Path]:
        root = location(str(self))
        if root.exists():
            return list(root.iterdir()) if root.is_dir() else [root]
        if "://" not in self:
            return [Path(name) for name in glob.glob(str(self), recursive=True)]  # noqa: PTH207 - may be absolute
        top = root.parents[-1]
        return list(top.glob(root.relative_to(top).as_posix()))

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return a digest over the names and the bytes of the matching files."""
        lines = (f"{path.name}\0{digest_file(path)}\n" for path in self.paths())
        return hashlib.sha256("".join(lines).encode()).hexdigest()
