"""The standard components, in the order of the data's flow. Importing them loads no heavy package."""

from components.artifacts import (
    Evaluation,
    Examples,
    Model,
    PushedModel,
    Report,
    Schema,
    ServingCheck,
    Statistics,
    Transform,
    Validation,
)
from components.compute_statistics import compute_statistics
from components.evaluate_model import evaluate_model
from components.infer_schema import infer_schema
from components.live_model import LiveModel
from components.push_model import push_model
from components.read_csv import read_csv
from components.read_parquet import read_parquet
from components.train_model import train_model
from components.transform_features import transform_features
from components.validate_examples import validate_examples
from components.validate_serving import validate_serving

__all__ = [
    "Evaluation",
    "Examples",
    "LiveModel",
    "Model",
    "PushedModel",
    "Report",
    "Schema",
    "ServingCheck",
    "Statistics",
    "Transform",
    "Validation",
    "compute_statistics",
    "evaluate_model",
    "infer_schema",
    "push_model",
    "read_csv",
    "read_parquet",
    "train_model",
    "transform_features",
    "validate_examples",
    "validate_serving",
]
