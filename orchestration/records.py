"""The records the journal keeps: runs, attempts and artifacts, and their states."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from orchestration.artifacts import Artifact, load_type, type_name

Measured = tuple[str, float, int, int]
"""A metric as it was measured: name, value, milliseconds since 1970, step."""


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
    """A published artifact as the journal knows it.

    Attributes:
        name: The output's name, or the parameter's that reads it.
        type: The artifact type's travelling name, ``module:QualifiedName``.
        item: The place in a ``for_each``.
        tracked_as: What MLflow shows it as, if anything.
    """

    name: str
    type: str
    uri: str
    digest: str
    metadata: dict[str, Any] = field(default_factory=dict)
    item: int | None = None
    tracked_as: str | None = None

    @classmethod
    def of(cls, name: str, artifact: Artifact) -> Output:
        """Return the record of a published artifact."""
        kind = type(artifact)
        facts = artifact.uri, artifact.digest, artifact.metadata
        return cls(name, type_name(kind), *facts, tracked_as=kind.tracked_as)

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


@dataclass(frozen=True)
class Attempt:
    """One attempt at one node.

    Attributes:
        number: From 1; 0 until the journal gives it one.
        inputs: The artifacts it reads, by parameter.
        attachments: ``path`` and ``name`` of each file it leaves beside its outputs.
        pushes: Model versions it made live.
        retry: Whether another attempt could help.
    """

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
    inputs: tuple[Output, ...] = ()
    outputs: tuple[Output, ...] = ()
    attachments: tuple[dict[str, str], ...] = ()
    pushes: tuple[dict[str, Any], ...] = ()
    retry: bool = True

    @property
    def seconds(self) -> float:
        """Wall seconds from start to end; 0 where it did not run."""
        return (self.ended or 0.0) - self.started if self.started and self.ended else 0.0


@dataclass(frozen=True)
class Mark:
    """A place in a run where MLflow is behind: the run itself, or (with a node) one of its attempts.

    Attributes:
        metrics: What the attempt measured meanwhile.
    """

    id: int
    run: str
    node: str
    number: int
    metrics: list[Measured]


def now() -> float:
    """Return seconds since 1970, to the millisecond."""
    return round(time.time(), 3)
