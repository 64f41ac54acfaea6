"""Model builders for tests, and mistakes in them; importable, as a pipeline's own are."""

from __future__ import annotations

from typing import Any

from components.features import features, label, numeric
from components.training.inputs import ModelInputs
from tests.components.features.rows import RIDES

TOY_BIG = features(numeric("x").z_score(), numeric("x").bucketize(8), label=label("big"))
DROPPING = features(*RIDES.features, label=label("tips", missing="drop").greater_than(4))


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


def overfitting(inputs: ModelInputs) -> Any:
    """Start well and get worse: a learning rate that grows with every step."""
    import keras

    blocks = inputs.keras_inputs()
    hidden = keras.layers.Dense(4, activation="relu")(blocks["numbers"])
    model = keras.Model(blocks, keras.layers.Dense(1, activation="sigmoid")(hidden))
    growing = keras.optimizers.schedules.ExponentialDecay(0.01, 40, 2.0)
    model.compile(keras.optimizers.SGD(growing), loss=inputs.loss)
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


def with_every_layer(inputs: ModelInputs) -> Any:
    """Use what tabular models are made of: normalization, residuals, gates, attention over columns."""
    import keras
    from keras import layers

    blocks = inputs.keras_inputs()
    tokens = layers.Embedding(inputs.table_size, 4)(keras.ops.add(blocks["ids"], inputs.offsets))
    tokens = layers.MultiHeadAttention(2, 4)(tokens, tokens)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(tokens))
    hidden = layers.Concatenate()([layers.BatchNormalization()(blocks["numbers"]), pooled])
    for activation in ("gelu", "swish", "elu"):
        deeper = layers.Dropout(0.1)(layers.Dense(hidden.shape[1], activation=activation)(hidden))
        hidden = layers.Add()(
            [hidden, layers.Multiply()([deeper, layers.Dense(1, activation="sigmoid")(hidden)])]
        )
    hidden = layers.LeakyReLU()(layers.GaussianNoise(0.1)(hidden))
    model = keras.Model(blocks, layers.Dense(inputs.units, activation=inputs.activation)(hidden))
    model.compile(keras.optimizers.AdamW(1e-3, clipnorm=1.0), loss=inputs.loss)
    return model


def no_onnx(inputs: ModelInputs) -> Any:
    """Use a TensorFlow operation that ONNX has not."""
    import keras
    import tensorflow as tf

    class LogGamma(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
        def call(self, x: Any) -> Any:
            return tf.math.lgamma(tf.abs(x) + 1.0)

    blocks = inputs.keras_inputs()
    hidden = LogGamma()(blocks["numbers"])
    model = keras.Model(blocks, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile("sgd", loss=inputs.loss)
    return model
