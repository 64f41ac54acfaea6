"""One whole run as the journal tells it, and what MLflow then holds, told without its random ids."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestration import journal as journals
from orchestration.journal import Journal
from orchestration.journal_tables import row_of, runs
from orchestration.records import Attempt, Measured, Output, Run, RunState, State
from orchestration.settings import Settings, load
from orchestration.tracking import MlflowTracking

RUN = "taxi-20261122-030000"
STARTED = 1_795_316_400_000  # milliseconds, as MLflow counts them
KEY = "k" * 64

Step = Run | Attempt | tuple[Attempt, list[Measured]]
"""A record as it is from now on, or what an attempt has measured."""


def settings(home: Path, tracking: str | None = None) -> Settings:
    return load(home=home, tracking=tracking)


def put(journal: Journal, step: Step) -> None:
    """Write a step into the journal, with the times it says, and mark it for MLflow."""
    if isinstance(step, tuple):
        return journal.post(*step)
    with journal.engine.begin() as connection:
        if isinstance(step, Run):
            journals._upsert(connection, runs, row_of(runs, step))
            journals._mark(connection, step.id)
        else:
            journals._write(connection, step)
    return None


class Teller:
    """A home's journal, and a tracking of its own that is told of every step at once."""

    def __init__(self, home: Path, *steps: Step) -> None:
        self.journal = Journal.open(settings(home).journal_url)
        self.tracking = MlflowTracking(settings(home), self.journal)
        self.tell(*steps)

    def tell(self, *steps: Step) -> list[str]:
        """Write the steps one by one, deliver after each, and return what was refused."""
        refused = []
        for step in steps:
            put(self.journal, step)
            refused += self.deliver()
        return refused

    def deliver(self) -> list[str]:
        """Deliver what waits; return what was refused."""
        refused = []
        for mark in self.journal.pending():
            refused += self.tracking.deliver(mark)
            self.journal.delivered(mark)
        return refused


def artifact(folder: Path, name: str, tracked_as: str | None, text: str, file: str = "data.txt") -> Output:
    """Write a small artifact and return the journal's record of it."""
    place = folder / f"{name}-{abs(hash(text)) % 10_000}"
    place.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(text)
    (place / "manifest.json").write_text("{}")
    return Output(
        name, f"store:{name.title()}", str(place), (text * 64)[:64], {"rows": 3}, tracked_as=tracked_as
    )


GRAPH = {
    "nodes": [
        {"name": "read_csv", "needs": []},
        {"name": "train_model", "needs": ["read_csv"]},
        {"name": "evaluate_model", "needs": ["train_model", "read_csv"]},
        {"name": "push_model", "needs": ["train_model", "evaluate_model"]},
        {"name": "notify", "needs": ["push_model"]},
    ]
}


def a_run(name: str = RUN, **parameters: Any) -> Run:
    began = STARTED / 1000
    place = "taxi", "taxi.py", "/project", "local"
    return Run(name, *place, parameters, {}, GRAPH, RunState.RUNNING, began, began)


def ended_run(run: Run, state: RunState = RunState.SUCCEEDED) -> Run:
    return replace(run, state=state, ended=(STARTED + 9_000) / 1000)


def began(node: str, after: int, number: int = 1, **configuration: Any) -> Attempt:
    """Return an attempt that begins so many milliseconds after the run."""
    parts = {"component": {"name": node}, "configuration": configuration}
    started = (STARTED + after) / 1000
    return Attempt(RUN, node, State.RUNNING, number, KEY, parts, started, cpu_seconds=0.25)


def ended(attempt: Attempt, after: int, state: State = State.SUCCEEDED, **facts: Any) -> Attempt:
    return replace(attempt, state=state, ended=(STARTED + after) / 1000, **facts)


def losses(attempt: Attempt, after: int, steps: range) -> tuple[Attempt, list[Measured]]:
    return attempt, [("loss", 1 / (step + 1), STARTED + after + step, step) for step in steps]


def whole_run(folder: Path) -> list[Step]:
    """Return a run with a cached node, a failed and a repeated attempt, a model, reports and a push."""
    rows = artifact(folder, "examples", "dataset", "a")
    model = artifact(folder, "model", "model", "b")
    report = artifact(folder, "evaluation", "report", "c", "report.html")
    extra = folder / "confusion.txt"
    extra.write_text("1 0")
    confusion = {"name": "tables/confusion.txt", "path": str(extra)}
    push = {"name": "taxi", "version": 1, "uri": str(folder / "models" / "taxi" / "1"), "alias": "champion"}
    run = a_run(epochs=2, data="rows.csv")
    read, skipped = began("read_csv", 5), began("notify", 405)
    train = began("train_model", 20, epochs=2, layers={"hidden": [8, 8]})
    again = began("train_model", 110, 2, epochs=2)
    judge, live = began("evaluate_model", 210), began("push_model", 310, name="taxi")
    broken = {"error": "ValueError: no\n  at model.py:3", "metrics": {"loss": 0.25, "odd": 1.0}}
    return [
        run,
        ended(read, 10, State.CACHED, outputs=(rows,), reason="same as taxi-1"),
        train,
        losses(train, 30, range(2)),
        losses(train, 40, range(2, 4)),
        ended(train, 100, State.FAILED, inputs=(rows,), pushes=({**push, "version": 0},), **broken),
        again,
        losses(again, 120, range(4)),
        ended(again, 200, inputs=(rows,), outputs=(model,), metrics={"loss": 0.25}),
        judge,
        ended(judge, 300, inputs=(model, rows), outputs=(report,), attachments=(confusion,)),
        live,
        ended(live, 400, inputs=(model,), pushes=(push,)),
        ended(skipped, 410, State.SKIPPED, reason="nobody asked"),
        ended_run(run),
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
