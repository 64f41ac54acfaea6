"""The Beam pass: predict every row with each model and tally it, one accumulator per row group."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np

from components.data.hashing import hash_rows
from components.evaluation.arrays import Counts, Floats
from components.evaluation.bootstrap import poisson_weights
from components.evaluation.models import RawModel, load_raw_model
from components.evaluation.slicing import groups
from components.evaluation.spec import EvaluationSpec, Task
from components.evaluation.tally import ModelTallies, SliceTallies, Tallies
from orchestration import Beam, DataError, HeadraceError
from orchestration.artifacts import location

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 32_768
CANDIDATE, CHAMPION = "candidate", "champion"
INVALID_PREDICTION = "the prediction is no valid number"
_GRID = float(1 << 20)  # row weights are rounded to 2^-20, so that their sums are exact in any order


@dataclass(frozen=True)
class Plan:
    """What the workers need: the models' folders by role, the task and the specification."""

    models: dict[str, Path]
    task: Task
    classes: int
    spec: EvaluationSpec


def tally_examples(beam_: Beam, files: list[Path], plan: Plan) -> Tallies:
    """Return the tallies of all rows of Parquet files.

    Raises:
        DataError: A column is missing or unusable, or the rows do not add up.
    """
    pieces = [(str(file), number) for file in files for number in range(_row_groups(file))]
    if not pieces:
        return Tallies()
    with beam_.pipeline() as pipeline:
        parts = pipeline | beam.Create(pieces) | beam.Reshuffle() | beam.ParDo(TallyRowGroup(plan))
        result = beam_.result(parts | beam.CombineGlobally(Merge()))
    tallies: Tallies = result.get()
    return tallies


def _row_groups(file: Path) -> int:
    import pyarrow.parquet as pq

    with file.open("rb") as source:
        return int(pq.read_metadata(source).num_row_groups)


class Merge(beam.CombineFn):
    """Merges tallies; every step works on the state it is given."""

    def __init__(self) -> None:
        beam.CombineFn.__init__(self)

    def create_accumulator(self, *_args: Any, **_kwargs: Any) -> Tallies:
        """Return the tallies of no row."""
        return Tallies()

    def add_input(
        self, mutable_accumulator: Tallies, element: Tallies, *_args: Any, **_kwargs: Any
    ) -> Tallies:
        """Add the tallies of one row group."""
        return mutable_accumulator.merge(element)

    def merge_accumulators(self, accumulators: Iterable[Tallies], *_args: Any, **_kwargs: Any) -> Tallies:
        """Add up accumulators."""
        return functools.reduce(Tallies.merge, accumulators, Tallies())

    def extract_output(self, accumulator: Tallies, *_args: Any, **_kwargs: Any) -> Tallies:
        """Return the accumulator itself."""
        return accumulator


