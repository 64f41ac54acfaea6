"""Faults put into real data are found; two random parts of it, of whatever sizes, differ in nothing wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.components.comparison.test_command import SHARED, compared

pytestmark = pytest.mark.slow
Change = Callable[[pd.DataFrame], pd.DataFrame]
SETS = {
    "penguins": "penguins/penguins_processed.csv",
    "raw penguins": "penguins/penguins_raw.csv",
    "taxi": "taxi/data.csv",
    "diamonds": "diamonds/diamonds.csv",
}


def table(name: str) -> pd.DataFrame:
    if not (SHARED / SETS[name]).exists():
        pytest.skip(f"{name} is not beside this checkout")
    return pd.read_csv(SHARED / SETS[name])


def put(column: str, rows: int, value: object) -> Change:
    """Return a change of some rows of a column."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = list(table[column])
        values[5 : 5 + rows] = [value] * rows
        return table.assign(**{column: pd.Series(values, index=table.index, dtype=object)})

    return change


def every(column: str, change: Callable[[Any], Any]) -> Change:
    """Return a change of a whole column."""
    return lambda table: table.assign(**{column: change(table[column])})


def swapped(one: str, other: str) -> Change:
    return lambda table: table.assign(**{one: table[other], other: table[one]})


YEARS = 3 * 365 * 86_400
FAULTS: dict[str, tuple[Change, str | None, str]] = {
    "column gone": (lambda t: t.drop(columns="fare"), "fare", "fail"),
    "column renamed": (lambda t: t.rename(columns={"tips": "tip"}), "tips", "fail"),
    "column new": (lambda t: t.assign(extra=1), "extra", "warn"),
    "text among numbers": (put("fare", 7, "n/a"), "fare", "fail"),
    "a new value in a tenth": (put("payment_type", 743, "Bitcoin"), "payment_type", "fail"),
    "a new value once": (put("payment_type", 1, "Bitcoin"), "payment_type", "warn"),
    "capitals": (every("payment_type", lambda v: v.str.upper()), "payment_type", "fail"),
    "a blank behind": (every("payment_type", lambda v: v + " "), "payment_type", "fail"),
    "a third missing": (every("company", lambda v: v.where(np.arange(len(v)) % 3 > 0)), "company", "fail"),
    "filled in": (every("company", lambda v: v.fillna("Taxi Affiliation Services")), "company", "fail"),
    "one missing": (put("fare", 1, None), "fare", "warn"),
    "a hundred missing": (put("fare", 100, None), "fare", "fail"),
    "all missing": (lambda t: t.assign(tips=None), "tips", "fail"),
    "below zero": (put("fare", 3, -5), "fare", "fail"),
    "cents": (every("fare", lambda v: v * 100), "fare", "fail"),
    "kilometres": (every("trip_miles", lambda v: v * 1.609344), "trip_miles", "fail"),
    "minutes": (every("trip_seconds", lambda v: v / 60), "trip_seconds", "fail"),
    "no such hour": (put("trip_start_hour", 20, 24), "trip_start_hour", "fail"),
    "no such month": (put("trip_start_month", 3, 13), "trip_start_month", "fail"),
    "months from zero": (put("trip_start_month", 30, 0), "trip_start_month", "fail"),
    "days from zero": (every("trip_start_day", lambda v: v - 1), "trip_start_day", "fail"),
    "one hour only": (every("trip_start_hour", lambda v: v * 0 + 12), "trip_start_hour", "fail"),
    "another time zone": (every("trip_start_hour", lambda v: (v + 6) % 24), "trip_start_hour", "fail"),
    "far places swapped": (swapped("pickup_latitude", "pickup_longitude"), "pickup_latitude", "fail"),
    "near amounts swapped": (swapped("fare", "tips"), "tips", "fail"),
    "places at zero": (put("pickup_latitude", 40, 0.0), "pickup_latitude", "fail"),
    "milliseconds": (every("trip_start_timestamp", lambda v: v * 1000), "trip_start_timestamp", "fail"),
    "years earlier": (every("trip_start_timestamp", lambda v: v - YEARS), "trip_start_timestamp", "fail"),
    "rows twice": (lambda t: pd.concat([t, t.iloc[:200]]), None, "fail"),
    "texts cut": (every("company", lambda v: v.str[:8]), "company", "fail"),
    "texts too long": (put("company", 60, "x" * 200), "company", "fail"),
    "one kind only": (lambda t: t[t.payment_type == "Credit Card"], "payment_type", "fail"),
    "the cheap half": (lambda t: t.sort_values("fare").iloc[: len(t) // 2], "fare", "fail"),
    "infinite": (put("trip_miles", 40, float("inf")), "trip_miles", "fail"),
    "no rows": (lambda t: t.iloc[:0], None, "fail"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_taxi_is_found(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, column, severity = FAULTS[fault]
    taxi = table("taxi")
    half = taxi.sample(frac=0.5, random_state=1)
    code, anomalies = compared(half, change(taxi.drop(half.index)), tmp_path, capsys)
    assert severity in {one["severity"] for one in anomalies if one["column"] == column}, anomalies
    assert code == int(severity == "fail")


@pytest.mark.parametrize(("share", "seed"), [(0.5, 0), (0.01, 1), (0.99, 2)])
@pytest.mark.parametrize("name", SETS)
def test_parts_of_one_table_differ_in_nothing_wrong(
    name: str, seed: int, share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = table(name)
    part = whole.sample(frac=share, random_state=seed)
    code, anomalies = compared(whole.drop(part.index), part, tmp_path, capsys)
    assert code == 0, anomalies
