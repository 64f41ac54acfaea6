"""Which nodes of a graph a run is for: ``--from``, ``--to``, ``--only`` and ``--skip``."""

from __future__ import annotations

from collections.abc import Sequence

from orchestration.errors import ArgumentError
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
    import difflib

    for name in [n for n in (start, to) if n] + list(only) + list(skip):
        if name not in graph.nodes:
            close = difflib.get_close_matches(name, graph.nodes, n=1)
            raise ArgumentError(
                f'there is no node "{name}"',
                expected=" or ".join(graph.nodes),
                received=name,
                at="",
                next=f"did you mean {close[0]}?" if close else None,
            )
    chosen = set(only) or set(graph.nodes)
    if start:
        chosen &= _reach(graph, start, forward=True)
    if to:
        chosen &= _reach(graph, to, forward=False)
    return chosen - set(skip)


def _reach(graph: Graph, name: str, *, forward: bool) -> set[str]:
    reached = {name}
    nodes = graph.sorted()
    for node in nodes if forward else reversed(nodes):
        if forward and reached & set(node.needs):
            reached.add(node.name)
        elif not forward and node.name in reached:
            reached |= set(node.needs)
    return reached
