"""Breast cancer: what the model sees, what it predicts, and the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.features import features, label, numeric
from pipelines.breast_cancer_data import COLUMNS, LABEL

if TYPE_CHECKING:
    import keras

    from components.training.inputs import ModelInputs

FEATURES = features(*(numeric(name).z_score() for name in COLUMNS), label=label(LABEL))


def build_model(inputs: ModelInputs) -> keras.Model:
    """One hidden layer and dropout: enough for a few hundred rows."""
    import keras
    from keras import layers

    blocks = inputs.keras_inputs()
    hidden = layers.Dense(16, activation="relu")(blocks["numbers"])
    hidden = layers.Dropout(0.2)(hidden)
    output = layers.Dense(inputs.units, activation=inputs.activation)(hidden)
    model = keras.Model(blocks, output)
    model.compile(keras.optimizers.Adam(1e-2), loss=inputs.loss, metrics=["accuracy", "auc"])
    return model
