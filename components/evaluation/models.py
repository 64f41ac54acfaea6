"""A model for evaluation: raw Arrow rows in, labels and predictions out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from components.evaluation.arrays import Floats
from components.model_format import (
    ONNX_FILE,
    ModelManifest,
    OnnxPredictor,
    label_values,
    load_manifest,
)
from components.serving.models_folder import VERSION_ONNX
from orchestration import ArtifactError

if TYPE_CHECKING:
    import pyarrow as pa


class RawModel(Protocol):
    """What the evaluation asks of a model."""

    def labels(self, batch: pa.RecordBatch) -> Floats:
        """Return the labels, float32, shape (rows,), NaN where missing."""
        ...

    def predict(self, batch: pa.RecordBatch) -> Floats:
        """Return the predictions, float32, shape (rows, outputs)."""
        ...


class OnnxModel:
    """A model folder's ONNX export and its label expression."""

    def __init__(self, manifest: ModelManifest, file: Path) -> None:
        self.manifest = manifest
        self.predictor = OnnxPredictor(manifest, file)

    def labels(self, batch: pa.RecordBatch) -> Floats:
        """Return the labels, float32, shape (rows,), NaN where missing."""
        return label_values(self.manifest, batch)

    def predict(self, batch: pa.RecordBatch) -> Floats:
        """Return the predictions, float32, shape (rows, outputs)."""
        return self.predictor.predict(batch)


def load_raw_model(folder: Path) -> RawModel:
    """Load the ONNX export of a Model artifact's folder or of a pushed version's folder.

    Raises:
        ArtifactError: The folder holds no model, or one that ONNX Runtime cannot load.
    """
    manifest = load_manifest(folder)
    for name in (ONNX_FILE, VERSION_ONNX):
        if (folder / name).exists():
            break
    else:
        raise ArtifactError("the model has no ONNX export", expected=ONNX_FILE, received=str(folder))
    try:
        return OnnxModel(manifest, folder / name)
    except ImportError:
        raise
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise ArtifactError(f"ONNX Runtime cannot load the model: {error}", received=name) from error
