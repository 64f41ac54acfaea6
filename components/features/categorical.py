"""Features of categories: vocabularies and crosses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from components.features.checks import check_column, check_id_policy, check_whole, is_name
from components.features.feature import Analysis, Analyzer, Graph, IdFeature, OneColumnFeature, State
from components.features.numeric import no_value
from orchestration import DataError, require

if TYPE_CHECKING:
    from components.features.ops import Tensor
    from components.model_format import Dtype

MAX_IDS = 2**31 - 1
# Two odd primes below 2**31, and the Mersenne prime they are reduced by: ids mix well in int64.
_FACTORS = (1_640_531_527, 805_459_861)
_PRIME = 2**31 - 1


@dataclass(frozen=True)
class Categorical:
    """A column of categories, not yet a feature: continue with :meth:`vocabulary`."""

    column: str

    def vocabulary(
        self,
        top: int = 50_000,
        *,
        oov: Literal[0, 1] = 1,
        min_count: int = 1,
        missing: Literal["own", "error"] = "own",
    ) -> Vocabulary:
        """Return ids of the most frequent values of the analyzed rows.

        Args:
            top: How many values get an id: the most frequent, equally frequent ones in value order.
            oov: 1 gives all other values one id, the last; 0 treats them as missing.
            min_count: Values seen less often get none.
            missing: ``"own"`` gives nulls and empty strings id 0; ``"error"`` refuses them.
        """
        return Vocabulary(self.column, top, oov, min_count, missing)


@dataclass(frozen=True)
class Vocabulary(OneColumnFeature, IdFeature):
    """A string or integer as an id: 0 missing, then values by frequency, then the unknown one.

    Attributes:
        column: Raw column of strings, integers or booleans.
        top: At most so many values.
        oov: How many ids unknown values share: 0 (they count as missing) or 1.
        min_count: Fewest occurrences of a value in the vocabulary.
        missing: ``"own"`` or ``"error"``.
    """

    kind: ClassVar[str] = "vocabulary"
    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")

    column: str
    top: int = 50_000
    oov: Literal[0, 1] = 1
    min_count: int = 1
    missing: Literal["own", "error"] = "own"

    def __post_init__(self) -> None:
        check_column(self.column)
        check_id_policy(self.missing)
        check_whole(self.top, "top", 1, 5_000_000, "values")
        require(self.oov in (0, 1), "oov", "0 or 1: hashing unknown strings is not portable", self.oov)
        check_whole(self.min_count, "min_count", 1, 2**62, "occurrences")

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        return f"{self.column}.vocabulary"

    @property
    def analyzers(self) -> tuple[Analyzer, ...]:
        """See :attr:`Feature.analyzers`."""
        return (Analyzer("tokens", self.column),)

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`."""
        tokens = analysis[self.analyzers[0]]
        if not tokens.counts:
            raise no_value(self.column)
        values = tokens.vocabulary(self.top, self.min_count)
        if not values:
            raise DataError(
                f'no value of column "{self.column}" is frequent enough for its vocabulary',
                expected=f"a value seen at least {self.min_count} times",
                received=f"the most frequent one {max(tokens.counts.values())} times",
                next=f'categorical("{self.column}").vocabulary(min_count=…)',
            )
        return {"values": values, "cardinality": len(values) + 1 + self.oov}

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        from components.model_format import MISSING_INT

        ops = graph.ops
        values = state["values"]
        missing = "" if isinstance(values[0], str) else MISSING_INT
        unknown = len(values) + 1 if self.oov else 0
        return ops.look_up(ops.column(self.column), [missing, *values], 0, unknown)


@dataclass(frozen=True)
class Cross(IdFeature):
    """The combination of several id features as one id.

    Attributes:
        of: Names of id features of the same specification, or raw columns with exactly one.
        buckets: Most ids. Where the parts have fewer combinations every one gets its own id,
            otherwise combinations share ids by integer hashing.
    """

    kind: ClassVar[str] = "cross"

    of: tuple[str, ...]
    buckets: int

    def __post_init__(self) -> None:
        named = len(self.of) >= 2 and all(is_name(one) for one in self.of)
        require(named and len(set(self.of)) == len(self.of), "of", "two or more different features", self.of)
        check_whole(self.buckets, "buckets", 2, MAX_IDS, "ids")

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        return "_x_".join(self.of)

    @property
    def columns(self) -> tuple[str, ...]:
        """None of its own: it reads other features."""
        return ()

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`; ``self.of`` must be full feature names here."""
        cardinalities = [int(states[name]["cardinality"]) for name in self.of]
        combinations = math.prod(cardinalities)
        return {
            "of": list(self.of),
            "cardinalities": cardinalities,
            "cardinality": min(combinations, self.buckets),
        }

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        ops = graph.ops
        parts = [graph.ids(name) for name in state["of"]]
        exact = math.prod(state["cardinalities"]) <= self.buckets
        whole = parts[0]
        for part, cardinality in zip(parts[1:], state["cardinalities"][1:], strict=True):
            if exact:
                whole = ops.add(ops.multiply(whole, cardinality), part)
            else:
                mixed = ops.add(ops.multiply(whole, _FACTORS[0]), ops.multiply(part, _FACTORS[1]))
                whole = ops.remainder(mixed, _PRIME)
        return whole if exact else ops.remainder(whole, state["cardinality"])


def categorical(column: str) -> Categorical:
    """Name a column of strings, integers or booleans that stand for categories."""
    check_column(column)
    return Categorical(column)


def cross(*of: str, buckets: int = 1_000) -> Cross:
    """Combine id features, so that a model can learn about pairs.

    Args:
        *of: Names of id features (``"hour.identity"``), or of raw columns with exactly one.
        buckets: Most ids the combinations may take.
    """
    return Cross(tuple(of), buckets)
