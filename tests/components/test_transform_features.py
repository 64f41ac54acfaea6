from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Transform
from components.features import categorical, features, label, numeric
from components.features.transformed import load_frozen, load_rows, load_sample
from components.transform_features import transform_features
from orchestration import ArgumentError, DataError, HeadraceError, RunContext
from tests.components.features.rows import DATA, RIDES, examples_of, no_schema, rides

DROPPING = features(*RIDES.features, label=label("tips", missing="drop").greater_than(4))


def contents(transform: Transform) -> dict[str, str]:
    files = (path for path in transform.path.rglob("*") if path.is_file())
    return {str(p.relative_to(transform.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_rows_features_and_label_are_written() -> None:
    table = rides(200)
    events: list[dict[str, Any]] = []
    examples = examples_of({"train": table, "eval": table.slice(0, 50)})
    made = transform_features(examples, no_schema(), DROPPING, run=RunContext(emit=events.append))
    missing = table["tips"].null_count
    assert made.metadata == {
        "splits": {
            "train": {"rows": 200 - missing, "dropped": missing},
            "eval": {"rows": 50 - table.slice(0, 50)["tips"].null_count, "dropped": 3},
        },
        "dense": 7,
        "ids": 11,
        "task": "binary",
        "sample_split": "train",
    }
    frozen = load_frozen(made)
    loaded = load_rows(made, "train", frozen=frozen)
    assert (loaded.dense.shape, loaded.ids.shape) == ((200 - missing, 7), (200 - missing, 11))
    tips = [tip for tip in table["tips"].to_pylist() if tip is not None]
    np.testing.assert_array_equal(loaded.label, [float(tip > 4) for tip in tips])
    assert {"kind": "progress", "done": 250, "total": 250, "unit": "rows"} in events
    assert {"train_rows_dropped", "rows_per_second"} <= {event.get("name") for event in events}


def test_the_sample_holds_the_raw_rows_of_the_first_transformed_ones() -> None:
    from components.features.onnx_graph import OnnxTransform
    from components.model_format import encode

    made = transform_features(examples_of({"train": rides(600)}), no_schema(), DROPPING)
    frozen, sample = load_frozen(made), load_sample(made)
    assert sample.schema.names == list(DROPPING.columns)
    again = OnnxTransform(frozen)(encode(frozen.inputs, sample))
    first = load_rows(made, "train", frozen=frozen, limit=sample.num_rows)
    assert len(first) == 256
    np.testing.assert_array_equal(again["ids"], first.ids)
    np.testing.assert_array_equal(again["numbers"], first.dense)


def test_only_the_analyzed_split_decides_the_state() -> None:
    alone = transform_features(examples_of({"train": rides(90)}), no_schema(), DROPPING)
    other = pa.table(rides(90).to_pydict() | {"fare": [1e6] * 90}, schema=rides(1).schema)
    both = transform_features(examples_of({"train": rides(90), "eval": other}), no_schema(), DROPPING)
    assert load_frozen(alone) == load_frozen(both)


def test_how_the_rows_are_cut_into_files_and_groups_does_not_matter() -> None:
    table = rides(300)
    whole = transform_features(examples_of({"train": table}), no_schema(), DROPPING)
    cut = [table.slice(0, 7), table.slice(7, 200), table.slice(207)]
    parts = transform_features(examples_of({"train": cut}, row_group=41), no_schema(), DROPPING)
    frozen = load_frozen(whole)
    assert load_frozen(parts) == frozen
    one, other = (load_rows(made, "train", frozen=frozen) for made in (whole, parts))
    np.testing.assert_array_equal(one.dense, other.dense)
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.label, other.label)


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (
        transform_features(examples_of({"train": rides(80)}, row_group=30), no_schema(), DROPPING)
        for _ in range(2)
    )
    assert contents(first) == contents(second)
    assert len(contents(first)) == 3 + 2
    assert first.metadata == second.metadata


def test_classes_are_learned_in_order() -> None:
    table = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "kind": ["b", "c", "a", "b"]})
    made = transform_features(
        examples_of({"train": table}), no_schema(), features(numeric("x"), label=label("kind"))
    )
    frozen = load_frozen(made)
    assert (frozen.task, frozen.classes) == ("multiclass", ("a", "b", "c"))
    assert load_rows(made, "train", frozen=frozen).label.tolist() == [1, 2, 0, 1]


def test_an_empty_split_is_no_error_unless_it_is_analyzed() -> None:
    examples = examples_of({"train": rides(20), "eval": rides(20).slice(0, 0)})
    made = transform_features(examples, no_schema(), DROPPING)
    assert made.metadata["splits"]["eval"] == {"rows": 0, "dropped": 0}
    with pytest.raises(DataError, match='split "eval" has no rows to analyze'):
        transform_features(examples, no_schema(), DROPPING, analyze_split="eval")


