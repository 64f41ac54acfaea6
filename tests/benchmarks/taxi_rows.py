"""Generates rows like Chicago's taxi trips: 18 columns, few and many distinct values, missing ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.reading.rows_writer import row_group_rows

_PAYMENTS = ("Cash", "Credit Card", "Dispute", "No Charge", "Pcard", "Prcard", "Unknown")
_COMPANIES = tuple(f"{place:04d} - {place * 37 % 99991} Cab Company Nr. {place}" for place in range(60))

Random = np.random.Generator
Column = Callable[[Random, int], pa.Array]


def _with_missing(random: Random, values: npt.NDArray[np.generic], share: float) -> pa.Array:
    return pa.array(values, mask=random.random(len(values)) < share if share else None)


def _integers(low: int, high: int, missing: float = 0.0, step: int = 1) -> Column:
    return lambda random, rows: _with_missing(random, random.integers(low, high, rows) * step, missing)


def _amounts(scale: float, zeros: float) -> Column:
    def make(random: Random, rows: int) -> pa.Array:
        values = np.round(random.gamma(1.6, scale, rows), 2)
        return pa.array(np.where(random.random(rows) < zeros, 0.0, values))

    return make


def _places(centre: float, missing: float) -> Column:
    known = np.round(centre + np.random.default_rng(7).normal(0, 0.05, 900), 9)
    return lambda random, rows: _with_missing(random, random.choice(known, rows), missing)


def _texts(known: tuple[str, ...], missing: float) -> Column:
    weights = 1 / np.arange(1, len(known) + 1)

    def make(random: Random, rows: int) -> pa.Array:
        codes = random.choice(len(known), rows, p=weights / weights.sum()).astype(np.int32)
        mask = random.random(rows) < missing if missing else None
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=mask), pa.array(known)).dictionary_decode()

    return make


COLUMNS: dict[str, Column] = {
    "pickup_community_area": _integers(1, 78, 0.01),
    "fare": _amounts(8.0, 0.001),
    "trip_start_month": _integers(1, 13),
    "trip_start_hour": _integers(0, 24),
    "trip_start_day": _integers(1, 8),
    "trip_start_timestamp": _integers(1_509_000, 1_640_000, step=900),
    "pickup_latitude": _places(41.9, 0.01),
    "pickup_longitude": _places(-87.6, 0.01),
    "dropoff_latitude": _places(41.9, 0.03),
    "dropoff_longitude": _places(-87.6, 0.03),
    "trip_miles": _amounts(2.0, 0.25),
    "pickup_census_tract": _integers(17_031_000_000, 17_031_000_800, 0.3),
    "dropoff_census_tract": _integers(17_031_000_000, 17_031_000_800, 0.3),
    "payment_type": _texts(_PAYMENTS, 0.0),
    "company": _texts(_COMPANIES, 0.35),
    "trip_seconds": _integers(0, 200, 0.01, step=60),
    "dropoff_community_area": _integers(1, 78, 0.03),
    "tips": _amounts(1.5, 0.6),
}


def named_columns(columns: int) -> dict[str, Column]:
    """Return that many makers of columns by name: the taxi columns, repeated under numbered names."""
    makers = list(COLUMNS.items())
    found: dict[str, Column] = {}
    for place in range(columns):
        again, which = divmod(place, len(makers))
        name, make = makers[which]
        found[f"{name}_{again + 1}" if again else name] = make
    return found


def write_taxi_rows(folder: Path, rows: int, columns: int = len(COLUMNS)) -> list[Path]:
    """Write ``train`` and ``eval`` (4 to 1) as Parquet in the row groups Examples have; return the files."""
    return [
        write_rows(folder / split / "part-00000.parquet", round(rows * share), seed, columns)
        for split, share, seed in (("train", 0.8, 1), ("eval", 0.2, 2))
    ]


def write_rows(path: Path, rows: int, seed: int, columns: int = len(COLUMNS)) -> Path:
    """Write one Parquet file of generated rows and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    makers = named_columns(columns)
    size, left = row_group_rows(columns), rows
    writer: pq.ParquetWriter | None = None
    while left > 0:
        chunk = min(size, left)
        batch = pa.record_batch({name: make(random, chunk) for name, make in makers.items()})
        writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd")
        writer.write_batch(batch, row_group_size=size)
        left -= chunk
    if writer is not None:
        writer.close()
    return path
