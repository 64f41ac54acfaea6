"""``headrace schema``: look at a schema, see what the data say otherwise, take it over, import one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from orchestration.errors import ArgumentError, require

if TYPE_CHECKING:
    from components.schema.merge import Merge
    from components.schema.schema import DatasetSchema

Json = Annotated[bool, Parameter(name="--json", negative=())]
Names = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]

schema = App(name="schema", help="Look at schemas, compare them with the data, and keep them up to date.")


@schema.command
def show(
    name: str | None = None,
    /,
    *,
    environment: str | None = None,
    node: str | None = None,
    profile: str | None = None,
    json_: Json = False,
) -> int:
    """Show a schema as a table: columns, types and what is expected of them.

    Args:
        name: A folder with schema.json and suite.json, a run, or a pipeline; the newest run by default.
        environment: Only what holds there, as training or serving.
        node: The node of the run that made the schema.
        profile: Profile of headrace.toml.
        json_: Print one JSON object.
    """
    from components.schema.store import find_schema
    from components.schema.table import print_schema

    found = find_schema(name, node=node, profile=profile)
    chosen = found.kept.schema.for_environment(environment)
    if json_:
        suite = chosen.suite_json()
        facts = {"schema": found.where, "environments": list(found.kept.schema.environments)}
        print(json.dumps({**facts, **chosen.columns_json(), "expectations": suite["expectations"]}))
    else:
        print_schema(chosen, found.where, environment)
    return 0


@schema.command
def diff(
    curated: str,
    new: str | None = None,
    /,
    *,
    node: str | None = None,
    profile: str | None = None,
    json_: Json = False,
) -> int:
    """Say what a kept schema would become if the data had their way. Exit code: 0 nothing, 1 something.

    Args:
        curated: The folder with schema.json and suite.json.
        new: What to compare with: a run, a pipeline or another folder; the newest run by default.
        node: The node of the run that made the schema.
        profile: Profile of headrace.toml.
        json_: Print one JSON object.
    """
    from components.schema.merge import merge
    from components.schema.store import find_schema, read_folder
    from components.schema.words import change_json

    kept, found = read_folder(_folder(curated)), find_schema(new, node=node, profile=profile)
    merged = merge(kept.schema, kept.inferred, found.inferred)
    if json_:
        changes = [change_json(change) for change in merged.changes]
        print(json.dumps({"curated": curated, "new": found.where, "changes": changes}))
    else:
        _print_changes(merged, f"{curated} against {found.where}")
        if merged.changes:
            print(f"  next      headrace schema accept {curated}{f' --from {new}' if new else ''}")
    return 1 if merged.changes else 0


@schema.command
def accept(
    folder: str,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    column: Names = None,
    drop: Names = None,
    node: str | None = None,
    profile: str | None = None,
) -> int:
    """Bring a kept schema up to date with the data; what a person changed in it stays.

    Args:
        folder: The folder with schema.json and suite.json; made from the run's schema where it is new.
        from_: A run, a pipeline or another folder; the newest run by default.
        column: Only what concerns these columns.
        drop: Columns that are gone from the data and are to leave the schema too.
        node: The node of the run that made the schema.
        profile: Profile of headrace.toml.
    """
    from components.schema.store import find_schema, is_new, read_folder, write_folder

    target = Path(folder)
    kept = None if is_new(target) else read_folder(target)
    found = find_schema(from_, node=node, profile=profile)
    if kept is None:
        written = write_folder(target, found.kept.schema, found.inferred if found.of_run else None)
        print(f"{folder}: made from {found.where}\n  wrote     {', '.join(written)}")
        return 0
    merged = _chosen(kept.schema, kept.inferred, found.inferred, column or [], drop or [])
    known = kept.inferred is not None or not (column or drop)
    written = write_folder(target, merged.schema, merged.inferred if known else None)
    _print_changes(merged, f"{folder} from {found.where}")
    print(f"  wrote     {', '.join(written) or 'nothing'}")
    return 0


@schema.command(name="import")
def import_(
    file: str,
    folder: str,
    /,
    *,
    allow_unknown: Annotated[bool, Parameter(negative=())] = False,
    drift_split: str | None = None,
    skew_split: str | None = None,
    float_type: str = "double",
    bytes_type: str = "string",
) -> int:
    """Make a folder's schema from a TFX schema.pbtxt; list what cannot be carried over.

    Args:
        file: The schema.pbtxt.
        folder: Where schema.json and suite.json go; it must hold no schema yet.
        allow_unknown: List fields this command does not know instead of refusing the file.
        drift_split: The split that drift comparators compare with, as the previous span's.
        skew_split: The split that skew comparators compare with.
        float_type: double, as CSV files are read, or float, as tf.Example holds numbers.
        bytes_type: string or binary.
    """
    from components.schema.store import is_new, write_folder
    from components.schema.tfx import ImportRules, import_schema

    target = Path(folder)
    if not is_new(target):
        raise ArgumentError(f"{folder} already holds a schema", expected="an empty or a new folder", at="")
    rules = ImportRules(allow_unknown, drift_split, skew_split, float_type, bytes_type)
    imported = import_schema(Path(file), rules)
    written = write_folder(target, imported.schema, None)
    counts = f"{len(imported.schema.columns)} columns, {len(imported.schema.expectations)} expectations"
    print(f"{folder}: {counts} from {file}")
    for line in imported.left_out:
        print(f"  left out  {line}")
    print(f"  wrote     {', '.join(written)}")
    return 0


def _folder(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    raise ArgumentError(
        f"there is no folder {name}", expected="a folder with schema.json and suite.json", at=""
    )


def _chosen(
    kept: DatasetSchema,
    base: DatasetSchema | None,
    now: DatasetSchema,
    names: list[str],
    drop: list[str],
) -> Merge:
    """Merge what concerns the named columns, or everything where none is named."""
    from dataclasses import replace

    from components.schema.merge import limited, merge, without_columns

    known = sorted({one.name for each in (kept, now) for one in each.columns})
    for name in [*names, *drop]:
        require(name in known, "column", "columns of the schema or the data: " + ", ".join(known), name)
    still = sorted({one.name for one in now.columns}.intersection(drop))
    require(not still, "drop", "columns that are gone from the data", ", ".join(still))
    reference = base if base is not None else kept
    wanted = now if not (names or drop) else limited(now, reference, [*names, *drop])
    merged = merge(kept, base, wanted)
    if not drop:
        return merged
    left, rest = (without_columns(each, drop) for each in (merged.schema, merged.inferred))
    return replace(merged, schema=left, inferred=rest)


def _print_changes(merged: Merge, title: str) -> None:
    from components.schema.merge import News
    from components.schema.words import change_lines

    kept = sum(change.news is News.KEPT for change in merged.changes)
    taken = len(merged.changes) - kept
    counts = f"{taken} to take over, {kept} kept by hand" if merged.changes else "no difference"
    print(f"{title}: {counts}")
    for line in change_lines(merged.changes):
        print(f"  {line}")
