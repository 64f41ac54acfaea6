"""What a Model artifact holds, and how everything downstream of training speaks to it.

Folder of a Model artifact:

| file | content |
|---|---|
| ``model.json`` | the manifest: task, raw inputs, outputs, label, requirements |
| ``serving/model.onnx`` | the whole graph, raw features in, predictions out, for ONNX Runtime |
| ``serving/saved_model/`` | the same graph for TensorFlow, signature ``serving_default`` |
| ``native/model.keras`` | the trained core, transformed features in |
| ``transform.json`` | the frozen features: specification and state |

Raw features travel as one array of shape ``(rows,)`` per input. A missing value travels as NaN
(``float32``), as the empty string (``string``) or as :data:`MISSING_INT` (``int64``).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from components.artifacts import Model
from components.features.expressions import Label
from orchestration import ArgumentError, ArtifactError, DataError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MISSING_INT = -(2**63)
MANIFEST_FILE = "model.json"
ONNX_FILE = "serving/model.onnx"
SAVED_MODEL_FOLDER = "serving/saved_model"

Dtype = Literal["float32", "int64", "string"]
Task = Literal["binary", "multiclass", "regression"]
Runtime = Literal["onnx", "tensorflow"]


@dataclass(frozen=True)
class Input:
    """One raw feature of the serving signature.

    Attributes:
        name: Column name in the raw data.
        dtype: ``"float32"``, ``"int64"`` (also timestamps, as UTC seconds since 1970) or ``"string"``.
        nullable: Whether the model has a policy for a missing value; otherwise one is refused.
    """

    name: str
    dtype: Dtype
    nullable: bool


@dataclass(frozen=True)
class ModelManifest:
    """The facts of ``model.json``.

    Attributes:
        framework: What trained the model: ``"keras"``.
        backend: The framework below it: ``"tensorflow"``.
        task: ``"binary"``, ``"multiclass"`` or ``"regression"``.
        inputs: Raw features in signature order; the label is not among them.
        outputs: Output names: ``("probability",)``, ``("probabilities",)`` or ``("prediction",)``.
        label: The label's expression as JSON, see :meth:`components.features.expressions.Label.from_json`.
        classes: Class values in the order of the outputs; empty for regression.
        requirements: Pinned pip requirements of the runtimes that can serve the model.
    """

    framework: str
    backend: str
    task: Task
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    label: Mapping[str, Any]
    classes: tuple[str | int | float | bool, ...]
    requirements: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as a JSON value."""
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelManifest:
        """Return the manifest of a JSON value.

        Raises:
            ArtifactError: The format is unknown or a field is missing.
        """
        facts = dict(value)
        form = facts.pop("format", None)
        if form != 1:
            raise ArtifactError(
                "the model's manifest has an unknown format", expected="1", received=str(form)
            )
        try:
            facts["inputs"] = tuple(Input(**one) for one in facts["inputs"])
            for name in ("outputs", "classes", "requirements"):
                facts[name] = tuple(facts[name])
            return cls(**facts)
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"the model's manifest cannot be read: {error}") from error


