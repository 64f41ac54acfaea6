"""Wrong pipelines: each error is found before anything runs, and reads as it was reviewed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.cli.discovery import load_pipeline
from orchestration.errors import HeadraceError
from orchestration.run import run_pipeline
from orchestration.settings import Settings
from tests.orchestration import snapshots
from tests.orchestration.snapshots import ROOT

WRONG = sorted((ROOT / "tests" / "pipelines_for_tests" / "wrong").glob("*.py"))


def _run(file: Path, settings: Settings) -> None:
    found = load_pipeline(str(file.relative_to(ROOT)), ROOT)
    run_pipeline(found, found.bind({}), settings=settings, in_process=True)


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_a_wrong_pipeline_is_told_before_anything_runs(file: Path, settings: Settings) -> None:
    with pytest.raises(HeadraceError) as caught:
        _run(file, settings)
    error = caught.value
    snapshots.check(f"wrong_{file.stem}", f"{type(error).__name__}: {error}")
    assert not settings.home.exists()  # no journal, no artifact: nothing was begun
    assert error.exit_code in (1, 2)


def test_every_error_names_the_users_own_line() -> None:
    for file in WRONG:
        text = (snapshots.FOLDER / f"wrong_{file.stem}.txt").read_text(encoding="utf-8")
        if file.stem in ("several", "none_here"):  # about a whole file
            continue
        at = re.search(r"^  at        (.+?):(\d+)  (.+)$", text, re.MULTILINE)
        assert at is not None, file.stem
        assert at[1] == str(file.relative_to(ROOT))
        assert file.read_text(encoding="utf-8").splitlines()[int(at[2]) - 1].strip() == at[3]


def test_no_error_is_longer_than_a_person_reads() -> None:
    for snapshot in snapshots.FOLDER.glob("*.txt"):
        lines = snapshot.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 8, snapshot.name
        assert re.match(r"(\w+: |the node's process )", lines[0]), snapshot.name


def test_there_is_a_snapshot_for_every_wrong_pipeline_and_no_other() -> None:
    kept = {path.stem for path in snapshots.FOLDER.glob("wrong_*.txt")}
    assert kept == {f"wrong_{file.stem}" for file in WRONG}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"data": "x", "epochs": "many"}, True),
        ({"data": "x", "epochs": 1.5}, False),
        ({"data": "x", "epocks": "3"}, True),
        ({"epochs": "3"}, True),
        ({"data": "x", "layers": "3,4"}, True),
        ({"data": "x", "size": "huge"}, True),
    ],
    ids=["wrong_text", "wrong_type", "unknown", "missing", "no_json", "no_choice"],
)
def test_a_wrong_run_parameter_is_told(
    given: dict[str, object], text: bool, request: pytest.FixtureRequest
) -> None:
    found = load_pipeline("tests/pipelines_for_tests/good.py:tuned", ROOT)
    with pytest.raises(HeadraceError) as caught:
        found.bind(given, text=text)
    case = request.node.callspec.id
    snapshots.check(f"parameter_{case}", f"{type(caught.value).__name__}: {caught.value}")


@pytest.mark.parametrize("where", ["pipelines/nothing.py", "nobody", "tax", "pipelines/taxi.py:tuna"])
def test_a_pipeline_that_is_not_there_is_told(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "helper.py").write_text("N = 1\n")
    source = (ROOT / "tests" / "pipelines_for_tests" / "wrong" / "several.py").read_text()
    (tmp_path / "pipelines" / "taxi.py").write_text(source)
    with pytest.raises(HeadraceError) as caught:
        load_pipeline(where, tmp_path)
    name = re.sub(r"\W", "_", where.rpartition("/")[2])
    snapshots.check(f"place_{name}", f"{type(caught.value).__name__}: {caught.value}")
