"""Merging in an order that does not depend on the order of arrival."""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar


class Mergeable(Protocol):
    """Something two of which make one."""

    def merged(self, other: Self) -> Self:
        """Return the merge of both, this one first."""


Item = TypeVar("Item", bound=Mergeable)


class MergeTree(Generic[Item]):
    """A binary tree over numbered items; two neighbours are merged as soon as both are there.

    Sums of floats and trimmed summaries depend on the order of merging. Here item 0 is merged with
    item 1, item 2 with 3, both pairs with each other, and so on, whatever comes first: the same items
    give the same bits. It holds no more than the pairs that still wait for their other half.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], Item] = {}

    def add(self, level: int, place: int, item: Item) -> None:
        """Add the merge of the items ``place * 2**level`` to ``(place + 1) * 2**level - 1``."""
        while (level, place ^ 1) in self._waiting:
            other = self._waiting.pop((level, place ^ 1))
            item = other.merged(item) if place & 1 else item.merged(other)
            level, place = level + 1, place >> 1
        self._waiting[level, place] = item

    def merged(self, other: MergeTree[Item]) -> MergeTree[Item]:
        """Return the tree of the items of both."""
        out: MergeTree[Item] = MergeTree()
        out._waiting = dict(self._waiting)
        for (level, place), item in sorted(other._waiting.items(), key=lambda pair: pair[0]):
            out.add(level, place, item)
        return out

    def nodes(self) -> list[tuple[int, int, Item]]:
        """Return what waits: level, place and merged items."""
        return [(level, place, item) for (level, place), item in sorted(self._waiting.items(), key=_start)]

    def result(self) -> Item | None:
        """Return the merge of all items in their order; None without any."""
        total: Item | None = None
        for _, item in sorted(self._waiting.items(), key=_start):
            total = item if total is None else total.merged(item)
        return total


def _start(pair: tuple[tuple[int, int], object]) -> int:
    (level, place), _ = pair
    return place << level
