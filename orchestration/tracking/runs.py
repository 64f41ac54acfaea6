"""Runs in MLflow: an experiment per pipeline, a run per Headrace run, a nested run per node attempt.

Every event may arrive again, after a lost response or a killed process. Nothing is created before
it has been looked for: runs by their tags, models by their digest, versions by number and place.
One look-up tells everything about a run; what it told is kept until a call fails.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from orchestration.dag_picture import render_svg
from orchestration.secrets import redact_all
from orchestration.tracking import content, values
from orchestration.tracking.connection import Steps, artifact_root, connect, is_doubtful, is_final
from orchestration.tracking.values import STATUS, RefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from orchestration.settings import Settings
    from orchestration.tracking.models import Models

Event = dict[str, Any]

_RUN, _JOURNAL = "headrace.run", "headrace.journal"
_NODE, _ATTEMPT, _STATE = "headrace.node", "headrace.attempt", "headrace.state"
_PICTURE, _GRAPH = "dag.svg", "dag.json"
_NOTE_LENGTH = 7_000
_DOUBTFUL_TRIES = 10


@dataclass
class _Tracked:
    """One Headrace run in MLflow.

    Attributes:
        experiment: Id of its experiment.
        parent: MLflow's id of the run itself.
        nodes: MLflow's ids of the nested runs, by node and attempt.
        states: The nodes' newest states.
        graph: The DAG, once it is known here.
    """

    experiment: str
    parent: str
    nodes: dict[tuple[str, int], str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    graph: dict[str, Any] | None = None


class MlflowTracking:
    """Takes events in and keeps MLflow in step with them.

    Making one is cheap: MLflow is imported and its store opened with the first event.

    Args:
        settings: Tells the tracking URI, where new experiments keep files, and the folder of the lock.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._journal = _identity(settings.journal)
        self._client: MlflowClient | None = None
        self._models: Models | None = None
        self._runs: dict[str, _Tracked] = {}
        self._experiments: dict[str, str] = {}
        self._doubts: Counter[str] = Counter()

    @contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Hold the right to deliver on this machine; yields False while another process has it."""
        try:
            import fcntl
        except ImportError:  # Windows has no flock: one coordinator at a time there
            yield True
            return
        self._settings.home.mkdir(parents=True, exist_ok=True)
        with (self._settings.home / "tracking.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mine = False
            else:
                mine = True
            yield mine

    def deliver(self, event: Event) -> None:
        """Take an event in; again and again with the same effect.

        Raises:
            RefusedError: MLflow refuses what the event says, also after a fresh look.
            Exception: The server or the store cannot be used just now.
        """
        shown = redact_all(event)
        try:
            self._take(shown)
        except Exception as error:
            if not self._is_final(error, event):
                raise
            try:
                self._take(shown)
            except Exception as again:
                if self._is_final(again, event):
                    raise RefusedError(str(again)) from again
                raise

    def _take(self, event: Event) -> None:
        take = getattr(self, f"_on_{event['kind']}", None)
        if take is None:
            raise RefusedError(f"unknown kind of event {event['kind']!r}")
        try:
            take(event)
        except Exception:
            # What is known about the run may be wrong now: a call may have worked and its answer
            # been lost, or somebody may have deleted the run.
            self._runs.pop(event["run_id"], None)
            raise

    def _is_final(self, error: Exception, event: Event) -> bool:
        if not is_doubtful(error):
            return is_final(error)
        key = "/".join(str(event.get(name, "")) for name in ("run_id", "kind", "node", "attempt"))
        self._doubts[key] += 1
        return self._doubts[key] >= _DOUBTFUL_TRIES

    # The kinds of events

    def _on_run_started(self, event: Event) -> None:
        run = self._tracked(event)
        if run is None:
            run = self._create(event)
        else:  # resumed
            self.client.update_run(run.parent, status="RUNNING")
        run.graph = event["graph"]
        steps = Steps()
        steps(content.log, self.client, run.parent, params=event["params"], tags={_STATE: "RUNNING"})
        steps(content.write, self.client, run.parent, _GRAPH, json.dumps(run.graph))
        steps(self._draw, run)
        steps.end()

    def _on_node_started(self, event: Event) -> None:
        run = self._needed(event)
        node = self._node(run, event, {_STATE: "RUNNING"})
        run.states[event["node"]] = "RUNNING"
        content.log(self.client, node, params=event["params"])

    def _on_metrics(self, event: Event) -> None:
        node = self._node(self._needed(event), event, {_STATE: "RUNNING"})
        content.log(self.client, node, metrics=event["metrics"])

    def _on_node_finished(self, event: Event) -> None:
        run, tags = self._needed(event), _final_tags(event)
        if (event["node"], event["attempt"]) in run.nodes:
            node = self._node(run, event, {})
        else:  # nothing was told of its start: its tags go with it
            node, tags = self._node(run, event, tags), {}
        run.states[event["node"]] = event["state"]
        steps = Steps()
        steps(content.log, self.client, node, params=event.get("params"), metrics=_metrics(event), tags=tags)
        steps(self._link_inputs, run, node, event)
        self._keep_results(steps, run, node, event)
        for push in event.get("pushes", ()):
            digest = next(iter(_digests(event["inputs"], "model")), None)
            steps(self.models.push, run.experiment, run.parent, push, digest, event["run_id"])
        steps(self.client.set_terminated, node, STATUS[event["state"]], event["ended"])
        steps.end()

    def _keep_results(self, steps: Steps, run: _Tracked, node: str, event: Event) -> None:
        for output in event["outputs"]:
            if output["tracked_as"] == "model":
                steps(self.models.log, run.experiment, [node, run.parent], event["node"], output)
            elif output["tracked_as"] == "report":
                steps(content.copy_report, self.client, node, output)
        for attachment in event.get("attachments", ()):
            steps(content.attach, self.client, node, attachment)
        if event.get("error"):
            steps(content.write, self.client, node, "error.txt", event["error"])

    def _on_run_finished(self, event: Event) -> None:
        run, ended = self._needed(event), event["ended"]
        metrics = [{"name": n, "value": v, "time": ended} for n, v in (event.get("metrics") or {}).items()]
        steps = Steps()
        steps(content.log, self.client, run.parent, metrics=metrics, tags={_STATE: event["state"]})
        steps(self._draw, run)
        steps(self.client.set_terminated, run.parent, STATUS[event["state"]], ended)
        steps.end()
        del self._runs[event["run_id"]]

    def _link_inputs(self, run: _Tracked, node: str, event: Event) -> None:
        from mlflow.entities import LoggedModelInput

        inputs, outputs = event["inputs"], event["outputs"]
        datasets = [content.dataset(item, item["name"]) for item in inputs if item["tracked_as"] == "dataset"]
        found = [self.models.find(run.experiment, digest) for digest in _digests(inputs, "model")]
        models = [LoggedModelInput(model) for model in found if model]
        if datasets or models:
            self.client.log_inputs(node, datasets, models)
        made = [content.dataset(item, event["node"]) for item in outputs if item["tracked_as"] == "dataset"]
        if made and not datasets:  # here data enters the pipeline: the whole run depends on it
            self.client.log_inputs(run.parent, made)

    def _draw(self, run: _Tracked) -> None:
        if run.graph is None:
            kept = content.read(self.client, run.parent, _GRAPH)
            run.graph = json.loads(kept) if kept else None
        if run.graph is not None:
            content.write(self.client, run.parent, _PICTURE, render_svg(run.graph, run.states))

    # Runs and experiments

    @property
    def client(self) -> MlflowClient:
        """MLflow's client; the first use imports MLflow and opens the store."""
        if self._client is None:
            self._client = connect(self._settings)
        return self._client

    @property
    def models(self) -> Models:
        """The models in MLflow."""
        if self._models is None:
            from orchestration.tracking.models import Models

            self._models = Models(self.client)
        return self._models

    def _tracked(self, event: Event) -> _Tracked | None:
        """Return what MLflow has of a run, looked up if this process does not know it."""
        run_id = event["run_id"]
        if run_id not in self._runs:
            found = self._look_up(run_id, event.get("pipeline"))
            if found is None:
                return None
            self._runs[run_id] = found
        return self._runs[run_id]

    def _needed(self, event: Event) -> _Tracked:
        run = self._tracked(event)
        if run is None:
            raise RefusedError(f"MLflow has no run {event['run_id']} (was it deleted there?)")
        return run

    def _look_up(self, run_id: str, pipeline: str | None) -> _Tracked | None:
        if pipeline:
            experiments = [self._experiment(pipeline)]
        else:
            experiments = [found.experiment_id for found in self.client.search_experiments()]
        runs = [
            run
            for run in content.search_runs(self.client, experiments, _RUN, run_id)
            if run.data.tags.get(_JOURNAL) == self._journal
        ]
        parent = next((run for run in runs if _NODE not in run.data.tags), None)
        if parent is None:
            return None
        tracked = _Tracked(parent.info.experiment_id, parent.info.run_id)
        for run in sorted(runs, key=lambda run: int(run.data.tags.get(_ATTEMPT, 0))):
            tags = run.data.tags
            if _NODE in tags:
                tracked.nodes[tags[_NODE], int(tags[_ATTEMPT])] = run.info.run_id
                tracked.states[tags[_NODE]] = tags[_STATE]
        return tracked

    def _create(self, event: Event) -> _Tracked:
        pipeline = event["pipeline"]
        experiment = self._experiment(pipeline)
        about = {"headrace.pipeline": pipeline, "mlflow.source.name": pipeline, _STATE: "RUNNING"}
        tags = values.tags({**event.get("tags", {}), **about, **self._own_tags(event)})
        made = self.client.create_run(experiment, event["started"], tags, event["run_id"])
        run = self._runs[event["run_id"]] = _Tracked(experiment, made.info.run_id)
        return run

    def _node(self, run: _Tracked, event: Event, tags: dict[str, Any]) -> str:
        """Return MLflow's id of an attempt's run, made with these tags if it is not there."""
        key = node, attempt = event["node"], event["attempt"]
        if key not in run.nodes:
            place = {_NODE: node, _ATTEMPT: attempt, "mlflow.parentRunId": run.parent}
            told = values.tags({**event.get("tags", {}), **tags, **place, **self._own_tags(event)})
            started = event.get("started") or event.get("ended")
            name = node if attempt <= 1 else f"{node} #{attempt}"
            made = self.client.create_run(run.experiment, started, told, name)
            run.nodes[key] = made.info.run_id
        return run.nodes[key]

    def _own_tags(self, event: Event) -> dict[str, Any]:
        return {
            _RUN: event["run_id"],
            _JOURNAL: self._journal,
            "mlflow.user": _user(),
            "mlflow.source.type": "LOCAL",
        }

    def _experiment(self, pipeline: str) -> str:
        if pipeline not in self._experiments:
            name = (self._settings.experiment_prefix + pipeline)[: values.EXPERIMENT_NAME_LENGTH]
            found = self.client.get_experiment_by_name(name)
            if found is None:
                made = self.client.create_experiment(name, artifact_root(self._settings, name))
                return self._experiments.setdefault(pipeline, made)
            if found.lifecycle_stage != "active":
                self.client.restore_experiment(found.experiment_id)
            self._experiments[pipeline] = found.experiment_id
        return self._experiments[pipeline]


def _final_tags(event: Event) -> dict[str, Any]:
    error = event.get("error")
    return {
        _STATE: event["state"],
        "headrace.reason": event.get("reason") or None,
        "headrace.key": event.get("key") or None,
        "mlflow.note.content": f"```text\n{values.shortened(error, _NOTE_LENGTH)}\n```" if error else None,
    }


def _metrics(event: Event) -> list[dict[str, Any]]:
    metrics, ended = list(event.get("metrics") or ()), event["ended"]
    if event["state"] in ("CACHED", "SKIPPED"):
        return metrics
    spent = {"seconds": (ended - event["started"]) / 1000, "cpu_seconds": event.get("cpu_seconds")}
    return metrics + [{"name": n, "value": v, "time": ended} for n, v in spent.items() if v is not None]


def _digests(artifacts: list[dict[str, Any]], kind: str) -> list[str]:
    return list(dict.fromkeys(item["digest"] for item in artifacts if item["tracked_as"] == kind))


def _identity(journal: str) -> str:
    """Tell journals apart: ids of runs are unique in one journal only."""
    place = f"{socket.gethostname()} {journal}" if journal.startswith("sqlite") else journal
    return sha256(place.encode()).hexdigest()[:12]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return "unknown"
