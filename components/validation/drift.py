"""Expectations about drift: a distribution stays near a baseline. What cannot be compared is broken."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes

from components.comparison import measures
from components.comparison.measures import formula
from components.validation.distribution import Pair, wasserstein
from components.validation.expectations import MeasuredExpectation


class _DriftExpectation(MeasuredExpectation):
    """Base: compares a column's distribution with a baseline.

    Attributes:
        column: The column.
        threshold: How much difference is allowed; for the chi-square test, the smallest probability.
        baseline: What to compare with: a distribution as ``metrics.json`` holds it (``column.distribution``).
        baseline_split: What to compare with: another split of the same examples.
        bins: Number of bins for numbers, at the baseline's quantiles.
    """

    column: str
    threshold: float
    baseline: dict[str, Any] | None = None
    baseline_split: str | None = None
    bins: int = 10

    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.COLUMN
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "column")
    success_keys: ClassVar[tuple[str, ...]] = ("threshold", "baseline", "baseline_split", "bins")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "threshold")
    measure: ClassVar[Any]  # how far apart a Pair is; a method would receive the expectation too
    at_least: ClassVar[bool] = False

    @pydantic.root_validator
    def _one_baseline(cls, values: dict[str, Any]) -> dict[str, Any]:  # noqa: N805 - pydantic passes the class
        if (values.get("baseline") is None) == (values.get("baseline_split") is None):
            raise ValueError("exactly one of baseline and baseline_split is needed")
        if not values.get("bins", 10) >= 2:
            raise ValueError("bins must be 2 or more")
        if not values.get("threshold", 0) >= 0:
            raise ValueError("threshold must be 0 or more")
        return values

    def needs(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The column's distribution, and the other split's."""
        needed = {"observed": ("column.distribution", {"column": self.column})}
        if self.baseline_split is not None:
            needed["baseline"] = (
                "column.distribution",
                {"column": self.column, "table": self.baseline_split},
            )
        return needed

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        pair = Pair(metrics.get("baseline") or self.baseline or {}, metrics["observed"], self.bins)
        measured = type(self).measure(pair)
        return {
            "success": bool(measured >= self.threshold if self.at_least else measured <= self.threshold),
            "result": {
                "observed_value": measured,
                "details": {
                    "formula": formula(type(self).measure),
                    "threshold": self.threshold,
                    "bins": pair.table(),
                    "largest_shift": pair.largest_shift(),
                },
            },
        }


class ExpectColumnLInfinityDistanceToBeLessThan(_DriftExpectation):
    """Expect no value's (or bin's) share to differ from the baseline's by more than the threshold."""

    measure = staticmethod(measures.l_infinity)


class ExpectColumnJensenShannonDivergenceToBeLessThan(_DriftExpectation):
    """Expect a Jensen-Shannon divergence (0 to 1) from the baseline of at most the threshold."""

    measure = staticmethod(measures.jensen_shannon)


class ExpectColumnPopulationStabilityIndexToBeLessThan(_DriftExpectation):
    """Expect a population stability index of at most the threshold; 0.1 is a usual warning, 0.25 an alarm."""

    measure = staticmethod(measures.stability_index)


class ExpectColumnKolmogorovSmirnovDistanceToBeLessThan(_DriftExpectation):
    """Expect cumulated shares of a column of numbers to differ nowhere by more than the threshold."""

    measure = staticmethod(measures.kolmogorov_smirnov)


class ExpectColumnWassersteinDistanceToBeLessThan(_DriftExpectation):
    """Expect values to have moved by at most the threshold on average, in the column's own unit."""

    measure = staticmethod(wasserstein)


class ExpectColumnChiSquareProbabilityToBeGreaterThan(_DriftExpectation):
    """Expect the difference from the baseline to be one that chance makes at least this often."""

    measure = staticmethod(measures.chi_square)
    at_least: ClassVar[bool] = True
