"""``push_model``: gates, versions, the pointer, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Evaluation, Model, PushedModel, ServingCheck
from components.live_model import LiveModel
from components.push_model import push_model
from components.serving.models_folder import ModelsFolder, Pointer, Version, model_digest, models_root
from orchestration import ArgumentError, ArtifactError, RunContext, SkipNode
from tests.components.serving.tiny_model import champion_file, tiny_model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def push(model: Model, *, blessed: bool = True, ready: bool = True, **options: Any) -> PushedModel:
    evaluation = Evaluation.new(blessed=blessed, reasons=[] if blessed else ["auc ≥ 0.7: auc is 0.6"])
    check = ServingCheck.new(ready=ready, reasons=[] if ready else ["row 3 differs"])
    return push_model(model, evaluation, check, **{"name": "taxi", **options})


def test_the_first_push_makes_version_1_live(home: Path) -> None:
    events: list[dict[str, Any]] = []
    model = tiny_model()
    pushed = push(model, run=RunContext(pipeline="taxi", emit=events.append))
    folder = home / "models" / "taxi" / "1"
    assert pushed.metadata == {"name": "taxi", "version": 1, "alias": "champion"}
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.onnx", "pushed.json"]
    assert champion_file(home / "models", "taxi") == {
        "version": 1,
        "digest": model_digest(model),
        "previous": None,
    }
    assert events == [
        {"kind": "pushes", "name": "taxi", "version": 1, "uri": str(folder), "alias": "champion"}
    ]
    assert pushed.read_json("pushed.json") == {**pushed.metadata, "digest": model_digest(model)}


def test_the_saved_model_lies_where_tensorflow_serving_looks(home: Path) -> None:
    model = tiny_model()
    model.file("serving/saved_model/saved_model.pb").write_bytes(b"graph")
    model.file("serving/saved_model/variables/variables.index").write_bytes(b"index")
    push(model)
    assert (home / "models/taxi/1/saved_model.pb").read_bytes() == b"graph"
    assert (home / "models/taxi/1/variables/variables.index").read_bytes() == b"index"


def test_the_same_model_is_never_pushed_twice(home: Path) -> None:
    first, second = tiny_model(), tiny_model(slope=2)
    assert [push(m).metadata["version"] for m in (first, first, second, second, first)] == [1, 1, 2, 2, 1]
    assert champion_file(home / "models", "taxi") == {
        "version": 1,
        "digest": model_digest(first),
        "previous": {"version": 2, "digest": model_digest(second)},
    }
    assert ModelsFolder(home / "models", "taxi").versions() == [1, 2]


def test_another_alias_leaves_the_champion_alone(home: Path) -> None:
    push(tiny_model())
    push(tiny_model(slope=2), alias="challenger")
    assert champion_file(home / "models", "taxi")["version"] == 1
    assert json.loads((home / "models/taxi/challenger.json").read_text())["version"] == 2


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"blessed": False}, "not blessed: auc ≥ 0.7: auc is 0.6"),
        ({"ready": False}, "not ready to serve: row 3 differs"),
    ],
)
def test_an_unfit_model_stays_where_it_is(home: Path, state: dict[str, bool], reason: str) -> None:
    with pytest.raises(SkipNode, match=reason):
        push(tiny_model(), **state)
    assert not (home / "models").exists()


def test_missing_verdicts_are_no_verdicts() -> None:
    with pytest.raises(SkipNode, match="not blessed: no reason recorded; not ready"):
        push_model(tiny_model(), Evaluation.new(), ServingCheck.new(), name="taxi")


def test_an_override_is_recorded() -> None:
    pushed = push(tiny_model(), blessed=False, override="Ana, incident 7: the old model is worse")
    record = pushed.read_json("pushed.json")
    assert record["override"] == "Ana, incident 7: the old model is worse"
    assert record["objections"] == ["not blessed: auc ≥ 0.7: auc is 0.6"]
    assert "override" not in push(tiny_model(), override="not needed").read_json("pushed.json")


def test_a_model_without_an_export_is_refused(home: Path) -> None:
    model = tiny_model()
    (model.path / "serving/model.onnx").unlink()
    with pytest.raises(ArtifactError, match="cannot be served"):
        push(model)
    assert ModelsFolder(home / "models", "taxi").versions() == []


@pytest.mark.parametrize("name", ["../up", ".hidden", "a/b", "", "ä", "-x"])
def test_a_name_that_is_no_folder_and_no_url_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be used"):
        ModelsFolder(tmp_path, name)


def test_pushes_at_the_same_time_get_versions_of_their_own(home: Path) -> None:
    models = [tiny_model(slope=n) for n in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(lambda m: push(m).metadata["version"], [*models, *models]))
    assert sorted(versions[:6]) == [1, 2, 3, 4, 5, 6]
    assert versions[:6] == versions[6:]


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that SIGKILLs itself before its ``step``-th change to the disk."""
    child = os.fork()
    if child == 0:
        left = [step]
        for module, name in (
            (Path, "mkdir"),
            (Path, "rename"),
            (Path, "replace"),
            (Path, "write_text"),
            (shutil, "copyfile"),
            (os, "fsync"),
        ):
            setattr(module, name, _counting(getattr(module, name), left))
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _counting(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return counted


def test_a_kill_at_any_step_leaves_the_old_model_live_and_the_next_push_succeeds(home: Path) -> None:
    old, new = tiny_model(), tiny_model(slope=2)
    step, kills = 0, 0
    while True:
        shutil.rmtree(home, ignore_errors=True)
        push(old)
        folder = ModelsFolder(home / "models", "taxi")
        killed = killed_at(step, lambda: push(new))
        live = folder.pointer()
        assert live is not None
        assert live.current.digest in (model_digest(old), model_digest(new))
        for version in folder.versions():
            assert (folder.version_path(version) / "model.onnx").stat().st_size > 0
        assert push(new).metadata["version"] == 2
        assert folder.pointer() == Pointer(Version(2, model_digest(new)), Version(1, model_digest(old)))
        assert folder.versions() == [1, 2]
        assert not list(folder.path.glob(".staging-*"))
        if not killed:
            break
        kills += 1
        step += 1
    assert kills >= 8


def published(model: Model) -> Model:
    """Return the model as a run has it: with its digest."""
    return Model(model.uri, model.metadata, model_digest(model))


def test_the_live_model_counts_by_content_and_never_against_itself() -> None:
    first, second = published(tiny_model()), published(tiny_model(slope=2))

    def digest(name: str, candidate: Model) -> str:
        return LiveModel(name).content_digest({"model": candidate}, str)

    assert digest("taxi", first) == ""
    push(first)
    assert (digest("taxi", first), digest("taxi", second)) == ("", first.digest)
    push(second)
    assert (digest("taxi", first), digest("taxi", second)) == (second.digest, first.digest)
    assert digest("other", first) == ""
    assert digest("", second) == f"taxi:{first.digest}"
    assert models_root().name == "models"
