"""Frozen features: a specification with the state its analysis found, ready to be applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from components.features.categorical import Cross
from components.features.expressions import Label, Scalar
from components.features.feature import Analysis, Analyzer, Feature, OneHot, State
from components.features.spec import FeatureSpec
from components.model_format import Input
from orchestration import ArtifactError, DataError

if TYPE_CHECKING:
    from components.features.accumulators import Tokens
    from components.features.ops import Ops, Tensor
    from components.model_format import Task

MAX_CLASSES = 1_000
_OUTPUTS = {"binary": "probability", "multiclass": "probabilities", "regression": "prediction"}
STATE_FILE = "transform.json"


@dataclass(frozen=True)
class IdColumn:
    """An id column of the transformed rows: ids are at least 0 and below ``cardinality``."""

    name: str
    cardinality: int


@dataclass(frozen=True)
class FrozenFeatures:
    """A specification, its raw signature and its state: everything ``transform.json`` holds.

    Attributes:
        spec: The specification.
        inputs: Raw signature, one entry per raw column.
        states: State by feature name.
        classes: Class values in output order; ``(False, True)`` for a comparison, empty for regression.
    """

    spec: FeatureSpec
    inputs: tuple[Input, ...]
    states: Mapping[str, State]
    classes: tuple[Scalar, ...]

    @classmethod
    def freeze(cls, spec: FeatureSpec, inputs: tuple[Input, ...], analysis: Analysis) -> FrozenFeatures:
        """Return the features frozen with what the analysis found.

        Raises:
            DataError: A column has no value, or the label too few or too many classes.
        """
        states: dict[str, State] = {}
        for feature in sorted(spec.features, key=_reads_others):
            states[feature.name] = feature.freeze(analysis, states)
        return cls(spec, inputs, states, _classes(spec.label, analysis))

    @property
    def task(self) -> Task:
        """What kind of prediction the label asks for."""
        if self.spec.label.kind == "value":
            return "regression"
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def output(self) -> str:
        """Name of the prediction in a model's signature; never that of a raw input."""
        name = _OUTPUTS[self.task]
        while any(one.name == name for one in self.inputs):
            name = f"predicted_{name}"
        return name

    @property
    def dense_columns(self) -> list[str]:
        """Names of the dense columns in order."""
        return [name for one in self.spec.dense for name in one.outputs(self.states[one.name])]

    @property
    def id_columns(self) -> list[IdColumn]:
        """The id columns in order."""
        return [IdColumn(one.name, int(self.states[one.name]["cardinality"])) for one in self.spec.ids]

    def build(self, ops: Ops) -> tuple[list[Tensor], list[Tensor]]:
        """Build the graph: float tensors of the dense features, int tensors of the id features."""
        graph = _Graph(self, ops)
        dense = [one.build(graph, self.states[one.name]) for one in self.spec.dense]
        return dense, [graph.ids(one.name) for one in self.spec.ids]

    def labels(self, batch: Any) -> Any:
        """Return the rows' labels, see :meth:`components.features.expressions.Label.values`."""
        return self.spec.label.values(batch, classes=self.classes)

    def to_json(self) -> dict[str, Any]:
        """Return everything as a JSON value."""
        return {
            "format": 1,
            "spec": self.spec.to_json(),
            "inputs": [asdict(one) for one in self.inputs],
            "states": {name: dict(state) for name, state in self.states.items()},
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FrozenFeatures:
        """Return the frozen features of a JSON value.

        Raises:
            ArtifactError: It is not one.
        """
        if value.get("format") != 1:
            raise ArtifactError(
                f"{STATE_FILE} has an unknown format", expected="1", received=str(value.get("format"))
            )
        try:
            inputs = tuple(Input(**one) for one in value["inputs"])
            return cls(FeatureSpec.from_json(value["spec"]), inputs, value["states"], tuple(value["classes"]))
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{STATE_FILE} cannot be read: {error!r}") from error


class _Graph:
    """Builds each id feature once, also where a cross reads it again."""

    def __init__(self, frozen: FrozenFeatures, ops: Ops) -> None:
        self.ops = ops
        self._frozen = frozen
        self._features = {one.name: one for one in frozen.spec.ids}
        self._built: dict[str, Tensor] = {}

    def ids(self, feature: str) -> Tensor:
        if feature not in self._built:
            self._built[feature] = self._features[feature].build(self, self._frozen.states[feature])
        return self._built[feature]


def _reads_others(feature: Feature) -> bool:
    inner = feature.of if isinstance(feature, OneHot) else feature
    return isinstance(inner, Cross)


def _classes(label: Label, analysis: Analysis) -> tuple[Scalar, ...]:
    if label.kind == "value":
        return ()
    if label.kind == "greater_than":
        return (False, True)
    if label.classes:
        return label.classes
    tokens: Tokens = analysis[Analyzer("tokens", label.column)]
    if not 2 <= len(tokens.counts) <= MAX_CLASSES:
        raise DataError(
            f'the label "{label.column}" has {len(tokens.counts):,} classes in the analyzed split',
            expected=f"2 to {MAX_CLASSES:,} classes",
            received=", ".join(repr(value) for value in sorted(tokens.counts)[:5]) or "no value",
            next=f'label("{label.column}").value() predicts the number itself'
            if len(tokens.counts) > MAX_CLASSES
            else None,
        )
    return tuple(sorted(tokens.counts))
