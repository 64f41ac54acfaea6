from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.schema.store import read_folder
from components.schema.tfx import ImportedSchema, ImportRules, import_schema
from components.schema.tfx_proto import _MESSAGES, _schema_class
from components.schema.tfx_rules import shortest
from orchestration import ArgumentError

DATA = Path(__file__).parent / "tfx"
SCALAR = "shape { dim { size: 1 } }"
MASS = "distribution_constraints { min_domain_mass: 0.9 }"
CATEGORICAL = "is_categorical: CATEGORICAL_YES"
INNER = """feature { name: "a" type: INT shape {} }
           feature { name: "b" type: BYTES shape { dim { size: 2 } } }"""


def imported(tmp_path: Path, text: str, **options: Any) -> ImportedSchema:
    path = tmp_path / "schema.pbtxt"
    path.write_text(text, encoding="utf-8")
    return import_schema(path, ImportRules(**options))


def of_feature(tmp_path: Path, text: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The column, the rules by their short name, and what was left out, of one feature."""
    found = imported(tmp_path, f'feature {{ name: "x" {text} }}', **options)
    rules = {
        one.type: {k: v for k, v in one.kwargs.items() if k != "column"} for one in found.schema.expectations
    }
    short = {kind.removeprefix("expect_column_"): kwargs for kind, kwargs in rules.items()}
    return found.schema.columns[0].to_json(), short, list(found.left_out)


@pytest.mark.parametrize(
    ("text", "column", "rules"),
    [
        (f"type: INT {SCALAR}", {"type": "int64", "nullable": True, "optional": True}, {}),
        (
            f"type: FLOAT {SCALAR} presence {{ min_fraction: 1 min_count: 1 }}",
            {"type": "double", "nullable": False},
            {"to_exist": {}, "values_to_not_be_null": {}},
        ),
        (
            f"type: BYTES {SCALAR} presence {{ min_fraction: 0.5 }}",
            {"type": "string", "nullable": True},
            {"to_exist": {}, "values_to_not_be_null": {"mostly": 0.5}},
        ),
        (
            "type: BYTES value_count { min: 0 max: 1 } presence { min_count: 1 }",
            {"type": "string", "nullable": True},
            {
                "to_exist": {},
                "proportion_of_non_null_values_to_be_between": {"min_value": 0, "strict_min": True},
            },
        ),
        (
            "type: INT value_count { min: 2 max: 5 }",
            {"type": "list<element: int64>", "nullable": True, "optional": True},
            {"list_lengths_to_be_between": {"min_value": 2, "max_value": 5}},
        ),
        (
            "type: INT value_count { min: 1 }",
            {"type": "list<element: int64>", "nullable": True, "optional": True},
            {"list_lengths_to_be_between": {"min_value": 1}},
        ),
        (
            "type: FLOAT shape { dim { size: 3 } }",
            {"type": "list<element: double>", "nullable": True, "optional": True},
            {"list_lengths_to_be_between": {"min_value": 3, "max_value": 3}},
        ),
        ("type: FLOAT shape {}", {"type": "double", "nullable": True, "optional": True}, {}),
        (
            f"type: INT {SCALAR} int_domain {{ min: -1 max: 23 is_categorical: true }}",
            {"type": "int64", "nullable": True, "optional": True, "semantic": "categorical"},
            {"values_to_be_between": {"min_value": -1, "max_value": 23}},
        ),
        (
            f"type: FLOAT {SCALAR} float_domain {{ min: 0.1 disallow_inf: true }}",
            {"type": "double", "nullable": True, "optional": True},
            {"values_to_be_between": {"min_value": 0.1}, "values_to_be_finite": {}},
        ),
        (
            f'type: BYTES {SCALAR} string_domain {{ value: "a" value: "\\303\\274" {CATEGORICAL} }}',
            {"type": "string", "nullable": True, "optional": True, "semantic": "categorical"},
            {"values_to_be_in_set": {"value_set": ["a", "ü"]}},
        ),
        (
            f'type: BYTES {SCALAR} string_domain {{ value: "a" }} {MASS}',
            {"type": "string", "nullable": True, "optional": True},
            {"values_to_be_in_set": {"value_set": ["a"], "mostly": 0.9}},
        ),
        (
            f"type: INT {SCALAR} bool_domain {{}}",
            {"type": "int64", "nullable": True, "optional": True},
            {"values_to_be_in_set": {"value_set": [0, 1]}},
        ),
        (
            f'type: BYTES {SCALAR} bool_domain {{ true_value: "yes" false_value: "no" }}',
            {"type": "string", "nullable": True, "optional": True},
            {"values_to_be_in_set": {"value_set": ["no", "yes"]}},
        ),
        (
            f'type: BYTES {SCALAR} time_domain {{ string_format: "%Y-%m-%d" }}',
            {"type": "string", "nullable": True, "optional": True},
            {"values_to_match_strftime_format": {"strftime_format": "%Y-%m-%d"}},
        ),
        (
            f"type: INT {SCALAR} time_domain {{ integer_format: UNIX_SECONDS }}",
            {"type": "int64", "nullable": True, "optional": True, "semantic": "epoch_seconds"},
            {},
        ),
        (
            f"type: BYTES {SCALAR} url_domain {{}}",
            {"type": "string", "nullable": True, "optional": True, "semantic": "url"},
            {},
        ),
        (
            f"type: BYTES {SCALAR} image_domain {{}}",
            {"type": "binary", "nullable": True, "optional": True, "semantic": "image"},
            {},
        ),
        (
            f"type: BYTES {SCALAR} natural_language_domain {{}}",
            {"type": "string", "nullable": True, "optional": True, "semantic": "free_text"},
            {},
        ),
        (
            f"type: INT {SCALAR} unique_constraints {{ min: 2 max: 9 }}",
            {"type": "int64", "nullable": True, "optional": True},
            {"unique_value_count_to_be_between": {"min_value": 2, "max_value": 9}},
        ),
        (
            f'type: INT {SCALAR} lifecycle_stage: DEPRECATED annotation {{ comment: "old" tag: "t" }}',
            {
                "type": "int64", "nullable": True, "optional": True, "checked": False,
                "notes": "old; tags: t; deprecated",
            },
            {},
        ),
        (
            f"type: STRUCT shape {{}} struct_domain {{ {INNER} }}",
            {"type": "struct<a: int64, b: list<element: string>>", "nullable": True, "optional": True},
            {},
        ),
        (
            f"type: BYTES {SCALAR} int_domain {{ is_categorical: true }}",
            {"type": "string", "nullable": True, "optional": True, "semantic": "categorical"},
            {"values_to_match_regex": {"regex": "^[+-]?[0-9]+$"}},
        ),
    ],
)  # fmt: skip
def test_a_feature(tmp_path: Path, text: str, column: dict[str, Any], rules: dict[str, Any]) -> None:
    found, expectations, _ = of_feature(tmp_path, text)
    assert found == {"name": "x", **column}
    assert expectations == rules


LEFT_OUT = [
    (f"type: BYTES {SCALAR} presence {{ min_count: 5 }}", "presence.min_count 5"),
    ("type: INT shape { dim { size: 2 } dim { size: 3 } }", "shape [2, 3]"),
    ("type: INT", "shape: none is given"),
    (SCALAR, "type: none is given"),
    ("type: INT value_counts { value_count { min: 1 } value_count { min: 2 } }", "value_counts"),
    (f"type: INT {SCALAR} group_presence {{ required: true }}", "group_presence required: true"),
    ('type: BYTES value_count { min: 1 } string_domain { value: "a" }', "string_domain: the values within"),
    ("type: INT value_count { min: 1 } unique_constraints { min: 1 }", "unique_constraints"),
    (f"type: BYTES {SCALAR} int_domain {{ min: 3 }}", "int_domain min: 3"),
    (f"type: FLOAT {SCALAR} float_domain {{ disallow_nan: true }}", "float_domain.disallow_nan"),
    (f"type: FLOAT {SCALAR} float_domain {{ embedding_dim: 3 }}", "float_domain.embedding_dim"),
    (f'type: INT {SCALAR} string_domain {{ value: "a" }}', "the feature is no text"),
    (f"type: BYTES {SCALAR} bool_domain {{}}", "which texts mean true"),
    (f'type: BYTES {SCALAR} natural_language_domain {{ vocabulary: "v" }}', "natural_language_domain.vocab"),
    (f"type: BYTES {SCALAR} image_domain {{ max_image_byte_size: 9 }}", "image_domain.max_image_byte_size 9"),
    (f"type: INT {SCALAR} distribution_constraints {{ min_domain_mass: 0.5 }}", "distribution_constraints"),
    (f"type: INT {SCALAR} sequence_metadata {{ joint_group: \"g\" }}", "sequence_metadata joint_group"),
    (f'type: INT {SCALAR} validation_derived_source {{ deriver_name: "d" }}', "validation_derived_source"),
    (
        f"type: INT {SCALAR} skew_comparator {{ infinity_norm {{ threshold: 0.01 }} }}",
        """DriftRules(columns={'x': (Limit("l_infinity", fail=0.01),)})""",
    ),
    (
        f"type: FLOAT {SCALAR} drift_comparator {{ jensen_shannon_divergence {{ threshold: 0.02 }} }}",
        """DriftRules(columns={'x': (Limit("jensen_shannon", fail=0.02),)})""",
    ),
    (
        f"type: FLOAT {SCALAR} drift_comparator {{ normalized_abs_difference {{ threshold: 0.02 }} }}",
        "there is no such measure",
    ),
    (
        "type: STRUCT shape {} struct_domain { feature { name: 'a' shape {} presence {} } }",
        "field x.a: presence: fields of structs",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "listed"), LEFT_OUT)
def test_what_cannot_be_carried_over_is_listed(tmp_path: Path, text: str, listed: str) -> None:
    _, _, left_out = of_feature(tmp_path, text)
    assert any(listed in line for line in left_out), left_out


def fields(message: str) -> list[str]:
    return [declared.split(" ")[0] for declared in _MESSAGES[message].split(", ")]


OF_FEATURE = {
    "name": 'name: "x"',
    "type": "type: INT",
    "deprecated": "deprecated: true",
    "lifecycle_stage": "lifecycle_stage: ALPHA",
    "domain": 'domain: "words"',
    "string_domain": 'string_domain { value: "z" }',
    "bool_domain": "bool_domain {} type: INT",
    "time_domain": 'time_domain { string_format: "%Y" }',
    "time_of_day_domain": "time_of_day_domain { integer_format: PACKED_64_NANOS }",
    "struct_domain": 'type: STRUCT struct_domain { feature { name: "a" type: INT shape {} } }',
    "annotation": 'annotation { comment: "c" }',
    "in_environment": 'in_environment: "SCORING"',
    "not_in_environment": 'not_in_environment: "SERVING"',
    "value_count": "value_count { min: 2 }",
    "value_counts": "value_counts { value_count { min: 2 } }",
    "shape": "shape { dim { size: 2 } }",
    "presence": "presence { min_count: 1 }",
    "group_presence": "group_presence { required: true }",
    "int_domain": "int_domain { min: 1 }",
    "float_domain": "float_domain { min: 1 }",
    "skew_comparator": "skew_comparator { infinity_norm { threshold: 1 } }",
    "drift_comparator": "drift_comparator { infinity_norm { threshold: 1 } }",
    "distribution_constraints": "distribution_constraints { min_domain_mass: 0.5 }",
    "unique_constraints": "unique_constraints { min: 1 }",
    "validation_derived_source": 'validation_derived_source { deriver_name: "d" }',
    "sequence_metadata": 'sequence_metadata { joint_group: "g" }',
    **{
        f"{name}_domain": f"{name}_domain {{}}"
        for name in ("natural_language", "image", "mid", "url", "audio", "video", "content_chunk")
    },
}
WORDS = 'string_domain { name: "words" value: "a" }\n'


@pytest.mark.parametrize("field", [name for name in fields("Feature") if name != "name"])
def test_no_field_of_a_feature_is_dropped_silently(tmp_path: Path, field: str) -> None:
    bare = imported(tmp_path, WORDS + 'feature { name: "x" } feature { name: "y" domain: "words" }')
    given = imported(
        tmp_path,
        WORDS + f'feature {{ name: "x" {OF_FEATURE[field]} }} feature {{ name: "y" domain: "words" }}',
    )
    assert (given.schema, given.left_out) != (bare.schema, bare.left_out)


OF_SCHEMA = {
    "feature": 'feature { name: "x" type: INT shape {} }',
    "string_domain": 'string_domain { name: "d" value: "a" }',
    "int_domain": 'int_domain { name: "d" min: 1 }',
    "float_domain": 'float_domain { name: "d" min: 1 }',
    "default_environment": 'default_environment: "SCORING"',
    "sparse_feature": 'sparse_feature { name: "s" }',
    "weighted_feature": 'weighted_feature { name: "w" }',
    "generate_legacy_feature_spec": "generate_legacy_feature_spec: false",
    "annotation": 'annotation { tag: "t" }',
    "dataset_constraints": "dataset_constraints { min_examples_count: 3 }",
    "tensor_representation_group": 'tensor_representation_group { key: "" value { tensor_representation { '
    'key: "x" value { dense_tensor { column_name: "x" } } } } }',
    "represent_variable_length_as_ragged": "represent_variable_length_as_ragged: true",
}


@pytest.mark.parametrize("field", fields("Schema"))
def test_no_field_of_a_schema_is_dropped_silently(tmp_path: Path, field: str) -> None:
    bare = imported(tmp_path, "")
    given = imported(tmp_path, OF_SCHEMA[field])
    assert (given.schema, given.left_out) != (bare.schema, bare.left_out)


def test_environments(tmp_path: Path) -> None:
    found = imported(
        tmp_path,
        """
        default_environment: "TRAINING" default_environment: "SERVING"
        feature { name: "usual" type: INT shape {} }
        feature { name: "label" type: INT shape {} not_in_environment: "SERVING" }
        feature { name: "debug" type: INT shape {} in_environment: "Debug" not_in_environment: "TRAINING" }
        """,
    ).schema
    names = {
        name: [column.name for column in found.for_environment(name).columns]
        for name in ("training", "serving", "Debug")
    }
    assert names == {"training": ["usual", "label"], "serving": ["usual", "debug"], "Debug": ["debug"]}


def test_without_a_default_environment_a_feature_is_in_all_but_those_it_names(tmp_path: Path) -> None:
    text = 'feature { name: "a" type: INT shape {} } feature { name: "b" not_in_environment: "SERVING" }'
    found = imported(tmp_path, text).schema
    assert [column.name for column in found.for_environment("serving").columns] == ["a"]
    assert [column.name for column in found.for_environment("training").columns] == ["a", "b"]


def test_comparators_with_a_split_to_compare_with(tmp_path: Path) -> None:
    text = (
        f"type: INT {SCALAR} skew_comparator {{ infinity_norm {{ threshold: 0.01 }} }} "
        "drift_comparator { jensen_shannon_divergence { threshold: 0.02 } }"
    )
    _, rules, left_out = of_feature(tmp_path, text, drift_split="before", skew_split="serving")
    assert rules == {
        "l_infinity_distance_to_be_less_than": {"threshold": 0.01, "baseline_split": "serving"},
        "jensen_shannon_divergence_to_be_less_than": {"threshold": 0.02, "baseline_split": "before"},
    }
    assert not left_out


def test_types_can_be_chosen(tmp_path: Path) -> None:
    text = f'feature {{ name: "x" type: FLOAT {SCALAR} }} feature {{ name: "y" type: BYTES {SCALAR} }}'
    found = imported(tmp_path, text, float_type="float", bytes_type="binary").schema
    assert [column.type for column in found.columns] == ["float", "binary"]
    with pytest.raises(ArgumentError, match="float_type"):
        ImportRules(float_type="half")


@pytest.mark.parametrize("value", [0.1, 1e-7, 3.4e38, 16777217.0, -2.5, 0.0, 1 / 3])
def test_bounds_are_the_shortest_number_of_the_same_float(value: float) -> None:
    import numpy as np

    short = shortest(float(np.float32(value)))
    assert np.float32(short) == np.float32(value)
    assert len(repr(short)) <= len(repr(float(np.float32(value))))


def test_every_message_can_be_made() -> None:
    message = _schema_class()()
    found = {message.DESCRIPTOR.name}
    todo = [message.DESCRIPTOR]
    while todo:
        for field in todo.pop().fields:
            if field.message_type and field.message_type.name not in found:
                found.add(field.message_type.name)
                todo.append(field.message_type)
    assert found == set(_MESSAGES)


def test_what_is_imported_comes_back_from_its_files(tmp_path: Path) -> None:
    found = import_schema(DATA / "taxi.pbtxt").schema
    found.write(tmp_path)
    assert read_folder(tmp_path).schema == found


def test_with_no_default_environment_a_feature_may_name_its_own(tmp_path: Path) -> None:
    found = imported(tmp_path, 'feature { name: "a" } feature { name: "b" in_environment: "SCORING" }').schema
    assert found.column("b").only_in == ("SCORING",)
    assert [column.name for column in found.for_environment("serving").columns] == ["a"]
    assert [column.name for column in found.for_environment("SCORING").columns] == ["a", "b"]
