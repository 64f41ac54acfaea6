"""Small schemas as inference makes them, and the edits a person makes to one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from components.schema.schema import DatasetSchema, Expectation, SchemaColumn, Severity

NAMES = ["a", "b", "c", "d"]
NOT_NULL = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
BETWEEN = "expect_column_values_to_be_between"
EXISTS = "expect_column_to_exist"

shares = st.sampled_from([0.5, 0.9, 0.95, 0.99])
words = st.lists(st.sampled_from(["x", "y", "z", "w"]), min_size=1, unique=True).map(sorted)


@st.composite
def rules_of(draw: st.DrawFn, name: str) -> list[Expectation]:
    rules = [Expectation(EXISTS, {"column": name})]
    if draw(st.booleans()):
        share: dict[str, Any] = {"mostly": draw(shares)} if draw(st.booleans()) else {}
        rules.append(Expectation(NOT_NULL, {"column": name, **share}))
    if draw(st.booleans()):
        rules.append(Expectation(IN_SET, {"column": name, "value_set": draw(words), "mostly": draw(shares)}))
    if draw(st.booleans()):
        low = draw(st.integers(0, 2))
        rules.append(Expectation(BETWEEN, {"column": name, "min_value": low, "max_value": low + 9}))
    return rules


@st.composite
def inferred(draw: st.DrawFn) -> DatasetSchema:
    """A schema as inference would make it from some data."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    columns = [
        SchemaColumn(
            name,
            draw(st.sampled_from(["int64", "double", "string"])),
            draw(st.booleans()),
            not_in=draw(st.sampled_from([(), ("serving",)])),
        )
        for name in names
    ]
    rules = [Expectation("expect_table_row_count_to_be_between", {"min_value": 1})]
    rules += [rule for name in names for rule in draw(rules_of(name))]
    return DatasetSchema(tuple(columns), tuple(rules))


@st.composite
def edited(draw: st.DrawFn, schema: DatasetSchema) -> DatasetSchema:
    """A schema as a person might leave it: entries changed, removed, added and moved."""
    columns = [draw(edited_column(one)) for one in schema.columns if draw(st.integers(0, 4))]
    if draw(st.booleans()):
        columns.append(SchemaColumn("mine", "string", notes="added by hand"))
    names = {one.name for one in columns}
    rules = [
        draw(edited_rule(one))
        for one in schema.expectations
        if names >= set(one.columns) and draw(st.integers(0, 4))
    ]
    if draw(st.booleans()) and columns:
        rules.append(Expectation("expect_column_values_to_be_unique", {"column": columns[0].name}))
    order = draw(st.permutations(rules)) if draw(st.booleans()) else rules
    return replace(schema, columns=tuple(columns), expectations=tuple(order), name="kept", meta={"by": "me"})


def edited_column(one: SchemaColumn) -> st.SearchStrategy[SchemaColumn]:
    changes = [
        one,
        replace(one, type="timestamp[us]"),
        replace(one, nullable=not one.nullable),
        replace(one, not_in=("scoring",)),
        replace(one, optional=True),
        replace(one, notes="a person's word"),
    ]
    return st.sampled_from(changes)


@st.composite
def edited_rule(draw: st.DrawFn, one: Expectation) -> Expectation:
    kind = draw(st.sampled_from(["same", "same", "share", "severity", "limit", "note", "values"]))
    if kind == "share":
        return replace(one, kwargs={**one.kwargs, "mostly": 0.123})
    if kind == "severity":
        return replace(one, severity=Severity.WARN)
    if kind == "limit":
        return replace(one, only_in=("training",))
    if kind == "note":
        return replace(one, extra={"notes": "why", "meta": {"owner": "me"}})
    if kind == "values" and "value_set" in one.kwargs:
        return replace(one, kwargs={**one.kwargs, "value_set": [*one.kwargs["value_set"][1:], "by hand"]})
    return one
