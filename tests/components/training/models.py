"""Model builders for tests, and mistakes in them; importable, as a pipeline's own are."""

from __future__ import annotations

from typing import Any

from components.features import features, label, numeric
from components.features.feature import IdFeature
from components.training.inputs import ModelInputs
from tests.components.features.rows import RIDES

TOY = features(numeric("x").z_score(), numeric("x").bucketize(8), label=label("y"))
DROPPING = features(*RIDES.features, label=label("tips", missing="drop").greater_than(4))
assert isinstance(TOY.features[1], IdFeature)


def small(inputs: ModelInputs) -> Any:
    """Embeddings, a hidden layer, dropout: seed state, optimizer state, both kinds of input."""
    import keras
    from keras import layers

    blocks = inputs.keras_inputs()
    parts = []
    if inputs.dense:
        parts.append(blocks["numbers"])
    if inputs.ids:
        rows = keras.ops.add(blocks["ids"], inputs.offsets)
        parts.append(layers.Flatten()(layers.Embedding(inputs.table_size, 3)(rows)))
    hidden = layers.Dense(8, activation="relu")(layers.Concatenate()(parts) if len(parts) > 1 else parts[0])
    hidden = layers.Dropout(0.3)(hidden)
    model = keras.Model(blocks, layers.Dense(inputs.units, activation=inputs.activation)(hidden))
    metrics = ["mae"] if inputs.task == "regression" else ["accuracy"]
    model.compile(keras.optimizers.Adam(1e-2), loss=inputs.loss, metrics=metrics)
    return model


def without_metrics(inputs: ModelInputs) -> Any:
    """Only what must be there."""
    import keras

    blocks = inputs.keras_inputs()
    hidden = keras.layers.Flatten()(next(iter(blocks.values())))
    hidden = keras.ops.cast(hidden, "float32")
    model = keras.Model(blocks, keras.layers.Dense(inputs.units, activation=inputs.activation)(hidden))
    model.compile("sgd", loss=inputs.loss)
    return model


def not_compiled(inputs: ModelInputs) -> Any:
    import keras

    blocks = inputs.keras_inputs()
    return keras.Model(blocks, keras.layers.Dense(1, activation="sigmoid")(blocks["numbers"]))


def logits(inputs: ModelInputs) -> Any:
    import keras

    blocks = inputs.keras_inputs()
    model = keras.Model(blocks, keras.layers.Dense(1, kernel_initializer="ones")(blocks["numbers"]))
    model.compile("sgd", loss="mse")
    return model


def too_wide(inputs: ModelInputs) -> Any:
    import keras

    blocks = inputs.keras_inputs()
    model = keras.Model(blocks, keras.layers.Dense(4, activation="softmax")(blocks["numbers"]))
    model.compile("sgd", loss="mse")
    return model


def diverging(inputs: ModelInputs) -> Any:
    import keras

    blocks = inputs.keras_inputs()
    model = keras.Model(blocks, keras.layers.Dense(1)(blocks["numbers"]))
    model.compile(keras.optimizers.SGD(1e30), loss="mse")
    return model


def nothing(inputs: ModelInputs) -> Any:
    """Forget the return statement."""


class OwnError(Exception):
    """A user's own exception."""


def raising(inputs: ModelInputs) -> Any:
    raise OwnError("no such layer")
