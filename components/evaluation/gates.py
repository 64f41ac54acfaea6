"""The verdict: every gate of the specification, failing closed where there is no evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from components.evaluation.spec import Direction, EvaluationSpec, Gate, Slice
from components.evaluation.summary import Figure, Group


@dataclass(frozen=True)
class Champion:
    """What is known of the live model when the gates decide.

    Attributes:
        exists: Whether there is one.
        name: How it is named in reasons.
        failure: Why it could not be evaluated; empty when it was.
    """

    exists: bool
    name: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Finding:
    """What one gate found, for all rows or in the group that decided.

    Attributes:
        gate: The gate in words.
        passed: Whether it lets the model through.
        reason: Why, with the figures.
    """

    gate: str
    passed: bool
    reason: str

    def to_json(self) -> dict[str, object]:
        """Return the finding as JSON."""
        return {"gate": self.gate, "passed": self.passed, "reason": self.reason}


@dataclass(frozen=True)
class Verdict:
    """Whether the model is blessed, and why.

    Attributes:
        blessed: Whether every gate passed on evidence.
        reasons: What speaks against it; of a blessed model, what the verdict had to do without.
        findings: Every gate's finding.
    """

    blessed: bool
    reasons: list[str]
    findings: list[Finding]


def judge(
    spec: EvaluationSpec, overall: Group, slices: list[Group], champion: Champion, invalid_rows: int
) -> Verdict:
    """Hold the figures against the gates.

    Args:
        spec: The specification.
        overall: Figures of all rows.
        slices: Figures of the slices with enough rows.
        champion: The live model.
        invalid_rows: Rows whose prediction was no valid number.
    """
    findings = [_Judge(spec, overall, slices, champion, gate).finding() for gate in spec.gates]
    against = []
    if overall.rows == 0:
        against.append("no rows were evaluated")
    if invalid_rows:
        against.append(f"{invalid_rows} predictions are no valid numbers")
    if not spec.gates:
        against.append("the specification has no gates")
    against += [f"{finding.gate}: {finding.reason}" for finding in findings if not finding.passed]
    if against:
        return Verdict(False, against, findings)
    changes = any(gate.margin is not None for gate in spec.gates)
    notes = ["no champion yet: this is the first model"] if changes and not champion.exists else []
    return Verdict(True, notes, findings)


@dataclass(frozen=True)
class _Judge:
    """One gate and the figures it is held against."""

    spec: EvaluationSpec
    overall: Group
    slices: list[Group]
    champion: Champion
    gate: Gate

    def finding(self) -> Finding:
        problems: list[str] = []
        passes: list[str] = []
        if self.gate.margin is not None and not self.champion.exists:
            return self._first_model()
        for group, missing in self._groups():
            problem, figures = (missing, "") if group is None else self._hold(group)
            (problems if problem else passes).append(problem or figures)
        if problems:
            return self._done(False, problems)
        return self._done(True, passes)

    def _first_model(self) -> Finding:
        if not self.gate.first_model:
            return self._done(False, ["there is no champion to compare with"])
        return self._done(True, ["no champion yet"])

    def _done(self, passed: bool, texts: list[str]) -> Finding:
        shown = "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more" if len(texts) > 3 else "")
        return Finding(self.gate.text, passed, shown)

    def _groups(self) -> Iterator[tuple[Group | None, str]]:
        """Yield every group the gate applies to, or None and what is missing."""
        wanted = self.gate.slices
        if wanted is None:
            yield self.overall, ""
            return
        found = [group for group in self.slices if _belongs(group, wanted)]
        if wanted.only:
            yield from self._required(found, wanted)
        elif not found:
            yield None, f"no slice of {wanted.name} has {self.spec.minimum_slice_rows} rows"
        else:
            yield from ((group, "") for group in found)

    def _required(self, found: list[Group], wanted: Slice) -> Iterator[tuple[Group | None, str]]:
        by_value = {group.key[0][1]: group for group in found}
        for value in wanted.only:
            missing = f"{wanted.name} = {value} has fewer than {self.spec.minimum_slice_rows} rows"
            yield by_value.get(value), missing

    def _hold(self, group: Group) -> tuple[str, str]:
        """Return the problem ("" for none) and the figures in words."""
        where = f"{group.name}: " if group.key else ""
        if self.gate.margin is not None:
            problem, figures = self._change(group, self.gate.margin)
        else:
            problem, figures = self._value(group.metrics[self.gate.metric])
        return (f"{where}{problem}" if problem else ""), f"{where}{figures}"

    def _value(self, figure: Figure) -> tuple[str, str]:
        gate, name = self.gate, self.gate.metric
        if math.isnan(figure.value):
            return f"{name} is undefined on these rows", ""
        if gate.confident and (figure.low is None or figure.high is None):
            return f"{name} has no confidence interval", ""
        low, high = (figure.low, figure.high) if gate.confident else (figure.value, figure.value)
        text = f"{name} is {shown(figure)}"
        if gate.minimum is not None and not (low is not None and low >= gate.minimum):
            return text, text
        if gate.maximum is not None and not (high is not None and high <= gate.maximum):
            return text, text
        return "", text

    def _change(self, group: Group, margin: float) -> tuple[str, str]:
        name = self.gate.metric
        if self.champion.failure:
            return f"the champion cannot be evaluated: {self.champion.failure}", ""
        ours, theirs = group.metrics[name], group.champion.get(name)
        if theirs is None or math.isnan(ours.value) or math.isnan(theirs.value):
            return f"{name} of model or champion is undefined on these rows", ""
        text = f"{name} is {ours.value:.4g}, the champion's {theirs.value:.4g}"
        worse = self._worse(ours, theirs, group.differences[name])
        if worse is None:
            return f"the change of {name} has no confidence interval", ""
        return ("" if worse <= margin else text), text

    def _worse(self, ours: Figure, theirs: Figure, difference: Figure) -> float | None:
        """Return by how much the model is worse; negative when better."""
        metric = next(m for m in self.spec.metrics if m.name == self.gate.metric)
        if metric.kind == "bias":
            return abs(ours.value) - abs(theirs.value)
        if not self.gate.confident:
            change: float | None = difference.value
        else:
            change = difference.low if metric.direction is Direction.HIGHER else difference.high
        if change is None:
            return None
        return -change if metric.direction is Direction.HIGHER else change


def _belongs(group: Group, wanted: Slice) -> bool:
    return tuple(label for label, _ in group.key) == wanted.labels


def shown(figure: Figure) -> str:
    """Return a figure with its interval, in words."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4g}"
    return f"{figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"
