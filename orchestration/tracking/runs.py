"""Runs in MLflow: an experiment per pipeline, a run per Headrace run, a nested run per node attempt.

The journal marks where MLflow may be behind; what is told is always how things are now. A mark may
arrive again, after a lost response or a killed process, so nothing is created before it has been
looked for: runs by their tags, models by their digest, versions by number and place. One look-up
tells everything about a run; what it told is kept until a call fails.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from orchestration.dag_picture import render_svg
from orchestration.records import Attempt, Mark, Output, Run, State, now
from orchestration.secrets import redact, redact_all
from orchestration.tracking import values
from orchestration.tracking.connection import artifact_root, connect, is_doubtful, is_final
from orchestration.tracking.models import Models

if TYPE_CHECKING:
    from orchestration.journal import Journal
    from orchestration.settings import Settings

Key = tuple[str, int]  # a node and the number of its attempt
Record = TypeVar("Record", Run, Attempt)

RUN, JOURNAL = "headrace.run", "headrace.journal"
NODE, ATTEMPT = "headrace.node", "headrace.attempt"
RUN_ITSELF: Key = ("", 0)
NOTE_LENGTH = 7_000
DOUBTFUL_TRIES = 10
MOST_ATTEMPTS = 50_000  # the most MLflow tells at once


@dataclass
class _Tracked:
    """One Headrace run in MLflow: its experiment's id, and MLflow's ids by attempt."""

    experiment: str
    ids: dict[Key, str]

    @property
    def parent(self) -> str:
        return self.ids[RUN_ITSELF]


class MlflowTracking:
    """Keeps MLflow in step with the journal. Making one imports MLflow and opens its store.

    Args:
        settings: Tells the tracking URI, and where new experiments keep files.
        journal: Tells how runs and attempts are.
    """

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.client = connect(settings)
        self._models = Models(self.client)
        self._settings = settings
        self._journal = journal
        # Ids of runs are unique in one journal only.
        host = socket.gethostname() if settings.journal.startswith("sqlite") else ""
        self._origin = sha256(f"{host} {settings.journal}".encode()).hexdigest()[:12]
        self._runs: dict[str, _Tracked] = {}
        self._refused: list[str] = []
        self._doubts = 0

    def deliver(self, mark: Mark) -> list[str]:
        """Tell MLflow how things are where the mark points; again and again with the same effect.

        Returns:
            What MLflow refused of it for good; the rest has arrived.

        Raises:
            Exception: The server or the store cannot be used just now.
        """
        self._refused = []
        try:
            self._do(self._deliver, mark)
        except Exception as error:
            self._doubts += is_doubtful(error)
            raise
        self._doubts = 0
        return self._refused

    def _do(self, step: Callable[..., object], *args: Any) -> None:
        """Do one thing; what MLflow refuses does not keep the rest from being done."""
        try:
            step(*args)
        except Exception as error:
            # What is known may be wrong now: a call may have worked and its answer been lost, or
            # somebody may have deleted the run.
            self._runs.clear()
            if not is_final(error) and not (is_doubtful(error) and self._doubts >= DOUBTFUL_TRIES):
                raise
            self._refused.append(str(error))

    def _deliver(self, mark: Mark) -> None:
        tracked = self._runs.get(mark.run) or self._look_up(mark.run)
        if not mark.node or RUN_ITSELF not in tracked.ids:
            self._tell_run(tracked, mark.run)
        if mark.node:
            key = redact(mark.node), mark.number
            if not mark.metrics or key not in tracked.ids:
                attempt = self._journal.attempt(mark.run, mark.node, mark.number)
                self._tell_attempt(tracked, _masked(attempt))
            self.client.log_batch(tracked.ids[key], values.metrics(mark.metrics))

    # One run, one attempt

    def _tell_run(self, tracked: _Tracked, run_id: str) -> None:
        run, resumed = _masked(self._journal.run(run_id)), RUN_ITSELF in tracked.ids
        newest = {attempt.node: attempt for attempt in self._journal.attempts(run_id)}
        tags = {
            RUN: run.id,
            "headrace.profile": run.profile,
            "headrace.pipeline": run.pipeline,
            "mlflow.source.name": run.pipeline,
        }
        parent = self._tag(tracked, run, run.id, tags)
        self._do(self.client.log_batch, parent, (), values.params(run.parameters))
        states = {node: attempt.state for node, attempt in newest.items()}
        self._do(self.client.log_text, parent, render_svg(run.graph, states), "dag.svg")
        if run.ended:
            nodes = [newest[node["name"]] for node in run.graph["nodes"] if node["name"] in newest]
            last = {f"{a.node}.{metric}": value for a in nodes for metric, value in a.metrics.items()}
            self._end(parent, run, last)
        elif resumed:
            self.client.update_run(parent, "RUNNING")

    def _tell_attempt(self, tracked: _Tracked, attempt: Attempt) -> None:
        parts, error = attempt.key_parts or {}, values.shortened(attempt.error, NOTE_LENGTH)
        tags = {
            RUN: attempt.run,
            NODE: attempt.node,
            ATTEMPT: attempt.number,
            "headrace.component": parts.get("component", {}).get("name"),
            "headrace.reason": attempt.reason,
            "headrace.key": attempt.key,
            "mlflow.note.content": error and f"```text\n{error}\n```",
            "mlflow.parentRunId": tracked.parent,
        }
        name = f"{attempt.node} #{attempt.number}" if attempt.number > 1 else attempt.node
        node = self._tag(tracked, attempt, name, tags)
        spent = {}
        if attempt.state not in (State.CACHED, State.SKIPPED):
            self._do(self.client.log_batch, node, (), values.params(parts.get("configuration", {})))
            spent = {"seconds": round(attempt.seconds, 3), "cpu_seconds": attempt.cpu_seconds}
        if attempt.ended:
            self._hang_on(tracked, node, attempt)
            self._end(node, attempt, spent)

    def _hang_on(self, tracked: _Tracked, node: str, attempt: Attempt) -> None:
        """Hang what an attempt read, made and left on its run in MLflow."""
        self._do(self._link_inputs, tracked, node, attempt)
        for model in _those("model", attempt.outputs):
            self._do(self._models.log, tracked.experiment, [node, tracked.parent], attempt.node, model)
        for report in _those("report", attempt.outputs):
            for page in sorted(Path(report.uri).rglob("*.html")):
                self._do(self._copy, node, page, page.relative_to(report.uri))
        for attachment in attempt.attachments:
            self._do(self._copy, node, attachment["path"], Path(attachment["name"]))
        if attempt.error:
            self._do(self.client.log_text, node, attempt.error, "error.txt")
        if attempt.state is State.SUCCEEDED:
            given = _those("model", attempt.inputs)
            for push in attempt.pushes:
                self._do(self._models.push, tracked.experiment, tracked.parent, push, given)

    def _link_inputs(self, tracked: _Tracked, node: str, attempt: Attempt) -> None:
        from mlflow.entities import LoggedModelInput

        datasets = [values.dataset(item, item.name) for item in _those("dataset", attempt.inputs)]
        given = [
            self._models.find(tracked.experiment, item.digest) for item in _those("model", attempt.inputs)
        ]
        models = [LoggedModelInput(id_) for id_ in {model.model_id for model in given if model}]
        if datasets or models:
            self.client.log_inputs(node, datasets, models)
        made = [values.dataset(item, attempt.node) for item in _those("dataset", attempt.outputs)]
        if made and not datasets:  # here data enters the pipeline: the whole run depends on it
            self.client.log_inputs(tracked.parent, made)

    # What MLflow is asked and given

    def _look_up(self, run_id: str) -> _Tracked:
        experiment = self._experiment(redact(self._journal.run(run_id).pipeline))
        mine = f"tags.`{RUN}` = '{redact(run_id)}' and tags.`{JOURNAL}` = '{self._origin}'"
        found = self.client.search_runs([experiment], mine, max_results=MOST_ATTEMPTS)
        ids = {_key(one.data.tags): one.info.run_id for one in found}
        self._runs[run_id] = _Tracked(experiment, ids)
        return self._runs[run_id]

    def _experiment(self, pipeline: str) -> str:
        name = (self._settings.experiment_prefix + pipeline)[: values.NAME_LENGTH]
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_root(self._settings, name)))
        if found.lifecycle_stage != "active":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _tag(self, tracked: _Tracked, record: Run | Attempt, name: str, tags: Mapping[str, Any]) -> str:
        """Give a record's run in MLflow its tags, and make it where it is missing; return its id."""
        given = {
            **{tag: value for tag, value in tags.items() if value not in (None, "")},
            JOURNAL: self._origin,
            "headrace.state": record.state,
            "mlflow.source.type": "LOCAL",
            "mlflow.user": _user(),
        }
        key = _key(tags)
        if key in tracked.ids:
            self.client.log_batch(tracked.ids[key], tags=values.tags(given))
        else:
            started, told = _milliseconds(record.started), values.texts(given)
            tracked.ids[key] = self.client.create_run(tracked.experiment, started, told, name).info.run_id
        return tracked.ids[key]

    def _copy(self, run_id: str, source: Path | str, target: Path) -> None:
        folder = target.parent.as_posix()
        self.client.log_artifact(run_id, str(source), None if folder == "." else folder)

    def _end(self, run_id: str, record: Run | Attempt, metrics: Mapping[str, float]) -> None:
        ended = _milliseconds(record.ended)
        last = values.metrics([(name, value, ended, 0) for name, value in metrics.items()])
        self._do(self.client.log_batch, run_id, last)
        self._do(self.client.set_terminated, run_id, values.STATUS.get(record.state, "KILLED"), ended)


def _masked(record: Record) -> Record:
    return msgspec.convert(redact_all(msgspec.to_builtins(record)), type(record))


def _key(tags: Mapping[str, Any]) -> Key:
    return tags.get(NODE, ""), int(tags.get(ATTEMPT, 0))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return "unknown"


def _milliseconds(seconds: float | None) -> int:
    return round((seconds or now()) * 1000)


def _those(tracked_as: str, artifacts: Iterable[Output]) -> list[Output]:
    """Return the artifacts that MLflow shows as something."""
    return [item for item in artifacts if item.tracked_as == tracked_as]
