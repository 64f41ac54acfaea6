"""The events of one whole run, and what MLflow then holds, told without its random ids."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from orchestration.settings import Settings, load

RUN = "taxi-20261122-030000"
STARTED = 1_795_316_400_000
Event = dict[str, Any]


def settings(home: Path, tracking: str | None = None) -> Settings:
    return load(home=home, tracking=tracking)


def artifact(folder: Path, name: str, tracked_as: str | None, text: str, file: str = "data.txt") -> Event:
    """Write a small artifact and return it as an event tells it."""
    place = folder / f"{name}-{abs(hash(text)) % 10_000}"
    place.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(text)
    (place / "manifest.json").write_text("{}")
    return {
        "name": name,
        "type": name.title(),
        "uri": str(place),
        "digest": (text * 64)[:64],
        "tracked_as": tracked_as,
        "metadata": {"rows": 3},
    }


def node_started(node: str, after: int, attempt: int = 1, **params: Any) -> Event:
    return {
        "kind": "node_started",
        "run_id": RUN,
        "node": node,
        "attempt": attempt,
        "params": params,
        "tags": {"headrace.component": node},
        "started": STARTED + after,
    }


def metrics(node: str, after: int, steps: range, attempt: int = 1) -> Event:
    return {
        "kind": "metrics",
        "run_id": RUN,
        "node": node,
        "attempt": attempt,
        "metrics": [
            {"name": "loss", "value": 1 / (step + 1), "step": step, "time": STARTED + after + step}
            for step in steps
        ],
    }


def node_finished(node: str, after: int, state: str = "SUCCEEDED", attempt: int = 1, **more: Any) -> Event:
    return {
        "kind": "node_finished",
        "run_id": RUN,
        "node": node,
        "attempt": attempt,
        "state": state,
        "started": STARTED + after - 50,
        "ended": STARTED + after,
        "reason": "",
        "error": "",
        "key": "k" * 64,
        "cpu_seconds": 0.25,
        "inputs": [],
        "outputs": [],
        "attachments": [],
        "pushes": [],
        "metrics": [],
        **more,
    }


GRAPH: Event = {
    "nodes": [
        {"name": "read_csv", "needs": []},
        {"name": "train_model", "needs": ["read_csv"]},
        {"name": "evaluate_model", "needs": ["train_model", "read_csv"]},
        {"name": "push_model", "needs": ["train_model", "evaluate_model"]},
        {"name": "notify", "needs": ["push_model"]},
    ]
}


def run_started(**params: Any) -> Event:
    return {
        "kind": "run_started",
        "run_id": RUN,
        "pipeline": "taxi",
        "params": params,
        "tags": {"headrace.profile": "local"},
        "started": STARTED,
        "graph": GRAPH,
    }


def run_finished(state: str = "SUCCEEDED", metrics: Mapping[str, float] = MappingProxyType({})) -> Event:
    return {
        "kind": "run_finished",
        "run_id": RUN,
        "state": state,
        "ended": STARTED + 9_000,
        "metrics": dict(metrics),
        "graph": GRAPH,
    }


def whole_run(folder: Path) -> list[Event]:
    """Return a run with a cached node, a failed and a repeated attempt, a model, reports and a push."""
    rows = artifact(folder, "examples", "dataset", "a")
    model = artifact(folder, "model", "model", "b")
    report = artifact(folder, "evaluation", "report", "c", "report.html")
    extra = folder / "confusion.txt"
    extra.write_text("1 0")
    push = {"name": "taxi", "version": 1, "uri": str(folder / "models" / "taxi" / "1"), "alias": "champion"}
    return [
        run_started(epochs=2, data="rows.csv"),
        node_finished("read_csv", 10, "CACHED", outputs=[rows], reason="same as taxi-1", cpu_seconds=None),
        node_started("train_model", 20, epochs=2, layers={"hidden": [8, 8]}),
        metrics("train_model", 30, range(2)),
        metrics("train_model", 40, range(2, 4)),
        node_finished("train_model", 100, "FAILED", error="ValueError: no\n  at model.py:3", inputs=[rows]),
        node_started("train_model", 110, 2, epochs=2),
        metrics("train_model", 120, range(4), 2),
        node_finished("train_model", 200, attempt=2, inputs=[rows], outputs=[model]),
        node_started("evaluate_model", 210),
        node_finished(
            "evaluate_model",
            300,
            inputs=[model, rows],
            outputs=[report],
            attachments=[{"name": "tables/confusion.txt", "path": str(extra)}],
        ),
        node_started("push_model", 310, name="taxi"),
        node_finished("push_model", 400, inputs=[model], pushes=[push]),
        node_finished("notify", 410, "SKIPPED", reason="nobody asked", cpu_seconds=None),
        run_finished(metrics={"train_model.loss": 0.25}),
    ]


def snapshot(uri: str) -> dict[str, Any]:
    """Return all that MLflow holds, by the names people know instead of MLflow's ids."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    experiments = {e.experiment_id: e.name for e in client.search_experiments() if e.name != "Default"}
    found = client.search_runs(list(experiments), max_results=1_000) if experiments else []
    runs = [client.get_run(run.info.run_id) for run in found]  # a search leaves models out
    names = {run.info.run_id: run.info.run_name for run in runs}
    models = client.search_logged_models(list(experiments)) if experiments else []
    labels = {model.model_id: model.name for model in models}
    versions = client.search_model_versions("")
    return {
        "experiments": sorted(experiments.values()),
        "runs": sorted((_run(client, run, names, labels) for run in runs), key=lambda run: run["name"]),
        "models": sorted(
            (
                m.name,
                str(m.status),
                m.tags["headrace.digest"],
                _files(client.list_logged_model_artifacts(m.model_id)),
            )
            for m in models
        ),
        "versions": sorted(
            (v.name, str(v.version), v.tags["headrace.version"], names[v.run_id]) for v in versions
        ),
        "aliases": {
            m.name: {a: str(v) for a, v in m.aliases.items()} for m in client.search_registered_models()
        },
    }


