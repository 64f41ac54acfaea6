"""The rows scikit-learn carries, as Examples: a component of a project's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from components.artifacts import Examples
from orchestration import MissingExtraError, component

MEASURES = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)
COLUMNS = [f"{kind}_{measure}" for kind in ("mean", "error", "worst") for measure in MEASURES]
LABEL = "benign"


@component(imports=("pyarrow.parquet",))
def breast_cancer_examples(*, eval_every: int = 4) -> Examples:
    """Read the 569 tumours; every ``eval_every``-th row is for evaluation, the others for training."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    options = pyarrow.csv.ReadOptions(skip_rows=1, column_names=[*COLUMNS, LABEL])
    table = pyarrow.csv.read_csv(_packaged_file(), read_options=options)
    table = table.set_column(table.num_columns - 1, LABEL, table[LABEL].cast(pa.int64()))
    numbers = range(table.num_rows)
    rows = {
        "train": [n for n in numbers if n % eval_every],
        "eval": [n for n in numbers if not n % eval_every],
    }
    examples = Examples.new(splits={split: {"rows": len(chosen)} for split, chosen in rows.items()})
    for split, chosen in rows.items():
        pq.write_table(table.take(chosen), examples.file(f"{split}/part-00000.parquet"))
    return examples


def _packaged_file() -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise MissingExtraError("scikit-learn, which carries the data, is not installed")
    return Path(found.origin).parent / "datasets" / "data" / "breast_cancer.csv"
