"""One attempt at one node, in the process that does the work: call the component, publish, report."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.artifacts import Artifact, staging
from orchestration.beam import Beam
from orchestration.component import Component, Kind
from orchestration.context import RunContext
from orchestration.errors import ArtifactError, ArtifactTypeError, SkipNode, told
from orchestration.failure import user_failure
from orchestration.records import Attempt, Output, State
from orchestration.settings import Settings, use
from orchestration.store import STAGING, publish

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Call:
    """A component with everything it is called with: what runs, as it travels to a child process.

    Attributes:
        arguments: What the component is called with.
        variables: Environment variables of its process.
        at: The user's line that called the component.
    """

    component: Component[Any]
    arguments: dict[str, Any]
    settings: Settings
    pipeline: str
    attempt: Attempt
    variables: dict[str, str] = field(default_factory=dict)
    at: str | None = None

    @property
    def staging(self) -> Path:
        """Where the attempt writes its outputs."""
        attempt = self.attempt
        return staging_folder(self.settings, attempt.run) / f"{attempt.node}-{attempt.number}"

    @property
    def scratch(self) -> Path:
        """A folder that outlives the attempt: retries and resumes of equal work find it again."""
        return self.settings.home / "scratch" / self.attempt.run / str(self.attempt.key)


def staging_folder(settings: Settings, run_id: str) -> Path:
    """Return where a run's unpublished outputs lie: on the artifacts' own file system."""
    root = settings.home if "://" in settings.artifacts else Path(settings.artifacts)
    return root / STAGING / run_id


def execute(call: Call, emit: Emit) -> None:
    """Run the component and emit its ``result``: a state, with the outputs or the reason.

    A component's own exceptions are data here: nothing is raised but what ends the process.
    """
    try:
        call.staging.mkdir(parents=True, exist_ok=True)
        call.scratch.mkdir(parents=True, exist_ok=True)
        with staging(call.staging), use(call.settings):
            returned = call.component.function(**call.arguments, **_injected(call, emit))
            outputs = [vars(output) for output in _publish(call, returned)]
        emit({"kind": "result", "state": State.SUCCEEDED, "outputs": outputs})
        shutil.rmtree(call.scratch, ignore_errors=True)
    except SkipNode as decision:
        emit({"kind": "result", "state": State.SKIPPED, "reason": str(decision)})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        emit({"kind": "result", "state": State.FAILED, **user_failure(error, call.at)})
    finally:
        shutil.rmtree(call.staging, ignore_errors=True)


def _injected(call: Call, emit: Emit) -> dict[str, Any]:
    attempt = call.attempt
    context = RunContext(
        attempt.run, call.pipeline, attempt.node, attempt.number, Path(attempt.folder), call.scratch, emit
    )
    given = {Beam: Beam(call.settings.beam_options, call.staging), RunContext: context}
    parameters = call.component.parameters.values()
    return {p.name: given[p.type] for p in parameters if p.kind is Kind.INJECTED}


def _publish(call: Call, returned: Any) -> list[Output]:
    found = _by_output(call.component, returned)
    for artifact in found.values():
        if not artifact.digest and call.staging not in Path(artifact.uri).parents:
            kind = type(artifact).__name__
            headline = f"{call.component.name} returned a {kind} that lies elsewhere"
            wanted = f"one made with {kind}.new(…), or an input"
            raise ArtifactError(headline, expected=wanted, received=artifact.uri, at=call.component.where)
    return [Output.of(name, publish(artifact, call.settings.artifacts)) for name, artifact in found.items()]


def _by_output(component: Component[Any], returned: Any) -> dict[str, Artifact]:
    kinds = component.outputs
    values = returned if isinstance(returned, list | tuple) else [returned]
    if not kinds:
        return {}
    if len(values) == len(kinds) and all(map(isinstance, values, kinds.values())):
        return dict(zip(kinds, values, strict=True))
    headline = f"{component.name} returned something else than it promises"
    promised = ", ".join(f"{name}: {kind.__name__}".removeprefix("output: ") for name, kind in kinds.items())
    received = ", ".join(type(v).__name__ if isinstance(v, Artifact) else told(v) for v in values)
    shown = received if returned is not None else "nothing"
    raise ArtifactTypeError(headline, expected=promised, received=shown, at=component.where)


def main(payload: str, events: socket.socket) -> None:
    """Run in a forked child: read the call from a file, tell its process and its events, a line each."""
    with open(events.detach(), "w", encoding="utf-8", buffering=1) as channel:  # noqa: PTH123 - a descriptor

        def emit(event: dict[str, Any]) -> None:
            channel.write(json.dumps(event, default=str) + "\n")

        emit({"kind": "started", "pid": os.getpid()})
        try:
            call: Call = pickle.loads(Path(payload).read_bytes())
        except Exception as error:  # noqa: BLE001 - the user's modules are imported here and may raise anything
            failed = {**user_failure(error), "retry": False}
            emit({"kind": "result", "state": State.FAILED, **failed})
            return
        os.environ.update({**call.settings.to_env(), **call.variables})
        execute(call, emit)
