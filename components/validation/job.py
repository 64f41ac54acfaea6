"""The Beam job: one pass over every split, an accumulator per row group, a branch for distinct values."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam import pvalue

from components.data.errors import ColumnTypeError, ReconciliationError
from components.data.outcome import Failed, value_of
from components.validation.computer import Accumulator, Computer
from components.validation.distinct import Distinct, DistinctSpec, Partial, count
from components.validation.metrics import Metric, MetricStore
from components.validation.parts import Violations
from components.validation.phases import bind, first
from components.validation.spill import Spilled, gathered, spilling
from components.validation.view import InapplicableError, View, position
from orchestration import DataError
from orchestration.artifacts import location

if TYPE_CHECKING:
    from components.artifacts import Examples
    from orchestration import Beam

BATCH_ROWS = 65_536
TASK_ROWS = 1_000_000
ROWS_PER_SHARD = 500_000
_ROWS = Metric("table.row_count")
_FAILED = ""  # in the place of a split's name: an error on its way to the driver


@dataclass(frozen=True)
class Task:
    """Consecutive row groups of one file: the split, the file's number in it, and where their rows begin."""

    split: str
    file: int
    uri: str
    row_groups: tuple[int, ...]
    first_row: int
    rows: int

    def views(self, columns: list[str]) -> Iterator[View]:
        """Yield the rows in batches, with their positions."""
        start = position(self.file, self.first_row)
        with location(self.uri).open("rb") as source:
            parquet = pq.ParquetFile(source)
            for batch in parquet.iter_batches(
                BATCH_ROWS, row_groups=list(self.row_groups), columns=columns, use_threads=False
            ):
                yield View(batch, np.arange(start, start + batch.num_rows, dtype=np.int64))
                start += batch.num_rows


