from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from components.artifacts import Examples
from components.compute_statistics import compute_statistics
from components.infer_schema import infer_schema
from components.read_csv import read_csv
from components.schema.files import read_inferred
from components.schema.schema import DatasetSchema, Expectation, Severity, load_schema
from orchestration import ArgumentError, DataError, RunContext

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def inferred(table: pa.Table, other: pa.Table | None = None, **options: Any) -> DatasetSchema:
    splits = {"train": table} if other is None else {"train": table, "eval": other}
    examples = Examples.new(splits={name: {"rows": len(one)} for name, one in splits.items()})
    for name, one in splits.items():
        pq.write_table(one, examples.file(f"{name}/part-00000.parquet"))
    return load_schema(infer_schema(compute_statistics(examples), **options))


def rules(schema: DatasetSchema, column: str) -> dict[str, dict[str, Any]]:
    found = {}
    for expectation in schema.expectations:
        arguments = dict(expectation.kwargs)
        if arguments.pop("column", None) == column:
            found[expectation.type] = arguments
    return found


def holds(expectation: Expectation, table: pa.Table) -> bool:
    """Judge one expectation in the plainest way."""
    arguments = expectation.kwargs
    if expectation.type == "expect_table_row_count_to_be_between":
        return bool(len(table) >= arguments["min_value"])
    if expectation.type == "expect_column_to_exist":
        return bool(arguments["column"] in table.schema.names)
    column = table.column(arguments["column"])
    mostly = arguments.get("mostly", 1.0)
    if expectation.type == "expect_column_values_to_not_be_null":
        return bool(len(column) - column.null_count >= mostly * len(column))
    values = column.drop_null()
    if expectation.type == "expect_column_values_to_be_in_set":
        good = pc.sum(pc.is_in(values, pa.array(arguments["value_set"]))).as_py() or 0
    else:
        assert expectation.type == "expect_column_values_to_be_between"
        good = len(values)
        for bound, outside in (("min_value", pc.less), ("max_value", pc.greater)):
            if bound in arguments:
                good -= pc.sum(outside(values, arguments[bound])).as_py() or 0
    return bool(good >= mostly * len(values))


REAL = [
    "taxi/data.csv",
    "taxi/big_tipper.csv",
    "penguins/penguins_raw.csv",
    "penguins/penguins_processed.csv",
    "housing/housing.csv",
    "marvel/marvel-wikia-data.csv",
    "nyc_taxis/taxis.csv",
    "penguins/penguins_unlabelled.csv",
]