def wrong(spec: Any, table: pa.Table | None = None, **options: Any) -> HeadraceError:
    examples = examples_of({"train": rides(40) if table is None else table})
    with pytest.raises(HeadraceError) as caught:
        transform_features(examples, no_schema(), spec, **options)
    return caught.value


def test_a_missing_label_is_refused_unless_told_to_drop() -> None:
    error = wrong(RIDES)
    assert isinstance(error, DataError)
    assert error.headline == 'the label "tips > (0.2 * fare)" is missing in some rows'
    assert error.next is not None
    assert 'missing="drop"' in error.next


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (features(numeric("fair"), label=label("tips")), 'no column "fair"'),
        (features(numeric("fare", missing="error"), label=label("one").value()), "no policy"),
        (
            features(numeric("fare"), label=label("company", classes=("é0", "é1"), missing="drop")),
            '"company" has a class',
        ),
        (features(numeric("fare"), label=label("company").greater_than(1)), "does not hold numbers"),
        (features(numeric("none").z_score(), label=label("one").value()), "no value"),
        (features(numeric("none").bucketize(3), label=label("one").value()), "no value"),
        (features(categorical("text").vocabulary(), label=label("one").value()), "no value"),
        (
            features(categorical("company").vocabulary(min_count=99), label=label("one").value()),
            "frequent enough",
        ),
        (features(numeric("fare"), label=label("one")), "has 1 classes"),
        (features(numeric("fare"), label=label("text")), "has 0 classes"),
    ],
)
def test_bad_data_are_clear_errors(spec: Any, words: str) -> None:
    table = rides(40)
    table = table.append_column("none", pa.array([None] * 40, pa.float64()))
    table = table.append_column("text", pa.array([""] * 40)).append_column("one", pa.array([1] * 40))
    error = wrong(spec, table)
    assert isinstance(error, DataError)
    assert words in error.headline


def test_wrong_arguments_are_refused() -> None:
    assert "are not a specification" in wrong([numeric("fare")]).headline
    error = wrong(DROPPING, analyze_split="trian")
    assert isinstance(error, ArgumentError)
    assert error.next == 'did you mean analyze_split="train"?'


def test_rows_that_do_not_add_up_are_an_error() -> None:
    examples = examples_of({"train": rides(30), "eval": rides(10)})
    examples.metadata["splits"]["eval"]["rows"] = 11
    with pytest.raises(DataError, match='rows of split "eval" do not add up') as caught:
        transform_features(examples, no_schema(), DROPPING)
    assert caught.value.received == "10 read, 10 written or dropped"
    examples.metadata["splits"]["train"]["rows"] = 29
    with pytest.raises(DataError, match='split "train" does not hold'):
        transform_features(examples, no_schema(), DROPPING)


def test_taxi_columns_hold_what_pandas_computes() -> None:
    pd = pytest.importorskip("pandas")
    from pipelines.taxi_model import FEATURES
    from tests.components.features.rows import taxi_examples

    examples = taxi_examples()
    made = transform_features(examples, no_schema(), FEATURES)
    frame = pd.read_csv(DATA / "taxi" / "data.csv")
    frame = frame[frame.index % 5 != 0].reset_index(drop=True)
    parts = sorted(Path(made.uri, "examples", "train").glob("*.parquet"))
    table = pa.concat_tables([pq.ParquetFile(part).read(use_threads=False) for part in parts])
    logged = np.log1p(frame.fare.astype("float64"))
    expected = (logged - logged.mean()) / logged.std(ddof=0)
    np.testing.assert_allclose(table["fare.log1p.z_score"].to_numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(table["label"].to_numpy(), frame.tips > 0.2 * frame.fare)
    np.testing.assert_array_equal(table["trip_start_hour.identity"].to_numpy(), frame.trip_start_hour + 1)
    counts = frame.payment_type.value_counts()
    ordered = sorted(counts.index, key=lambda value: (-counts[value], value))
    np.testing.assert_array_equal(
        table["payment_type.vocabulary"].to_numpy(), [ordered.index(v) + 1 for v in frame.payment_type]
    )
    missing = table["dropoff_latitude.buckets"].to_numpy() == 0
    np.testing.assert_array_equal(missing, frame.dropoff_latitude.isna())
    sizes = np.bincount(table["pickup_latitude.buckets"].to_numpy())[1:]
    assert len(sizes) == 10
    assert sizes.min() > 0.02 * len(frame)
