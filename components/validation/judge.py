"""Verdicts: Great Expectations judges the computed metrics, and nothing passes that was not computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.expectations.expectation import Expectation

from components.validation.engine import (
    RESULT_FORMAT,
    MetricStoreExecutionEngine,
    MetricUnavailableError,
    computable,
    of,
)
from components.validation.metrics import Metric, MetricStore, plain
from components.validation.suite import Rule, expectation
from components.validation.view import InapplicableError


@dataclass(frozen=True)
class Check:
    """A rule, made ready: its Great Expectations object and what must be known for it.

    Attributes:
        rule: The rule as written.
        expectation: Great Expectations' object.
        needs: Metrics by the role they play for the expectation.
        result_format: How Great Expectations is to word its findings.
        error: Why it could not be planned; a rule that cannot be planned is broken.
    """

    rule: Rule
    expectation: Expectation
    needs: Mapping[str, Metric]
    result_format: Mapping[str, Any]
    error: str | None = None

    @property
    def metrics(self) -> list[Metric]:
        """What must be computed; what the schema tells is not."""
        return computable(self.needs.values())

    def as_json(self) -> dict[str, Any]:
        """Return the rule with its metrics: enough to hold other rows against it without this module."""
        metrics = [
            {"metric": metric.name, "domain": dict(metric.domain), "arguments": dict(metric.arguments)}
            for metric in self.metrics
        ]
        rule = {"type": self.rule.type, "kwargs": dict(self.rule.kwargs), "severity": str(self.rule.severity)}
        return rule | {"metrics": metrics}


@dataclass(frozen=True)
class Verdict:
    """Whether one split keeps one rule.

    Attributes:
        rule: The rule.
        success: True only where every metric was computed and the expectation holds.
        result: Great Expectations' findings: observed value, counts, some unexpected values.
        error: Why no verdict was possible.
    """

    rule: Rule
    success: bool
    result: dict[str, Any]
    error: str | None

    @property
    def rows(self) -> int | None:
        """Rows that break the rule, None where it is not about rows."""
        count = self.result.get("unexpected_count")
        return count if isinstance(count, int) else None


def plan(rules: list[Rule], schema: pa.Schema) -> list[Check]:
    """Return what to compute for every rule.

    Args:
        rules: The rules.
        schema: Arrow schema of the rows they will be held against.

    Raises:
        SuiteError: A rule cannot be understood.
    """
    engine = MetricStoreExecutionEngine(MetricStore(schema))
    return [_check(rule, engine) for rule in rules]


def _check(rule: Rule, engine: MetricStoreExecutionEngine) -> Check:
    known = expectation(rule)
    try:
        found = known.get_validation_dependencies(engine, {"result_format": dict(RESULT_FORMAT)})
    except Exception as error:  # noqa: BLE001 - expectations raise anything; the rule is then not checked
        return Check(rule, known, {}, RESULT_FORMAT, _reason(error))
    needs = {role: of(configuration) for role, configuration in found.metric_configurations.items()}
    return Check(rule, known, needs, found.result_format)


def judge(checks: list[Check], stores: Mapping[str, MetricStore]) -> dict[str, list[Verdict]]:
    """Return one verdict for every rule, by split."""
    return {
        split: [_verdict(check, engine) for check in checks]
        for split, engine in ((s, MetricStoreExecutionEngine(store, stores)) for s, store in stores.items())
    }


def _verdict(check: Check, engine: MetricStoreExecutionEngine) -> Verdict:
    if check.error is not None:
        return Verdict(check.rule, False, {}, check.error)
    try:
        # Not metrics_validate: it would ask for the dependencies again, which costs more than the verdict.
        found = check.expectation._validate(
            metrics={role: engine.value(metric) for role, metric in check.needs.items()},
            runtime_configuration={"result_format": dict(check.result_format)},
            execution_engine=engine,
        )
        success, result = (
            (found.success, found.result)
            if isinstance(found, ExpectationValidationResult)
            else (found["success"], found.get("result"))
        )
    except Exception as error:  # noqa: BLE001 - expectations raise anything; the rule is then not checked
        return Verdict(check.rule, False, {}, _reason(error))
    # As JSON, and without numpy's booleans, which are neither JSON nor always a bool.
    return Verdict(check.rule, bool(success), {n: plain(v) for n, v in sorted((result or {}).items())}, None)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    known = isinstance(error, MetricUnavailableError | InapplicableError)
    return text if known else f"{type(error).__name__}: {text}"
