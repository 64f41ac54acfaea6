"""The picture of a run: every node and edge is there, nothing overlaps, words are escaped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestration.dag_picture import BOX_HEIGHT, render_svg

SVG = "{http://www.w3.org/2000/svg}"
STATES = ["PENDING", "RUNNING", "SUCCEEDED", "CACHED", "FAILED", "SKIPPED", "INTERRUPTED"]


def graph(**needs: list[str]) -> dict[str, Any]:
    return {"nodes": [{"name": name, "needs": of} for name, of in needs.items()]}


def boxes(svg: str) -> dict[str, tuple[float, float, float, float]]:
    """Return the corners of each node's box, by name."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        box = next(rect for rect in group.iter(f"{SVG}rect") if rect.get("class") == "box")
        x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        found[group.find(f"{SVG}text").text or ""] = (x, y, x + width, y + height)  # type: ignore[union-attr]
    return found


def edges(svg: str) -> list[list[tuple[float, float]]]:
    """Return the points each edge's pieces end at."""
    paths = [
        path.attrib["d"] for path in ET.fromstring(svg).iter(f"{SVG}path") if path.get("class") == "edge"
    ]
    ends = []
    for path in paths:
        points: list[tuple[float, float]] = []
        for command, numbers in re.findall(r"([MCV])([^MCV]*)", path):
            at = [float(number) for number in numbers.split()]
            points.append((points[-1][0], at[0]) if command == "V" else (at[-2], at[-1]))
        ends.append(points)
    return ends


@st.composite
def dags(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 14))
    names = [f"node_{i}" + "x" * draw(st.integers(0, 12)) for i in range(count)]
    needs: dict[str, list[str]] = {}
    for i, name in enumerate(names):
        needs[name] = (
            [names[j] for j in sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))] if i else []
        )
    return graph(**needs)


class TestLayout:
    @given(dags())
    def test_boxes_do_not_overlap_and_edges_go_down_past_the_boxes(self, dag: dict[str, Any]) -> None:
        svg = render_svg(dag, {})
        placed = boxes(svg)
        assert set(placed) == {node["name"] for node in dag["nodes"]}
        for (left, top, right, bottom), (l2, t2, r2, b2) in combinations(placed.values(), 2):
            assert right < l2 or r2 < left or bottom < t2 or b2 < top
        for node in dag["nodes"]:
            for need in node["needs"]:
                assert placed[need][3] < placed[node["name"]][1]
        assert len(edges(svg)) == sum(len(node["needs"]) for node in dag["nodes"])
        for points in edges(svg):
            for (_, y), (x, end) in pairwise(points):
                if end - y == BOX_HEIGHT:  # straight past a row: through no box of it
                    inside = [b for b in placed.values() if b[0] < x < b[2] and b[1] < end and y < b[3]]
                    assert not inside

    @given(dags())
    def test_everything_lies_on_the_paper(self, dag: dict[str, Any]) -> None:
        root = ET.fromstring(render_svg(dag, {}))
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for left, top, right, bottom in boxes(render_svg(dag, {})).values():
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height

    def test_the_same_graph_gives_the_same_bytes(self) -> None:
        dag = graph(a=[], b=["a"], c=["a"], d=["b", "c", "a"])
        assert render_svg(dag, {"a": "FAILED"}) == render_svg(dag, {"a": "FAILED"})

    def test_an_empty_graph_a_cycle_and_unknown_needs_are_drawn(self) -> None:
        assert boxes(render_svg(graph(), {})) == {}
        assert set(boxes(render_svg(graph(a=["b"], b=["a"]), {}))) == {"a", "b"}
        assert edges(render_svg(graph(a=["not selected"]), {})) == []


class TestStates:
    @pytest.mark.parametrize("state", STATES)
    def test_a_state_has_a_colour_a_word_and_a_title(self, state: str) -> None:
        svg = render_svg(graph(a=[]), {"a": state})
        group = next(ET.fromstring(svg).iter(f"{SVG}g"))
        assert group.get("class") == state
        assert state.lower() in "".join(group.itertext())
        assert svg.count(f".{state}{{--c:") == 2  # on light and on dark paper

    def test_items_show_the_state_that_matters_most(self) -> None:
        states = {"train[0]": "SUCCEEDED", "train[1]": "FAILED", "train[2]": "SUCCEEDED"}
        svg = render_svg(graph(train=[]), states)
        assert "✕ failed · 1 of 3" in svg

    def test_a_node_without_a_state_is_pending(self) -> None:
        assert "· pending" in render_svg(graph(a=[]), {})

    def test_a_state_of_the_future_is_drawn_in_grey(self) -> None:
        svg = render_svg(graph(a=[]), {"a": "DREAMING"})
        assert "· dreaming" in svg
        assert next(ET.fromstring(svg).iter(f"{SVG}g")).get("class") == "PENDING"

    def test_names_are_escaped(self) -> None:
        assert set(boxes(render_svg(graph(**{"<a & b>": []}), {}))) == {"<a & b>"}

    def test_nothing_is_loaded_from_elsewhere(self) -> None:
        svg = render_svg(graph(a=[], b=["a"]), {})
        assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
        assert "<script" not in svg
