"""Run parameters: typed, checked, from Python and from the command line, and back when a run is resumed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from orchestration import ArgumentError, Files, pipeline
from orchestration.closure import describe
from orchestration.parameters import check_value
from tests.pipelines_for_tests.good import Size, tuned

TYPED: list[tuple[str, str, Any]] = [
    ("data", "x", "x"),
    ("epochs", "20", 20),
    ("epochs", "-1", -1),
    ("rate", "1e-3", 0.001),
    ("rate", "2", 2.0),
    ("layers", "[3, 4]", (3, 4)),
    ("framework", "torch", "torch"),
    ("fast", "true", True),
    ("fast", "0", False),
    ("where", "a/b", Path("a/b")),
    ("day", "2026-11-01", datetime.date(2026, 11, 1)),
    ("size", "large", Size.LARGE),
    ("files", "x/*.csv", Files("x/*.csv")),
]


@pytest.mark.parametrize(("name", "text", "expected"), TYPED)
def test_text_becomes_what_the_signature_says(name: str, text: str, expected: object) -> None:
    bound = tuned.bind({"data": "d", name: text}, text=True)
    assert bound[name] == expected
    assert type(bound[name]) is type(expected)


def test_defaults_are_filled_in() -> None:
    bound = tuned.bind({"data": "d"})
    assert list(bound) == [
        "data", "epochs", "rate", "layers", "framework", "fast", "where", "day", "size", "files",
    ]  # fmt: skip
    assert (bound["epochs"], bound["framework"], bound["size"]) == (5, None, Size.SMALL)


def test_python_values_are_not_guessed() -> None:
    with pytest.raises(ArgumentError):
        tuned.bind({"data": "d", "epochs": "20"})
    with pytest.raises(ArgumentError):
        tuned.bind({"data": "d", "epochs": True})
    assert tuned.bind({"data": "d", "rate": 1})["rate"] == 1.0


@pytest.mark.parametrize(("name", "text", "expected"), TYPED)
def test_what_is_stored_gives_the_same_parameters_again(name: str, text: str, expected: object) -> None:
    bound = tuned.bind({"data": "d", name: text}, text=True)
    kept = json.loads(json.dumps({key: describe(given, key) for key, given in bound.items()}))
    again = tuned.bind(kept)
    assert again == bound
    assert [type(found) for found in again.values()] == [type(found) for found in bound.values()]


@given(
    st.fixed_dictionaries(
        {"data": st.text(), "epochs": st.integers(-(2**53), 2**53), "rate": st.floats(allow_nan=False)},
        optional={
            "layers": st.lists(st.integers(0, 99)).map(tuple),
            "day": st.dates(),
            "fast": st.booleans(),
        },
    )
)
def test_any_parameters_come_back_from_storage(parameters: dict[str, Any]) -> None:
    bound = tuned.bind(parameters)
    kept = json.loads(json.dumps({key: describe(given, key) for key, given in bound.items()}))
    assert tuned.bind(kept) == bound


def by_hand(plain=1, *, untyped="x"):
    """A function without annotations."""


def test_without_annotations_values_pass_as_they_are() -> None:
    assert pipeline(by_hand).bind({"plain": [1]}) == {"plain": [1], "untyped": "x"}


def test_a_callable_is_taken_as_it_is() -> None:
    from collections.abc import Callable

    assert check_value(len, Callable[[list[int]], int], "f") is len
    assert check_value(None, Callable[[], int] | None, "f") is None
    with pytest.raises(ArgumentError, match="f has the wrong type"):
        check_value(3, Callable[[], int], "f")


def test_an_external_name_gets_its_type() -> None:
    found = check_value("x/*.csv", Files, "data")
    assert type(found) is Files
