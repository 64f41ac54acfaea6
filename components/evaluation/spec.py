"""What to measure, on which slices, and which gates decide: the declarative evaluation specification."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from orchestration import ArgumentError, require


class Task(Enum):
    """What a model predicts; its value is the name in a model's manifest."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Direction(Enum):
    """Which way a metric gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


_CLASSES = (Task.BINARY, Task.MULTICLASS)
_KINDS: dict[str, tuple[Direction, tuple[Task, ...]]] = {
    "auc": (Direction.HIGHER, _CLASSES),
    "pr_auc": (Direction.HIGHER, (Task.BINARY,)),
    "log_loss": (Direction.LOWER, _CLASSES),
    "accuracy": (Direction.HIGHER, _CLASSES),
    "precision": (Direction.HIGHER, _CLASSES),
    "recall": (Direction.HIGHER, _CLASSES),
    "f1": (Direction.HIGHER, _CLASSES),
    "positive_rate": (Direction.NEITHER, (Task.BINARY,)),
    "calibration": (Direction.LOWER, (Task.BINARY,)),
    "brier": (Direction.LOWER, (Task.BINARY,)),
    "rmse": (Direction.LOWER, (Task.REGRESSION,)),
    "mae": (Direction.LOWER, (Task.REGRESSION,)),
    "bias": (Direction.LOWER, (Task.REGRESSION,)),
    "r2": (Direction.HIGHER, (Task.REGRESSION,)),
}


@dataclass(frozen=True)
class Metric:
    """One number about a model; made by :func:`auc`, :func:`log_loss` and their like.

    Attributes:
        kind: What is computed.
        threshold: Score from which a row counts as positive, in (0, 1); binary tasks only.
        bins: Number of equal-width score bins of ``calibration``, 2 to 1,000.
    """

    kind: str
    threshold: float = 0.5
    bins: int = 10

    def __post_init__(self) -> None:
        require(self.kind in _KINDS, "kind", " or ".join(sorted(_KINDS)), self.kind)
        require(0 < self.threshold < 1, "threshold", "a score between 0 and 1", self.threshold)
        require(2 <= self.bins <= 1_000, "bins", "2 to 1,000 bins", self.bins)

    @property
    def name(self) -> str:
        """The metric's name in gates, reports and MLflow; a threshold other than 0.5 is part of it."""
        return self.kind if self.threshold == 0.5 else f"{self.kind}_at_{self.threshold:g}"

    @property
    def direction(self) -> Direction:
        """Which way the metric gets better. Bias is compared by its distance from 0."""
        return _KINDS[self.kind][0]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks the metric has a meaning for."""
        return _KINDS[self.kind][1]


@dataclass(frozen=True)
class Slice:
    """Rows grouped by the values of raw columns; made by :func:`by`.

    Attributes:
        columns: Columns whose values, crossed, make the groups. One at least.
        edges: Ascending boundaries that bucket a single numeric column; empty for its plain values.
        only: Values that must be there: groups with other values are left out of the gates that use
            this slice, and a gate fails when one of these is missing. Single columns only.
    """

    columns: tuple[str, ...]
    edges: tuple[float, ...] = ()
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(len(self.columns) > 0, "columns", "one column at least", self.columns)
        require(len(set(self.columns)) == len(self.columns), "columns", "different columns", self.columns)
        single = len(self.columns) == 1
        require(single or not self.edges, "edges", "none when several columns are crossed", self.edges)
        require(single or not self.only, "only", "none when several columns are crossed", self.only)
        ascending = all(a < b for a, b in itertools.pairwise(self.edges))
        require(ascending, "edges", "ascending numbers", self.edges)

    @property
    def name(self) -> str:
        """The slice's name: its columns, joined."""
        return " × ".join(self.columns)

    @property
    def labels(self) -> tuple[str, ...]:
        """How the columns are named in results; a bucketed column by its boundaries too."""
        if not self.edges:
            return self.columns
        return (f"{self.columns[0]} [{', '.join(f'{edge:g}' for edge in self.edges)}]",)

    @property
    def grouping(self) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """What makes the groups; slices that differ only in ``only`` share them."""
        return self.columns, self.edges


