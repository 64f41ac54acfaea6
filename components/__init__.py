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
from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.compute_statistics import compute_statistics
from components.evaluate_model import evaluate_model
from components.infer_schema import infer_schema
from components.live_model import LiveModel
from components.previous_statistics import previous_statistics, read_statistics
from components.push_model import push_model
from components.read_avro import read_avro
from components.read_csv import read_csv
from components.read_delta import read_delta
from components.read_iceberg import read_iceberg
from components.read_json import read_json
from components.read_parquet import read_parquet
from components.read_sql import read_sql
from components.read_tfrecord import read_tfrecord
from components.reading.delta_path import DeltaPath
from components.reading.iceberg_table import IcebergTable
from components.reading.sql_query import SqlQuery
from components.train_model import train_model
from components.transform_features import transform_features
from components.validate_examples import validate_examples
from components.validate_serving import validate_serving

__all__ = [
    "DeltaPath",
    "DriftRules",
    "Evaluation",
    "Examples",
    "IcebergTable",
    "Limit",
    "LiveModel",
    "Measure",
    "Model",
    "PushedModel",
    "Report",
    "Schema",
    "ServingCheck",
    "SqlQuery",
    "Statistics",
    "Transform",
    "Validation",
    "compute_statistics",
    "evaluate_model",
    "infer_schema",
    "previous_statistics",
    "push_model",
    "read_avro",
    "read_csv",
    "read_delta",
    "read_iceberg",
    "read_json",
    "read_parquet",
    "read_sql",
    "read_statistics",
    "read_tfrecord",
    "train_model",
    "transform_features",
    "validate_examples",
    "validate_serving",
]
