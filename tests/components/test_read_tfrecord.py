from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.data.errors import ColumnTypeError
from components.read_tfrecord import read_tfrecord
from orchestration import DataError, MissingExtraError
from tests.components.reading.tf_examples import Feature, contents, encode

google_crc32c = pytest.importorskip("google_crc32c", reason="the extra headrace[tfrecord] is not installed")

ROOT = Path(__file__).resolve().parents[2]
WHOLE = {"all": 1.0}
ASIDE: dict[str, Any] = {"on_bad_rows": "quarantine"}


def masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def write(folder: Path, name: str, *rows: dict[str, Feature]) -> Path:
    path = folder / name
    path.write_bytes(b"".join(framed(encode(row)) for row in rows))
    return path


def table(examples: Examples) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in examples.files("all")])


def test_what_tensorflow_writes_is_read_without_it(tmp_path: Path) -> None:
    script = """
        import sys
        import tensorflow as tf

        def feature(values):
            if isinstance(values[0], bytes):
                return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
            if isinstance(values[0], float):
                return tf.train.Feature(float_list=tf.train.FloatList(value=values))
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

        from tests.components.reading.tf_examples import contents

        both = tf.train.Example(features=tf.train.Features(feature={"a": feature([7])}))
        assert contents(both.SerializeToString())["a"] == ("int64", [7])  # TensorFlow has its own
        for compression in ("", "GZIP"):
            with tf.io.TFRecordWriter(f"{sys.argv[1]}/{compression or 'plain'}.tfrecord", compression) as out:
                for n in range(300):
                    row = {"id": [n - 7], "half": [n / 2], "word": ["Zürich".encode()], "raw": [b"\\xff"],
                           "tags": [b"x"] * (1 + n % 3)}
                    if n % 4 == 0:
                        del row["half"]
                    features = {name: feature(values) for name, values in row.items()}
                    features["nothing"] = tf.train.Feature()
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    out.write(example.SerializeToString())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], check=True, cwd=ROOT)
    loaded = "tensorflow" in sys.modules  # by another test
    plain, packed = (
        read_tfrecord(str(tmp_path / f"{name}.tfrecord"), splits=WHOLE) for name in ("plain", "GZIP")
    )
    assert ("tensorflow" in sys.modules) is loaded
    assert plain.metadata["columns"] == {
        "half": "float",
        "id": "int64",
        "raw": "binary",
        "tags": "list<item: string>",
        "word": "string",
    }
    rows = table(plain).to_pylist()
    assert rows[5] == {"half": 2.5, "id": -2, "raw": b"\xff", "tags": ["x", "x", "x"], "word": "Zürich"}
    assert rows[4]["half"] is None
    assert len(rows) == 300
    assert table(packed).equals(table(plain))


def test_the_message_is_the_one_it_says_it_is() -> None:
    features: dict[str, Feature] = {"a": ("int64", [-1, 2**62]), "b": ("bytes", [b""]), "c": ("float", [])}
    assert contents(encode(features)) == features
    # Field numbers and wire types by hand: Example.features=1, map entry, key "a", int64_list=3, packed 5.
    assert contents(b"\x0a\x0c\x0a\x0a\x0a\x01a\x12\x05\x1a\x03\x0a\x01\x05") == {"a": ("int64", [5])}


def test_one_value_and_lists_agree_between_files(tmp_path: Path) -> None:
    write(tmp_path, "1.tfrecord", {"a": ("int64", [1]), "b": ("bytes", [b"x"]), "c": ("float", [1.5])})
    write(tmp_path, "2.tfrecord", {"a": ("int64", [1, 2]), "b": ("bytes", [b"\xff"])}, {"a": ("int64", [])})
    examples = read_tfrecord(str(tmp_path), splits=WHOLE)
    assert table(examples).to_pylist() == [
        {"a": [1], "b": b"x", "c": 1.5},
        {"a": [1, 2], "b": b"\xff", "c": None},
        {"a": [], "b": None, "c": None},
    ]


def test_stated_types(tmp_path: Path) -> None:
    row: dict[str, Feature] = {
        "tags": ("bytes", [b"x"]),
        "day": ("bytes", [b"2026-01-31"]),
        "n": ("int64", [1]),
    }
    types = {"tags": "list<item: string>", "day": "date32", "n": "double"}
    examples = read_tfrecord(str(write(tmp_path, "a", row)), splits=WHOLE, column_types=types)
    assert examples.metadata["columns"] == {
        "day": "date32[day]",
        "n": "double",
        "tags": "list<item: string>",
    }


def test_a_feature_that_changes_its_kind(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"a": ("int64", [1])}, {"a": ("float", [1.0])})
    with pytest.raises(ColumnTypeError, match="changes type in a") as caught:
        read_tfrecord(str(path))
    assert caught.value.expected == "int64_list, as in record 1"
    assert caught.value.received == "float_list in record 2"


def test_a_stated_single_value_that_is_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, "a", {"a": ("int64", [1, 2])})
    with pytest.raises(DataError, match="holds several values in one record"):
        read_tfrecord(str(path), column_types={"a": "int64"})


def test_damaged_bytes_are_refused_or_set_aside(tmp_path: Path) -> None:
    rows: list[dict[str, Feature]] = [{"a": ("int64", [n])} for n in range(5)]
    path = write(tmp_path, "a.tfrecord", *rows)
    size = len(framed(encode(rows[0])))
    content = bytearray(path.read_bytes())
    content[2 * size + 14] ^= 1
    content += framed(b"no message") + framed(encode({"a": ("int64", [9])}))
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"record 3 of a\.tfrecord cannot be read"):
        read_tfrecord(str(path))
    examples = read_tfrecord(str(path), splits=WHOLE, **ASIDE)
    assert (examples.rows, examples.metadata["quarantined"], examples.metadata["read"]) == (5, 2, 7)
    aside = pq.read_table(examples.path / "quarantine" / "part-00000.parquet").to_pylist()
    assert [row["line"] for row in aside] == [3, 6]


@pytest.mark.parametrize("mode", [{}, ASIDE], ids=["fail", "quarantine"])
def test_what_cannot_be_counted_always_fails(tmp_path: Path, mode: dict[str, Any]) -> None:
    path = write(tmp_path, "a", *[{"a": ("int64", [n])} for n in range(5)])
    whole = path.read_bytes()
    size = len(whole) // 5
    for content, match in (
        (whole[:-1], "a is cut off in record 5"),
        (whole[: 2 * size + 5], "a is cut off in record 3"),
        (whole[:size] + b"\x07" + whole[size + 1 :], "a is damaged at record 2"),
        (b"some text, longer than a header", "a is no TFRecord file"),
        (b"PAR1", "a is cut off in record 1"),
        (gzip.compress(whole)[:-9], "a cannot be read beyond record"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=match):
            read_tfrecord(str(path), **mode)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(MissingExtraError) as caught:
        read_tfrecord(str(write(tmp_path, "a", {"a": ("int64", [1])})))
    assert caught.value.next == "pip install 'headrace[tfrecord]'"
