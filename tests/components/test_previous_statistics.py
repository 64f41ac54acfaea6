"""What new data is compared with: the last good run, day after day, or statistics kept as a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from components.compute_statistics import compute_statistics
from components.infer_schema import infer_schema
from components.previous_statistics import GoodRuns, previous_statistics, read_statistics
from components.read_csv import read_csv
from components.statistics.statistics import load_statistics
from components.validate_examples import validate_examples
from orchestration import DataError, Files, pipeline
from orchestration.records import RunState
from orchestration.result import RunResult
from orchestration.run import run_pipeline
from orchestration.settings import load, use
from tests.components.validation.material import examples_of


@pipeline
def daily(data: str, first: str = "itself"):
    """Hold each day's rows against the last good day's."""
    examples = read_csv(data, splits={"all": 1.0})
    statistics = compute_statistics(examples)
    schema = infer_schema(statistics)
    before = previous_statistics(statistics, first=first)
    validate_examples(examples, statistics, schema, before)


Day = Callable[..., RunResult]


@pytest.fixture
def day(tmp_path: Path) -> Day:
    settings = load(home=str(tmp_path / "home"), tracking="off")

    def run(name: str, mean: float, **parameters: object) -> RunResult:
        path = tmp_path / f"{name}.csv"
        fares = np.random.default_rng(len(name) + int(mean)).normal(mean, 1, 500).round(3)
        pacsv.write_csv(pa.table({"fare": fares}), path)
        with use(settings):
            bound = daily.bind({"data": str(path), **parameters})
            return run_pipeline(daily, bound, settings=settings, in_process=True)

    return run


def mean_of(result: RunResult) -> float:
    """Return the mean of the statistics that a run compared its own with."""
    statistics = load_statistics(result.artifact("previous_statistics"))  # type: ignore[arg-type]  # they are
    numbers = statistics.splits["all"].columns[0].numbers
    assert numbers is not None and numbers.mean is not None
    return numbers.mean


def test_each_day_is_compared_with_the_last_good_one(day: Day) -> None:
    first = day("monday", 100)
    assert first.state is RunState.SUCCEEDED
    anomalies = first.artifact("validate_examples", "validation").read_json("anomalies.json")
    assert [one["kind"] for one in anomalies] == ["not_checked"]

    moved = day("tuesday", 200)
    assert moved.state is RunState.FAILED
    assert mean_of(moved) == pytest.approx(100, abs=1)

    third = day("wednesday", 100)
    assert third.state is RunState.SUCCEEDED
    assert mean_of(third) == pytest.approx(100, abs=1), "the failed day never became the measure"

    again = day("wednesday", 100)
    assert {str(attempt.state) for attempt in again.nodes.values()} == {"CACHED"}


def test_without_an_earlier_run_nothing_is_compared_unless_allowed(day: Day) -> None:
    failed = day("monday", 100, first="fail")
    assert failed.state is RunState.FAILED
    assert "there is no earlier good run" in failed.nodes["previous_statistics"].error


def test_earlier_statistics_that_are_gone_are_an_error(day: Day) -> None:
    shutil.rmtree(Path(day("monday", 100).artifact("compute_statistics").uri))
    failed = day("tuesday", 100)
    assert "no longer stored" in failed.nodes["previous_statistics"].error


def test_other_runs_can_be_named(day: Day) -> None:
    assert (GoodRuns("").pipeline, GoodRuns("").node) == ("", "compute_statistics")
    assert (GoodRuns("taxi").pipeline, GoodRuns("taxi").node) == ("taxi", "compute_statistics")
    assert (GoodRuns("taxi:described").pipeline, GoodRuns("taxi:described").node) == ("taxi", "described")
    day("monday", 100)
    assert day("tuesday", 100, first="fail").state is RunState.SUCCEEDED


def test_kept_statistics_are_read_back(tmp_path: Path) -> None:
    made = compute_statistics(examples_of(("train", pa.table({"a": [1, 2, 3]}))))
    shutil.copytree(made.path, tmp_path / "kept")
    for name in ("kept", "kept/statistics.json"):
        found = read_statistics(Files(str(tmp_path / name)))
        assert load_statistics(found) == load_statistics(made)
        assert found.metadata == made.metadata


@pytest.mark.parametrize("text", ["{}", "no JSON", json.dumps({"splits": 3, "quantile_error": 0.1})])
def test_a_file_that_holds_no_statistics_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "statistics.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"statistics\.json holds no statistics"):
        read_statistics(Files(str(tmp_path)))


def test_a_folder_without_statistics_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none", encoding="utf-8")
    with pytest.raises(DataError, match="must be one file"):
        read_statistics(Files(str(tmp_path)))
