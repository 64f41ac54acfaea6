"""The accumulators of one pass: each sees views of rows, merges with its like, and is small to send."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.validation.exact import Moments
from components.validation.histogram import Histogram
from components.validation.kernels import members
from components.validation.metrics import plain
from components.validation.view import InapplicableError, View, is_temporal

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_EXAMPLES = 100

Example = tuple[int, list[Any]]


class Rows:
    """Number of rows."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, view: View) -> None:
        """Count a view's rows."""
        self.count += view.rows

    def merge(self, other: Self) -> None:
        """Add another count."""
        self.count += other.count


class Violations:
    """How many rows break a rule, and the first of them.

    Attributes:
        considered: Rows the rule looked at.
        count: Rows that break it.
        examples: (position, values) of the first such rows, ascending.
    """

    def __init__(self) -> None:
        self.considered = 0
        self.count = 0
        self.examples: list[Example] = []

    def add(self, view: View, broken: pa.BooleanArray, considered: int, columns: list[str]) -> None:
        """Add a view's rows, with which of them break the rule (no nulls)."""
        self.considered += considered
        count = broken.true_count
        if not count:
            return
        self.count += count
        if len(self.examples) < MOST_EXAMPLES or view.positions[0] < self.examples[-1][0]:
            rows = pc.indices_nonzero(broken)[:MOST_EXAMPLES]
            places = view.positions[rows.to_numpy()].tolist()
            self._keep(list(zip(places, view.values_at(columns, rows), strict=True)))

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        self.considered += other.considered
        self.count += other.count
        self._keep(other.examples)

    def _keep(self, examples: list[Example]) -> None:
        merged = heapq.merge(self.examples, examples, key=lambda example: example[0])
        self.examples = list(itertools.islice(merged, MOST_EXAMPLES))


class Extremes:
    """Smallest and largest present value of a column."""

    def __init__(self) -> None:
        self.low: Any = None
        self.high: Any = None

    def add(self, view: View, column: str) -> None:
        """Add a view's values."""
        array = view.present(column)
        if pa.types.is_boolean(array.type):
            array = array.cast(pa.int8())
        elif pa.types.is_decimal(array.type):
            array = array.cast(pa.float64())  # bounds are doubles
        if len(array) and not pa.types.is_null(array.type):
            ends = pc.min_max(array).as_py()
            self._widen(ends["min"], ends["max"])

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        if other.low is not None:
            self._widen(other.low, other.high)

    def _widen(self, low: Any, high: Any) -> None:
        # "+ 0.0" turns -0.0 into 0.0: which of the two is smallest would depend on the order.
        low, high = (value + 0.0 if isinstance(value, float) else value for value in (low, high))
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)


class Sums:
    """Exact moments of a column."""

    def __init__(self, squares: bool) -> None:
        self.moments = Moments(squares)

    def add(self, view: View, column: str) -> None:
        """Add a view's values.

        Raises:
            InapplicableError: They are dates or times, whose sum means nothing.
        """
        kind = view.column(column).type
        if pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
            raise InapplicableError(
                f'column "{column}" holds {kind}: use its smallest, largest or middle value'
            )
        self.moments.add(view.numbers(column))

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        self.moments.merge(other.moments)


class Ranks:
    """Histogram of a column for its quantiles."""

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._kind: pa.DataType | None = None

    def add(self, view: View, column: str) -> None:
        """Add a view's values."""
        self._kind = view.column(column).type
        self.histogram.add(view.numbers(column))

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        self._kind = self._kind or other._kind
        self.histogram.merge(other.histogram)

    def quantiles(self, ranks: list[float], interpolation: str) -> list[Any]:
        """Return quantiles as JSON values, times as ISO text, None where there are no values."""
        found = self.histogram.quantiles(ranks, interpolation)
        if self._kind is not None and is_temporal(self._kind) and self.histogram.count:
            bits = pa.int32() if pa.types.is_date32(self._kind) else pa.int64()
            return [plain(v) for v in pa.array([round(v) for v in found], bits).view(self._kind).to_pylist()]
        return [None if math.isnan(value) else plain(value) for value in found]


class Order:
    """Which present values of a column break an ascending (or descending) order.

    Keeps the first and the last value of every batch; the joints between batches are judged at the end, in
    the rows' order.
    """

    def __init__(self, ascending: bool, strictly: bool) -> None:
        self._ascending, self._strictly = ascending, strictly
        self._inside = Violations()
        self._stretches: list[tuple[int, Any, Any]] = []  # (position of the first value, first, last)

    def add(self, view: View, column: str) -> None:
        """Add a view's values."""
        array = view.present(column)
        numbers = view.numbers(column)
        if not len(numbers):
            return
        present = ~np.asarray(view.missing(column).to_numpy(zero_copy_only=False), dtype=bool)
        positions = view.positions[present]
        broken = np.zeros(len(numbers), dtype=bool)
        broken[1:] = ~self._holds(numbers[:-1], numbers[1:])
        rows = np.flatnonzero(broken)
        self._inside.count += len(rows)
        first = rows[:MOST_EXAMPLES]
        values = View(pa.record_batch([array], names=[column]), positions).values_at(
            [column], pa.array(first)
        )
        self._inside._keep(list(zip(positions[first].tolist(), values, strict=True)))
        self._stretches.append((int(positions[0]), numbers[0].item(), numbers[-1].item()))

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        self._inside.merge(other._inside)
        self._stretches = list(heapq.merge(sorted(self._stretches), sorted(other._stretches)))

    def violations(self) -> Violations:
        """Return the rows whose value is on the wrong side of the one before."""
        found = Violations()
        found.merge(self._inside)
        stretches = sorted(self._stretches)
        for (_, _, before), (position, after, _) in itertools.pairwise(stretches):
            if not self._holds(before, after):
                found.count += 1
                found._keep([(position, [after])])
        return found

    def _holds(self, before: Any, after: Any) -> Any:
        if self._strictly:
            return after > before if self._ascending else after < before
        return after >= before if self._ascending else after <= before


class Found:
    """Which members of a set a column holds."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def add(self, array: pa.Array, values: list[Any]) -> None:
        """Look for the members in one batch of the column."""
        sought = {
            repr(v): members([0 if v == 0 else v], array.type) for v in values if repr(v) not in self._seen
        }
        sought = {name: member for name, member in sought.items() if len(member)}
        if sought:
            if pa.types.is_floating(array.type):
                array = pc.add(array, pa.scalar(0.0, array.type))  # -0.0 and 0.0 are one value
            there = pc.is_in(pa.concat_arrays(list(sought.values())), value_set=array).to_pylist()
            self._seen |= {name for name, found in zip(sought, there, strict=True) if found}

    def merge(self, other: Self) -> None:
        """Add what another one has seen."""
        self._seen |= other._seen

    def lacking(self, values: list[Any]) -> list[Any]:
        """Return the members that were not found, each once, in the set's order."""
        distinct = {repr(value): value for value in values}
        return [value for name, value in distinct.items() if name not in self._seen]


class Tally:
    """Counts per bin."""

    def __init__(self, bins: int) -> None:
        self.counts: NDArray[np.int64] = np.zeros(bins, np.int64)

    def add(self, counts: NDArray[np.int64]) -> None:
        """Add the counts of one batch."""
        self.counts += counts

    def merge(self, other: Self) -> None:
        """Add other counts."""
        self.counts += other.counts
