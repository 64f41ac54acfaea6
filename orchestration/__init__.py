"""The pipeline language, and everything that runs it. Knows nothing about machine learning."""

from orchestration.artifacts import Artifact
from orchestration.beam import Beam
from orchestration.component import Component, Policy, component
from orchestration.context import RunContext
from orchestration.errors import (
    ArgumentError,
    ArtifactError,
    ArtifactTypeError,
    ConfigurationError,
    DataError,
    GateError,
    HeadraceError,
    MissingExtraError,
    PipelineError,
    SkipNode,
    require,
)
from orchestration.external import External, Files
from orchestration.graph import after, for_each, when
from orchestration.pipeline import Pipeline, pipeline
from orchestration.promises import value

__all__ = [
    "ArgumentError",
    "Artifact",
    "ArtifactError",
    "ArtifactTypeError",
    "Beam",
    "Component",
    "ConfigurationError",
    "DataError",
    "External",
    "Files",
    "GateError",
    "HeadraceError",
    "MissingExtraError",
    "Pipeline",
    "PipelineError",
    "Policy",
    "RunContext",
    "SkipNode",
    "after",
    "component",
    "for_each",
    "pipeline",
    "require",
    "value",
    "when",
]
