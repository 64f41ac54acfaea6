"""A TFX schema (``schema.pbtxt``) as columns and expectations; nothing in it is lost without a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from components.schema.schema import SERVING, TRAINING, DatasetSchema, Expectation, SchemaColumn
from components.schema.tfx_rules import (
    BYTES,
    FLOAT,
    INT,
    STRUCT,
    Context,
    Subject,
    comparator_rules,
    domain_rules,
    is_required,
    length_rules,
    meaning,
    on_line,
    presence_rules,
    uniqueness_rules,
)
from orchestration import DataError, require

# Features in these stages are known but not validated.
_UNCHECKED = {1: "planned", 2: "alpha", 5: "deprecated", 6: "for debugging only", 7: "disabled"}
_DERIVED = 9
_MEDIA = ("image_domain", "audio_domain", "video_domain", "content_chunk_domain")
_CARRIED = {
    "name", "deprecated", "value_count", "type", "domain", "int_domain", "float_domain", "string_domain",
    "bool_domain", "presence", "annotation", "skew_comparator", "not_in_environment", "in_environment",
    "drift_comparator", "lifecycle_stage", "shape", "natural_language_domain", "image_domain", "mid_domain",
    "url_domain", "time_domain", "struct_domain", "time_of_day_domain", "unique_constraints", "value_counts",
    "audio_domain", "video_domain", "content_chunk_domain", "distribution_constraints",
}  # fmt: skip
_CARRIED_OF_SCHEMA = {
    "feature", "string_domain", "int_domain", "float_domain", "default_environment", "annotation",
    "dataset_constraints",
}  # fmt: skip


@dataclass(frozen=True)
class ImportedSchema:
    """What an import gave.

    Attributes:
        schema: The schema.
        left_out: What could not be carried over, a line each.
    """

    schema: DatasetSchema
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class ImportRules:
    """What a user may choose about an import.

    Attributes:
        allow_unknown: List unknown fields instead of refusing the file.
        drift_split: The split that drift comparators compare with; None leaves them out.
        skew_split: The split that skew comparators compare with.
        float_type: Arrow type of FLOAT features: ``"double"``, as CSV files are read, or ``"float"``, as
            ``tf.Example`` holds them.
        bytes_type: Arrow type of BYTES features that are no images: ``"string"`` or ``"binary"``.
    """

    allow_unknown: bool = False
    drift_split: str | None = None
    skew_split: str | None = None
    float_type: str = "double"
    bytes_type: str = "string"

    def __post_init__(self) -> None:
        require(self.float_type in ("double", "float"), "float_type", "double or float", self.float_type)
        fits = self.bytes_type in ("string", "binary")
        require(fits, "bytes_type", "string or binary", self.bytes_type)


def import_schema(path: Path, rules: ImportRules | None = None) -> ImportedSchema:
    """Return the schema of a ``schema.pbtxt``.

    Args:
        path: The file, in protobuf's text format.
        rules: The user's choices.

    Raises:
        DataError: The file is missing, is no such text, holds an unknown field, or contradicts itself.
    """
    from components.schema.tfx_proto import parse_text

    if not path.is_file():
        raise DataError(f"there is no file {path}", expected="a schema.pbtxt", at="")
    chosen = rules or ImportRules()
    message, unknown = parse_text(path, allow_unknown=chosen.allow_unknown)
    domains = {
        domain.name: domain
        for each in (message.int_domain, message.float_domain, message.string_domain)
        for domain in each
    }
    context = Context(domains, chosen.drift_split, chosen.skew_split, unknown)
    default = {*message.default_environment}
    named = default.union(*({*one.in_environment, *one.not_in_environment} for one in message.feature))
    columns: list[SchemaColumn] = []
    expectations = [*_table_rules(message, context)]
    for feature in message.feature:
        _refuse(feature, [column.name for column in columns], path)
        column, bounds = _column(feature, context, chosen)
        only_in, not_in = _environments(feature, default, named)
        columns.append(replace(column, only_in=only_in, not_in=not_in))
        expectations.extend(_rules(feature, column, bounds, context))
    _leave_rest(message, columns, context)
    meta = {"notes": _notes(message)} if message.HasField("annotation") else {}
    schema = DatasetSchema(tuple(columns), tuple(expectations), meta=meta)
    return ImportedSchema(schema, tuple(context.left_out))


def _refuse(feature: Any, known: list[str], path: Path) -> None:
    if not feature.name or feature.name in known:
        raise DataError(
            f'{path} has two features named "{feature.name}"'
            if feature.name
            else f"{path}: a feature has no name",
            expected="a name of its own for every feature",
            received=on_line(feature),
            at="",
        )


def _column(
    feature: Any, context: Context, rules: ImportRules
) -> tuple[SchemaColumn, tuple[int | None, int | None] | None]:
    """Return a feature's column, and the bounds of its lists; None for one value a row."""
    subject = Subject(feature, is_list=False, context=context)
    kind, bounds = _type(subject, rules)
    stage = "deprecated" if feature.deprecated else _UNCHECKED.get(feature.lifecycle_stage, "")
    column = SchemaColumn(
        feature.name,
        kind or "string",
        nullable=feature.presence.min_fraction < 1,
        optional=not is_required(feature),
        checked=not stage and kind is not None and feature.lifecycle_stage != _DERIVED,
        semantic=meaning(feature, context),
        notes="; ".join(filter(None, [_notes(feature), stage])),
    )
    if kind is None:
        subject.leave("type", "none is given, so the column is known but not checked")
    return column, bounds


