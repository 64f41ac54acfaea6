"""A schema, concluded from statistics or taken from a person's files."""

from __future__ import annotations

from components.artifacts import Schema, Statistics
from orchestration import Files, RunContext, component


@component(imports=("pyarrow.parquet", "apache_beam"))
def infer_schema(
    statistics: Statistics,
    *,
    schema_file: Files | None = None,
    labels: list[str] | None = None,
    tolerance: float = 0.01,
    max_categories: int = 100,
    run: RunContext,
) -> Schema:
    """Conclude what rows like these should look like.

    Every split of the same data satisfies the result. Expected are: every column; a value where all
    rows had one, else the share of values seen less ``tolerance`` and three standard errors; the
    texts seen, for columns of at most ``max_categories`` texts seen five times each on average; the
    range of whole numbers seen where it is without gaps, 0 to 1 for shares, not negative otherwise.
    No bound is guessed from the extremes of measured values, and nothing is expected to be unique.

    Args:
        statistics: What was found in the rows.
        schema_file: A folder with ``schema.json`` and ``suite.json``, kept and edited by a person: it
            is used as it is and nothing is concluded. What would have been concluded is attached to
            the run as ``inferred/`` for comparison.
        labels: Columns that are missing when the model answers requests (``"serving": false``).
        tolerance: Share of new rows that may break a rule about values, in [0, 1).
        max_categories: Up to this many distinct texts make a category, 1 to 400.

    Returns:
        ``schema.json``, ``{"columns": [{"name", "type", "nullable", "serving"}]}``, and
        ``suite.json``, a suite of Great Expectations with a severity for each expectation.

    Raises:
        ArgumentError: An argument is out of range.
        DataError: ``schema_file`` is missing or cannot be used.
    """
    from components.data.schema import read_schema_files
    from components.data.schema_inference import InferenceRules, infer
    from components.data.statistics import load_statistics

    rules = InferenceRules(tolerance, max_categories, tuple(labels or ()))
    inferred = infer(load_statistics(statistics), rules)
    chosen = inferred
    if schema_file is not None:
        chosen = read_schema_files(Files(schema_file).paths())
        folder = run.folder / "inferred"
        folder.mkdir(parents=True, exist_ok=True)
        inferred.write(folder, "inferred")
        run.attach(folder, "inferred")
    out = Schema.new(columns=len(chosen.columns), curated=schema_file is not None)
    chosen.write(out.path, "schema")
    return out
