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
from orchestration.records import Attempt, Output
from orchestration.secrets import redact_all
from orchestration.settings import Settings, use
from orchestration.store import STAGING, publish

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Call:
    """All that an attempt needs, as it travels to a child process.

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
    imports: tuple[str, ...] = ()
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
    """Run the component and emit one final event: ``result``, ``skip`` or ``error``.

    A component's own exceptions are data here: nothing is raised but what ends the process.
    """
    try:
        call.staging.mkdir(parents=True, exist_ok=True)
        call.scratch.mkdir(parents=True, exist_ok=True)
        with staging(call.staging), use(call.settings):
            returned = call.component.function(**call.arguments, **_injected(call, emit))
            outputs = _publish(call, returned)
        emit({"kind": "result", "outputs": [vars(output) for output in outputs]})
        shutil.rmtree(call.scratch, ignore_errors=True)
    except SkipNode as decision:
        emit({"kind": "skip", "reason": str(decision)})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
        emit({"kind": "error", **redact_all(user_failure(error, call.at).facts())})
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
    whole = isinstance(values, list | tuple) and len(values) == len(kinds)
    found = dict(zip(kinds, values, strict=True)) if whole else {}
    wrong = [name for name, value in found.items() if not isinstance(value, kinds[name])]
    if wrong or not whole:
        promised = {name: kinds[name] for name in wrong or kinds}
        shown = [
            kind.__name__ if name == "output" else f"{name}: {kind.__name__}"
            for name, kind in promised.items()
        ]
        raise ArtifactTypeError(
            f"{component.name} returned something else than it promises",
            expected=", ".join(shown),
            received=_told(found[wrong[0]] if wrong else returned),
            at=component.where,
        )
    return found


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
        emit({"kind": "error", **redact_all(user_failure(error).facts()), "retry": False})
        return
    os.environ.update({**call.settings.to_env(), **call.variables})
    execute(call, emit)
    channel.flush()
