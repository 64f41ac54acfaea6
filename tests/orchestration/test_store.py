"""Publishing artifacts: whole or not at all, once, verified, repaired."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestration.artifacts import MANIFEST, Artifact, load_type, staging, type_name
from orchestration.errors import ArtifactError
from orchestration.store import DAMAGED, publish, verify
from tests.orchestration.conformance import check_refusals, check_store
from tests.pipelines_for_tests.steps import Number

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.from_regex(r"[a-zA-Z0-9_\-][a-zA-Z0-9_\-.]{0,8}", fullmatch=True).filter(lambda n: n != MANIFEST)


@pytest.mark.parametrize("kind", ["local", "file", "memory"])
def test_every_store_conforms(kind: str, tmp_path: Path) -> None:
    root = {
        "local": str(tmp_path / "artifacts"),
        "file": f"file://{tmp_path}/artifacts",
        "memory": f"memory://{tmp_path.name}/artifacts",
    }[kind]
    check_store(root, tmp_path / "staging")
    check_refusals(root, tmp_path / "staging")


@given(
    files=st.dictionaries(_NAMES, st.binary(max_size=64), max_size=5),
    metadata=st.dictionaries(st.text(), _JSON),
)
def test_the_digest_follows_from_the_content_alone(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], metadata: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    orders = (list(files.items()), list(reversed(files.items())))
    made = []
    for number, order in enumerate(orders):
        with staging(folder / str(number)):
            artifact = Number.new()
        artifact.metadata = dict(reversed(metadata.items())) if number else dict(metadata)
        for name, content in order:
            artifact.file(name).write_bytes(content)
        made.append(publish(artifact, str(folder / "artifacts")))
    assert made[0].digest == made[1].digest
    assert verify(made[0]) == ""
    shutil.rmtree(folder)


@given(position=st.integers(0, 10_000), change=st.integers(1, 255))
def test_any_changed_byte_of_a_file_or_the_manifest_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, position: int, change: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    artifact = publish(a_number(folder), str(folder / "artifacts"))
    for name in ("number.txt", MANIFEST):
        path = artifact.path / name
        content = bytearray(path.read_bytes())
        where = position % len(content)
        content[where] ^= change
        same = name == MANIFEST and _same_json(bytes(content), path.read_bytes())
        path.write_bytes(bytes(content))
        assert same or verify(artifact) != "", name
        shutil.rmtree(artifact.path)
        artifact = publish(a_number(folder), str(folder / "artifacts"))
    shutil.rmtree(folder)


def _same_json(one: bytes, other: bytes) -> bool:
    """Whether only the white space differs, which changes nothing that is read."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@given(_JSON)
def test_no_manifest_makes_verify_raise(tmp_path_factory: pytest.TempPathFactory, manifest: object) -> None:
    folder = tmp_path_factory.mktemp("store")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert verify(Number(str(folder), {}, "d" * 64)) != ""
    (folder / MANIFEST).write_text(json.dumps({"digest": "d" * 64, "files": manifest}))
    assert verify(Number(str(folder), {}, "d" * 64)) != ""
    shutil.rmtree(folder)


def a_number(folder: Path, text: str = "1\n") -> Number:
    with staging(folder / "staging"):
        number = Number.new(n=1)
    number.file("number.txt").write_text(text)
    return number


def test_a_damaged_copy_is_set_aside_not_lost(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    first = publish(a_number(tmp_path), str(root))
    (first.path / "number.txt").write_text("evidence\n")
    publish(a_number(tmp_path), str(root))
    (aside,) = (root / DAMAGED).iterdir()
    assert (aside / "number.txt").read_text() == "evidence\n"


def test_a_file_with_the_manifests_name_is_refused(tmp_path: Path) -> None:
    number = a_number(tmp_path)
    number.file(MANIFEST).write_text("{}")
    with pytest.raises(ArtifactError, match="is the manifest's name"):
        publish(number, str(tmp_path / "artifacts"))


def test_a_type_travels_by_name() -> None:
    assert load_type(type_name(Number)) is Number


@pytest.mark.parametrize("name", ["no.such.module:X", "json:Nothing", "json:loads"])
def test_a_type_that_is_gone_is_told(name: str) -> None:
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        load_type(name)


# Several at once


def test_processes_may_publish_the_same_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        uris = list(pool.map(_publish, [str(tmp_path)] * 40, range(40)))
    assert len(set(uris)) == 1
    digest = Path(uris[0]).name
    assert verify(Artifact(uris[0], {}, digest)) == ""
    assert [path.name for path in (tmp_path / "artifacts" / "Number").iterdir()] == [digest]


def test_processes_may_repair_the_same_at_once(tmp_path: Path) -> None:
    first = publish(a_number(tmp_path), str(tmp_path / "artifacts"))
    (first.path / "number.txt").write_text("damaged")
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(8, mp_context=context) as pool:
        uris = list(pool.map(_publish, [str(tmp_path)] * 16, range(16)))
    assert set(uris) == {first.uri}
    assert verify(first) == ""


def _publish(folder: str, number: int) -> str:
    return publish(a_number(Path(folder) / str(number)), str(Path(folder) / "artifacts")).uri


@pytest.mark.parametrize("moment", [0.002 * step for step in range(12)])
def test_killed_at_any_moment_nothing_half_written_is_published(tmp_path: Path, moment: float) -> None:
    root = tmp_path / "artifacts"
    pid = os.fork()
    if pid == 0:
        _publish_for_ever(tmp_path, root)
    while not (root / "Number").exists():
        time.sleep(0.001)
    time.sleep(moment)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    published = list((root / "Number").iterdir())
    assert published
    for folder in published:
        assert verify(Artifact(str(folder), {}, folder.name)) == ""


def _publish_for_ever(folder: Path, root: Path) -> None:
    try:
        number = 0
        while True:
            number += 1
            publish(a_number(folder / "work", text=f"{number}\n" * 20_000), str(root))
    finally:
        os._exit(1)


def test_an_upload_that_broke_off_is_not_taken_for_whole(tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}-broken"
    whole = publish(a_number(tmp_path), root)
    (whole.path / MANIFEST).unlink()  # it is written last
    assert "no readable manifest" in verify(whole)
    assert verify(publish(a_number(tmp_path), root)) == ""


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b""), lambda path: path.write_text("2\n")],
    ids=["cut", "changed"],
)
def test_a_damaged_upload_is_written_again(tmp_path: Path, damage: Damage) -> None:
    root = f"memory://{tmp_path.name}-damaged"
    whole = publish(a_number(tmp_path), root)
    damage(whole.path / "number.txt")
    assert verify(whole) != ""
    assert verify(publish(a_number(tmp_path), root)) == ""
