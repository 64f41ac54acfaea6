"""The pipeline language, and everything that runs it. Knows nothing about machine learning."""

from orchestration.artifacts import Artifact as Artifact
from orchestration.beam import Beam as Beam
from orchestration.component import Component as Component, Policy as Policy, component as component
from orchestration.context import RunContext as RunContext
from orchestration.errors import (
    ArgumentError as ArgumentError,
    ArtifactError as ArtifactError,
    ArtifactTypeError as ArtifactTypeError,
    ConfigurationError as ConfigurationError,
    DataError as DataError,
    GateError as GateError,
    HeadraceError as HeadraceError,
    MissingExtraError as MissingExtraError,
    PipelineError as PipelineError,
    SkipNode as SkipNode,
    require as require,
)
from orchestration.external import External as External, Files as Files
from orchestration.graph import after as after, for_each as for_each, when as when
from orchestration.pipeline import Pipeline as Pipeline, pipeline as pipeline
from orchestration.promises import value as value
