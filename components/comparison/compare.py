"""New data against a baseline: its columns, distributions and rows, with bounds beyond chance."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Examples
from components.comparison import row_rules, wording
from components.comparison.chance import NOTABLE, UNLIKELY
from components.comparison.columns import apart, compare_column
from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.comparison.profile import Sides
from components.comparison.splits import anomalies_of
from components.comparison.structure import differences
from components.schema.schema import Severity
from components.statistics.statistics import ColumnStatistics, DatasetStatistics
from components.validation.anomalies import Anomaly, gravest
from components.validation.suite import Rule
from orchestration import Beam, DataError, RunContext, require

if TYPE_CHECKING:
    from components.comparison.files import ReadOptions
    from components.validation.run import Judged

BASELINE = "baseline"
NEW = "new"
_TOP = 1_000
_ALIKE = 0.1
_NO_ROWS = "the input has no rows"
_ROW_KINDS = ("number", "time", "text", "bool", "empty")  # what whole rows are compared by
_KINDS = {row_rules.UNIQUE_ROWS: "rows_repeated", row_rules.NULL: "values_filled"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Compared:
    """What came out.

    Attributes:
        anomalies: What is wrong or different, worst first.
        before: The baseline's statistics.
        now: The new data's statistics.
    """

    anomalies: list[Anomaly]
    before: DatasetStatistics = DatasetStatistics({}, 0.01)  # noqa: RUF009 - frozen
    now: DatasetStatistics = DatasetStatistics({}, 0.01)  # noqa: RUF009 - frozen

    @property
    def failed(self) -> bool:
        """Whether something is wrong, not only different."""
        return any(anomaly.severity is Severity.FAIL for anomaly in self.anomalies)

    def page(self, baseline: str, new: str) -> str:
        """Return both data sets as one HTML page, what changed first.

        Args:
            baseline: What the baseline is called.
            new: What the new data is called.
        """
        from components.statistics.report_page import render_report

        title = f"{Path(new).name} against {Path(baseline).name}"
        changes = [anomaly.as_json() for anomaly in self.anomalies]
        return render_report(self.now, title=title, baseline=self.before, changes=changes)


def compare_files(
    baseline: str, new: str, options: ReadOptions, threshold: float, beam: Beam, run: RunContext, say: Say
) -> Compared:
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
        message, rule = f"there is no row; the baseline has {good.rows:,}", Rule("baseline_rows", {})
        kind = "row_count_out_of_range"
        return Compared([Anomaly("", None, kind, Severity.FAIL, message, 0, 0, 1, rule)])
    return compare(good, judged, threshold=threshold, beam=beam, run=run, say=say)


def compare(
    baseline: Examples,
    new: Examples,
    *,
    threshold: float = 0.1,
    beam: Beam,
    run: RunContext,
    say: Say = print,
) -> Compared:
    """Say what is wrong or different in new data.

    Args:
        baseline: Good rows, as one split.
        new: Rows to judge, as one split.
        threshold: Difference of the cumulated shares (numbers) or of a value's share (texts), in (0, 1],
            from which a distribution is said to be wrong, unless chance explains it; half of it is a warning.
        beam: Runs the passes over the rows.
        run: Where figures go.
        say: Told what is being done.

    Raises:
        ArgumentError: The threshold is out of range.
        DataError: The data cannot be read.
    """
    require(0 < threshold <= 1, "threshold", "a difference of shares in (0, 1]", threshold)
    from components.compute_statistics import compute_statistics
    from components.statistics.statistics import load_statistics

    say("describing both")
    before, now = (
        load_statistics(compute_statistics(rows, top_k=_TOP, beam=beam, run=run)) for rows in (baseline, new)
    )
    old, fresh = _columns(before), _columns(now)
    pairs = {name: Sides(one, fresh[name]) for name, one in old.items() if name in fresh}
    pairs = {name: sides for name, sides in pairs.items() if _same_family(sides)}
    say("comparing distributions, values and rows")
    moved = _swapped(pairs, _moved(pairs.values(), threshold))
    found = [*differences(old, fresh, new), *moved, *_broken(baseline, new, pairs, beam)]
    best = gravest(((one.column, one.kind), one) for one in found)
    new_values = {one.column for one in best if one.kind == "values_unexpected"}
    said = [one for one in best if one.kind != "lengths_out_of_range" or one.column not in new_values]
    return Compared(said, before, now)


def _columns(statistics: DatasetStatistics) -> dict[str, ColumnStatistics]:
    (split,) = statistics.splits.values()
    return {column.name: column for column in split.columns}


def _same_family(sides: Sides) -> bool:
    return sides.before.kind == sides.now.kind or not (sides.before.present and sides.now.present)


def _moved(pairs: Collection[Sides], threshold: float) -> list[Anomaly]:
    """Return the columns whose distribution is another one; that time and counters go on is no failure."""
    small, large = threshold / 2, threshold
    numbers = (Limit(Measure.KOLMOGOROV_SMIRNOV, small, large),)
    rules = DriftRules(
        numbers=numbers,
        times=numbers,
        categories=(Limit(Measure.L_INFINITY, small, large),),
        columns={s.name: (Limit(Measure.KOLMOGOROV_SMIRNOV, small),) for s in pairs if row_rules.goes_on(s)},
        missing_warn=None,  # which rows lack a value, the rules for rows say
        missing_fail=None,
        not_finite=None,
        chance=NOTABLE,
        chance_to_fail=UNLIKELY,
        not_compared=Severity.WARN,
    )
    found = [
        comparison
        for sides in pairs
        if row_rules.comparable(sides)
        for comparison in compare_column(sides.before, sides.now, rules)
    ]
    return anomalies_of({"": found})


def _swapped(pairs: Mapping[str, Sides], moved: Sequence[Anomaly]) -> Iterator[Anomaly]:
    """Yield the anomalies with a word where two columns look like each other's baseline."""
    changed = {str(one.column) for one in moved if one.kind == "distribution_changed"}
    names = [name for name in pairs if name in changed]
    partner: dict[str | None, str] = {}
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            one, two = pairs[name], pairs[other]
            if name not in partner and other not in partner and _alike(one, two) and _alike(two, one):
                partner |= {name: other, other: name}
    for anomaly in moved:
        if anomaly.column in partner and anomaly.kind == "distribution_changed":
            message = re.sub(r", about \S+ times as large \(another unit\?\)", "", anomaly.message)
            said = f'{message}; it looks like "{partner[anomaly.column]}" (swapped?)'
            yield replace(anomaly, message=said)
        else:
            yield anomaly