class Predictor(Protocol):
    """A loaded model: raw features in, predictions out.

    Attributes:
        manifest: The model's manifest.
    """

    manifest: ModelManifest

    def predict(self, batch: pa.RecordBatch | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return predictions of shape ``(rows, outputs)``, ``float32``.

        Args:
            batch: At least the model's input columns; others are ignored.

        Raises:
            DataError: A column is missing, cannot be converted, or holds a null the model has no
                policy for.
        """
        ...


def load_manifest(model_or_path: Model | Path | str) -> ModelManifest:
    """Return the manifest of a Model artifact or of a folder that holds one.

    Raises:
        ArtifactError: There is no readable ``model.json``.
    """
    path = _folder(model_or_path) / MANIFEST_FILE
    if not path.exists():
        raise ArtifactError("the model has no manifest", expected=str(path), received="no such file")
    try:
        return ModelManifest.from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ArtifactError(f"the model's manifest cannot be read: {error}", received=str(path)) from error


def load_predictor(model_or_path: Model | Path | str, runtime: Runtime = "onnx") -> Predictor:
    """Load a model to predict from raw features.

    Args:
        model_or_path: A Model artifact, or a folder that holds its files.
        runtime: ``"onnx"`` (ONNX Runtime, one thread) or ``"tensorflow"`` (the SavedModel).

    Raises:
        ArgumentError: The runtime is unknown.
        MissingExtraError: The runtime is not installed.
        ArtifactError: The model has no manifest or no export for the runtime.
    """
    folder = _folder(model_or_path)
    manifest = load_manifest(folder)
    kinds: dict[str, tuple[Callable[[ModelManifest, Path], Predictor], str]] = {
        "onnx": (OnnxPredictor, ONNX_FILE),
        "tensorflow": (TensorFlowPredictor, SAVED_MODEL_FOLDER),
    }
    if runtime not in kinds:
        raise ArgumentError("unknown runtime", expected='"onnx" or "tensorflow"', received=repr(runtime))
    kind, name = kinds[runtime]
    if not (folder / name).exists():
        raise ArtifactError(f"the model has no {runtime} export", expected=name, received=str(folder))
    try:
        return kind(manifest, folder / name)
    except ImportError as error:
        raise MissingExtraError(
            f"the {runtime} runtime is not installed: {error}", next=f"pip install 'headrace[{runtime}]'"
        ) from error


def label_values(manifest: ModelManifest, batch: pa.RecordBatch | Mapping[str, np.ndarray]) -> np.ndarray:
    """Evaluate the model's label on raw rows.

    Returns:
        ``float32`` of shape ``(rows,)``: 0 or 1 (binary), the class's index (multiclass) or the
        value (regression); NaN where the label is missing.

    Raises:
        DataError: A column the label needs is missing, or a class is unknown.
    """
    return Label.from_json(manifest.label).values(batch, classes=manifest.classes)


def encode(
    inputs: tuple[Input, ...], batch: pa.RecordBatch | Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the arrays a model's signature takes, by input name.

    Arrow columns become ``float32``, ``int64`` or object arrays of ``str``, each of shape
    ``(rows,)``, with nulls as the module's docstring says. Arrays of a mapping are converted to
    the signature's dtype; their missing values must already travel that way (None in object
    arrays is accepted).

    Raises:
        DataError: A column is missing, cannot be converted, or holds a null the model has no
            policy for.
    """
    from components.features.encoding import encode_column

    names = list(batch) if isinstance(batch, Mapping) else batch.schema.names
    arrays = {}
    for wanted in inputs:
        if wanted.name not in names:
            raise missing_column(wanted.name, names)
        column = batch[wanted.name] if isinstance(batch, Mapping) else batch.column(wanted.name)
        arrays[wanted.name] = encode_column(column, wanted.name, wanted.dtype, nullable=wanted.nullable)
    return arrays


def parameter_names(inputs: Sequence[Input]) -> dict[str, str]:
    """Return what each raw feature is called as a parameter of the SavedModel's Python function.

    TensorFlow wants identifiers there, so ``"trip miles"`` becomes ``input_3``, by its position.
    The signature itself, as TensorFlow Serving reads it, keeps the raw names.
    """
    used = {one.name for one in inputs}
    names = {}
    for place, one in enumerate(inputs):
        usable = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", one.name) and one.name != "self"
        name = one.name if usable else f"input_{place}"
        while name != one.name and name in used:
            name += "_"
        names[one.name] = name
    return names


def missing_column(name: str, names: list[str]) -> DataError:
    """Return the error for a column that is not there, with the closest name that is."""
    close = difflib.get_close_matches(name, names, n=1)
    return DataError(
        f'there is no column "{name}"',
        expected=name,
        received=", ".join(sorted(names)),
        next=f'did you mean "{close[0]}"?' if close else None,
    )


class OnnxPredictor:
    """Predicts with ONNX Runtime on one thread."""

    def __init__(self, manifest: ModelManifest, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.manifest = manifest
        self.session = onnxruntime.InferenceSession(
            file.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, batch: pa.RecordBatch | Mapping[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Predictor.predict`."""
        arrays = encode(self.manifest.inputs, batch)
        answer: np.ndarray = self.session.run(list(self.manifest.outputs), arrays)[0]
        return answer


class TensorFlowPredictor:
    """Predicts with the SavedModel's ``serving_default`` signature."""

    def __init__(self, manifest: ModelManifest, folder: Path) -> None:
        import tensorflow as tf

        self.manifest = manifest
        self._names = parameter_names(manifest.inputs)
        self._loaded = tf.saved_model.load(str(folder))
        self._signature = self._loaded.signatures["serving_default"]

    def predict(self, batch: pa.RecordBatch | Mapping[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Predictor.predict`."""
        import tensorflow as tf

        arrays = encode(self.manifest.inputs, batch)
        tensors = {self._names[name]: tf.constant(values) for name, values in arrays.items()}
        answer: np.ndarray = self._signature(**tensors)[self.manifest.outputs[0]].numpy()
        return answer


def _folder(model_or_path: Model | Path | str) -> Path:
    return model_or_path.path if isinstance(model_or_path, Model) else Path(model_or_path)
