"""How fast ``compute_statistics`` is, and how much memory it needs.

``python -m tests.benchmarks.statistics --rows 1500000 --json`` generates taxi-like rows, then measures
in a fresh process each: the component (through Beam), and plain pyarrow kernels doing the like on the
same batches. Imports are not counted. ``--csv`` counts ``read_csv`` in, from one CSV file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]


def measure(work: str, folder: Path, rows: int) -> dict[str, float]:
    """Run one kind of work in a process of its own; return rows per CPU-second and the memory's peak."""
    command = [sys.executable, "-m", "tests.benchmarks.statistics", "--work", work, "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.run(
        [*command, "--rows", str(rows)], check=True, stdout=subprocess.PIPE, env=environment, text=True
    )
    return {name: float(value) for name, value in json.loads(out.stdout.splitlines()[-1]).items()}


def _component(folder: Path, rows: int) -> None:
    import apache_beam as _  # noqa: F401 - imports are paid by the fork server, not by the node

    from components.artifacts import Examples
    from components.compute_statistics import compute_statistics

    counts = {"train": round(rows * 0.8), "eval": round(rows * 0.2)}
    examples = Examples(str(folder), {"splits": {name: {"rows": n} for name, n in counts.items()}}, "digest")
    _timed(lambda: compute_statistics(examples), rows)


def _from_csv(folder: Path, rows: int) -> None:
    import apache_beam as _  # noqa: F401 - as above

    from components.compute_statistics import compute_statistics
    from components.read_csv import read_csv

    _timed(lambda: compute_statistics(read_csv(str(folder / "taxi.csv"))), rows)


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

    _timed(work, rows)


def _timed(work: object, rows: int) -> None:
    started, wall = time.process_time(), time.monotonic()
    work()  # type: ignore[operator]  # a function without arguments
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"rows_per_cpu_second": rows / seconds, "peak_mb": peak, "seconds": time.monotonic() - wall}
    sys.stdout.write(json.dumps(figures) + "\n")


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


WORKS = {"component": _component, "csv": _from_csv, "plain": _plain}


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_500_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--csv", action="store_true", help="count reading from CSV in")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        WORKS[options.work](options.folder, options.rows)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate = "import sys; from tests.benchmarks.taxi_rows import *; "
        generate += "write_taxi_rows(Path(sys.argv[1]), int(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", generate, name, str(options.rows)], check=True)
        component = measure("component", folder, options.rows)
        plain = measure("plain", folder, options.rows)
        figures = {
            "rows_per_cpu_second": round(component["rows_per_cpu_second"]),
            "ratio_to_pyarrow": round(plain["rows_per_cpu_second"] / component["rows_per_cpu_second"], 2),
            "peak_mb": round(component["peak_mb"]),
        }
        if options.csv:
            _write_csv(folder)
            from_csv = measure("csv", folder, options.rows)
            figures["csv_rows_per_cpu_second"] = round(from_csv["rows_per_cpu_second"])
            figures["csv_peak_mb"] = round(from_csv["peak_mb"])
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.writelines(f"{name:28} {value:>12,}\n" for name, value in figures.items())


if __name__ == "__main__":
    main()
