"""What every feature of a specification is: named, frozen, analyzable, and a piece of graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from components.features.accumulators import Moments, Quantiles, Tokens
    from components.features.ops import Ops, Tensor
    from components.model_format import Dtype

State = Mapping[str, Any]
Analysis = Mapping["Analyzer", Any]


class Graph(Protocol):
    """The graph being built, as a feature sees it."""

    ops: Ops

    def ids(self, feature: str) -> Tensor:
        """Return the ids of another feature, by its full name."""


@dataclass(frozen=True)
class Analyzer:
    """A fact about one column that takes a pass over the data; equal ones are computed once.

    Attributes:
        fact: ``"moments"``, ``"quantiles"`` or ``"tokens"``.
        column: Raw column name.
        log: Whether the fact is about ``log(1 + x)``, negative ``x`` taken as 0.
    """

    fact: str
    column: str
    log: bool = False

    def create(self) -> Moments | Quantiles | Tokens:
        """Return an empty accumulator."""
        from components.features import accumulators

        if self.fact == "tokens":
            return accumulators.Tokens(self.column)
        return accumulators.Moments() if self.fact == "moments" else accumulators.Quantiles()

    def add(self, accumulator: Any, batch: pa.RecordBatch) -> None:
        """Add the column's values in a batch to an accumulator.

        Raises:
            DataError: The column does not hold what the fact is about.
        """
        import numpy as np

        from components.features.encoding import to_numbers, tokens_of

        column = batch.column(self.column)
        if self.fact == "tokens":
            accumulator.add(tokens_of(column, self.column))
            return
        values = to_numbers(column, self.column, "float32")
        if self.log:
            values = np.log1p(np.maximum(values, 0).astype(np.float64)).astype(np.float32)
        accumulator.add(values)


@dataclass(frozen=True)
class Feature(ABC):
    """One feature: dense (``float32`` columns) or ids (one integer column with a cardinality).

    Attributes:
        kind: Name of the class in the specification's JSON form.
        accepts: Signature dtypes it can read.
    """

    kind: ClassVar[str]
    accepts: ClassVar[tuple[Dtype, ...]] = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in the transformed rows, unique in a specification."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Raw columns it reads by itself."""

    @property
    def nullable(self) -> bool:
        """Whether it has a policy for missing values."""
        return True

    @property
    def analyzers(self) -> tuple[Analyzer, ...]:
        """Facts it needs before it can be frozen."""
        return ()

    @abstractmethod
    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """Return its state: JSON facts that, with the feature, determine its graph.

        Args:
            analysis: Accumulators by analyzer.
            states: States of the features that stand before it.

        Raises:
            DataError: The analyzed rows hold nothing to make it from.
        """

    @abstractmethod
    def build(self, graph: Graph, state: State) -> Tensor:
        """Return the feature's tensor: float ``(rows, width)`` or int ids ``(rows, 1)``."""

    def to_json(self) -> dict[str, Any]:
        """Return the feature as a JSON value, ``kind`` first."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {"kind": self.kind, **{name: _plain(value) for name, value in values}}


class OneColumnFeature(Feature):
    """A feature of one raw column with a policy for its missing values."""

    column: str
    missing: Any

    @property
    def columns(self) -> tuple[str, ...]:
        """See :attr:`Feature.columns`."""
        return (self.column,)

    @property
    def nullable(self) -> bool:
        """See :attr:`Feature.nullable`."""
        return bool(self.missing != "error")


class DenseFeature(Feature):
    """A feature of one or more ``float32`` columns."""

    def outputs(self, state: State) -> list[str]:
        """Return the names of its columns."""
        return [self.name]


class IdFeature(Feature):
    """A feature of one integer column; its state holds ``cardinality``: ids are below it.

    Id 0 stands for a missing value; where unknown values have an id, it is the last one.
    """

    def one_hot(self) -> OneHot:
        """Return the feature as dense columns: a one at the id, zeros elsewhere."""
        return OneHot(self)


@dataclass(frozen=True)
class OneHot(DenseFeature):
    """An id feature as ``cardinality`` dense columns, the missing and the unknown one included."""

    kind: ClassVar[str] = "one_hot"

    of: IdFeature

    @property
    def accepts(self) -> tuple[Dtype, ...]:  # type: ignore[override]  # its feature decides
        """Signature dtypes its feature can read."""
        return self.of.accepts

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        return f"{self.of.name}.one_hot"

    @property
    def columns(self) -> tuple[str, ...]:
        """See :attr:`Feature.columns`."""
        return self.of.columns

    @property
    def nullable(self) -> bool:
        """See :attr:`Feature.nullable`."""
        return self.of.nullable

    @property
    def analyzers(self) -> tuple[Analyzer, ...]:
        """See :attr:`Feature.analyzers`."""
        return self.of.analyzers

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`."""
        return self.of.freeze(analysis, states)

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        return graph.ops.one_hot(self.of.build(graph, state), state["cardinality"])

    def outputs(self, state: State) -> list[str]:
        """See :meth:`DenseFeature.outputs`."""
        return [f"{self.name}={place}" for place in range(state["cardinality"])]


def _plain(value: Any) -> Any:
    if isinstance(value, Feature):
        return value.to_json()
    return list(value) if isinstance(value, tuple) else value
