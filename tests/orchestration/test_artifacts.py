"""Artifacts: folders of files with facts about them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration import Artifact, ArtifactError
from orchestration.artifacts import location, staging
from tests.pipelines_for_tests.steps import Number


def test_a_new_artifact_lies_in_the_staging_folder_of_its_node(tmp_path: Path) -> None:
    with staging(tmp_path):
        one, other = Number.new(n=1), Number.new(n=1)
    assert one.path.parent == other.path.parent == tmp_path
    assert one.path != other.path
    assert one.metadata == {"n": 1} and one.digest == ""


def test_outside_a_run_it_lies_in_a_temporary_folder() -> None:
    assert Number.new().path.is_dir()


def test_what_was_made_outside_a_run_goes_with_the_process(tmp_path: Path) -> None:
    code = (
        "from orchestration import Artifact, Beam, RunContext\n"
        "run = RunContext()\n"
        "for folder in (Artifact.new().path, Beam().scratch, run.folder, run.scratch):\n"
        "    (folder / 'x').touch()\n"
        "import os; print(*os.listdir(os.environ['TMPDIR']))\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    child = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": root},
    )
    assert len(child.stdout.split()) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_file_for_writing_gets_its_folder(tmp_path: Path) -> None:
    with staging(tmp_path):
        number = Number.new()
    number.file("deep/er/x.bin").write_bytes(b"x")
    assert (number.path / "deep" / "er" / "x.bin").read_bytes() == b"x"


def test_a_published_artifact_gets_no_new_folders(tmp_path: Path) -> None:
    number = Number(str(tmp_path), {}, "d" * 64)
    number.file("deep/x.bin")
    assert not (tmp_path / "deep").exists()


def test_equal_values_give_equal_json_bytes(tmp_path: Path) -> None:
    with staging(tmp_path):
        one, other = Number.new(), Number.new()
    one.write_json("x.json", {"b": 1, "a": ["ü", None]})
    other.write_json("x.json", {"a": ["ü", None], "b": 1})
    assert one.file("x.json").read_bytes() == other.file("x.json").read_bytes()
    assert one.read_json("x.json") == {"a": ["ü", None], "b": 1}
    with pytest.raises(ValueError, match="JSON"):
        one.write_json("y.json", float("nan"))


def test_a_file_that_is_missing_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    number = Number(str(tmp_path), {})
    with pytest.raises(ArtifactError) as caught:
        number.read_json("x.json")
    assert caught.value.received == "an empty folder"
    (tmp_path / "y.json").write_text("1")
    with pytest.raises(ArtifactError, match=r"Number has no file x\.json") as caught:
        number.read_json("x.json")
    assert caught.value.received == "y.json"


def test_a_location_is_local_or_remote() -> None:
    assert location("/a/b") == Path("/a/b")
    remote = location("memory://a/b")
    (remote / "c.json").write_text(json.dumps(1))
    assert Artifact("memory://a/b").read_json("c.json") == 1
