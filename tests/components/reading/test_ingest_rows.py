from __future__ import annotations

import contextlib
import math
import sqlite3
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.data.hashing import hash_rows, rehash, uniform
from components.reading.row_condition import Condition
from components.reading.row_selection import LeftOut, RowFilter, RowSelection
from components.reading.splits import Splits
from orchestration import ArgumentError, DataError
from tests.components.data.arrow_strategies import SCHEMA, batch, cuts, pieces, rows

TABLE = pa.record_batch(
    {
        "fare": [1.0, -2.0, None, math.nan, 500.0],
        "company": ["a", None, "b", "C", ""],
        "hour": [0, 6, 12, 18, 23],
        "day": pa.array([20_757, 20_758, None, 20_759, 20_760], pa.int32()).cast(pa.date32()),
        "at": pa.array([0, 3_600_000_000, None, 7_200_000_000, 10], pa.timestamp("us", "UTC")),
        "paid": [True, False, None, True, False],
        "tags": [["x"], [], None, ["x", "y"], [""]],
        "Trip Miles": [0.0, 1.0, 2.0, 3.0, 4.0],
        "length": [1, 2, 3, 4, 5],
        "id": pa.array([1, 2, 3, 4, 2**64 - 1], pa.uint64()),
        "price": [Decimal("1.10"), Decimal("2.50"), None, Decimal("5.50"), Decimal("5.51")],
        "raw": [b"a", b"b", None, b"", b"\xff\xff"],
    }
)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("fare > 0", [0, 4]),
        ("not fare > 0", [1, 3]),  # NaN is a number that is greater than none; a missing one is unknown
        ("not (is_nan(fare) or fare is null) and fare > 0", [0, 4]),
        ("fare is null", [2]),
        ("fare is not None", [0, 1, 3, 4]),
        ("0 < fare < 100", [0]),
        ("0 <= hour <= 12 and hour != 6", [0, 2]),
        ("fare > 0 or company is null", [0, 1, 4]),
        ("fare > 0 and company != 'a'", [4]),
        ("company in ['a', 'b', 'z']", [0, 2]),
        ("company not in ('a', 'b')", [3, 4]),
        ("hour in [6, -1, 18]", [1, 3]),
        ("lower(company) == 'c'", [3]),
        ("length(company) == 0", [4]),
        ("length(tags) > 1", [3]),
        ("length > 4", [4]),
        ("day >= '2026-11-01'", [1, 3, 4]),
        ("day in ['2026-10-31']", [0]),
        ("'1970-01-01T01:00:00Z' <= at", [1, 3]),
        ("at < '1970-01-01 01:00:00'", [0, 4]),
        ("paid", [0, 3]),
        ("not paid", [1, 4]),
        ("paid == true", [0, 3]),
        ("hour / 4 > 4.4", [3, 4]),
        ("hour * 2 - 1 == 11 and -hour == -6", [1]),
        ("hour / 0 > 10", [1, 2, 3, 4]),
        ('column("Trip Miles") + hour >= 21', [3, 4]),
        ("hour == 6.0", [1]),
        ("id > 5", [4]),
        ("-1 < id <= 4.5", [0, 1, 2, 3]),
        ("id / 2 > 1.5 and id * 0.5 < 3", [3]),
        ("price == 2.5 or price * 2 > 11", [1, 4]),
        ("raw == 'b' or length(raw) > 1", [1, 4]),
    ],
)
def test_conditions_keep_the_rows_that_meet_them(where: str, kept: list[int]) -> None:
    condition = Condition(where)
    condition.check(TABLE.schema)
    assert np.flatnonzero(condition.mask(TABLE).to_numpy(zero_copy_only=False)).tolist() == kept


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("", "invalid syntax"),
        ("fare >", "invalid syntax"),
        ("fare = 3", "equality is written =="),
        ("1 > 0", "names no column"),
        ("fare == null", "is null, is not null"),
        ("null < fare", "is null, is not null"),
        ("fare is 3", "goes with null only"),
        ("company in 'abc'", "takes a list"),
        ("company in []", "takes a list"),
        ("company in [fare]", "takes a list"),
        ("__import__('os').system('true')", "is none of"),
        ("fare.real > 0", "means nothing here"),
        ("company[0] == 'a'", "means nothing here"),
        ("[x for x in fare]", "means nothing here"),
        ("(lambda: fare)()", "is none of"),
        ("fare ** 9 > 0", "none of + - * / not"),
        ("~paid", "none of + - * / not"),
        ("f'{fare}' == 'a'", "means nothing here"),
        ("b'a' == company", "no text, number or truth value"),
        ("column(fare) > 0", "takes a column's name"),
        ("lower(company, 1) == 'a'", "is none of"),
        ("lower(x=company) == 'a'", "is none of"),
        ("eval", None),
        ("not " * 200 + "paid", "nested"),
        ("(" * 4000 + "fare" + ")" * 4000, "nested"),
        ("lower(" * 1200 + "company" + ")" * 1200, "nested"),
        ("fare > 0 and " * 2000 + "paid", "characters"),
        ("fare > 0\0", "null bytes"),
        ("fare > 99999999999999999999", "larger than any"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(where: str, reason: str | None) -> None:
    if reason is None:  # a name is a column's name, whatever Python makes of it
        assert Condition(where).columns == ("eval",)
        return
    with pytest.raises(ArgumentError) as caught:
        Condition(where)
    assert reason in str(caught.value.received)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nobody > 0", 'no column "nobody"'),
        ("company > 0", "cannot be applied"),
        ("company and fare > 0", "cannot be applied"),
        ("day > 'soon'", "cannot be applied"),
        ("is_nan(company)", "cannot be applied"),
        ("lower(hour) == 'a'", "cannot be applied"),
        ("tags == 1", "cannot be applied"),
    ],
)
def test_conditions_that_do_not_fit_the_columns_are_refused(where: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Condition(where).check(TABLE.schema)


def test_a_condition_must_be_true_or_false() -> None:
    with pytest.raises(ArgumentError, match="cannot be understood") as caught:
        Condition("hour + 1").check(TABLE.schema)
    assert "int64" in str(caught.value.received)


def test_numbers_that_grow_too_large_are_an_error_and_not_another_number() -> None:
    huge = pa.record_batch({"n": [2**62]})
    with pytest.raises(DataError, match="cannot be applied") as caught:
        RowSelection(rows=RowFilter.of("n * 4 > 0")).keep(huge, LeftOut(), "a.csv")
    assert "overflow" in str(caught.value.received)
    assert "in a.csv" in str(caught.value.received)


SELECTIONS = st.builds(
    lambda where, sample, seed, splits: RowSelection(
        splits=splits, rows=RowFilter.of(where, sample, seed), unknown_split="drop"
    ),
    st.sampled_from([None, "float > 0", "text is not null", "integer < 3 or flag", "day in ['2000-01-01']"]),
    st.sampled_from([1.0, 0.5, 0.1]),
    st.integers(0, 3),
    st.sampled_from([Splits.of(), Splits.of({"a": ["a", ""], "b": ["b"]}, column="text")]),
)


@given(rows(), cuts(), SELECTIONS)
def test_the_same_rows_are_kept_in_any_batch(
    found: list[dict[str, Any]], places: list[int], selection: RowSelection
) -> None:
    whole, one, many = batch(found), LeftOut(), LeftOut()
    selection.check(SCHEMA)
    kept = selection.keep(whole, one, "a")
    parts = [selection.keep(piece, many, "a") for piece in pieces(whole, places)]
    assert repr([row for part in parts for row in part.to_pylist()]) == repr(kept.to_pylist())
    assert one == many
    assert kept.num_rows + one.rows == whole.num_rows


NUMBERS = pa.record_batch({"n": np.arange(100_000)})


def kept(sample: float, seed: int = 0) -> set[int]:
    return set(RowFilter.of(None, sample, seed).keep(NUMBERS, LeftOut()).column("n").to_pylist())


def test_a_sample_has_its_size_and_grows_with_its_share() -> None:
    for share in (0.001, 0.1, 0.5):
        spread = math.sqrt(share * (1 - share) * NUMBERS.num_rows)
        assert abs(len(kept(share)) - share * NUMBERS.num_rows) < 4 * spread
    assert kept(0.1) < kept(0.5)


def test_another_seed_keeps_other_rows() -> None:
    both = kept(0.1, 1) & kept(0.1, 2)
    assert 800 < len(both) < 1200  # 0.1 * 0.1 of them


def test_a_sample_does_not_follow_the_splits() -> None:
    splits = Splits.of({"train": 0.5, "eval": 0.5})
    sample = RowFilter.of(None, 0.3).keep(NUMBERS, LeftOut())
    assert abs(splits.assign(sample).mean() - 0.5) < 4 * 0.5 / math.sqrt(sample.num_rows)
    hashes = hash_rows(NUMBERS)
    assert abs(np.corrcoef(uniform(hashes), uniform(rehash(hashes, 0)))[0, 1]) < 0.015


@pytest.mark.parametrize(
    "options", [(None, 0.0), (None, 1.5), (None, -1.0), (None, 0.5, -1), (None, math.nan)]
)
def test_samples_out_of_range_are_refused(options: tuple[Any, ...]) -> None:
    with pytest.raises(ArgumentError):
        RowFilter.of(*options)


def test_what_happens_to_rows_of_no_split_is_one_of_two_things() -> None:
    with pytest.raises(ArgumentError):
        RowSelection(unknown_split="ignore")  # type: ignore[arg-type]  # refused at run time too


# ---------------------------------------------------------------- against SQL


VALUES = {
    "n": st.one_of(st.none(), st.integers(-3, 3)),
    "x": st.one_of(st.none(), st.sampled_from([-2.5, -1.0, 0.0, 1.0, 2.5])),
    "t": st.one_of(st.none(), st.sampled_from(["", "a", "b", "é", "東"])),
}
NUMBER = st.one_of(
    st.sampled_from(["n", "x", "n + 1", "x * n", "-x", "n - x * 2"]),
    st.sampled_from(["-1", "0", "1", "2.5"]),
)
COMPARED = st.sampled_from(["<", "<=", "==", "!=", ">", ">="])
SIMPLE = st.one_of(
    st.tuples(NUMBER, COMPARED, NUMBER).map(" ".join),
    st.tuples(st.just("t"), COMPARED, st.sampled_from(["''", "'a'", "'é'"])).map(" ".join),
    st.tuples(st.sampled_from(["n", "x", "t"]), st.sampled_from(["is null", "is not null"])).map(" ".join),
    st.sampled_from(["t in ('a', '東')", "t not in ('', 'b')", "n in (1, -2)", "x not in (0.0, 2.5)"]),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda text: f"(not ({text}))"),
    ),
    max_leaves=6,
)


@given(
    st.lists(st.fixed_dictionaries(VALUES), max_size=12), CONDITIONS.map(lambda text: f"({text}) or n > 9")
)
def test_conditions_mean_what_they_mean_in_sql(found: list[dict[str, Any]], where: str) -> None:
    schema = pa.schema({"n": pa.int64(), "x": pa.float64(), "t": pa.string()})
    mask = Condition(where).mask(pa.RecordBatch.from_pylist(found, schema))
    placed = [(place, row["n"], row["x"], row["t"]) for place, row in enumerate(found)]
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table rows (place integer, n integer, x real, t text)")
        database.executemany("insert into rows values (?, ?, ?, ?)", placed)
        query = f"select place from rows where {where} order by place"
        expected = [place for (place,) in database.execute(query)]
    assert np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist() == expected
