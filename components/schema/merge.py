"""A person's schema brought up to date with newly inferred rules; what the person changed stays.

Three schemas meet: the one a person keeps, the one that had been inferred when it was last brought up to
date (the base), and the one inferred now. What the person left as it was inferred follows the data; what
the person changed, added or removed stays, and where the data say something else it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from components.schema.schema import DatasetSchema, Expectation, SchemaColumn, Severity

# Shares concluded from samples differ a little each time; smaller steps than this are no news.
SHARE_TOLERANCE = 0.02

_NOTHING = object()
_UNKNOWN = object()
_COLUMN_KEYS = ("column", "column_A", "column_B", "column_list")
# What inference has a word on; everything else about a column or a rule is the person's alone.
_INFERRED = ("type", "nullable", "not_in", "semantic")
Key = tuple[Any, ...]
Fields = dict[str, Any]
Three = tuple[Fields, Fields, Fields]


class News(StrEnum):
    """What bringing a schema up to date does about a difference."""

    NEW = "new"
    CHANGED = "changed"
    REMOVED = "removed"
    VANISHED = "vanished"
    RETURNED = "returned"
    KEPT = "kept"


@dataclass(frozen=True)
class Change:
    """One difference between a kept schema and the data.

    Attributes:
        news: What is done about it; ``kept`` means that the person's word stands against the data.
        columns: The columns concerned; none for the table.
        rule: Type of the expectation; empty for the column itself.
        part: What of it: ``type``, ``nullable``, an argument's name; empty for all of it.
        before: What the person's files say; None for nothing.
        after: What they will say, or, where they stay as they are, what is inferred now; None for nothing.
    """

    news: News
    columns: tuple[str, ...]
    rule: str = ""
    part: str = ""
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Merge:
    """The outcome.

    Attributes:
        schema: The schema brought up to date.
        inferred: What is to be kept as the base of the next time.
        changes: The differences, in the order of the columns.
    """

    schema: DatasetSchema
    inferred: DatasetSchema
    changes: tuple[Change, ...]


def merge(kept: DatasetSchema, base: DatasetSchema | None, now: DatasetSchema) -> Merge:
    """Bring a kept schema up to date with what is inferred now.

    - What the person left as in the base becomes what is inferred now.
    - What the person changed, added or removed stays so. A set of values the person changed gains the
      values that are new in the data.
    - Columns and rules that were never inferred before are added, after what they follow in the data.
    - A column that the data no longer have stays, with its rules, and is marked ``vanished``.

    Args:
        kept: What the person's files say.
        base: What had been inferred when the files were last brought up to date. None when that is not
            known: all that the files say about their columns, and do not say, counts as the person's.
        now: What is inferred now. Shares within ``SHARE_TOLERANCE`` of the base's count as unchanged.
    """
    changes: list[Change] = []
    known = base if base is not None else _presumed(kept, now)
    now = _settled(now, known)
    columns = _merge_columns(kept, known, now, changes, certain=base is not None)
    rules = _merge_rules(kept, known, now, columns, changes)
    merged = replace(kept, columns=tuple(columns), expectations=tuple(rules))
    order = {name: place for place, name in enumerate(one.name for one in columns)}
    changes.sort(key=lambda change: [order.get(name, len(order)) for name in change.columns][:1])
    return Merge(merged, _with_vanished(now, base, merged), tuple(changes))


def limited(now: DatasetSchema, base: DatasetSchema, names: Collection[str]) -> DatasetSchema:
    """Return what is inferred now about some columns and, about all else, what the base says.

    Args:
        now: What is inferred now.
        base: What had been inferred, or what the person's files say.
        names: The columns.
    """
    chosen = {one.name: one for one in now.columns if one.name in names}
    columns = [one for one in base.columns if one.name not in names]
    columns = _inserted(columns, now.columns, chosen.values(), lambda one: one.name)

    def concerned(one: Expectation) -> bool:
        return bool(one.columns) and set(one.columns) <= set(names)

    old, new = keyed(base.expectations), keyed(now.expectations)
    rules = [key for key, one in old.items() if not concerned(one)]
    rules = _inserted(rules, list(new), [key for key, one in new.items() if concerned(one)], lambda key: key)
    expectations = tuple(old[key] if key in old and not concerned(old[key]) else new[key] for key in rules)
    return replace(base, columns=tuple(columns), expectations=expectations)


def without_columns(schema: DatasetSchema, names: Collection[str]) -> DatasetSchema:
    """Return a schema without some columns and the expectations about them."""
    return replace(
        schema,
        columns=tuple(one for one in schema.columns if one.name not in names),
        expectations=tuple(one for one in schema.expectations if set(names).isdisjoint(one.columns)),
    )


def keyed(expectations: Iterable[Expectation]) -> dict[Key, Expectation]:
    """Return expectations by what tells them apart: type, columns and, among equals, their number."""
    found: dict[Key, Expectation] = {}
    for one in expectations:
        columns = tuple(repr(one.kwargs.get(name)) for name in _COLUMN_KEYS)
        key: Key = (one.type, () if one.is_column_list else columns, 0)
        while key in found:
            key = (*key[:2], key[2] + 1)
        found[key] = one
    return found


def _presumed(kept: DatasetSchema, now: DatasetSchema) -> DatasetSchema:
    """Return the base where none is known: the rules that a person seems to have removed."""
    have, names = keyed(kept.expectations), {one.name for one in kept.columns}
    removed = [
        one for key, one in keyed(now.expectations).items() if key not in have and names >= set(one.columns)
    ]
    return DatasetSchema((), tuple(removed))


def _settled(now: DatasetSchema, base: DatasetSchema) -> DatasetSchema:
    """Return ``now`` with the base's shares where they differ by no more than chance explains."""
    before = keyed(base.expectations)
    rules = (_settled_rule(one, before.get(key)) for key, one in keyed(now.expectations).items())
    return replace(now, expectations=tuple(rules))


