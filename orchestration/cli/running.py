"""``run``, ``plan`` and ``resume``."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from orchestration.cli.discovery import load_pipeline
from orchestration.cli.display import display_for
from orchestration.cli.report import print_outcome, to_json
from orchestration.errors import ArgumentError, RunStateError
from orchestration.parameters import shown
from orchestration.pipeline import Pipeline
from orchestration.records import Run, RunState
from orchestration.settings import Settings, load, project_root, use

if TYPE_CHECKING:
    from orchestration.result import RunResult

Tokens = Annotated[str, Parameter(name="PARAMETERS", allow_leading_hyphen=True, negative=())]
Names = Annotated[list[str], Parameter(negative=())]
Flag = Annotated[bool, Parameter(negative=())]


def run(
    pipeline: str,
    /,
    *parameters: Tokens,
    profile: str | None = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    only: Names = [],  # noqa: B006 - the command line parser wants a list and never changes it
    skip: Names = [],  # noqa: B006
    cache: bool = True,
    in_process: Flag = False,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    scheduled_for: Annotated[str, Parameter(show=False)] = "",
) -> int:
    """Run a pipeline: ``headrace run pipelines/taxi.py --epochs 20``.

    Args:
        pipeline: A file, ``file.py:name``, or the name of a pipeline in ``pipelines/``.
        parameters: The pipeline's own parameters, ``--name value``.
        profile: Profile of headrace.toml.
        start: Run this node and what follows from it.
        to: Run this node and what it needs.
        only: Run only this node; may be given several times.
        skip: Leave this node out; may be given several times.
        cache: Whether earlier equal results may be used.
        in_process: Run the nodes in one process, for a debugger.
        json_: Print one JSON object on standard output, and nothing else.
        scheduled_for: The planned time, of a scheduled run.
    """
    from orchestration.run import run_pipeline

    found, bound, settings = prepare(pipeline, parameters, profile)
    selected = found.graph(bound).select(start=start, to=to, only=only, skip=skip)
    with use(settings), display_for(quiet=json_) as display:
        result = run_pipeline(
            found,
            bound,
            settings=settings,
            selected=selected,
            cache=cache,
            in_process=in_process,
            listener=display,
            scheduled_for=scheduled_for,
        )
    return finish(result, settings, json_)


def resume(
    run_id: str | None = None,
    /,
    *,
    profile: str | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Finish a run that failed or was interrupted, redoing only what is missing.

    Args:
        run_id: The run; by default the newest that is not finished.
        profile: Profile of headrace.toml.
        json_: Print one JSON object on standard output, and nothing else.
    """
    from orchestration.run import resume_run

    settings = load(profile=profile)
    unfinished = find_unfinished(run_id, settings)
    found = load_pipeline(f"{unfinished.file}:{unfinished.pipeline}", Path(unfinished.project))
    with use(settings), display_for(quiet=json_) as display:
        result = resume_run(found, unfinished.id, settings=settings, listener=display)
    return finish(result, settings, json_)


def find_unfinished(run_id: str | None, settings: Settings) -> Run:
    """Return a run, or the newest one that is not finished.

    Raises:
        RunStateError: There is none.
    """
    from orchestration.journal import Journal

    journal = Journal.open(settings.journal_url)
    journal.mark_interrupted()
    if run_id:
        return journal.run(run_id)
    unfinished = journal.runs(states=[RunState.FAILED, RunState.INTERRUPTED], limit=1)
    if not unfinished:
        raise RunStateError("there is no unfinished run", at="", next="headrace runs")
    return unfinished[0]


