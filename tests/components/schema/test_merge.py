from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from components.schema.files import parse_schema
from components.schema.merge import Change, News, keyed, limited, merge, without_columns
from components.schema.schema import DatasetSchema, Expectation, SchemaColumn
from components.schema.words import change_lines
from tests.components.schema.schema_strategies import (
    BETWEEN,
    EXISTS,
    IN_SET,
    NAMES,
    NOT_NULL,
    edited,
    inferred,
)

NEVER = object()


def written(schema: DatasetSchema) -> DatasetSchema:
    """A schema as it comes back from its files."""
    columns, suite = (json.loads(text) for text in schema.texts().values())
    return parse_schema(columns, suite, "here")


@given(inferred(), st.data())
def test_files_say_all_there_is_to_say(schema: DatasetSchema, data: st.DataObject) -> None:
    kept = data.draw(edited(schema))
    assert written(kept) == kept
    assert written(kept).texts() == kept.texts()


@given(inferred(), st.data())
def test_inferring_the_same_again_changes_nothing(base: DatasetSchema, data: st.DataObject) -> None:
    kept = data.draw(edited(base))
    merged = merge(kept, base, base)
    assert merged.schema.texts() == kept.texts()
    assert merged.changes == ()
    assert merged.inferred == base


@given(inferred(), inferred())
def test_an_untouched_schema_follows_the_data(base: DatasetSchema, now: DatasetSchema) -> None:
    merged = merge(base, base, now)
    there = {one.name for one in now.columns}
    assert {one.name for one in merged.schema.columns} == there | {one.name for one in base.columns}
    for column in merged.schema.columns:
        assert column.vanished == (column.name not in there)
        if column.name in there:
            assert column == now.column(column.name)
    rules = keyed(without_columns(merged.schema, set(NAMES) - there).expectations)
    wanted = keyed(now.expectations)
    assert set(rules) == set(wanted)
    assert all(
        abs(rules[key].kwargs.get("mostly", 1) - wanted[key].kwargs.get("mostly", 1)) < 0.03 for key in rules
    )
    assert all(change.news is not News.KEPT for change in merged.changes)


@settings(max_examples=300)
@given(inferred(), inferred(), st.data())
def test_what_a_person_changed_stays(base: DatasetSchema, now: DatasetSchema, data: st.DataObject) -> None:
    kept = data.draw(edited(base))
    merged = merge(kept, base, now).schema
    old = {one.name: one for one in base.columns}
    for column in kept.columns:
        after = merged.column(column.name)  # no column that is kept is lost
        for part in ("type", "nullable", "not_in", "only_in", "optional", "notes", "checked"):
            mine = getattr(column, part)
            if mine != getattr(old.get(column.name), part, NEVER):
                assert getattr(after, part) == mine
    removed = set(old) - {one.name for one in kept.columns}
    assert removed.isdisjoint(one.name for one in merged.columns)
    before, mine_by_key, after_by_key = (keyed(each.expectations) for each in (base, kept, merged))
    assert set(after_by_key).isdisjoint(set(before) - set(mine_by_key))
    for key, rule in mine_by_key.items():
        if rule != before.get(key):
            assert_kept(rule, before.get(key), after_by_key[key])


def assert_kept(mine: Expectation, base: Expectation | None, after: Expectation) -> None:
    assert (after.only_in, after.not_in, after.extra) == (mine.only_in, mine.not_in, mine.extra)
    if base is None or mine.severity != base.severity:
        assert after.severity == mine.severity
    for name, value in mine.kwargs.items():
        had = base.kwargs.get(name, NEVER) if base else NEVER
        if value != had and name == "value_set" and isinstance(had, list):
            assert after.kwargs[name][: len(value)] == value
            assert not (set(had) - set(value)) & set(after.kwargs[name])
        elif value != had:
            assert after.kwargs[name] == value


@settings(max_examples=300)
@given(inferred(), inferred(), st.data(), st.booleans())
def test_after_accepting_nothing_is_left_to_accept(
    base: DatasetSchema, now: DatasetSchema, data: st.DataObject, known: bool
) -> None:
    kept = data.draw(edited(base))
    first = merge(kept, base if known else None, now)
    again = merge(written(first.schema), first.inferred, now)
    assert again.changes == ()
    assert again.schema.texts() == first.schema.texts()
    assert again.inferred == first.inferred


@given(inferred(), inferred(), st.data())
def test_without_a_base_every_word_is_the_persons(
    base: DatasetSchema, now: DatasetSchema, data: st.DataObject
) -> None:
    kept = data.draw(edited(base))
    merged = merge(kept, None, now)
    assert [
        replace(one, vanished=False)
        for one in merged.schema.columns
        if one.name in {c.name for c in kept.columns}
    ] == list(kept.columns)
    mine = keyed(kept.expectations)
    after = keyed(merged.schema.expectations)
    assert {key: after[key] for key in mine} == mine
    names = {one.name for one in kept.columns}
    assert all(not names.issuperset(after[key].columns) for key in set(after) - set(mine))


