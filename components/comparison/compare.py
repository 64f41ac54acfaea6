"""New data against a baseline: a schema from the baseline, rules with bounds beyond chance, one verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Examples
from components.comparison import rules as rules_for
from components.comparison.chance import NOTABLE, UNLIKELY, rows_beyond
from components.comparison.findings import Finding, distinct, swapped, worded
from components.comparison.proof import surely_kept
from components.comparison.rules import Sides
from components.comparison.structure import comparable_type, differences, same_type
from components.schema.schema import Expectation, Severity
from components.statistics.statistics import ColumnStatistics, DatasetStatistics
from orchestration import Beam, DataError, RunContext, require

if TYPE_CHECKING:
    from components.comparison.files import ReadOptions
    from components.validation.judge import Check
    from components.validation.run import Judged
    from components.validation.suite import Rule

BASELINE = "baseline"
NEW = "new"
_COMPARED_TEXTS = 20_000
_TOP = 1_000
_NO_ROWS = "the input has no rows"
_SHAPED = ("number", "time", "text", "bool")
_OWN = {  # what the schema says of these is said anew, with bounds for the number of rows at hand
    rules_for.NOT_NULL,
    rules_for.IN_SET,
    rules_for.BETWEEN,
    "expect_column_to_exist",
    "expect_table_row_count_to_be_between",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        findings: What is wrong or different, worst first.
        before: The baseline's statistics.
        now: The new data's statistics.
        details: How a distribution changed, by column: formula, threshold and bins.
        apart: How far each compared column lies from the baseline, 0 to 1.
    """

    findings: list[Finding]
    before: DatasetStatistics | None
    now: DatasetStatistics | None
    details: dict[str, dict[str, Any]]
    apart: dict[str, float]

    def page(self, baseline: str, new: str) -> str:
        """Return both data sets as one HTML page, what changed first.

        Args:
            baseline: What the baseline is called.
            new: What the new data is called.
        """
        from components.statistics.report_page import render_report

        changes = [self._change(finding) for finding in self.findings]
        title = f"{Path(new).name} against {Path(baseline).name}"
        empty = DatasetStatistics({}, 0.01)
        return render_report(
            self.now or empty,
            title=title,
            baseline=self.before or empty,
            changes=changes,
            apart=self.apart,
        )

    def _change(self, finding: Finding) -> dict[str, Any]:
        change = finding.to_json()
        if finding.kind == "distribution_changed" and finding.column in self.details:
            change["details"] = {**self.details[finding.column], "threshold": finding.threshold}
        return change

    @property
    def failed(self) -> bool:
        """Whether something is wrong, not only different."""
        return any(finding.severity is Severity.FAIL for finding in self.findings)


def compare_files(
    baseline: str, new: str, options: ReadOptions, threshold: float, beam: Beam, run: RunContext, say: Say
) -> Comparison:
    """Read two file sets and compare them; see :func:`compare`.

    Raises:
        DataError: The files cannot be read, or the baseline has no rows.
    """
    from components.comparison.files import read_files

    say(f"reading {baseline}")
    good = read_files([baseline], BASELINE, options, beam, run)
    say(f"reading {new}")
    try:
        judged = read_files([new], NEW, options, beam, run)
    except DataError as error:
        if error.headline != _NO_ROWS:
            raise
        return _nothing(good)
    return compare(good, judged, threshold=threshold, beam=beam, run=run, say=say)


def _nothing(baseline: Examples) -> Comparison:
    message = f"there is no row; the baseline has {baseline.rows:,}"
    finding = Finding(None, "row_count_out_of_range", Severity.FAIL, message, 0, 0, 1)
    return Comparison([finding], None, None, {}, {})


