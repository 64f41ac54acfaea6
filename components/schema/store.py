"""Where schemas are found and kept: a run's artifact, or a folder of a person's."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.schema.files import KeptSchema, read_schema_files
from components.schema.schema import COLUMNS_FILE, INFERRED_FILE, SUITE_FILE, DatasetSchema
from orchestration.errors import RunStateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestration.journal import Journal
    from orchestration.records import Attempt, Run

FILES = (COLUMNS_FILE, SUITE_FILE, INFERRED_FILE)


@dataclass(frozen=True)
class FoundSchema:
    """A schema and where it was found.

    Attributes:
        where: The folder, or the run and its node, in words.
        kept: The schema, and what was inferred beside it.
        of_run: Whether a run made it.
    """

    where: str
    kept: KeptSchema
    of_run: bool

    @property
    def inferred(self) -> DatasetSchema:
        """What a run inferred from its data; of a folder, what its files say."""
        inferred = self.kept.inferred if self.of_run else None
        return inferred if inferred is not None else self.kept.schema


def find_schema(name: str | None, *, node: str | None = None, profile: str | None = None) -> FoundSchema:
    """Return a schema by the name a person gives it.

    Args:
        name: A folder with ``schema.json`` and ``suite.json`` (or one of these files), a run, or a pipeline
            for its newest run that made a schema; None for the newest run of all that did.
        node: The node of the run that made it; needed where several made different ones.
        profile: Profile of headrace.toml.

    Raises:
        RunStateError: There is no such folder or run, or no schema in the run.
        DataError: The files cannot be used; names the line.
    """
    folder = Path(name) if name else None
    if folder is not None and folder.exists():
        folder = folder if folder.is_dir() else folder.parent
        return FoundSchema(str(folder), read_folder(folder), of_run=False)
    return _of_run(name, node, profile)


def read_folder(folder: Path) -> KeptSchema:
    """Return the schema kept in a folder.

    Raises:
        DataError: A file is missing or cannot be used; names the line.
    """
    return read_schema_files([folder / file for file in FILES if (folder / file).is_file()])


def is_new(folder: Path) -> bool:
    """Tell whether a folder holds no schema yet, not even half of one."""
    return not any((folder / file).exists() for file in FILES)


def write_folder(folder: Path, schema: DatasetSchema, inferred: DatasetSchema | None) -> list[str]:
    """Bring a folder's files up to date, each whole or not at all; return the names of those written.

    What was inferred goes last: were the others not written, the next time would find the same again.

    Args:
        folder: The folder; made where it is missing.
        schema: What ``schema.json`` and ``suite.json`` say.
        inferred: What ``inferred.json`` says; None to leave it alone.
    """
    texts = schema.texts()
    if inferred is not None:
        texts[INFERRED_FILE] = inferred.inferred_text()
    folder.mkdir(parents=True, exist_ok=True)
    return [name for name, text in texts.items() if _replace(folder / name, text)]


def _replace(path: Path, text: str) -> bool:
    if path.exists() and path.read_bytes() == text.encode():
        return False
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def _of_run(name: str | None, node: str | None, profile: str | None) -> FoundSchema:
    from orchestration.journal import Journal
    from orchestration.settings import load

    journal = Journal.open(load(profile=profile).journal_url)
    for run in _runs(journal, name):
        made = _schemas(journal, run.id, node)
        if len({digest for _, digest in made.values()}) > 1:
            raise RunStateError(
                f"run {run.id} made several schemas",
                expected="--node " + " or --node ".join(sorted(made)),
                at="",
            )
        for where, (folder, _) in made.items():
            return FoundSchema(f"{run.id} ({where})", read_folder(folder), of_run=True)
    raise RunStateError(
        f"no schema in {name}" if name else "no run has made a schema yet",
        expected="a run with a node such as infer_schema, or a folder with schema.json and suite.json",
        received=f"{name}, node {node}" if node else name,
        at="",
        next="headrace runs",
    )


def _runs(journal: Journal, name: str | None) -> Iterator[Run]:
    """Yield the runs a name may mean, newest first."""
    if name:
        try:
            yield journal.run(name)
            return
        except RunStateError as error:
            found = journal.runs(pipeline=name)
            if not found:
                raise RunStateError(
                    f'"{name}" is no folder, no run and no pipeline with runs',
                    expected="a folder with schema.json and suite.json, or a run",
                    at="",
                    next="headrace runs",
                ) from error
            yield from found
    else:
        yield from journal.runs()


def _schemas(journal: Journal, run_id: str, node: str | None) -> Mapping[str, tuple[Path, str]]:
    """Return folder and digest of the schemas a run made, by node."""
    found: dict[str, tuple[Path, str]] = {}
    for attempt in journal.attempts(run_id):
        if attempt.state.gave_outputs and node in (None, attempt.node):
            found.update(_of_attempt(attempt))
    return found


def _of_attempt(attempt: Attempt) -> Iterator[tuple[str, tuple[Path, str]]]:
    from components.artifacts import Schema
    from orchestration.artifacts import type_name

    for output in attempt.outputs:
        if output.type == type_name(Schema):
            item = "" if output.item is None else f"[{output.item}]"
            yield f"{attempt.node}{item}", (output.artifact().path, output.digest)
