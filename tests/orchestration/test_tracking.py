"""Events become runs in MLflow, in a real store."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from mlflow.exceptions import RestException

from orchestration.tracking import MlflowTracking, RefusedError, values
from tests.orchestration.mlflow_events import (
    RUN,
    STARTED,
    artifact,
    metrics,
    node_finished,
    node_started,
    run_finished,
    run_started,
    settings,
    snapshot,
    whole_run,
)

Event = dict[str, Any]


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store: making one takes MLflow most of a second."""
    home = tmp_path_factory.mktemp("store")
    _ = MlflowTracking(settings(home)).client
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, empty_store: Path) -> Path:
    """A home folder with an empty store."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


def deliver(home: Path, events: list[Event]) -> MlflowTracking:
    tracking = MlflowTracking(settings(home))
    for event in events:
        tracking.deliver(event)
    return tracking


def named(home: Path) -> dict[str, Event]:
    return {run["name"]: run for run in snapshot(settings(home).tracking)["runs"]}


class TestAWholeRun:
    def test_runs_are_nested_by_attempt_with_their_states(self, home: Path, tmp_path: Path) -> None:
        deliver(home, whole_run(tmp_path))
        runs = named(home)
        told = {
            name: (run["status"], run["tags"]["headrace.state"], run["parent"]) for name, run in runs.items()
        }
        assert told == {
            RUN: ("FINISHED", "SUCCEEDED", None),
            "read_csv": ("FINISHED", "CACHED", RUN),
            "train_model": ("FAILED", "FAILED", RUN),
            "train_model #2": ("FINISHED", "SUCCEEDED", RUN),
            "evaluate_model": ("FINISHED", "SUCCEEDED", RUN),
            "push_model": ("FINISHED", "SUCCEEDED", RUN),
            "notify": ("KILLED", "SKIPPED", RUN),
        }
        assert snapshot(settings(home).tracking)["experiments"] == ["taxi"]

    def test_parameters_metrics_and_times_arrive(self, home: Path, tmp_path: Path) -> None:
        deliver(home, whole_run(tmp_path))
        runs = named(home)
        assert runs[RUN]["params"] == {"epochs": "2", "data": "rows.csv"}
        assert runs[RUN]["metrics"]["train_model.loss"] == [(0, 0.25, STARTED + 9_000)]
        assert runs["train_model"]["params"] == {"epochs": "2", "layers": '{"hidden": [8, 8]}'}
        assert [step for step, _, _ in runs["train_model"]["metrics"]["loss"]] == [0, 1, 2, 3]
        assert runs["train_model #2"]["metrics"]["cpu_seconds"] == [(0, 0.25, STARTED + 200)]
        assert runs["train_model #2"]["times"] == (STARTED + 110, STARTED + 200)
        assert runs["read_csv"]["metrics"] == {}

    def test_datasets_models_and_files_hang_on_their_runs(self, home: Path, tmp_path: Path) -> None:
        deliver(home, whole_run(tmp_path))
        held, runs = snapshot(settings(home).tracking), named(home)
        assert runs["train_model #2"]["datasets"] == [("examples", "a" * 36, ["examples"])]
        assert runs[RUN]["datasets"] == [("read_csv", "a" * 36, ["read_csv"])]
        assert runs["train_model #2"]["models_out"] == runs[RUN]["models_out"] == ["train_model"]
        assert runs["evaluate_model"]["models_in"] == runs["push_model"]["models_in"] == ["train_model"]
        assert runs["evaluate_model"]["files"] == ["report.html", "tables"]
        assert runs["train_model"]["files"] == ["error.txt"]
        assert held["models"] == [("train_model", "READY", "b" * 64, ["data.txt", "manifest.json"])]

    def test_a_push_becomes_a_registered_version_with_its_alias(self, home: Path, tmp_path: Path) -> None:
        events = whole_run(tmp_path)
        tracking = deliver(home, events)
        held = snapshot(settings(home).tracking)
        assert held["versions"] == [("taxi", "1", "1", RUN)]
        assert held["aliases"] == {"taxi": {"champion": "1"}}
        folder = tracking.client.get_model_version_download_uri("taxi", "1")
        assert Path(folder.removeprefix("file://"), "data.txt").read_text() == "b"

    def test_the_picture_shows_the_states(self, home: Path, tmp_path: Path) -> None:
        deliver(home, whole_run(tmp_path))
        picture = next((home / "mlflow-artifacts").rglob("dag.svg")).read_text()
        for words in ("↺ cached", "✓ succeeded", "⤼ skipped"):
            assert words in picture

    def test_files_stay_below_the_home_folder(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        deliver(home, whole_run(tmp_path))
        assert list(elsewhere.iterdir()) == []


class TestAgain:
    def test_every_event_twice_changes_nothing(self, home: Path, tmp_path: Path) -> None:
        events = whole_run(tmp_path)
        deliver(home, events)
        once = snapshot(settings(home).tracking)
        deliver(home, [event for event in events for _ in range(2)])
        assert snapshot(settings(home).tracking) == once

    def test_every_answer_lost_once_changes_nothing(self, home: Path, tmp_path: Path) -> None:
        events = whole_run(tmp_path)
        reference = tmp_path / "reference"
        shutil.copytree(home, reference)
        deliver(reference, events)
        tracking = MlflowTracking(settings(home))
        losing = _LosesEveryAnswerOnce(tracking.client)
        tracking.client = losing  # type: ignore[assignment]  # a client that works and does not tell
        for event in events:
            while True:
                try:
                    tracking.deliver(event)
                    break
                except ConnectionError:
                    continue
        assert losing.lost > 40
        assert snapshot(settings(home).tracking) == snapshot(settings(reference).tracking)

    def test_a_resumed_run_goes_on_in_the_same_place(self, home: Path, tmp_path: Path) -> None:
        first = [
            run_started(),
            node_started("a", 10),
            node_finished("a", 20, "INTERRUPTED"),
            run_finished("INTERRUPTED"),
        ]
        deliver(home, first)
        assert named(home)[RUN]["status"] == "KILLED"
        again = [
            {**run_started(), "resumed": True},
            node_started("a", 30, 2),
            node_finished("a", 40, attempt=2),
            run_finished(),
        ]
        deliver(home, again)
        states = {name: run["status"] for name, run in named(home).items()}
        assert states == {RUN: "FINISHED", "a": "KILLED", "a #2": "FINISHED"}

    def test_runs_of_two_journals_with_one_id_stay_two(self, home: Path, tmp_path: Path) -> None:
        deliver(home, [run_started(), run_finished()])
        other = MlflowTracking(dataclasses.replace(settings(home), journal="sqlite:////elsewhere/journal.db"))
        other.deliver(run_started())
        assert [run["name"] for run in snapshot(settings(home).tracking)["runs"]] == [RUN, RUN]

    def test_an_unchanged_model_is_logged_once_and_linked_to_both_runs(
        self, home: Path, tmp_path: Path
    ) -> None:
        def events(run: str) -> list[Event]:
            model = artifact(tmp_path, "model", "model", "b")
            made = [run_started(), node_finished("train", 10, "CACHED", outputs=[model]), run_finished()]
            return [{**event, "run_id": run} for event in made]

        deliver(home, events("one") + events("two"))
        held = snapshot(settings(home).tracking)
        assert len(held["models"]) == 1
        assert [run["models_out"] for run in held["runs"] if run["name"] == "train"] == [["train"], ["train"]]


class _LosesEveryAnswerOnce:
    """Does what the client does, but the first answer to each different call never arrives."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seen: set[str] = set()
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            key = re.sub(r"headrace-tracking-\w+", "", f"{name} {args} {kwargs}")
            if key not in self._seen:
                self._seen.add(key)
                self.lost += 1
                raise ConnectionError(name)
            return answer

        return call