def _run(client: Any, run: Any, names: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
    from mlflow.entities import RunStatus

    tags = dict(run.data.tags)
    parent = tags.pop("mlflow.parentRunId", None)
    for varying in ("mlflow.user", "headrace.journal"):
        del tags[varying]
    return {
        "name": run.info.run_name,
        "parent": names.get(parent),
        "status": RunStatus.to_string(run.info.status)
        if isinstance(run.info.status, int)
        else run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "tags": tags,
        "metrics": {
            name: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, name)]
            for name in sorted(run.data.metrics)
        },
        "datasets": sorted(
            (i.dataset.name, i.dataset.digest, [tag.value for tag in i.tags])
            for i in run.inputs.dataset_inputs
        ),
        "models_in": [labels[m.model_id] for m in run.inputs.model_inputs],
        "models_out": [labels[m.model_id] for m in (run.outputs.model_outputs if run.outputs else [])],
        "files": _files(client.list_artifacts(run.info.run_id)),
    }


def _files(listed: Any) -> list[str]:
    return sorted(file.path for file in listed)


class Server:
    """A real tracking server on this machine that can be stopped and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self._port),
            "--workers",
            "1",
            "--backend-store-uri",
            f"sqlite:///{self._folder / 'server.db'}",
            "--artifacts-destination",
            str(self._folder / "files"),
        ]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **quiet}, start_new_session=True
            )
        wait_for_health(self.uri)

    def stop(self) -> None:
        """Kill it and its workers at once, as a crash would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()


def wait_for_health(uri: str, seconds: float = 90) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            if answer.status == 200:
                return
        if time.monotonic() > until:
            raise TimeoutError(f"{uri} does not answer")
        time.sleep(0.2)


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Start a tracking server on a free port; it is gone afterwards."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
