from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from components.features import FeatureSpec, categorical, cross, features, label, numeric, timestamp
from components.features.spec import resolve_inputs
from orchestration import ArgumentError, ArtifactError, DataError, HeadraceError
from tests.components.features.rows import RIDES, rides

Y = label("y")


def test_json_and_pickle_give_the_same_specification() -> None:
    assert FeatureSpec.from_json(json.loads(json.dumps(RIDES.to_json()))) == RIDES
    assert pickle.loads(pickle.dumps(RIDES)) == RIDES
    assert hash(RIDES) == hash(pickle.loads(pickle.dumps(RIDES)))


def test_a_cross_finds_features_by_column_and_by_name() -> None:
    made = [one.to_json()["of"] for one in RIDES.features if one.kind == "cross"]
    assert made == [["hour.identity", "zone.vocabulary"], ["fare.buckets", "start.day"]]


def test_dtypes_follow_data_and_readers() -> None:
    found = {one.name: (one.dtype, one.nullable) for one in resolve_inputs(RIDES, rides(3).schema)}
    assert found == {
        "miles": ("float32", True),
        "fare": ("float32", True),
        "hour": ("int64", True),
        "company": ("string", True),
        "zone": ("int64", True),
        "start": ("int64", True),
    }


def test_an_integer_read_as_number_and_as_id_travels_as_integer() -> None:
    spec = features(numeric("n").z_score(), categorical("n").vocabulary(missing="error"), label=Y)
    (found,) = resolve_inputs(spec, pa.schema([("n", pa.int16()), ("y", pa.int64())]))
    assert (found.dtype, found.nullable) == ("int64", False)


anything: Any = features
vocabulary: Any = categorical("a").vocabulary


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: features(label=Y), "at least one feature"),
        (lambda: anything(numeric("a"), label="y"), "the label is not one"),
        (lambda: anything(categorical("a"), label=Y), "takes features"),
        (lambda: anything(timestamp("a"), label=Y), "takes features"),
        (lambda: anything("a", label=Y), "takes features"),
        (lambda: features(numeric("a"), numeric("a"), label=Y), "same name"),
        (lambda: features(numeric("label"), label=Y), 'may not be named "label"'),
        (lambda: features(numeric("a"), cross("a", "b"), label=Y), "no id feature"),
        (
            lambda: features(
                numeric("a").bucketize(3), numeric("a").identity(3), cross("a", "a.identity"), label=Y
            ),
            "more than one id feature",
        ),
        (lambda: numeric("a", missing="median"), '"missing" is out of range'),
        (lambda: numeric("a", missing=float("nan")), '"missing" is out of range'),
        (lambda: numeric("a").bucketize(1), '"buckets" is out of range'),
        (lambda: numeric("a").bucketize([2.0, 1.0]), '"buckets" is out of range'),
        (lambda: numeric("a").identity(0), '"size" is out of range'),
        (lambda: categorical("a").vocabulary(top=0), '"top" is out of range'),
        (lambda: vocabulary(oov=2), '"oov" is out of range'),
        (lambda: vocabulary(missing="mean"), '"missing" is out of range'),
        (lambda: cross("a"), '"of" is out of range'),
        (lambda: timestamp("a").parts("second"), '"part" is out of range'),
        (lambda: timestamp("a").parts(), '"parts" is out of range'),
        (lambda: numeric(""), '"column" is out of range'),
    ],
)
def test_a_wrong_specification_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (features(numeric("fair"), label=label("tips")), 'no column "fair"'),
        (features(numeric("fare"), label=label("tip")), 'no column "tip"'),
        (features(numeric("company"), label=label("tips")), "wrong type for the feature company"),
        (features(categorical("fare").vocabulary(), label=label("tips")), "fare.vocabulary"),
        (features(numeric("fare").identity(9), label=label("tips")), "fare.identity"),
    ],
)
def test_columns_are_checked_against_the_data(spec: FeatureSpec, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        resolve_inputs(spec, rides(3).schema)
    assert isinstance(caught.value, HeadraceError)
    assert caught.value.next


def test_an_unreadable_specification_is_refused() -> None:
    with pytest.raises(ArtifactError, match="unknown kind"):
        FeatureSpec.from_json({"features": [{"kind": "tokens"}], "label": Y.to_json()})
    with pytest.raises(ArtifactError, match="cannot be read"):
        FeatureSpec.from_json({"features": [{"kind": "numeric"}], "label": Y.to_json()})
