"""Features to a trained, exported model."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from components.artifacts import Model, Transform
from orchestration import ArgumentError, DataError, MissingExtraError, RunContext, component, require

if TYPE_CHECKING:
    import keras

    from components.features.frozen import FrozenFeatures
    from components.features.transformed import Rows
    from components.training.inputs import ModelInputs
    from components.training.settings import TrainingSettings

FRAMEWORKS = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}
SUPPORTED = ("tensorflow",)
_TENSORFLOW_IMPORTS = ("pyarrow.parquet", "apache_beam", "KERAS_BACKEND=tensorflow", "tensorflow", "keras")
_SERVING_PACKAGES = ("keras", "numpy", "onnxruntime", "tensorflow")


def _imports(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the training child's fork server imports; refuse a framework it cannot train on."""
    framework = configuration.get("framework", "tensorflow")
    if isinstance(framework, str):
        check_framework(framework)
    return _TENSORFLOW_IMPORTS


@component(imports=_imports)
def train_model(
    features: Transform,
    build_model: Callable[..., Any],
    *,
    framework: str = "tensorflow",
    epochs: int = 5,
    batch_size: int = 256,
    seed: int = 0,
    early_stopping: int | None = None,
    train_split: str = "train",
    eval_split: str = "eval",
    threads: int = 1,
    checkpoint_seconds: float = 30.0,
    run: RunContext,
) -> Model:
    """Train a model and export its whole graph, raw features in, predictions out.

    A node that is killed continues from its last checkpoint, and ends with the weights it would
    have had without the interruption, bit for bit.

    Args:
        features: Transformed rows.
        build_model: A module-level function that receives a
            :class:`components.training.inputs.ModelInputs` and returns a compiled ``keras.Model``.
        framework: ``"tensorflow"``.
        epochs: Passes over the training rows.
        batch_size: Rows in a step.
        seed: Decides the initial weights, the order of the rows, and dropout; 0 to 2**32 - 1.
        early_stopping: Epochs without a lower validation loss before training ends; the best
            epoch's weights are kept. None trains all epochs.
        train_split: Split to learn from.
        eval_split: Split to watch after each epoch; none is watched if there is no such split.
        threads: Threads of one operation. The result may differ in the last bits between counts.
        checkpoint_seconds: Seconds between checkpoints within an epoch.

    Raises:
        MissingExtraError: The framework is not installed.
        ArgumentError: A setting is out of range, ``build_model`` is not a module-level function, or
            what it returns is no compiled model for the task.
        DataError: There are no rows to learn from, or training diverged.
        ExportError: The model cannot be exported, or an export answers differently.
    """
    from components.features.transformed import load_frozen, load_rows, split_rows
    from components.training.inputs import ModelInputs
    from components.training.settings import TrainingSettings

    check_framework(framework)
    check_builder(build_model)
    settings = TrainingSettings(epochs, batch_size, seed, early_stopping, threads, checkpoint_seconds)
    frozen = load_frozen(features)
    inputs = ModelInputs.of(frozen)
    watched = eval_split in features.metadata["splits"] and split_rows(features, eval_split) > 0
    require(
        watched or early_stopping is None,
        "early_stopping",
        f'None without a split "{eval_split}"',
        early_stopping,
    )
    train = load_rows(features, train_split, frozen=frozen)
    if len(train) == 0:
        raise DataError(f'the split "{train_split}" has no rows to learn from', expected="at least one row")
    validation = load_rows(features, eval_split, frozen=frozen) if watched else None
    core = _train(build_model, inputs, train, validation, settings, run, features.digest)
    return _publish(core, frozen, inputs, features)


def _train(
    build_model: Callable[..., Any],
    inputs: ModelInputs,
    train: Rows,
    validation: Rows | None,
    settings: TrainingSettings,
    run: RunContext,
    data: str,
) -> keras.Model:
    from components.export.onnx_model import convert_core
    from components.training.keras_trainer import KerasTrainer, check_output, prepare

    prepare(settings)
    core = build_model(inputs)
    _check_model(core, inputs, build_model, lambda: check_output(core, train, inputs))
    convert_core(core, inputs)  # what cannot be served is refused before it is trained
    identity = {"data": data, "rows": len(train), "batch": settings.batch_size, "seed": settings.seed}
    trainer = KerasTrainer(core, train, validation, settings, run, identity)
    started, before = time.perf_counter(), trainer.steps_taken
    history = trainer.fit()
    rows = (trainer.steps_taken - before) * settings.batch_size
    run.log_metric("rows_per_second", rows / max(time.perf_counter() - started, 1e-9))
    if not history[-1]["loss"] < float("inf"):
        raise DataError(
            "training diverged: the loss is not a finite number",
            expected="a finite loss",
            received=", ".join(f"{epoch['loss']:.4g}" for epoch in history),
            next="lower the learning rate in build_model, or scale the features",
        )
    return core


