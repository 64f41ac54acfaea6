"""What a model builder is told about the transformed rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.features.frozen import FrozenFeatures, IdColumn

if TYPE_CHECKING:
    import keras
    import numpy as np

    from components.features.expressions import Scalar
    from components.model_format import Task

__all__ = ["IdColumn", "ModelInputs"]


@dataclass(frozen=True)
class ModelInputs:
    """The transformed rows and the prediction wanted, as ``build_model`` receives them.

    A model takes ``{"numbers": float32 (rows, len(dense)), "ids": int32 (rows, len(ids))}`` (a block
    without a column is absent) and returns ``float32 (rows, units)``: the probability of the
    second class (binary), one probability per class (multiclass), or the value (regression).

    Attributes:
        dense: Names of the dense columns.
        ids: The id columns; each column's ids are below its cardinality.
        task: ``"binary"``, ``"multiclass"`` or ``"regression"``.
        classes: Class values in output order; empty for regression.
    """

    dense: tuple[str, ...]
    ids: tuple[IdColumn, ...]
    task: Task
    classes: tuple[Scalar, ...]

    @classmethod
    def of(cls, frozen: FrozenFeatures) -> ModelInputs:
        """Return the inputs that frozen features make."""
        return cls(tuple(frozen.dense_columns), tuple(frozen.id_columns), frozen.task, frozen.classes)

    @property
    def units(self) -> int:
        """Width of the model's output: the number of classes for multiclass, else 1."""
        return len(self.classes) if self.task == "multiclass" else 1

    @property
    def activation(self) -> str:
        """Activation of the last layer: ``sigmoid``, ``softmax`` or ``linear``."""
        return {"binary": "sigmoid", "multiclass": "softmax", "regression": "linear"}[self.task]

    @property
    def loss(self) -> str:
        """Keras name of the usual loss for the task."""
        return {
            "binary": "binary_crossentropy",
            "multiclass": "sparse_categorical_crossentropy",
            "regression": "mean_squared_error",
        }[self.task]

    def keras_inputs(self) -> dict[str, keras.KerasTensor]:
        """Return ``keras.Input`` tensors by block, ``numbers`` and ``ids``; absent where empty."""
        import keras

        blocks = {}
        if self.dense:
            blocks["numbers"] = keras.Input((len(self.dense),), name="numbers", dtype="float32")
        if self.ids:
            blocks["ids"] = keras.Input((len(self.ids),), name="ids", dtype="int32")
        return blocks

    @property
    def table_size(self) -> int:
        """Rows of one embedding table for all id columns together."""
        return sum(one.cardinality for one in self.ids)

    @property
    def offsets(self) -> np.ndarray:
        """First row of each id column in such a table, ``int32``: look up ``ids + offsets``."""
        import numpy as np

        cardinalities = [one.cardinality for one in self.ids]
        return np.cumsum([0, *cardinalities[:-1]]).astype("int32")