def _type(subject: Subject, rules: ImportRules) -> tuple[str | None, tuple[int | None, int | None] | None]:
    """Return a feature's Arrow type, None for unknown, and the bounds of its lists."""
    feature = subject.feature
    plain = {BYTES: rules.bytes_type, INT: "int64", FLOAT: rules.float_type}.get(feature.type)
    if feature.type == BYTES and feature.WhichOneof("domain_choice") in _MEDIA:
        plain = "binary"
    if feature.type == STRUCT and feature.struct_domain.feature:
        plain = f"struct<{', '.join(_fields(subject, rules))}>"
    depth, bounds = _lists(subject)
    if plain is None:
        return None, None
    return "list<element: " * depth + plain + ">" * depth, bounds if depth else None


def _lists(subject: Subject) -> tuple[int, tuple[int | None, int | None]]:
    """Return how deeply the values are nested in lists, and the bounds of the outer ones' lengths."""
    feature = subject.feature
    shape = feature.WhichOneof("shape_choice")
    if shape == "shape":
        sizes = [dim.size for dim in feature.shape.dim]
        if len(sizes) > 1:
            subject.leave(f"shape {sizes}", "a row holds all values in one list")
        count = prod(sizes) if all(size > 0 for size in sizes) else None
        return int(count != 1), (count, count)
    if shape is None:
        subject.leave("shape", "none is given; taken as one value a row")
        return 0, (None, None)
    counts = list(feature.value_counts.value_count) if shape == "value_counts" else [feature.value_count]
    if len(counts) > 1:
        subject.leave("value_counts", "only the lengths of the outer lists are checked")
    low, high = (getattr(counts[0], name) if counts[0].HasField(name) else None for name in ("min", "max"))
    single = len(counts) == 1 and high == 1
    return 0 if single else len(counts), (low, high)


def _fields(subject: Subject, rules: ImportRules) -> Iterator[str]:
    structure = subject.feature.struct_domain
    for inner in structure.feature:
        name = f"{subject.feature.name}.{inner.name}"
        own = Subject(inner, is_list=False, context=subject.context)
        kind, bounds = _type(own, rules)
        told = {"name", "type", "struct_domain", *(("shape", "value_count") if bounds is None else ())}
        said = [one.name for one, _ in inner.ListFields() if one.name not in told]
        if kind is None:
            subject.leave(f"field {name}", "has no type; taken as string")
        if said:
            subject.leave(f"field {name}: {', '.join(said)}", "fields of structs have a type only")
        yield f"{inner.name}: {kind or 'string'}"
    for inner in structure.sparse_feature:
        subject.leave(f"sparse_feature {inner.name}", "has no counterpart")