class TallyRowGroup(beam.DoFn):
    """Reads one row group and yields its tallies."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def setup(self) -> None:
        """Load the models once per worker; a champion that cannot be loaded is recorded later."""
        self.loaded: dict[str, RawModel] = {}
        self.broken: dict[str, str] = {}
        for role, folder in self.plan.models.items():
            try:
                self.loaded[role] = load_raw_model(folder)
            except HeadraceError as error:
                if role == CANDIDATE:
                    raise
                self.broken[role] = str(error.headline)

    def process(self, element: tuple[str, int]) -> Iterator[Tallies]:
        """Yield one element: the tallies of the row group."""
        import pyarrow.parquet as pq

        file, number = element
        tallies = Tallies(failures=dict(self.broken))
        with location(file).open("rb") as source:
            rows = pq.ParquetFile(source).iter_batches(BATCH_ROWS, row_groups=[number], use_threads=False)
            for batch in rows:
                tally_batch(tallies, batch, self.plan, self.loaded)
        yield tallies


def tally_batch(tallies: Tallies, batch: pa.RecordBatch, plan: Plan, models: dict[str, RawModel]) -> None:
    """Predict a batch with every model and add its rows to the tallies."""
    tallies.read += batch.num_rows
    labels = models[CANDIDATE].labels(batch)
    weights = _row_weights(batch, plan.spec.weight)
    predictions = _predictions(tallies, batch, plan.task, models)
    usable = ~np.isnan(labels) & (weights > 0)
    tallies.drop("the label is missing", int(np.isnan(labels).sum()))
    tallies.drop("the weight is missing, 0 or negative", int((~np.isnan(labels) & ~(weights > 0)).sum()))
    good = is_valid(predictions[CANDIDATE], plan.task)
    tallies.drop(INVALID_PREDICTION, int((usable & ~good).sum()))
    usable &= good
    rows = np.flatnonzero(usable)
    kept = _Rows(labels[rows], {role: values[rows] for role, values in predictions.items()}, weights[rows])
    import pyarrow as pa

    batch = batch.take(pa.array(rows))
    resampled = None
    if plan.spec.replicates:
        resampled = poisson_weights(hash_rows(batch), plan.spec.replicates)
        if plan.spec.weight:
            resampled = resampled * kept.weights[:, None]
    for key, members in groups(batch, plan.spec.groupings):
        if len(members):
            group = tallies.slices.setdefault(key, SliceTallies())
            _add_group(group, kept, members, resampled, plan, key)


@dataclass(frozen=True)
class _Rows:
    labels: Floats
    predictions: dict[str, Floats]
    weights: Floats


def _add_group(
    group: SliceTallies, rows: _Rows, members: Counts, resampled: Counts | None, plan: Plan, key: Any
) -> None:
    labels, weights = rows.labels[members], rows.weights[members]
    group.rows += len(members)
    group.weight += float(weights.sum())
    for role, predictions in rows.predictions.items():
        if role not in group.models:
            group.models[role] = ModelTallies.create(plan.task, plan.classes, plan.spec.replicates, key)
        tallies = group.models[role]
        tallies.exact.add(labels, predictions[members], weights[:, None])
        if tallies.resampled is not None and resampled is not None:
            tallies.resampled.add(labels, predictions[members], resampled[members])
    if CHAMPION in rows.predictions and plan.task is not Task.REGRESSION:
        ours, theirs = (decide(rows.predictions[role][members]) for role in (CANDIDATE, CHAMPION))
        group.flipped += float(weights[ours != theirs].sum())


def _predictions(
    tallies: Tallies, batch: pa.RecordBatch, task: Task, models: dict[str, RawModel]
) -> dict[str, Floats]:
    """Return every model's predictions; a champion that fails is recorded and left out for good."""
    found = {}
    for role, model in list(models.items()):
        try:
            found[role] = model.predict(batch)
        except DataError as error:
            if role == CANDIDATE:
                raise
            tallies.failures[role] = error.headline
            continue
        invalid = int((~is_valid(found[role], task)).sum())
        if role != CANDIDATE and invalid:
            tallies.failures[role] = "some of its predictions are no valid numbers"
            del found[role]
    return found


def is_valid(predictions: Floats, task: Task) -> Counts:
    """Return which rows' predictions are finite and, for classes, probabilities; shape (rows,)."""
    valid = np.isfinite(predictions)
    if task is not Task.REGRESSION:
        valid &= (predictions >= 0) & (predictions <= 1)
    return np.asarray(valid.all(axis=1))


def decide(predictions: Floats) -> Counts:
    """Return the class each row is decided to be of, at 0.5 or by the largest probability."""
    if predictions.shape[1] == 1:
        return np.asarray(predictions[:, 0] >= 0.5)
    return np.asarray(predictions.argmax(axis=1))


def _row_weights(batch: pa.RecordBatch, name: str | None) -> Floats:
    if name is None:
        return np.ones(batch.num_rows)
    if name not in batch.schema.names:
        raise DataError(
            f'there is no weight column "{name}"', expected=name, received=", ".join(batch.schema.names)
        )
    import pyarrow as pa

    numbers = batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(np.round(numbers * _GRID) / _GRID)
