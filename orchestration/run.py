"""From a pipeline to a finished run: record it, hold its lease, run the DAG, tell MLflow."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.closure import describe
from orchestration.coordinator import Coordinator
from orchestration.errors import HeadraceError, PipelineError
from orchestration.external import Files
from orchestration.graph import Graph
from orchestration.interrupt import interruptible
from orchestration.journal import LEASE_SECONDS, Journal, RunExistsError
from orchestration.pipeline import Pipeline
from orchestration.records import Run, RunState, State, now
from orchestration.result import Listener, RunResult
from orchestration.settings import Settings, project_root
from orchestration.workers import Workers

if TYPE_CHECKING:
    from orchestration.tracking import OutboxFeeder

FLUSH_SECONDS = 60.0


def run_pipeline(
    pipeline: Pipeline,
    parameters: dict[str, Any],
    *,
    settings: Settings,
    selected: set[str] | None = None,
    cache: bool = True,
    in_process: bool = False,
    listener: Listener | None = None,
    scheduled_for: str = "",
) -> RunResult:
    """Run a pipeline as a new run.

    Args:
        pipeline: The pipeline.
        parameters: All its parameters, checked (:meth:`Pipeline.bind`).
        settings: Where things are kept, and how much may run at once.
        selected: Names of the nodes to run; None for all.
        cache: Whether earlier equal results may be used.
        in_process: Run the nodes in this process.
        listener: Hears about progress.
        scheduled_for: The planned time of a scheduled run, kept with it.

    Raises:
        PipelineError: The pipeline or its arguments are wrong; nothing has run.
    """
    graph = pipeline.graph(parameters)
    chosen = sorted(graph.nodes if selected is None else selected)
    check_run(graph, settings, chosen)
    journal = Journal.open(settings.journal_url)
    journal.mark_interrupted()
    options = {"selected": chosen, "cache": cache, "in_process": in_process, "scheduled_for": scheduled_for}
    place = str(pipeline.file.resolve()), str(project_root(pipeline.file.parent)), settings.profile
    given = {name: describe(value, name) for name, value in parameters.items()}
    shape = {"nodes": [{"name": node.name, "needs": list(node.needs)} for node in graph.sorted()]}
    name = f"{pipeline.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    new = Run(name, pipeline.name, *place, given, options, shape, RunState.RUNNING, now(), now())
    run, owner = _recorded(journal, new)
    return _carry_out(Coordinator(graph, run, owner, journal, settings, listener or Listener()))


def resume_run(
    pipeline: Pipeline, run_id: str, *, settings: Settings, listener: Listener | None = None
) -> RunResult:
    """Finish a run that failed or was interrupted, redoing only what is missing.

    Args:
        pipeline: The run's pipeline, as it is now.
        run_id: The run.
        settings: As for :func:`run_pipeline`.
        listener: Hears about progress.

    Raises:
        RunStateError: There is no such run, it is still going, or it has succeeded.
    """
    journal = Journal.open(settings.journal_url)
    run = journal.run(run_id)
    graph = pipeline.graph(pipeline.bind(run.parameters))
    owner = journal.take_over(run_id)
    return _carry_out(Coordinator(graph, run, owner, journal, settings, listener or Listener()))


def check_run(graph: Graph, settings: Settings, selected: list[str]) -> None:
    """Find what could never run before anything runs.

    Raises:
        PipelineError: A node asks for more accelerators than the profile has.
        HeadraceError: A pattern of files matches nothing, with the user's line.
    """
    for node in graph.nodes.values():
        wanted = node.component.policy.gpu
        if wanted > settings.gpus:
            headline = f"{node.name} asks for {wanted} GPU{'s' * (wanted > 1)}"
            there = f"at most {settings.gpus}, what profile {settings.profile} has"
            remedy = f"HEADRACE_GPUS={wanted}, or gpus = {wanted} in headrace.toml"
            raise PipelineError(headline, expected=there, at=node.at, next=remedy)
        for value in node.configuration.values():
            if isinstance(value, Files) and value and node.name in selected:
                try:
                    value.among(node.configuration).paths()
                except HeadraceError as error:
                    error.at = node.at
                    raise


def _recorded(journal: Journal, run: Run) -> tuple[Run, str]:
    """Record a run under the first name that is free; return it and the token of its owner."""
    for number in itertools.count(1):
        named = replace(run, id=f"{run.id}-{number}" if number > 1 else run.id)
        with suppress(RunExistsError):  # another began in the same second
            return named, journal.start_run(named)
    raise AssertionError("unreachable")


def _carry_out(coordinator: Coordinator) -> RunResult:
    run, journal, began = coordinator.run, coordinator.journal, time.monotonic()
    names = [node.name for node in coordinator.graph.sorted()]
    coordinator.listener.started(run, names)

    def stop() -> None:
        if coordinator.cancelled.is_set():
            os._exit(130)  # asked twice: the fork servers end the children when our socket closes
        coordinator.cancelled.set()

    with closing(journal), _held(coordinator), interruptible(stop):
        feeder = _feeder(coordinator)
        _run_nodes(coordinator)
        nodes = {name: coordinator.results[name] for name in names}
        bad = {attempt.state for attempt in nodes.values()} & {State.FAILED, State.INTERRUPTED}
        state = RunState.FAILED if bad else RunState.SUCCEEDED
        state = RunState.INTERRUPTED if coordinator.cancelled.is_set() else state
        attempts = Counter(a.node.partition("[")[0] for a in journal.attempts(run.id) if a.folder)
        result = RunResult(run.id, run.pipeline, state, 0.0, nodes, attempts)
        # Before the end is recorded: nobody looks after a finished run.
        coordinator.clean(scratch=state is RunState.SUCCEEDED)
        journal.finish_run(run.id, coordinator.owner, state)
        undelivered = feeder.finish(FLUSH_SECONDS) if feeder else 0
        if feeder and undelivered and feeder.trouble:
            coordinator.listener.note(f"MLflow: {feeder.trouble}")
        for refused in feeder.rejected if feeder else ():
            coordinator.listener.note(f"MLflow refused {refused}")
    return replace(result, seconds=time.monotonic() - began, undelivered=undelivered)


def _run_nodes(coordinator: Coordinator) -> None:
    with ThreadPoolExecutor() as thread:  # on its stack is no line of the user's to be named in an error
        thread.submit(coordinator.look_ahead).result()
    graph, run = coordinator.graph, coordinator.run
    left = [node for node in graph.sorted() if node.name not in coordinator.results]
    if not left:
        return
    with ExitStack() as stack:
        if not run.options["in_process"]:
            # The parent's search path, with the project first and this package at hand.
            package = str(Path(__file__).resolve().parents[1])
            path = list(dict.fromkeys([run.project, *filter(None, sys.path), package]))
            log = coordinator.settings.home / "runs" / run.id / "forkserver.txt"
            coordinator.workers = stack.enter_context(closing(Workers(path, log, coordinator.cancelled)))
            for imports in dict.fromkeys(n.imports for n in left if n.name in coordinator.selected):
                coordinator.workers.prepare(imports)
        from orchestration.dag import run_dag

        run_dag(graph.sorted(), coordinator.work)


def _feeder(coordinator: Coordinator) -> OutboxFeeder | None:
    if coordinator.settings.tracking == "off":
        return None
    # MLflow needs it too, and imports it in another thread while the journal is in use here.
    import sqlalchemy.orm  # noqa: F401

    from orchestration.tracking import OutboxFeeder

    feeder = OutboxFeeder(coordinator.journal, coordinator.settings)
    feeder.start()
    return feeder


@contextmanager
def _held(coordinator: Coordinator) -> Iterator[None]:
    """Prolong the run's lease inside the context; cancel the run if it is lost.

    A run that is left by an exception can be resumed at once, not only when its lease runs out.
    """
    journal, run_id, owner = coordinator.journal, coordinator.run.id, coordinator.owner
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(LEASE_SECONDS / 5) and journal.heartbeat(run_id, owner):
            pass
        coordinator.cancelled.set()  # unless it has ended, somebody else holds it now

    thread = threading.Thread(target=beat, daemon=True, name="headrace-heartbeat")
    thread.start()
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first exception is the one to tell, also when the journal is gone
            if journal.heartbeat(run_id, owner):
                coordinator.clean()
                journal.finish_run(run_id, owner, RunState.INTERRUPTED)
        raise
    finally:
        ended.set()
        thread.join()
