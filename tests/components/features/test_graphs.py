"""One description, two runtimes: what they compute, and that they agree."""

from __future__ import annotations

import calendar
import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from components.features import FeatureSpec, categorical, cross, features, label, numeric, timestamp
from components.features.frozen import FrozenFeatures
from components.features.onnx_graph import OnnxTransform
from components.features.spec import resolve_inputs
from components.model_format import MISSING_INT, encode
from tests.components.features.rows import RIDES, rides

NAN, INF = float("nan"), float("inf")
Y = label("y").value()


def frozen(spec: FeatureSpec, batch: pa.RecordBatch) -> FrozenFeatures:
    analysis = {one: one.create() for one in spec.analyzers}
    for analyzer, accumulator in analysis.items():
        analyzer.add(accumulator, batch)
    return FrozenFeatures.freeze(spec, resolve_inputs(spec, batch.schema), analysis)


def computed(part: Any, values: list[Any], probes: list[Any], kind: pa.DataType) -> list[Any]:
    """Freeze one feature on ``values`` and return what it makes of ``probes``."""
    spec = features(part, label=Y)
    batch = pa.record_batch({"c": pa.array(values, kind), "y": [0.0] * len(values)})
    made = frozen(spec, batch)
    blocks = OnnxTransform(made)(encode(made.inputs, pa.record_batch({"c": pa.array(probes, kind)})))
    (block,) = blocks.values()
    rows: list[Any] = block[:, 0].tolist() if block.shape[1] == 1 else block.tolist()
    return rows


FLOAT, WHOLE, TEXT = pa.float64(), pa.int64(), pa.string()


@pytest.mark.parametrize(
    ("part", "values", "probes", "expected"),
    [
        (numeric("c"), [1.0, 3.0], [5.0, None, NAN, INF, -INF], [5, 2, 2, 2, 2]),
        (numeric("c", missing=7), [1.0, 3.0], [5.0, None], [5, 7]),
        (numeric("c").z_score(), [1.0, 3.0], [3.0, None, 5.0], [1, 0, 3]),
        (numeric("c").z_score(), [4.0, 4.0], [4.0, 5.0], [0, 1]),
        (numeric("c").min_max(), [1.0, 3.0], [2.0, 0.0, 9.0, None], [0.5, 0, 1, 0.5]),
        (numeric("c").min_max(), [4.0], [4.0, None], [0, 0]),
        (numeric("c").log1p(), [0.0], [np.e - 1, -5.0, None], [1, 0, 0]),
        (
            numeric("c").bucketize([2, 4]),
            [1.0],
            [1.0, 2.0, 4.0, None, NAN, -9.0, 99.0],
            [1, 2, 3, 0, 0, 1, 3],
        ),
        (numeric("c").bucketize(2), [1.0, 2.0, 3.0, 4.0], [2.9, 3.0, None], [1, 2, 0]),
        (numeric("c").bucketize(5), [7.0, 7.0], [7.0, 0.0, None], [1, 1, 0]),
    ],
)
def test_numbers(part: Any, values: list[Any], probes: list[Any], expected: list[float]) -> None:
    assert computed(part, values, probes, FLOAT) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("part", "kind", "values", "probes", "expected"),
    [
        (numeric("c").identity(3), WHOLE, [0], [0, 2, 3, -1, None, 2**62], [1, 3, 4, 4, 0, 4]),
        (
            categorical("c").vocabulary(),
            TEXT,
            ["b", "a", "b", "c"],
            ["b", "a", "c", "d", None, ""],
            [1, 2, 3, 4, 0, 0],
        ),
        (categorical("c").vocabulary(top=1, oov=0), TEXT, ["b", "a", "b"], ["b", "a", None], [1, 0, 0]),
        (categorical("c").vocabulary(min_count=2), TEXT, ["b", "a", "b"], ["b", "a"], [1, 2]),
        (categorical("c").vocabulary(), WHOLE, [9, -3, 9], [9, -3, 5, None], [1, 2, 3, 0]),
        (categorical("c").vocabulary(), pa.bool_(), [True, False, True], [True, False, None], [1, 2, 0]),
        (categorical("c").vocabulary(), TEXT, ["a\nb", "\u65e5 "], ["a\nb", "\u65e5 ", "a"], [1, 2, 3]),
    ],
)
def test_categories(
    part: Any, kind: pa.DataType, values: list[Any], probes: list[Any], expected: list[int]
) -> None:
    assert computed(part, values, probes, kind) == expected


def test_one_hot_has_a_column_for_missing_and_for_unknown() -> None:
    part = categorical("c").vocabulary().one_hot()
    rows = computed(part, ["a", "b"], ["a", "b", None, "z"], TEXT)
    assert rows == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]


