"""The artifact types the standard components exchange."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration import Artifact, ArtifactError

if TYPE_CHECKING:
    import pyarrow as pa


class Examples(Artifact):
    """Rows as Parquet: ``<split>/part-*.parquet``, one Arrow schema for all splits.

    Metadata: ``splits`` maps each split's name to ``{"rows": int}``.
    """

    tracked_as = "dataset"

    @property
    def splits(self) -> list[str]:
        """Names of the splits, sorted."""
        return sorted(self.metadata["splits"])

    @property
    def rows(self) -> int:
        """Number of rows over all splits."""
        return sum(int(split["rows"]) for split in self.metadata["splits"].values())

    def files(self, split: str) -> list[Path]:
        """Return a split's Parquet files in order.

        Raises:
            ArtifactError: There is no such split.
        """
        if split not in self.metadata["splits"]:
            raise ArtifactError(
                f'there is no split "{split}"',
                expected=" or ".join(self.splits) or "any split",
                received=split,
            )
        return sorted((self.path / split).glob("part-*.parquet"))

    def arrow_schema(self) -> pa.Schema:
        """Return the rows' Arrow schema, read from the first file."""
        import pyarrow.parquet as pq

        for split in self.splits:
            for file in self.files(split):
                with file.open("rb") as source:
                    return pq.read_schema(source)
        raise ArtifactError("the examples hold no file", expected="at least one part-*.parquet")

    def batches(
        self, split: str, *, columns: list[str] | None = None, rows: int = 65_536
    ) -> Iterator[pa.RecordBatch]:
        """Yield a split's rows in order as Arrow batches of at most ``rows`` rows."""
        import pyarrow.parquet as pq

        for file in self.files(split):
            with file.open("rb") as source:
                yield from pq.ParquetFile(source).iter_batches(
                    batch_size=rows, columns=columns, use_threads=False
                )


class Statistics(Artifact):
    """What every column of every split looks like: ``statistics.json`` and ``report.html``."""


class Schema(Artifact):
    """What the data should look like: ``schema.json`` (columns), ``suite.json``, ``inferred.json``."""


class Validation(Artifact):
    """What was found when data was held against a schema: ``result.json``, ``anomalies.json``, docs.

    Metadata: ``success`` (bool), ``anomalies`` (count by severity).
    """

    tracked_as = "report"


class Transform(Artifact):
    """Features: the frozen state (``transform.json``), the transformed rows, the graph that made them."""

    tracked_as = "dataset"


class Model(Artifact):
    """A trained model: ``model.json`` (manifest), native weights, and its serving exports."""

    tracked_as = "model"


class Evaluation(Artifact):
    """Metrics by slice and the verdict of the gates: ``evaluation.json`` and ``report.html``.

    Metadata: ``blessed`` (bool), ``reasons`` (list of str), and the overall metrics by name.
    """

    tracked_as = "report"


class Report(Artifact):
    """One self-contained HTML page, ``report.html``."""

    tracked_as = "report"


class ServingCheck(Artifact):
    """Evidence that the exported model answers as the trained one: ``check.json``.

    Metadata: ``ready`` (bool), ``rows`` (int), ``largest_difference`` (float).
    """


class PushedModel(Artifact):
    """Where a model went live: ``pushed.json``.

    Metadata: ``name``, ``version``, ``alias``.
    """
