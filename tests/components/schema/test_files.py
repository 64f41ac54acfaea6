from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.schema.files import entry_lines, parse_schema, read_inferred
from components.schema.schema import DatasetSchema, Expectation, SchemaColumn, Severity
from components.schema.store import is_new, read_folder, write_folder
from orchestration import ArgumentError, DataError

X: dict[str, Any] = {"name": "x", "type": "int64"}
COLUMNS: dict[str, Any] = {"columns": [X, {"name": "y", "type": "string"}]}
SUITE: dict[str, Any] = {"name": "mine", "expectations": []}


def rule(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}


def schema(columns: list[dict[str, Any]], expectations: list[dict[str, Any]]) -> DatasetSchema:
    return parse_schema({"columns": columns}, {"expectations": expectations}, "here")


# ---------------------------------------------------------------- environments

LABELLED = schema(
    [
        {"name": "x", "type": "int64"},
        {"name": "label", "type": "int64", "not_in": ["serving"]},
        {"name": "trace", "type": "string", "only_in": ["debugging"]},
        {"name": "old", "type": "string", "checked": False},
    ],
    [
        rule("column_to_exist", column="x"),
        rule("column_to_exist", column="label"),
        rule("column_to_exist", column="old"),
        rule("column_pair_values_a_to_be_greater_than_b", column_A="x", column_B="label"),
        rule("compound_columns_to_be_unique", column_list=["x", "trace"]),
        rule("table_columns_to_match_set", column_set=["x", "label", "trace", "old"]),
        {**rule("table_row_count_to_be_between", min_value=9), "meta": {"only_in": ["training"]}},
        {**rule("column_values_to_be_unique", column="x"), "meta": {"not_in": ["training"]}},
    ],
)


def holding(environment: str | None) -> tuple[list[str], list[tuple[str, Any]]]:
    chosen = LABELLED.for_environment(environment)
    rules = [(one.type.removeprefix("expect_"), one.columns or one.kwargs) for one in chosen.expectations]
    return [column.name for column in chosen.columns], rules


def test_training_has_the_label() -> None:
    assert holding("training") == (
        ["x", "label", "old"],
        [
            ("column_to_exist", ("x",)),
            ("column_to_exist", ("label",)),
            ("column_pair_values_a_to_be_greater_than_b", ("x", "label")),
            ("table_columns_to_match_set", {"column_set": ["x", "label", "old"]}),
            ("table_row_count_to_be_between", {"min_value": 9}),
        ],
    )


def test_serving_has_no_label_and_nothing_about_it() -> None:
    assert holding("serving") == (
        ["x", "old"],
        [
            ("column_to_exist", ("x",)),
            ("table_columns_to_match_set", {"column_set": ["x", "old"]}),
            ("column_values_to_be_unique", ("x",)),
        ],
    )


def test_an_environment_of_any_name() -> None:
    columns, rules = holding("debugging")
    assert columns == ["x", "label", "trace", "old"]
    assert ("compound_columns_to_be_unique", ("x", "trace")) in rules


def test_no_environment_is_all_of_them_without_what_is_not_checked() -> None:
    columns, rules = holding(None)
    assert columns == [column.name for column in LABELLED.columns]
    assert len(rules) == len(LABELLED.expectations) - 1
    assert ("column_to_exist", ("old",)) not in rules


def test_a_mistyped_environment_is_no_empty_one() -> None:
    assert LABELLED.environments == ("debugging", "serving", "training")
    with pytest.raises(ArgumentError, match='no environment "servign"') as caught:
        LABELLED.for_environment("servign")
    assert caught.value.next == 'did you mean "serving"?'


def test_training_and_serving_are_always_known() -> None:
    plain = schema([{"name": "x", "type": "int64"}], [])
    assert plain.for_environment("training") == plain.for_environment("serving") == plain


def test_the_short_word_for_a_label_still_counts() -> None:
    found = schema(
        [{"name": "x", "type": "int64", "serving": True}, {"name": "y", "type": "int64", "serving": False}],
        [],
    )
    assert [column.serving for column in found.columns] == [True, False]
    assert found.columns[1].not_in == ("serving",)
    assert found.columns_json()["columns"][1] == {
        "name": "y", "type": "int64", "nullable": True, "not_in": ["serving"],
    }  # fmt: skip


def test_optional_columns_are_checked_only_where_they_are() -> None:
    found = schema(
        [{"name": "x", "type": "int64"}, {"name": "y", "type": "int64", "optional": True}],
        [rule("column_values_to_be_unique", column="y"), rule("column_values_to_be_unique", column="x")],
    )
    assert found.for_columns(["x", "y"]) == found
    assert [column.name for column in found.for_columns(["x"]).columns] == ["x"]
    assert [one.columns for one in found.for_columns([]).expectations] == [("x",)]


# ---------------------------------------------------------------- what other tools wrote is kept


def test_what_great_expectations_wrote_is_kept() -> None:
    entry = {
        "type": "expect_column_values_to_be_unique", "kwargs": {"column": "x"}, "id": "1-2", "notes": ["why"],
        "meta": {"owner": "me", "severity": "warn"}, "severity": "critical",
    }  # fmt: skip
    found = schema([], [entry]).expectations[0]
    assert found.severity is Severity.WARN
    assert found.to_json() == entry


