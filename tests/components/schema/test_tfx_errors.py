from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.schema.tfx import ImportedSchema, ImportRules, import_schema
from orchestration import DataError


def imported(tmp_path: Path, text: str, **options: Any) -> ImportedSchema:
    path = tmp_path / "schema.pbtxt"
    path.write_text(text, encoding="utf-8")
    return import_schema(path, ImportRules(**options))


UNKNOWN = """feature {
  name: "x"  # a { comment
  new_thing { text: "} #" 'it''s' nested < deep: 1.5 > }
  type: INT
  words: "one" # more
    "two"
  numbers: [1, 2]
  shape {}
}
"""


def test_an_unknown_field_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        imported(tmp_path, UNKNOWN)
    assert caught.value.headline.endswith('schema.pbtxt:3: Feature has no field "new_thing"')
    assert "--allow-unknown" in str(caught.value)


def test_unknown_fields_are_listed_where_they_are_allowed(tmp_path: Path) -> None:
    found = imported(tmp_path, UNKNOWN, allow_unknown=True)
    assert found.schema.columns[0].type == "int64"
    assert found.left_out == (
        """line 3: Feature has no known field new_thing { text: "} #" 'it''s' nested < deep: 1.5 > }""",
        'line 5: Feature has no known field words: "one" # more "two"',
        "line 7: Feature has no known field numbers: [1, 2]",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feature {", "is no TFX schema at line 1"),
        ("name,tips\n1,2\n", ':1: Schema has no field "name"'),
        ('feature { name: "x" type: INTEGER }', "is no TFX schema at line 1"),
        ('feature { name: "x"\n shape {}\n value_count {} }', "is no TFX schema at line 3"),
        ('feature { name: "x" domain: "nowhere" type: BYTES }', 'names domain "nowhere"'),
        ('feature { name: "x" } feature { name: "x" }', 'two features named "x"'),
        ("feature { type: INT }", "a feature has no name"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        imported(tmp_path, text)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        import_schema(tmp_path / "schema.pbtxt")
    (tmp_path / "schema.pbtxt").write_bytes(b"feature { name: '\xff' }")
    with pytest.raises(DataError, match="no text in UTF-8"):
        import_schema(tmp_path / "schema.pbtxt")
