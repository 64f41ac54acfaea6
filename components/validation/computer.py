"""A metric plan made executable: create, add, merge, extract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from components.validation.conditions import columns_of
from components.validation.distinct import Distinct, DistinctSpec, Partial, partials
from components.validation.metrics import Metric, MetricStore
from components.validation.parts import Violations
from components.validation.recipes import PartSpec, Recipe, recipe, violations_of
from components.validation.view import InapplicableError, View

_FAILURES = (InapplicableError, pa.ArrowException, OverflowError)


@dataclass
class Accumulator:
    """What some rows of one split contribute.

    Attributes:
        parts: Accumulators by name.
        errors: Why an accumulator gave up, by its name.
    """

    parts: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def merge(self, other: Accumulator) -> None:
        """Add what other rows contribute; ``other`` must not be used afterwards."""
        for key, message in other.errors.items():
            self.fail(key, message)
        for key, part in other.parts.items():
            if key in self.errors:
                continue
            if key in self.parts:
                self.parts[key].merge(part)
            else:
                self.parts[key] = part

    def fail(self, key: str, message: str) -> None:
        """Give up one accumulator; of several reasons the alphabetically first is kept."""
        self.errors[key] = min(message, self.errors.get(key, message))
        self.parts.pop(key, None)


class Computer:
    """Computes a list of metrics over rows of one schema. Knows nothing of Great Expectations.

    Args:
        metrics: What to compute.
        schema: The rows' Arrow schema.
        names: Key to store a metric under, where it is not its own (bound second-pass metrics).
    """

    def __init__(
        self, metrics: Iterable[Metric], schema: pa.Schema, names: Mapping[str, str] | None = None
    ) -> None:
        self.schema = schema
        self.recipes: dict[str, Recipe] = {}
        self.errors: dict[str, str] = {}
        self.parts: dict[str, PartSpec] = {}
        self.distincts: dict[str, DistinctSpec] = {}
        read: set[str] = set()
        for metric in metrics:
            key = (names or {}).get(metric.key, metric.key)
            columns = [*metric.columns, *columns_of(metric.domain.get("row_condition"))]
            absent = [name for name in columns if name not in schema.names]
            try:
                found = recipe(metric)
            except InapplicableError as error:
                self.errors[key] = str(error)
                continue
            if absent:
                self.errors[key] = f'column "{absent[0]}" does not exist'
                continue
            self.recipes[key] = found
            self._collect(found)
            read.update(columns)
        self.columns = [name for name in schema.names if name in read]

    def _collect(self, found: Recipe) -> None:
        for spec in found.needs.values():
            if isinstance(spec, PartSpec):
                self.parts[spec.key] = spec
            elif spec.positions or spec.key not in self.distincts:
                self.distincts[spec.key] = spec

    def create(self) -> Accumulator:
        """Return the accumulator of no rows."""
        return Accumulator({key: spec.create() for key, spec in self.parts.items()})

    def add(self, accumulator: Accumulator, view: View) -> None:
        """Add a batch of rows."""
        for key, spec in self.parts.items():
            if key in accumulator.errors:
                continue
            try:
                spec.add(accumulator.parts[key], view)
            except _FAILURES as error:
                accumulator.fail(key, str(error))

    def spread(self, view: View, shards: int) -> Iterator[tuple[str, int, Partial]]:
        """Yield a batch's values whose distinct ones are counted, by name and shard."""
        for key, spec in self.distincts.items():
            for shard, partial in partials(spec, view, shards):
                yield key, shard, partial

    def extract(self, accumulator: Accumulator, distincts: Mapping[str, Distinct]) -> MetricStore:
        """Return the metrics' values."""
        store = MetricStore(self.schema, {}, dict(self.errors))
        for key, found in self.recipes.items():
            failed = [spec.key for spec in found.needs.values() if spec.key in accumulator.errors]
            if failed:
                store.errors[key] = accumulator.errors[failed[0]]
                continue
            try:
                store.values[key] = found.read(self._roles(found, accumulator, distincts))
            except InapplicableError as error:
                store.errors[key] = str(error)
        return store

    def violations(
        self, key: str, accumulator: Accumulator, distincts: Mapping[str, Distinct]
    ) -> Violations | None:
        """Return the broken rows behind a metric, None where it is not about rows or failed."""
        found = self.recipes.get(key)
        if found is None or "violations" not in found.needs:
            return None
        if found.needs["violations"].key in accumulator.errors:
            return None
        return violations_of(self._roles(found, accumulator, distincts)["violations"])

    def _roles(
        self, found: Recipe, accumulator: Accumulator, distincts: Mapping[str, Distinct]
    ) -> dict[str, Any]:
        return {
            role: accumulator.parts[spec.key]
            if isinstance(spec, PartSpec)
            else distincts.get(spec.key) or Distinct()
            for role, spec in found.needs.items()
        }
