from __future__ import annotations

import hashlib
import itertools
import os
import pickle
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from components.reading.span_pattern import SpanPattern
from components.reading.span_unit import SpanUnit
from components.reading.span_window import SpanWindow
from components.reading.spans import SpanFiles
from orchestration import ArgumentError, DataError


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(
    pattern: str | Path, span: str | int = "all", missing: str = "skip"
) -> list[tuple[str, object, object]]:
    window = SpanWindow(str(span), missing)  # type: ignore[arg-type]  # its values are tested too
    return [(path.name, span_, version) for path, span_, version in SpanFiles(pattern).within(window).found()]


# ---------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("pattern", "path", "label", "version"),
    [
        ("d/{SPAN}/*.csv", "d/7/a.csv", "7", None),
        ("d/{SPAN}/*.csv", "d/007/a.csv", "7", None),
        ("d/span-{SPAN:3}-{VERSION:2}.csv", "d/span-012-03.csv", "12", 3),
        ("d/{SPAN:2}{VERSION:2}.csv", "d/1203.csv", "12", 3),
        ("d/{SPAN}/v{VERSION}/*", "d/7/v12/x", "7", 12),
        ("d/*{SPAN}.csv", "d/trips12.csv", "12", None),
        ("d/{SPAN}*.csv", "d/12-final.csv", "12", None),
        ("d/{YYYY}/x.csv", "d/2026/x.csv", "2026", None),
        ("d/{YYYY}-{MM}.csv", "d/2026-02.csv", "2026-02", None),
        ("d/{MM}-{YYYY}.csv", "d/02-2026.csv", "2026-02", None),
        ("d/{YYYY}{MM}{DD}/**/x.csv", "d/20261122/a/b/x.csv", "2026-11-22", None),
        ("d/{YYYY}/{MM}/{DD}/t-{YYYY}{MM}{DD}.csv", "d/2026/11/22/t-20261122.csv", "2026-11-22", None),
        ("d/{YYYY}/{MM}/{DD}/{HH}.csv", "d/2026/11/22/03.csv", "2026-11-22T03", None),
        ("s3://b/{YYYY}-{MM}-{DD}/v{VERSION}.csv", "s3://b/2026-11-22/v2.csv", "2026-11-22", 2),
        ("./d//{SPAN}/[a-c]?.csv", "d/7/b1.csv", "7", None),
    ],
)
def test_a_path_tells_its_span_and_version(pattern: str, path: str, label: str, version: int | None) -> None:
    compiled = SpanPattern.of(pattern)
    assert compiled is not None
    key = compiled.read(path)
    assert key is not None
    assert (compiled.unit.label(key.place), key.version) == (label, version)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("d/{SPAN}/*.csv", "d/3_backup/a.csv"),
        ("d/{SPAN}/*.csv", "d/3/sub/a.csv"),
        ("d/{SPAN:3}.csv", "d/12.csv"),
        ("d/{SPAN}.csv", "d/12xcsv"),
        ("d/{SPAN}/[!a]*", "d/1/abc"),
    ],
)
def test_a_path_of_another_form_has_no_span(pattern: str, path: str) -> None:
    compiled = SpanPattern.of(pattern)
    assert compiled is not None
    assert compiled.read(path) is None


