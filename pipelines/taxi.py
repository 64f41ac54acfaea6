"""Chicago taxi trips: the standard case, with strings, missing values and slices by hour."""

from components import (
    compute_statistics,
    evaluate_model,
    infer_schema,
    push_model,
    read_csv,
    train_model,
    transform_features,
    validate_examples,
    validate_serving,
)
from orchestration import pipeline
from pipelines.taxi_metrics import METRICS
from pipelines.taxi_model import FEATURES, build_model


@pipeline(schedule="0 3 * * *", timezone="America/Chicago")
def taxi(data: str = "data/taxi/*.csv", epochs: int = 5, framework: str = "tensorflow") -> None:
    """Will this rider tip more than 20 %?"""
    examples = read_csv(data, splits={"train": 0.8, "eval": 0.2})
    statistics = compute_statistics(examples)
    schema = infer_schema(statistics)
    checked = validate_examples(examples, statistics, schema)
    features = transform_features(checked, schema, FEATURES)
    model = train_model(features, build_model, framework=framework, epochs=epochs)
    evaluation = evaluate_model(model, checked, METRICS)
    ready = validate_serving(model, checked)
    push_model(model, evaluation, ready)
