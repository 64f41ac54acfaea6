"""``headrace data``: what it prints, what it answers, and that it leaves nothing behind."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.comparison.command import data
from orchestration import DataError
from orchestration.errors import HeadraceError

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
Change = Callable[[pd.DataFrame], pd.DataFrame]


def headrace(*arguments: object) -> int:
    """Run ``headrace data`` and return its answer, 2 as the command line does for errors."""
    try:
        code = data([str(a) for a in arguments], exit_on_error=False, result_action="return_value")
    except HeadraceError:
        return 2
    assert isinstance(code, int)
    return code


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    draw = np.random.default_rng(7)
    rows = 2_000
    return pd.DataFrame(
        {
            "id": [f"trip-{n}" for n in range(rows)],
            "fare": np.round(draw.gamma(2, 5, rows), 2) + 2.5,
            "tip": np.round(draw.exponential(2, rows), 2),
            "temperature": np.round(draw.uniform(20, 60, rows), 3),
            "hour": draw.integers(0, 24, rows),
            "payment": draw.choice(["cash", "card", "voucher"], rows, p=[0.6, 0.35, 0.05]),
            "note": np.where(draw.random(rows) < 0.2, "", "fine"),
            "at": 1_700_000_000 + draw.integers(0, 40 * 86_400, rows),
        }
    )


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def compared(
    baseline: pd.DataFrame, new: pd.DataFrame, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]]]:
    files = write(baseline, folder / "baseline.csv"), write(new, folder / "new.csv")
    capsys.readouterr()
    code = headrace("compare", *files, "--json")
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["anomalies"]
    for one in printed["anomalies"]:
        assert list(one) == ["column", "kind", "severity", "message", "rows", "value", "threshold"]
        assert one["severity"] in ("fail", "warn")
    return code, printed["anomalies"]


def test_equal_files_differ_in_nothing(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(table, table, tmp_path, capsys) == (0, [])


def _in(column: str, rows: int, value: object) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        out = table.copy()
        values = list(out[column])
        values[5 : 5 + rows] = [value] * rows
        out[column] = pd.Series(values, index=out.index, dtype=object)
        return out

    return change


FAULTS: dict[str, tuple[Change, str | None, str, str, int | None]] = {
    "column gone": (lambda t: t.drop(columns="fare"), "fare", "column_missing", "fail", None),
    "column new": (lambda t: t.assign(extra=1), "extra", "column_new", "warn", None),
    "text in numbers": (_in("fare", 7, "n/a"), "fare", "type_changed", "fail", 7),
    "new value": (_in("payment", 60, "coin"), "payment", "values_unexpected", "fail", 60),
    "one new value": (_in("payment", 1, "coin"), "payment", "values_unexpected", "warn", 1),
    "values gone": (_in("fare", 100, None), "fare", "values_missing", "fail", 100),
    "one value gone": (_in("fare", 1, None), "fare", "values_missing", "warn", 1),
    "all values gone": (lambda t: t.assign(tip=None), "tip", "values_missing", "fail", 1_000),
    "below zero": (_in("fare", 3, -1), "fare", "values_out_of_range", "fail", 3),
    "no such hour": (_in("hour", 2, 24), "hour", "values_out_of_range", "fail", 2),
    "far away": (_in("temperature", 40, 9999), "temperature", "values_out_of_range", "fail", 40),
    "another unit": (lambda t: t.assign(tip=t.tip * 100), "tip", "distribution_changed", "fail", None),
    "swapped": (lambda t: t.assign(fare=t.tip, tip=t.fare), "tip", "distribution_changed", "fail", None),
    "written otherwise": (
        lambda t: t.assign(payment=t.payment.str.upper()),
        "payment",
        "values_unexpected",
        "fail",
        1_000,
    ),
    "rows twice": (
        lambda t: pd.concat([t, t.iloc[:50]]),
        None,
        "rows_repeated",
        "fail",
        100,
    ),
    "time earlier": (
        lambda t: t.assign(at=t["at"] - 20 * 86_400),
        "at",
        "distribution_changed",
        "fail",
        None,
    ),
    "time later": (
        lambda t: t.assign(at=t["at"] + 40 * 86_400),
        "at",
        "distribution_changed",
        "warn",
        None,
    ),
    "no rows": (lambda t: t.iloc[:0], None, "row_count_out_of_range", "fail", 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found_and_named(
    fault: str, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, column, kind, severity, rows = FAULTS[fault]
    half = table.sample(1_000, random_state=3)
    new = change(table.drop(half.index))
    code, anomalies = compared(half, new, tmp_path, capsys)
    found = [one for one in anomalies if (one["column"], one["kind"]) == (column, kind)]
    assert [one["severity"] for one in found] == [severity], anomalies
    assert rows is None or found[0]["rows"] == rows
    assert code == int(any(one["severity"] == "fail" for one in anomalies))
    assert column is None or column in found[0]["message"]
    others = [one for one in anomalies if one["severity"] == "fail" and one not in found]
    related = {"swapped": {"fare"}}.get(fault, set())
    assert all(one["column"] in {column, "id"} | related for one in others), anomalies


@pytest.mark.parametrize("seed", range(3))
def test_random_halves_are_no_fault(
    seed: int, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = table.sample(frac=0.5, random_state=seed)
    code, anomalies = compared(half, table.drop(half.index), tmp_path, capsys)
    assert code == 0, anomalies


def test_the_skewed_penguins_name_the_column(capsys: pytest.CaptureFixture[str]) -> None:
    folder = SHARED / "penguins"
    if not folder.exists():
        pytest.skip("penguins are not beside this checkout")
    files = folder / "penguins_processed.csv", folder / "penguins_processed_skewed.csv"
    assert headrace("compare", *files) == 1
    printed = capsys.readouterr()
    assert 'fail  "culmen_length_mm": 1 row' in printed.out
    assert "depth" not in printed.out
    assert "reading" in printed.err  # progress is no answer


def test_a_page_says_what_changed(table: pd.DataFrame, tmp_path: Path) -> None:
    new = write(table.assign(tip=table.tip * 100).drop(columns="hour"), tmp_path / "new.csv")
    page = tmp_path / "out" / "page.html"
    assert headrace("compare", write(table, tmp_path / "old.csv"), new, "--output", page) == 1
    text = page.read_text(encoding="utf-8")
    assert "about 100 times as large" in text
    assert 'column \\"hour\\" is missing' in text


def test_without_a_header(table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = tmp_path / "a.csv", tmp_path / "b.csv"
    table.to_csv(files[0], index=False, header=False)
    table.assign(tip=table.tip + 50).to_csv(files[1], index=False, header=False)
    assert headrace("compare", *files, "--no-header", "--json") == 1
    found = json.loads(capsys.readouterr().out)["anomalies"]
    assert {one["column"] for one in found} == {"column_3"}


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\xff\xfe", b"a,b\n1,2\n1,2,3\n"])
def test_files_that_cannot_be_used(content: bytes, table: pd.DataFrame, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(content)
    assert headrace("compare", write(table, tmp_path / "good.csv"), bad) == 2
    assert headrace("compare", bad, tmp_path / "good.csv") == 2
    assert headrace("report", bad, "--output", tmp_path / "r.html") == 2
    assert headrace("report", tmp_path / "nowhere.csv") == 2
    assert headrace("compare", tmp_path / "good.csv", tmp_path / "good.csv", "--threshold", "0") == 2


def test_a_report_of_several_files(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        write(table.iloc[:1_200], tmp_path / "one.csv"),
        write(table.iloc[1_200:], tmp_path / "two.csv"),
    ]
    page = tmp_path / "page.html"
    assert headrace("report", *files, "--output", page) == 0
    printed = capsys.readouterr().out
    assert "2,000 rows, 8 columns" in printed
    assert str(page) in printed
    assert '"rows":2000' in page.read_text(encoding="utf-8")


def test_every_format_gives_the_same_report(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = table.drop(columns=["note"])
    files = [tmp_path / "t.csv", tmp_path / "t.parquet", tmp_path / "t.jsonl", tmp_path / "t.tsv"]
    plain.to_csv(files[0], index=False)
    plain.to_parquet(files[1], index=False)
    plain.to_json(files[2], orient="records", lines=True)
    plain.to_csv(files[3], index=False, sep="\t")
    printed = []
    for file in files:
        assert headrace("report", file, "--output", tmp_path / "page.html") == 0
        printed.append(capsys.readouterr().out)
    assert printed[1:] == [printed[0]] * 3


def test_mixed_formats_are_refused(tmp_path: Path) -> None:
    from components.comparison.files import format_of

    assert format_of([Path("a.csv.gz")]) == "csv"
    assert format_of([Path("data_tfrecord-00000-of-00001.gz")]) == "tfrecord"
    with pytest.raises(DataError, match="several formats"):
        format_of([Path("a.csv"), Path("b.parquet")])
    with pytest.raises(DataError, match="does not tell"):
        format_of([Path("picture.png")])


def test_errors_name_the_files_as_they_are_called(
    tmp_path: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.comparison.files import ReadOptions, read_files
    from orchestration import Beam, RunContext

    write(table, tmp_path / "good.csv")
    (tmp_path / "broken.csv").write_text(table.head(3).to_csv(index=False) + "1,2\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as raised:
        read_files(["good.csv", "broken.csv"], "all", ReadOptions(), Beam(), RunContext())
    assert "broken.csv" in str(raised.value)
    assert "headrace-files-" not in str(raised.value)


def test_nothing_stays_behind(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(table, tmp_path / "t.csv")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    assert headrace("report", "t.csv") == 0
    assert headrace("compare", "t.csv", "t.csv") == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "t.csv", "tmp"]


def test_a_terminal_is_not_moved_by_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "t.csv"
    file.write_text("x\n" + "\x1b[2Jgone\n" * 3, encoding="utf-8")
    assert headrace("report", file, "--output", tmp_path / "r.html") == 0
    assert "\x1b" not in capsys.readouterr().out
