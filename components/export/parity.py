"""Whether the exported graphs answer as the trained model does, on real rows and on hard ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from components.artifacts import Model
from components.export.errors import ExportError
from components.model_format import MISSING_INT, Input, Runtime, encode, load_predictor

if TYPE_CHECKING:
    import pyarrow as pa

TOLERANCE = 1e-4
_HARD: dict[str, list[Any]] = {
    "float32": [float("nan"), 0.0, -1e30, 1e30, float("inf")],
    "int64": [MISSING_INT, 0, -1, 2**53, 1],
    "string": ["", "not a known value", "héllo 日本", " ", "a\nb"],
}


def check_parity(model: Model, sample: pa.RecordBatch, answers: np.ndarray) -> float:
    """Compare both exports with the trained model, and with each other on hard rows.

    Args:
        model: A model with its manifest and both exports.
        sample: Raw rows.
        answers: The trained model's predictions for them, ``(rows, outputs)``.

    Returns:
        The largest difference found, relative where a prediction exceeds 1.

    Raises:
        ExportError: It exceeds ``1e-4``, or a prediction is not a number.
    """
    names: tuple[Runtime, ...] = ("onnx", "tensorflow")
    runtimes = {name: load_predictor(model, name) for name in names}
    inputs = runtimes["onnx"].manifest.inputs
    raw = encode(inputs, sample)
    largest = max(
        _difference(name, "the trained model", predictor.predict(raw), answers)
        for name, predictor in runtimes.items()
    )
    hard = hard_rows(inputs)
    if hard:
        onnx, tensorflow = (predictor.predict(hard) for predictor in runtimes.values())
        largest = max(largest, _difference("onnx", "tensorflow", onnx, tensorflow))
    return largest


def hard_rows(inputs: tuple[Input, ...]) -> dict[str, np.ndarray]:
    """Return five rows of values at the edges: missing, unknown, negative, huge; {} without inputs.

    Inputs without a policy for missing values get an ordinary value instead.
    """
    rows: dict[str, Any] = {}
    for one in inputs:
        values = list(_HARD[one.dtype])
        if not one.nullable:
            values[0] = values[1]
            values[4] = values[3]
        kind = object if one.dtype == "string" else one.dtype
        rows[one.name] = np.array(values, kind)
    return rows


def _difference(name: str, other: str, received: np.ndarray, expected: np.ndarray) -> float:
    scale = np.maximum(1.0, np.abs(expected))
    apart = np.abs(received.astype("float64") - expected) / scale
    worst = float(apart.max(initial=0.0)) if np.isfinite(apart).all() else float("nan")
    if not worst <= TOLERANCE:
        row = int(np.argmax(np.where(np.isfinite(apart), apart, np.inf).max(axis=1)))
        raise ExportError(
            f"the {name} export does not answer as {other}",
            expected=f"row {row}: {expected[row].tolist()} (within {TOLERANCE:g})",
            received=f"row {row}: {received[row].tolist()}",
        )
    return worst
