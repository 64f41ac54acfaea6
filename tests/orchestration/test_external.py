"""Names outside the pipeline whose content counts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from orchestration import DataError, External, Files


def digest_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("a.csv", "b.csv", "deep/c.csv", ".hidden.csv", "_part.csv", "note.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.csv", ["a.csv"]), ("*.csv", ["a.csv", "b.csv"]), ("?.csv", ["a.csv", "b.csv"]),
        ("", ["a.csv", "b.csv", "note.txt"]), ("deep", ["c.csv"]), ("**/*.csv", ["a.csv", "b.csv", "c.csv"]),
    ],
)  # fmt: skip
def test_paths_of_a_file_a_folder_and_a_pattern(data: Path, pattern: str, expected: list[str]) -> None:
    assert [path.name for path in Files(f"{data}/{pattern}").paths()] == expected
    assert [path.name for path in Files(f"file://{data}/{pattern}").paths()] == expected


def test_brackets_in_a_name_that_exists_are_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "x[1].csv").write_text("1")
    assert Files(str(tmp_path / "x[1].csv")).paths() == [tmp_path / "x[1].csv"]


@pytest.mark.parametrize("pattern", ["nothing.csv", "*.parquet", "no/such/folder"])
def test_nothing_that_matches_is_an_error_with_a_next_step(data: Path, pattern: str) -> None:
    with pytest.raises(DataError, match="no input file matches") as caught:
        Files(f"{data}/{pattern}").paths()
    assert caught.value.next == f"ls {data}/{pattern}"
    assert caught.value.received is not None and str(Path.cwd()) in caught.value.received


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        Files(str(tmp_path)).paths()


@given(st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=8), min_size=1))
def test_the_digest_follows_names_and_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for folder, order in ((one, files.items()), (other, reversed(files.items()))):
        for name, content in order:
            (folder / name).write_bytes(content)
    digests = [Files(str(folder)).content_digest({}, digest_file) for folder in (one, other)]
    assert digests[0] == digests[1]
    name = next(iter(files))
    (other / name).write_bytes(files[name] + b"!")
    assert Files(str(other)).content_digest({}, digest_file) != digests[0]
    (other / name).write_bytes(files[name])
    (other / "more").write_bytes(b"")
    assert Files(str(other)).content_digest({}, digest_file) != digests[0]


def test_an_external_without_a_digest_is_told() -> None:
    with pytest.raises(NotImplementedError, match=r"External\.content_digest"):
        External("x").content_digest({}, digest_file)
