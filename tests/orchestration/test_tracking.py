"""What the journal tells becomes runs in MLflow, in a real store."""

from __future__ import annotations

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import RestException

from orchestration.records import Run, RunState, State
from orchestration.tracking import MlflowTracking, values
from tests.orchestration.tracked import (
    RUN,
    STARTED,
    Step,
    Teller,
    a_run,
    artifact,
    began,
    ended,
    ended_run,
    losses,
    put,
    settings,
    snapshot,
    whole_run,
)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store: making one takes MLflow most of a second."""
    home = tmp_path_factory.mktemp("store")
    Teller(home)
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, empty_store: Path) -> Path:
    """A home folder with an empty store."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


def held(home: Path) -> dict[str, Any]:
    return snapshot(settings(home).tracking)


def named(home: Path) -> dict[str, dict[str, Any]]:
    return {run["name"]: run for run in held(home)["runs"]}


class TestAWholeRun:
    def test_runs_are_nested_by_attempt_with_their_states(self, home: Path, tmp_path: Path) -> None:
        assert Teller(home).tell(*whole_run(tmp_path)) == []
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
        assert held(home)["experiments"] == ["taxi"]

    def test_it_goes_on_in_mlflow_while_it_goes_on(self, home: Path, tmp_path: Path) -> None:
        steps = whole_run(tmp_path)
        Teller(home, *steps[:4])
        runs = named(home)
        assert {name: run["status"] for name, run in runs.items()} == {
            RUN: "RUNNING",
            "read_csv": "FINISHED",
            "train_model": "RUNNING",
        }
        assert runs["train_model"]["params"] == {"epochs": "2", "layers": '{"hidden": [8, 8]}'}
        assert [step for step, _, _ in runs["train_model"]["metrics"]["loss"]] == [0, 1]
        assert set(runs["train_model"]["metrics"]) == {"loss"}

    def test_parameters_metrics_and_times_arrive(self, home: Path, tmp_path: Path) -> None:
        Teller(home, *whole_run(tmp_path))
        runs = named(home)
        assert runs[RUN]["params"] == {"epochs": "2", "data": "rows.csv"}
        assert runs[RUN]["metrics"] == {"train_model.loss": [(0, 0.25, STARTED + 9_000)]}
        assert runs["train_model"]["params"] == {"epochs": "2", "layers": '{"hidden": [8, 8]}'}
        assert [step for step, _, _ in runs["train_model"]["metrics"]["loss"]] == [0, 1, 2, 3]
        assert runs["train_model #2"]["metrics"]["cpu_seconds"] == [(0, 0.25, STARTED + 200)]
        assert runs["train_model #2"]["metrics"]["seconds"] == [(0, 0.09, STARTED + 200)]
        assert runs["train_model #2"]["times"] == (STARTED + 110, STARTED + 200)
        assert runs["read_csv"]["metrics"] == runs["notify"]["metrics"] == {}

    def test_tags_tell_what_an_attempt_was(self, home: Path, tmp_path: Path) -> None:
        Teller(home, *whole_run(tmp_path))
        runs = {name: run["tags"] for name, run in named(home).items()}
        assert runs[RUN]["headrace.profile"] == "local"
        assert runs[RUN]["headrace.pipeline"] == runs[RUN]["mlflow.source.name"] == "taxi"
        assert runs["read_csv"]["headrace.reason"] == "same as taxi-1"
        second = runs["train_model #2"]
        assert (second["headrace.run"], second["headrace.node"]) == (RUN, "train_model")
        assert (second["headrace.attempt"], second["headrace.component"]) == ("2", "train_model")
        assert second["headrace.key"] == "k" * 64
        note = "```text\nValueError: no\n  at model.py:3\n```"
        assert {name: tags.get("mlflow.note.content") for name, tags in runs.items()} == {
            **dict.fromkeys(runs),
            "train_model": note,
        }

    def test_datasets_models_and_files_hang_on_their_runs(self, home: Path, tmp_path: Path) -> None:
        Teller(home, *whole_run(tmp_path))
        runs = named(home)
        assert runs["train_model #2"]["datasets"] == [("examples", "a" * 36, ["examples"])]
        assert runs[RUN]["datasets"] == [("read_csv", "a" * 36, ["read_csv"])]
        assert runs["train_model #2"]["models_out"] == runs[RUN]["models_out"] == ["train_model"]
        assert runs["evaluate_model"]["models_in"] == runs["push_model"]["models_in"] == ["train_model"]
        assert runs["evaluate_model"]["files"] == ["report.html", "tables"]
        assert runs["train_model"]["files"] == ["error.txt"]
        assert held(home)["models"] == [("train_model", "READY", "b" * 64, ["data.txt", "manifest.json"])]

    def test_a_push_becomes_a_registered_version_with_its_alias(self, home: Path, tmp_path: Path) -> None:
        told = Teller(home, *whole_run(tmp_path))  # the attempt that failed has pushed nothing
        assert held(home)["versions"] == [("taxi", "1", "1", RUN)]
        assert held(home)["aliases"] == {"taxi": {"champion": "1"}}
        folder = told.tracking.client.get_model_version_download_uri("taxi", "1")
        assert Path(folder.removeprefix("file://"), "data.txt").read_text() == "b"

    def test_the_picture_shows_the_states(self, home: Path, tmp_path: Path) -> None:
        Teller(home, *whole_run(tmp_path))
        picture = next((home / "mlflow-artifacts").rglob("dag.svg")).read_text()
        for words in ("↺ cached", "✓ succeeded", "⤼ skipped"):
            assert words in picture
        assert "failed" not in picture

    def test_files_stay_below_the_home_folder(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        Teller(home, *whole_run(tmp_path))
        assert list(elsewhere.iterdir()) == []


class TestAgain:
    def test_what_is_told_late_ends_the_same(self, home: Path, tmp_path: Path) -> None:
        steps, late = whole_run(tmp_path), tmp_path / "late"
        shutil.copytree(home, late)
        Teller(home, *steps)
        behind = Teller(late)
        for step in steps:
            put(behind.journal, step)
        assert behind.deliver() == []
        assert held(late) == held(home)

    def test_every_mark_again_by_other_processes_changes_nothing(self, home: Path, tmp_path: Path) -> None:
        steps = whole_run(tmp_path)
        Teller(home, *steps)
        once = held(home)
        for _ in range(2):  # each knows nothing of what was told before
            another = Teller(home)
            last = {(s.node, s.number) if not isinstance(s, Run) else "": s for s in flat(steps)}
            for step in [*last.values(), *(step for step in steps if isinstance(step, tuple))]:
                another.tell(step)
                another.tell(step)
        assert held(home) == once

    def test_every_answer_lost_once_changes_nothing(self, home: Path, tmp_path: Path) -> None:
        steps = whole_run(tmp_path)
        reference = tmp_path / "reference"
        shutil.copytree(home, reference)
        Teller(reference, *steps)
        told = Teller(home)
        losing = _LosesEveryAnswerOnce(told.tracking.client)
        told.tracking.client = told.tracking._models._client = losing  # type: ignore[assignment]
        for step in steps:
            put(told.journal, step)
            while told.journal.pending(1):
                try:
                    assert told.deliver() == []
                except ConnectionError:
                    continue
        assert losing.lost > 40
        assert held(home) == held(reference)

    def test_a_resumed_run_goes_on_in_the_same_place(self, home: Path) -> None:
        run, first, second = a_run(), began("a", 10), began("a", 30, 2)
        Teller(home, run, first, ended(first, 20, State.INTERRUPTED), ended_run(run, RunState.INTERRUPTED))
        assert named(home)[RUN]["status"] == "KILLED"
        again = Teller(home, run)
        assert (named(home)[RUN]["status"], named(home)[RUN]["tags"]["headrace.state"]) == ("RUNNING",) * 2
        again.tell(second, ended(second, 40), ended_run(run))
        states = {name: run["status"] for name, run in named(home).items()}
        assert states == {RUN: "FINISHED", "a": "KILLED", "a #2": "FINISHED"}

    def test_runs_of_two_journals_with_one_id_stay_two(self, home: Path) -> None:
        told = Teller(home, a_run(), ended_run(a_run()))
        elsewhere = replace(settings(home), journal="sqlite:////elsewhere/journal.db")
        told.tracking = MlflowTracking(elsewhere, told.journal)
        told.tell(a_run())
        assert [run["name"] for run in held(home)["runs"]] == [RUN, RUN]

    def test_an_unchanged_model_is_logged_once_and_linked_to_both_runs(
        self, home: Path, tmp_path: Path
    ) -> None:
        model = artifact(tmp_path, "model", "model", "b")
        for run in (a_run("one"), a_run("two")):
            cached = replace(ended(began("train", 5), 10, State.CACHED, outputs=(model,)), run=run.id)
            Teller(home, run, cached, ended_run(run))
        assert len(held(home)["models"]) == 1
        linked = [run["models_out"] for run in held(home)["runs"] if run["name"] == "train"]
        assert linked == [["train"], ["train"]]


def flat(steps: list[Step]) -> list[Any]:
    return [step for step in steps if not isinstance(step, tuple)]


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
        odd: dict[str, Any] = {"long": "x" * 10_000, "a?b": 1, "a!b": 2, "../up": 3}
        run = a_run(**odd)
        Teller(home, run, ended_run(run))
        params = named(home)[RUN]["params"]
        assert params["long"].endswith("… (10,000 characters)")
        assert len(params["long"]) <= values.PARAMETER_LENGTH
        assert sorted(params.values())[:3] == ["1", "2", "3"]

    def test_nan_and_infinity_are_kept(self, home: Path) -> None:
        node = began("a", 1)
        odd = [("nan", math.nan, STARTED, 0), ("up", math.inf, STARTED, 0), ("down", -math.inf, STARTED, 0)]
        Teller(home, a_run(), node, (node, odd), (node, odd))
        found = named(home)["a"]["metrics"]
        assert math.isnan(found["nan"][0][1])
        assert len(found["nan"]) == 1
        assert found["up"][0][1] >= 1e308

    def test_many_parameters_and_metrics_take_several_calls(self, home: Path) -> None:
        node = began("a", 1)
        many: dict[str, Any] = {f"p{i}": i for i in range(234)}
        Teller(home, a_run(**many), node, losses(node, 10, range(1_234)))
        assert len(named(home)[RUN]["params"]) == 234
        assert len(named(home)["a"]["metrics"]["loss"]) == 1_234

    def test_a_changed_parameter_is_refused_and_the_rest_arrives(self, home: Path) -> None:
        told = Teller(home, a_run(epochs=1))
        changed = replace(ended_run(a_run(epochs=2)), graph={"nodes": [{"name": "new", "needs": []}]})
        (refused,) = told.tell(changed)
        assert "Changing param values is not allowed" in refused
        picture = next((home / "mlflow-artifacts").rglob("dag.svg")).read_text()
        assert "new" in picture
        run = named(home)[RUN]
        assert (run["status"], run["tags"]["headrace.state"]) == ("FINISHED", "SUCCEEDED")

    def test_a_missing_attachment_is_told_and_the_rest_arrives(self, home: Path, tmp_path: Path) -> None:
        node = began("a", 1)
        told = Teller(home, a_run(), node)
        gone = {"name": "gone.html", "path": str(tmp_path / "gone.html")}
        (refused,) = told.tell(ended(node, 20, attachments=(gone,)))
        assert "gone.html" in refused
        assert named(home)["a"]["status"] == "FINISHED"

    def test_a_mark_at_which_the_server_fails_again_and_again_is_given_up(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = Teller(home, a_run())
        errors: list[Exception] = [ConnectionError("away")] * 30
        errors += [RestException({"error_code": "INTERNAL_ERROR", "message": "odd bytes"})] * 30
        monkeypatch.setattr(told.tracking.client, "log_batch", lambda *_, **__: _raise(errors.pop(0)))
        put(told.journal, began("a", 1, epochs=1))
        for _ in range(40):
            with pytest.raises((ConnectionError, RestException)):
                told.deliver()
        assert "odd bytes" in told.deliver()[0]
        assert told.journal.pending() == []

    def test_an_attempt_brings_its_run_along(self, home: Path) -> None:
        told = Teller(home)
        put(told.journal, a_run())
        put(told.journal, began("a", 1))
        told.journal.delivered(told.journal.pending()[0])
        assert told.deliver() == []
        assert {name: run["parent"] for name, run in named(home).items()} == {RUN: None, "a": RUN}

    def test_a_run_deleted_in_mlflow_is_told_and_comes_back(self, home: Path) -> None:
        told = Teller(home, a_run())
        told.tracking.client.delete_run(told.tracking._runs[RUN].parent)
        (refused,) = told.tell(a_run())
        assert "deleted" in refused
        assert named(home) == {}
        assert told.tell(began("a", 1)) == []
        assert set(named(home)) == {RUN, "a"}

    def test_an_experiment_deleted_in_mlflow_comes_back(self, home: Path) -> None:
        told = Teller(home, a_run(), ended_run(a_run()))
        experiment = told.tracking.client.get_experiment_by_name("taxi")
        assert experiment
        told.tracking.client.delete_experiment(experiment.experiment_id)
        Teller(home, a_run("next"))
        assert "next" in named(home)

    def test_an_old_alias_in_the_queue_does_not_move_a_newer_one_for_good(
        self, home: Path, tmp_path: Path
    ) -> None:
        def push(version: int) -> Step:
            told = {"name": "m", "version": version, "uri": str(tmp_path / str(version)), "alias": "champion"}
            return ended(began(f"push{version}", 1), version, pushes=(told,))

        for _ in range(2):
            Teller(home, a_run(), push(1), push(2))
        assert [version[:3] for version in held(home)["versions"]] == [("m", "1", "1"), ("m", "2", "2")]
        assert held(home)["aliases"] == {"m": {"champion": "2"}}


class TestSecrets:
    def test_no_secret_reaches_the_store(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WAREHOUSE_PASSWORD", "correct-horse")
        leaking = "postgresql://me:tr0ub4dor@db/x failed for correct-horse"
        rows = artifact(tmp_path, "rows", "dataset", "a")
        rows = replace(rows, uri="s3://key:tr0ub4dor@bucket/rows", metadata={"source": leaking})
        run, node = a_run(source=leaking), began("a", 1, url=leaking)
        failed = ended(node, 9, State.FAILED, error=leaking, reason=leaking, inputs=(rows,))
        measured = [("correct-horse", 1.0, STARTED, 0)]
        Teller(home, run, node, (node, measured), failed, ended_run(run, RunState.FAILED))
        files = [path for path in home.rglob("*") if path.is_file()]
        told = [path.read_bytes() for path in files if not path.name.startswith("journal.db")]
        assert any(b"***" in text for text in told)
        for secret in (b"correct-horse", b"tr0ub4dor"):
            assert not any(secret in text for text in told)

    def test_a_name_that_is_a_secret_too_is_found_again(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_PASSWORD", "training")
        run, node = a_run("training-1"), began("training", 1)
        node = replace(node, run=run.id)
        for steps in (
            (run, node),
            (node, (node, [("loss", 1.0, STARTED, 0)])),
            (ended(node, 9), ended_run(run)),
        ):
            Teller(home, *steps)
        assert {name: found["status"] for name, found in named(home).items()} == {
            "***-1": "FINISHED",
            "***": "FINISHED",
        }
        assert len(held(home)["runs"]) == 2
