"""Runs in MLflow: an experiment per pipeline, a run per Headrace run, a nested run per node attempt.

Every event may arrive again, after a lost response or a killed process. Nothing is created before
it has been looked for: runs by their tags, models by their digest, versions by number and place.
One look-up tells everything about a run; it is kept until a call fails.
"""

from __future__ import annotations

import gc
import getpass
import json
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration import mlflow_values as values
from orchestration.dag_picture import render_svg
from orchestration.mlflow_values import STATUS, Rejected
from orchestration.secrets import redact_all

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from orchestration.mlflow_models import Models
    from orchestration.settings import Settings

Event = dict[str, Any]

# Retries are ours, in order; the client's own would hold the queue for minutes. What the user has
# set stays as it is.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

_FINAL_CODES = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST",
                "INVALID_STATE", "FEATURE_DISABLED", "NOT_IMPLEMENTED"}
# Answers of a living server that may be its fault or the event's: after so many the event is passed over.
_STUBBORN_CODES = {"INTERNAL_ERROR", "ENDPOINT_NOT_FOUND"}
_STUBBORN_TRIES = 10

_RUN, _NODE, _ATTEMPT, _STATE = "headrace.run", "headrace.node", "headrace.attempt", "headrace.state"
_JOURNAL = "headrace.journal"
_PICTURE, _GRAPH = "dag.svg", "dag.json"
_REPORT_FILES = 20
_REPORT_BYTES = 32 * 1024 * 1024


@dataclass
class _Tracked:
    """One Headrace run in MLflow.

    Attributes:
        experiment: Id of its experiment.
        parent: MLflow's id of the run itself.
        nodes: MLflow's ids of the nested runs, by node and attempt.
        fresh: Nested runs this process has made, so that nothing unknown can hang on them.
        states: The nodes' newest states.
        graph: The DAG, once it is known here.
    """

    experiment: str
    parent: str
    nodes: dict[tuple[str, int], str] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    graph: dict[str, Any] | None = None


