"""Chicago taxi: what the model sees, what it predicts, and the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.features import categorical, column, cross, features, label, numeric

if TYPE_CHECKING:
    import keras

    from components.training.inputs import ModelInputs

FEATURES = features(
    numeric("trip_miles").log1p().z_score(),
    numeric("fare").log1p().z_score(),
    numeric("trip_seconds").log1p().z_score(),
    numeric("pickup_latitude").bucketize(10),
    numeric("pickup_longitude").bucketize(10),
    numeric("dropoff_latitude").bucketize(10),
    numeric("dropoff_longitude").bucketize(10),
    numeric("trip_start_hour").identity(24),
    numeric("trip_start_day").identity(8),
    numeric("trip_start_month").identity(13),
    categorical("payment_type").vocabulary(top=20),
    categorical("company").vocabulary(top=1_000),
    categorical("pickup_community_area").vocabulary(top=100),
    categorical("dropoff_community_area").vocabulary(top=100),
    categorical("dropoff_census_tract").vocabulary(top=1_000),
    cross("trip_start_hour", "trip_start_day", buckets=500),
    label=label("tips").greater_than(0.2 * column("fare")),
)


def build_model(inputs: ModelInputs) -> keras.Model:
    """Wide and deep: a weight per id for what is remembered, embeddings and a small MLP for the rest.

    All id columns share one table, each with rows of its own: one look-up instead of many.
    """
    import keras
    from keras import layers

    blocks = inputs.keras_inputs()
    rows = keras.ops.add(blocks["ids"], inputs.offsets)
    embedded = layers.Flatten()(layers.Embedding(inputs.table_size, 8)(rows))
    hidden = layers.Concatenate()([blocks["numbers"], embedded])
    for units in (64, 32):
        hidden = layers.Dense(units, activation="relu")(hidden)
    weights = layers.Flatten()(layers.Embedding(inputs.table_size, 1, embeddings_initializer="zeros")(rows))
    output = layers.Dense(1, activation="sigmoid")(layers.Concatenate()([hidden, weights]))
    model = keras.Model(blocks, output)
    model.compile(keras.optimizers.Adam(1e-3), loss=inputs.loss, metrics=["accuracy", "auc"])
    return model