def compare(
    baseline: Examples,
    new: Examples,
    *,
    threshold: float = 0.1,
    beam: Beam,
    run: RunContext,
    say: Say = print,
) -> Comparison:
    """Say what is wrong or different in new data.

    Args:
        baseline: Good rows, as one split.
        new: Rows to judge, as one split.
        threshold: Difference of the cumulated shares (numbers) or of a value's share (texts), in (0, 1],
            from which a distribution is said to be wrong; half of it is a warning. Small data needs more,
            as far as chance goes.
        beam: Runs the passes over the rows.
        run: Where figures go.
        say: Told what is being done.

    Raises:
        ArgumentError: The threshold is out of range.
        DataError: The data cannot be read.
    """
    require(0 < threshold <= 1, "threshold", "a difference of shares in (0, 1]", threshold)
    from components.compute_statistics import compute_statistics
    from components.infer_schema import infer_schema
    from components.schema.schema import load_schema
    from components.statistics.statistics import load_statistics

    say("describing both")
    described = compute_statistics(baseline, top_k=_TOP, beam=beam, run=run)
    schema = load_schema(infer_schema(described, run=run))
    before = load_statistics(described)
    now = load_statistics(compute_statistics(new, top_k=_TOP, beam=beam, run=run))
    old, fresh = _columns(before), _columns(now)
    findings = list(differences(old, fresh, new))
    findings += _emptied(old, fresh)
    pairs = [
        Sides(one, fresh[name])
        for name, one in old.items()
        if name in fresh and (same_type(one, fresh[name]) or comparable_type(one, fresh[name]))
    ]
    say("comparing distributions, values and rows")
    measured = _measure(baseline, pairs, beam)
    judged = _judge(new, _rules(pairs, measured, threshold, schema.expectations), beam)
    findings += _value_findings(judged, pairs, measured, threshold)
    return Comparison(distinct(swapped(pairs, findings)), before, now, _details(judged), _apart(judged))


def _columns(statistics: DatasetStatistics) -> dict[str, ColumnStatistics]:
    (split,) = statistics.splits.values()
    return {column.name: column for column in split.columns}


def _emptied(old: Mapping[str, ColumnStatistics], fresh: Mapping[str, ColumnStatistics]) -> Iterator[Finding]:
    """Yield a finding for every column that lost all its values, where chance does not explain it."""
    for name, now in fresh.items():
        if name not in old or now.present or not old[name].present or not now.rows:
            continue
        one = old[name]
        chance = max(one.missing_share, 1 / one.rows) ** now.rows
        if chance < NOTABLE:
            severity = Severity.FAIL if chance < UNLIKELY else Severity.WARN
            message = f'"{name}": no row has a value; in the baseline {one.present:,} of {one.rows:,} had one'
            yield Finding(name, "values_missing", severity, message, now.rows, 1.0, one.missing_share)


@dataclass(frozen=True)
class _Measured:
    """What the statistics do not tell about the baseline.

    Attributes:
        shapes: Distributions by column.
        row_columns: Columns that rows are compared by.
        repeated: Rows that equal another one in these columns.
        rows: Rows of the baseline.
    """

    shapes: dict[str, Any]
    row_columns: list[str]
    repeated: int
    rows: int


def _measure(baseline: Examples, pairs: Sequence[Sides], beam: Beam) -> _Measured:
    from components.validation.job import compute, tasks
    from components.validation.judge import plan
    from components.validation.metrics import Metric
    from components.validation.suite import Rule

    work, schema = tasks(baseline, [BASELINE])
    shaped = [sides.name for sides in pairs if _has_shape(sides)]
    wanted = {name: Metric("column.distribution", {"column": name}) for name in shaped}
    columns = [sides.name for sides in pairs if sides.before.kind in (*_SHAPED, "empty")]
    unique = [Rule(rules_for.UNIQUE_ROWS, {"column_list": columns})] if len(columns) > 1 else []
    checks = plan(unique, schema)
    metrics = [*wanted.values(), *(metric for check in checks for metric in check.metrics)]
    values = compute({BASELINE: metrics}, work, schema, beam)[BASELINE].store.values if metrics else {}
    shapes = {name: values[metric.key] for name, metric in wanted.items() if metric.key in values}
    return _Measured(shapes, columns, _repeated(checks, values), baseline.rows)


def _rules(
    pairs: Sequence[Sides], measured: _Measured, threshold: float, inferred: Sequence[Expectation]
) -> list[Rule]:
    """Return the rules for the new rows: those with bounds beyond chance, then what else the schema says."""
    from components.validation.suite import Rule

    made: list[Expectation] = []
    for sides in pairs:
        if sides.before.present and sides.now.present:
            own = rules_for.column_rules(sides, measured.shapes.get(sides.name), threshold)
            made += [rule for rule in own if not surely_kept(rule.type, rule.kwargs, sides.now)]
    rows = max((sides.now.rows for sides in pairs), default=0)
    made += rules_for.row_rules(measured.row_columns, measured.repeated, measured.rows, rows)
    made += _rest(inferred, {sides.name: sides for sides in pairs})
    return [Rule(one.type, one.kwargs, one.severity) for one in made]


