from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from components.data.readable_json import readable_json, write_readable

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=40,
)


@given(VALUES)
def test_it_is_json_of_the_value(value: Any) -> None:
    assert json.loads(readable_json(value)) == value


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert readable_json(dict(items)) == readable_json(value)


@given(st.lists(st.lists(st.text("ab", max_size=30), max_size=9), max_size=9))
def test_what_fits_on_a_line_stays_on_it(value: list[list[str]]) -> None:
    flat = json.dumps(value, ensure_ascii=False)
    text = readable_json(value)
    assert (text == flat + "\n") == (len(flat) <= 110)
    for line in text.splitlines():
        assert len(line) <= 120 or line.strip().startswith('"')


def test_small_things_have_a_line_each_and_numbers_a_row() -> None:
    value = {"b": [{"name": "x" * 60}, {"name": "y" * 60}], "a": [n / 3 for n in range(40)]}
    row, *rest = readable_json(value).splitlines()[1:]
    assert row.startswith(' "a": [0.0, 0.333')
    assert rest == [
        ' "b": [',
        '  {"name": "' + "x" * 60 + '"},',
        '  {"name": "' + "y" * 60 + '"}',
        " ]",
        "}",
    ]


def test_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_readable(tmp_path / "x.json", {"x": float("nan")})
    write_readable(tmp_path / "y.json", {"ü": 1})
    assert (tmp_path / "y.json").read_bytes() == '{"ü": 1}\n'.encode()
