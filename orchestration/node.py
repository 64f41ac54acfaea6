"""One attempt at one node, in the process that does the work: call the component, publish, report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.artifacts import Artifact, staging
from orchestration.beam import Beam
from orchestration.component import Component, Kind
from orchestration.context import RunContext
from orchestration.errors import ArtifactError, ArtifactTypeError, SkipNode
from orchestration.failure import user_failure
from orchestration.records import Output
from orchestration.secrets import redact_all
from orchestration.settings import Settings, use
from orchestration.store import publish

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Call:
    """All that an attempt needs, as it travels to a child process."""

    component: Component[Any]
    arguments: dict[str, Any]
    settings: Settings
    run_id: str
    pipeline: str
    node: str
    attempt: int
    folder: Path
    scratch: Path
    staging: Path
    variables: dict[str, str] = field(default_factory=dict)
    at: str | None = None


def execute(call: Call, emit: Emit) -> None:
    """Run the component and emit one final event: ``result``, ``skip`` or ``error``.

    A component's own exceptions are data here: nothing is raised but what ends the process.
    """
    try:
        call.staging.mkdir(parents=True, exist_ok=True)
        with staging(call.staging), use(call.settings):
            returned = call.component.function(**call.arguments, **_injected(call, emit))
            outputs = _publish(call, returned)
        emit({"kind": "result", "outputs": [vars(output) for output in outputs]})
        shutil.rmtree(call.scratch, ignore_errors=True)
    except SkipNode as decision:
        emit({"kind": "skip", "reason": str(decision)})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        emit({"kind": "error", **redact_all(vars(user_failure(error, call.at)))})
    finally:
        shutil.rmtree(call.staging, ignore_errors=True)


def _injected(call: Call, emit: Emit) -> dict[str, Any]:
    folder = call.scratch
    folder.mkdir(parents=True, exist_ok=True)
    makers: dict[type, Callable[[], object]] = {
        Beam: lambda: Beam(call.settings.beam_options, call.staging),
        RunContext: lambda: RunContext(
            call.run_id, call.pipeline, call.node, call.attempt, call.folder, folder, emit
        ),
    }
    return {
        parameter.name: makers[parameter.type]()
        for parameter in call.component.parameters.values()
        if parameter.kind is Kind.INJECTED
    }


def _publish(call: Call, returned: Any) -> list[Output]:
    found = _by_output(call.component, returned)
    for artifact in found.values():
        if not artifact.digest and call.staging not in Path(artifact.uri).parents:
            kind = type(artifact).__name__
            raise ArtifactError(
                f"{call.component.name} returned a {kind} that lies elsewhere",
                expected=f"one made with {kind}.new(…), or an input",
                received=artifact.uri,
                at=call.component.where,
            )
    return [Output.of(name, publish(artifact, call.settings.artifacts)) for name, artifact in found.items()]


def _by_output(component: Component[Any], returned: Any) -> Mapping[str, Artifact]:
    kinds = component.outputs
    if not kinds:
        return {}
    values = [returned] if list(kinds) == ["output"] else returned
    if not isinstance(values, list | tuple) or len(values) != len(kinds):
        raise ArtifactTypeError(
            f"{component.name} returned something else than it promises",
            expected=", ".join(f"{name}: {kind.__name__}" for name, kind in kinds.items()),
            received=_told(returned),
            at=component.where,
        )
    for (name, kind), value in zip(kinds.items(), values, strict=True):
        if not isinstance(value, kind):
            raise ArtifactTypeError(
                f"{component.name} returned something else than it promises",
                expected=f"{name}: {kind.__name__}" if len(kinds) > 1 else kind.__name__,
                received=_told(value),
                at=component.where,
            )
    return dict(zip(kinds, values, strict=True))


def _told(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        return f"{kind} of {', '.join(map(_told, value))}"[:200]
    return "nothing" if value is None else kind if isinstance(value, Artifact) else f"{kind} {value!r}"[:200]


def main(payload: str, events: int) -> None:
    """Run in a forked child: read the call from a file, write events to a pipe, one JSON line each."""
    channel = os.fdopen(events, "w", encoding="utf-8", buffering=1)

    def emit(event: dict[str, Any]) -> None:
        channel.write(json.dumps(event, default=str) + "\n")

    try:
        import pickle

        call: Call = pickle.loads(Path(payload).read_bytes())
    except Exception as error:  # noqa: BLE001 - the user's modules are imported here and may raise anything
        emit({"kind": "error", **redact_all(vars(user_failure(error))), "retry": False})
        return
    os.environ.update({**call.settings.to_env(), **call.variables})
    execute(call, emit)
    channel.flush()
