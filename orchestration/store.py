"""Publishing: an artifact gets its digest, its manifest, and in one step its final place."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from orchestration.artifacts import MANIFEST, Artifact, location, type_name
from orchestration.errors import ArtifactError

STAGING = ".staging"
DAMAGED = ".damaged"
_CHUNK = 1 << 20

Artifact_ = TypeVar("Artifact_", bound=Artifact)


def publish(artifact: Artifact_, root: str) -> Artifact_:
    """Move a staged artifact to ``<root>/<Type>/<digest>`` and return it as published.

    The place follows from the content, so publishing equal content twice leaves one copy.
    An artifact that is already published is returned as it is.

    Raises:
        ArtifactError: The folder holds a file with the manifest's name, or nothing was written
            where something was expected.
    """
    if artifact.digest:
        return artifact
    folder = Path(artifact.uri)
    if (folder / MANIFEST).exists():
        raise ArtifactError(f"{MANIFEST} is the manifest's name", expected="another file name", at="")
    manifest = _manifest(artifact, folder)
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    target = location(root) / type(artifact).__name__ / manifest["digest"]
    if "://" in root:
        _upload(folder, target, text)
    else:
        (folder / MANIFEST).write_text(text, encoding="utf-8")
        _move(folder, target)
    return type(artifact)(str(target), artifact.metadata, manifest["digest"])


def verify(artifact: Artifact) -> str:
    """Return what is wrong with a published artifact, or "" if every byte is as it was published."""
    try:
        manifest = json.loads((artifact.path / MANIFEST).read_text(encoding="utf-8"))
        listed = {str(entry["path"]): entry for entry in manifest["files"]}
        unchanged = manifest["digest"] == artifact.digest == _digest(manifest)
    except (OSError, ValueError, TypeError, KeyError):
        return f"{artifact.uri} is gone or has no readable manifest"
    if not unchanged:
        return f"the manifest of {artifact.uri} is not the one that was published"
    for name, entry in listed.items():
        path = artifact.path / name
        try:
            whole = path.stat().st_size == entry["size"] and sha256(path) == entry["sha256"]
        except OSError:
            return f"{path} is gone"
        if not whole:
            return f"{path} has changed since it was published"
    found = (path for path in _files(artifact.path) if not path.name.startswith("."))
    added = [path for path in found if path.relative_to(artifact.path).as_posix() not in {MANIFEST, *listed}]
    return f"{added[0]} was not published with {artifact.uri}" if added else ""


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(artifact: Artifact, folder: Path) -> dict[str, Any]:
    entries = [
        {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(_files(folder))
    ]
    manifest = {"type": type_name(type(artifact)), "metadata": artifact.metadata, "files": entries}
    try:
        return {**manifest, "digest": _digest(manifest)}
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"the metadata of {type(artifact).__name__} is not JSON: {error}",
            expected="numbers, text, lists and dictionaries",
            received=repr(artifact.metadata)[:200],
        ) from error


def _digest(manifest: dict[str, Any]) -> str:
    content = {name: manifest[name] for name in ("type", "metadata", "files")}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _move(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(3):
        try:
            folder.rename(target)
            return
        except OSError:
            if not target.exists():
                raise
        if _is_whole(target):
            shutil.rmtree(folder)
            return
        aside = target.parent.parent / DAMAGED / f"{target.name}-{uuid.uuid4().hex[:8]}"
        aside.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process did it first
            target.rename(aside)
    raise ArtifactError(f"{target} cannot be replaced", expected="a folder that can be renamed", at="")


def _is_whole(folder: Path) -> bool:
    return not verify(Artifact(str(folder), {}, folder.name))


def _upload(folder: Path, target: Path, manifest: str) -> None:
    """Copy to an object store; readers look for the manifest, which is written last."""
    if (target / MANIFEST).exists():
        if _is_whole(target):
            return
        (target / MANIFEST).unlink()
        for stale in _files(target):
            stale.unlink()
    for path in _files(folder):
        remote = target / path.relative_to(folder).as_posix()
        remote.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, remote.open("wb") as sink:
            shutil.copyfileobj(source, sink, _CHUNK)
    (target / MANIFEST).write_text(manifest, encoding="utf-8")