def _settled_rule(rule: Expectation, before: Expectation | None) -> Expectation:
    share, old = (each.kwargs.get("mostly") if each else None for each in (rule, before))
    if share is None or old is None or abs(share - old) > SHARE_TOLERANCE:
        return rule
    return replace(rule, kwargs={**rule.kwargs, "mostly": old})


def _merge_columns(
    kept: DatasetSchema, base: DatasetSchema, now: DatasetSchema, changes: list[Change], *, certain: bool
) -> list[SchemaColumn]:
    mine, old, new = ({one.name: one for one in each.columns} for each in (kept, base, now))
    merged = []
    for name, column in mine.items():
        if name in new:
            three = _column_fields(old.get(name)), _column_fields(column), _column_fields(new[name])
            values = _merged_fields(three, (name,), "", changes)
            if column.vanished:
                changes.append(Change(News.RETURNED, (name,), after=new[name].type))
            merged.append(replace(column, vanished=False, **values))
        else:
            gone = (name in old or not certain) and column.checked and not column.optional
            if gone and not column.vanished:
                changes.append(Change(News.VANISHED, (name,), before=column.type))
            merged.append(replace(column, vanished=gone or column.vanished))
    added = [one for name, one in new.items() if name not in mine and name not in old]
    changes += [Change(News.NEW, (one.name,), after=one.type) for one in added]
    return _inserted(merged, now.columns, added, lambda one: one.name)


