from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from components.statistics.accumulator import Aspects, Settings
from components.statistics.statistics import SplitStatistics
from components.statistics.table_accumulator import TableAccumulator, extract
from tests.components.data.arrow_strategies import batch, pieces, rows


def described(parts: list[pa.RecordBatch], by: list[list[str]], most: int = 50) -> SplitStatistics:
    options = Settings()
    aspects = Aspects(slices=tuple(map(tuple, by)), max_slices=most)
    total: TableAccumulator | None = None
    for part in parts:
        table = TableAccumulator(part.schema, options, aspects)
        table.add(part)
        total = table if total is None else total.merged(table)
    assert total is not None
    return extract({"all": total}, options).splits["all"]


@settings(max_examples=50, deadline=None)
@given(rows(), st.lists(st.integers(0, 40), max_size=4).map(sorted), st.randoms())
def test_batches_and_order_do_not_matter(found: list[dict[str, Any]], places: list[int], random: Any) -> None:
    whole = batch(found)
    parts = pieces(whole, places)
    random.shuffle(parts)
    by = [["flag"], ["text", "flag"], ["float"]]
    one, two = described(parts, by), described([whole], by)
    for left, right in zip(one.slices, two.slices, strict=True):
        assert left == right


@settings(max_examples=50, deadline=None)
@given(rows())
def test_each_slice_is_described_like_its_rows_alone(found: list[dict[str, Any]]) -> None:
    whole = batch(found)
    [group] = described([whole], [["text", "flag"]]).slices
    assert sum(one.rows for one in group.slices) == len(found)
    assert (group.other_rows, group.other_slices) == (0, 0)
    for one in group.slices:
        inside = [row for row in found if (row["text"], row["flag"]) == one.values]
        assert one.rows == len(inside)
        alone = described([batch(inside)], []).columns
        for left, right in zip(one.columns, alone, strict=True):
            assert (left.present, left.missing, left.distinct) == (
                right.present,
                right.missing,
                right.distinct,
            )
            if left.numbers is not None and right.numbers is not None:
                assert (left.numbers.min, left.numbers.mean) == (right.numbers.min, right.numbers.mean)


def many(seed: int = 1) -> tuple[pa.RecordBatch, dict[int, int]]:
    random = np.random.default_rng(seed)
    keys = np.minimum(random.zipf(1.4, 20_000), 5000)
    known, counts = np.unique(keys, return_counts=True)
    exact = dict(zip(known.tolist(), counts.tolist(), strict=True))
    return pa.record_batch({"k": keys, "x": random.normal(size=20_000)}), exact


@pytest.mark.parametrize("parts", [1, 7])
def test_too_many_slices_are_counted(parts: int) -> None:
    table, exact = many()
    step = -(-table.num_rows // parts)
    [group] = described([table.slice(n * step, step) for n in range(parts)], [["k"]], most=5).slices
    assert len(group.slices) == 5
    assert sum(one.rows for one in group.slices) + group.other_rows == table.num_rows
    assert group.other_slices == len(exact) - 5
    for one in group.slices:
        [value] = one.values
        assert isinstance(value, int)
        assert exact[value] - one.rows_error <= one.rows <= exact[value]
    assert [one.values for one in group.slices[:3]] == [(1,), (2,), (3,)]
    assert group.slices[0].rows_error < 0.05 * table.num_rows


def test_slices_share_the_bins_of_the_split() -> None:
    table = pa.record_batch({"k": ["a", "a", "b"], "x": [0.5, 1.5, 9.5]})
    split = described([table], [["k"]])
    numbers = split.columns[1].numbers
    assert numbers is not None
    assert numbers.histogram is not None
    for one in split.slices[0].slices:
        inside = one.columns[1].numbers
        assert inside is not None
        assert inside.histogram is not None
        assert inside.histogram.edges == numbers.histogram.edges


def test_merging_leaves_both_as_they_were() -> None:
    options, aspects = Settings(), Aspects(slices=(("k",),))
    table = pa.record_batch({"k": ["a", "b"], "x": [1.0, 2.0]})
    one, two = (TableAccumulator(table.schema, options, aspects) for _ in range(2))
    one.add(table)
    two.add(table)
    before = extract({"a": one}, options)
    both = one.merged(two)
    both.add(table)
    assert extract({"a": one}, options) == before
    assert [slice_.rows for slice_ in extract({"a": both}, options).splits["a"].slices[0].slices] == [3, 3]


def test_dictionaries_dates_and_missing_values_are_keys() -> None:
    table = pa.record_batch(
        {
            "k": pa.array(["a", None, "a"]).dictionary_encode(),
            "d": pa.array([0, 0, 0], pa.date32()),
            "x": [1, 2, 3],
        }
    )
    [group] = described([table], [["k", "d"]]).slices
    assert [one.values for one in group.slices] == [("a", "1970-01-01"), (None, "1970-01-01")]
