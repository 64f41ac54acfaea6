from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from components.statistics.mutual_information import Counts, information

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=80)


def joint(pairs: list[tuple[int, int]]) -> Counts:
    table = np.zeros((6, 5), np.int64)
    for one, two in pairs:
        table[one, two] += 1
    return table


@given(PAIRS)
def test_it_is_what_scikit_learn_computes(pairs: list[tuple[int, int]]) -> None:
    ones, twos = zip(*pairs, strict=True)
    found = information(joint(pairs))
    assert found.plain == pytest.approx(mutual_info_score(ones, twos), abs=1e-9)
    told_apart = len(set(ones)) == len(set(twos)) == len(pairs)  # by chance just as well
    if len(set(ones)) > 1 and len(set(twos)) > 1 and not told_apart:
        assert found.adjusted == pytest.approx(adjusted_mutual_info_score(ones, twos), abs=1e-6)
    else:
        assert found.adjusted == 0.0


def test_chance_alone_gives_nothing() -> None:
    random = np.random.default_rng(1)
    found = [
        information(joint(list(zip(random.integers(0, 6, 200), random.integers(0, 5, 200), strict=True))))
        for _ in range(50)
    ]
    assert np.mean([one.plain for one in found]) > 0.03
    assert abs(np.mean([one.plain - one.by_chance for one in found])) < 0.01


def test_groups_that_tell_each_other() -> None:
    found = information(np.diag([10, 20, 30]))
    shares = np.array([1, 2, 3]) / 6
    assert found.plain == pytest.approx(-(shares * np.log(shares)).sum())
    assert found.adjusted == pytest.approx(1.0)


def test_tables_without_information() -> None:
    for table in (np.zeros((0, 0)), np.zeros((3, 2)), np.array([[5, 7]]), np.array([[5], [7]])):
        found = information(table.astype(np.int64))
        assert (found.plain, found.by_chance, found.adjusted) == (0.0, 0.0, 0.0)


def test_many_rows_do_not_overflow() -> None:
    found = information(np.full((20, 10), 10_000, np.int64))
    assert found.plain == pytest.approx(0.0, abs=1e-9)
    assert abs(found.adjusted) < 1e-3
