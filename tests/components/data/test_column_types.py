from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.data.column_types import (
    first_misfit,
    infer_type,
    join_types,
    misfits,
    parse_type,
    stored_type,
    to_type,
)
from orchestration import ArgumentError

TYPES = [
    pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float32(), pa.float64(), pa.string(), pa.large_binary(),
    pa.date32(), pa.time64("us"), pa.timestamp("ms"), pa.timestamp("ns", "Europe/Zurich"), pa.duration("s"),
    pa.decimal128(10, 2), pa.binary(16), pa.list_(pa.int64()), pa.large_list(pa.string()),
    pa.struct([("a", pa.int64()), ("b b", pa.list_(pa.timestamp("us", "UTC")))]),
    pa.struct([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.decimal128(5, 1))]),
    pa.list_(pa.struct([("x", pa.float64())])),
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_type_is_read_back_from_its_name(kind: pa.DataType) -> None:
    assert parse_type(str(kind)).equals(kind)


@pytest.mark.parametrize(
    ("name", "kind"), [("int", pa.int64()), ("date32", pa.date32()), ("text", pa.string())]
)
def test_aliases(name: str, kind: pa.DataType) -> None:
    assert parse_type(name).equals(kind)


@pytest.mark.parametrize(
    "name", ["", "number", "list<>", "list<item: foo>", "struct<a: int64", "int64 x", "<"]
)
def test_a_name_that_means_no_type_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="is not a column type"):
        parse_type(name)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-2", None], "int64"),
        (["1", "2.0"], "double"),
        (["1", " 2 "], "int64"),
        (["1e5", "nan", "inf"], "double"),
        (["true", "FALSE"], "bool"),
        (["2026-01-31"], "date32[day]"),
        (["2026-01-31", "2026-01-31 10:00:00"], "timestamp[us]"),
        (["2026-01-31T10:00:00Z"], "timestamp[us, tz=UTC]"),
        (["2026-01-31 10:00:00.123456789"], "timestamp[ns]"),
        (["1", "x"], "string"),
        (["99999999999999999999"], "double"),
        ([None], "null"),
        ([], "null"),
    ],
)
def test_types_are_inferred_from_text(texts: list[str | None], kind: str) -> None:
    assert str(infer_type(pa.array(texts, pa.string()))) == kind


@given(st.lists(st.sampled_from(["1", "2.5", "", "x", "2026-01-31", "true", None]), max_size=12))
def test_what_is_inferred_can_be_converted(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    assert len(to_type(array, infer_type(array))) == len(texts)


@given(st.lists(st.sampled_from(["1", "2", "x", None, "3.5", "yy"])))
def test_misfits_are_found_one_by_one(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    expected = [place for place, text in enumerate(texts) if text in ("x", "3.5", "yy")]
    assert list(misfits(array, pa.int64())) == expected
    assert first_misfit(array, pa.int64()) == (expected[0] if expected else None)


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.null(), pa.string(), pa.string()),
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.int16(), pa.int16()),
        (pa.int64(), pa.uint64(), None),
        (pa.int64(), pa.float32(), None),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
        (pa.int64(), pa.string(), None),
        (pa.bool_(), pa.int64(), None),
    ],
)
def test_joining_types_goes_both_ways(
    left: pa.DataType, right: pa.DataType, joined: pa.DataType | None
) -> None:
    assert join_types(left, right) == joined
    assert join_types(right, left) == joined
    assert join_types(left, right, text=True) == (joined if joined is not None else pa.string())


def test_stored_types_hold_no_dictionaries() -> None:
    kind = pa.struct(
        [("a", pa.dictionary(pa.int32(), pa.large_string())), ("b", pa.large_list(pa.float16()))]
    )
    assert str(stored_type(kind)) == "struct<a: string, b: list<item: float>>"


@pytest.mark.parametrize(
    ("left", "right", "joined"),
    [
        ("list<item: int64>", "list<item: double>", "list<item: double>"),
        ("list<item: null>", "list<item: string>", "list<item: string>"),
        ("list<item: int64>", "list<item: string>", None),
        ("list<item: int64>", "int64", None),
        ("struct<a: int64>", "struct<a: double, b: string>", "struct<a: double, b: string>"),
        ("struct<a: int64>", "struct<a: string>", None),
        ("decimal128(10, 2)", "decimal128(8, 4)", "decimal128(12, 4)"),
        ("decimal128(38, 0)", "decimal128(4, 4)", "decimal256(42, 4)"),
        ("decimal256(76, 0)", "decimal128(4, 4)", None),
    ],
)
def test_types_of_parts_are_joined_part_by_part(left: str, right: str, joined: str | None) -> None:
    expected = None if joined is None else parse_type(joined)
    assert join_types(parse_type(left), parse_type(right)) == expected
    assert join_types(parse_type(right), parse_type(left)) == expected
