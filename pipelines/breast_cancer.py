"""Breast cancer, Wisconsin: thirty measurements of a tumour; real data that scikit-learn carries."""

from components import (
    compute_statistics,
    evaluate_model,
    infer_schema,
    push_model,
    train_model,
    transform_features,
    validate_examples,
    validate_serving,
)
from orchestration import pipeline
from pipelines.breast_cancer_data import breast_cancer_examples
from pipelines.breast_cancer_metrics import METRICS
from pipelines.breast_cancer_model import FEATURES, build_model


@pipeline
def breast_cancer(epochs: int = 30) -> None:
    """Is this tumour benign?"""
    examples = breast_cancer_examples()
    statistics = compute_statistics(examples)
    schema = infer_schema(statistics)
    checked = validate_examples(examples, statistics, schema)
    features = transform_features(checked, schema, FEATURES)
    model = train_model(features, build_model, epochs=epochs)
    evaluation = evaluate_model(model, checked, METRICS)
    ready = validate_serving(model, checked)
    push_model(model, evaluation, ready)