def _merge_rules(
    kept: DatasetSchema,
    base: DatasetSchema,
    now: DatasetSchema,
    columns: Sequence[SchemaColumn],
    changes: list[Change],
) -> list[Expectation]:
    mine, old, new = (keyed(each.expectations) for each in (kept, base, now))
    there = {one.name for one in now.columns}
    merged: dict[Key, Expectation] = {}
    for key, rule in mine.items():
        if key in new:
            three = _rule_fields(old.get(key)), _rule_fields(rule), _rule_fields(new[key])
            values = _merged_fields(three, rule.columns, rule.type, changes)
            severity = Severity(values.pop("severity"))
            merged[key] = replace(rule, kwargs=values, severity=severity)
            continue
        merged[key] = rule
        if key not in old or not there.issuperset(rule.columns):
            continue  # the person's own, or about a column that has vanished
        touched = rule != old[key]
        news = News.KEPT if touched else News.REMOVED
        changes.append(Change(news, rule.columns, rule.type, "", rule.kwargs))
        if not touched:
            del merged[key]
    names = {one.name for one in columns}
    added = {k: one for k, one in new.items() if k not in mine and k not in old and names >= set(one.columns)}
    changes += [Change(News.NEW, one.columns, one.type, "", None, one.kwargs) for one in added.values()]
    order = _inserted(list(merged), list(new), added, lambda key: key)
    return [merged[key] if key in merged else added[key] for key in order]


def _merged_fields(three: Three, columns: tuple[str, ...], rule: str, changes: list[Change]) -> Fields:
    """Merge base, mine and now field by field."""
    base, mine, now = three
    unknown = _NOTHING if base else _UNKNOWN  # what was never inferred, a person has left out or put in
    merged: Fields = {}
    for key in [*mine, *(key for key in now if key not in mine)]:
        before, have, want = base.get(key, unknown), mine.get(key, _NOTHING), now.get(key, _NOTHING)
        value, news = _merged_value(before, have, want, key)
        if news is not None:
            after = want if news is News.KEPT else value
            shown = [None if each is _NOTHING else each for each in (have, after)]
            changes.append(Change(news, columns, rule, key, *shown))
        if value is not _NOTHING:
            merged[key] = value
    return merged


def _merged_value(base: Any, mine: Any, now: Any, name: str) -> tuple[Any, News | None]:
    """Return the value that stands, and what is to be said about it."""
    if now in (base, mine):
        return mine, None
    if mine == base:
        return now, News.CHANGED
    if name == "value_set" and all(isinstance(each, list) for each in (base, mine, now)):
        more = [value for value in now if value not in base and value not in mine]
        return [*mine, *more], News.CHANGED if more else None
    return mine, News.KEPT


def _column_fields(column: SchemaColumn | None) -> Fields:
    return {key: getattr(column, key) for key in _INFERRED} if column is not None else {}


def _rule_fields(rule: Expectation | None) -> Fields:
    return {"severity": str(rule.severity), **rule.kwargs} if rule is not None else {}


def _inserted(
    merged: Sequence[Any], order: Sequence[Any], added: Iterable[Any], key: Callable[[Any], Any]
) -> list[Any]:
    """Return ``merged`` with each addition behind the nearest one that goes before it in ``order``."""
    places = {key(one): place for place, one in enumerate(order)}
    result = list(merged)
    present = {key(one) for one in result}
    for one in sorted(added, key=lambda each: places[key(each)]):
        if key(one) in present:
            continue
        before = (key(order[place]) for place in range(places[key(one)] - 1, -1, -1))
        last = next((name for name in before if name in present), None)
        at = next((place for place, other in enumerate(result) if key(other) == last), -1)
        result.insert(at + 1, one)
        present.add(key(one))
    return result


def _with_vanished(now: DatasetSchema, base: DatasetSchema | None, merged: DatasetSchema) -> DatasetSchema:
    """Return the next base: what is inferred now, and the old base's word on what has vanished."""
    gone = {one.name for one in merged.columns} - {one.name for one in now.columns}
    if base is None or not gone:
        return now
    columns = [one for one in base.columns if one.name in gone]
    rules = [one for one in base.expectations if gone.intersection(one.columns)]
    return replace(now, columns=(*now.columns, *columns), expectations=(*now.expectations, *rules))