def _rules(
    feature: Any, column: SchemaColumn, bounds: tuple[int | None, int | None] | None, context: Context
) -> Iterator[Expectation]:
    subject = Subject(feature, is_list=bounds is not None, context=context)
    yield from presence_rules(subject)
    yield from length_rules(subject, *(bounds or (None, None)))
    yield from domain_rules(subject)
    yield from uniqueness_rules(subject)
    yield from comparator_rules(subject)
    for one, value in feature.ListFields():
        if one.name not in _CARRIED:
            subject.leave(f"{one.name} {on_line(value)}", "has no counterpart")
    texts = _is_text_domain(feature, context)
    if feature.HasField("distribution_constraints") and not texts:
        subject.leave("distribution_constraints", "only for a domain of texts")


def _is_text_domain(feature: Any, context: Context) -> bool:
    name = feature.WhichOneof("domain_choice")
    domain = context.domains.get(feature.domain) if name == "domain" else getattr(feature, name or "", None)
    return domain is not None and type(domain).DESCRIPTOR.name == "StringDomain"


def _environments(
    feature: Any, default: set[str], named: set[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a feature's ``only_in`` and ``not_in``, of the environments that the schema names."""
    there = {*feature.in_environment} - {*feature.not_in_environment}
    if feature.in_environment and not default:
        return tuple(sorted(environment(name) for name in there)), ()
    # Without a default a feature would be in no environment; what is meant is: in all but those it names.
    there |= (default or named) - {*feature.not_in_environment}
    return (), tuple(sorted(environment(name) for name in named - there))


def environment(name: str) -> str:
    """Return our name of an environment: ``training`` for ``TRAINING``, other names as they are."""
    return name.lower() if name.lower() in (TRAINING, SERVING) else name


def _notes(message: Any) -> str:
    tags = ", ".join(message.annotation.tag)
    return "; ".join([*message.annotation.comment, *([f"tags: {tags}"] if tags else [])])


def _table_rules(message: Any, context: Context) -> Iterator[Expectation]:
    limits = message.dataset_constraints
    named = {"min_value": "min_examples_count", "max_value": "max_examples_count"}
    bounds = {key: getattr(limits, name) for key, name in named.items() if limits.HasField(name)}
    if bounds:
        yield Expectation("expect_table_row_count_to_be_between", bounds)
    for one, value in limits.ListFields():
        if one.name not in named.values():
            sides = {"min_rows": "min_fraction_threshold", "max_rows": "max_fraction_threshold"}
            given = [f"{key}={getattr(value, name)}" for key, name in sides.items() if value.HasField(name)]
            why = f"belongs to validate_examples: DriftRules({', '.join(given)})"
            context.left_out.append(f"dataset_constraints.{one.name} {on_line(value)}: {why}")


def _leave_rest(message: Any, columns: list[SchemaColumn], context: Context) -> None:
    """List what the schema says beside its features."""
    used = {feature.domain for feature in message.feature}
    context.left_out.extend(
        f'domain "{name}": no feature uses it' for name in sorted(context.domains) if name not in used
    )
    mentioned = {
        TRAINING,
        SERVING,
        *(name for column in columns for name in (*column.not_in, *column.only_in)),
    }
    for name in message.default_environment:
        if environment(name) not in mentioned:
            context.left_out.append(f'default_environment "{name}": has all columns; nothing names it')
    for one, value in message.ListFields():
        if one.name not in _CARRIED_OF_SCHEMA:
            for item in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
                context.left_out.append(f"{one.name} {on_line(item)}: has no counterpart")