@pytest.mark.parametrize("name", REAL)
def test_every_split_satisfies_the_schema_inferred_from_it(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout")
    examples = read_csv(str(path), splits={"train": 0.7, "eval": 0.2, "test": 0.1})
    schema = load_schema(infer_schema(compute_statistics(examples)))
    assert [column.name for column in schema.columns] == list(examples.metadata["columns"])
    for split in examples.splits:
        table = pa.concat_tables([pq.read_table(file) for file in examples.files(split)])
        if len(table):
            broken = [expectation for expectation in schema.expectations if not holds(expectation, table)]
            assert not broken


def test_what_is_seen_is_expected() -> None:
    table = pa.table(
        {
            "month": [1 + n % 12 for n in range(300)],
            "year": [1950 + n % 60 for n in range(300)],
            "amount": [n / 7 for n in range(300)],
            "share": [n / 300 for n in range(300)],
            "balance": [n - 150.0 for n in range(300)],
            "colour": ["red" if n % 3 else "green" for n in range(300)],
            "name": [f"name {n}" for n in range(300)],
            "often": [None if n % 10 == 0 else "x" for n in range(300)],
            "never": pa.nulls(300, pa.string()),
            "flag": [n % 2 == 0 for n in range(300)],
        }
    )
    schema = inferred(table)
    exists: dict[str, Any] = {"expect_column_to_exist": {}}
    always = {**exists, "expect_column_values_to_not_be_null": {}}

    def between(**bounds: float) -> dict[str, Any]:
        return {**always, "expect_column_values_to_be_between": {**bounds, "mostly": 0.99}}

    assert rules(schema, "month") == between(min_value=1, max_value=12)
    assert rules(schema, "year") == between(min_value=0)
    assert rules(schema, "amount") == between(min_value=0)
    assert rules(schema, "share") == between(min_value=0, max_value=1)
    assert rules(schema, "balance") == always
    assert rules(schema, "colour")["expect_column_values_to_be_in_set"] == {
        "value_set": ["green", "red"],
        "mostly": 0.99,
    }
    assert rules(schema, "name") == always
    assert rules(schema, "often")["expect_column_values_to_not_be_null"] == {"mostly": 0.83}
    assert rules(schema, "never") == exists
    assert rules(schema, "flag") == always
    assert [column.nullable for column in schema.columns] == [
        name in ("often", "never") for name in table.schema.names
    ]
    assert schema.arrow_schema().field("share") == pa.field("share", pa.float64(), nullable=False)


def test_texts_seen_once_leave_room_for_others() -> None:
    values = ["a"] * 160 + ["b"] * 30 + [f"once {n}" for n in range(10)]
    found = rules(inferred(pa.table({"x": values})), "x")["expect_column_values_to_be_in_set"]
    assert len(found["value_set"]) == 12
    assert found["mostly"] == 0.85  # three times the share of the ten


def test_a_value_of_the_small_split_belongs_to_the_set() -> None:
    train, other = pa.table({"x": ["a", "b"] * 50}), pa.table({"x": ["a", "c"] * 10})
    found = rules(inferred(train, other), "x")["expect_column_values_to_be_in_set"]
    assert found["value_set"] == ["a", "b", "c"]


def test_few_rows_make_no_rules_about_values() -> None:
    assert set(rules(inferred(pa.table({"x": ["a"] * 20})), "x")) == {
        "expect_column_to_exist",
        "expect_column_values_to_not_be_null",
    }


def test_lists_and_structs() -> None:
    table = pa.table(
        {
            "fixed": [[n, n, n] for n in range(90)],
            "some": [[n] * (1 + n % 4) for n in range(90)],
            "any": [[n] * (n % 4) for n in range(90)],
            "empty": pa.array([[] for _ in range(90)], pa.list_(pa.int64())),
            "struct": [{"a": n, "b": "x"} for n in range(90)],
        }
    )
    schema = inferred(table)
    lengths = "expect_column_list_lengths_to_be_between"
    assert rules(schema, "fixed")[lengths] == {"min_value": 3, "max_value": 3, "mostly": 0.99}
    assert rules(schema, "some")[lengths] == {"min_value": 1, "mostly": 0.99}
    for name in ("any", "empty", "struct"):
        assert lengths not in rules(schema, name)
    assert schema.column("struct").type == "struct<a: int64, b: string>"


def test_what_values_look_like_is_noted_and_no_rule() -> None:
    table = pa.table({"mail": [f"person{n}@example.org" for n in range(90)], "n": [n / 7 for n in range(90)]})
    schema = inferred(table)
    assert (schema.column("mail").semantic, schema.column("n").semantic) == ("email", "")
    assert set(rules(schema, "mail")) == {"expect_column_to_exist", "expect_column_values_to_not_be_null"}
    torn = inferred(table, pa.table({"mail": [f"word {n}" for n in range(90)], "n": [0.5] * 90}))
    assert torn.column("mail").semantic == ""


def test_options() -> None:
    table = pa.table({"x": ["a", "b"] * 50, "y": [0.5] * 100})
    assert "expect_column_values_to_be_in_set" not in rules(inferred(table, max_categories=1), "x")
    assert rules(inferred(table, tolerance=0.0), "x")["expect_column_values_to_be_in_set"] == {
        "value_set": ["a", "b"]
    }
    assert [column.serving for column in inferred(table, labels=["y"]).columns] == [True, False]


@pytest.mark.parametrize("options", [{"tolerance": 1.0}, {"max_categories": 0}, {"labels": ["nobody"]}])
def test_arguments_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        inferred(pa.table({"x": ["a"]}), **options)


def test_the_files_are_readable_and_the_same_each_time() -> None:
    table = pa.table({"x": ["a", "b"] * 50, "n": list(range(100))})
    examples = Examples.new(splits={"all": {"rows": 100}})
    pq.write_table(table, examples.file("all/part-00000.parquet"))
    statistics = compute_statistics(examples)
    texts = [
        [
            infer_schema(statistics).file(name).read_text(encoding="utf-8")
            for name in ("schema.json", "suite.json")
        ]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert texts[0][0].splitlines()[1] == (' {"name": "x", "type": "string", "nullable": false},')
    suite = json.loads(texts[0][1])
    assert set(suite) == {"name", "meta", "expectations"}
    assert len(texts[0][1].splitlines()) == len(suite["expectations"]) + 2
    assert suite["expectations"][0]["meta"] == {"severity": "fail"}


# ---------------------------------------------------------------- a schema kept by a person


def curated(folder: Path, columns: str, suite: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "schema.json").write_text(columns)
    (folder / "suite.json").write_text(suite)
    return str(folder)


COLUMNS = '{"columns": [{"name": "x", "type": "string", "nullable": true}]}'
SUITE = """{"name": "mine", "expectations": [
 {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "x", "value_set": ["a"]},
  "meta": {"severity": "quarantine"}}]}"""


def statistics_of(table: pa.Table) -> Any:
    examples = Examples.new(splits={"all": {"rows": len(table)}})
    pq.write_table(table, examples.file("all/part-00000.parquet"))
    return compute_statistics(examples)


def test_a_kept_schema_is_used_as_it_is(tmp_path: Path) -> None:
    run = RunContext(folder=tmp_path / "run")
    statistics = statistics_of(pa.table({"x": ["a", "b"] * 50}))
    out = infer_schema(statistics, schema_file=curated(tmp_path / "kept", COLUMNS, SUITE), run=run)
    schema = load_schema(out)
    assert schema.expectations == (
        Expectation(
            "expect_column_values_to_be_in_set", {"column": "x", "value_set": ["a"]}, Severity.QUARANTINE
        ),
    )
    assert out.metadata == {"columns": 1, "curated": True, "changes": 4}
    found = read_inferred(out.path / "inferred.json")
    assert rules(found, "x")["expect_column_values_to_be_in_set"]["value_set"] == ["a", "b"]
    changes = (tmp_path / "run" / "attachments" / "schema-changes.txt").read_text()
    assert 'kept      "x": values to be in set, value_set' in changes


def test_a_kept_schema_that_follows_the_data(tmp_path: Path) -> None:
    first = infer_schema(statistics_of(pa.table({"x": ["a", "b"] * 50, "old": [1.5] * 100})))
    kept = tmp_path / "kept"
    shutil.copytree(first.path, kept)
    suite = (kept / "suite.json").read_text()
    (kept / "suite.json").write_text(
        suite.replace('"value_set": ["a", "b"]', '"value_set": ["a", "b", "mine"]')
    )
    before = {path.name: path.read_text() for path in kept.iterdir()}
    moved = statistics_of(pa.table({"x": ["a", "c"] * 50, "new": [True] * 100}))
    frozen = load_schema(infer_schema(moved, schema_file=str(kept)))
    out = infer_schema(moved, schema_file=str(kept), frozen=False)
    schema = load_schema(out)
    assert [column.name for column in frozen.columns] == ["x", "old"]
    assert [(column.name, column.vanished) for column in schema.columns] == [
        ("x", False), ("new", False), ("old", True),
    ]  # fmt: skip
    values = rules(schema, "x")["expect_column_values_to_be_in_set"]["value_set"]
    assert values == ["a", "b", "mine", "c"]
    assert out.metadata == {"columns": 3, "curated": True, "changes": 3 + len(rules(schema, "new"))}
    assert before == {path.name: path.read_text() for path in kept.iterdir()}


def test_what_was_inferred_can_be_kept(tmp_path: Path) -> None:
    statistics = statistics_of(pa.table({"x": ["a", "b"] * 50}))
    first = infer_schema(statistics, labels=["x"])
    second = infer_schema(statistics, schema_file=str(first.path))
    for name in ("schema.json", "suite.json"):
        assert first.file(name).read_bytes() == second.file(name).read_bytes()


@pytest.mark.parametrize(
    ("columns", "suite", "message"),
    [
        ("{", SUITE, "is no JSON"),
        ("[]", SUITE, "cannot be used"),
        ('{"columns": [{"name": "x"}]}', SUITE, "cannot be used"),
        ('{"columns": [{"name": "x", "type": "number"}]}', SUITE, "names a type that does not exist"),
        ('{"columns": [{"name": "x", "type": "int64"}, {"name": "x", "type": "int64"}]}', SUITE, "twice"),
        (COLUMNS, "{}", "cannot be used"),
        (COLUMNS, '{"expectations": [{"kwargs": {}}]}', "cannot be used"),
        (COLUMNS, SUITE.replace("quarantine", "shrug"), "cannot be used"),
    ],
)
def test_a_kept_schema_that_cannot_be_used(tmp_path: Path, columns: str, suite: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        infer_schema(
            statistics_of(pa.table({"x": ["a"]})), schema_file=curated(tmp_path / "s", columns, suite)
        )


def test_a_kept_schema_that_is_not_there(tmp_path: Path) -> None:
    statistics = statistics_of(pa.table({"x": ["a"]}))
    with pytest.raises(DataError, match="no input file matches"):
        infer_schema(statistics, schema_file=str(tmp_path / "nowhere"))
    (tmp_path / "schema.json").write_text(COLUMNS)
    with pytest.raises(DataError, match=r"the schema has no suite\.json"):
        infer_schema(statistics, schema_file=str(tmp_path))
