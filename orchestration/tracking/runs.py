"""Runs in MLflow: an experiment per pipeline, a run per Headrace run, a nested run per node attempt.

Every event may arrive again, after a lost response or a killed process. Nothing is created before
it has been looked for: runs by their tags, models by their digest, versions by number and place.
One look-up tells everything about a run; what it told is kept until a call fails.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.dag_picture import render_svg
from orchestration.secrets import redact_all
from orchestration.tracking import values
from orchestration.tracking.connection import artifact_root, connect, is_doubtful, is_final
from orchestration.tracking.models import Models
from orchestration.tracking.values import STATUS, RefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from orchestration.settings import Settings

Event = dict[str, Any]
Key = tuple[str, int]  # a node and the number of its attempt

RUN, JOURNAL = "headrace.run", "headrace.journal"
NODE, ATTEMPT, STATE = "headrace.node", "headrace.attempt", "headrace.state"
RUN_ITSELF: Key = ("", 0)
NOTE_LENGTH = 7_000
DOUBTFUL_TRIES = 10
MOST_ATTEMPTS = 50_000  # the most MLflow tells at once


@dataclass
class _Tracked:
    """One Headrace run in MLflow: its experiment's id, MLflow's ids and the states by attempt."""

    experiment: str
    ids: dict[Key, str] = field(default_factory=dict)
    states: dict[Key, str] = field(default_factory=dict)

    @property
    def parent(self) -> str:
        return self.ids[RUN_ITSELF]


class MlflowTracking:
    """Takes events in and keeps MLflow in step with them.

    Making one is cheap: MLflow is imported and its store opened with the first event.

    Args:
        settings: Tells the tracking URI, where new experiments keep files, and the folder of the lock.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Ids of runs are unique in one journal only.
        host = socket.gethostname() if settings.journal.startswith("sqlite") else ""
        self._journal = sha256(f"{host} {settings.journal}".encode()).hexdigest()[:12]
        self._runs: dict[str, _Tracked] = {}
        self._refused: list[str] = []
        self._doubts = 0

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client; the first use imports MLflow and opens the store."""
        return connect(self._settings)

    @cached_property
    def models(self) -> Models:
        """The models in MLflow."""
        return Models(self.client)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the right to deliver on this machine; waits while another process has it."""
        self._settings.home.mkdir(parents=True, exist_ok=True)
        with (self._settings.home / "tracking.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def deliver(self, event: Event) -> None:
        """Take an event in; again and again with the same effect.

        Raises:
            RefusedError: MLflow refuses something of what the event says; the rest has arrived.
            Exception: The server or the store cannot be used just now.
        """
        _ = self.client  # a store that cannot be opened is nothing to refuse the event for
        self._refused = []
        try:
            self._do(lambda: getattr(self, f"_on_{event['kind']}")(redact_all(event)))
        except Exception as error:
            self._doubts += is_doubtful(error)
            raise
        self._doubts = 0
        if self._refused:
            raise RefusedError("; ".join(self._refused))

    def _do(self, step: Callable[..., object], *args: Any, **named: Any) -> None:
        """Do one thing; what MLflow refuses does not keep the rest from being done."""
        try:
            step(*args, **named)
        except Exception as error:
            # What is known may be wrong now: a call may have worked and its answer been lost, or
            # somebody may have deleted the run.
            self._runs.clear()
            if not is_final(error) and not (is_doubtful(error) and self._doubts >= DOUBTFUL_TRIES):
                raise
            self._refused.append(str(error))

    # The kinds of events

    def _on_run_started(self, event: Event) -> None:
        run_id = event["run_id"]
        run = self._runs[run_id] = self._look_up(run_id, [self._experiment(event["pipeline"])])
        if run.ids:  # resumed
            self.client.update_run(run.parent, "RUNNING")
        self._mark(run, event, "RUNNING")
        self._do(self._log, run.parent, params=event["params"])
        self._do(self._draw, run, event["graph"])

    def _on_node_started(self, event: Event) -> None:
        node = self._mark(self._known(event), event, "RUNNING")
        self._log(node, event.get("params"), event.get("metrics", ()))

    _on_metrics = _on_node_started

    def _on_node_finished(self, event: Event) -> None:
        run = self._known(event)
        node = self._mark(run, event, event["state"])
        if event["state"] not in ("CACHED", "SKIPPED"):
            seconds = (event["ended"] - event["started"]) / 1000
            spent = _at(event["ended"], {"seconds": seconds, "cpu_seconds": event["cpu_seconds"]})
            self._do(self._log, node, metrics=spent)
        self._do(self._link_inputs, run, node, event)
        for output in event["outputs"]:
            if output["tracked_as"] == "model":
                self._do(self.models.log, run.experiment, [node, run.parent], event["node"], output)
            elif output["tracked_as"] == "report":
                for page in sorted(Path(output["uri"]).rglob("*.html")):
                    self._do(self._copy, node, page, page.relative_to(output["uri"]))
        for attachment in event["attachments"]:
            self._do(self._copy, node, attachment["path"], Path(attachment["name"]))
        if event["error"]:
            self._do(self.client.log_text, node, event["error"], "error.txt")
        for push in event["pushes"]:
            self._do(self.models.push, run.experiment, run.parent, push, _models(event["inputs"]))
        self._do(self.client.set_terminated, node, STATUS.get(event["state"], "KILLED"), event["ended"])

    def _on_run_finished(self, event: Event) -> None:
        run, run_id, ended = self._known(event), event["run_id"], event["ended"]
        self._mark(run, event, event["state"])
        self._do(self._log, run.parent, metrics=_at(ended, event["metrics"]))
        self._do(self._draw, run, event["graph"])
        self._do(self.client.set_terminated, run.parent, STATUS.get(event["state"], "KILLED"), ended)
        self._runs.pop(run_id, None)

    # What hangs on a run

    def _log(self, run_id: str, params: Event | None = None, metrics: Iterable[Event] = ()) -> None:
        from mlflow.entities import Metric, Param

        told = [Param(*pair) for pair in values.texts(params or {}, values.PARAMETER_LENGTH).items()]
        measured = [(values.entity_name(m["name"]), m["value"], m["time"], m.get("step", 0)) for m in metrics]
        self.client.log_batch(run_id, [Metric(*one) for one in measured], told)

    def _copy(self, run_id: str, source: Path | str, target: Path) -> None:
        folder = target.parent.as_posix()
        self.client.log_artifact(run_id, str(source), None if folder == "." else folder)

    def _draw(self, run: _Tracked, graph: Event | None) -> None:
        if graph:
            newest = {node: run.states[node, attempt] for node, attempt in sorted(run.states)}
            self.client.log_text(run.parent, render_svg(graph, newest), "dag.svg")

    def _link_inputs(self, run: _Tracked, node: str, event: Event) -> None:
        from mlflow.entities import LoggedModelInput

        inputs, outputs = event["inputs"], event["outputs"]
        datasets = [values.dataset(item, item["name"]) for item in inputs if item["tracked_as"] == "dataset"]
        found = [self.models.find(run.experiment, digest) for digest in _models(inputs)]
        models = [LoggedModelInput(model.model_id) for model in found if model]
        if datasets or models:
            self.client.log_inputs(node, datasets, models)
        made = [values.dataset(item, event["node"]) for item in outputs if item["tracked_as"] == "dataset"]
        if made and not datasets:  # here data enters the pipeline: the whole run depends on it
            self.client.log_inputs(run.parent, made)

    # Runs and experiments

    def _known(self, event: Event) -> _Tracked:
        """Return what MLflow has of a run, looked up if this process does not know it."""
        run_id = event["run_id"]
        if run_id not in self._runs:
            everywhere = [found.experiment_id for found in self.client.search_experiments()]
            self._runs[run_id] = self._look_up(run_id, everywhere)
            if RUN_ITSELF not in self._runs[run_id].ids:
                raise RefusedError(f"MLflow has no run {run_id} (was it deleted there?)")
        return self._runs[run_id]

    def _look_up(self, run_id: str, experiments: list[str]) -> _Tracked:
        mine = f"tags.`{RUN}` = '{run_id}' and tags.`{JOURNAL}` = '{self._journal}'"
        found = self.client.search_runs(experiments, mine, max_results=MOST_ATTEMPTS)
        run = _Tracked(found[0].info.experiment_id if found else experiments[0])
        for one in found:
            key = one.data.tags.get(NODE, ""), int(one.data.tags.get(ATTEMPT, 0))
            run.ids[key], run.states[key] = one.info.run_id, one.data.tags[STATE]
        return run

    def _mark(self, run: _Tracked, event: Event, state: str) -> str:
        """Give the run or the node's attempt of an event its state and tags; return MLflow's id of it."""
        from mlflow.entities import RunTag

        node, attempt = key = event.get("node", ""), event.get("attempt", 0)
        tags = values.texts(self._tags(event, state, run.parent if node else None))
        if key not in run.ids:
            name = f"{node} #{attempt}" if attempt > 1 else node or event["run_id"]
            made = self.client.create_run(run.experiment, event.get("started"), tags, name)
            run.ids[key] = made.info.run_id
        elif run.states[key] != state:
            self.client.log_batch(run.ids[key], tags=[RunTag(*pair) for pair in tags.items()])
        run.states[key] = state
        return run.ids[key]

    def _tags(self, event: Event, state: str, parent: str | None) -> Event:
        error = values.shortened(event.get("error", ""), NOTE_LENGTH)
        tags = {
            **event.get("tags", {}),
            RUN: event["run_id"],
            JOURNAL: self._journal,
            NODE: event.get("node"),
            ATTEMPT: event.get("attempt"),
            STATE: state,
            "headrace.pipeline": event.get("pipeline"),
            "headrace.reason": event.get("reason"),
            "headrace.key": event.get("key"),
            "mlflow.note.content": error and f"```text\n{error}\n```",
            "mlflow.parentRunId": parent,
            "mlflow.source.name": event.get("pipeline"),
            "mlflow.source.type": "LOCAL",
            "mlflow.user": os.environ.get("LOGNAME") or os.environ.get("USER", "unknown"),
        }
        return {name: value for name, value in tags.items() if value not in (None, "")}

    def _experiment(self, pipeline: str) -> str:
        name = (self._settings.experiment_prefix + pipeline)[: values.NAME_LENGTH]
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_root(self._settings, name)))
        if found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _at(time: int, measured: dict[str, float | None]) -> list[Event]:
    return [{"name": n, "value": v, "time": time} for n, v in measured.items() if v is not None]


def _models(artifacts: list[dict[str, Any]]) -> list[str]:
    """Return the digests of the models among artifacts, each once."""
    return list(dict.fromkeys(item["digest"] for item in artifacts if item["tracked_as"] == "model"))
