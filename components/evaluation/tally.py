"""Mergeable tallies of labels and predictions: one per model, task and slice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from components.evaluation.arrays import Codes, Counts, Floats
from components.evaluation.key_table import KeyTable, number_keys, score_keys
from components.evaluation.slicing import OVERALL, SliceKey
from components.evaluation.spec import Task
from orchestration import DataError

OVERALL_KEYS = 1 << 17
SLICE_KEYS = 1 << 13
BOOTSTRAP_KEYS = 1 << 9
SLICE_BOOTSTRAP_KEYS = 1 << 8
BOOTSTRAP_LEVEL = 16  # where resampled tables begin: scores to 1 %, which an interval does not notice
MOST_SLICES = 10_000
MOST_RANKED_CLASSES = 50  # beyond, "auc" of one class against the rest is undefined


@dataclass
class Tally:
    """Everything the metrics of one group of rows need, as named key tables.

    Binary: scores of ``negative`` and ``positive`` rows. Multiclass: the true class's probability
    (``true``), the confusion matrix (``confusion``, key = label * classes + prediction) and, per
    class, scores of its rows and of the rest (``rest:C``, ``class:C``). Regression: ``residual``
    (prediction minus label) and ``label``.

    Attributes:
        task: What the model predicts.
        classes: Number of classes; 1 for binary and regression.
        width: Weights per row: 1, or the number of bootstrap replicates.
        limit: Most keys per table.
        level: Low bits of the keys that are dropped from the beginning.
        tables: Key tables by name.
    """

    task: Task
    classes: int
    width: int
    limit: int
    level: int = 0
    tables: dict[str, KeyTable] = field(default_factory=dict)

    def add(self, labels: Floats, predictions: Floats, weights: Counts) -> None:
        """Add rows with finite labels and predictions.

        Args:
            labels: float32, shape (rows,).
            predictions: float32, shape (rows, outputs).
            weights: Shape (rows, width).
        """
        if self.task is Task.REGRESSION:
            residuals = predictions[:, 0].astype(np.float64) - labels.astype(np.float64)
            self._table("residual").add(number_keys(residuals), weights)
            self._table("label").add(number_keys(labels), weights)
        elif self.task is Task.BINARY:
            self._add_scores("negative", "positive", labels > 0.5, predictions[:, 0], weights)
        else:
            self._add_classes(labels.astype(np.int64), predictions, weights)

    def _add_scores(
        self, negative: str, positive: str, truth: Counts, scores: Floats, weights: Counts
    ) -> None:
        keys = score_keys(scores)
        self._table(negative).add(keys[~truth], weights[~truth])
        self._table(positive).add(keys[truth], weights[truth])

    def _add_classes(self, labels: Codes, predictions: Floats, weights: Counts) -> None:
        chosen = predictions.argmax(axis=1)
        cells = (labels * self.classes + chosen).astype(np.uint32)
        self._table("confusion").add(cells, weights)
        self._table("true").add(score_keys(predictions[np.arange(len(labels)), labels]), weights)
        for number in range(self.classes if self.classes <= MOST_RANKED_CLASSES else 0):
            names = f"rest:{number}", f"class:{number}"
            self._add_scores(*names, labels == number, predictions[:, number], weights)

    def _table(self, name: str) -> KeyTable:
        if name not in self.tables:
            self.tables[name] = self.get(name)
        return self.tables[name]

    def get(self, name: str) -> KeyTable:
        """Return a table; an empty one where no row went to it."""
        if name in self.tables:
            return self.tables[name]
        if name == "confusion":
            return KeyTable(self.classes**2, self.width)
        return KeyTable(self.limit, self.width, self.level)

    def merge(self, other: Tally) -> None:
        """Add the rows of another tally of the same shape."""
        for name, table in other.tables.items():
            self._table(name).merge(table)


@dataclass
class ModelTallies:
    """One model's tallies in one group: the rows as they are, and resampled."""

    exact: Tally
    resampled: Tally | None

    @classmethod
    def create(cls, task: Task, classes: int, replicates: int, key: SliceKey) -> ModelTallies:
        """Return empty tallies; the group of all rows keeps more keys than a slice."""
        overall = key == OVERALL
        exact = Tally(task, classes, 1, OVERALL_KEYS if overall else SLICE_KEYS)
        if not replicates:
            return cls(exact, None)
        keys = BOOTSTRAP_KEYS if overall else SLICE_BOOTSTRAP_KEYS
        return cls(exact, Tally(task, classes, replicates, keys, BOOTSTRAP_LEVEL))

    def merge(self, other: ModelTallies) -> None:
        """Add the rows of other tallies of the same shape."""
        self.exact.merge(other.exact)
        if self.resampled is not None and other.resampled is not None:
            self.resampled.merge(other.resampled)


@dataclass
class SliceTallies:
    """All models' tallies of one group of rows.

    Attributes:
        rows: Evaluated rows, unweighted.
        models: Tallies by model: ``"candidate"`` and, where one is live, ``"champion"``.
        weight: Their total weight.
        flipped: Weight of the rows that candidate and champion decide differently.
    """

    rows: int = 0
    models: dict[str, ModelTallies] = field(default_factory=dict)
    weight: float = 0.0
    flipped: float = 0.0

    def merge(self, other: SliceTallies) -> None:
        """Add the rows of another group."""
        self.rows += other.rows
        self.weight += other.weight
        self.flipped += other.flipped
        for name, tallies in other.models.items():
            if name in self.models:
                self.models[name].merge(tallies)
            else:
                self.models[name] = tallies


@dataclass
class Tallies:
    """The state of a whole evaluation: groups by slice key, and what became of every row.

    Attributes:
        slices: Groups by key; all rows together under the empty key.
        read: Rows read.
        dropped: Rows left out, by reason.
        failures: Why a model could not be evaluated, by model.
    """

    slices: dict[SliceKey, SliceTallies] = field(default_factory=dict)
    read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def drop(self, reason: str, rows: int) -> None:
        """Count rows left out."""
        if rows:
            self.dropped[reason] = self.dropped.get(reason, 0) + rows

    def merge(self, other: Tallies) -> Tallies:
        """Add another part of the data, and return this state.

        Raises:
            DataError: There are more than ``MOST_SLICES`` groups.
        """
        self.read += other.read
        for reason, rows in other.dropped.items():
            self.drop(reason, rows)
        for model, failure in other.failures.items():
            self.failures[model] = min(failure, self.failures.get(model, failure))
        for key, group in other.slices.items():
            if key in self.slices:
                self.slices[key].merge(group)
            else:
                self.slices[key] = group
        if len(self.slices) > MOST_SLICES:
            raise DataError(
                "the evaluation has too many slices",
                expected=f"at most {MOST_SLICES:,}",
                received=f"{len(self.slices):,} so far",
                next="slice by fewer columns, or bucket numbers: by(column, edges=(…))",
            )
        return self
