"""Charts of the evaluation report as inline SVG; colours come from the page's style."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

SIZE, LEFT, BOTTOM, PAD = 300, 44, 38, 10
_INNER_W, _INNER_H = SIZE - LEFT - PAD, SIZE - BOTTOM - PAD

_ANCHORS = {0.0: "start", 1.0: "end"}

Point = Sequence[float]


def _x(value: float) -> float:
    return round(LEFT + value * _INNER_W, 2)


def _y(value: float) -> float:
    return round(PAD + (1 - value) * _INNER_H, 2)


def unit_chart(title: str, x_name: str, y_name: str, marks: Iterable[str], note: str = "") -> str:
    """Return a chart whose axes both run from 0 to 1.

    Args:
        title: Heading.
        x_name: Name of the horizontal axis.
        y_name: Name of the vertical axis.
        marks: SVG drawn inside, from back to front.
        note: A line below.
    """
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    return _figure(title, x_name, y_name, ticks, _share, [*_grid(ticks), *marks], note)


def _share(value: float) -> str:
    return f"{value:g}"


def _grid(ticks: Sequence[float]) -> Iterable[str]:
    for tick in ticks:
        yield f'<line class="grid" x1="{_x(0)}" x2="{_x(1)}" y1="{_y(tick)}" y2="{_y(tick)}"/>'
        yield f'<line class="grid" x1="{_x(tick)}" x2="{_x(tick)}" y1="{_y(0)}" y2="{_y(1)}"/>'


def _figure(
    title: str,
    x_name: str,
    y_name: str,
    y_ticks: Sequence[float],
    y_text: Callable[[float], str],
    marks: Iterable[str],
    note: str,
    x_ticks: Sequence[tuple[float, str]] = ((0, "0"), (0.5, "0.5"), (1, "1")),
) -> str:
    texts = [_text("tick", _x(0) - 6, _y(tick) + 4, "end", y_text(tick)) for tick in y_ticks]
    texts += [_text("tick", _x(at), _y(0) + 15, _ANCHORS.get(at, "middle"), text) for at, text in x_ticks]
    texts.append(_text("axis", _x(0.5), SIZE - 6, "middle", x_name))
    caption = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return (
        f'<figure><h3>{escape(title)}</h3><p class="y-axis">{escape(y_name)}</p>'
        f'<svg viewBox="0 0 {SIZE} {SIZE}" role="img" aria-label="{escape(title)}">'
        f"{''.join([*marks, *texts])}</svg>{caption}</figure>"
    )


def _text(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def diagonal() -> str:
    """Return the dashed line from corner to corner."""
    return f'<line class="diagonal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>'


def line(points: Sequence[Point], kind: str) -> str:
    """Return a line through points of the unit square; ``kind`` is its CSS class."""
    if not points:
        return ""
    path = " ".join(f"{_x(x)},{_y(y)}" for x, y in points)
    return f'<polyline class="line {kind}" points="{path}"/>'


def dots(points: Sequence[tuple[float, float, float, str]], kind: str) -> str:
    """Return dots (x, y, radius in pixels, hover text) joined by a line."""
    circles = "".join(
        f'<circle class="dot {kind}" cx="{_x(x)}" cy="{_y(y)}" r="{radius:.1f}">'
        f"<title>{escape(text)}</title></circle>"
        for x, y, radius, text in points
    )
    return line([(x, y) for x, y, _, _ in points], kind) + circles


def histogram(
    title: str,
    x_name: str,
    series: Sequence[tuple[Sequence[float], str]],
    x_ticks: Sequence[tuple[float, str]],
    note: str = "",
) -> str:
    """Return overlaid histograms, each as a share of its own total.

    Args:
        title: Heading.
        x_name: Name of the horizontal axis.
        series: Counts per bin and CSS class.
        x_ticks: Place in (0, 1) and text of the ticks.
        note: A line below.
    """
    shares = [([c / (sum(counts) or 1) for c in counts], kind) for counts, kind in series]
    top = max((share for bars, _ in shares for share in bars), default=1) or 1
    marks = [*_grid([0.0, 0.5, 1.0])]
    for bars, kind in shares:
        width = 1 / len(bars)
        for number, share in enumerate(bars):
            if share:
                place = f'x="{_x(number * width) + 0.5}" y="{_y(share / top)}"'
                size = f'width="{width * _INNER_W - 1:.2f}" height="{_y(0) - _y(share / top):.2f}"'
                marks.append(f'<rect class="bar {kind}" {place} {size}><title>{share:.1%}</title></rect>')
    return _figure(
        title, x_name, "share of rows", [0.0, 0.5, 1.0], lambda t: f"{t * top:.0%}", marks, note, x_ticks
    )


def interval(
    value: float, low: float | None, high: float | None, first: float, last: float, overall: float
) -> str:
    """Return a small bar with a dot for a value, its interval, and a tick for the overall value."""
    span = (last - first) or 1.0

    def place(number: float) -> float:
        return round(4 + (min(max(number, first), last) - first) / span * 112, 2)

    bar = ""
    if low is not None and high is not None:
        bar = f'<line class="whisker" x1="{place(low)}" x2="{place(high)}" y1="8" y2="8"/>'
    reference = f'<line class="reference" x1="{place(overall)}" x2="{place(overall)}" y1="1" y2="15"/>'
    return (
        f'<svg class="interval" viewBox="0 0 120 16" aria-hidden="true">{reference}{bar}'
        f'<circle class="dot candidate" cx="{place(value)}" cy="8" r="3.5"/></svg>'
    )


def matrix(cells: Sequence[Sequence[float]], names: Sequence[Any]) -> str:
    """Return a confusion matrix as a table: labels down, predictions across, shares of each label's rows."""
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in names)
    rows = []
    for name, row in zip(names, cells, strict=True):
        total = sum(row) or 1
        label = escape(str(name))
        shown = "".join(_cell(count, count / total, label) for count in row)
        rows.append(f'<tr><th scope="row">{label}</th>{shown}</tr>')
    return (
        '<table class="matrix"><thead><tr><th>label \\ predicted</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(count: float, share: float, label: str) -> str:
    place = f'style="--share:{share:.3f}" title="{share:.1%} of label {label}"'
    return f'<td class="cell" {place}>{count:,.0f}</td>'
