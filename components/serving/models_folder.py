"""The models folder: numbered versions of a model by name, and the pointer to the live one.

```text
<models>/<name>/champion.json            {"version", "digest", "previous": {"version", "digest"} | null}
<models>/<name>/<version>/saved_model.pb, variables/, assets/    as TensorFlow Serving reads them
<models>/<name>/<version>/model.onnx, model.json, pushed.json    as ``headrace serve`` reads them
```

A version folder appears by one rename and never changes; the pointer is replaced in one step.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.artifacts import Model
from components.model_format import MANIFEST_FILE, ONNX_FILE, SAVED_MODEL_FOLDER
from orchestration import ArgumentError, ArtifactError

CHAMPION = "champion"
VERSION_ONNX = "model.onnx"
RECORD_FILE = "pushed.json"
_STAGING = ".staging-"


@dataclass(frozen=True)
class Version:
    """A pushed model: its number and the digest of the Model artifact it came from."""

    version: int
    digest: str


@dataclass(frozen=True)
class Pointer:
    """Which version an alias names, and which one it named before."""

    current: Version
    previous: Version | None

    def to_json(self) -> dict[str, Any]:
        """Return the pointer as it is stored."""
        return {**asdict(self.current), "previous": asdict(self.previous) if self.previous else None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Pointer:
        """Return the pointer of its stored form."""
        previous = value.get("previous")
        return cls(
            Version(int(value["version"]), str(value["digest"])),
            Version(int(previous["version"]), str(previous["digest"])) if previous else None,
        )


def models_root() -> Path:
    """Return the models folder of the settings in use."""
    from orchestration import settings

    return Path(settings.current().models)


def model_digest(model: Model) -> str:
    """Return the identity of a model: its published digest, or one over its files outside a run."""
    if model.digest:
        return model.digest
    whole = hashlib.sha256()
    for path in sorted(model.path.rglob("*")):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"{path.relative_to(model.path).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


@dataclass(frozen=True)
class ModelsFolder:
    """The versions of one model name.

    Attributes:
        root: The models folder.
        name: The model's name: letters, digits, ``_``, ``-`` and ``.``, not beginning with a dot.
    """

    root: Path
    name: str

    def __post_init__(self) -> None:
        plain = self.name.replace("_", "").replace("-", "").replace(".", "").isalnum()
        if not plain or not self.name.isascii() or self.name.startswith((".", "-")):
            raise ArgumentError(
                "a model's name cannot be used for a folder and a URL",
                expected="letters, digits, _, - and .",
                received=repr(self.name),
            )

    @property
    def path(self) -> Path:
        """The folder of this name."""
        return self.root / self.name

    def version_path(self, version: int) -> Path:
        """Return the folder of a version."""
        return self.path / str(version)

    def versions(self) -> list[int]:
        """Return the numbers of all versions, ascending."""
        if not self.path.is_dir():
            return []
        numbered = (path for path in self.path.iterdir() if path.name.isdecimal() and path.is_dir())
        return sorted(int(path.name) for path in numbered)

    def pointer(self, alias: str = CHAMPION) -> Pointer | None:
        """Return what an alias points to, or None where it was never set.

        Raises:
            ArtifactError: The pointer is there but cannot be read.
        """
        path = self.path / f"{alias}.json"
        try:
            return Pointer.from_json(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"the pointer to the live model cannot be read: {error}",
                expected='{"version": …, "digest": …, "previous": …}',
                received=str(path),
                next="push the model again, or restore the file",
            ) from error

    def find(self, digest: str) -> int | None:
        """Return the newest version made from a Model artifact, if any."""
        for version in reversed(self.versions()):
            try:
                record = json.loads((self.version_path(version) / RECORD_FILE).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # a version somebody else put there
            if record.get("digest") == digest:
                return version
        return None

    def push(self, model: Model, alias: str = CHAMPION) -> Version:
        """Make a model the one that ``alias`` names, as a new version unless it already is one.

        Safe to repeat and to interrupt at any moment: half-copied folders have names nobody reads
        and are removed by the next push.
        """
        digest = model_digest(model)
        with self._locked():
            self._remove_leftovers()
            version = self.find(digest) or self._add(model, digest)
            self._point(Version(version, digest), alias)
        return Version(version, digest)

    def _add(self, model: Model, digest: str) -> int:
        staged = self.path / f"{_STAGING}{uuid.uuid4().hex}"
        write_version(model, staged, digest)
        version = max(self.versions(), default=0) + 1
        staged.rename(self.version_path(version))
        _sync(self.path)
        return version

    def _point(self, version: Version, alias: str) -> None:
        before = self.pointer(alias)
        if before is not None and before.current == version:
            return
        pointer = Pointer(version, before.current if before else None)
        staged = self.path / f"{_STAGING}{uuid.uuid4().hex}"
        staged.write_text(json.dumps(pointer.to_json(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        _sync(staged)
        staged.replace(self.path / f"{alias}.json")
        _sync(self.path)

    def _remove_leftovers(self) -> None:
        for path in self.path.glob(f"{_STAGING}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The kernel frees the lock when its holder dies, however it dies.
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def write_version(model: Model, folder: Path, digest: str) -> None:
    """Write a model's serving files as a version folder.

    Raises:
        ArtifactError: The model lacks its manifest or its ONNX export.
    """
    folder.mkdir(parents=True)
    for source, target in ((MANIFEST_FILE, MANIFEST_FILE), (ONNX_FILE, VERSION_ONNX)):
        if not (model.path / source).exists():
            raise ArtifactError("the model cannot be served", expected=source, received="no such file")
        shutil.copyfile(model.path / source, folder / target)
    if (model.path / SAVED_MODEL_FOLDER).is_dir():
        shutil.copytree(model.path / SAVED_MODEL_FOLDER, folder, dirs_exist_ok=True)
    record = json.dumps({"digest": digest}, indent=1, sort_keys=True)
    (folder / RECORD_FILE).write_text(record + "\n", encoding="utf-8")
    for path in folder.rglob("*"):
        _sync(path)


def _sync(path: Path) -> None:
    """Have the disk hold a file or a folder before anything points to it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
