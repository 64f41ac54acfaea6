"""What data is compared with: the statistics of the last good run, or of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from components.artifacts import Statistics, Validation
from orchestration import Artifact, ArtifactError, DataError, External, Files, RunContext, component, require
from orchestration.artifacts import type_name
from orchestration.external import DigestFile

if TYPE_CHECKING:
    from orchestration.journal import Journal
    from orchestration.records import Output, Run

NODE = "compute_statistics"
MOST_RUNS = 500
_STATISTICS, _VALIDATION = type_name(Statistics), type_name(Validation)


class GoodRuns(External):
    """Names the runs whose statistics are meant: ``pipeline`` or ``pipeline:node``.

    ``""`` stands for the pipeline's own runs, and ``compute_statistics`` for the node where none is named.
    """

    @property
    def pipeline(self) -> str:
        """Name of the pipeline; empty for the own one."""
        return self.partition(":")[0]

    @property
    def node(self) -> str:
        """Name of the node that made the statistics."""
        return self.partition(":")[2] or NODE

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return the digest of the statistics that those among ``inputs`` are compared with.

        Statistics equal to them are passed over, so that a run repeated on the same data keeps its
        cache keys. The pipeline's own name is not known here: ``""`` takes all pipelines together,
        so that another pipeline's run costs a new comparison, never a wrong one.
        """
        del digest_file  # the journal holds the digests
        own = [item.digest for item in inputs.values() if isinstance(item, Statistics)]
        with _journal() as journal:
            runs = _good_runs(journal, self.pipeline or None)
            names = sorted({run.pipeline for run in runs})
            found = {
                name: _newest(journal, [run for run in runs if run.pipeline == name], self.node, own)
                for name in names
            }
        return " ".join(f"{name}:{output.digest}" for name, output in found.items() if output)


@component(imports=("pyarrow.parquet", "apache_beam"))
def previous_statistics(
    statistics: Statistics,
    *,
    of: GoodRuns = GoodRuns(""),  # noqa: B008 - a str, immutable
    first: Literal["fail", "itself"] = "fail",
    run: RunContext,
) -> Statistics:
    """Find the statistics to compare new ones with: those of the newest good run on other data.

    A run is good when all its nodes succeeded and one of them was a validation: what a failed run
    has seen never becomes the measure of the next.

    Args:
        statistics: The new statistics; the same ones from an earlier run are passed over.
        of: The pipeline whose runs are meant, as ``"taxi"`` or ``"taxi:compute_statistics"``; by
            default the pipeline's own runs.
        first: What to do where there is no such run: ``fail``, or take the new statistics
            ``itself`` for this once (the validation then says that nothing was compared).

    Returns:
        The statistics of the earlier run.

    Raises:
        DataError: There is no earlier good run, and ``first`` is ``fail``.
        ArtifactError: The earlier statistics are no longer stored.
    """
    require(first in ("fail", "itself"), "first", "fail or itself", first)
    wanted = GoodRuns(of)
    name = wanted.pipeline or run.pipeline
    with _journal() as journal:
        runs = _good_runs(journal, name)
        found = _newest(journal, runs, wanted.node, [statistics.digest])
    if found is None and first == "itself":
        return statistics
    if found is None:
        raise DataError(
            "there is no earlier good run to compare with",
            expected=f'a succeeded run of "{name}" with a validation, on other data, node "{wanted.node}"',
            received=f"{len(runs)} succeeded runs",
            next='previous_statistics(..., first="itself") for the first run',
        )
    artifact = found.artifact()
    if not isinstance(artifact, Statistics) or not (artifact.path / "statistics.json").exists():
        raise ArtifactError(
            "the statistics of the earlier run are no longer stored",
            expected=f"statistics.json in {artifact.uri}",
            next=f'run "{name}" on the earlier data again, or previous_statistics(..., first="itself")',
        )
    return artifact


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_statistics(files: Files) -> Statistics:
    """Take statistics from a file that was kept: of the rows a model was trained on, for example.

    Args:
        files: A ``statistics.json``, or the folder that holds it, as ``compute_statistics`` wrote it.

    Raises:
        DataError: There is no such file, or it holds no statistics.
    """
    import msgspec

    from components.statistics.statistics import DatasetStatistics

    paths = [path for path in Files(files).paths() if path.suffix == ".json" and path.name != "manifest.json"]
    named = [path for path in paths if path.name == "statistics.json"] or paths
    if len(named) != 1:
        raise DataError(
            "the statistics to compare with must be one file",
            expected="one statistics.json",
            received=", ".join(str(path) for path in named) or str(files),
        )
    try:
        found = msgspec.json.decode(named[0].read_bytes(), type=DatasetStatistics)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{named[0]} holds no statistics",
            expected="statistics.json, as compute_statistics writes it",
            received=str(error),
        ) from error
    rows = sum(split.rows for split in found.splits.values())
    out = Statistics.new(rows=rows, columns=len(found.columns))
    out.file("statistics.json").write_bytes(named[0].read_bytes())
    return out


@contextmanager
def _journal() -> Iterator[Journal]:
    """Give the journal of the settings in use, closed afterwards."""
    from orchestration import settings
    from orchestration.journal import Journal

    opened = Journal.open(settings.current().journal_url)
    try:
        yield opened
    finally:
        opened.close()


def _good_runs(journal: Journal, pipeline: str | None) -> list[Run]:
    from orchestration.records import RunState

    return journal.runs(pipeline=pipeline, states=[RunState.SUCCEEDED], limit=MOST_RUNS)


def _newest(journal: Journal, runs: list[Run], node: str, other_than: list[str]) -> Output | None:
    """Return the newest statistics of a node that are not of some digests, among runs, newest first."""
    for run in runs:
        outputs = list(_outputs(journal, run))
        validated = any(output.type == _VALIDATION for _, output in outputs)
        for name, output in outputs:
            if validated and name == node and output.type == _STATISTICS and output.digest not in other_than:
                return output
    return None


def _outputs(journal: Journal, run: Run) -> Iterator[tuple[str, Output]]:
    for attempt in journal.attempts(run.id):
        if attempt.state.gave_outputs:
            yield from ((attempt.node, output) for output in attempt.outputs)
