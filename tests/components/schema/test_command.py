"""``headrace schema`` as a person uses it: in a project with runs, on files under version control."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest

from orchestration.cli import app

if TYPE_CHECKING:
    from cyclopts import App

ROOT = Path(__file__).resolve().parents[3]
TAXI = ROOT / ".." / "shared" / "data" / "taxi" / "data.csv"
IMPORTED = Path(__file__).parent / "tfx" / "taxi.pbtxt"

PIPELINE = """
from components import compute_statistics, infer_schema, read_csv
from orchestration import pipeline

@pipeline
def shop(data: str):
    infer_schema(compute_statistics(read_csv(data)), labels=["paid"])
"""
OTHER = """
from components import compute_statistics, infer_schema, read_csv
from orchestration import pipeline

@pipeline
def two(first: str, second: str):
    infer_schema.with_(name="one")(compute_statistics.with_(name="a")(read_csv.with_(name="b")(first)))
    infer_schema.with_(name="other")(compute_statistics.with_(name="c")(read_csv.with_(name="d")(second)))
"""
INSTALLED = app.build

RUNS: dict[str, str] = {}  # what the tests call a run, and its name


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project with two runs: the second one's data have moved on."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "headrace.toml").write_text("")
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "shop.py").write_text(PIPELINE)
    (folder / "pipelines" / "two.py").write_text(OTHER)
    rows = [f"{n},{['red', 'green'][n % 2]},{n % 3 == 0},gone" for n in range(200)]
    (folder / "one.csv").write_text("\n".join(["n,colour,paid,old", *rows]))
    rows = [f"{n}.5,{['red', 'blue'][n % 2]},{n % 3 == 0},{n}" for n in range(200)]
    (folder / "two.csv").write_text("\n".join(["n,colour,paid,fresh", *rows]))
    for name in ("one", "two"):
        RUNS[f"run-{name}"] = run(folder, "shop", "--data", f"{name}.csv")
    return folder


def run(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "run", *arguments, "--json"],
        cwd=project, capture_output=True, text=True, check=False, timeout=120, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return str(json.loads(done.stdout)["run"]["id"])


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return {**kept, "PYTHONPATH": str(ROOT), "HEADRACE_TRACKING": "off", "COLUMNS": "80", **more}


class Done(NamedTuple):
    stdout: str
    stderr: str


def headrace(project: Path, *arguments: str, code: int = 0) -> Done:
    """Run a command in this process, as ``headrace`` does."""
    given = [RUNS.get(one, one) for one in arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(project),
        mock.patch.dict(os.environ, environment(), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
        mock.patch.object(app, "build", build),
    ):
        app.main(given)
    assert left.value.code == code, out.getvalue() + err.getvalue()
    return Done(out.getvalue(), err.getvalue())


def build() -> App:
    """The command, with ours where the installed package does not know it yet."""
    made = INSTALLED()
    if "schema" not in made:
        made.command("components.schema.command:schema", name="schema")
    return made


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_show_the_newest_run(project: Path) -> None:
    out = headrace(project, "schema", "show").stdout
    assert out.startswith(f"{RUNS['run-two']} (infer_schema): 4 columns, ")
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "paid" in out and "not in serving" in out
    assert headrace(project, "schema", "show", "shop").stdout == out
    assert headrace(project, "schema", "show", "run-one").stdout.startswith(RUNS["run-one"])


def test_show_one_environment_as_json(project: Path) -> None:
    found = json.loads(
        headrace(project, "schema", "show", "run-one", "--environment", "serving", "--json").stdout
    )
    assert found["environments"] == ["serving"]
    assert [column["name"] for column in found["columns"]] == ["n", "colour", "old"]
    assert "paid" not in json.dumps(found["expectations"])
    wrong = headrace(project, "schema", "show", "run-one", "--environment", "servin", code=2)
    assert 'did you mean "serving"?' in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "run-three"], '"run-three" is no folder, no run and no pipeline'),
        (["show", "run-one", "--node", "read_csv"], "no schema in "),
        (["diff", "nowhere"], "there is no folder nowhere"),
        (["diff", "pipelines"], "the schema has no schema.json"),
        (["accept", "new", "--from", "nowhere"], '"nowhere" is no folder'),
        (["import", "nowhere.pbtxt", "new"], "there is no file nowhere.pbtxt"),
    ],
)
def test_what_cannot_be_used_ends_with_two(project: Path, arguments: list[str], message: str) -> None:
    done = headrace(project, "schema", *arguments, code=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "new").exists()


def test_from_the_first_run_to_the_second_by_hand(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "schemas" / "shop"
    made = headrace(project, "schema", "accept", str(folder), "--from", "run-one").stdout
    assert "wrote     schema.json, suite.json, inferred.json" in made
    assert headrace(project, "schema", "diff", str(folder), "run-one").stdout.endswith("no difference\n")

    # A person's edits: a wider set, a milder rule, a note.
    suite = json.loads((folder / "suite.json").read_text())
    rule(suite, "in_set", "colour")["kwargs"]["value_set"].append("mauve")
    rule(suite, "be_between", "n")["meta"]["severity"] = "warn"
    (folder / "suite.json").write_text(json.dumps(suite))
    before = texts(folder)

    told = headrace(project, "schema", "diff", str(folder), "run-two", code=1).stdout
    for line in (
        'changed   "n": type int64 → double',
        'changed   "colour": values to be in set, value_set + ["blue"]',
        'vanished  "old": column is gone from the data; it was string',
        'new       "fresh": column int64',
        f"next      headrace schema accept {folder} --from {RUNS['run-two']}",
    ):
        assert line in told
    listed = json.loads(headrace(project, "schema", "diff", str(folder), "run-two", "--json", code=1).stdout)
    assert {
        "change": "changed",
        "columns": ["n"],
        "expectation": None,
        "part": "type",
        "before": "int64",
        "after": "double",
    } in listed["changes"]
    assert texts(folder) == before  # looking changes nothing

    headrace(project, "schema", "accept", str(folder), "--from", "run-two")
    headrace(project, "schema", "diff", str(folder), "run-two", code=0)
    columns = json.loads((folder / "schema.json").read_text())["columns"]
    assert [(one["name"], one["type"], one.get("vanished", False)) for one in columns] == [
        ("n", "double", False), ("colour", "string", False), ("paid", "bool", False),
        ("fresh", "int64", False), ("old", "string", True),
    ]  # fmt: skip
    suite = json.loads((folder / "suite.json").read_text())
    assert rule(suite, "in_set", "colour")["kwargs"]["value_set"] == ["green", "red", "mauve", "blue"]
    assert rule(suite, "be_between", "n")["meta"]["severity"] == "warn"

    dropped = headrace(project, "schema", "accept", str(folder), "--from", "run-two", "--drop", "old").stdout
    assert "wrote     schema.json, suite.json, inferred.json" in dropped
    assert "old" not in json.dumps(list(texts(folder).values()))
    headrace(project, "schema", "diff", str(folder), "run-two", code=0)


def rule(suite: dict[str, Any], kind: str, column: str) -> dict[str, Any]:
    found = [
        one
        for one in suite["expectations"]
        if one["type"].endswith(kind) and one["kwargs"].get("column") == column
    ]
    return dict(zip(("it",), found, strict=True))["it"]  # type: ignore[no-any-return]  # JSON


def test_accept_single_columns(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    headrace(project, "schema", "accept", str(folder), "--from", "run-one")
    before = texts(folder)
    out = headrace(
        project, "schema", "accept", str(folder), "--from", "run-two", "--column", "n", "fresh"
    ).stdout
    assert '"fresh": column int64' in out and '"colour"' not in out
    changed = {
        name: [line for line in after.splitlines() if line not in before[name].splitlines()]
        for name, after in texts(folder).items()
    }
    assert changed["schema.json"] == [
        ' {"name": "n", "type": "double", "nullable": false},',
        ' {"name": "fresh", "type": "int64", "nullable": false},',
    ]
    left = headrace(project, "schema", "diff", str(folder), "run-two", code=1).stdout
    assert '"colour"' in left and '"old"' in left and '"n"' not in left and '"fresh"' not in left
    wrong = headrace(
        project, "schema", "accept", str(folder), "--from", "run-two", "--column", "nobody", code=2
    )
    assert "colour, fresh, n, old, paid" in wrong.stderr
    wrong = headrace(project, "schema", "accept", str(folder), "--from", "run-two", "--drop", "n", code=2)
    assert "columns that are gone from the data" in wrong.stderr


def test_half_edited_files_are_refused_and_left_alone(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    headrace(project, "schema", "accept", str(folder), "--from", "run-one")
    lines = (folder / "schema.json").read_text().splitlines()
    (folder / "schema.json").write_text("\n".join([*lines[:2], "<<<<<<< HEAD", *lines[2:]]))
    before = texts(folder)
    for command in ("show", "diff", "accept"):
        done = headrace(project, "schema", command, str(folder), code=2)
        assert f"{folder}/schema.json is no JSON at line 3, column 1" in done.stderr
    assert texts(folder) == before


def test_a_run_with_several_schemas_asks_which(project: Path) -> None:
    RUNS["both"] = run(project, "two", "--first", "one.csv", "--second", "two.csv")
    assert "--node one or --node other" in headrace(project, "schema", "show", "both", code=2).stderr
    assert "fresh" in headrace(project, "schema", "show", "both", "--node", "other").stdout


def test_import_from_tfx(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "taxi"
    out = headrace(project, "schema", "import", str(IMPORTED), str(folder)).stdout
    assert "8 columns, " in out and "wrote     schema.json, suite.json" in out
    assert out.count("left out") == 2 and "DriftRules" in out  # the two comparators
    serving = json.loads(
        headrace(project, "schema", "show", str(folder), "--environment", "serving", "--json").stdout
    )
    assert "tips" not in json.dumps(serving["columns"] + serving["expectations"])
    again = headrace(project, "schema", "import", str(IMPORTED), str(folder), code=2)
    assert "already holds a schema" in again.stderr


def test_an_imported_schema_judges_the_data(tmp_path: Path) -> None:
    if not TAXI.exists():
        pytest.skip("taxi/data.csv is not beside this checkout")
    from components.compute_statistics import compute_statistics
    from components.infer_schema import infer_schema
    from components.read_csv import read_csv
    from components.schema.tfx import import_schema
    from components.validate_examples import validate_examples

    imported = import_schema(IMPORTED).schema
    imported.write(tmp_path)
    examples = read_csv(str(TAXI), splits={"all": 1.0})
    statistics = compute_statistics(examples)
    schema = infer_schema(statistics, schema_file=str(tmp_path))
    checked = validate_examples(examples, statistics, schema, environment="training")
    assert checked.validation.metadata["success"]
    assert checked.validation.metadata["checks"] >= len(imported.expectations)
    merged = infer_schema(statistics, schema_file=str(tmp_path), frozen=False)
    assert merged.metadata["columns"] == 18 + 1  # all of the data, and the planned one