@dataclass(frozen=True)
class Gate:
    """A condition the model must meet to be blessed; made by :func:`at_least` and its like.

    Attributes:
        metric: Name of a metric of the specification.
        minimum: Smallest allowed value, or None.
        maximum: Largest allowed value, or None.
        margin: How much worse than the champion the model may be, in the metric's unit; None for a
            gate on the value.
        first_model: Whether a change gate passes while there is no champion.
        slices: The slice whose every group (of enough rows) must pass; None for all rows together.
        confident: Whether the bound of the confidence interval that speaks against the model must
            pass as well, not only the value.
    """

    metric: str
    minimum: float | None = None
    maximum: float | None = None
    margin: float | None = None
    first_model: bool = True
    slices: Slice | None = None
    confident: bool = False

    def __post_init__(self) -> None:
        bounds = [self.minimum, self.maximum, self.margin]
        require(any(b is not None for b in bounds), "gate", "a minimum, a maximum or a margin", self)
        finite = all(b is None or abs(b) < float("inf") for b in bounds)
        require(finite, "gate", "finite bounds", self)
        one_kind = self.margin is None or (self.minimum is None and self.maximum is None)
        require(one_kind, "gate", "either bounds or a margin", self)
        require(self.margin is None or self.margin >= 0, "margin", "0 or more", self.margin)
        bounded = self.margin is None or self.metric.split("_at_")[0] != "positive_rate"
        require(bounded, "metric", "one that has a better and a worse", self.metric)

    @property
    def text(self) -> str:
        """The condition in words."""
        parts = []
        if self.minimum is not None:
            parts.append(f"{self.metric} ≥ {self.minimum:g}")
        if self.maximum is not None:
            parts.append(f"{self.metric} ≤ {self.maximum:g}")
        if self.margin is not None:
            parts.append(f"{self.metric} no worse than the champion by more than {self.margin:g}")
        where = f" in every slice of {self.slices.name}" if self.slices else ""
        return " and ".join(parts) + where + (" (confidently)" if self.confident else "")


@dataclass(frozen=True)
class EvaluationSpec:
    """What :func:`components.evaluate_model` measures and decides; made by :func:`evaluation`.

    Attributes:
        metrics: Metrics for all rows and for each slice.
        slices: Slices by raw columns.
        gates: Conditions; all must pass.
        minimum_slice_rows: Groups with fewer rows are counted, but neither shown nor gated.
        replicates: Bootstrap replicates for confidence intervals; 0 turns them off.
        confidence: Probability the intervals cover, in (0.5, 1).
        weight: Numeric column of row weights; None weighs every row 1.
    """

    metrics: tuple[Metric, ...]
    slices: tuple[Slice, ...] = ()
    gates: tuple[Gate, ...] = ()
    minimum_slice_rows: int = 50
    replicates: int = 200
    confidence: float = 0.95
    weight: str | None = None

    def __post_init__(self) -> None:
        require(len(self.metrics) > 0, "metrics", "one metric at least", self.metrics)
        names = [metric.name for metric in self.metrics]
        require(len(set(names)) == len(names), "metrics", "each metric once", names)
        require(self.minimum_slice_rows >= 1, "minimum_slice_rows", "1 or more", self.minimum_slice_rows)
        enough = self.replicates == 0 or 20 <= self.replicates <= 2_000
        require(enough, "replicates", "0, or 20 to 2,000", self.replicates)
        require(0.5 < self.confidence < 1, "confidence", "a probability in (0.5, 1)", self.confidence)
        for gate in self.gates:
            self._check(gate)

    def _check(self, gate: Gate) -> None:
        names = [metric.name for metric in self.metrics]
        if gate.metric not in names:
            close = difflib.get_close_matches(gate.metric, names, n=1)
            raise ArgumentError(
                f'gate "{gate.text}" needs a metric that is not measured',
                expected=" or ".join(names),
                received=gate.metric,
                next=f"did you mean {close[0]}?" if close else f"add {gate.metric}() to metrics",
            )
        needs_interval = gate.confident and self.replicates == 0
        require(not needs_interval, "replicates", f'20 or more for the gate "{gate.text}"', 0)

    @property
    def groupings(self) -> tuple[Slice, ...]:
        """Every distinct grouping of the slices and the gates, in order."""
        wanted = [*self.slices, *(gate.slices for gate in self.gates if gate.slices)]
        found: dict[object, Slice] = {}
        for item in wanted:
            found.setdefault(item.grouping, Slice(item.columns, item.edges))
        return tuple(found.values())


