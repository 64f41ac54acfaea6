"""The serving graph as a TensorFlow SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from components.export.canonical_saved_model import canonicalize
from components.features.tensorflow_ops import Tables, TensorFlowOps

if TYPE_CHECKING:
    from components.features.frozen import FrozenFeatures

DTYPES = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}


class ServingModule(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Raw features in, predictions out: frozen features in front of a trained core.

    Args:
        frozen: The features.
        core: Trained model, blocks in.
        output: Name of the output.
    """

    def __init__(self, frozen: FrozenFeatures, core: keras.Model, output: str) -> None:
        super().__init__()
        self.tables = Tables()
        self.core = core
        self._frozen = frozen
        self._output = output
        signature = {
            one.name: tf.TensorSpec((None,), DTYPES[one.dtype], name=one.name) for one in frozen.inputs
        }
        function = tf.function(self._predict, autograph=False)
        self.signature = function.get_concrete_function(**signature)

    def _predict(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        dense, ids = self._frozen.build(TensorFlowOps(raw, self.tables))
        blocks = {"numbers": tf.concat(dense, 1)} if dense else {}
        if ids:
            blocks["ids"] = tf.cast(tf.concat(ids, 1), tf.int32)
        return {self._output: self.core(blocks, training=False)}


def export_saved_model(frozen: FrozenFeatures, core: keras.Model, output: str, folder: Path) -> None:
    """Write the serving graph with its signature ``serving_default`` to a folder."""
    module = ServingModule(frozen, core, output)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.signature})
    canonicalize(folder)
