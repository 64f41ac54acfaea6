from __future__ import annotations

import datetime
from decimal import Decimal
from unittest.mock import ANY

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from components.statistics.accumulator import Aspects, Settings
from components.statistics.label_relations import Label, correlation, grouped, ranks
from components.statistics.label_statistics import LabelSample
from components.statistics.row_sample import RowSample
from components.statistics.statistics import SplitStatistics
from components.statistics.table_accumulator import TableAccumulator, extract
from tests.components.data.arrow_strategies import pieces

FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


def described(parts: list[pa.RecordBatch], size: int = 16_384) -> SplitStatistics:
    options, aspects = Settings(), Aspects(label="y", sample_rows=size)
    total: TableAccumulator | None = None
    start = 0
    for part in parts:
        table = TableAccumulator(part.schema, options, aspects)
        table.add(part, start)
        start += part.num_rows
        total = table if total is None else table.merged(total)
    assert total is not None
    return extract({"all": total}, options).splits["all"]


def trips(rows: int, seed: int = 0) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    fare = random.gamma(2.0, 8.0, rows).round(2)
    payment = random.choice(["cash", "card", "other"], rows, p=[0.5, 0.4, 0.1])
    big = (random.random(rows) < np.where(payment == "card", 0.5, 0.05)).astype(np.int64)
    return pa.record_batch(
        {
            "fare": fare,
            "twice": fare * 2 + 1,
            "payment": payment,
            "noise": random.normal(size=rows),
            "y": big,
        }
    )


def test_lifts_are_shares_divided_by_shares() -> None:
    rows = trips(3000)
    split = described([rows])
    assert split.label_sample is not None
    assert (split.label_sample.rows, split.label_sample.exact) == (3000, True)
    frame = rows.to_pandas()
    classes = [one.value for one in split.label_sample.classes]
    relation = split.column("payment").label
    assert relation is not None
    assert [group.value for group in relation.groups] == frame.payment.value_counts().index.tolist()
    for group in relation.groups:
        inside = frame[frame.payment == group.value]
        assert group.rows == len(inside)
        expected = [(inside.y == one).mean() / (frame.y == one).mean() for one in classes]
        assert group.lifts == pytest.approx(expected)


def test_what_tells_of_the_label_stands_out() -> None:
    split = described([trips(5000)])
    found = {column.name: column.label for column in split.columns}
    assert found["y"] is None
    payment, noise = found["payment"], found["noise"]
    assert payment is not None
    assert noise is not None
    assert payment.mutual_information > 0.05
    assert abs(noise.mutual_information) < 0.005
    assert abs(noise.adjusted_mutual_information) < 0.01 < payment.adjusted_mutual_information


def test_a_label_of_numbers() -> None:
    random = np.random.default_rng(2)
    y = random.normal(size=4000)
    batch = pa.record_batch({"x": y**3, "z": -y, "k": random.normal(size=4000), "y": y})
    split = described([batch])
    found = {column.name: column.label for column in split.columns if column.label}
    frame = batch.to_pandas()
    for name, relation in found.items():
        assert relation.pearson == pytest.approx(frame[name].corr(frame.y), abs=1e-12)
        expected = frame[name].corr(frame.y, method="spearman")
        assert relation.spearman == pytest.approx(expected, abs=1e-12)
    assert found["x"].spearman == pytest.approx(1.0)
    assert found["x"].adjusted_mutual_information == pytest.approx(1.0)
    assert split.label_sample is not None
    assert [one.rows for one in split.label_sample.classes] == [400] * 10


def test_rows_without_a_label_are_left_out_and_missing_values_are_a_group() -> None:
    batch = pa.record_batch(
        {"x": pa.array(["a", None, "a", None]), "y": pa.array([True, False, None, False])}
    )
    split = described([batch])
    relation = split.column("x").label
    assert relation is not None
    assert [(group.kind, group.value, group.rows) for group in relation.groups] == [
        ("value", "a", 1),
        ("missing", None, 2),
    ]
    assert split.label_sample is not None
    assert (split.label_sample.rows, split.label_sample.of_rows) == (3, 4)