@dataclass(frozen=True)
class Shuffle:
    """How values whose distinct ones are counted get together.

    Attributes:
        shards: Into how many parts values are spread by their hash.
        folder: Where values wait on disk; None for few values, which travel through Beam.
    """

    shards: int
    folder: str | None

    @classmethod
    def of(cls, work: list[Task], runner: Beam) -> Shuffle:
        """Return the shuffle for the rows of some work."""
        shards = max(1, sum(task.rows for task in work) // ROWS_PER_SHARD)
        return cls(shards, str(runner.scratch / f"spill-{uuid.uuid4().hex}") if shards > 1 else None)

    def clean(self) -> None:
        """Remove what waited on disk."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Computed:
    """What one split's metrics came to.

    Attributes:
        store: The metrics' values.
        violations: Broken rows by the key of the metric that counts them.
    """

    store: MetricStore
    violations: dict[str, Violations]


def tasks(examples: Examples, splits: Iterable[str]) -> tuple[list[Task], pa.Schema]:
    """Return the work of reading some splits, and the schema that all their files share.

    Raises:
        ColumnTypeError: A file's schema differs from the first file's.
        ReconciliationError: A split's files hold more or fewer rows than it is said to have.
        DataError: A file cannot be read.
    """
    found: list[Task] = []
    schema: pa.Schema | None = None
    shown = ""
    for split in splits:
        for number, file in enumerate(examples.files(split)):
            try:
                with file.open("rb") as source:
                    parquet = pq.ParquetFile(source)
                    metadata, own = parquet.metadata, parquet.schema_arrow.remove_metadata()
            except (pa.ArrowException, OSError) as error:
                raise unreadable(str(file), error) from error
            if schema is None:
                schema, shown = own, f"{split}/{file.name}"
            elif not schema.equals(own):
                raise _differing(schema, own, shown, f"{split}/{file.name}")
            found += _runs(split, number, str(file), metadata)
        _reconcile(split, sum(task.rows for task in found if task.split == split), examples)
    return found, schema if schema is not None else pa.schema([])


def _runs(split: str, number: int, uri: str, metadata: pq.FileMetaData) -> Iterator[Task]:
    """Yield a file's row groups in runs of about ``TASK_ROWS`` rows: few results to merge, of one size."""
    groups: list[int] = []
    first = rows = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        rows += metadata.row_group(group).num_rows
        if rows >= TASK_ROWS:
            yield Task(split, number, uri, tuple(groups), first, rows)
            groups, first, rows = [], first + rows, 0
    if groups:
        yield Task(split, number, uri, tuple(groups), first, rows)


def unreadable(uri: str, error: Exception) -> DataError:
    """Return the error of a file that is not what its name says."""
    return DataError(
        f"{uri} cannot be read",
        expected="a whole Parquet file",
        received=str(error).splitlines()[0] if str(error) else type(error).__name__,
        next="read the data again",
    )


def _reconcile(split: str, rows: int, examples: Examples) -> None:
    said = examples.metadata["splits"][split]["rows"]
    if rows != said:
        raise ReconciliationError(
            f'split "{split}" is not what it is said to be',
            expected=f"{said:,} rows, as the examples' manifest says",
            received=f"{rows:,} rows in its files",
            next="read the data again",
        )


def _differing(schema: pa.Schema, other: pa.Schema, first: str, second: str) -> ColumnTypeError:
    names = list(dict.fromkeys([*schema.names, *other.names]))
    types = [{f.name: str(f.type) for f in s} for s in (schema, other)]
    name = next((n for n in names if types[0].get(n) != types[1].get(n)), names[0] if names else "")
    return ColumnTypeError(
        f'column "{name}" changes type between files of the examples',
        expected=f"{types[0].get(name, 'no such column')}  {first}",
        received=f"{types[1].get(name, 'no such column')}  {second}",
        next="read the data again with read_csv(..., column_types={...})",
    )


def compute(
    plans: Mapping[str, list[Metric]], work: list[Task], schema: pa.Schema, runner: Beam
) -> dict[str, Computed]:
    """Compute each split's metrics, in a second pass too where a rule's bounds come from the data.

    Args:
        plans: Metrics by split.
        work: The reading of those splits.
        schema: Their Arrow schema.
        runner: Starts the pass.

    Raises:
        ReconciliationError: The rows read are not the rows the files hold.
        DataError: A file cannot be read.
    """
    opening = {split: _opening(metrics) for split, metrics in plans.items()}
    computed = _pass(opening, work, schema, runner)
    _all_read(computed, work)
    later: dict[str, dict[str, Metric]] = {}
    for split, metrics in plans.items():
        for metric in metrics:
            if first(metric):
                try:
                    later.setdefault(split, {})[metric.key] = bind(metric, computed[split].store)
                except InapplicableError as error:
                    computed[split].store.errors[metric.key] = str(error)
    if later:
        remaining = [task for task in work if task.split in later]
        for split, more in _pass(later, remaining, schema, runner).items():
            computed[split].store.values.update(more.store.values)
            computed[split].store.errors.update(more.store.errors)
            computed[split].violations.update(more.violations)
    return computed


def _all_read(computed: Mapping[str, Computed], work: list[Task]) -> None:
    for split, result in computed.items():
        held = sum(task.rows for task in work if task.split == split)
        read = result.store.values[_ROWS.key]
        if held != read:
            raise ReconciliationError(
                f'split "{split}" was not read completely',
                expected=f"{held:,} rows, as its files say",
                received=f"{read:,} rows read",
                next="run again; if it repeats, read the data again",
            )


def _opening(metrics: list[Metric]) -> dict[str, Metric]:
    now = [_ROWS]
    for metric in metrics:
        now.extend(first(metric) or [metric])
    return {metric.key: metric for metric in now}


def _pass(
    plans: Mapping[str, Mapping[str, Metric]], work: list[Task], schema: pa.Schema, runner: Beam
) -> dict[str, Computed]:
    computers = {split: _computer(plan, schema) for split, plan in plans.items()}
    shuffle = Shuffle.of(work, runner)
    with runner.pipeline() as pipeline:
        scanned = (
            pipeline
            | "RowGroups" >> beam.Create(work)
            | beam.Reshuffle()
            | "Scan" >> beam.ParDo(Scan(plans, schema, shuffle)).with_outputs("distinct", main="parts")
        )
        found = [scanned.parts]
        if any(computer.distincts for computer in computers.values()):
            counted = scanned.distinct | "ByShard" >> beam.GroupByKey()
            found.append(counted | "Count" >> beam.ParDo(CountShard(_specs(computers))))
        # Without defaults: they would send the result through Beam again, as a side input that it measures.
        merge: Any = Merge
        merged = found | beam.Flatten() | "Merge" >> beam.CombineGlobally(merge()).without_defaults()
        result = runner.result(merged)
    parts = result.get()
    shuffle.clean()
    for key in sorted(key for key in parts if key[0] == _FAILED):
        value_of(parts[key])
    return {
        split: _computed(computer, parts[split, ""], _of_split(parts, split))
        for split, computer in computers.items()
    }


def _of_split(parts: Mapping[tuple[str, str], Any], split: str) -> dict[str, Distinct]:
    return {key: found for (name, key), found in parts.items() if name == split and key}


def _computed(computer: Computer, accumulator: Accumulator, distincts: dict[str, Distinct]) -> Computed:
    found = {key: computer.violations(key, accumulator, distincts) for key in computer.recipes}
    broken = {key: violations for key, violations in found.items() if violations is not None}
    return Computed(computer.extract(accumulator, distincts), broken)


def _computer(plan: Mapping[str, Metric], schema: pa.Schema) -> Computer:
    return Computer(plan.values(), schema, {metric.key: key for key, metric in plan.items()})


def _specs(computers: Mapping[str, Computer]) -> dict[tuple[str, str], DistinctSpec]:
    return {
        (split, key): spec
        for split, computer in computers.items()
        for key, spec in computer.distincts.items()
    }


class Scan(beam.DoFn):
    """Reads rows; yields their accumulator, and their values whose distinct ones are counted."""

    def __init__(
        self, plans: Mapping[str, Mapping[str, Metric]], schema: pa.Schema, shuffle: Shuffle
    ) -> None:
        self._plans = {split: dict(plan) for split, plan in plans.items()}
        self._schema = schema
        self._shuffle = shuffle
        self._computers: dict[str, Computer] = {}

    def setup(self) -> None:
        """Make the plans executable, once per worker."""
        self._computers = {split: _computer(plan, self._schema) for split, plan in self._plans.items()}

    def process(self, task: Task) -> Iterator[Any]:
        """Scan one task's rows."""
        computer = self._computers[task.split]
        accumulator = computer.create()
        folder = self._shuffle.folder if computer.distincts else None
        try:
            with spilling(folder) as put:
                for view in task.views(computer.columns):
                    computer.add(accumulator, view)
                    for key, shard, partial in computer.spread(view, self._shuffle.shards):
                        yield pvalue.TaggedOutput("distinct", ((task.split, key, shard), put(partial)))
        except (pa.ArrowException, OSError) as error:
            yield (_FAILED, f"{task.uri}:{task.first_row}"), Failed(unreadable(task.uri, error))
        yield (task.split, ""), accumulator


class CountShard(beam.DoFn):
    """Counts the distinct values of one shard."""

    def __init__(self, specs: dict[tuple[str, str], DistinctSpec]) -> None:
        self._specs = specs

    def process(
        self, element: tuple[tuple[str, str, int], Iterable[Partial | Spilled]]
    ) -> Iterator[tuple[tuple[str, str], Distinct]]:
        """Count one shard."""
        (split, key, _), parts = element
        yield (split, key), count(self._specs[split, key], gathered(parts))


class Merge(beam.CombineFn):
    """Merges keyed accumulators into one dictionary: few keys, so one combine for all of them."""

    def create_accumulator(self) -> dict[Any, Any]:
        """Return nothing yet."""
        return {}

    def add_input(self, merged: dict[Any, Any], element: tuple[Any, Any]) -> dict[Any, Any]:
        """Merge one."""
        key, part = element
        if key in merged:
            merged[key].merge(part)
        else:
            merged[key] = part
        return merged

    def merge_accumulators(self, accumulators: Iterable[dict[Any, Any]]) -> dict[Any, Any]:
        """Merge many."""
        merged: dict[Any, Any] = {}
        for accumulator in accumulators:
            for element in accumulator.items():
                self.add_input(merged, element)
        return merged

    def extract_output(self, merged: dict[Any, Any]) -> dict[Any, Any]:
        """Return the dictionary."""
        return merged
