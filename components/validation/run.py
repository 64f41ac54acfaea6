"""One validation from rules to artifact: plan, compute, judge, set aside, write, decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from components.artifacts import Examples, Schema, Validation
from components.comparison.splits import Drift, without_repeats
from components.schema.schema import Severity
from components.validation import anomalies, docs, evidence, report
from components.validation.anomalies import Anomaly
from components.validation.job import Computed, Task, compute, tasks
from components.validation.judge import Check, Verdict, judge, plan
from components.validation.phases import bind
from components.validation.quarantine import RowRule, separable, set_aside
from components.validation.suite import Rule, SuiteError, rules_of
from orchestration import GateError

if TYPE_CHECKING:
    import pyarrow as pa

    from orchestration import Beam


@dataclass(frozen=True)
class Judged:
    """What validation found about some examples.

    Attributes:
        checks: The rules, made ready.
        verdicts: A verdict per rule, by split.
        computed: The metrics, by split.
        work: The row groups read.
        schema: Their Arrow schema.
        files: File names by split.
    """

    checks: list[Check]
    verdicts: dict[str, list[Verdict]]
    computed: dict[str, Computed]
    work: list[Task]
    schema: pa.Schema
    files: dict[str, list[str]]

    def anomalies(self) -> list[Anomaly]:
        """Return what is wrong, worst first."""
        return anomalies.find(self.verdicts, self.schema.names)

    def evidence(self) -> list[dict[str, Any]]:
        """Return the first rows that broke each broken rule."""
        violations = {split: computed.violations for split, computed in self.computed.items()}
        return evidence.gather(self.checks, self.verdicts, violations, self.files)


@dataclass(frozen=True)
class Outcome:
    """What a validation came to.

    Attributes:
        examples: The examples that may be used.
        validation: What was found.
        gate: The error to raise, None where no rule of severity ``fail`` is broken.
    """

    examples: Examples
    validation: Validation
    gate: GateError | None


def validate(
    examples: Examples,
    schema: Schema,
    splits: list[str],
    runner: Beam,
    *,
    key: list[str] | None = None,
    environment: str | None = None,
    drift: Drift | None = None,
) -> Outcome:
    """Hold splits against a schema, and what their statistics differ in from a baseline against its limits.

    Rows that break rules of severity ``quarantine`` are set aside and the others are judged again: verdicts
    and metrics are of the rows that go on. A quarantine rule that is still broken then, or whose rows cannot
    be named, counts as ``fail``.

    Args:
        examples: The rows.
        schema: The rules.
        splits: The splits to validate.
        runner: Starts the passes over the rows.
        key: Columns that tell people which row it is.
        environment: The schema's environment; all its rules by default.
        drift: The comparisons with a baseline.

    Raises:
        ArgumentError: The schema does not know the environment.
        DataError: The schema has no rules, or one cannot be understood.
    """
    rules = rules_of(schema, environment, tasks(examples, splits)[1].names)
    if not rules:
        raise SuiteError("the schema has no rules", expected="columns in schema.json or rules in suite.json")
    found = final = judge_examples(examples, rules, splits, runner)
    out, kept, moved = Validation.new(), examples, []
    emptied: list[str] = []
    aside = _row_rules(found)
    if aside:
        kept = set_aside(examples, aside, found.work, found.schema, out.path / "quarantine", runner)
        emptied = [name for name in splits if not kept.metadata["splits"][name]["rows"]]
        final = found if emptied else judge_examples(kept, rules, splits, runner)
        named = {(split, rule.identity) for split, own in aside.items() for rule in own}
        moved = [anomaly for anomaly in found.anomalies() if anomaly.identity in named]
    left = [_escalated(anomaly) for anomaly in final.anomalies() if not (emptied and anomaly in moved)]
    drifted = without_repeats(drift.anomalies, [*moved, *left]) if drift is not None else []
    problems = sorted([*moved, *left, *drifted], key=lambda anomaly: anomaly.order)
    records = _of_problems(found.evidence(), problems)
    if key:
        evidence.add_keys(records, examples, key)
    _write(out, final, problems, records, examples.rows - kept.rows)
    if drift is not None:
        out.metadata["compared"] = sum(len(own) for own in drift.compared.values())
        out.write_json("drift.json", drift.as_json())
    return Outcome(kept, out, _gate(problems, emptied))


def _row_rules(found: Judged) -> dict[str, list[RowRule]]:
    """Return the broken quarantine rules whose rows can be named, by split."""
    rules: dict[str, list[RowRule]] = {}
    for split, verdicts in found.verdicts.items():
        for check, verdict in zip(found.checks, verdicts, strict=True):
            metric = evidence.counting(check)
            wanted = verdict.rule.severity is Severity.QUARANTINE and not verdict.success and verdict.rows
            if wanted and metric is not None and separable(metric):
                bound = bind(metric, found.computed[split].store)
                rules.setdefault(split, []).append(RowRule(verdict.rule.identity, str(verdict.rule), bound))
    return rules


def _of_problems(records: list[dict[str, Any]], problems: list[Anomaly]) -> list[dict[str, Any]]:
    known = {(anomaly.split, str(anomaly.rule)) for anomaly in problems}
    return [record for record in records if (record["split"], record["rule"]) in known]


def _escalated(anomaly: Anomaly) -> Anomaly:
    if anomaly.severity is not Severity.QUARANTINE:
        return anomaly
    message = f"{anomaly.message}; its rows cannot be set aside"
    return replace(anomaly, severity=Severity.FAIL, message=message)


def judge_examples(examples: Examples, rules: list[Rule], splits: list[str], runner: Beam) -> Judged:
    """Compute what rules need in one pass over some splits, and judge every split.

    Raises:
        SuiteError: A rule cannot be understood.
        DataError: The files do not agree on a schema, or could not be read completely.
    """
    work, schema = tasks(examples, splits)
    checks = plan(rules, schema)
    metrics = list({metric.key: metric for check in checks for metric in check.metrics}.values())
    computed = compute(dict.fromkeys(splits, metrics), work, schema, runner)
    verdicts = judge(checks, {split: found.store for split, found in computed.items()})
    files = {split: [file.name for file in examples.files(split)] for split in splits}
    return Judged(checks, verdicts, computed, work, schema, files)


def _write(
    out: Validation, found: Judged, problems: list[Anomaly], records: list[dict[str, Any]], quarantined: int
) -> None:
    counts = {str(s): sum(anomaly.severity is s for anomaly in problems) for s in Severity}
    out.metadata.update(
        success=not counts[Severity.FAIL], anomalies=counts, quarantined=quarantined, checks=len(found.checks)
    )
    rows = {split: sum(task.rows for task in found.work if task.split == split) for split in found.verdicts}
    out.write_json("anomalies.json", [anomaly.as_json() for anomaly in problems])
    out.write_json("result.json", {split: docs.as_json(own) for split, own in found.verdicts.items()})
    out.write_json("plan.json", [check.as_json() for check in found.checks])
    out.write_json("metrics.json", {split: own.store.as_json() for split, own in found.computed.items()})
    evidence.write(records, out.file("evidence.parquet"))
    page = report.page(problems, found.verdicts, records, rows, quarantined)
    out.file("report.html").write_text(page, encoding="utf-8")
    for split, text in docs.pages(found.checks, found.verdicts).items():
        out.file(f"docs/{split}.html").write_text(text, encoding="utf-8")


def _gate(problems: list[Anomaly], emptied: list[str]) -> GateError | None:
    failing = [anomaly for anomaly in problems if anomaly.severity is Severity.FAIL]
    if not failing and not emptied:
        return None
    if not failing:
        return GateError(
            f'every row of split "{emptied[0]}" is in quarantine',
            expected="at least one good row in every split",
            received=problems[0].message,
        )
    worst = failing[0]
    share = worst.rows is not None and isinstance(worst.value, float) and worst.details is None
    received = f"{worst.value:.6g} % of the values" if share else _short(worst.value)
    return GateError(
        worst.message,
        expected=_limit(worst),
        received=f"{received}{_others(problems, len(failing))}",
    )


def _limit(anomaly: Anomaly) -> str:
    """Return what would have been right: the rule, or the limit of the measure that exceeds it."""
    measure = anomaly.rule.type.removeprefix("drift_")
    if measure == anomaly.rule.type or not isinstance(anomaly.threshold, int | float):
        return str(anomaly.rule)
    least = measure == "rows" and anomaly.value < anomaly.threshold
    bound = f"at {'least' if least else 'most'} {anomaly.threshold:g}"
    return f"{measure} of {bound}, beside the {anomaly.rule.kwargs['baseline']}"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 160 else f"{text[:159]}…"


def _others(problems: list[Anomaly], failing: int) -> str:
    kinds = [f"{failing - 1} more failing" if failing > 1 else ""]
    for severity in (Severity.QUARANTINE, Severity.WARN):
        count = sum(anomaly.severity is severity for anomaly in problems)
        kinds.append(f"{count} of severity {severity}" if count else "")
    named = ", ".join(kind for kind in kinds if kind)
    return f" (and {named})" if named else ""