@pytest.mark.parametrize(
    ("pattern", "path", "message"),
    [
        ("d/{YYYY}{MM}{DD}", "d/20261340", "20261340 names no day"),
        ("d/{YYYY}-{MM}-{DD}T{HH}", "d/2026-11-22T24", "names no hour"),
        ("d/{YYYY}/{MM}/{YYYY}-{MM}", "d/2026/11/2026-12", "{MM} is 11 and 12"),
        ("d/{SPAN}/{SPAN}", "d/1/2", "{SPAN} is 1 and 2"),
    ],
)
def test_a_path_that_contradicts_itself_is_refused(pattern: str, path: str, message: str) -> None:
    compiled = SpanPattern.of(pattern)
    assert compiled is not None
    with pytest.raises(DataError) as caught:
        compiled.read(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("d/{span}/*.csv", "did you mean {SPAN}?"),
        ("d/{YEAR}/*.csv", "{YEAR} is no field"),
        ("d/{}/*.csv", "{} is no field"),
        ("d/{VERSION}/*.csv", "{SPAN} or {YYYY}"),
        ("d/{SPAN}/{YYYY}", "either {SPAN} or the fields of a date"),
        ("d/{YYYY}/{DD}", "{MM} as well"),
        ("d/{MM}-{DD}", "{YYYY} as well"),
        ("d/{SPAN}{VERSION}.csv", "{SPAN:3}"),
        ("d/{YYYY:2}.csv", "{YYYY} has 4 digits"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        SpanPattern.of(pattern)
    assert message in str(caught.value)


@given(st.dates(date(1, 1, 1), date(9999, 12, 30)), st.integers(0, 23), st.sampled_from(list(SpanUnit)[1:]))
def test_labels_and_places_of_the_calendar_agree(day: date, hour: int, unit: SpanUnit) -> None:
    texts = {"YYYY": f"{day.year:04d}", "MM": f"{day.month:02d}", "DD": f"{day.day:02d}", "HH": f"{hour:02d}"}
    place = unit.place(texts)
    assert unit.parse(unit.label(place)) == place
    assert unit.label(place) < unit.label(place + 1)
    if unit is SpanUnit.DAY:
        assert unit.label(place + 1) == (day + timedelta(days=1)).isoformat()


# ---------------------------------------------------------------- windows


def reference(span: str, there: set[int]) -> set[int]:
    """Return the numbered spans a window wants, found the slow way."""
    newest = max(there)
    if span == "latest":
        return {newest}
    if span == "all":
        return set(range(min(there), newest + 1))
    if span.startswith("last "):
        count, _, end = span.removeprefix("last ").partition(" to ")
        last = int(end or newest)
        return {last - step for step in range(int(count))}
    first, dots, end = span.partition("..")
    return set(range(int(first), int(end or newest) + 1)) if dots else {int(span)}


WINDOWS = st.one_of(
    st.sampled_from(["latest", "all"]),
    st.integers(0, 30).map(str),
    st.integers(1, 12).map(lambda count: f"last {count}"),
    st.tuples(st.integers(1, 12), st.integers(0, 30)).map(lambda pair: f"last {pair[0]} to {pair[1]}"),
    st.integers(0, 30).map(lambda first: f"{first}.."),
    st.tuples(st.integers(0, 30), st.integers(0, 9)).map(lambda pair: f"{pair[0]}..{sum(pair)}"),
)


@given(WINDOWS, st.sets(st.integers(0, 30), min_size=1), st.sampled_from(["fail", "skip"]))
def test_a_window_holds_what_it_says(span: str, there: set[int], missing: str) -> None:
    wanted = reference(span, there)
    window = SpanWindow(span, missing)  # type: ignore[arg-type]  # a sampled literal
    if not wanted & there or (missing == "fail" and wanted - there):
        with pytest.raises(DataError):
            window.choose(SpanUnit.NUMBER, there)
    else:
        assert window.choose(SpanUnit.NUMBER, there) == sorted(wanted & there)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("2026-02-27..2026-03-02", ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]),
        ("last 3", ["2026-03-01", "2026-03-02", "2026-03-03"]),
        ("last 2 to 2026-03-01", ["2026-02-28", "2026-03-01"]),
    ],
)
def test_days_follow_each_other_across_months(tmp_path: Path, span: str, expected: list[str]) -> None:
    days = [date(2026, 2, 26) + timedelta(days=step) for step in range(6)]
    make(tmp_path, *(f"{day:%Y/%m/%d}/a.csv" for day in days))
    chosen = found(tmp_path / "{YYYY}/{MM}/{DD}/*.csv", span, "fail")
    assert [label for _, label, _ in chosen] == expected


@pytest.mark.parametrize(
    "span", ["", "newest", "last", "last 0", "last -1", "1...3", "1..2..3", "-1", "2026-1-1"]
)
def test_windows_that_mean_nothing_are_refused(span: str) -> None:
    with pytest.raises(ArgumentError, match="span"):
        SpanWindow.of(span)


def test_a_window_must_fit_the_pattern(tmp_path: Path) -> None:
    make(tmp_path, "2026-11-22.csv")
    with pytest.raises(ArgumentError, match="does not fit the pattern") as caught:
        found(tmp_path / "{YYYY}-{MM}-{DD}.csv", 3)
    assert "2026-11-22" in str(caught.value.expected)
    with pytest.raises(ArgumentError, match="out of range"):
        found(tmp_path / "{YYYY}-{MM}-{DD}.csv", "2026-11-23..2026-11-22")
    with pytest.raises(ArgumentError, match='"span"'):
        found(tmp_path / "*.csv", "last 3")


# ---------------------------------------------------------------- files


def test_the_newest_version_of_the_newest_span_is_read(tmp_path: Path) -> None:
    make(
        tmp_path,
        "8/v1/a",
        "9/v2/a",
        "9/v10/a",
        "9/v10/b",
        "10/v1/a",
        "10/v1/.hidden",
        "10/v1/_mark",
        "notes/a",
    )
    pattern = tmp_path / "{SPAN}/v{VERSION}/*"
    assert found(pattern, "latest") == [("a", "10", 1)]
    assert found(pattern, 9) == [("a", "9", 10), ("b", "9", 10)]
    assert [(span, version) for _, span, version in found(pattern)] == [
        ("8", 1),
        ("9", 10),
        ("9", 10),
        ("10", 1),
    ]


def test_a_folder_of_a_span_stands_for_its_files(tmp_path: Path) -> None:
    make(tmp_path, "1/a", "1/b", "2/a", "2/deep/c")
    expected = [("a", "1", None), ("b", "1", None), ("a", "2", None)]
    assert found(f"{tmp_path}/{{SPAN}}/") == found(f"{tmp_path}/{{SPAN}}/*") == expected
    assert found(f"{tmp_path}/{{SPAN}}/**/*") == [*expected, ("c", "2", None)]