@given(inferred(), inferred(), st.data(), st.sets(st.sampled_from(NAMES)))
def test_accepting_some_columns_leaves_the_others(
    base: DatasetSchema, now: DatasetSchema, data: st.DataObject, names: set[str]
) -> None:
    kept = data.draw(edited(base))
    merged = merge(kept, base, limited(now, base, names))
    assert all(names.issuperset(change.columns) for change in merged.changes)
    mine, after = (without_columns(each, names) for each in (kept, merged.schema))
    assert mine.texts() == after.texts()


@given(inferred(), inferred())
def test_the_order_a_person_reads_is_kept(base: DatasetSchema, now: DatasetSchema) -> None:
    merged = merge(base, base, now).schema
    before = [one.name for one in base.columns]
    assert [one.name for one in merged.columns if one.name in before] == before
    keys, old = list(keyed(merged.expectations)), list(keyed(base.expectations))
    assert [key for key in keys if key in old] == [key for key in old if key in keys]


# ---------------------------------------------------------------- single cases, as a person sees them


def one_column(**kwargs: object) -> DatasetSchema:
    rule = Expectation(IN_SET, {"column": "x", **kwargs})
    return DatasetSchema((SchemaColumn("x", "string"),), (rule,))


def test_values_new_in_the_data_join_a_set_edited_by_hand() -> None:
    base = one_column(value_set=["a", "b"])
    kept = one_column(value_set=["b", "mine"])
    merged = merge(kept, base, one_column(value_set=["a", "b", "c"]))
    assert merged.schema.expectations[0].kwargs["value_set"] == ["b", "mine", "c"]
    assert change_lines(merged.changes) == ['changed   "x": values to be in set, value_set + ["c"]']


def test_a_share_within_the_tolerance_is_no_news() -> None:
    base, now = one_column(mostly=0.95), one_column(mostly=0.94)
    assert merge(base, base, now).changes == ()
    assert merge(base, base, now).inferred == base  # or small steps would add up unseen
    assert merge(base, base, one_column(mostly=0.9)).changes == (
        Change(News.CHANGED, ("x",), IN_SET, "mostly", 0.95, 0.9),
    )


def test_a_word_kept_against_the_data_is_reported_once() -> None:
    base, kept, now = one_column(mostly=0.95), one_column(mostly=0.5), one_column(mostly=0.8)
    first = merge(kept, base, now)
    assert first.schema == kept
    assert change_lines(first.changes) == [
        'kept      "x": values to be in set, mostly stays 0.5; the data say 0.8'
    ]
    assert merge(first.schema, first.inferred, now).changes == ()


def test_a_column_that_vanishes_and_returns() -> None:
    base = DatasetSchema(
        (SchemaColumn("x", "int64"), SchemaColumn("y", "string")),
        (Expectation(EXISTS, {"column": "x"}), Expectation(NOT_NULL, {"column": "x"})),
    )
    gone = without_columns(base, {"x"})
    first = merge(base, base, gone)
    assert first.schema.column("x").vanished
    assert first.schema.expectations == base.expectations
    assert '"vanished": true' in first.schema.texts()["schema.json"]
    assert change_lines(first.changes) == ['vanished  "x": column is gone from the data; it was int64']
    again = merge(first.schema, first.inferred, gone)
    assert (again.schema, again.changes) == (first.schema, ())
    back = merge(again.schema, again.inferred, base)
    assert back.schema == base
    assert change_lines(back.changes) == ['returned  "x": column is back, int64']


@pytest.mark.parametrize("change", [{"optional": True}, {"checked": False}])
def test_a_column_that_may_be_missing_does_not_vanish(change: dict[str, Any]) -> None:
    base = DatasetSchema((SchemaColumn("x", "int64"),))
    kept = DatasetSchema((replace(base.columns[0], **change),))
    assert merge(kept, base, DatasetSchema(())).changes == ()


def test_a_column_removed_by_hand_is_not_proposed_again() -> None:
    base = DatasetSchema((SchemaColumn("x", "int64"),), (Expectation(NOT_NULL, {"column": "x"}),))
    now = replace(
        base, expectations=(*base.expectations, Expectation(BETWEEN, {"column": "x", "min_value": 0}))
    )
    assert merge(DatasetSchema(()), base, now).schema == DatasetSchema(())


def test_new_columns_and_rules_go_where_the_data_have_them() -> None:
    now = DatasetSchema(
        tuple(SchemaColumn(name, "int64") for name in "abc"),
        tuple(Expectation(NOT_NULL, {"column": name}) for name in "abc"),
    )
    base = without_columns(now, {"b"})
    merged = merge(base, base, now)
    assert merged.schema == now
    added = set(merged.schema.texts()["schema.json"].splitlines()) - set(
        base.texts()["schema.json"].splitlines()
    )
    assert added == {' {"name": "b", "type": "int64", "nullable": true},'}  # one line in version control


def test_a_column_that_returns_changed_follows_the_data_unless_a_person_touched_it() -> None:
    base = DatasetSchema((SchemaColumn("x", "int64"), SchemaColumn("y", "int64")))
    gone = merge(base, base, DatasetSchema(()))
    kept = replace(
        gone.schema, columns=(gone.schema.columns[0], replace(gone.schema.columns[1], type="float"))
    )
    now = DatasetSchema((SchemaColumn("x", "string"), SchemaColumn("y", "string")))
    back = merge(kept, gone.inferred, now)
    assert [(column.type, column.vanished) for column in back.schema.columns] == [
        ("string", False),
        ("float", False),
    ]
