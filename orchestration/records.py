"""The records the journal keeps: runs, attempts and outputs, and their states."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestration.artifacts import Artifact, load_type, type_name


class State(StrEnum):
    """State of a node's attempt."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CACHED = "CACHED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    INTERRUPTED = "INTERRUPTED"

    @property
    def gave_outputs(self) -> bool:
        """Whether what follows can go on."""
        return self in (State.SUCCEEDED, State.CACHED)


class RunState(StrEnum):
    """State of a run."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True)
class Output:
    """A published artifact as the journal knows it; ``item`` tells the place in a ``for_each``."""

    name: str
    type: str
    uri: str
    digest: str
    metadata: dict[str, Any] = field(default_factory=dict)
    item: int | None = None

    @classmethod
    def of(cls, name: str, artifact: Artifact, item: int | None = None) -> Output:
        """Return the record of a published artifact."""
        kind = type_name(type(artifact))
        return cls(name, kind, artifact.uri, artifact.digest, artifact.metadata, item)

    def artifact(self) -> Artifact:
        """Return the artifact."""
        return load_type(self.type)(self.uri, self.metadata, self.digest)


@dataclass(frozen=True)
class Run:
    """One run of a pipeline. Times are seconds since 1970-01-01 UTC."""

    id: str
    pipeline: str
    file: str
    project: str
    profile: str
    parameters: dict[str, Any]
    options: dict[str, Any]
    graph: dict[str, Any]
    state: RunState
    created: float
    started: float
    ended: float | None = None
    host: str | None = None
    process: str | None = None

    def stored(self) -> dict[str, Any]:
        """Return the columns of the row."""
        return _columns(self)

    @classmethod
    def restored(cls, row: Mapping[str, Any]) -> Run:
        """Return the record of a row."""
        names = {f.name for f in dataclasses.fields(cls)}
        values = {name: row[name] for name in names}
        return cls(**{**values, "state": RunState(row["state"])})


@dataclass(frozen=True)
class Attempt:
    """One attempt at one node. ``number`` is 0 until the journal gives it one."""

    run: str
    node: str
    state: State
    number: int = 0
    key: str | None = None
    key_parts: dict[str, Any] | None = None
    started: float | None = None
    ended: float | None = None
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    reason: str = ""
    error: str = ""
    traceback: str = ""
    folder: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()

    def with_number(self, number: int) -> Attempt:
        """Return the attempt under its number."""
        return dataclasses.replace(self, number=number)

    def stored(self) -> dict[str, Any]:
        """Return the columns of the row."""
        columns = _columns(self)
        columns["outputs"] = [dataclasses.asdict(output) for output in self.outputs]
        return columns

    @classmethod
    def restored(cls, row: Mapping[str, Any]) -> Attempt:
        """Return the record of a row."""
        values = {f.name: row[f.name] for f in dataclasses.fields(cls)}
        values["state"] = State(row["state"])
        values["outputs"] = tuple(Output(**output) for output in row["outputs"] or ())
        values["metrics"] = row["metrics"] or {}
        for text in ("reason", "error", "traceback", "folder"):
            values[text] = row[text] or ""
        for number in ("cpu_seconds", "peak_mb"):
            values[number] = row[number] or 0.0
        return cls(**values)

    @property
    def seconds(self) -> float:
        """Wall seconds from start to end; 0 where it did not run."""
        return (self.ended or 0.0) - self.started if self.started and self.ended else 0.0

    def artifacts(self, output: str) -> list[Artifact]:
        """Return the artifacts of an output: one, or one for each item."""
        return [o.artifact() for o in self.outputs if o.name == output]


def _columns(record: Any) -> dict[str, Any]:
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    values["state"] = str(values["state"])
    return values
