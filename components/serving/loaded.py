"""One version of a model, loaded and warmed up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.model_format import MISSING_INT, Input, ModelManifest, load_manifest
from components.serving.models_folder import VERSION_ONNX
from components.serving.requests import Array, Decoder, RequestError
from orchestration import ArtifactError

_WARM = {"float32": 0.0, "int64": 0, "string": "-"}
_MISSING = {"float32": np.nan, "int64": MISSING_INT, "string": ""}
_DTYPES: dict[str, Any] = {"float32": np.float32, "int64": np.int64, "string": object}


@dataclass(frozen=True)
class LoadedModel:
    """A version that answers.

    Attributes:
        name: The model's name.
        version: Its number.
        manifest: Its manifest.
        decoder: Reads its requests.
    """

    name: str
    version: int
    manifest: ModelManifest
    decoder: Decoder
    session: Any

    def predict(self, arrays: dict[str, Array]) -> Array:
        """Return predictions, float32, shape (rows, outputs).

        Args:
            arrays: One array of shape (rows,) per feature, of the signature's dtypes.

        Raises:
            RequestError: An answer is no number (status 500).
        """
        answer: Array = self.session.run(list(self.manifest.outputs[:1]), arrays)[0]
        if not np.isfinite(answer).all():
            row = int(np.flatnonzero(~np.isfinite(answer).all(axis=1))[0])
            raise RequestError(f"the model's answer to row {row} is not a number", status=500)
        return answer


def load_version(folder: Path, name: str, version: int) -> LoadedModel:
    """Load a version folder and have it answer two rows, one of them with all missing values.

    Raises:
        ArtifactError: The folder holds no model that ONNX Runtime can load and run.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # importing it would start a thread that reports home
    import onnxruntime

    manifest = load_manifest(folder)
    file = folder / VERSION_ONNX
    if not file.exists():
        raise ArtifactError("the version has no ONNX model", expected=str(file), received="no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        session.run(list(manifest.outputs[:1]), {one.name: _warm_up(one) for one in manifest.inputs})
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        problem = f"ONNX Runtime cannot run version {version}: {error}"
        raise ArtifactError(problem, received=str(file)) from error
    return LoadedModel(name, version, manifest, Decoder(manifest), session)


def _warm_up(one: Input) -> Array:
    values = [_WARM[one.dtype], _MISSING[one.dtype] if one.nullable else _WARM[one.dtype]]
    return np.array(values, _DTYPES[one.dtype])
