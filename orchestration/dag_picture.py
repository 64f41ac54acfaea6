"""The picture of a run: its DAG in layers, with every node's state, as one self-contained SVG."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

BOX_HEIGHT = 46
ROW_GAP = 40
COLUMN_GAP = 26
MARGIN = 24
# Widths of the fonts below, per character, on the generous side.
_NAME_CHARACTER = 7.8
_STATE_CHARACTER = 6.6
_NARROWEST = 132
_SWEEPS = 6

_PENDING = "PENDING"
# A node that stands for several items shows the state that matters most.
_WORST_FIRST = ("FAILED", "INTERRUPTED", "RUNNING", _PENDING, "SKIPPED", "SUCCEEDED", "CACHED")
_MARKS = {"SUCCEEDED": "✓", "CACHED": "↺", "FAILED": "✕", "SKIPPED": "⤼", "INTERRUPTED": "■", "RUNNING": "▶"}

_STYLE = """
.paper{fill:#fff}.box{fill:#f8fafc;stroke:#cbd5e1}.name{fill:#0f172a}.edge{fill:none;stroke:#94a3b8}
.tip{fill:#94a3b8}.PENDING{--c:#64748b}.RUNNING{--c:#2563eb}.SUCCEEDED{--c:#15803d}.CACHED{--c:#0f766e}
.FAILED{--c:#b91c1c}.SKIPPED{--c:#a16207}.INTERRUPTED{--c:#9333ea}
.bar{fill:var(--c)}.state{fill:var(--c)}.FAILED .box{stroke:var(--c);stroke-width:2}
.SKIPPED .box,.PENDING .box{stroke-dasharray:5 4}
.name{font:600 13px ui-sans-serif,system-ui,-apple-system,'Segoe UI',sans-serif}
.state{font:500 11px ui-sans-serif,system-ui,-apple-system,'Segoe UI',sans-serif}
.edge{stroke-width:1.5}
@media(prefers-color-scheme:dark){.paper{fill:#0f172a}.box{fill:#1e293b;stroke:#475569}.name{fill:#f1f5f9}
.edge{stroke:#64748b}.tip{fill:#64748b}.PENDING{--c:#94a3b8}.RUNNING{--c:#60a5fa}.SUCCEEDED{--c:#4ade80}
.CACHED{--c:#2dd4bf}.FAILED{--c:#f87171}.SKIPPED{--c:#facc15}.INTERRUPTED{--c:#c084fc}}
""".strip()


@dataclass
class _Place:
    """A box, or a point where a long edge passes a layer (``name`` is then empty)."""

    name: str
    layer: int
    width: float
    x: float = 0.0

    @property
    def y(self) -> float:
        return MARGIN + self.layer * (BOX_HEIGHT + ROW_GAP)


def render_svg(graph: Mapping[str, Any], states: Mapping[str, str]) -> str:
    """Return a picture of a DAG, from top to bottom, readable on light and dark paper.

    Args:
        graph: ``{"nodes": [{"name": str, "needs": [str]}]}``; needs outside the graph are left out.
        states: State by node; a node without one is pending. ``name[0]``, ``name[1]`` … are items of
            ``name``, which then shows the state that matters most.
    """
    needs = {node["name"]: list(dict.fromkeys(node["needs"])) for node in graph["nodes"]}
    needs = {name: [need for need in of if need in needs] for name, of in needs.items()}
    shown = _states(needs, states)
    rows, routes = _lay_out(needs, shown)
    width = max((place.x + place.width for row in rows for place in row), default=0) + MARGIN
    height = 2 * MARGIN + max(len(rows) * (BOX_HEIGHT + ROW_GAP) - ROW_GAP, 0)
    parts = [_edge(route) for route in routes]
    parts += [_box(place, *shown[place.name]) for row in rows for place in row if place.name]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="Pipeline of {len(needs)} nodes">'
        f"<style>{_STYLE}</style>"
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker>'
        f'<rect class="paper" width="100%" height="100%" rx="10"/>{"".join(parts)}</svg>\n'
    )


def _states(needs: Mapping[str, Any], states: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return each node's state and the words for it."""
    items: dict[str, list[str]] = {}
    for name, state in states.items():
        base = name.rpartition("[")[0]
        if name not in needs and name.endswith("]") and base in needs:
            items.setdefault(base, []).append(state)
    shown = {}
    for name in needs:
        of = items.get(name, [])
        state = states.get(name) or min(of, key=_rank, default=_PENDING)
        count = f" · {of.count(state)} of {len(of)}" if of else ""
        shown[name] = (state, f"{_MARKS.get(state, '·')} {state.lower()}{count}")
    return shown


def _rank(state: str) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else len(_WORST_FIRST)


# --- layout --------------------------------------------------------------------------------------


def _lay_out(
    needs: Mapping[str, list[str]], shown: Mapping[str, tuple[str, str]]
) -> tuple[list[list[_Place]], list[list[_Place]]]:
    """Return the rows of places, and the places each edge runs through."""
    layers = _layers(needs)
    rows: list[list[_Place]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    places = {}
    for name in needs:
        width = max(len(name) * _NAME_CHARACTER, len(shown[name][1]) * _STATE_CHARACTER) + 34
        places[name] = _Place(name, layers[name], max(width, _NARROWEST))
        rows[layers[name]].append(places[name])
    routes = []
    for name, of in needs.items():
        for need in of:
            between = [_Place("", layer, 8.0) for layer in range(layers[need] + 1, layers[name])]
            for point in between:
                rows[point.layer].append(point)
            routes.append([places[need], *between, places[name]])
    _arrange(rows, routes)
    return rows, routes


def _layers(needs: Mapping[str, list[str]]) -> dict[str, int]:
    """Return each node's layer: one below the lowest of what it needs."""
    layers: dict[str, int] = {}
    waiting = list(needs)
    while waiting:
        ready = [name for name in waiting if all(need in layers for need in needs[name])]
        for name in ready or waiting:  # a cycle cannot run, but must not hang its own picture
            layers[name] = 1 + max((layers[need] for need in needs[name] if need in layers), default=-1)
        waiting = [name for name in waiting if name not in layers]
    return layers


def _arrange(rows: list[list[_Place]], routes: list[list[_Place]]) -> None:
    """Order every row and give it its columns: near what it is joined to, without overlaps."""
    above: dict[int, list[_Place]] = {}
    below: dict[int, list[_Place]] = {}
    for route in routes:
        for upper, lower in itertools.pairwise(route):
            above.setdefault(id(lower), []).append(upper)
            below.setdefault(id(upper), []).append(lower)
    for row in rows:
        _spread(row, [place.x for place in row])
    for sweep in range(_SWEEPS):
        near, order = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in order:
            wanted = {id(place): _middle(near.get(id(place), []), place) for place in row}
            row.sort(key=lambda place: wanted[id(place)] + place.width / 2)
            _spread(row, [wanted[id(place)] for place in row])
    left = min((place.x for row in rows for place in row), default=0.0)
    for row in rows:
        for place in row:
            place.x += MARGIN - left


def _middle(near: list[_Place], place: _Place) -> float:
    """Return where ``place`` would begin, centred below or above its neighbours."""
    if not near:
        return place.x
    return sum(other.x + other.width / 2 for other in near) / len(near) - place.width / 2


def _spread(row: list[_Place], wanted: list[float]) -> None:
    """Place a row left to right near what is wanted, then move it as a whole to its mean."""
    edge = float("-inf")
    for place, x in zip(row, wanted, strict=True):
        place.x = max(x, edge)
        edge = place.x + place.width + COLUMN_GAP
    if row:
        shift = sum(x - place.x for place, x in zip(row, wanted, strict=True)) / len(row)
        for place in row:
            place.x += shift


# --- drawing -------------------------------------------------------------------------------------


def _edge(route: list[_Place]) -> str:
    first = route[0]
    x, y = first.x + first.width / 2, first.y + BOX_HEIGHT
    path = f"M{x:.1f} {y:.1f}"
    for place in route[1:]:
        to_x, to_y = place.x + place.width / 2, place.y
        half = (to_y - y) / 2
        path += f"C{x:.1f} {y + half:.1f} {to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
        if not place.name:
            y = place.y + BOX_HEIGHT
            path += f"V{y:.1f}"
    return f'<path class="edge" d="{path}" marker-end="url(#tip)"/>'


def _box(place: _Place, state: str, words: str) -> str:
    x, y, width = place.x, place.y, place.width
    kind = state if state in _WORST_FIRST else _PENDING
    return (
        f'<g class="{kind}"><title>{escape(place.name)}: {escape(words)}</title>'
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="7"/>'
        f'<rect class="bar" x="{x:.1f}" y="{y + 8:.1f}" width="4" height="{BOX_HEIGHT - 16}" rx="2"/>'
        f'<text class="name" x="{x + 16:.1f}" y="{y + 20:.1f}">{escape(place.name)}</text>'
        f'<text class="state" x="{x + 16:.1f}" y="{y + 36:.1f}">{escape(words)}</text></g>'
    )
