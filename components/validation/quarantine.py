"""Sets bad rows aside: good rows go on as new examples, bad rows are kept with the rules they broke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.combiners import ToList

from components.artifacts import Examples
from components.data.errors import ReconciliationError
from components.validation.distinct import DistinctSpec, Partial, partials, repeated_positions
from components.validation.job import BATCH_ROWS, Shuffle, Task
from components.validation.metrics import Metric
from components.validation.recipes import broken_positions, recipe
from components.validation.spill import Spilled, gathered, spilling
from components.validation.view import View, position
from orchestration.artifacts import location

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from orchestration import Beam

RULES_COLUMN, SPLIT_COLUMN, FILE_COLUMN, ROW_COLUMN = "_rules", "_split", "_file", "_row"
_NOT_ROW_BY_ROW = ("column_values.increasing", "column_values.decreasing")


@dataclass(frozen=True)
class RowRule:
    """A rule whose broken rows are to be set aside.

    Attributes:
        identity: Tells it from other rules.
        text: Goes to the bad rows as the reason.
        metric: Counts its broken rows.
    """

    identity: str
    text: str
    metric: Metric

    @property
    def unique(self) -> DistinctSpec | None:
        """What is counted for a rule about repeated values, None for other rules."""
        need = recipe(self.metric).needs["violations"]
        return need if isinstance(need, DistinctSpec) else None


def separable(metric: Metric) -> bool:
    """Return whether every single row that breaks a rule can be named."""
    return metric.name.rpartition(".")[0] not in _NOT_ROW_BY_ROW


@dataclass(frozen=True)
class _File:
    """One file to filter: where it is, where its good and its bad rows go."""

    split: str
    number: int
    source: str
    good: str
    bad: str


def set_aside(
    examples: Examples,
    rules: Mapping[str, list[RowRule]],
    work: list[Task],
    schema: pa.Schema,
    folder: Path,
    runner: Beam,
) -> Examples:
    """Return examples without the rows that break some rules; those go to ``folder``.

    Args:
        examples: The rows.
        rules: Rules by split; a row that breaks any of its split's rules is set aside.
        work: The row groups of the splits that have rules.
        schema: The rows' Arrow schema.
        folder: Receives ``part-*.parquet``: the bad rows with split, file, row number and rules.
        runner: Starts the pass.

    Raises:
        ReconciliationError: Good and bad rows do not add up to the rows there were.
    """
    kept = Examples.new(**examples.metadata)
    folder.mkdir(parents=True, exist_ok=True)
    files = _files(examples, kept, folder)
    repeated = _repeated(rules, work, schema, runner)
    with runner.pipeline() as pipeline:
        counts = (
            pipeline
            | "Files" >> beam.Create(files)
            | beam.Reshuffle()
            | "Filter" >> beam.ParDo(_Filter(rules, repeated))
            | ToList()
        )
        written = runner.result(counts)
    splits = {split: dict(facts) for split, facts in examples.metadata["splits"].items()}
    for split, facts in splits.items():
        good = sum(g for name, g, _ in written.get() if name == split)
        bad = sum(b for name, _, b in written.get() if name == split)
        if good + bad != facts["rows"]:
            raise ReconciliationError(
                f'rows of split "{split}" do not balance',
                expected=f"{facts['rows']:,} rows",
                received=f"{good:,} good and {bad:,} set aside",
            )
        facts["rows"] = good
    kept.metadata["splits"] = splits
    return kept


def _files(examples: Examples, kept: Examples, folder: Path) -> list[_File]:
    found: list[_File] = []
    for split in examples.splits:
        for number, file in enumerate(examples.files(split)):
            good = kept.file(f"{split}/{file.name}")
            bad = folder / f"part-{len(found):05d}.parquet"
            found.append(_File(split, number, str(file), str(good), str(bad)))
    return found


def _repeated(
    rules: Mapping[str, list[RowRule]], work: list[Task], schema: pa.Schema, runner: Beam
) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Return the sorted positions of rows with repeated values, by split and rule."""
    specs = {
        (split, rule.identity): rule.unique for split, own in rules.items() for rule in own if rule.unique
    }
    if not specs:
        return {}
    shuffle = Shuffle.of(work, runner)
    with runner.pipeline() as pipeline:
        found = (
            pipeline
            | "RowGroups" >> beam.Create(work)
            | beam.Reshuffle()
            | "Spread" >> beam.ParDo(_Spread(specs, shuffle))
            | "ByShard" >> beam.GroupByKey()
            | "Repeated" >> beam.MapTuple(_repeated_rows)
            | ToList()
        )
        result = runner.result(found)
    shuffle.clean()
    positions: dict[tuple[str, str], list[NDArray[np.int64]]] = {}
    for split, name, rows in result.get():
        positions.setdefault((split, name), []).append(rows)
    return {key: np.sort(np.concatenate(rows)) for key, rows in positions.items()}


