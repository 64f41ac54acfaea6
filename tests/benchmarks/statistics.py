"""How fast ``compute_statistics`` is, and how much memory it needs.

``python -m tests.benchmarks.statistics --rows 1500000 --json`` generates taxi-like rows, then measures
in a fresh process each: the component (through Beam), and plain pyarrow kernels doing the like on the
same batches. Imports are not counted. Besides:

* ``--csv`` counts ``read_csv`` in, from one CSV file;
* ``--columns 1000`` generates that many columns;
* ``--aspects`` measures weights, relations to a label and slices, each by itself;
* ``--spans 7`` moves a window of that many spans by one, with what is kept of them and without.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.fresh_process import generate, generated_examples, measure, print_figures, timed

SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
ASPECTS: dict[str, dict[str, Any]] = {
    "weight": {"weight": "trip_miles"},
    "label": {"label": "tips"},
    "slices": {"slices": [["payment_type"]]},
}
Figures = dict[str, float]


def _component(folder: Path, rows: int, **options: Any) -> None:
    import apache_beam as _  # noqa: F401 - imports are paid by the fork server, not by the node

    from components.compute_statistics import compute_statistics

    examples = generated_examples(folder)
    timed(lambda: compute_statistics(examples, **options), rows)


def _from_csv(folder: Path, rows: int) -> None:
    import apache_beam as _  # noqa: F401 - as above

    from components.compute_statistics import compute_statistics
    from components.read_csv import read_csv

    timed(lambda: compute_statistics(read_csv(str(folder / "taxi.csv"))), rows)


def _window(folder: Path, rows: int, *, keep: bool) -> None:
    import apache_beam as _  # noqa: F401 - as above
    import pyarrow.parquet as pq

    from components.artifacts import Examples
    from components.compute_statistics import compute_statistics

    files = sorted((folder / "train").glob("*.parquet"))
    metadata = {
        "splits": {"train": {"rows": sum(pq.read_metadata(file).num_rows for file in files)}},
        "spans": [{"span": f"span {file.stem}"} for file in files],
        "parts": {f"train/{file.name}": f"span {file.stem}" for file in files},
    }
    examples = Examples(str(folder), metadata, "digest")
    kept = str(folder / "kept") if keep else None
    timed(lambda: compute_statistics(examples, span_cache=kept), rows)


def _plain(folder: Path, rows: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)

    def describe(column: pa.Array) -> list[object]:
        found = [column.null_count, pc.value_counts(column)]
        if pa.types.is_string(column.type):
            lengths = pc.utf8_length(column)
            return [
                *found,
                pc.min_max(column),
                pc.mean(lengths),
                pc.stddev(lengths),
                pc.tdigest(lengths, SHARES),
            ]
        moments = [pc.mean(column), pc.stddev(column), pc.sum(pc.equal(column, 0))]
        return [*found, pc.min_max(column), *moments, pc.tdigest(column, SHARES)]

    def work() -> None:
        for file in sorted(folder.glob("*/*.parquet")):
            for batch in pq.ParquetFile(file).iter_batches(65_536, use_threads=False):
                for column in batch.columns:
                    describe(column)

    timed(work, rows)


def _write_csv(folder: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet as pq

    writer = None
    with (folder / "taxi.csv").open("wb") as target:
        for file in sorted(folder.glob("*/*.parquet")):
            for batch in pq.ParquetFile(file).iter_batches(65_536):
                options = pyarrow.csv.WriteOptions(include_header=writer is None)
                writer = writer or pyarrow.csv.CSVWriter(target, batch.schema, write_options=options)
                writer.write_batch(batch)
        if writer is not None:
            writer.close()


WORKS: dict[str, Callable[[Path, int], None]] = {
    "component": _component,
    "csv": _from_csv,
    "plain": _plain,
    "window": partial(_window, keep=False),
    "kept": partial(_window, keep=True),
    **{name: partial(_component, **options) for name, options in ASPECTS.items()},
}


def _figures(work: str, folder: Path, rows: int) -> Figures:
    found: Figures = measure("tests.benchmarks.statistics", work, folder, rows)[-1]
    return found


def _of_columns(folder: Path, options: argparse.Namespace) -> Figures:
    generate(folder, options.rows, options.columns)
    component = _figures("component", folder, options.rows)
    plain = _figures("plain", folder, options.rows)
    found: Figures = {
        "rows_per_cpu_second": round(component["rows_per_cpu_second"]),
        "ratio_to_pyarrow": round(plain["rows_per_cpu_second"] / component["rows_per_cpu_second"], 2),
        "peak_mb": round(component["peak_mb"]),
    }
    for name in ASPECTS if options.aspects else ():
        aspect = _figures(name, folder, options.rows)
        found[f"{name}_rows_per_cpu_second"] = round(aspect["rows_per_cpu_second"])
        found[f"{name}_peak_mb"] = round(aspect["peak_mb"])
    if options.csv:
        _write_csv(folder)
        from_csv = _figures("csv", folder, options.rows)
        found["csv_rows_per_cpu_second"] = round(from_csv["rows_per_cpu_second"])
        found["csv_peak_mb"] = round(from_csv["peak_mb"])
    return found


def _of_spans(folder: Path, options: argparse.Namespace) -> Figures:
    """Return what a window costs whole, and what its next place costs with the other spans kept."""
    from tests.benchmarks.taxi_rows import write_rows

    each = options.rows // options.spans
    for place in range(options.spans):
        write_rows(folder / "train" / f"part-{place:05d}.parquet", each, seed=place)
    _figures("kept", folder, options.rows)
    (folder / "train" / "part-00000.parquet").unlink()
    write_rows(folder / "train" / f"part-{options.spans:05d}.parquet", each, seed=options.spans)
    moved = _figures("kept", folder, options.rows)
    whole = _figures("window", folder, options.rows)
    kept = sum(file.stat().st_size for file in (folder / "kept").iterdir())
    shutil.rmtree(folder / "kept")
    return {
        "window_cpu_seconds": round(whole["cpu_seconds"], 3),
        "moved_window_cpu_seconds": round(moved["cpu_seconds"], 3),
        "share_of_cpu": round(moved["cpu_seconds"] / whole["cpu_seconds"], 2),
        "kept_mb_per_span": round(kept / (options.spans + 1) / (1 << 20), 1),
    }


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--columns", type=int, default=18)
    parser.add_argument("--spans", type=int, default=0, help="measure a rolling window of so many spans")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--csv", action="store_true", help="count reading from CSV in")
    parser.add_argument("--aspects", action="store_true", help="measure weights, label and slices")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        logging.disable(logging.WARNING)
        WORKS[options.work](options.folder, options.rows)
        return
    with tempfile.TemporaryDirectory() as name:
        figures = (_of_spans if options.spans else _of_columns)(Path(name), options)
    print_figures(figures, as_json=options.json)


if __name__ == "__main__":
    main()
