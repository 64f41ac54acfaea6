"""Features of numbers: scaled, logged, bucketed, or taken as ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from components.features.checks import check_column, check_id_policy, check_whole, is_number
from components.features.feature import (
    Analysis,
    Analyzer,
    DenseFeature,
    Graph,
    IdFeature,
    OneColumnFeature,
    State,
)
from orchestration import DataError, require

if TYPE_CHECKING:
    from components.features.accumulators import Moments
    from components.features.ops import Ops, Tensor
    from components.model_format import Dtype

MAX_BUCKETS = 10_000
LARGEST_FLOAT = 3.4028234663852886e38
_MISSING_DENSE = '"mean" (of the analyzed rows), a finite number, or "error"'


@dataclass(frozen=True)
class Numeric(OneColumnFeature, DenseFeature):
    """A number as one dense column. Made by :func:`numeric`.

    Attributes:
        column: Raw column of integers, floats or booleans.
        log: Whether ``log(1 + x)`` is taken first, with negative ``x`` as 0.
        scale: ``"none"``, ``"z_score"`` (mean 0, standard deviation 1) or ``"min_max"`` (0 to 1,
            values outside the analyzed range clipped). A constant column becomes 0.
        missing: What stands for a null, a NaN or an infinity: ``"mean"``, a number in the
            column's own unit, or ``"error"``.
    """

    kind: ClassVar[str] = "numeric"
    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    column: str
    log: bool = False
    scale: Literal["none", "z_score", "min_max"] = "none"
    missing: float | str = "mean"

    def __post_init__(self) -> None:
        check_column(self.column)
        require(self.scale in ("none", "z_score", "min_max"), "scale", "none, z_score or min_max", self.scale)
        known = self.missing in ("mean", "error") or is_number(self.missing)
        require(known, "missing", _MISSING_DENSE, self.missing)

    def log1p(self) -> Numeric:
        """Return the feature of ``log(1 + x)``; may be followed by ``z_score`` or ``min_max``."""
        return replace(self, log=True)

    def z_score(self) -> Numeric:
        """Return the feature scaled to mean 0 and standard deviation 1 of the analyzed rows."""
        return replace(self, scale="z_score")

    def min_max(self) -> Numeric:
        """Return the feature scaled to 0…1 over the analyzed rows' range."""
        return replace(self, scale="min_max")

    def bucketize(
        self, buckets: int | Sequence[float], *, missing: Literal["own", "error"] = "own"
    ) -> Buckets:
        """Return the number of the bucket a value falls in, as an id.

        Args:
            buckets: How many buckets of equal row counts, or explicit increasing boundaries.
            missing: ``"own"`` gives missing values id 0; ``"error"`` refuses them.
        """
        count = buckets if isinstance(buckets, int) else len(tuple(buckets)) + 1
        edges = () if isinstance(buckets, int) else tuple(float(edge) for edge in buckets)
        return Buckets(self.column, count, edges, missing)

    def identity(self, size: int, *, missing: Literal["own", "error"] = "own") -> Identity:
        """Return an integer from 0 to ``size - 1`` as an id; any other value is unknown."""
        return Identity(self.column, size, missing)

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        steps = (["log1p"] if self.log else []) + ([self.scale] if self.scale != "none" else [])
        return ".".join([self.column, *steps])

    @property
    def analyzers(self) -> tuple[Analyzer, ...]:
        """See :attr:`Feature.analyzers`."""
        return (self._moments,) if self.scale != "none" or self.missing == "mean" else ()

    @property
    def _moments(self) -> Analyzer:
        return Analyzer("moments", self.column, self.log)

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`."""
        if not self.analyzers:
            return {}
        moments: Moments = analysis[self._moments]
        if moments.count == 0:
            raise no_value(self.column)
        state: dict[str, Any] = {"mean": moments.mean} if self.missing == "mean" else {}
        if self.scale == "z_score":
            state |= {"mean": moments.mean, "standard_deviation": moments.variance**0.5}
        if self.scale == "min_max":
            state |= {"minimum": moments.minimum, "maximum": moments.maximum}
        return state

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        ops = graph.ops
        value, known = numbers(ops, self.column)
        stand_in = 0.0 if isinstance(self.missing, str) else float(self.missing)
        value = ops.where(known, value, stand_in)
        if self.log:
            value = ops.log(ops.add(ops.maximum(value, 0.0), 1.0))
        if self.missing == "mean":
            value = ops.where(known, value, state["mean"])
        if self.scale == "none":
            return value
        if self.scale == "z_score":
            value = ops.subtract(value, state["mean"])
            return ops.divide(value, state["standard_deviation"] or 1.0)
        span = state["maximum"] - state["minimum"]
        value = ops.divide(ops.subtract(value, state["minimum"]), span or 1.0)
        return ops.minimum(ops.maximum(value, 0.0), 1.0)


@dataclass(frozen=True)
class Buckets(OneColumnFeature, IdFeature):
    """A number's bucket as an id: 0 missing, then one id per bucket from the lowest.

    Attributes:
        column: Raw column of integers, floats or booleans.
        buckets: How many buckets; equal quantiles of the analyzed rows may make it fewer.
        boundaries: Explicit boundaries; a value equal to one belongs to the bucket above it.
        missing: ``"own"`` or ``"error"``.
    """

    kind: ClassVar[str] = "buckets"
    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    column: str
    buckets: int
    boundaries: tuple[float, ...] = ()
    missing: Literal["own", "error"] = "own"

    def __post_init__(self) -> None:
        check_column(self.column)
        check_id_policy(self.missing)
        check_whole(self.buckets, "buckets", 2, MAX_BUCKETS, "buckets")
        numeric = all(is_number(edge) for edge in self.boundaries)
        increasing = list(self.boundaries) == sorted(set(self.boundaries))
        require(numeric and increasing, "buckets", "increasing finite boundaries", self.boundaries)

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        return f"{self.column}.buckets"

    @property
    def analyzers(self) -> tuple[Analyzer, ...]:
        """See :attr:`Feature.analyzers`."""
        return () if self.boundaries else (Analyzer("quantiles", self.column),)

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`."""
        boundaries = list(self.boundaries)
        if not boundaries:
            quantiles = analysis[self.analyzers[0]]
            if quantiles.count == 0:
                raise no_value(self.column)
            boundaries = quantiles.boundaries(self.buckets)
        return {"boundaries": boundaries, "cardinality": len(boundaries) + 2}

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        ops = graph.ops
        value, known = numbers(ops, self.column)
        if not state["boundaries"]:  # a constant column: one bucket
            return ops.to_int(known)
        reached = ops.count_at_least(value, state["boundaries"])
        return ops.multiply(ops.add(reached, 1), ops.to_int(known))


@dataclass(frozen=True)
class Identity(OneColumnFeature, IdFeature):
    """A small integer as an id: 0 missing, then the values from 0, then one id for any other value.

    Attributes:
        column: Raw column of integers or booleans.
        size: Values 0 to ``size - 1`` are known.
        missing: ``"own"`` or ``"error"``.
    """

    kind: ClassVar[str] = "identity"
    accepts: ClassVar[tuple[Dtype, ...]] = ("int64",)

    column: str
    size: int
    missing: Literal["own", "error"] = "own"

    def __post_init__(self) -> None:
        check_column(self.column)
        check_id_policy(self.missing)
        check_whole(self.size, "size", 1, 10_000_000, "values")

    @property
    def name(self) -> str:
        """See :attr:`Feature.name`."""
        return f"{self.column}.identity"

    def freeze(self, analysis: Analysis, states: Mapping[str, State]) -> dict[str, Any]:
        """See :meth:`Feature.freeze`."""
        return {"cardinality": self.size + 2}

    def build(self, graph: Graph, state: State) -> Tensor:
        """See :meth:`Feature.build`."""
        from components.model_format import MISSING_INT

        ops = graph.ops
        value = ops.column(self.column)
        present = ops.to_int(ops.at_least(value, MISSING_INT + 1))
        known = ops.both(ops.at_least(value, 0), ops.at_most(value, self.size - 1))
        return ops.where(known, ops.add(value, 1), ops.multiply(present, self.size + 1))


def numeric(column: str, *, missing: float | str = "mean") -> Numeric:
    """Name a numeric column; as it is, a dense feature of the plain value.

    Continue with ``.z_score()``, ``.min_max()``, ``.log1p()``, ``.bucketize(10)`` or
    ``.identity(24)``.

    Args:
        column: Raw column of integers, floats or booleans.
        missing: What stands for a null, a NaN or an infinity in a dense feature: ``"mean"`` of
            the analyzed rows, a number in the column's own unit, or ``"error"``.
    """
    return Numeric(column, missing=missing)


def numbers(ops: Ops, column: str) -> tuple[Tensor, Tensor]:
    """Return a numeric column as float, and where it is known: present, not NaN, not infinite."""
    from components.model_format import MISSING_INT

    value = ops.to_float(ops.column(column))
    known = ops.at_most(ops.absolute(value), LARGEST_FLOAT)
    if ops.is_int(column):
        known = ops.at_least(ops.column(column), MISSING_INT + 1)
    return value, known


def no_value(column: str) -> DataError:
    """Return the error for a column without a single known value in the analyzed rows."""
    return DataError(
        f'column "{column}" has no value to make a feature from',
        expected="at least one value in the analyzed split",
        received="only nulls, NaN or infinities",
        next=f'leave the feature on "{column}" out, or analyze another split',
    )
