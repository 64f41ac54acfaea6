"""From a pipeline to a finished run: record it, hold its lease, run the DAG, tell MLflow."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.coordinator import Coordinator
from orchestration.errors import HeadraceError, PipelineError, RunStateError
from orchestration.graph import Graph
from orchestration.journal import LEASE_SECONDS, Journal, RunExistsError
from orchestration.parameters import stored
from orchestration.pipeline import Pipeline, load_pipeline
from orchestration.progress import Guarded, Listener
from orchestration.records import Attempt, Run, RunState, State
from orchestration.result import RunResult
from orchestration.settings import Settings, project_root
from orchestration.workers import Workers, now

if TYPE_CHECKING:
    from orchestration.tracking import OutboxFeeder

FLUSH_SECONDS = 60.0


@dataclass(frozen=True)
class Planned:
    """What a node of a run would do: its state now, and why."""

    name: str
    cached: bool
    reason: str


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
    selected = set(graph.nodes) if selected is None else selected
    check_resources(graph, settings)
    check_inputs(graph, settings, selected)
    journal = Journal.open(settings.journal_url)
    journal.mark_interrupted()
    options = {
        "selected": sorted(selected),
        "cache": cache,
        "in_process": in_process,
        "scheduled_for": scheduled_for,
    }
    run, owner = _start(journal, pipeline, parameters, options, graph, settings)
    return _carry_out(run, owner, graph, journal, settings, listener or Listener(), again=False)


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
    owner = journal.take_over(run_id, {**_started_event(run), "resumed": True})
    return _carry_out(run, owner, graph, journal, settings, listener or Listener(), again=True)


def plan_run(graph: Graph, settings: Settings, selected: set[str], *, cache: bool = True) -> list[Planned]:
    """Return what a run would do with each node, without running anything."""
    journal = Journal.open(settings.journal_url)
    dry = _DryCoordinator(graph, _dry_run(), "", journal, settings, Listener(), selected, use_cache=cache)
    known = _resolve(dry)
    plans = []
    for node in graph.sorted():
        waiting = [need for need in node.needs if need not in known]
        if node.name in known:
            plans.append(Planned(node.name, True, known[node.name].reason))
        elif node.name not in selected:
            plans.append(Planned(node.name, False, "not selected"))
        elif waiting:
            plans.append(Planned(node.name, False, f"depends on what {', '.join(waiting)} will give"))
        else:
            plans.append(Planned(node.name, False, dry.why(node.name, known)))
    return plans


def check_resources(graph: Graph, settings: Settings) -> None:
    """Refuse a node that asks for more accelerators than the profile has.

    Raises:
        PipelineError: It could never start.
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


def check_inputs(graph: Graph, settings: Settings, selected: set[str]) -> None:
    """Find unreadable external inputs before anything runs.

    Raises:
        HeadraceError: A pattern of files matches nothing, with the user's line.
    """
    from orchestration.external import Files

    for node in graph.nodes.values():
        for value in node.configuration.values():
            if isinstance(value, Files) and value and node.name in selected:
                try:
                    value.paths()
                except HeadraceError as error:
                    error.at = node.at
                    raise


class _DryCoordinator(Coordinator):
    """Decides as a coordinator does, and records nothing."""

    def _finish(self, attempt: Attempt, *args: Any, **kwargs: Any) -> Attempt:
        return attempt

    def why(self, name: str, known: dict[str, Attempt]) -> str:
        node = self.graph.nodes[name]
        if not self.use_cache:
            return "the cache is off"
        if not node.component.policy.cache:
            return "its results are never reused"
        if node.each is not None:
            return "one run for each item"
        unmet = self._unmet(node, known)
        return f"will be skipped: {unmet}" if unmet else "no earlier result with this key"


def _dry_run() -> Run:
    return Run("plan", "plan", "", "", "", {}, {}, {}, RunState.RUNNING, now(), now())


def _start(
    journal: Journal,
    pipeline: Pipeline,
    parameters: dict[str, Any],
    options: dict[str, Any],
    graph: Graph,
    settings: Settings,
) -> tuple[Run, str]:
    """Record a new run under the first name that is free; return it and the token of its owner."""
    pictured = {"nodes": [{"name": n.name, "needs": list(n.needs)} for n in graph.sorted()]}
    created = now()
    run = Run(
        f"{pipeline.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        pipeline.name,
        str(pipeline.file.resolve()),
        str(project_root(pipeline.file.parent)),
        settings.profile,
        {k: stored(v, k) for k, v in parameters.items()},
        options,
        pictured,
        RunState.RUNNING,
        created,
        created,
    )
    named = run
    for number in itertools.count(2):
        try:
            return named, journal.start_run(named, _started_event(named))
        except RunExistsError:  # begun in the same second
            named = replace(run, id=f"{run.id}-{number}")
    raise AssertionError("unreachable")


def _started_event(run: Run) -> dict[str, Any]:
    return {
        "kind": "run_started",
        "run_id": run.id,
        "pipeline": run.pipeline,
        "params": run.parameters,
        "tags": {"headrace.profile": run.profile},
        "started": int(run.started * 1000),
        "graph": run.graph,
    }


def _finished_event(run: Run, state: RunState, metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "kind": "run_finished",
        "run_id": run.id,
        "state": str(state),
        "ended": int(time.time() * 1000),
        "metrics": metrics,
    }


