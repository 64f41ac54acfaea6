from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, strategies as st

from components.statistics import frequencies as module
from components.statistics.frequencies import Frequencies, NumberTable, TextTable

WORDS = st.lists(st.sampled_from([f"w{place}" for place in range(30)]), min_size=1, max_size=120)


def of_numbers(values: list[int], capacity: int) -> Frequencies[NumberTable]:
    table = NumberTable.of(np.sort(np.array(values, np.int64)))
    return Frequencies(table.take(np.zeros(0, np.int64), np.zeros(0, np.int64)), capacity).merged(
        Frequencies(table, capacity)
    )


def of_texts(values: list[str], capacity: int) -> Frequencies[TextTable]:
    table = TextTable.of(pa.array(values, pa.string()))
    return Frequencies(table.take(np.zeros(0, np.int64), np.zeros(0, np.int64)), capacity).merged(
        Frequencies(table, capacity)
    )


def counts_of(found: Frequencies[TextTable] | Frequencies[NumberTable]) -> dict[object, int]:
    values = found.table.values
    listed = values.to_pylist() if isinstance(values, pa.Array) else values.tolist()
    return dict(zip(listed, found.table.counts.tolist(), strict=True))


@given(st.lists(st.integers(-9, 9), min_size=1), st.lists(st.integers(-9, 9), min_size=1))
def test_few_numbers_are_counted_exactly(one: list[int], two: list[int]) -> None:
    found = of_numbers(one, 100).merged(of_numbers(two, 100))
    assert counts_of(found) == Counter(one + two)
    assert found.complete
    assert found.distinct == len({*one, *two})


@given(WORDS, WORDS, WORDS)
def test_many_texts_are_counted_within_the_stated_error(
    one: list[str], two: list[str], three: list[str]
) -> None:
    exact = Counter(one + two + three)
    parts = [of_texts(words, 8) for words in (one, two, three)]
    left = parts[0].merged(parts[1]).merged(parts[2])
    right = parts[0].merged(parts[1].merged(parts[2]))
    for found in (left, right):
        counts = counts_of(found)
        assert len(counts) <= 8
        assert found.complete == (len(exact) <= 8)
        assert found.distinct == len(exact)
        assert found.error <= exact.total() / 9  # the bound of Misra and Gries
        for word, count in exact.items():
            assert count - found.error <= counts.get(word, 0) <= count


@given(WORDS, st.randoms())
def test_the_distinct_count_does_not_depend_on_order(words: list[str], random: object) -> None:
    parts = [of_texts([word], 4) for word in words]
    forward = parts[0]
    for part in parts[1:]:
        forward = forward.merged(part)
    backward = parts[-1]
    for part in reversed(parts[:-1]):
        backward = part.merged(backward)
    assert forward.distinct == backward.distinct == len(set(words))


def test_many_distinct_values_are_estimated_within_the_stated_error() -> None:
    for distinct in (5_000, 50_000, 400_000):
        hashes = NumberTable.of(np.arange(distinct) * 7919).hashes()
        estimate = module.estimate_distinct(module.smallest_hashes(hashes))
        assert abs(estimate - distinct) < 4 * 0.0157 * distinct


def test_the_sketch_is_the_same_whether_values_come_together_or_apart() -> None:
    values = np.arange(20_000)
    whole = of_numbers(values.tolist(), 1000)
    parts = of_numbers(values[::2].tolist(), 1000).merged(of_numbers(values[1::2].tolist(), 1000))
    assert whole.smallest is not None
    assert parts.smallest is not None
    assert np.array_equal(whole.smallest, parts.smallest)


def test_long_texts_do_not_fill_the_memory() -> None:
    values = [f"{place}" * 400 for place in range(1000)]
    found = of_texts(values * 2 + values[:3] * 5, 1000)
    assert not found.complete
    assert module.text_bytes(found.table.values) <= 1000 * 256
    assert found.distinct == 1000
    assert set(values[:3]) <= set(found.table.values.to_pylist())
