"""Raw rows to features: one pass to analyze, one to apply."""

from __future__ import annotations

import difflib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import Examples, Schema, Transform
from components.features.spec import FeatureSpec
from orchestration import ArgumentError, Beam, DataError, RunContext, component

if TYPE_CHECKING:
    from components.features.apply import Counted, Piece
    from components.features.frozen import FrozenFeatures


@component(imports=("pyarrow.parquet", "apache_beam"))
def transform_features(
    examples: Examples,
    schema: Schema,
    features: FeatureSpec,
    *,
    analyze_split: str = "train",
    beam: Beam,
    run: RunContext,
) -> Transform:
    """Turn raw rows into the numbers a model learns from.

    The state a feature needs (means, quantiles, vocabularies) comes from one split only, in one
    pass, and is frozen in ``transform.json``. All splits are then transformed by the graph that
    also serves, to ``examples/<split>/part-*.parquet``: dense ``float32`` columns, ``int32`` id
    columns, and the label.

    Args:
        examples: Raw rows.
        schema: The schema the rows were held against. It is not read here; as an input it makes
            the features of rows with another schema another result.
        features: Features and label.
        analyze_split: The split the state is made from.

    Returns:
        The transformed rows. Metadata: ``splits`` maps names to ``{"rows", "dropped"}``
        (dropped for want of a label), ``dense`` and ``ids`` count the columns, ``task``,
        and ``sample_split`` is the split whose first rows ``sample.parquet`` holds raw.

    Raises:
        ArgumentError: ``features`` is not a specification, or there is no such split.
        DataError: A column is missing, has the wrong type or no value; a value or a label is
            missing where the policy is ``"error"``.
    """
    from components.features.analyze import analyze
    from components.features.frozen import STATE_FILE, FrozenFeatures
    from components.features.spec import resolve_inputs

    _check(examples, features, analyze_split)
    started = time.perf_counter()
    inputs = resolve_inputs(features, examples.arrow_schema())
    analysis = analyze(examples, analyze_split, features.analyzers, beam)
    frozen = FrozenFeatures.freeze(features, inputs, analysis)
    out = Transform.new(
        dense=len(frozen.dense_columns),
        ids=len(frozen.id_columns),
        task=frozen.task,
        sample_split=analyze_split,
    )
    out.write_json(STATE_FILE, frozen.to_json())
    counted = _apply(examples, frozen, out, beam)
    _reconcile(examples, counted)
    out.metadata["splits"] = {
        split: {"rows": counted.written.get(split, 0), "dropped": counted.dropped.get(split, 0)}
        for split in examples.splits
    }
    _write_sample(examples, frozen, analyze_split, out)
    _report(run, counted, time.perf_counter() - started)
    return out


def _check(examples: Examples, features: FeatureSpec, analyze_split: str) -> None:
    if not isinstance(features, FeatureSpec):
        raise ArgumentError(
            "the features are not a specification",
            expected='features(numeric("fare").z_score(), …, label=label("tips"))',
            received=repr(features),
        )
    if analyze_split not in examples.splits:
        close = difflib.get_close_matches(analyze_split, examples.splits, n=1)
        raise ArgumentError(
            f'there is no split "{analyze_split}" to analyze',
            expected=" or ".join(examples.splits),
            received=f"analyze_split={analyze_split!r}",
            next=f'did you mean analyze_split="{close[0]}"?' if close else None,
        )


def _apply(examples: Examples, frozen: FrozenFeatures, out: Transform, beam: Beam) -> Counted:
    from components.features.apply import apply

    pieces = [piece for split in examples.splits for piece in _pieces(examples, split, out)]
    return apply(frozen, pieces, beam)


def _pieces(examples: Examples, split: str, out: Transform) -> list[Piece]:
    from components.features.analyze import row_groups
    from components.features.apply import Piece
    from components.features.transformed import ROWS_FOLDER

    places = row_groups(examples.files(split))
    targets: list[Path] = [
        out.file(f"{ROWS_FOLDER}/{split}/part-{place:05d}.parquet") for place in range(len(places))
    ]
    return [Piece(split, place, target) for place, target in zip(places, targets, strict=True)]


def _reconcile(examples: Examples, counted: Counted) -> None:
    """Refuse a result that has lost or invented a row."""
    for split in examples.splits:
        expected = int(examples.metadata["splits"][split]["rows"])
        read = counted.read.get(split, 0)
        settled = counted.written.get(split, 0) + counted.dropped.get(split, 0)
        if not expected == read == settled:
            raise DataError(
                f'the rows of split "{split}" do not add up',
                expected=f"{expected:,} rows, as its manifest states",
                received=f"{read:,} read, {settled:,} written or dropped",
            )


def _write_sample(examples: Examples, frozen: FrozenFeatures, split: str, out: Transform) -> None:
    """Keep some raw rows, so that an exported model can be compared with its source."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from components.features.apply import labelled
    from components.features.transformed import SAMPLE_FILE, SAMPLE_ROWS

    columns = sorted({*frozen.spec.columns, *frozen.spec.label.columns})
    kept, missing = [], SAMPLE_ROWS
    for batch in examples.batches(split, columns=columns, rows=4_096):
        found = batch.filter(pa.array(labelled(frozen, batch)[1])).slice(0, missing)
        kept.append(found.select(list(frozen.spec.columns)))
        missing -= found.num_rows
        if missing == 0:
            break
    with out.file(SAMPLE_FILE).open("wb") as target:
        pq.write_table(pa.Table.from_batches(kept), target)


def _report(run: RunContext, counted: Counted, seconds: float) -> None:
    rows = sum(counted.read.values())
    run.progress(rows, rows)
    run.log_metric("rows_per_second", rows / max(seconds, 1e-9))
    for split, dropped in counted.dropped.items():
        if dropped:
            run.log_metric(f"{split}_rows_dropped", dropped)