@contextmanager
def _given_back(journal: Journal, run: Run, owner: str) -> Iterator[None]:
    """Let a run that is left by an exception be resumed at once, not only when its lease runs out."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first exception is the one to tell, also when the journal is gone
            journal.give_up(run.id, owner)
        raise


def _carry_out(
    run: Run,
    owner: str,
    graph: Graph,
    journal: Journal,
    settings: Settings,
    listener: Listener,
    *,
    again: bool,
) -> RunResult:
    options = run.options
    listener = Guarded(listener)
    coordinator = Coordinator(
        graph,
        run,
        owner,
        journal,
        settings,
        listener,
        set(options["selected"]),
        options["cache"],
        options["in_process"],
    )
    began = time.monotonic()
    listener.started(run, [node.name for node in graph.sorted()])
    with ExitStack() as stack:
        stack.callback(journal.close)
        stack.enter_context(_given_back(journal, run, owner))
        feeder = _feeder(journal, settings)
        if again:
            coordinator.clean()
        stack.callback(coordinator.clean)
        stack.enter_context(_heartbeat(coordinator))
        stack.enter_context(_interruptible(coordinator))
        attempts = _run_nodes(coordinator, stack)
        state = _state_of(attempts, coordinator)
        metrics = {f"{a.node}.{name}": value for a in attempts.values() for name, value in a.metrics.items()}
        coordinator.clean()  # before the end is recorded: nobody looks after a finished run
        if state is RunState.SUCCEEDED:
            coordinator.clean_scratch()
        journal.finish_run(run.id, owner, state, _finished_event(run, state, metrics))
        undelivered = _deliver(feeder, journal, listener)
    order = [node.name for node in graph.sorted()]
    return RunResult(
        run.id,
        run.pipeline,
        state,
        time.monotonic() - began,
        {name: attempts[name] for name in order},
        {name: coordinator.attempts_of(name) for name in order},
        undelivered,
    )


def _run_nodes(coordinator: Coordinator, stack: ExitStack) -> dict[str, Attempt]:
    known = _resolve(coordinator)
    _check_selection(coordinator, known)
    remaining = [node for node in coordinator.graph.sorted() if node.name not in known]
    if not remaining:
        return known
    if not coordinator.in_process:
        coordinator.workers = workers = Workers(
            _environment(), _module_path(coordinator.run), coordinator.folder / "forkserver.txt"
        )
        stack.callback(workers.close)
        for node in remaining:
            if node.name in coordinator.selected:
                workers.prepare(node.imports)

    def work(name: str, upstream: Any) -> Attempt:
        return known[name] if name in known else coordinator.work(name, upstream)

    from orchestration.dag import run_dag

    return run_dag(coordinator.graph.sorted(), work)


def _resolve(coordinator: Coordinator) -> dict[str, Attempt]:
    """Return the results that are known before anything runs."""
    known: dict[str, Attempt] = {}
    for node in coordinator.graph.sorted():
        if all(need in known for need in node.needs):
            with suppress(HeadraceError):  # found again, and told, when the node's turn comes
                found = coordinator.resolve(node.name, {need: known[need] for need in node.needs})
                if found is not None:
                    known[node.name] = found
    return known


def _check_selection(coordinator: Coordinator, known: dict[str, Attempt]) -> None:
    graph, selected = coordinator.graph, coordinator.selected
    for node in graph.sorted():
        for need in node.needs:
            settled = all(n in known for n in graph.nodes[need].needs)
            if node.name in selected and need not in selected and need not in known and settled:
                coordinator.listener.note(
                    f"{need} is not selected and has no earlier result: {node.name} will be skipped"
                )


def _environment() -> dict[str, str]:
    """Return variables that keep what nodes import quiet, where a person has not set them."""
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "GRPC_VERBOSITY": "ERROR",
        "ORT_DISABLE_TELEMETRY": "1",  # importing ONNX Runtime would start a thread that reports home
    }
    return {name: os.environ.get(name, value) for name, value in quiet.items()}


def _module_path(run: Run) -> list[str]:
    """Return the children's module search path: the parent's, with this package and the project first."""
    own = str(Path(__file__).resolve().parent.parent)
    return list(dict.fromkeys([run.project, *(p for p in sys.path if p), own]))


def _state_of(attempts: dict[str, Attempt], coordinator: Coordinator) -> RunState:
    states = {attempt.state for attempt in attempts.values()}
    if coordinator.cancelled.is_set():
        return RunState.INTERRUPTED
    return RunState.FAILED if states & {State.FAILED, State.INTERRUPTED} else RunState.SUCCEEDED


def _feeder(journal: Journal, settings: Settings) -> OutboxFeeder | None:
    if settings.tracking == "off":
        return None
    # MLflow needs it too, and imports it in another thread while the journal is in use here.
    import sqlalchemy.orm  # noqa: F401

    from orchestration.tracking import MlflowTracking, OutboxFeeder

    feeder = OutboxFeeder(journal, lambda: MlflowTracking(settings))
    feeder.start()
    return feeder


def _deliver(feeder: OutboxFeeder | None, journal: Journal, listener: Listener) -> int:
    if feeder is None:
        return 0
    feeder.flush(FLUSH_SECONDS)
    feeder.stop()
    waiting = len(journal.pending())
    if waiting and feeder.trouble:
        listener.note(f"MLflow: {feeder.trouble}")
    return waiting


@contextmanager
def _heartbeat(coordinator: Coordinator) -> Iterator[None]:
    """Prolong the lease while the context lasts; cancel the run if it is lost."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(LEASE_SECONDS / 5):
            if not coordinator.journal.heartbeat(coordinator.run.id, coordinator.owner):
                coordinator.cancel()
                return

    thread = threading.Thread(target=beat, daemon=True, name="headrace-heartbeat")
    thread.start()
    try:
        yield
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
