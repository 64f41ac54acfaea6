"""Artifacts: immutable folders of files, with a manifest and a content digest."""

from __future__ import annotations

import atexit
import itertools
import json
import pkgutil
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from orchestration.errors import ArtifactError

MANIFEST = "manifest.json"

_staging: ContextVar[Path | None] = ContextVar("headrace_staging", default=None)
_names = itertools.count()


@dataclass(eq=False)
class Artifact:
    """A folder of files and the facts about it; subclass it to give a kind of result its own type.

    A component makes an output with :meth:`new`, writes files below :attr:`path`, and returns it.
    It is published (digested, moved to its final place, recorded) after the component returns.

    Attributes:
        uri: Where the files lie: a local path or any location fsspec knows (``s3://…``).
        metadata: Small JSON facts that are part of the content (row counts, column names). No times
            and no paths: they would change the digest of equal content.
        digest: SHA-256 of content and metadata as hex; empty until published.
    """

    tracked_as: ClassVar[Literal["dataset", "model", "report"] | None] = None

    uri: str
    metadata: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def new(cls, **metadata: Any) -> Self:
        """Return an empty artifact in this node's private staging folder.

        Outside a run, as in a test or a notebook, it lasts as long as the process.
        """
        return cls(str(private_folder(cls.__name__)), metadata)

    @property
    def path(self) -> Path:
        """The folder, as a ``Path`` (or a ``UPath`` for a remote location)."""
        return location(self.uri)

    def file(self, name: str) -> Path:
        """Return the path of a file in the artifact, its parent folder made if it is being written."""
        path = self.path / name
        if not self.digest:
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_json(self, name: str, value: object) -> None:
        """Write ``value`` as indented UTF-8 JSON with sorted keys, so that equal values give equal bytes."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self.file(name).write_text(text + "\n", encoding="utf-8")

    def read_json(self, name: str) -> Any:
        """Return the JSON value of a file in the artifact.

        Raises:
            ArtifactError: The file is not there.
        """
        path = self.path / name
        if not path.exists():
            there = ", ".join(sorted(p.name for p in self.path.glob("*"))) or "an empty folder"
            headline = f"{type(self).__name__} has no file {name}"
            raise ArtifactError(headline, expected=f"{name} in {self.uri}", received=there)
        return json.loads(path.read_text(encoding="utf-8"))


def location(uri: str) -> Path:
    """Return a path object for a local path or a remote URL (through universal-pathlib)."""
    if "://" not in uri:
        return Path(uri)
    from upath import UPath

    return UPath(uri)  # type: ignore[return-value]  # UPath keeps Path's interface


def private_folder(name: str) -> Path:
    """Return a new folder: in this node's staging folder, or outside a run for as long as the process."""
    root = _staging.get()
    if root is None:
        root = Path(tempfile.mkdtemp(prefix="headrace-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
    path = root / f"{name}-{next(_names)}"
    path.mkdir(parents=True)
    return path


@contextmanager
def staging(folder: Path) -> Iterator[None]:
    """Make :func:`private_folder`, and with it :meth:`Artifact.new`, write below ``folder``."""
    token = _staging.set(folder)
    try:
        yield
    finally:
        _staging.reset(token)


def type_name(kind: type[Artifact]) -> str:
    """Return the name an artifact type travels by: ``module:QualifiedName``."""
    return f"{kind.__module__}:{kind.__qualname__}"


def load_type(name: str) -> type[Artifact]:
    """Return the artifact type of a travelling name.

    Raises:
        ArtifactError: The module or the class is gone, or is not an artifact type.
    """
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise ArtifactError(f"artifact type {name} cannot be loaded: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Artifact)):
        raise ArtifactError(f"{name} is not an artifact type", received=repr(found))
    return found
