"""The validation report: one page, anomalies first with the rows and bins they rest on, then every rule."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

from components.comparison import picture
from components.validation.anomalies import Anomaly
from components.validation.judge import Verdict
from components.validation.suite import Rule

_SHOWN_ROWS = 20
_FEW = 5  # so many anomalies are shown with their rows open
_WHOLE = 200  # anomalies shown with everything; of the others the sentence
_LONGEST = 200


def page(
    anomalies: list[Anomaly],
    verdicts: Mapping[str, list[Verdict]],
    evidence: list[dict[str, Any]],
    rows: Mapping[str, int],
    quarantined: int,
) -> str:
    """Return the report as one self-contained HTML page.

    Args:
        anomalies: What is wrong, worst first.
        verdicts: Verdicts by split.
        evidence: Rows that broke rules.
        rows: Rows by split.
        quarantined: Rows set aside.
    """
    by_rule: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in evidence:
        by_rule.setdefault((record["split"], record["rule"]), []).append(record)
    failing = any(anomaly.severity == "fail" for anomaly in anomalies)
    body = [
        f'<h1 class="{"fail" if failing else "pass"}">Validation {"failed" if failing else "passed"}</h1>',
        f'<p class="facts">{html.escape(" · ".join(_facts(anomalies, verdicts, rows, quarantined)))}</p>',
        *(
            _anomaly(
                anomaly,
                by_rule.get((anomaly.split, str(anomaly.rule)), []),
                verdicts,
                opened=len(anomalies) <= _FEW,
            )
            for anomaly in anomalies[:_WHOLE]
        ),
        *(_heading(anomaly, "p") for anomaly in anomalies[_WHOLE:]),
        "<h2>All rules</h2>",
        *(_checks(split, verdicts[split]) for split in sorted(verdicts)),
    ]
    style = resources.files("components.validation").joinpath("report.css").read_text(encoding="utf-8")
    whole = _PAGE.replace("/*STYLE*/", style + picture.style(), 1).replace("{{body}}", "\n".join(body), 1)
    return whole.encode("utf-8", "replace").decode()  # a value may be no text that UTF-8 can hold


def _facts(
    anomalies: Sequence[Anomaly],
    verdicts: Mapping[str, list[Verdict]],
    rows: Mapping[str, int],
    quarantined: int,
) -> list[str]:
    total = sum(len(judged) for judged in verdicts.values())
    counts: dict[str, int] = {}
    for anomaly in anomalies:
        counts[str(anomaly.severity)] = counts.get(str(anomaly.severity), 0) + 1
    found = ", ".join(f"{count:,} {severity}" for severity, count in counts.items())
    return [
        f"{total:,} checks",
        f"{sum(rows.values()):,} rows in {', '.join(f'{s} ({n:,})' for s, n in sorted(rows.items()))}",
        f"{len(anomalies):,} anomal{'y' if len(anomalies) == 1 else 'ies'}"
        + (f" ({found})" if found else ""),
        *([f"{quarantined:,} rows in quarantine"] if quarantined else []),
    ]


def _heading(anomaly: Anomaly, tag: str) -> str:
    severity = html.escape(str(anomaly.severity))
    said = html.escape(anomaly.message)
    return f'<{tag}><span class="severity {severity}">{severity}</span>{said}</{tag}>'


def _anomaly(
    anomaly: Anomaly,
    records: Sequence[dict[str, Any]],
    verdicts: Mapping[str, list[Verdict]],
    *,
    opened: bool,
) -> str:
    details = anomaly.details or _of_verdict(anomaly, verdicts)
    kind, rule = html.escape(anomaly.kind), html.escape(_rule(anomaly.rule))
    return (
        f'<article class="{anomaly.severity}">{_heading(anomaly, "h3")}'
        f'<p class="rule"><code>{kind}</code> <code>{rule}</code></p>'
        f"{picture.drawn(details, anomaly.value)}{_rows(anomaly, records, opened=opened)}</article>"
    )


def _rule(rule: Rule) -> str:
    """Return a rule as text without the distribution it compares with, which is drawn."""
    return str(replace(rule, kwargs={k: v for k, v in rule.kwargs.items() if k != "baseline"}))


def _of_verdict(anomaly: Anomaly, verdicts: Mapping[str, list[Verdict]]) -> dict[str, Any] | None:
    for verdict in verdicts.get(anomaly.split, []):
        if verdict.rule.identity == anomaly.rule.identity:
            details = verdict.result.get("details")
            return details if isinstance(details, dict) else None
    return None


def _rows(anomaly: Anomaly, records: Sequence[dict[str, Any]], *, opened: bool) -> str:
    """Return the first rows that broke a rule: where they are, their key, and the values."""
    shown = list(records)[:_SHOWN_ROWS]
    if not shown:
        return ""
    keys = _names(shown, "key")
    values = _names(shown, "values")
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("file", "row", *keys, *values))
    body = "".join(
        f'<tr><td>{html.escape(record["file"])}</td><td class="number">{record["row"]:,}</td>'
        + "".join(_cell(record, "key", name) for name in keys)
        + "".join(_cell(record, "values", name) for name in values)
        + "</tr>"
        for record in shown
    )
    total = anomaly.rows if anomaly.rows is not None else len(shown)
    what = f"{total:,} row{'' if total == 1 else 's'}"
    summary = what if total <= len(shown) else f"the first {len(shown)} of {what}"
    state = " open" if opened else ""
    table = f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'
    return f"<details{state}><summary>{summary}</summary>{table}</details>"


def _names(records: Sequence[dict[str, Any]], part: str) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in _parsed(record.get(part))))


def _parsed(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _cell(record: dict[str, Any], part: str, name: str) -> str:
    found = _parsed(record.get(part))
    if name not in found:
        return "<td></td>"
    value = found[name]
    text = "missing" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"<td><bdi>{html.escape(_cut(text))}</bdi></td>"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _checks(split: str, verdicts: Sequence[Verdict]) -> str:
    rows = "".join(_check(verdict) for verdict in sorted(verdicts, key=lambda verdict: verdict.success))
    passed = sum(verdict.success for verdict in verdicts)
    head = "<tr><th></th><th>rule</th><th>found</th></tr>"
    summary = f"Split {html.escape(split)}: {passed:,} of {len(verdicts):,} rules kept"
    table = f'<div class="scroll"><table class="rules">{head}{rows}</table></div>'
    return f"<details><summary>{summary}</summary>{table}</details>"


def _check(verdict: Verdict) -> str:
    mark = '<td class="pass">kept</td>' if verdict.success else '<td class="fail">broken</td>'
    rule, found = html.escape(_rule(verdict.rule)), html.escape(_found(verdict))
    return f"<tr>{mark}<td><code>{rule}</code></td><td>{found}</td></tr>"


def _found(verdict: Verdict) -> str:
    if verdict.error is not None:
        return f"not checked: {verdict.error}"
    if verdict.rows is not None:
        return f"{verdict.rows:,} of {verdict.result.get('element_count', 0):,} rows"
    return _cut(json.dumps(verdict.result.get("observed_value"), ensure_ascii=False))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Validation</title><style>/*STYLE*/</style></head><body>
{{body}}
</body></html>
"""