def _raise(error: Exception) -> None:
    raise error


class TestWhatMlflowRefuses:
    def test_long_and_odd_parameters_arrive_marked(self, home: Path) -> None:
        odd = {"long": "x" * 10_000, "a?b": 1, "a!b": 2, "../up": 3}
        deliver(home, [run_started(**odd), run_finished()])
        params = named(home)[RUN]["params"]
        assert params["long"].endswith("… (10,000 characters)")
        assert len(params["long"]) <= values.PARAMETER_LENGTH
        assert sorted(params.values())[:3] == ["1", "2", "3"]

    def test_nan_and_infinity_are_kept(self, home: Path) -> None:
        event = metrics("a", 10, range(1))
        odd = [("nan", math.nan), ("up", math.inf), ("down", -math.inf)]
        event["metrics"] = [{"name": n, "value": v, "step": 0, "time": STARTED} for n, v in odd]
        deliver(home, [run_started(), node_started("a", 1), event, event])
        found = named(home)["a"]["metrics"]
        assert math.isnan(found["nan"][0][1])
        assert len(found["nan"]) == 1
        assert found["up"][0][1] >= 1e308

    def test_many_parameters_and_metrics_take_several_calls(self, home: Path) -> None:
        event = metrics("a", 10, range(1_234))
        many = {f"p{i}": i for i in range(234)}
        deliver(home, [run_started(**many), node_started("a", 1), event])
        assert len(named(home)[RUN]["params"]) == 234
        assert len(named(home)["a"]["metrics"]["loss"]) == 1_234

    def test_a_changed_parameter_is_refused_and_the_rest_arrives(self, home: Path) -> None:
        tracking = deliver(home, [run_started(epochs=1)])
        with pytest.raises(RefusedError, match="Changing param values is not allowed"):
            tracking.deliver({**run_started(epochs=2), "graph": {"nodes": [{"name": "new", "needs": []}]}})
        picture = next((home / "mlflow-artifacts").rglob("dag.svg")).read_text()
        assert "new" in picture

    def test_a_missing_attachment_is_told_and_the_rest_arrives(self, home: Path, tmp_path: Path) -> None:
        tracking = deliver(home, [run_started(), node_started("a", 1)])
        gone = {"name": "gone.html", "path": str(tmp_path / "gone.html")}
        with pytest.raises(RefusedError, match=r"gone\.html"):
            tracking.deliver(node_finished("a", 20, attachments=[gone]))
        assert named(home)["a"]["status"] == "FINISHED"

    def test_an_event_at_which_the_server_fails_again_and_again_is_given_up(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tracking = deliver(home, [run_started()])
        errors: list[Exception] = [ConnectionError("away")] * 30
        errors += [RestException({"error_code": "INTERNAL_ERROR", "message": "odd bytes"})] * 30
        monkeypatch.setattr(tracking.client, "log_batch", lambda *_, **__: _raise(errors.pop(0)))
        event = node_started("a", 1, epochs=1)
        for _ in range(40):
            with pytest.raises((ConnectionError, RestException)):
                tracking.deliver(event)
        with pytest.raises(RefusedError, match="odd bytes"):
            tracking.deliver(event)

    def test_an_event_of_an_unknown_run_is_refused(self, home: Path) -> None:
        with pytest.raises(RefusedError, match="MLflow has no run"):
            deliver(home, [node_started("a", 1)])

    def test_an_event_of_an_unknown_kind_is_refused(self, home: Path) -> None:
        with pytest.raises(RefusedError, match="_on_party"):
            deliver(home, [{"kind": "party", "run_id": RUN}])

    def test_a_run_deleted_in_mlflow_is_told_anew_by_its_next_start(self, home: Path) -> None:
        tracking = deliver(home, [run_started()])
        tracking.client.delete_run(next(iter(tracking._runs.values())).parent)
        for complaint in ("deleted", "was it deleted there"):  # known here, and after a fresh look
            with pytest.raises(RefusedError, match=complaint):
                tracking.deliver(run_finished())
        deliver(home, [run_started(), node_started("a", 1)])
        assert set(named(home)) == {RUN, "a"}

    def test_an_experiment_deleted_in_mlflow_comes_back(self, home: Path) -> None:
        tracking = deliver(home, [run_started(), run_finished()])
        experiment = tracking.client.get_experiment_by_name("taxi")
        assert experiment
        tracking.client.delete_experiment(experiment.experiment_id)
        deliver(home, [{**run_started(), "run_id": "next"}])
        assert "next" in named(home)

    def test_an_old_alias_in_the_queue_does_not_move_a_newer_one_for_good(
        self, home: Path, tmp_path: Path
    ) -> None:
        def push(version: int) -> Event:
            told = {"name": "m", "version": version, "uri": str(tmp_path / str(version)), "alias": "champion"}
            return node_finished(f"push{version}", version, pushes=[told])

        events = [run_started(), push(1), push(2)]
        deliver(home, events)
        deliver(home, events)
        held = snapshot(settings(home).tracking)
        assert [version[:3] for version in held["versions"]] == [("m", "1", "1"), ("m", "2", "2")]
        assert held["aliases"] == {"m": {"champion": "2"}}


class TestSecrets:
    def test_no_secret_reaches_the_store(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAREHOUSE_PASSWORD", "correct-horse")
        leaking = "postgresql://me:tr0ub4dor@db/x failed for correct-horse"
        rows = artifact(tmp_path, "rows", "dataset", "a")
        rows["uri"] = "s3://key:tr0ub4dor@bucket/rows"
        rows["metadata"] = {"source": leaking}
        deliver(
            home,
            [
                run_started(source=leaking),
                node_started("a", 1, url=leaking),
                node_finished("a", 9, "FAILED", error=leaking, reason=leaking, inputs=[rows]),
                run_finished("FAILED"),
            ],
        )
        texts = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
        assert any(b"***" in text for text in texts)
        for secret in (b"correct-horse", b"tr0ub4dor"):
            assert not any(secret in text for text in texts)


class TestValues:
    @given(st.text(max_size=400))
    def test_mlflow_takes_every_name(self, name: str) -> None:
        from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

        clean = values.entity_name(name)
        for check in (_validate_metric_name, _validate_param_name, _validate_tag_name):
            check(clean)
        assert len(clean) <= values.NAME_LENGTH

    @given(st.text(max_size=400))
    def test_mlflow_takes_every_model_name(self, name: str) -> None:
        from mlflow.utils.validation import _validate_logged_model_name, _validate_model_name

        clean = values.model_name(name)
        _validate_logged_model_name(clean)
        _validate_model_name(clean)

    @given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
    def test_two_names_stay_two(self, one: str, other: str) -> None:
        assert (values.entity_name(one) == values.entity_name(other)) == (one == other)

    @given(st.text(max_size=300), st.integers(40, 200))
    def test_a_shortened_text_fits(self, text: str, limit: int) -> None:
        short = values.shortened(text, limit)
        assert len(short) <= limit
        assert short == text or f"{len(text):,} characters" in short
