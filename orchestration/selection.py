"""Which nodes of a graph a run is for: ``--from``, ``--to``, ``--only`` and ``--skip``."""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.errors import ArgumentError, did_you_mean
from orchestration.graph import Graph


def select(
    graph: Graph, *, start: str | None, to: str | None, only: Sequence[str], skip: Sequence[str]
) -> set[str]:
    """Return the names of the selected nodes.

    Args:
        graph: The whole graph.
        start: This node and all that follow from it.
        to: This node and all it needs.
        only: Just these.
        skip: Not these.

    Raises:
        ArgumentError: A name is no node of the graph.
    """
    for name in (*filter(None, (start, to)), *only, *skip):
        if name not in graph.nodes:
            raise ArgumentError(
                f'there is no node "{name}"',
                expected=" or ".join(graph.nodes),
                at="",
                next=did_you_mean(name, graph.nodes),
            )
    needed: dict[str, set[str]] = {}
    for node in graph.sorted():
        needed[node.name] = {node.name}.union(*(needed[need] for need in node.needs))
    chosen = set(only or graph.nodes) - set(skip)
    if start:
        chosen = {name for name in chosen if start in needed[name]}
    return chosen & needed[to] if to else chosen
