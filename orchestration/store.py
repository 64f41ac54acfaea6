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

Artifact_ = TypeVar("Artifact_", bound=Artifact)


def publish(artifact: Artifact_, root: str) -> Artifact_:
    """Move a staged artifact to ``<root>/<Type>/<digest>`` and return it as published.

    The place follows from the content, so publishing equal content twice leaves one copy.
    An artifact that is already published is returned as it is.

    Raises:
        ArtifactError: The folder holds a file with the manifest's name, or the metadata is not JSON.
    """
    if artifact.digest:
        return artifact
    folder = Path(artifact.uri)
    if (folder / MANIFEST).exists():
        raise ArtifactError(f"{MANIFEST} is the manifest's name", expected="another file name", at="")
    manifest = _manifest(artifact)
    artifact.write_json(MANIFEST, manifest)
    target = location(root) / type(artifact).__name__ / manifest["digest"]
    place = _upload if "://" in root else _move
    place(folder, target)
    return type(artifact)(str(target), artifact.metadata, manifest["digest"])


def verify(artifact: Artifact) -> str:
    """Return what is wrong with a published artifact, or "" if every byte is as it was published."""
    try:
        manifest = json.loads((artifact.path / MANIFEST).read_text(encoding="utf-8"))
        listed = {entry["path"]: entry for entry in manifest["files"]}
        if not manifest["digest"] == artifact.digest == _digest(manifest):
            return f"the manifest of {artifact.uri} is not the one that was published"
        found = {entry["path"]: entry for entry in _entries(artifact.path)}
    except (OSError, ValueError, TypeError, KeyError):
        return f"{artifact.uri} is gone or has no readable manifest"
    for name, entry in listed.items():
        if found.get(name) != entry:
            what = "has changed since it was published" if name in found else "is gone"
            return f"{artifact.path / name} {what}"
    added = [name for name in found.keys() - listed.keys() if not name.rpartition("/")[2].startswith(".")]
    return f"{artifact.path / added[0]} was not published with {artifact.uri}" if added else ""


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(folder: Path) -> list[dict[str, Any]]:
    """Return what a manifest says of each file in a folder but the manifest itself."""
    return [
        {"path": name, "size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(_files(folder))
        if (name := path.relative_to(folder).as_posix()) != MANIFEST
    ]


def _manifest(artifact: Artifact) -> dict[str, Any]:
    kind = type(artifact)
    manifest = {"type": type_name(kind), "metadata": artifact.metadata, "files": _entries(Path(artifact.uri))}
    try:
        return {**manifest, "digest": _digest(manifest)}
    except (TypeError, ValueError) as error:
        headline = f"the metadata of {kind.__name__} is not JSON: {error}"
        wanted, received = "numbers, text, lists and dictionaries", repr(artifact.metadata)[:200]
        raise ArtifactError(headline, expected=wanted, received=received) from error


def _digest(manifest: dict[str, Any]) -> str:
    content = {name: manifest[name] for name in ("type", "metadata", "files")}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _move(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError:
        if not target.exists():
            raise
        if _is_whole(target):
            return shutil.rmtree(folder)
        aside = target.parent.parent / DAMAGED / f"{target.name}-{uuid.uuid4().hex[:8]}"
        aside.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process did it first
            target.rename(aside)
        _move(folder, target)


def _is_whole(folder: Path) -> bool:
    return not verify(Artifact(str(folder), {}, folder.name))


def _upload(folder: Path, target: Path) -> None:
    """Copy to an object store; readers look for the manifest, which goes first and comes last."""
    if _is_whole(target):
        return
    for stale in (target / MANIFEST, *_files(target)):
        stale.unlink(missing_ok=True)
    for path in sorted(_files(folder), key=lambda path: path == folder / MANIFEST):
        remote = target / path.relative_to(folder).as_posix()
        remote.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, remote.open("wb") as sink:
            shutil.copyfileobj(source, sink)
