"""From a pipeline to a finished run: record it, hold its lease, run the DAG, tell MLflow."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.coordinator import Coordinator
from orchestration.errors import HeadraceError, PipelineError, RunStateError
from orchestration.external import Files
from orchestration.graph import Graph
from orchestration.journal import LEASE_SECONDS, Journal, RunExistsError
from orchestration.parameters import stored
from orchestration.pipeline import Pipeline, load_pipeline
from orchestration.progress import Guarded, Listener
from orchestration.records import Attempt, Run, RunState, State, now
from orchestration.result import RunResult
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
    run, owner = _start(journal, new_run(pipeline, parameters, options, graph, settings))
    return _carry_out(Coordinator(graph, run, owner, journal, settings, Guarded(listener or Listener())))


def resume_run(run_id: str | None, *, settings: Settings, listener: Listener | None = None) -> RunResult:
    """Finish a run that failed or was interrupted, redoing only what is missing.

    Args:
        run_id: The run; the newest one that is not finished when None.
        settings: As for :func:`run_pipeline`.
        listener: Hears about progress.

    Raises:
        RunStateError: There is nothing to resume, or the run is still going.
    """
    journal = Journal.open(settings.journal_url)
    journal.mark_interrupted()
    if run_id is None:
        unfinished = journal.runs(states=[RunState.FAILED, RunState.INTERRUPTED], limit=1)
        if not unfinished:
            raise RunStateError("there is no unfinished run", at="", next="headrace runs")
        run_id = unfinished[0].id
    run = journal.run(run_id)
    pipeline = load_pipeline(f"{run.file}:{run.pipeline}", Path(run.project))
    graph = pipeline.graph(pipeline.bind(run.parameters))
    owner = journal.take_over(run_id)
    coordinator = Coordinator(graph, run, owner, journal, settings, Guarded(listener or Listener()))
    coordinator.clean()
    return _carry_out(coordinator)


def check_run(graph: Graph, settings: Settings, selected: list[str]) -> None:
    """Find what could never run before anything runs.

    Raises:
        PipelineError: A node asks for more accelerators than the profile has.
        HeadraceError: A pattern of files matches nothing, with the user's line.
    """
    for node in graph.nodes.values():
        wanted = node.component.policy.gpu
        if wanted > settings.gpus:
            raise PipelineError(
                f"{node.name} asks for {wanted} GPU{'s' * (wanted > 1)}",
                expected=f"at most {settings.gpus}, what profile {settings.profile} has",
                received=f"gpu={wanted}",
                at=node.at,
                next=f"HEADRACE_GPUS={wanted}, or gpus = {wanted} in headrace.toml",
            )
        for value in node.configuration.values():
            if isinstance(value, Files) and value and node.name in selected:
                try:
                    value.among(node.configuration).paths()
                except HeadraceError as error:
                    error.at = node.at
                    raise


def new_run(
    pipeline: Pipeline, parameters: dict[str, Any], options: dict[str, Any], graph: Graph, settings: Settings
) -> Run:
    """Return the record of a run that begins now."""
    return Run(
        f"{pipeline.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        pipeline.name,
        str(pipeline.file.resolve()),
        str(project_root(pipeline.file.parent)),
        settings.profile,
        {name: stored(value, name) for name, value in parameters.items()},
        options,
        {"nodes": [{"name": node.name, "needs": list(node.needs)} for node in graph.sorted()]},
        RunState.RUNNING,
        now(),
        now(),
    )


def _start(journal: Journal, run: Run) -> tuple[Run, str]:
    """Record a run under the first name that is free; return it and the token of its owner."""
    named = run
    for number in itertools.count(2):
        try:
            return named, journal.start_run(named)
        except RunExistsError:  # begun in the same second
            named = replace(run, id=f"{run.id}-{number}")
    raise AssertionError("unreachable")


def _carry_out(coordinator: Coordinator) -> RunResult:
    run, journal, began = coordinator.run, coordinator.journal, time.monotonic()
    names = [node.name for node in coordinator.graph.sorted()]
    coordinator.listener.started(run, names)
    with ExitStack() as stack:
        stack.callback(journal.close)
        stack.callback(coordinator.clean)
        stack.enter_context(_held(coordinator))
        feeder = _feeder(coordinator)
        stack.enter_context(_interruptible(coordinator))
        attempts = _run_nodes(coordinator, stack)
        state = _state_of(attempts, coordinator)
        metrics = {f"{a.node}.{name}": value for a in attempts.values() for name, value in a.metrics.items()}
        # Before the end is recorded: nobody looks after a finished run.
        coordinator.clean(scratch=state is RunState.SUCCEEDED)
        journal.finish_run(run.id, coordinator.owner, state, metrics)
        tries = Counter(a.node.partition("[")[0] for a in journal.attempts(run.id) if a.folder)
        undelivered = _deliver(feeder, coordinator) if feeder else 0
    nodes = {name: attempts[name] for name in names}
    seconds = time.monotonic() - began
    return RunResult(run.id, run.pipeline, state, seconds, nodes, {n: tries[n] for n in names}, undelivered)


def _run_nodes(coordinator: Coordinator, stack: ExitStack) -> dict[str, Attempt]:
    known = resolve(coordinator)
    remaining = [node for node in coordinator.graph.sorted() if node.name not in known]
    if not remaining:
        return known
    if not coordinator.in_process:
        run = coordinator.run
        # The parent's search path, with the project first and this package at hand.
        own = str(Path(__file__).resolve().parent.parent)
        path = list(dict.fromkeys([run.project, *filter(None, sys.path), own]))
        log = coordinator.settings.home / "runs" / run.id / "forkserver.txt"
        coordinator.workers = workers = Workers(path, log)
        stack.callback(workers.close)
        for node in remaining:
            if node.name in coordinator.selected:
                workers.prepare(node.imports)

    def work(name: str, upstream: Any) -> Attempt:
        return known[name] if name in known else coordinator.work(name, upstream)

    from orchestration.dag import run_dag

    return run_dag(coordinator.graph.sorted(), work)


def resolve(coordinator: Coordinator) -> dict[str, Attempt]:
    """Return the results that are known before anything runs."""
    known: dict[str, Attempt] = {}
    for node in coordinator.graph.sorted():
        if all(need in known for need in node.needs):
            with suppress(HeadraceError):  # found again, and told, when the node's turn comes
                found = coordinator.resolve(node.name, {need: known[need] for need in node.needs})
                if found is not None:
                    known[node.name] = found
    return known


def _state_of(attempts: dict[str, Attempt], coordinator: Coordinator) -> RunState:
    states = {attempt.state for attempt in attempts.values()}
    if coordinator.cancelled.is_set():
        return RunState.INTERRUPTED
    return RunState.FAILED if states & {State.FAILED, State.INTERRUPTED} else RunState.SUCCEEDED


def _feeder(coordinator: Coordinator) -> OutboxFeeder | None:
    if coordinator.settings.tracking == "off":
        return None
    # MLflow needs it too, and imports it in another thread while the journal is in use here.
    import sqlalchemy.orm  # noqa: F401

    from orchestration.tracking import MlflowTracking, OutboxFeeder

    feeder = OutboxFeeder(coordinator.journal, lambda: MlflowTracking(coordinator.settings))
    feeder.start()
    return feeder


def _deliver(feeder: OutboxFeeder, coordinator: Coordinator) -> int:
    """Wait for MLflow; return how many events it has not taken in."""
    feeder.flush(FLUSH_SECONDS)
    feeder.stop()
    waiting = len(coordinator.journal.pending())
    if waiting and feeder.trouble:
        coordinator.listener.note(f"MLflow: {feeder.trouble}")
    return waiting


@contextmanager
def _held(coordinator: Coordinator) -> Iterator[None]:
    """Prolong the lease while the context lasts; cancel the run if it is lost.

    A run that is left by an exception can be resumed at once, not only when its lease runs out.
    """
    journal, run_id, owner = coordinator.journal, coordinator.run.id, coordinator.owner
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(LEASE_SECONDS / 5):
            if not journal.heartbeat(run_id, owner):
                coordinator.cancel()
                return

    thread = threading.Thread(target=beat, daemon=True, name="headrace-heartbeat")
    thread.start()
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first exception is the one to tell, also when the journal is gone
            journal.give_up(run_id, owner)
        raise
    finally:
        ended.set()
        thread.join()


@contextmanager
def _interruptible(coordinator: Coordinator) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an orderly end, where signals can be handled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        if coordinator.cancelled.is_set():
            os._exit(130)  # asked twice: the fork servers end the children when our socket closes
        coordinator.cancel()

    before: dict[int, Callable[..., Any] | int | None] = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
