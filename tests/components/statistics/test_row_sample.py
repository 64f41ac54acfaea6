from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings, strategies as st

from components.statistics.row_sample import RowSample
from tests.components.data.arrow_strategies import pieces


def sampled(batches: list[pa.RecordBatch], size: int, span: str = "a") -> list[RowSample]:
    start, found = 0, []
    for batch in batches:
        found.append(RowSample.of(batch, span, start, size, None))
        start += batch.num_rows
    return found


def numbered(rows: int) -> pa.RecordBatch:
    return pa.record_batch({"row": np.arange(rows)})


@settings(max_examples=50)
@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=6).map(sorted), st.randoms())
def test_the_sample_depends_on_neither_batches_nor_order(
    rows: int, places: list[int], random: object
) -> None:
    whole = RowSample.of(numbered(rows), "a", 0, 40, None)
    parts = sampled(pieces(numbered(rows), places), 40)
    random.shuffle(parts)  # type: ignore[attr-defined]  # a Random
    total = parts[0]
    for part in parts[1:]:
        total = total.merged(part)
    assert np.array_equal(total.hashes, whole.hashes)
    assert total.rows.equals(whole.rows)
    assert total.rows.num_rows == min(rows, 40)


def test_rows_beyond_the_limit_do_not_matter() -> None:
    first, second = sampled([numbered(500), numbered(200)], 50)
    short = RowSample.of(numbered(200), "a", 500, 50, first.limit)
    assert short.rows.num_rows < 50
    assert first.merged(short).rows.equals(first.merged(second).rows)


def test_every_row_is_as_likely_as_any_other() -> None:
    found = RowSample.of(numbered(100_000), "2026-11-01", 0, 10_000, None).rows.column("row").to_numpy()
    assert len(set(found.tolist())) == 10_000
    assert abs(found.mean() - 50_000) < 4 * 100_000 / np.sqrt(12 * 10_000)
    counts = np.histogram(found, 20, (0, 100_000))[0]
    assert abs(counts - 500).max() < 5 * np.sqrt(500)


def test_equal_places_of_different_spans_are_drawn_independently() -> None:
    one, two = (RowSample.of(numbered(10_000), span, 0, 1000, None) for span in ("a", "b"))
    both = set(one.rows.column("row").to_pylist()) & set(two.rows.column("row").to_pylist())
    assert 50 < len(both) < 160


def test_dictionaries_are_decoded() -> None:
    batch = pa.record_batch({"x": pa.array(["b", "a", None]).dictionary_encode()})
    assert RowSample.of(batch, "", 0, 5, None).rows.schema.field("x").type == pa.string()
