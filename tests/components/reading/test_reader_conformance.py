from __future__ import annotations

from pathlib import Path

import pyarrow.csv
import pytest

from tests.components.reading.reader_conformance import (
    FORMATS,
    Format,
    check_reader,
    flat_table,
    nested_table,
)

TAXI = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "taxi" / "data.csv"


CUTS: dict[str, list[int]] = {"one": [], "three": [1, 100], "four, one empty": [60, 60, 61]}
# What a format cannot show: an empty piece of CSV has no types, and parts are never one file.
NOT = {("csv", "four, one empty"), ("sqlite in parts", "one")}
CASES = [(f, cuts) for f in FORMATS if f.flat for cuts in CUTS if (f.name, cuts) not in NOT]


@pytest.mark.parametrize(
    ("format_", "cuts"), CASES, ids=lambda one: one.name if isinstance(one, Format) else one
)
def test_the_same_table_gives_the_same_examples(format_: Format, cuts: str, tmp_path: Path) -> None:
    _needs(format_)
    check_reader(format_, flat_table(), CUTS[cuts], tmp_path)


@pytest.mark.parametrize("cuts", [[], [50, 90]], ids=["one", "three"])
@pytest.mark.parametrize("format_", [f for f in FORMATS if f.nested], ids=lambda format_: format_.name)
def test_lists_and_structs_stay_what_they_are(format_: Format, cuts: list[int], tmp_path: Path) -> None:
    _needs(format_)
    check_reader(format_, nested_table(), cuts, tmp_path)


@pytest.mark.skipif(not TAXI.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("name", ["csv", "nested json", "avro", "delta", "iceberg"])
def test_real_rows(name: str, tmp_path: Path) -> None:
    format_ = next(one for one in FORMATS if one.name == name)
    _needs(format_)
    table = pyarrow.csv.read_csv(TAXI, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))
    check_reader(format_, table, [], tmp_path)


def _needs(format_: Format) -> None:
    packages = {"delta": "deltalake", "iceberg": "pyiceberg", "tfrecord": "google_crc32c"}
    if format_.name in packages:
        why = f"the extra headrace[{format_.name}] is not installed"
        pytest.importorskip(packages[format_.name], reason=why)
