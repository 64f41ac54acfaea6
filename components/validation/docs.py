"""Great Expectations' own Data Docs, made to open without a network and to be the same for the same data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import great_expectations
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView

from components.validation.judge import Check, Verdict

_REMOTE = re.compile(
    r'<script[^>]*\bsrc="https?:[^>]*>\s*</script>|<link[^>]*\bhref="https?:[^>]*>|<img[^>]*\bsrc="https?:[^>]*>',
    re.IGNORECASE,
)
_REMOTE_STYLE = re.compile(r"background(?:-image)?:\s*url\(['\"]?https?:[^)]*\)[^;}]*;?")
_SCRIPT = re.compile(r"<script\b.*?</script>", re.IGNORECASE | re.DOTALL)
_RUN = re.compile(r"<tr>(?:(?!</tr>).)*?Run (?:Name|Time).*?</tr>", re.DOTALL)  # there is none to name
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOOTER = re.compile(r"<footer\b.*?</footer>", re.IGNORECASE | re.DOTALL)  # advertises, with links
_NO_RUN = {"run_name": "headrace", "run_time": "1970-01-01T00:00:00+00:00"}


def suite_result(name: str, checks: list[Check], verdicts: list[Verdict]) -> ExpectationSuiteValidationResult:
    """Return the verdicts as Great Expectations' result of a whole suite."""
    passed = sum(verdict.success for verdict in verdicts)
    return ExpectationSuiteValidationResult(
        success=passed == len(verdicts),
        results=[_result(check, verdict) for check, verdict in zip(checks, verdicts, strict=True)],
        suite_name=name,
        suite_parameters={},
        statistics=statistics(verdicts),
        meta={"great_expectations_version": great_expectations.__version__, "run_id": dict(_NO_RUN)},
    )


def statistics(verdicts: list[Verdict]) -> dict[str, Any]:
    """Return Great Expectations' counts of kept and broken rules."""
    passed = sum(verdict.success for verdict in verdicts)
    return {
        "evaluated_expectations": len(verdicts),
        "successful_expectations": passed,
        "unsuccessful_expectations": len(verdicts) - passed,
        "success_percent": 100 * passed / len(verdicts) if verdicts else None,
    }


def _result(check: Check, verdict: Verdict) -> ExpectationValidationResult:
    return ExpectationValidationResult(
        success=verdict.success,
        expectation_config=check.expectation.configuration,
        result=verdict.result,
        meta={},
        exception_info={
            "raised_exception": verdict.error is not None,
            "exception_message": verdict.error or "",
            "exception_traceback": "",
        },
    )


def as_json(verdicts: list[Verdict]) -> dict[str, Any]:
    """Return the verdicts in the form of Great Expectations' JSON result, without ids and times."""
    return {
        "success": all(verdict.success for verdict in verdicts),
        "statistics": statistics(verdicts),
        "results": [
            {
                "success": verdict.success,
                "expectation_config": {
                    "type": verdict.rule.type,
                    "kwargs": dict(verdict.rule.kwargs),
                    "meta": {"severity": str(verdict.rule.severity)},
                },
                "result": verdict.result,
                "exception_info": {
                    "raised_exception": verdict.error is not None,
                    "exception_message": verdict.error,
                },
            }
            for verdict in verdicts
        ],
    }


def pages(checks: list[Check], verdicts: Mapping[str, list[Verdict]]) -> dict[str, str]:
    """Return the Data Docs page of every split, each one HTML file that needs nothing else."""
    view = DefaultJinjaPageView()  # its templates are compiled once for all splits
    renderer = ValidationResultsPageRenderer()
    found = {}
    for split, own in verdicts.items():
        document = renderer.render(suite_result(f"split {split}", checks, own))
        found[split] = _offline(view.render(document))  # type: ignore[no-untyped-call]  # no annotations
    return found


def _offline(html: str) -> str:
    for unwanted in (_FOOTER, _REMOTE, _SCRIPT, _RUN, _REMOTE_STYLE):
        html = unwanted.sub("", html)
    seen: dict[str, str] = {}
    html = _UUID.sub(lambda uuid: seen.setdefault(uuid[0], f"part-{len(seen) + 1}"), html)
    return html.replace("</head>", f"<style>{_STYLE}</style></head>", 1)


# The few rules of the style sheets that Great Expectations loads from the network and its page relies on.
_STYLE = """
*{box-sizing:border-box}body{margin:0;font:15px/1.5 system-ui,sans-serif;color:#1d232b;background:#fff}
.container-fluid{padding:0 1.5rem}.row{display:flex;flex-wrap:wrap}.row>*{flex:1 1 auto;min-width:0}
.col-lg-2,.col-md-2{flex:0 0 15rem;max-width:15rem}.col-lg-10,.col-md-10{flex:1 1 40rem}
.card{border:1px solid #d4d9df;border-radius:6px;margin:0 0 1rem}.card-header,.card-body{padding:.6rem .9rem}
.table{width:100%;border-collapse:collapse;margin:.5rem 0 1rem}.table td,.table th{padding:.45rem .6rem;
border-top:1px solid #d4d9df;text-align:left;vertical-align:top;overflow-wrap:anywhere}
.badge{display:inline-block;padding:.1rem .45rem;border-radius:4px;background:#e6e9ed;font-size:.85em}
.table th{white-space:nowrap}h5{font-size:1.05rem;margin:1rem 0 .3rem}
.alert-success{background:#dff3e3}.alert-danger{background:#fbe0de}
.text-success{color:#1a7f37}.text-danger{color:#b42318}.text-warning{color:#9a6700}
.collapse{display:block}.navbar,.modal,.btn,.sticky{display:none}ul{padding-left:1.2rem}
.fa-check-circle::before{content:"\\2713"}.fa-times::before{content:"\\2717"}.fa-exclamation-triangle::before{content:"!"}
@media(prefers-color-scheme:dark){body{color:#e4e8ed;background:#14181d}
.card,.table td,.table th{border-color:#38414b}
.alert-success{background:#173d22}.alert-danger{background:#4c1d1a}.badge{background:#38414b}}
"""
