"""The feature language: raw columns in, features and a label out."""

from components.features.categorical import categorical, cross
from components.features.expressions import column, label
from components.features.numeric import numeric
from components.features.spec import FeatureSpec, features
from components.features.timestamps import timestamp

__all__ = [
    "FeatureSpec",
    "categorical",
    "column",
    "cross",
    "features",
    "label",
    "numeric",
    "timestamp",
]
