"""The evaluation as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any

from components.evaluation import charts
from components.evaluation.slicing import MISSING
from components.evaluation.spec import EvaluationSpec
from components.evaluation.style import CSS, SORT

Facts = Mapping[str, Any]


def render(facts: Facts, spec: EvaluationSpec) -> str:
    """Return the page: verdict, figures, gates, curves and slices.

    Args:
        facts: The content of ``evaluation.json``.
        spec: What was asked for.
    """
    body = [
        _head(facts),
        _verdict(facts),
        _cards(facts, spec),
        _gates(facts),
        _curves(facts),
        *_slices(facts, spec),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Evaluation</title>'
        f"<style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + f"\n</main><script>{SORT}</script></body></html>\n"
    )


def _head(facts: Facts) -> str:
    rows = facts["rows"]
    dropped = "; ".join(f"{count:,} dropped: {reason}" for reason, count in sorted(rows["dropped"].items()))
    champion = facts["champion"]
    against = f"; compared with the live version {champion['version']} on the same rows" if champion else ""
    counted = f"{rows['evaluated']:,} of {rows['read']:,} rows of split “{escape(facts['split'])}”"
    return (
        f'<h1>Evaluation of a {escape(facts["task"])} model</h1><p class="soft">{counted}'
        f"{'; ' + escape(dropped) if dropped else ''}{escape(against)}.</p>"
    )


def _verdict(facts: Facts) -> str:
    kind, word = ("blessed", "Blessed") if facts["blessed"] else ("", "Not blessed")
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in facts["reasons"])
    listed = f"<ul>{reasons}</ul>" if reasons else ""
    return f'<section class="verdict {kind}"><strong>{word}</strong>{listed}</section>'


def _cards(facts: Facts, spec: EvaluationSpec) -> str:
    overall = facts["overall"]
    cards = (_card(metric.name, overall, spec.confidence) for metric in spec.metrics)
    flips = overall["flip_rate"]
    flipped = (
        ""
        if flips is None
        else f"<p class=soft>{flips:.1%} of the rows are decided differently than before.</p>"
    )
    return f'<section class="cards">{"".join(cards)}</section>{flipped}'


def _card(name: str, overall: Facts, confidence: float) -> str:
    figure = overall["metrics"][name]
    lines = []
    if figure["low"] is not None:
        lines.append(f"{_number(figure['low'])} to {_number(figure['high'])} ({confidence:.0%} interval)")
    if name in overall["champion"]:
        difference = overall["differences"][name]
        lines.append(f"champion {_number(overall['champion'][name]['value'])}, {_signed(difference)}")
    if figure["error"]:
        lines.append(f"exact within {figure['error']:.1g}")
    small = "".join(f"<small>{escape(text)}</small>" for text in lines)
    return f'<div class="card">{escape(_words(name))}<b>{_number(figure["value"])}</b>{small}</div>'


def _signed(difference: Facts) -> str:
    if difference["value"] is None:
        return "difference undefined"
    if difference["value"] == difference["low"] == difference["high"]:
        return "unchanged" if difference["value"] == 0 else f"{difference['value']:+.3g}"
    if difference["low"] is None:
        return f"{difference['value']:+.3g}"
    return f"{difference['value']:+.3g} ({difference['low']:+.2g} to {difference['high']:+.2g})"


def _gates(facts: Facts) -> str:
    rows = "".join(
        f'<tr><td class="{(state := "passed" if gate["passed"] else "failed")}">{state}</td>'
        f'<td>{escape(gate["gate"])}</td><td class="wide">{escape(gate["reason"])}</td></tr>'
        for gate in facts["gates"]
    )
    if not rows:
        return "<h2>Gates</h2><p>None declared, so nothing can bless this model.</p>"
    head = "<thead><tr><th></th><th>Gate</th><th>Finding</th></tr></thead>"
    return f'<h2>Gates</h2><div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _curves(facts: Facts) -> str:
    curves = facts["curves"]
    if not curves.get("candidate"):
        return ""
    legend = '<p class="soft"><span class="key"></span> this model'
    if "champion" in curves:
        legend += ' &nbsp; <span class="key champion"></span> live champion'
    drawn = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}[facts["task"]](facts)
    return f"<h2>Curves</h2>{legend}</p>{drawn}"


def _binary(facts: Facts) -> str:
    curves = facts["curves"]
    roles = sorted(curves, reverse=True)  # the champion behind the candidate
    roles.sort(key=lambda role: role == "candidate")

    def lines(name: str) -> list[str]:
        return [charts.line(curves[role][name], role) for role in roles]

    bins = [charts.dots(_calibration_dots(curves[role]["calibration"]), role) for role in roles]
    scores = curves["candidate"]["scores"]
    both = [(scores["negative"], "negative"), (scores["positive"], "positive")]
    ticks = [(0.0, "0"), (0.5, "0.5"), (1.0, "1")]
    figures = [
        charts.unit_chart(
            "ROC", "false positive rate", "true positive rate", [charts.diagonal(), *lines("roc")]
        ),
        charts.unit_chart("Precision and recall", "recall", "precision", lines("precision_recall")),
        charts.unit_chart(
            "Calibration",
            "mean score",
            "share of positives",
            [charts.diagonal(), *bins],
            "larger dots hold more rows",
        ),
        charts.histogram(
            "Scores by label",
            "score",
            both,
            ticks,
            "blue: positive rows, orange: negative rows",
        ),
    ]
    names = (
        [facts["classes"][0], facts["classes"][1]] if len(facts["classes"]) == 2 else ["negative", "positive"]
    )
    confusion = charts.matrix(curves["candidate"]["confusion"], names)
    return f'<div class="charts">{"".join(figures)}</div><h2>Confusion at 0.5</h2>{_boxed(confusion)}'


def _calibration_dots(bins: list[Facts]) -> list[tuple[float, float, float, str]]:
    total = sum(entry["weight"] for entry in bins) or 1.0
    return [
        (
            entry["score"],
            entry["observed"],
            2 + 8 * (entry["weight"] / total) ** 0.5,
            f"{entry['weight']:,.0f} rows: score {entry['score']:.3f}, positives {entry['observed']:.3f}",
        )
        for entry in bins
    ]


def _multiclass(facts: Facts) -> str:
    return "<h3>Confusion</h3>" + _boxed(
        charts.matrix(facts["curves"]["candidate"]["confusion"], facts["classes"])
    )


def _regression(facts: Facts) -> str:
    residuals = facts["curves"]["candidate"]["residuals"]
    edges = residuals["edges"]
    ticks = [(place, f"{edges[0] + place * (edges[-1] - edges[0]):.3g}") for place in (0.0, 0.5, 1.0)]
    title = "Prediction minus label, 1st to 99th percentile"
    drawn = charts.histogram(title, "residual", [(residuals["counts"], "candidate")], ticks)
    return f'<div class="charts">{drawn}</div>'


def _slices(facts: Facts, spec: EvaluationSpec) -> Iterator[str]:
    if facts["slices"]:
        yield "<h2>Slices</h2>"
    for labels, groups in groupby(facts["slices"], key=lambda group: tuple(group["slice"])):
        table = _slice_table(list(groups), labels, facts, spec)
        yield f"<h3>{escape(' × '.join(labels))}</h3>{_boxed(table)}"
    if facts["small_slices"]:
        few, least = facts["small_slices"], facts["minimum_slice_rows"]
        yield f'<p class="soft">{few:,} slices with fewer than {least:,} rows are not shown.</p>'


def _slice_table(groups: list[Facts], labels: tuple[str, ...], facts: Facts, spec: EvaluationSpec) -> str:
    names = [metric.name for metric in spec.metrics]
    compared = any(group["flip_rate"] is not None for group in groups)
    first = names[0]
    scale = _scale([group["metrics"][first] for group in groups], facts["overall"]["metrics"][first]["value"])
    heads = [f"<th>{escape(label)}</th>" for label in labels] + ['<th class="number">rows</th>', "<th></th>"]
    heads += [f'<th class="number">{escape(_words(name))}</th>' for name in names]
    heads += [f'<th class="number">{escape(_words(first))} against champion</th>'] if compared else []
    rows = "".join(_slice_row(group, names, scale, compared) for group in groups)
    return f'<table class="sortable"><thead><tr>{"".join(heads)}</tr></thead><tbody>{rows}</tbody></table>'


def _scale(figures: list[Facts], overall: float | None) -> tuple[float, float, float]:
    """Return the smallest and the largest number of a column's intervals, and the overall value."""
    numbers = [
        figure[key] for figure in figures for key in ("value", "low", "high") if figure[key] is not None
    ]
    numbers.append(overall if overall is not None else 0.0)
    return min(numbers), max(numbers), numbers[-1]


def _slice_row(group: Facts, names: list[str], scale: tuple[float, float, float], compared: bool) -> str:
    values = group["slice"].values()
    cells = [f"<td>{escape(MISSING if value is None else value)}</td>" for value in values]
    cells.append(f'<td class="number" data-value="{group["rows"]}">{group["rows"]:,}</td>')
    figure = group["metrics"][names[0]]
    drawn = ""
    if figure["value"] is not None:
        drawn = charts.interval(figure["value"], figure["low"], figure["high"], *scale)
    cells.append(f'<td data-value="{_number(figure["value"])}">{drawn}</td>')
    cells += [f'<td class="number">{_number(group["metrics"][name]["value"])}</td>' for name in names]
    if compared:
        difference = group["differences"].get(names[0], {"value": None})
        cells.append(f'<td class="number">{escape(_signed(difference))}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _boxed(table: str) -> str:
    return f'<div class="scroll">{table}</div>'


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.4f}" if 0.001 <= abs(value) < 100 else f"{value:.4g}"


def _words(name: str) -> str:
    known = {"auc": "AUC", "pr_auc": "PR AUC", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "f1": "F1"}
    return known.get(name, name.replace("_", " "))