def _repeated_rows(
    key: tuple[str, str, int], parts: Iterable[Partial | Spilled]
) -> tuple[str, str, NDArray[np.int64]]:
    return key[0], key[1], repeated_positions(gathered(parts))


class _Spread(beam.DoFn):
    """Spreads values over shards."""

    def __init__(self, specs: dict[tuple[str, str], DistinctSpec], shuffle: Shuffle) -> None:
        self._specs = specs
        self._shuffle = shuffle

    def process(self, task: Task) -> Iterator[tuple[tuple[str, str, int], Partial | Spilled]]:
        """Spread one task's rows."""
        own = {name: spec for (split, name), spec in self._specs.items() if split == task.split}
        columns = sorted({column for spec in own.values() for column in spec.columns})
        with spilling(self._shuffle.folder) as put:
            for view in task.views(columns):
                for name, spec in own.items():
                    for shard, partial in partials(spec, view, self._shuffle.shards):
                        yield (task.split, name, shard), put(partial)


class _Filter(beam.DoFn):
    """Writes a file's good rows and its bad rows; yields how many of each."""

    def __init__(
        self, rules: Mapping[str, list[RowRule]], repeated: dict[tuple[str, str], NDArray[np.int64]]
    ) -> None:
        self._rules = {split: list(own) for split, own in rules.items()}
        self._repeated = repeated

    def process(self, file: _File) -> Iterator[tuple[str, int, int]]:
        """Filter one file."""
        good, bad = 0, 0
        with ExitStack() as stack:
            source = stack.enter_context(location(file.source).open("rb"))
            parquet = pq.ParquetFile(source)
            writer = _writer(stack, file.good, parquet.schema_arrow)
            aside = None
            start = position(file.number, 0)
            for batch in parquet.iter_batches(BATCH_ROWS, use_threads=False):
                view = View(batch, np.arange(start, start + batch.num_rows, dtype=np.int64))
                start += batch.num_rows
                broken = self._broken(file.split, view)
                keep = np.ones(batch.num_rows, dtype=bool)
                keep[list(broken)] = False
                writer.write_batch(batch.filter(pa.array(keep)))
                good, bad = good + int(keep.sum()), bad + len(broken)
                if broken:
                    rows = _marked(batch, broken, file, int(view.positions[0]) - position(file.number, 0))
                    aside = aside or _writer(stack, file.bad, rows.schema)
                    aside.write_batch(rows)
        yield file.split, good, bad

    def _broken(self, split: str, view: View) -> dict[int, list[str]]:
        """Return the rules each bad row breaks, by the row's number in the batch, ascending."""
        found: dict[int, list[str]] = {}
        first = int(view.positions[0])
        for rule in self._rules.get(split, ()):
            if rule.unique:
                among = self._repeated.get((split, rule.identity), np.empty(0, np.int64))
                places = among[(among >= first) & (among < first + view.rows)]
            else:
                places = broken_positions(rule.metric, view)
            for row in (places - first).tolist():
                found.setdefault(row, []).append(rule.text)
        return dict(sorted(found.items()))


def _writer(stack: ExitStack, path: str, schema: pa.Schema) -> pq.ParquetWriter:
    sink = stack.enter_context(location(path).open("wb"))
    return stack.enter_context(pq.ParquetWriter(sink, schema))


def _marked(batch: pa.RecordBatch, broken: dict[int, list[str]], file: _File, offset: int) -> pa.RecordBatch:
    rows = batch.take(pa.array(list(broken), pa.int64()))
    added: dict[str, Any] = {
        SPLIT_COLUMN: pa.array([file.split] * len(broken)),
        FILE_COLUMN: pa.array([location(file.source).name] * len(broken)),
        ROW_COLUMN: pa.array([row + offset for row in broken], pa.int64()),
        RULES_COLUMN: pa.array(list(broken.values()), pa.list_(pa.string())),
    }
    names = [*rows.schema.names, *added]
    return pa.RecordBatch.from_arrays([*rows.columns, *added.values()], names=names)