@given(st.datetimes())
def test_calendar_parts(moment: dt.datetime) -> None:
    seconds = calendar.timegm(moment.timetuple())
    expected = {
        "minute": moment.minute,
        "hour": moment.hour,
        "weekday": moment.weekday(),
        "day": moment.day - 1,
        "month": moment.month - 1,
    }
    spec = features(timestamp("c").parts(*expected), label=Y)
    made = frozen(spec, pa.record_batch({"c": pa.array([0]), "y": [0.0]}))
    found = OnnxTransform(made)({"c": np.array([seconds])})["ids"][0]
    assert found.tolist() == [part + 1 for part in expected.values()]


def test_the_calendar_turns_where_it_should_in_every_year() -> None:
    first = dt.date(1970, 1, 1).toordinal()
    days = [
        dt.date(year, month, 1).toordinal() - back
        for year in range(1, 10_000)
        for month in (1, 3, 12)
        for back in (0, 1)
        if (year, month, back) != (1, 1, 1)
    ]
    spec = features(timestamp("c").parts("day", "month", "weekday"), label=Y)
    made = frozen(spec, pa.record_batch({"c": pa.array([0]), "y": [0.0]}))
    found = OnnxTransform(made)({"c": np.array([(day - first) * 86_400 for day in days])})["ids"]
    dates = [dt.date.fromordinal(day) for day in days]
    np.testing.assert_array_equal(found, [(d.day, d.month, d.weekday() + 1) for d in dates])


def test_times_out_of_range_are_missing_and_units_are_kept() -> None:
    part = timestamp("c", unit="ms").parts("hour")
    probes = [3_600_000, -1, None, 2**62, MISSING_INT + 1]
    assert computed(part, [0], probes, WHOLE) == [2, 24, 0, 0, 0]


@pytest.mark.parametrize("buckets", [10_000, 7])
def test_crosses_keep_pairs_apart_where_there_is_room(buckets: int) -> None:
    spec = features(
        numeric("a").identity(4), numeric("b").identity(5), cross("a", "b", buckets=buckets), label=Y
    )
    pairs = [(a, b) for a in (*range(-1, 4), None) for b in (*range(-1, 5), None)]
    batch = pa.record_batch(
        {
            "a": pa.array([a for a, _ in pairs], WHOLE),
            "b": pa.array([b for _, b in pairs], WHOLE),
            "y": [0.0] * len(pairs),
        }
    )
    made = frozen(spec, batch)
    ids = OnnxTransform(made)(encode(made.inputs, batch))["ids"][:, 2]
    cardinality = made.id_columns[2].cardinality
    assert ids.min() >= 0
    assert ids.max() < cardinality
    assert len(set(ids.tolist())) == min(len(pairs), buckets)
    assert cardinality == (42 if buckets > 42 else 7)


def random_rows(draw: Any, count: int) -> dict[str, np.ndarray]:
    floats = st.floats(width=32) | st.sampled_from([0.0, -0.0, NAN, INF, -INF, 3.4e38, 1e-45])
    integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 30) | st.just(MISSING_INT)
    strings = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4) | st.sampled_from(
        ["", "é1", "é2"]
    )
    kinds = {"miles": floats, "fare": floats, "hour": integers, "company": strings, "zone": integers}
    kinds["start"] = integers | st.integers(-(10**11), 10**12)
    return {
        name: np.array(
            [draw(kind) for _ in range(count)],
            object if name == "company" else "float32" if kind is floats else "int64",
        )
        for name, kind in kinds.items()
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_tensorflow_and_onnx_agree_on_every_value(data: st.DataObject) -> None:
    import tensorflow as tf

    from components.features.tensorflow_ops import Tables, TensorFlowOps

    made = frozen(RIDES, rides().combine_chunks().to_batches()[0])
    raw = random_rows(data.draw, 6)
    blocks = OnnxTransform(made)(raw)
    dense, ids = made.build(TensorFlowOps({name: tf.constant(v) for name, v in raw.items()}, Tables()))
    np.testing.assert_array_equal(blocks["ids"], np.concatenate([one.numpy() for one in ids], 1))
    np.testing.assert_allclose(
        blocks["numbers"], np.concatenate([one.numpy() for one in dense], 1), rtol=1e-5, atol=1e-6
    )
    assert np.isfinite(blocks["numbers"]).all()
    limits = [one.cardinality for one in made.id_columns]
    assert ((blocks["ids"] >= 0) & (blocks["ids"] < limits)).all()