def plan(
    pipeline: str,
    /,
    *parameters: Tokens,
    profile: str | None = None,
    start: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    only: Names = [],  # noqa: B006 - as above
    skip: Names = [],  # noqa: B006
    cache: bool = True,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Show what a run would do, and why, without running anything.

    Args:
        pipeline: A file, ``file.py:name``, or the name of a pipeline in ``pipelines/``.
        parameters: The pipeline's own parameters, ``--name value``.
        profile: Profile of headrace.toml.
        start: As for ``run``.
        to: As for ``run``.
        only: As for ``run``.
        skip: As for ``run``.
        cache: As for ``run``.
        json_: Print one JSON object on standard output, and nothing else.
    """
    from orchestration.cli.planning import plan_run
    from orchestration.run import check_run

    found, bound, settings = prepare(pipeline, parameters, profile)
    graph = found.graph(bound)
    selected = graph.select(start=start, to=to, only=only, skip=skip)
    check_run(graph, settings, sorted(selected))
    planned = plan_run(graph, settings, selected, cache=cache)
    if json_:
        print(json.dumps({"pipeline": found.name, "nodes": [vars(node) for node in planned]}))
        return 0
    print(f"{found.name}({', '.join(f'{name}={value!r}' for name, value in bound.items())})")
    for node in planned:
        word = "cached" if node.cached else "skip" if node.reason == "not selected" else "run"
        print(f"  {word:<7} {node.name:<28} {node.reason}")
    return 0


def prepare(
    where: str, tokens: Sequence[str], profile: str | None
) -> tuple[Pipeline, dict[str, Any], Settings]:
    """Return the pipeline, its checked parameters and the settings of a command line."""
    settings = load(profile=profile)
    found = load_pipeline(where, project_root())
    return found, found.bind(parse_parameters(tokens, found), text=True), settings


def parse_parameters(tokens: Sequence[str], pipeline: Pipeline) -> dict[str, str]:
    """Return ``--name value``, ``--name=value``, ``--flag`` and ``--no-flag`` as text by name.

    Raises:
        ArgumentError: A token is not of that form, or a value is missing.
    """
    values: dict[str, str] = {}
    waiting = list(tokens)
    while waiting:
        token = waiting.pop(0)
        if not token.startswith("--") or token == "--":
            raise ArgumentError(
                f'"{token}" is not a parameter of pipeline {pipeline.name}',
                expected=usage(pipeline),
                received=token,
                at="",
            )
        name, given, value = token[2:].partition("=")
        name = name.replace("-", "_")
        if given:
            values[name] = value
        elif _is_flag(pipeline, name):
            values[name] = "true"
        elif name.startswith("no_") and _is_flag(pipeline, name[3:]):
            values[name[3:]] = "false"
        elif waiting and name in pipeline.signature.parameters:
            values[name] = waiting.pop(0)
        elif name in pipeline.signature.parameters:
            raise ArgumentError(
                f"{token} lacks its value", expected=f"{token} VALUE", received="nothing", at=""
            )
        else:
            values[name] = waiting.pop(0) if waiting and not waiting[0].startswith("--") else ""
    return values


def print_pipeline_help(where: str) -> None:
    """Print what a pipeline is for and its own parameters."""
    found = load_pipeline(where, project_root())
    print(f"{found.name}: {purpose(found)}\n")
    for name, parameter in found.signature.parameters.items():
        kind = "str" if parameter.annotation is parameter.empty else shown(parameter.annotation)
        default = "required" if parameter.default is parameter.empty else f"default {parameter.default!r}"
        print(f"  --{name.replace('_', '-'):<20} {kind}, {default}")
    print()


def purpose(pipeline: Pipeline) -> str:
    """Return the first line of a pipeline's docstring."""
    return (inspect.getdoc(pipeline.function) or "").partition("\n")[0]


def usage(pipeline: Pipeline) -> str:
    """Return a pipeline's parameters as command line options with their defaults."""
    options = []
    for name, parameter in pipeline.signature.parameters.items():
        option = f"--{name.replace('_', '-')}"
        default = "…" if parameter.default is parameter.empty else parameter.default
        options.append(f"{option} {default}")
    return " ".join(options) or "no parameter"


def _is_flag(pipeline: Pipeline, name: str) -> bool:
    found = pipeline.signature.parameters.get(name)
    return found is not None and found.annotation is bool


def finish(result: RunResult, settings: Settings, as_json: bool) -> int:
    """Print how a run ended and return the exit code."""
    if as_json:
        sys.stdout.write(json.dumps(to_json(result)) + "\n")
    print_outcome(result, settings, Path.cwd(), quiet=as_json)
    return result.exit_code