def test_a_span_without_files_is_missing(tmp_path: Path) -> None:
    make(tmp_path, "1/a", "2/a", "5/a")
    (tmp_path / "6").mkdir()
    pattern = tmp_path / "{SPAN}/*"
    assert found(pattern, "latest") == [("a", "5", None)]
    with pytest.raises(DataError, match=r"2 of 5 spans have no files: 3, 4\n") as caught:
        found(pattern, "last 5", "fail")
    assert caught.value.received == "the spans there are: 3 from 1 to 5"
    assert caught.value.next == 'missing_spans="skip" to read the others'
    with pytest.raises(DataError, match="span 3 has no files"):
        found(pattern, "2..3", "fail")
    with pytest.raises(DataError, match="span 7 has no files"):
        found(pattern, "7", "skip")
    with pytest.raises(DataError, match="there is no span from 9 on"):
        found(pattern, "9..", "skip")
    with pytest.raises(DataError, match=r"4 of 7 spans have no files: 0, 3, 4\n"):
        found(pattern, "last 7", "fail")


def test_a_pattern_without_match_says_what_is_near(tmp_path: Path) -> None:
    make(tmp_path, "in/2026-11-1/a.csv", "in/README.md")
    with pytest.raises(DataError, match="no input file matches") as caught:
        found(tmp_path / "in/{YYYY}-{MM}-{DD}/*.csv")
    assert caught.value.received == f"{tmp_path}/in holds 2026-11-1, README.md"
    make(tmp_path, "in/2026-11-22/a.tsv")
    with pytest.raises(DataError, match="no input file matches") as caught:
        found(tmp_path / "in/{YYYY}-{MM}-{DD}/*.csv")
    assert caught.value.received == f"{tmp_path}/in/2026-11-22 holds a.tsv"


def test_one_span_written_in_two_ways_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "3/a", "03/a")
    with pytest.raises(DataError, match="span 3 is written in two ways"):
        found(tmp_path / "{SPAN}/*")


def test_relative_patterns_are_found_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "in/1/a", "in/2/a")
    monkeypatch.chdir(tmp_path)
    assert found("./in/{SPAN}/*") == found("in//{SPAN}/a") == [("a", "1", None), ("a", "2", None)]
    with pytest.raises(DataError, match=r"no input file matches out/\{SPAN\}") as caught:
        found("out/{SPAN}")
    assert caught.value.received == ". holds in"


def test_spans_in_a_remote_store() -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for name in ("1/v1/a", "2/v1/a", "2/v2/a", "2/v2/.b"):
        store.pipe_file(f"/spans-test/{name}", b"x")
    for root in ("memory://spans-test", "memory:///spans-test"):
        assert found(f"{root}/{{SPAN}}/v{{VERSION}}/*") == [("a", "1", 1), ("a", "2", 2)]
        with pytest.raises(DataError) as caught:
            found(f"{root}/{{YYYY}}/*")
        assert str(caught.value.received).endswith("spans-test holds 1, 2")


# ---------------------------------------------------------------- what a result depends on


def digest(files: SpanFiles) -> str:
    return files.content_digest({}, lambda path: hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_digest_is_of_the_chosen_files(tmp_path: Path) -> None:
    make(tmp_path, *(f"{span}/v1/a" for span in range(1, 4)))
    files = SpanFiles(tmp_path / "{SPAN}/v{VERSION}/*")
    two, latest, every = files.among({"span": 2}), files.among({}), files
    before = [digest(choice) for choice in (two, latest, every)]
    assert len(set(before)) == 3
    make(tmp_path, "4/v1/a")
    assert [digest(choice) == old for choice, old in zip((two, latest, every), before, strict=True)] == [
        True,
        False,
        False,
    ]
    make(tmp_path, "2/v2/a")
    assert digest(two) != before[0]
    assert digest(pickle.loads(pickle.dumps(two))) == digest(two)


def test_equal_files_in_another_span_are_another_input(tmp_path: Path) -> None:
    for span in (1, 2):
        make(tmp_path, f"{span}/a")
        (tmp_path / f"{span}/a").write_text("same")
    files = SpanFiles(tmp_path / "{SPAN}/*")
    assert digest(files.among({"span": 1})) != digest(files.among({"span": 2}))


def test_a_pattern_without_fields_is_as_any_files(tmp_path: Path) -> None:
    from orchestration import Files

    make(tmp_path, "a.csv", "b.csv")
    pattern = str(tmp_path / "*.csv")
    assert SpanFiles(pattern).paths() == Files(pattern).paths()
    assert digest(SpanFiles(pattern).among({"span": "latest"})) == Files(pattern).content_digest(
        {}, lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
    )


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True))
def test_spans_are_in_the_order_of_their_numbers(numbers: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), *(f"{number}/a" for number in numbers))
        spans = [str(span) for _, span, _ in found(os.path.join(folder, "{SPAN}", "*"))]  # noqa: PTH118
    assert spans == [str(number) for number in sorted(numbers)]
    assert all(int(one) < int(two) for one, two in itertools.pairwise(spans))