def _alike(one: Sides, other: Sides) -> bool:
    """Return whether a column was before what the other one is now, and far from what it is itself."""
    itself, swapped = apart(one.before, one.now), apart(one.before, other.now)
    return itself is not None and swapped is not None and swapped < min(_ALIKE, itself / 2)


def _broken(baseline: Examples, new: Examples, pairs: Mapping[str, Sides], beam: Beam) -> Iterator[Anomaly]:
    """Yield what rows break of what the baseline's rows keep, with bounds beyond chance."""
    columns = [name for name, sides in pairs.items() if sides.before.kind in _ROW_KINDS]
    rules = [rule for sides in pairs.values() for rule in row_rules.rules_of(sides)]
    was = ""
    if len(columns) > 1:
        once = Rule(row_rules.UNIQUE_ROWS, {"column_list": columns})
        repeated = _judged(baseline, [once], BASELINE, beam).verdicts[BASELINE][0].rows or 0
        rules += row_rules.whole_row_rules(columns, repeated, baseline.rows, new.rows)
        was = f"in the baseline {repeated:,} of {baseline.rows:,}"
    for anomaly in _judged(new, rules, NEW, beam).anomalies() if rules else []:
        yield _told(anomaly, pairs.get(str(anomaly.column)), was)


def _told(anomaly: Anomaly, sides: Sides | None, repeated: str) -> Anomaly:
    """Return a broken rule in words about the baseline; what was found and allowed as shares of the rows."""
    kind = _KINDS.get(anomaly.rule.type, anomaly.kind)
    if anomaly.rows is None:
        return replace(anomaly, split="")
    value = anomaly.value / 100 if isinstance(anomaly.value, int | float) else None
    shares: dict[str, Any] = {"value": value, "threshold": 1 - float(anomaly.rule.kwargs.get("mostly", 1))}
    message, column = anomaly.message, anomaly.column
    if sides is None:
        message, column = f"{anomaly.rows:,} rows equal another row in every column, {repeated}", None
    elif said := wording.broken(kind, anomaly.rows, sides):
        message = f'"{column}": {said}'
    return replace(anomaly, split="", column=column, kind=kind, message=message, **shares)


def _judged(examples: Examples, rules: list[Rule], split: str, beam: Beam) -> Judged:
    from components.validation.run import judge_examples

    return judge_examples(examples, rules, [split], beam)
