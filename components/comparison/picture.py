"""A comparison of distributions drawn: its bins side by side, the formula, the value and the threshold."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from components.comparison.pairs import SIDES, most_moved
from components.comparison.profile import moment
from components.comparison.wording import number, percent

_WIDTH = 440
_TALL = 70
_MOST_BARS = 24


def style() -> str:
    """Return the style sheet of what :func:`drawn` makes; the page around it names the colours."""
    return resources.files("components.comparison").joinpath("picture.css").read_text(encoding="utf-8")


def drawn(details: Mapping[str, Any] | None, value: Any) -> str:
    """Return the HTML of what a drift alert rests on; nothing for details without bins.

    Args:
        details: ``bins`` (``{"bin", "baseline", "observed"}``), ``formula``, ``threshold`` and, where they
            are known, ``limits``, ``chance``, ``baseline`` and ``observed``.
        value: What was measured.
    """
    if not details or not details.get("bins"):
        return ""
    bins = most_moved(details["bins"])
    sums = [max(1, sum(entry[side] for entry in bins)) for side in SIDES]
    shares = [(str(entry["bin"]), entry["baseline"] / sums[0], entry["observed"] / sums[1]) for entry in bins]
    return (
        f'<div class="drift">{_picture(shares)}<p>{_words(details, value)}</p></div>'
        f"<details><summary>{len(details['bins']):,} bins with counts</summary>{_table(bins, sums)}</details>"
    )


def _words(details: Mapping[str, Any], value: Any) -> str:
    words = []
    formula = html.escape(str(details.get("formula") or ""))
    words.append(f"{formula}<br>" if formula else "")
    if isinstance(value, int | float):
        words.append(f"<strong>{value:.4g}</strong> found")
    limits = details.get("limits") or {}
    allowed = [f"{name} beyond {limit:.4g}" for name, limit in sorted(limits.items()) if limit is not None]
    if not allowed and details.get("threshold") is not None:
        allowed = [f"{details['threshold']:.4g} allowed"]
    words.append("".join(f", {html.escape(text)}" for text in allowed) + ".")
    chance = details.get("chance")
    if isinstance(chance, int | float):
        rare = f"{chance:.2g}" if chance else "practically 0"
        words.append(f" By chance alone a difference like this has a probability of {rare}.")
    words.append('<br><span class="key base"></span>baseline <span class="key new"></span>now')
    return "".join(words) + _figures(details)


def _figures(details: Mapping[str, Any]) -> str:
    before, now = (details.get(side) for side in SIDES)
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return ""
    figures = []
    for name in ("count", "distinct", "mean", "std", "min", "median", "max"):
        one, two = (side.get(name) for side in (before, now))
        if isinstance(one, int | float) and isinstance(two, int | float):
            shown = _shown(name) if details.get("moments") else number
            figures.append(f"<span>{name} {shown(one)} → {shown(two)}</span>")
    return f"<br>{' '.join(figures)}" if figures else ""


def _shown(name: str) -> Callable[[float], str]:
    """Return how a figure about moments is written."""
    if name == "std":
        return lambda seconds: f"{seconds / 86_400:,.3g} days"
    return moment if name in ("mean", "min", "median", "max") else number


def _picture(shares: Sequence[tuple[str, float, float]]) -> str:
    """Return the bins as pairs of bars; of many the ones that moved most, in their order."""
    kept = list(shares)
    if len(kept) > _MOST_BARS:
        moved = sorted(range(len(kept)), key=lambda place: -abs(kept[place][1] - kept[place][2]))
        kept = [kept[place] for place in sorted(moved[:_MOST_BARS])]
    most = max(max(one, two) for _, one, two in kept) or 1.0
    slot = _WIDTH / len(kept)
    wide = min(20.0, max(1.0, slot / 2 - 1.5))
    bars = []
    for place, (name, one, two) in enumerate(kept):
        middle = (place + 0.5) * slot
        tip = html.escape(f"{name}: baseline {percent(one)}, now {percent(two)}")
        pair = "".join(
            f'<rect class="{side}" x="{left:.1f}" y="{_TALL * (1 - share / most):.1f}" '
            f'width="{wide:.1f}" height="{_TALL * share / most:.1f}"/>'
            for side, left, share in (("base", middle - wide, one), ("new", middle, two))
        )
        bars.append(f"<g><title>{tip}</title>{pair}</g>")
    ends = (_short(kept[0][0]), _short(kept[-1][0]) if len(kept) > 1 else "")
    return (
        f'<svg role="img" aria-label="Shares of the bins, baseline and now" width="{_WIDTH}" '
        f'height="{_TALL + 15}">{"".join(bars)}<text x="0" y="{_TALL + 12}">{html.escape(ends[0])}</text>'
        f'<text x="{_WIDTH}" y="{_TALL + 12}" text-anchor="end">{html.escape(ends[1])}</text></svg>'
    )


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:29]}…"


def _table(bins: Sequence[Mapping[str, Any]], sums: Sequence[int]) -> str:
    def cell(entry: Mapping[str, Any], side: int) -> str:
        count = entry[SIDES[side]]
        return f'<td class="number">{count:,}</td><td class="number">{percent(count / sums[side])}</td>'

    rows = "".join(
        f"<tr><td><bdi>{html.escape(str(entry['bin']))}</bdi></td>{cell(entry, 0)}{cell(entry, 1)}</tr>"
        for entry in bins
    )
    names = '<th colspan="2" class="number">baseline</th><th colspan="2" class="number">now</th>'
    head = f"<tr><th>bin</th>{names}</tr>"
    return f'<div class="scroll"><table class="bins">{head}{rows}</table></div>'
