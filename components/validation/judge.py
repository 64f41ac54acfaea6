"""Verdicts: Great Expectations judges the computed metrics, and nothing passes that was not computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.expectations.expectation import Expectation

from components.validation.engine import (
    RESULT_FORMAT,
    MetricStoreExecutionEngine,
    MetricUnavailableError,
    needed,
)
from components.validation.metrics import Metric, MetricStore, plain
from components.validation.suite import Rule, expectation
from components.validation.view import InapplicableError


@dataclass(frozen=True)
class Check:
    """A rule, made ready: its Great Expectations object and what must be computed for it.

    Attributes:
        rule: The rule as written.
        expectation: Great Expectations' object.
        metrics: What to compute.
        error: Why it could not be planned; a rule that cannot be planned is broken.
    """

    rule: Rule
    expectation: Expectation
    metrics: tuple[Metric, ...]
    error: str | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether one split keeps one rule.

    Attributes:
        rule: The rule.
        success: True only where every metric was computed and the expectation holds.
        result: Great Expectations' findings: observed value, counts, some unexpected values.
        error: Why no verdict was possible.
        metrics: The metrics it rests on.
    """

    rule: Rule
    success: bool
    result: dict[str, Any]
    error: str | None
    metrics: tuple[Metric, ...]

    @property
    def rows(self) -> int | None:
        """Rows that break the rule, None where it is not about rows."""
        count = self.result.get("unexpected_count")
        return count if isinstance(count, int) else None


def plan(rules: list[Rule], columns: dict[str, str]) -> list[Check]:
    """Return what to compute for every rule.

    Args:
        rules: The rules.
        columns: Arrow type by column of the data they will be held against.

    Raises:
        SuiteError: A rule cannot be understood.
    """
    engine = MetricStoreExecutionEngine(MetricStore(columns))
    checks = []
    for rule in rules:
        known = expectation(rule)
        try:
            checks.append(Check(rule, known, tuple(needed(known, engine))))
        except Exception as error:  # noqa: BLE001 - expectations raise anything; whatever it is, the rule is not checked
            checks.append(Check(rule, known, (), _reason(error)))
    return checks


def judge(checks: list[Check], stores: Mapping[str, MetricStore]) -> dict[str, list[Verdict]]:
    """Return one verdict for every rule, by split."""
    return {
        split: [_verdict(check, engine) for check in checks]
        for split, engine in ((s, MetricStoreExecutionEngine(store, stores)) for s, store in stores.items())
    }


def _verdict(check: Check, engine: MetricStoreExecutionEngine) -> Verdict:
    if check.error is not None:
        return Verdict(check.rule, False, {}, check.error, check.metrics)
    configuration = {"result_format": dict(RESULT_FORMAT)}
    try:
        dependencies = check.expectation.get_validation_dependencies(engine, configuration)
        found = check.expectation.metrics_validate(
            metrics=engine.resolve_metrics(dependencies.get_metric_configurations()),
            execution_engine=engine,
            runtime_configuration=configuration,
        )
    except Exception as error:  # noqa: BLE001 - expectations raise anything; whatever it is, the rule is not checked
        return Verdict(check.rule, False, {}, _reason(error), check.metrics)
    return Verdict(check.rule, bool(found.success), _result(found), None, check.metrics)


def _result(found: ExpectationValidationResult) -> dict[str, Any]:
    """Return the findings as JSON, without what differs between equal runs."""
    return {name: plain(value) for name, value in sorted((found.result or {}).items())}


def _reason(error: Exception) -> str:
    text = str(error).strip()
    known = isinstance(error, MetricUnavailableError | InapplicableError)
    return text if known else f"{type(error).__name__}: {text}"
