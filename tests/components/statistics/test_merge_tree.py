from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, strategies as st

from components.statistics.merge_tree import MergeTree


@dataclass(frozen=True)
class Shape:
    """Remembers how it was merged."""

    text: str

    def merged(self, other: Shape) -> Shape:
        return Shape(f"({self.text} {other.text})")


def merged(order: list[int], sizes: list[int]) -> str:
    trees: list[MergeTree[Shape]] = [MergeTree()]
    for place, number in enumerate(order):
        if place in sizes:
            trees.append(MergeTree())
        trees[-1].add(0, number, Shape(str(number)))
    total: MergeTree[Shape] = MergeTree()
    for tree in trees:
        total = total.merged(tree)
    result = total.result()
    return "" if result is None else result.text


@given(st.integers(0, 40), st.randoms(), st.lists(st.integers(0, 40)))
def test_items_merge_in_one_way_whatever_comes_first(count: int, random: Any, sizes: list[int]) -> None:
    order = list(range(count))
    random.shuffle(order)
    assert merged(order, sizes) == merged(list(range(count)), [])


def test_neighbours_are_merged_first() -> None:
    assert merged([4, 2, 0, 3, 1], [2]) == "(((0 1) (2 3)) 4)"


def test_merging_leaves_the_others_alone() -> None:
    one: MergeTree[Shape] = MergeTree()
    one.add(0, 0, Shape("0"))
    two: MergeTree[Shape] = MergeTree()
    two.add(0, 1, Shape("1"))
    assert one.merged(two).result() == Shape("(0 1)")
    assert one.result() == Shape("0")
    assert two.result() == Shape("1")
