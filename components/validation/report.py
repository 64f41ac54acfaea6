"""The validation report: one page, anomalies first, every rule below."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from components.validation.anomalies import Anomaly
from components.validation.judge import Verdict


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
    details = {
        (split, verdict.rule.identity): verdict.result.get("details")
        for split, judged in verdicts.items()
        for verdict in judged
    }
    failing = any(anomaly.severity == "fail" for anomaly in anomalies)
    heading = "Validation failed" if failing else "Validation passed"
    total = sum(len(judged) for judged in verdicts.values())
    facts = [
        f"{total:,} checks",
        f"{sum(rows.values()):,} rows in {', '.join(f'{s} ({n:,})' for s, n in sorted(rows.items()))}",
        f"{len(anomalies):,} anomalies",
        *([f"{quarantined:,} rows in quarantine"] if quarantined else []),
    ]
    body = [
        f'<h1 class="{"fail" if failing else "pass"}">{heading}</h1>',
        f"<p>{html.escape(' · '.join(facts))}</p>",
        *(
            _anomaly(
                anomaly, by_rule.get((anomaly.split, str(anomaly.rule)), []), details.get(anomaly.identity)
            )
            for anomaly in anomalies
        ),
        *(_checks(split, verdicts[split]) for split in sorted(verdicts)),
    ]
    return _PAGE.replace("{{body}}", "\n".join(body))


def _anomaly(anomaly: Anomaly, records: list[dict[str, Any]], details: Any) -> str:
    shown = records[:20]
    rows = "".join(
        f"<tr><td>{html.escape(r['file'])}</td><td>{r['row']:,}</td><td>{html.escape(_values(r['values']))}</td></tr>"
        for r in shown
    )
    head = "<tr><th>file</th><th>row</th><th>values</th></tr>"
    more = (
        f"<p>{len(shown)} of {anomaly.rows:,} rows</p>" if anomaly.rows and anomaly.rows > len(shown) else ""
    )
    table = f"<details><summary>rows</summary><table>{head}{rows}</table>{more}</details>" if shown else ""
    return (
        f'<section class="{anomaly.severity}">'
        f"<h2><b>{anomaly.severity}</b> {html.escape(anomaly.message)}</h2>"
        f"<p><code>{html.escape(anomaly.kind)}</code> <code>{html.escape(str(anomaly.rule))}</code></p>"
        f"{_bins(details)}{table}</section>"
    )


def _bins(details: Any) -> str:
    """Return the bins of a comparison of distributions: what the alert rests on."""
    if not isinstance(details, dict) or "bins" not in details:
        return ""
    sums = [max(1, sum(entry[side] for entry in details["bins"])) for side in ("baseline", "observed")]
    rows = "".join(
        f"<tr><td>{html.escape(str(entry['bin']))}</td>"
        + "".join(
            _bar(entry[side], total) for side, total in zip(("baseline", "observed"), sums, strict=True)
        )
        + "</tr>"
        for entry in details["bins"][:50]
    )
    head = "<tr><th>bin</th><th>baseline</th><th>observed</th></tr>"
    formula = f"<p>{html.escape(details['formula'])} Threshold {details['threshold']:g}.</p>"
    return f"{formula}<details><summary>bins</summary><table>{head}{rows}</table></details>"


def _bar(count: int, total: int) -> str:
    share = 100 * count / total
    return f'<td><span class="bar" style="width:{share:.1f}%"></span>{count:,} ({share:.1f} %)</td>'


def _values(text: str) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in json.loads(text).items())


def _checks(split: str, verdicts: list[Verdict]) -> str:
    rows = "".join(_check(verdict) for verdict in verdicts)
    passed = sum(verdict.success for verdict in verdicts)
    head = "<tr><th></th><th>rule</th><th>found</th></tr>"
    return (
        f"<details><summary>Split {html.escape(split)}: {passed} of {len(verdicts)} rules kept</summary>"
        f"<table>{head}{rows}</table></details>"
    )


def _check(verdict: Verdict) -> str:
    mark = '<td class="pass">kept</td>' if verdict.success else '<td class="fail">broken</td>'
    rule, found = html.escape(str(verdict.rule)), html.escape(_found(verdict))
    return f"<tr>{mark}<td><code>{rule}</code></td><td>{found}</td></tr>"


def _found(verdict: Verdict) -> str:
    if verdict.error is not None:
        return f"not checked: {verdict.error}"
    if verdict.rows is not None:
        return f"{verdict.rows:,} of {verdict.result.get('element_count', 0):,} rows"
    text = json.dumps(verdict.result.get("observed_value"), ensure_ascii=False)
    return text if len(text) <= 200 else text[:199] + "…"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Validation</title><style>
:root{color-scheme:light dark;--line:#d4d9df;--bad:#b42318;--good:#1a7f37;--warn:#9a6700}
@media(prefers-color-scheme:dark){:root{--line:#38414b;--bad:#ff8f85;--good:#6fd58a;--warn:#e3b341}}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1rem;font-weight:400;margin:0;overflow-wrap:anywhere}
section{border:1px solid var(--line);border-left-width:5px;border-radius:6px}
section{padding:.7rem 1rem;margin:.7rem 0}
section.fail{border-left-color:var(--bad)}section.warn{border-left-color:var(--warn)}
section p{margin:.3rem 0 0}.pass{color:var(--good)}.fail>h2>b,td.fail,h1.fail{color:var(--bad)}
code{font-size:.85em;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%;margin:.5rem 0}
td,th{border-top:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
.bar{display:block;height:.4rem;background:#5b8def;border-radius:2px}
summary{cursor:pointer;margin-top:.4rem}
</style></head><body>
{{body}}
</body></html>
"""