class MlflowTracking:
    """Takes events in and keeps MLflow in step with them.

    Making one is cheap: MLflow is imported and its store opened with the first event, so do that in
    a background thread.

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
        self._failures: Counter[str] = Counter()

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
                yield False
            else:
                yield True

    def deliver(self, event: Event) -> None:
        """Take an event in; again and again with the same effect.

        Raises:
            Rejected: MLflow refuses what the event says, also after a fresh look.
            Exception: The server or the store cannot be used just now.
        """
        take = getattr(self, f"_on_{event['kind']}", None)
        if take is None:
            raise Rejected(f"unknown kind of event {event['kind']!r}")
        shown = redact_all(event)
        try:
            take(shown)
        except Exception as error:
            # What is known about the run may be wrong now: a call may have worked and its answer
            # been lost, or somebody may have deleted the run.
            self._runs.pop(event["run_id"], None)
            if not self._is_final(error, event):
                raise
            try:
                take(shown)
            except Exception as again:
                self._runs.pop(event["run_id"], None)
                if self._is_final(again, event):
                    raise Rejected(str(again)) from again
                raise

    # --- the kinds of events ---------------------------------------------------------------------

    def _on_run_started(self, event: Event) -> None:
        run = self._tracked(event)
        if run is None:
            run = self._create(event)
        else:
            self.client.update_run(run.parent, status="RUNNING")
        run.graph = event.get("graph")
        steps = _Steps()
        steps(self._log, run.parent, params=event.get("params"), tags={_STATE: "RUNNING"})
        steps(self._text, run.parent, _GRAPH, json.dumps(run.graph))
        steps(self._draw, run)
        steps.end()

    def _on_node_started(self, event: Event) -> None:
        run = self._needed(event)
        node = self._node(run, event, "RUNNING")
        run.states[event["node"]] = "RUNNING"
        self._log(node, params=event.get("params"))

    def _on_metrics(self, event: Event) -> None:
        run = self._needed(event)
        self._log(self._node(run, event, "RUNNING"), metrics=event["metrics"])

    def _on_node_finished(self, event: Event) -> None:
        run, state = self._needed(event), event["state"]
        known = (event["node"], event["attempt"]) in run.nodes
        node = self._node(run, event, state)
        run.states[event["node"]] = state
        steps = _Steps()
        told = _node_tags(event) if known else {}
        steps(self._log, node, params=event.get("params"), metrics=_node_metrics(event), tags=told)
        steps(self._link_inputs, run, node, event)
        for output in event.get("outputs", ()):
            if output.get("tracked_as") == "model":
                steps(self.models.log, run.experiment, node, event["node"], output, fresh=node in run.fresh)
            elif output.get("tracked_as") == "report":
                steps(self._copy_report, node, output)
        for attachment in event.get("attachments", ()):
            steps(self._attach, node, attachment)
        if event.get("error"):
            steps(self._text, node, "error.txt", event["error"])
        for push in event.get("pushes", ()):
            steps(self.models.push, run.experiment, node, push, _model_digest(event), event["run_id"])
        steps(self.client.set_terminated, node, STATUS[state], event["ended"])
        steps.end()

    def _on_run_finished(self, event: Event) -> None:
        run, state = self._needed(event), event["state"]
        metrics = [
            {"name": name, "value": value, "step": 0, "time": event["ended"]}
            for name, value in (event.get("metrics") or {}).items()
        ]
        steps = _Steps()
        steps(self._log, run.parent, metrics=metrics, tags={_STATE: state})
        steps(self._draw, run)
        steps(self.client.set_terminated, run.parent, STATUS[state], event["ended"])
        steps.end()
        self._runs.pop(event["run_id"], None)

    # --- runs ------------------------------------------------------------------------------------

    @property
    def client(self) -> MlflowClient:
        """MLflow's client; the first use imports MLflow and opens the store (1.0 CPU-s)."""
        if self._client is None:
            self._client = _connect(self._settings)
        return self._client

    @property
    def models(self) -> Models:
        """The models of this project in MLflow."""
        if self._models is None:
            from orchestration.mlflow_models import Models

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
            raise Rejected(f"MLflow has no run {event['run_id']} (was it deleted there?)")
        return run

    def _create(self, event: Event) -> _Tracked:
        own = {
            _RUN: event["run_id"],
            _JOURNAL: self._journal,
            _STATE: "RUNNING",
            "headrace.pipeline": event["pipeline"],
            "mlflow.user": _user(),
            "mlflow.source.name": event["pipeline"],
            "mlflow.source.type": "LOCAL",
        }
        experiment = self._experiment(event["pipeline"])
        made = self.client.create_run(
            experiment, event["started"], values.tags({**(event.get("tags") or {}), **own}), event["run_id"]
        )
        run = self._runs[event["run_id"]] = _Tracked(experiment, made.info.run_id)
        return run

    def _node(self, run: _Tracked, event: Event, state: str) -> str:
        """Return MLflow's id of an attempt's run, made if it is not there."""
        key = (event["node"], event["attempt"])
        if key not in run.nodes:
            own = {
                _RUN: event["run_id"],
                _JOURNAL: self._journal,
                _NODE: event["node"],
                _ATTEMPT: event["attempt"],
                _STATE: state,
                "mlflow.parentRunId": run.parent,
                "mlflow.user": _user(),
                **(_node_tags(event) if "state" in event else {}),
            }
            name = event["node"] if event["attempt"] <= 1 else f"{event['node']} #{event['attempt']}"
            started = event.get("started") or event.get("ended") or 0
            tags = values.tags({**(event.get("tags") or {}), **own})
            made = self.client.create_run(run.experiment, started, tags, name)
            run.nodes[key] = made.info.run_id
            run.fresh.add(made.info.run_id)
        return run.nodes[key]

    def _experiment(self, pipeline: str) -> str:
        if pipeline not in self._experiments:
            name = (self._settings.experiment_prefix + pipeline)[: values.DATASET_NAME_LENGTH]
            found = self.client.get_experiment_by_name(name)
            if found is None:
                return self._experiments.setdefault(
                    pipeline, self.client.create_experiment(name, _artifact_root(self._settings, name))
                )
            if found.lifecycle_stage != "active":
                self.client.restore_experiment(found.experiment_id)
            self._experiments[pipeline] = found.experiment_id
        return self._experiments[pipeline]

    def _look_up(self, run_id: str, pipeline: str | None) -> _Tracked | None:
        experiments = [self._experiment(pipeline)] if pipeline else [
            experiment.experiment_id for experiment in self.client.search_experiments()
        ]
        found = [run for run in self._search(experiments, run_id) if run.data.tags.get(_JOURNAL) == self._journal]
        parents = [run for run in found if _NODE not in run.data.tags]
        if not parents:
            return None
        parent = parents[0]
        tracked = _Tracked(parent.info.experiment_id, parent.info.run_id)
        for run in sorted(found, key=lambda run: int(run.data.tags.get(_ATTEMPT, 0))):
            tags = run.data.tags
            if _NODE in tags:
                tracked.nodes[tags[_NODE], int(tags[_ATTEMPT])] = run.info.run_id
                tracked.states[tags[_NODE]] = tags.get(_STATE, "")
        return tracked

    def _search(self, experiments: list[str], run_id: str) -> Iterator[Any]:
        token: str | None = None
        quoted = run_id.replace("'", "\\'")
        while True:
            page = self.client.search_runs(
                experiments, f"tags.`{_RUN}` = '{quoted}'", max_results=1_000, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    # --- what hangs on a run ---------------------------------------------------------------------

    def _log(
        self,
        run_id: str,
        *,
        params: dict[str, Any] | None = None,
        metrics: list[dict[str, Any]] | None = None,
        tags: dict[str, Any] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        named = [Param(*pair) for pair in values.parameters(params or {}).items()]
        marked = [RunTag(*pair) for pair in values.tags(tags or {}).items()]
        measured = [
            Metric(values.entity_name(m["name"]), m["value"], int(m["time"]), int(m.get("step", 0)))
            for m in metrics or ()
        ]
        parts = [
            *({"params": part} for part in values.chunks(named, values.PARAMETERS_PER_CALL)),
            *({"tags": part} for part in values.chunks(marked, values.TAGS_PER_CALL)),
            *({"metrics": part} for part in values.chunks(measured, values.METRICS_PER_CALL)),
        ]
        for call in _merged(parts):
            self.client.log_batch(run_id, **call)

    def _link_inputs(self, run: _Tracked, node: str, event: Event) -> None:
        from mlflow.entities import LoggedModelInput

        inputs = event.get("inputs", ())
        datasets = [_dataset(item, item["name"]) for item in inputs if item.get("tracked_as") == "dataset"]
        digests = {item["digest"] for item in inputs if item.get("tracked_as") == "model"}
        found = [self.models.find(run.experiment, digest) for digest in sorted(digests)]
        models = [LoggedModelInput(model) for model in found if model]
        if datasets or models:
            self.client.log_inputs(node, datasets, models)
        sources = [] if datasets else [
            _dataset(item, event["node"])
            for item in event.get("outputs", ())
            if item.get("tracked_as") == "dataset"
        ]
        if sources:  # data that enters the pipeline here: the whole run depends on it
            self.client.log_inputs(run.parent, sources)

    def _copy_report(self, node: str, output: dict[str, Any]) -> None:
        folder = Path(output["uri"])
        if "://" in output["uri"] or not folder.is_dir():
            return
        pages = [p for p in sorted(folder.rglob("*.html")) if p.stat().st_size <= _REPORT_BYTES]
        for page in pages[:_REPORT_FILES]:
            below = page.parent.relative_to(folder).as_posix()
            self.client.log_artifact(node, str(page), None if below == "." else below)

    def _attach(self, node: str, attachment: dict[str, Any]) -> None:
        path = Path(attachment["path"])
        folder = Path(attachment["name"]).parent.as_posix()
        if path.is_dir():
            self.client.log_artifacts(node, str(path), attachment["name"])
        elif path.exists():
            self.client.log_artifact(node, str(path), None if folder == "." else folder)
        else:
            raise Rejected(f"the attachment {attachment['name']} is gone: {path}")

    def _text(self, run_id: str, name: str, text: str) -> None:
        with tempfile.TemporaryDirectory(prefix="headrace-tracking-") as folder:
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            self.client.log_artifact(run_id, str(path))

    def _draw(self, run: _Tracked) -> None:
        if run.graph is None:
            run.graph = self._kept_graph(run.parent)
        if run.graph is not None:
            self._text(run.parent, _PICTURE, render_svg(run.graph, run.states))

    def _kept_graph(self, run_id: str) -> dict[str, Any] | None:
        if not any(file.path == _GRAPH for file in self.client.list_artifacts(run_id)):
            return None
        with tempfile.TemporaryDirectory(prefix="headrace-tracking-") as folder:
            path = Path(self.client.download_artifacts(run_id, _GRAPH, folder))
            kept: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8"))
        return kept

    def _is_final(self, error: Exception, event: Event) -> bool:
        if is_final(error):
            return True
        from mlflow.exceptions import RestException

        if isinstance(error, RestException) and error.error_code in _STUBBORN_CODES:
            key = "/".join(str(event.get(name, "")) for name in ("run_id", "kind", "node", "attempt"))
            self._failures[key] += 1
            return self._failures[key] >= _STUBBORN_TRIES
        return False


class _Steps:
    """Does one thing after the other; what MLflow refuses does not keep the rest from being told."""

    def __init__(self) -> None:
        self._refused: list[Exception] = []

    def __call__(self, step: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        try:
            step(*args, **kwargs)
        except Exception as error:
            if not is_final(error):
                raise
            self._refused.append(error)

    def end(self) -> None:
        """Tell what was refused.

        Raises:
            Rejected: Something was.
        """
        if self._refused:
            raise Rejected("; ".join(str(error) for error in self._refused)) from self._refused[0]


def is_final(error: Exception) -> bool:
    """Tell whether trying again later cannot help: the event says what MLflow refuses."""
    if isinstance(error, Rejected):
        return True
    code = getattr(error, "error_code", None)
    if code is not None:
        return code in _FINAL_CODES
    # A malformed event. Errors of the network are OSErrors, some of them ValueErrors as well.
    return isinstance(error, TypeError | LookupError | ValueError | AttributeError) and not isinstance(
        error, OSError
    )


def _connect(settings: Settings) -> MlflowClient:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    collecting = gc.isenabled()
    gc.disable()  # a third of the import's time goes into collections that find nothing
    try:
        import logging

        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        uri = settings.tracking_uri
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(uri, uri)
    finally:
        if collecting:
            gc.enable()


def _artifact_root(settings: Settings, experiment: str) -> str | None:
    """A server decides itself; for a store without one MLflow would take the working directory."""
    if settings.tracking_uri.startswith(("http://", "https://", "databricks")):
        return None
    root = settings.tracking_artifacts.rstrip("/")
    safe = values.model_name(experiment)
    return f"{root}/{safe}" if "://" in root else (Path(root) / safe).absolute().as_uri()


def _identity(journal: str) -> str:
    """Tell journals apart: run ids are unique in one journal only."""
    place = f"{socket.gethostname()} {journal}" if journal.startswith("sqlite") else journal
    return sha256(place.encode()).hexdigest()[:12]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return "unknown"


def _merged(parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield calls to ``log_batch``: one piece of each kind goes together, the rest follows."""
    while parts:
        call: dict[str, Any] = {}
        rest = []
        for part in parts:
            if part.keys() & call.keys():
                rest.append(part)
            else:
                call.update(part)
        yield call
        parts = rest


def _node_tags(event: Event) -> dict[str, Any]:
    error = event.get("error")
    return {
        _STATE: event["state"],
        "headrace.reason": event.get("reason") or None,
        "headrace.key": event.get("key") or None,
        "mlflow.note.content": f"```text\n{values.shortened(error, 7_000)}\n```" if error else None,
    }


def _node_metrics(event: Event) -> list[dict[str, Any]]:
    metrics = list(event.get("metrics") or ())
    if event["state"] in ("CACHED", "SKIPPED"):
        return metrics
    spent = {
        "seconds": (event["ended"] - event["started"]) / 1000 if event.get("started") else None,
        "cpu_seconds": event.get("cpu_seconds"),
    }
    return metrics + [
        {"name": name, "value": value, "step": 0, "time": event["ended"]}
        for name, value in spent.items()
        if value is not None
    ]


def _model_digest(event: Event) -> str | None:
    models = [item["digest"] for item in event.get("inputs", ()) if item.get("tracked_as") == "model"]
    return models[0] if models else None


def _dataset(item: dict[str, Any], name: str) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    scheme, mark, _ = item["uri"].partition("://")
    source = json.dumps({"uri": item["uri"], "digest": item["digest"]})
    profile = json.dumps(item.get("metadata") or {}, sort_keys=True, default=str)
    return DatasetInput(
        Dataset(
            name=values.shortened(name, values.DATASET_NAME_LENGTH),
            digest=item["digest"][: values.DATASET_DIGEST_LENGTH],
            source_type=scheme if mark else "local",
            source=source,
            profile=profile if len(profile) <= values.DATASET_SCHEMA_LENGTH else None,
        ),
        [InputTag("mlflow.data.context", values.shortened(name, values.INPUT_TAG_LENGTH))],
    )