def _publish(core: keras.Model, frozen: FrozenFeatures, inputs: ModelInputs, features: Transform) -> Model:
    import numpy as np

    from components.export.native import save_core
    from components.export.onnx_model import export_onnx
    from components.export.parity import check_parity
    from components.export.saved_model import export_saved_model
    from components.features.frozen import STATE_FILE
    from components.features.transformed import load_rows, load_sample
    from components.model_format import MANIFEST_FILE, ONNX_FILE, SAVED_MODEL_FOLDER
    from components.training.feed import blocks

    out = Model.new(task=inputs.task, parameters=int(core.count_params()))
    save_core(core, out.file("native/model.keras"))
    export_saved_model(frozen, core, out.file(SAVED_MODEL_FOLDER))
    export_onnx(frozen, core, inputs, out.file(ONNX_FILE))
    out.write_json(STATE_FILE, frozen.to_json())
    out.write_json(MANIFEST_FILE, _manifest(frozen, inputs))
    sample = load_sample(features)
    rows = load_rows(features, features.metadata["sample_split"], frozen=frozen, limit=sample.num_rows)
    answers = np.asarray(core(blocks(rows, slice(None)), training=False))
    check_parity(out, sample, answers)
    return out


def _manifest(frozen: FrozenFeatures, inputs: ModelInputs) -> dict[str, Any]:
    from components.model_format import ModelManifest

    return ModelManifest(
        framework="keras",
        backend="tensorflow",
        task=inputs.task,
        inputs=frozen.inputs,
        outputs=(frozen.output,),
        label=frozen.spec.label.to_json(),
        classes=frozen.classes,
        requirements=tuple(f"{name}=={importlib.metadata.version(name)}" for name in _SERVING_PACKAGES),
    ).to_json()


def check_framework(framework: str) -> None:
    """Refuse a framework that is unknown, not installed, or not yet trained on.

    Raises:
        ArgumentError: It is unknown or not supported.
        MissingExtraError: It is not installed.
    """
    require(framework in FRAMEWORKS, "framework", " or ".join(SUPPORTED), framework)
    if importlib.util.find_spec(FRAMEWORKS[framework]) is None:
        raise MissingExtraError(
            f'framework "{framework}" is not installed',
            expected=f"the package {FRAMEWORKS[framework]}",
            received=f"framework={framework!r}",
            next=f"pip install 'headrace[{framework}]'",
        )
    require(framework in SUPPORTED, "framework", " or ".join(SUPPORTED), framework)


def check_builder(build_model: object) -> None:
    """Refuse a model builder that cannot travel to another process by module and name.

    Raises:
        ArgumentError: It is not a module-level function.
    """
    name = getattr(build_model, "__qualname__", "")
    if not callable(build_model) or not name.isidentifier():
        raise ArgumentError(
            "build_model is not a module-level function",
            expected="def build_model(inputs): … at the top level of a module",
            received=f"{getattr(build_model, '__module__', '')} {name or repr(build_model)}".strip(),
            next="move it to a module and pass its name",
        )


def _check_model(
    core: object, inputs: ModelInputs, build_model: Callable[..., Any], complaint: Callable[[], str | None]
) -> None:
    import keras

    problem = None
    if not isinstance(core, keras.Model):
        problem = repr(core)
    elif not core.compiled:
        problem = "a model that is not compiled"
    problem = problem or complaint()
    if problem:
        raise ArgumentError(
            f"{build_model.__name__} did not return a model for this task",
            expected=f"a compiled keras.Model whose last layer has units={inputs.units}, "
            f'activation="{inputs.activation}" ({inputs.task})',
            received=problem,
        )