def _rest(inferred: Sequence[Expectation], pairs: Mapping[str, Sides]) -> Iterator[Expectation]:
    """Yield the schema's other rules about values, as far as chance does not break them."""
    for one in inferred:
        sides = pairs.get(str(one.kwargs.get("column")))
        if sides is None or one.type in _OWN or "baseline_split" in one.kwargs or not sides.comparable:
            continue
        if one.type.startswith("expect_column_values_to"):
            least = rows_beyond(sides.before.rows, sides.now.rows)
            mostly = min(float(one.kwargs.get("mostly", 1)), 1 - (least - 0.5) / sides.now.rows)
            if mostly > 0:
                yield dataclasses.replace(one, kwargs={**one.kwargs, "mostly": mostly})
        yield dataclasses.replace(one, severity=Severity.WARN)


def _has_shape(sides: Sides) -> bool:
    texts = max(sides.before.distinct or 0, sides.now.distinct or 0)
    shaped = sides.comparable and sides.before.kind in _SHAPED
    return shaped and (sides.before.kind != "text" or texts <= _COMPARED_TEXTS)


def _repeated(checks: Sequence[Check], values: Mapping[str, Any]) -> int:
    for check in checks:
        for metric in check.metrics:
            if metric.name.endswith("unexpected_count"):
                return int(values.get(metric.key, 0))
    return 0


def _judge(new: Examples, rules: list[Rule], beam: Beam) -> Judged | None:
    from components.validation.run import judge_examples

    return judge_examples(new, rules, [NEW], beam) if rules else None


def _value_findings(
    judged: Judged | None, pairs: Sequence[Sides], measured: _Measured, threshold: float
) -> Iterator[Finding]:
    by_name = {sides.name: sides for sides in pairs}
    for verdict in judged.verdicts[NEW] if judged is not None else []:
        if verdict.success or judged is None:
            continue
        from components.validation import anomalies
        from components.validation.metrics import plain

        (found,) = anomalies.find({NEW: [verdict]}, judged.schema.names)
        finding = Finding(
            found.column, found.kind, found.severity, found.message, found.rows,
            *_exact(verdict.rule, found, verdict.rows),
        )  # fmt: skip
        if verdict.rule.type == rules_for.UNIQUE_ROWS:
            was = f"in the baseline {measured.repeated:,} of {measured.rows:,}"
            message = f"{found.rows or 0:,} rows equal another row in every column, {was}"
            yield dataclasses.replace(finding, column=None, kind="rows_repeated", message=message)
        elif verdict.rule.type == rules_for.NULL:
            message = f'"{found.column}": far fewer values are missing than in the baseline (filled in?)'
            yield dataclasses.replace(finding, kind="values_filled", message=message)
        elif found.column in by_name:
            details = plain(verdict.result.get("details") or {})
            sides = by_name[found.column]
            yield worded(_graded(finding, sides, measured, threshold), sides, details)


def _graded(finding: Finding, sides: Sides, measured: _Measured, threshold: float) -> Finding:
    """Return a changed distribution with the severity that its difference has."""
    if finding.kind != "distribution_changed" or sides.name not in measured.shapes:
        return finding
    limits = rules_for.drift_limits(sides, measured.shapes[sides.name], threshold)
    limit = limits.get(Severity.FAIL)
    if limit is None or finding.value <= limit:
        return finding
    return dataclasses.replace(finding, severity=Severity.FAIL, threshold=limit)


def _exact(rule: Rule, found: Any, rows: int | None) -> tuple[Any, Any]:
    """Return what was found and allowed: shares for rows, the measure for distributions."""
    if rows is not None and isinstance(found.value, int | float):
        return found.value / 100, 1 - float(rule.kwargs.get("mostly", 1))
    if "threshold" in rule.kwargs:
        return found.value, rule.kwargs["threshold"]
    return found.value, found.threshold


def _details(judged: Judged | None) -> dict[str, dict[str, Any]]:
    if judged is None:
        return {}
    return {
        verdict.rule.columns[0]: verdict.result["details"]
        for verdict in judged.verdicts[NEW]
        if not verdict.success and "bins" in (verdict.result.get("details") or {})
    }


def _apart(judged: Judged | None) -> dict[str, float]:
    verdicts = judged.verdicts[NEW] if judged is not None else []
    drift = [one for one in verdicts if one.rule.type in (rules_for.KOLMOGOROV, rules_for.L_INFINITY)]
    found = {one.rule.columns[0]: one.result.get("observed_value") for one in drift}
    return {name: round(float(value), 6) for name, value in found.items() if isinstance(value, int | float)}
