"""Trains a Keras model on TensorFlow, step by step, and resumes exactly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.features.transformed import Rows
from components.training.checkpoint import Checkpoint, CheckpointFile, Progress
from components.training.feed import batches, permutation, steps
from components.training.inputs import ModelInputs
from components.training.settings import TrainingSettings
from orchestration import RunContext


def prepare(settings: TrainingSettings) -> None:
    """Set threads, seeds and determinism; before anything else touches TensorFlow."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # Used earlier in this process, as in a notebook: the counts stay what they are.
        pass
    tf.config.experimental.enable_op_determinism()
    keras.utils.clear_session(free_memory=False)  # layers are numbered anew, whatever came before
    keras.utils.set_random_seed(settings.seed)


class KerasTrainer:
    """Trains one compiled model.

    Args:
        model: Compiled model with inputs by block name.
        train: Rows to learn from.
        validation: Rows to watch, or None.
        settings: How to train.
        run: Receives metrics and progress; its scratch folder holds the checkpoint, from which
            training continues where there is one.
        identity: JSON facts that determine the result, for the checkpoint.
    """

    def __init__(
        self,
        model: keras.Model,
        train: Rows,
        validation: Rows | None,
        settings: TrainingSettings,
        run: RunContext,
        identity: dict[str, Any],
    ) -> None:
        self.model = model
        self.train = train
        self.validation = validation
        self.settings = settings
        self.run = run
        self.file = CheckpointFile(Path(run.scratch), identity)
        self.progress = Progress()
        self.best: list[np.ndarray] = []
        self._saved = time.monotonic()
        self._build()
        self._restore()

    def _build(self) -> None:
        first, labels = next(batches(self.train, self.settings.batch_size))
        self.model._symbolic_build(data_batch=(first, labels))
        self.model.optimizer.build(self.model.trainable_variables)
        signature = [_signature(first), _signature(labels)]
        self._step = _function(self.model.train_step, signature)
        self._test = _function(self.model.test_step, signature)

    @property
    def variables(self) -> list[Any]:
        """Everything that decides the next step, in a fixed order."""
        model = self.model
        return [*model.variables, *model.optimizer.variables, *model.metrics_variables]

    @property
    def steps_taken(self) -> int:
        """Batches taken since the beginning of training, earlier attempts included."""
        return self.progress.epoch * steps(len(self.train), self.settings.batch_size) + self.progress.step

    def fit(self) -> list[dict[str, float]]:
        """Train to the end and return each epoch's metrics."""
        while self.progress.epoch < self.settings.epochs and not self.progress.stopped:
            self._epoch()
        if self.best:
            _assign(self.model.variables, self.best)
        return self.progress.history

    def _epoch(self) -> None:
        epoch, size = self.progress.epoch, self.settings.batch_size
        if self.progress.step == 0:
            self.model.reset_metrics()
        order = permutation(self.settings.seed, epoch, len(self.train))
        for blocks, labels in batches(self.train, size, order=order, first=self.progress.step):
            self._step(blocks, labels)
            self.progress.step += 1
            if time.monotonic() - self._saved >= self.settings.checkpoint_seconds:
                self._save()
        metrics = _values(self.model.get_metrics_result())
        metrics |= {f"val_{name}": value for name, value in self._validate().items()}
        self._finish_epoch(metrics)

    def _finish_epoch(self, metrics: dict[str, float]) -> None:
        progress = self.progress
        progress.history.append(metrics)
        self._watch(metrics)
        progress.epoch, progress.step = progress.epoch + 1, 0
        self._report(progress.epoch, metrics)
        self._save()

    def _report(self, epoch: int, metrics: dict[str, float]) -> None:
        """Tell the run an epoch's metrics; also those of an earlier attempt, so that each record is whole."""
        for name, value in metrics.items():
            self.run.log_metric(name, value, step=epoch)
        self.run.progress(epoch * len(self.train), self.settings.epochs * len(self.train))

    def _watch(self, metrics: dict[str, float]) -> None:
        patience, progress = self.settings.early_stopping, self.progress
        if patience is None:
            return
        if metrics["val_loss"] < progress.best:
            progress.best, progress.best_epoch = metrics["val_loss"], progress.epoch
            self.best = _arrays(self.model.variables)
        progress.stopped = progress.epoch - progress.best_epoch >= patience

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        self.model.reset_metrics()
        for blocks, labels in batches(self.validation, max(self.settings.batch_size, 4_096)):
            self._test(blocks, labels)
        return _values(self.model.get_metrics_result())

    def _save(self) -> None:
        arrays = _arrays(self.variables)
        self.file.save(Checkpoint(self.progress, arrays, self.best))
        self._saved = time.monotonic()

    def _restore(self) -> None:
        stored = self.file.load([tuple(variable.shape) for variable in self.variables])
        if stored is not None:
            self.progress, self.best = stored.progress, stored.best_arrays
            _assign(self.variables, stored.arrays)
            for epoch, metrics in enumerate(stored.progress.history, start=1):
                self._report(epoch, metrics)


def check_output(model: keras.Model, rows: Rows, inputs: ModelInputs) -> str | None:
    """Return what is wrong with an untrained model's answers for the task, or None."""
    blocks, _ = next(batches(rows, 256))
    answer = np.asarray(model(blocks, training=False))
    count = len(answer)
    if answer.shape != (count, inputs.units):
        return f"an output of shape {answer.shape} for {count} rows"
    if inputs.task == "regression":
        return None
    if answer.min() < 0 or answer.max() > 1:
        return f"values from {answer.min():.3g} to {answer.max():.3g}: no probabilities"
    if inputs.task == "multiclass" and not np.allclose(answer.sum(axis=1), 1, atol=1e-3):
        return "values whose sum over the classes is not 1"
    return None


def _function(step: Callable[..., Any], signature: list[Any]) -> Callable[..., Any]:
    def run(blocks: dict[str, tf.Tensor], labels: tf.Tensor) -> Any:
        return step((blocks, labels))

    return tf.function(run, input_signature=signature, autograph=False)  # type: ignore[no-any-return]  # TensorFlow has no types


def _signature(value: Any) -> Any:
    """Return tensor specifications of one batch that hold for any number of rows."""
    if isinstance(value, dict):
        return {name: _signature(block) for name, block in value.items()}
    return tf.TensorSpec((None, *value.shape[1:]), value.dtype)


def _values(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}


def _assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _arrays(variables: Sequence[Any]) -> list[np.ndarray]:
    return [variable.value.numpy().copy() for variable in variables]