@pytest.mark.parametrize(
    ("foreign", "own"), [("critical", "fail"), ("warning", "warn"), ("info", "warn"), ("odd", "fail")]
)
def test_a_foreign_severity_counts_where_there_is_none_of_ours(foreign: str, own: str) -> None:
    assert schema([], [{**rule("x"), "severity": foreign}]).expectations[0].severity == own


# ---------------------------------------------------------------- errors


def kept(folder: Path, columns: object = COLUMNS, suite: object = SUITE) -> Path:
    for name, value in (("schema.json", columns), ("suite.json", suite)):
        text = value if isinstance(value, str) else json.dumps(value, indent=1)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


CONFLICT = """{"columns": [
 {"name": "x", "type": "int64"},
<<<<<<< mine
 {"name": "y", "type": "string"}
=======
]}
"""


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (CONFLICT, r"schema\.json is no JSON at line 3, column 1\n"),
        ('{"columns": [\n {"name": "x", "type": "int64"}\n {"name"', r"is no JSON at line 3, column 2\n"),
        ("", "is no JSON at line 1, column 1\n"),
        ('{"columns": NaN}', "NaN is no value"),
        ("[]", r"schema\.json:1 cannot be used: it lists no columns"),
        ({"columns": [*COLUMNS["columns"], 5]}, r"schema\.json:11 cannot be used: it is no column"),
        ({"columns": [{"name": "x"}]}, r"schema\.json:3 cannot be used: .*`type`"),
        ({"columns": [*COLUMNS["columns"], X]}, r'schema\.json:11 names column "x" twice'),
        ({"columns": [{"name": "x", "type": "text5"}]}, r"schema\.json:3 names a type that does not exist"),
        ({"columns": [{**X, "nulable": True}]}, r':3 cannot be used: a column has no "nulable"'),
        ({"columns": [{**X, "nullable": "no"}]}, r":3 cannot be used: Expected `bool`"),
        ({"columns": [{**X, "not_in": "serving"}]}, r":3 cannot be used: Expected `array`"),
    ],
)  # fmt: skip
def test_a_columns_file_that_cannot_be_used(tmp_path: Path, columns: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_folder(kept(tmp_path, columns))


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ({"name": "x"}, r"suite\.json:1 cannot be used: it lists no expectations"),
        ({"expectations": [5]}, r"suite\.json:3 cannot be used: it is no expectation"),
        ({"expectations": [{"type": 5}]}, r"suite\.json:3 cannot be used: it is no expectation"),
        ({"expectations": [{**rule("x"), "meta": {"severity": "shrug"}}]}, "unknown severity"),
        (
            {"expectations": [{**rule("x"), "meta": {"not_in": "serving"}}]},
            "suite.json:3, not_in cannot be used",
        ),
    ],
)
def test_a_suite_that_cannot_be_used(tmp_path: Path, suite: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_folder(kept(tmp_path, suite=suite))


def test_a_broken_base_names_its_own_file(tmp_path: Path) -> None:
    kept(tmp_path)
    (tmp_path / "inferred.json").write_text('{"columns": [],\n"expectations": [\n {"type": 5}]}')
    with pytest.raises(DataError, match=r"inferred\.json:3 cannot be used"):
        read_folder(tmp_path)


def test_half_a_schema_is_not_a_new_one(tmp_path: Path) -> None:
    assert is_new(tmp_path)
    kept(tmp_path)
    (tmp_path / "suite.json").unlink()
    assert not is_new(tmp_path)
    with pytest.raises(DataError, match=r"the schema has no suite\.json"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"a": [1, [2], {"b": "]"}],\n "k": [\n {"x": ","},\n\n 5 ] , "z": 1}', [3, 5]),
        ('{"k": []}', []),
        ('{ "other": 1 }', []),
        ("{}", []),
        ("[]", []),
    ],
)
def test_lines_of_entries(text: str, lines: list[int]) -> None:
    assert entry_lines(text, "k") == lines


# ---------------------------------------------------------------- writing


def test_files_are_written_only_where_they_change(tmp_path: Path) -> None:
    first = DatasetSchema((SchemaColumn("x", "int64"),), (Expectation("expect_x", {"column": "x"}),))
    assert write_folder(tmp_path / "new", first, first) == ["schema.json", "suite.json", "inferred.json"]
    assert write_folder(tmp_path / "new", first, first) == []
    second = DatasetSchema(first.columns, ())
    assert write_folder(tmp_path / "new", second, None) == ["suite.json"]
    assert read_folder(tmp_path / "new").schema == second
    assert read_inferred(tmp_path / "new" / "inferred.json").columns == first.columns
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "inferred.json",
        "schema.json",
        "suite.json",
    ]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "suite.json").mkdir()
    with pytest.raises(OSError, match="suite"):
        write_folder(tmp_path, DatasetSchema(()), None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["schema.json", "suite.json"]
