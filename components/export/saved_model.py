"""The serving graph as a TensorFlow SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from components.export.canonical_saved_model import canonicalize
from components.features.tensorflow_ops import Tables, TensorFlowOps
from components.model_format import parameter_names

if TYPE_CHECKING:
    from components.features.frozen import FrozenFeatures

DTYPES = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}


class ServingModule(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Raw features in, predictions out: frozen features in front of a trained core.

    Args:
        frozen: The features.
        core: Trained model, blocks in.
    """

    def __init__(self, frozen: FrozenFeatures, core: keras.Model) -> None:
        super().__init__()
        self.tables = Tables()
        self.core = core
        self.names = parameter_names(frozen.inputs)
        names = {parameter: name for name, parameter in self.names.items()}

        def predict(**parameters: tf.Tensor) -> dict[str, tf.Tensor]:
            raw = {names[parameter]: tensor for parameter, tensor in parameters.items()}
            dense, ids = frozen.build(TensorFlowOps(raw, self.tables))
            blocks = {"numbers": tf.concat(dense, 1)} if dense else {}
            if ids:
                blocks["ids"] = tf.cast(tf.concat(ids, 1), tf.int32)
            return {frozen.output: core(blocks, training=False)}

        kinds = {self.names[one.name]: DTYPES[one.dtype] for one in frozen.inputs}
        signature = {name: tf.TensorSpec((None,), kind, name=name) for name, kind in kinds.items()}
        self.signature = tf.function(predict, autograph=False).get_concrete_function(**signature)


def export_saved_model(frozen: FrozenFeatures, core: keras.Model, folder: Path) -> None:
    """Write the serving graph with its signature ``serving_default`` to a folder."""
    module = ServingModule(frozen, core)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.signature})
    canonicalize(folder, {parameter: name for name, parameter in module.names.items()})
