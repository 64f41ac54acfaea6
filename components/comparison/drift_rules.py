"""How much a column may differ from its baseline: measures, limits and which of them apply to which type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from components.schema.schema import Severity
from orchestration import require


class Measure(StrEnum):
    """How far apart two distributions are.

    Attributes:
        L_INFINITY: Largest difference between the shares of a bin; 0 to 1.
        TOTAL_VARIATION: Half the sum of the differences between the shares of all bins; 0 to 1.
        JENSEN_SHANNON: Jensen-Shannon divergence of the shares, to base 2; 0 to 1.
        POPULATION_STABILITY: Population stability index; 0.1 is a usual warning, 0.25 an alarm.
        KOLMOGOROV_SMIRNOV: Largest difference between the cumulated shares of numbers; 0 to 1.
        WASSERSTEIN: How far numbers moved on average, in standard deviations of the baseline.
        CHI_SQUARE: 1 - the probability of such a difference by chance (chi-square test); 0 to 1.
        RANGE: How far numbers leave the baseline's range, in widths of that range's outer fifth.
        SIGN: How far numbers are on the other side of zero, where the baseline has none there, in the
            same widths.
        UNSEEN: Share of values that the baseline does not hold, where all its values are known.
    """

    L_INFINITY = "l_infinity"
    TOTAL_VARIATION = "total_variation"
    JENSEN_SHANNON = "jensen_shannon"
    POPULATION_STABILITY = "population_stability"
    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    WASSERSTEIN = "wasserstein"
    CHI_SQUARE = "chi_square"
    RANGE = "range"
    SIGN = "sign"
    UNSEEN = "unseen"


def _check_limits(warn: float | None, fail: float | None, name: str) -> None:
    for side, limit in (("warn", warn), ("fail", fail)):
        require(limit is None or limit >= 0, f"{name} {side}", "0 or more", limit)
    require(warn is None or fail is None or warn <= fail, f"{name} fail", f"{warn} or more", fail)


@dataclass(frozen=True)
class Limit:
    """What one measure may come to. A measure over a limit is an alert; equal to it, it is not.

    Attributes:
        measure: The measure.
        warn: Above this a warning; None for none.
        fail: Above this a failure; None for none. Not below ``warn``.
    """

    measure: Measure
    warn: float | None = None
    fail: float | None = None

    def __post_init__(self) -> None:
        require(self.measure in list(Measure), "measure", " or ".join(Measure), self.measure)
        object.__setattr__(self, "measure", Measure(self.measure))  # its name will do
        _check_limits(self.warn, self.fail, str(self.measure))


_NUMBERS = (
    Limit(Measure.KOLMOGOROV_SMIRNOV, warn=0.1, fail=0.2),
    Limit(Measure.WASSERSTEIN, warn=0.25, fail=0.5),
    Limit(Measure.RANGE, warn=1.0),
    Limit(Measure.SIGN, warn=0.0, fail=0.5),
)
_CATEGORIES = (
    Limit(Measure.L_INFINITY, warn=0.1, fail=0.2),
    Limit(Measure.JENSEN_SHANNON, warn=0.02, fail=0.05),
    Limit(Measure.UNSEEN, warn=0.0, fail=0.05),
)


@dataclass(frozen=True)
class DriftRules:
    """How data is compared with a baseline.

    Attributes:
        numbers: Limits for numbers, and for the lengths of texts with too many values to list.
        categories: Limits for texts and booleans.
        times: Limits for dates and times; none by default, because time goes on from span to span.
        columns: Limits for single columns, in the place of those of their type. The name of a field
            inside a struct is ``struct.field``. An empty tuple leaves the column out.
        missing_warn: Largest change of the share of rows without a (finite) value before a warning.
        missing_fail: The same before a failure.
        min_rows: Fewest rows, as a multiple of the baseline's; None for no limit.
        max_rows: Most rows, as a multiple of the baseline's.
        rows_severity: What leaving those bounds means.
        chance: A difference that chance alone makes at least this often is no alert, whatever it
            comes to: small samples differ. In (0, 1]; 1 for no such allowance.
        chance_to_fail: The same for a failure; what chance makes less often than ``chance``, but not
            less often than this, is a warning. By default as ``chance``.
        bins: Number of bins for numbers, at the baseline's quantiles: 2, 5 or 10.
        not_finite: What infinite numbers mean where the baseline has none; None for nothing.
        meaning: What it means that values no longer look like what they looked like (e-mail addresses,
            URLs, dates); None for nothing.
        not_compared: What it means that a column cannot be compared: another family of types, no
            values, no such column in the baseline.
    """

    numbers: tuple[Limit, ...] = _NUMBERS
    categories: tuple[Limit, ...] = _CATEGORIES
    times: tuple[Limit, ...] = ()
    columns: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    missing_warn: float | None = 0.05
    missing_fail: float | None = 0.2
    min_rows: float | None = None
    max_rows: float | None = None
    rows_severity: Severity = Severity.WARN
    chance: float = 0.001
    chance_to_fail: float | None = None
    bins: int = 10
    not_finite: Severity | None = Severity.FAIL
    meaning: Severity | None = Severity.WARN
    not_compared: Severity = Severity.FAIL

    def __post_init__(self) -> None:
        _check_limits(self.missing_warn, self.missing_fail, "missing")
        require(self.min_rows is None or self.min_rows >= 0, "min_rows", "0 or more", self.min_rows)
        low = self.min_rows or 0
        require(self.max_rows is None or self.max_rows >= low, "max_rows", f"{low:g} or more", self.max_rows)
        for name, chance in (("chance", self.chance), ("chance_to_fail", self.chance_to_fail)):
            require(chance is None or 0 < chance <= 1, name, "a probability in (0, 1]", chance)
        require(self.bins in (2, 5, 10), "bins", "2, 5 or 10", self.bins)
        for name in ("rows_severity", "not_compared"):
            given = getattr(self, name)
            require(given in (Severity.FAIL, Severity.WARN), name, "fail or warn", given)
        for kind in (self.numbers, self.categories, self.times, *self.columns.values()):
            measures = [limit.measure for limit in kind]
            require(len(measures) == len(set(measures)), "limits", "each measure once", measures)

    def judged(
        self, value: float, warn: float | None, fail: float | None, chance: float
    ) -> tuple[Severity | None, float | None]:
        """Return what a value means, None where it is allowed, and the limit that counts.

        Args:
            value: What a measure came to.
            warn: Above this a warning.
            fail: Above this a failure.
            chance: Probability of such a difference by chance; 0.0 where chance has no say.
        """
        enough = self.chance_to_fail or self.chance
        for severity, limit, rare in ((Severity.FAIL, fail, enough), (Severity.WARN, warn, self.chance)):
            if limit is not None and value > limit and (chance < rare or rare == 1):
                return severity, limit
        return None, fail if warn is None else warn