@given(st.lists(st.integers(0, 400), max_size=5).map(sorted))
def test_the_sample_and_all_that_follows_do_not_depend_on_batches(places: list[int]) -> None:
    rows = trips(400)
    assert described(pieces(rows, places), 100) == described([rows], 100)


def test_a_sample_keeps_within_the_stated_error() -> None:
    rows = trips(60_000)
    whole = described([rows], 100_000)
    exact = whole.column("payment").label
    assert whole.label_sample is not None
    assert exact is not None
    assert whole.label_sample.exact
    share = whole.label_sample.classes[1].rows / 60_000
    shares, information = [], []
    for place in range(12):  # another span, another sample
        sampled = RowSample.of(rows, f"span {place}", 0, 4000, None).rows
        label = Label(sampled.column("y"))
        shares.append(label.grouping.classes[1].rows / 4000 - share)
        found = label.relation(sampled.column("payment")).mutual_information
        information.append(found - exact.mutual_information)
    assert np.abs(shares).max() < 4 * 0.5 / np.sqrt(4000)
    # The samples' own spread is 0.0085: neither more than that, nor a bias.
    assert np.sqrt(np.mean(np.square(information))) < 2 * 0.0085
    assert abs(np.mean(information)) < 4 * 0.0085 / np.sqrt(12)
    assert described([rows], 4000).label_sample == LabelSample(4000, 60_000, exact=False, classes=ANY)


KINDS = {
    "bool": pa.array([True, False, None]),
    "date": pa.array([datetime.date(2026, 1, 1), None, datetime.date(2026, 1, 2)]),
    "decimal": pa.array([Decimal("1.50"), None, Decimal("2.25")]),
    "special": pa.array([1.0, float("nan"), float("inf")]),
    "text": pa.array(["", "b", None]),
    "dictionary": pa.array(["a", "b", None]).dictionary_encode(),
    "nothing": pa.nulls(3, pa.string()),
}


@pytest.mark.parametrize("values", KINDS.values(), ids=KINDS)
def test_every_kind_of_column_is_grouped(values: pa.Array) -> None:
    split = described([pa.record_batch({"x": values, "y": [1, 2, 1]})])
    relation = split.column("x").label
    assert relation is not None
    assert sum(group.rows for group in relation.groups) == relation.rows == 3
    as_label = described([pa.record_batch({"x": [1, 2, 1], "y": values})])
    assert as_label.label_sample is not None
    assert sum(one.rows for one in as_label.label_sample.classes) == as_label.label_sample.rows


def test_lists_and_bytes_have_no_relation() -> None:
    split = described([pa.record_batch({"x": [[1], [2]], "b": [b"a", b"b"], "y": [0, 1]})])
    assert [column.label for column in split.columns] == [None, None, None]


def test_many_values_become_ranges_or_others() -> None:
    numbers = grouped(pa.array(range(1000)), 20)
    assert [(group.kind, group.rows) for group in numbers.groups] == [("range", 100)] * 10
    assert (numbers.groups[0].low, numbers.groups[0].high) == (0.0, 99.0)
    texts = grouped(pa.array([f"t{n % 50:02d}" for n in range(500)]), 20)
    assert [group.kind for group in texts.groups] == ["value"] * 20 + ["other"]
    assert texts.groups[-1].rows == 300


def pandas_corr(one: npt.NDArray[np.float64], two: npt.NDArray[np.float64]) -> float:
    return float(pd.Series(one).corr(pd.Series(two)))


@given(FLOATS, st.randoms())
def test_ranks_are_those_of_pandas(values: list[float], random: object) -> None:
    del random
    assert ranks(np.array(values)).tolist() == pd.Series(values).rank().tolist()


def test_correlations_that_cannot_be_said() -> None:
    assert correlation(np.array([1.0]), np.array([2.0])) is None
    assert correlation(np.array([1.0, 1.0]), np.array([2.0, 3.0])) is None
    huge = np.array([1e200, -1e200, 3e200])
    assert correlation(huge, huge) == pytest.approx(1.0)
    one, two = np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 9.0])
    assert correlation(one, two) == pytest.approx(pandas_corr(one, two))


def test_no_rows() -> None:
    label = Label(pa.array([], pa.int64()))
    relation = label.relation(pa.array([], pa.string()))
    assert (relation.rows, relation.groups, relation.mutual_information) == (0, (), 0.0)