def evaluation(
    *,
    metrics: Sequence[Metric],
    slices: Sequence[Slice] = (),
    gates: Sequence[Gate] = (),
    minimum_slice_rows: int = 50,
    replicates: int = 200,
    confidence: float = 0.95,
    weight: str | None = None,
) -> EvaluationSpec:
    """Return an evaluation specification; the parameters are those of :class:`EvaluationSpec`."""
    return EvaluationSpec(
        tuple(metrics), tuple(slices), tuple(gates), minimum_slice_rows, replicates, confidence, weight
    )


def auc() -> Metric:
    """Area under the ROC curve; for several classes the mean of one class against the rest."""
    return Metric("auc")


def pr_auc() -> Metric:
    """Area under the precision-recall curve, as average precision."""
    return Metric("pr_auc")


def log_loss() -> Metric:
    """Mean negative logarithm of the true class's probability, scores clipped at 1e-7."""
    return Metric("log_loss")


def accuracy(threshold: float = 0.5) -> Metric:
    """Share of rows classified right; binary scores count as positive from ``threshold``."""
    return Metric("accuracy", threshold)


def precision(threshold: float = 0.5) -> Metric:
    """Share of true positives among predicted positives; the classes' mean for several classes."""
    return Metric("precision", threshold)


def recall(threshold: float = 0.5) -> Metric:
    """Share of positives that were predicted; the classes' mean for several classes."""
    return Metric("recall", threshold)


def f1(threshold: float = 0.5) -> Metric:
    """Harmonic mean of precision and recall; the classes' mean for several classes."""
    return Metric("f1", threshold)


def positive_rate(threshold: float = 0.5) -> Metric:
    """Share of rows predicted positive: compared between slices, a fairness figure."""
    return Metric("positive_rate", threshold)


def calibration(bins: int = 10) -> Metric:
    """Expected calibration error: mean distance of score and outcome over ``bins`` equal-width bins."""
    return Metric("calibration", bins=bins)


def brier() -> Metric:
    """Mean squared distance of score and outcome."""
    return Metric("brier")


def rmse() -> Metric:
    """Root of the mean squared error, in the label's unit."""
    return Metric("rmse")


def mae() -> Metric:
    """Mean absolute error, in the label's unit."""
    return Metric("mae")


def bias() -> Metric:
    """Mean of prediction minus label, in the label's unit."""
    return Metric("bias")


def r2() -> Metric:
    """Share of the label's variance that the predictions explain; at most 1."""
    return Metric("r2")


def by(*columns: str, edges: Sequence[float] = (), only: Sequence[str] = ()) -> Slice:
    """Slice by the values of raw columns; several columns are crossed. See :class:`Slice`."""
    return Slice(tuple(columns), tuple(float(edge) for edge in edges), tuple(str(value) for value in only))


def at_least(metric: str, minimum: float, *, slices: Slice | None = None, confident: bool = False) -> Gate:
    """Require a metric of at least ``minimum``, for all rows or in every group of ``slices``."""
    return Gate(metric, minimum=minimum, slices=slices, confident=confident)


def at_most(metric: str, maximum: float, *, slices: Slice | None = None, confident: bool = False) -> Gate:
    """Require a metric of at most ``maximum``, for all rows or in every group of ``slices``."""
    return Gate(metric, maximum=maximum, slices=slices, confident=confident)


def no_worse_than_champion(
    metric: str,
    *,
    margin: float = 0.0,
    first_model: bool = True,
    slices: Slice | None = None,
    confident: bool = False,
) -> Gate:
    """Require a metric not worse than the live champion's on the same rows by more than ``margin``.

    While no champion is live the gate passes, with "no champion yet" among the reasons, unless
    ``first_model`` is false. A champion that is live but cannot be evaluated fails the gate.
    """
    return Gate(metric, margin=margin, first_model=first_model, slices=slices, confident=confident)
