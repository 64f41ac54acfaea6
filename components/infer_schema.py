"""A schema, concluded from statistics or taken from a person's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.artifacts import Schema, Statistics
from orchestration import Files, RunContext, component

if TYPE_CHECKING:
    from components.schema.merge import Merge


@component(imports=("pyarrow.parquet", "apache_beam"))
def infer_schema(
    statistics: Statistics,
    *,
    schema_file: Files | None = None,
    frozen: bool = True,
    labels: list[str] | None = None,
    tolerance: float = 0.01,
    max_categories: int = 100,
    run: RunContext,
) -> Schema:
    """Conclude what rows like these should look like.

    Every split of the same data satisfies the result. Expected are: every column; a value where all
    rows had one, else the share of values seen less ``tolerance`` and three standard errors; the
    texts seen, for columns of at most ``max_categories`` texts seen five times each on average; the
    range of whole numbers seen where it is without gaps, 0 to 1 for shares, not negative otherwise;
    lists of the one length that all of them have, or no empty ones where there was none. No bound is
    guessed from the extremes of measured values, nothing is expected to be unique, and what values look
    like (an e-mail address, a URL) is noted as the column's ``semantic`` without becoming a rule.

    Args:
        statistics: What was found in the rows.
        schema_file: A folder with ``schema.json`` and ``suite.json``, kept and edited by a person. What the
            data say otherwise is attached to the run as ``schema-changes.txt``; the folder itself changes
            only by ``headrace schema accept``.
        frozen: Use ``schema_file`` as it is, as in production: nothing that is inferred goes into the
            result. False lets the data add to it: what the person did not touch follows the data, columns
            not seen before are added, what the person changed stays. No effect without ``schema_file``.
        labels: Columns that are missing when the model answers requests (``"not_in": ["serving"]``).
        tolerance: Share of new rows that may break a rule about values, in [0, 1).
        max_categories: Up to this many distinct texts make a category, 1 to 400.

    Returns:
        ``schema.json``, the columns with type and environments; ``suite.json``, a suite of Great
        Expectations with a severity for each expectation; ``inferred.json``, what was inferred from these
        statistics. Metadata: ``columns``, ``curated``, ``changes`` (differences between the two).

    Raises:
        ArgumentError: An argument is out of range.
        DataError: ``schema_file`` is missing or cannot be used.
    """
    from components.schema.files import read_schema_files
    from components.schema.inference import InferenceRules, infer
    from components.schema.merge import merge
    from components.statistics.statistics import load_statistics

    rules = InferenceRules(tolerance, max_categories, tuple(labels or ()))
    inferred = infer(load_statistics(statistics), rules)
    chosen, changes = inferred, 0
    if schema_file is not None:
        kept = read_schema_files(Files(schema_file).paths())
        merged = merge(kept.schema, kept.inferred, inferred)
        chosen, changes = kept.schema if frozen else merged.schema, len(merged.changes)
        run.log_metric("schema_changes", changes)
        _attach_changes(merged, run)
    out = Schema.new(columns=len(chosen.columns), curated=schema_file is not None, changes=changes)
    chosen.write(out.path, inferred)
    return out


def _attach_changes(merged: Merge, run: RunContext) -> None:
    """Attach what ``headrace schema accept`` would take over; nothing where nothing differs."""
    from components.schema.words import change_lines

    if merged.changes:
        run.folder.mkdir(parents=True, exist_ok=True)
        page = run.folder / "schema-changes.txt"
        page.write_text("\n".join(change_lines(merged.changes)) + "\n", encoding="utf-8")
        run.attach(page)
