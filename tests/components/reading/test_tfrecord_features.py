"""Features straight from the bytes: what the protobuf library finds in a record, or a record told apart."""

from __future__ import annotations

import gzip
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from hypothesis import given, strategies as st

from components.reading import tfrecord_file, tfrecord_pieces, tfrecord_reader, tfrecord_wire
from components.reading.sources import BadRow, SourceFile
from components.reading.tfrecord_column import FeatureColumn
from components.reading.tfrecord_example import usual_form
from components.reading.tfrecord_features import KINDS, decode
from components.reading.tfrecord_pieces import Room
from components.reading.tfrecord_reader import TfRecordReader
from orchestration import DataError

pytest.importorskip("google_crc32c", reason="the extra headrace[tfrecord] is not installed")

from tests.components.reading.reader_conformance import framed
from tests.components.reading.tf_examples import Feature, contents, encode, entry, field, iter_fields, varint

Row = dict[str, Feature]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
KEY = st.sampled_from(["", "a", "fare", "Zürich", "東京", "k" * 127, "k" * 128, "k" * 300]) | TEXT
INTEGER = st.sampled_from([0, 127, 128, -1, 2**62, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
BYTES = st.binary(max_size=4) | TEXT.map(str.encode) | st.integers(120, 400).map(bytes)
FLOAT = st.floats(width=32, allow_nan=False)


def lists(kind: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Feature]:
    return st.tuples(st.just(kind), st.lists(values, max_size=4) | st.lists(values, min_size=40, max_size=50))


FEATURE = lists("bytes", BYTES) | lists("float", FLOAT) | lists("int64", INTEGER)
ROW: st.SearchStrategy[Row] = st.dictionaries(KEY, FEATURE, max_size=6)


def laid_out(rows: list[bytes], gap: int = 0) -> tuple[bytes, Any, Any]:
    """Return messages in one buffer, and where they begin and end."""
    ends = np.cumsum([len(row) + gap for row in rows], dtype=np.int64)
    starts = ends - np.array([len(row) for row in rows], np.int64)
    return b"".join(b"\x0a" * gap + row for row in rows), starts, ends


def plain(data: bytes) -> Row | None:
    """Return what the protobuf library finds in a record; None where it finds no record."""
    try:
        return contents(data)
    except DecodeError:
        return None


def decoded(rows: list[bytes], gap: int = 0) -> tuple[list[Row], list[bool]]:
    """Return the same, found at once in all records, and which records were told apart."""
    features, odd = decode(*laid_out(rows, gap))
    found: list[Row] = [{} for _ in rows]
    for name, one in sorted(features.items()):
        at = 0
        for record, kind, count in zip(one.records, one.kinds, one.counts, strict=True):
            assert (count < 0) == (kind == 0)
            if kind and one.values is not None:
                found[record][name] = (KINDS[kind], one.values[at : at + count].to_pylist())
                at += count
        assert one.values is None or at == len(one.values)
    return found, odd.tolist()


def of_one_kind(rows: list[Row]) -> list[Row]:
    """Keep the features that are of the same kind as in the first record that has them."""
    kinds: dict[str, str] = {}
    return [{k: one for k, one in row.items() if kinds.setdefault(k, one[0]) == one[0]} for row in rows]


@given(st.lists(ROW, max_size=8), st.integers(0, 3))
def test_usual_records_are_what_the_library_finds(rows: list[Row], gap: int) -> None:
    messages = [encode(row) for row in of_one_kind(rows)]
    assert decoded(messages, gap) == ([plain(message) for message in messages], [False] * len(messages))


@given(ROW, st.randoms())
def test_any_order_of_the_entries(row: Row, chance: Any) -> None:
    entries = [encode({name: one}) for name, one in row.items()]
    names = list(row)
    chance.shuffle(entries)
    inside = b"".join(next(iter_fields(one))[1] for one in entries)
    message = field(1, inside)
    assert decoded([message]) == ([plain(message)], [False])
    assert set(plain(message) or {}) == set(names)


def test_kinds_that_differ_between_records() -> None:
    rows = [{"a": ("int64", [1])}, {}, {"a": ("float", [1.0])}, {"a": ("int64", [2, 3])}]
    features, odd = decode(*laid_out([encode(row) for row in rows]))  # type: ignore[arg-type]
    one = features["a"]
    assert not odd.any() and one.values is None
    assert (one.kind, one.since, one.most) == ("int64", 0, 2)
    assert (one.first_but("int64"), one.first_but("float")) == ((2, "float"), (0, "int64"))


def test_a_feature_without_a_kind_is_missing() -> None:
    unset, set_ = field(1, entry(b"a", b"")), encode({"a": ("int64", [7])})
    features, odd = decode(*laid_out([unset, set_, unset]))
    assert not odd.any()
    one = features["a"]
    assert one.counts.tolist() == [-1, 1, -1] and one.values is not None and one.values.to_pylist() == [7]
    assert (one.kind, one.since) == ("int64", 1)
    nothing = decode(*laid_out([unset]))[0]["a"]
    assert (nothing.kind, nothing.values, nothing.first_but("none")) == ("none", None, None)


ONE = field(3, field(1, b"\x05"))
UNUSUAL = {
    "numbers one by one": entry(b"a", field(3, b"\x08\x05\x08\x06")),
    "floats one by one": entry(b"a", field(2, b"\x0d" + struct.pack("<f", 1.5))),
    "numbers in two pieces": entry(b"a", field(3, field(1, b"\x05") + field(1, b"\x06"))),
    "a list in two pieces": entry(b"a", ONE + field(3, field(1, b"\x06"))),
    "two kinds": entry(b"a", field(1, field(1, b"x")) + ONE),
    "a key twice": entry(b"a", ONE) + entry(b"b", ONE) + entry(b"a", field(3, field(1, b"\x06"))),
    "no key": field(1, field(2, ONE)),
    "no value": field(1, field(1, b"a")),
    "value before key": field(1, field(2, ONE) + field(1, b"a")),
    "more in the list": entry(b"a", field(3, field(1, b"\x05") + b"\x10\x07")),
    "more in the feature": entry(b"a", ONE + b"\x20\x07"),
    "more in the entry": field(1, field(1, b"a") + field(2, ONE) + b"\x18\x07"),
    "more in the map": entry(b"a", ONE) + b"\x10\x07",
    "a kind nobody knows": entry(b"a", field(4, field(1, b"\x05"))),
    "a length with a spare byte": field(1, field(1, b"a") + field(2, ONE), spare=1),
    "a number of 65 bits": entry(b"a", field(3, field(1, b"\xff" * 9 + b"\x03"))),
    "a number of eleven bytes": entry(b"a", field(3, field(1, b"\x80" * 10 + b"\x00"))),
    "a number that is cut off": entry(b"a", field(3, field(1, b"\x05\x85"))),
    "a float that is cut off": entry(b"a", field(2, field(1, b"\x00\x00\x80"))),
    "a key that is no text": entry(b"\xff", ONE),
    "no message": b"no message",
}


@pytest.mark.parametrize("inside", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_records_are_told_apart(inside: bytes) -> None:
    message = field(1, inside)
    usual = encode({"a": ("int64", [1]), "b": ("bytes", [b"x"])})
    assert decoded([usual, message, usual]) == ([{}, {}, {}], [False, True, False])
    if (expected := plain(message)) is not None:
        assert decoded([usual_form(message)]) == ([expected], [False])


@pytest.mark.parametrize("message", [field(1, entry(b"a", ONE)) * 2, field(2, b"x"), b"\x08\x01", b"\x0a"])
def test_unusual_examples_are_told_apart(message: bytes) -> None:
    assert decoded([message])[1] == [True]


DAMAGE = st.tuples(st.sampled_from(["change", "add", "drop", "cut"]), st.integers(0), st.integers(0, 255))


def damaged(data: bytes, damage: tuple[str, int, int]) -> bytes:
    what, place, byte = damage
    place %= len(data) + 1
    front, back = data[:place], data[place:]
    ends = {"change": bytes([byte]) + back[1:], "add": bytes([byte]) + back, "drop": back[1:], "cut": b""}
    return front + ends[what]


@given(ROW, st.lists(DAMAGE, min_size=1, max_size=3), ROW)
def test_damaged_records_are_told_apart_or_read_as_the_library_does(row: Row, harm: Any, next_: Row) -> None:
    data = encode(row)
    for one in harm:
        data = damaged(data, one)
    after = encode(next_)
    _, odd = decoded([data, after])
    assert odd[1] is False
    expected = plain(data)
    if not odd[0]:
        # One by one: kinds may differ between the two.
        assert repr(decoded([data])[0]) == repr([expected])
    elif expected is not None:
        assert repr(decoded([usual_form(data)])) == repr(([expected], [False]))


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    found, odd = decoded([data])
    assert odd == [True] or repr(found[0]) == repr(plain(data))


@given(
    st.lists(st.lists(INTEGER, max_size=5), max_size=6),
    st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_varints_of_any_length(values: list[list[int]], spare: list[int]) -> None:
    spares = iter(spare)
    rows = []
    for one in values:
        digits = [(value, next(spares) if 0 <= value < 2**42 else 0) for value in one]
        rows.append(b"".join(varint(value, spare=extra) for value, extra in digits))
    content, starts, ends = laid_out(rows)
    found = tfrecord_wire.varints(np.frombuffer(content or b"\0", np.uint8), starts, ends)
    assert found.counts.tolist() == [len(one) for one in values]
    assert found.values.tolist() == [value for one in values for value in one]
    assert not found.odd.any()


# The reader, against one that asks the library about every record.


def read_all(content: bytes, *, quarantine: bool, names: dict[str, str], rows: int, block: int) -> Any:
    """Return the rows or the error, and what was set aside; pieces and blocks may be small."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(content)
        reader, bad = TfRecordReader({}, quarantine), list[BadRow]()
        source = SourceFile(str(path), "a")
        with (
            mock.patch.object(tfrecord_pieces, "_PIECE_ROWS", rows),
            mock.patch.object(tfrecord_file, "_BLOCK", block),
        ):
            try:
                scan = reader.scan(source)
                pieces = list(tfrecord_pieces.pieces(source, Room(), bad, quarantine=quarantine))
            except DataError as error:
                return error.headline
    assert scan.rows == sum(piece.rows for piece in pieces) + len(bad)
    found: list[Any] = []
    for piece in pieces:
        for place, number in enumerate(piece.numbers.tolist()):
            found.append((number, {name: value_at(piece.features.get(name), place) for name in names}))
    return found, [(row.line, row.reason) for row in bad]


def value_at(feature: Any, place: int) -> Any:
    if feature is None or place not in feature.records.tolist():
        return None
    at = feature.records.tolist().index(place)
    lengths = feature.counts.clip(0)
    start = int(lengths[:at].sum())
    return feature.values[start : start + int(lengths[at])].to_pylist() if feature.counts[at] >= 0 else None


def expected_of(messages: list[bytes], whole: list[bool], *, quarantine: bool, names: dict[str, str]) -> Any:
    found, bad = [], []
    for number, (data, is_whole) in enumerate(zip(messages, whole, strict=True), 1):
        features = plain(data) if is_whole else None
        if features is not None:
            found.append((number, {name: features[name][1] if name in features else None for name in names}))
            continue
        reason = "it is no tf.Example" if is_whole else tfrecord_pieces._CHECKSUM
        if not quarantine:
            return f"record {number} of a cannot be read: {reason}"
        bad.append((number, reason))
    return found, bad


FILE_ROW = st.fixed_dictionaries(
    {},
    optional={"a": lists("int64", INTEGER), "b": lists("bytes", BYTES), "c": lists("float", FLOAT)},
)
FATE = st.sampled_from(["usual", "usual", "unpacked", "no message", "no checksum"])


@given(
    st.lists(st.tuples(FILE_ROW, FATE), max_size=12),
    st.booleans(),
    st.integers(1, 5),
    st.sampled_from([1, 50, 1 << 20]),
)
def test_files_of_good_unusual_and_bad_records(
    rows: list[tuple[Row, str]], quarantine: bool, piece: int, block: int
) -> None:
    messages, content = [], b""
    for row, fate in rows:
        data = encode(row)
        if fate == "unpacked":
            data += field(1, entry(b"a", field(3, b"\x08\x05\x08\x06")))
        messages.append(b"no message" if fate == "no message" else data)
        framed_ = framed(messages[-1])
        content += framed_[:-1] + bytes([framed_[-1] ^ 1]) if fate == "no checksum" else framed_
    whole = [fate != "no checksum" for _, fate in rows]
    names = {"a": "int64", "b": "bytes", "c": "float"}
    found = read_all(content, quarantine=quarantine, names=names, rows=piece, block=block)
    assert found == expected_of(messages, whole, quarantine=quarantine, names=names)


def test_records_before_the_end_of_a_cut_off_gzip_file_are_not_lost(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    one = [framed(encode({"a": ("bytes", [chance.bytes(100)])})) for _ in range(3000)]
    cut = gzip.compress(b"".join(one))[:-150_000]
    unpacked = zlib.decompressobj(wbits=31).decompress(cut)
    path = tmp_path / "a"
    path.write_bytes(cut)
    found: list[tfrecord_file.Records] = []
    with pytest.raises(DataError, match="a cannot be read beyond record") as caught:
        found.extend(tfrecord_file.records(str(path), "a"))
    number = sum(len(some.starts) for some in found)
    assert number == len(unpacked) // len(one[0]) > 1000
    assert all(some.whole.all() for some in found)
    assert caught.value.headline.endswith(f" {number}")


def test_the_first_of_several_errors_is_told(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"a": ("int64", [1]), "b": ("int64", [1])},
        {"a": ("int64", [1]), "b": ("float", [1.0])},
        {"a": ("float", [1.0]), "b": ("float", [1.0])},
    ]
    path = tmp_path / "a"
    path.write_bytes(b"".join(framed(encode(row)) for row in rows) + framed(b"no message"))
    source = SourceFile(str(path), "a")
    with pytest.raises(DataError, match='column "b" changes type in a'):
        TfRecordReader({}, quarantine=False).scan(source)
    stated = TfRecordReader({"a": pa.float64(), "b": pa.float64()}, quarantine=True)
    schema = pa.schema(list(stated.types.items()))
    with pytest.raises(DataError, match=r'column "b" of a .* holds values of different kinds') as caught:
        list(stated.read(source, schema, []))
    assert caught.value.received == "int64_list and float_list"


@given(
    st.lists(st.sampled_from(["usual", "usual", "long", "no message"]), min_size=1, max_size=40),
    st.integers(1, 7),
    st.integers(1, 9),
    st.sampled_from([1, 200, 1 << 20]),
)
def test_where_batches_end_does_not_depend_on_pieces_and_blocks(
    fates: list[str], rows: int, piece: int, block: int
) -> None:
    texts = {"usual": [b"x"], "long": [b"x" * 60]}
    messages = [encode({"a": ("bytes", texts[one])}) if one in texts else b"no message" for one in fates]
    expected, size, count = [], 0, 0
    for message in messages:
        if message != b"no message":
            size, count = size + len(message), count + 1
        if count == rows or size > 300:
            expected.append(count)
            size = count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(b"".join(framed(message) for message in messages))
        with (
            mock.patch.object(tfrecord_pieces, "_PIECE_ROWS", piece),
            mock.patch.object(tfrecord_file, "_BLOCK", block),
            mock.patch.object(tfrecord_reader, "_BATCH_BYTES", 300),
            mock.patch.object(tfrecord_reader, "batch_rows", return_value=rows),
        ):
            reader = TfRecordReader({}, quarantine=True)
            batches = reader.read(SourceFile(str(path), "a"), pa.schema([("a", pa.string())]), [])
            found = [batch.num_rows for batch in batches]
    assert found == expected + [count] * (count > 0)


def test_a_column_of_no_values_at_all() -> None:
    column = FeatureColumn(pa.field("a", pa.string()), "a", 1)
    column.add(None, 3)
    assert column.array().to_pylist() == [None] * 3


def test_records_that_tensorflow_writes() -> None:
    tf = pytest.importorskip("tensorflow")
    chance = np.random.default_rng(0)
    messages = []
    for n in range(50):
        features = {
            "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[n - 20])),
            "many": tf.train.Feature(int64_list=tf.train.Int64List(value=chance.integers(-9, 9**9, n % 5))),
            "half": tf.train.Feature(float_list=tf.train.FloatList(value=chance.normal(size=n % 3))),
            "word": tf.train.Feature(bytes_list=tf.train.BytesList(value=["Zürich".encode()] * (n % 4))),
            "unset": tf.train.Feature(),
        }
        kept = {name: one for name, one in features.items() if chance.random() < 0.8}
        example = tf.train.Example(features=tf.train.Features(feature=kept))
        messages.append(example.SerializeToString(deterministic=bool(n % 2)))
    assert decoded(messages) == ([plain(message) for message in messages], [False] * len(messages))
