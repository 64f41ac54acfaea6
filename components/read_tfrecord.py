"""TFRecord files of ``tf.Example`` become Examples; TensorFlow is not needed."""

from __future__ import annotations

from typing import Literal

from components.artifacts import Examples
from components.reading.spans import SpanFiles
from components.reading.splits import SplitRules
from orchestration import Beam, RunContext, component, require


@component(imports=("pyarrow.parquet", "apache_beam"))
def read_tfrecord(
    files: SpanFiles,
    *,
    span: str | int = "latest",
    missing_spans: Literal["fail", "skip"] = "fail",
    splits: SplitRules | None = None,
    split_by: list[str] | None = None,
    split_column: str | None = None,
    split_time: str | None = None,
    unknown_split: Literal["fail", "drop"] = "fail",
    where: str | None = None,
    sample: float = 1.0,
    seed: int = 0,
    column_types: dict[str, str] | None = None,
    on_bad_rows: Literal["fail", "quarantine"] = "fail",
    beam: Beam,
    run: RunContext,
) -> Examples:
    """Read TFRecord files of ``tf.Example`` messages into splits of Parquet.

    ``int64_list`` becomes ``int64``, ``float_list`` ``float``, ``bytes_list`` ``string`` where every
    value of every file is UTF-8, else ``binary``. A feature that has at most one value in every record is
    a plain column, else a list. A record without a feature has a missing value there; an empty list
    is missing in a plain column and empty in a list.

    Args:
        files: A path, a folder or a pattern; ``{SPAN}``, ``{VERSION}``, ``{YYYY}``, ``{MM}``, ``{DD}`` and
            ``{HH}`` in it stand for spans (see ``SpanFiles``). Gzip is
            recognised by the content.
        span, missing_spans, splits, split_by, split_column, split_time, unknown_split, where, sample, seed:
            Which spans and rows are read and which split each row goes to, the same for all readers: see
            ``RowSelection``. By default the latest span, 80 % ``train`` and 20 % ``eval``.
        column_types: Arrow types by column, where the data must not decide (a list that happens to
            hold one value everywhere): ``{"tags": "list<item: string>"}``.
        on_bad_rows: ``"fail"`` at the first record whose checksum is wrong or that is no
            ``tf.Example``; ``"quarantine"`` sets such records aside with file, record number
            (``line``), reason and the first bytes, and counts them. A damaged length or a file that is
            cut off always fails: what follows cannot be counted.

    Returns:
        Examples with ``splits``, ``columns`` (type by name), ``read`` and ``quarantined`` rows in
        their metadata, the rows left out by reason, and ``spans``; the rows read are always the sum of
        those written, set aside and left out.

    Raises:
        ArgumentError: An argument is out of range.
        ColumnTypeError: A feature changes its kind; names files and records.
        DataError: No file, no row, a record that cannot be read; names file and record.
        MissingExtraError: ``headrace[tfrecord]`` is not installed.
    """
    require(on_bad_rows in ("fail", "quarantine"), "on_bad_rows", '"fail" or "quarantine"', on_bad_rows)
    from components.data.column_types import stored_types
    from components.reading.ingest import ingest
    from components.reading.row_selection import RowFilter, RowSelection, SpanWindow, Splits
    from components.reading.tfrecord_reader import TfRecordReader

    types = stored_types(column_types)
    reader = TfRecordReader(types, quarantine=on_bad_rows == "quarantine")
    into = Splits.of(splits, split_by, split_column, split_time)
    spans = SpanWindow.of(span, missing_spans)
    selection = RowSelection(spans, into, RowFilter.of(where, sample, seed), unknown_split)
    return ingest(files, reader, selection, beam, run)
