"""An injected fault for each of TFDV's anomaly types: sound data, data with the fault, what must be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from components.comparison.drift_rules import DriftRules, Limit, Measure
from components.schema.schema import Severity
from components.validation.suite import Rule
from tests.components.validation.material import rule

PNG, JPEG = b"\x89PNG\r\n\x1a\n....", b"\xff\xd8\xff...."
NOT_NULL: dict[str, Any] = {"type": "nullity", "column": {"name": "x"}, "is_null": False}


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes:
        tfdv: TFDV's name for it.
        kind: The kind of anomaly that must be found, or the name of the error that must be raised.
        sound: Data without the fault; the schema's columns, and the baseline of a comparison.
        faulty: The same data with the fault.
        rules: The rules that tell them apart, beside those the columns imply.
        rows: The rows that must be named; None where it is not about rows.
        severity: What the anomaly must mean.
        drift: Limits of the comparison, where the fault lies between the two.
        columns: ``schema.json``'s columns, where the schema itself is at fault.
        environment: The environment that is asked for.
        says: Text that the message (or the error) must hold.
    """

    tfdv: str
    kind: str
    sound: pa.Table
    faulty: pa.Table
    rules: tuple[Rule, ...] = ()
    rows: tuple[int, ...] | None = None
    severity: Severity = Severity.FAIL
    drift: DriftRules | None = None
    columns: tuple[dict[str, Any], ...] | None = None
    environment: str | None = None
    says: str = ""

    @property
    def shown(self) -> str:
        """What the table in the docs names as the rule: the first rule's type, or the limit."""
        if self.rules:
            return self.rules[0].type
        if self.drift is None:
            return "environment" if self.environment else "schema.json"
        if self.drift.missing_warn is None:
            return f"Measure.{self.drift.numbers[0].measure.name}"
        chosen = [name for name in ("min_rows", "max_rows") if getattr(self.drift, name) is not None]
        return f"DriftRules({chosen[0] if chosen else 'meaning'})"


def one(kind: str, /, mostly: float | None = None, **kwargs: Any) -> tuple[Rule, ...]:
    """Return one rule about column ``x``."""
    share = {} if mostly is None else {"mostly": mostly}
    return (rule(f"column_{kind}", column="x", **kwargs, **share),)


def x(*values: Any, kind: pa.DataType | None = None) -> pa.Table:
    """Return a table of one column."""
    return pa.table({"x": pa.array(list(values), kind)})


def pair(one_: list[Any], two: list[Any]) -> pa.Table:
    """Return a table of values and what belongs to them."""
    lists = pa.list_(pa.int64())
    return pa.table({"values": pa.array(one_, lists), "others": pa.array(two, lists)})


def only(measure: Measure, fail: float) -> DriftRules:
    """Return drift rules with one measure."""
    limit = (Limit(measure, fail=fail),)
    return DriftRules(numbers=limit, categories=limit, missing_warn=None, missing_fail=None)


TOGETHER = (rule("columns_to_be_missing_together", column_list=["values", "others"]),)
EQUALLY_LONG = (rule("column_pair_list_lengths_to_be_equal", column_A="values", column_B="others"),)
BOTH = pair([[1, 2], [3], None], [[5, 6], [7], None])
NO_VALUE = pair([[1, 2], None, None], [[5, 6], [7], None])
NO_OTHER = pair([[1, 2], [3], None], [[5, 6], None, None])
UNEQUAL = pair([[1, 2], [3], None], [[5, 6], [7, 8], None])
TWICE = ({"name": "x", "type": "int64"}, {"name": "x", "type": "double"})
BYTES, TEXTS, WHOLE = pa.binary(), pa.list_(pa.string()), pa.list_(pa.int64())
SOUND = x(1, 2, 3)

CASES = (
    Case("BOOL_TYPE_BIG_INT", "values_out_of_range", x(0, 1, 1), x(0, 1, 2),
         one("values_to_be_between", min_value=0, max_value=1), (2,)),
    Case("BOOL_TYPE_SMALL_INT", "values_out_of_range", x(0, 1, 1), x(0, -1, 1),
         one("values_to_be_between", min_value=0, max_value=1), (1,)),
    Case("BOOL_TYPE_UNEXPECTED_STRING", "values_unexpected", x("yes", "no"), x("yes", "maybe"),
         one("values_to_be_in_set", value_set=["yes", "no"]), (1,)),
    Case("BOOL_TYPE_UNEXPECTED_FLOAT", "values_unexpected", x(0.0, 1.0), x(0.0, 0.5),
         one("values_to_be_in_set", value_set=[0, 1]), (1,)),
    Case("BOOL_TYPE_INVALID_CONFIG", "values_unexpected", x("yes", "no"), x(0, 1),
         one("values_to_be_in_set", value_set=["yes", "no"]), (0, 1)),
    Case("ENUM_TYPE_INVALID_UTF8", "values_malformed", x(b"a", b"b"), x(b"a", b"\xff"),
         one("values_to_be_utf8"), (1,)),
    Case("ENUM_TYPE_UNEXPECTED_STRING_VALUES", "values_unexpected", x(*"aab"), x(*"aac"),
         one("values_to_be_in_set", 0.7, value_set=["a", "b"]), (2,)),
    Case("FEATURE_TYPE_HIGH_NUMBER_VALUES", "lengths_out_of_range", x([1], [2]), x([1], [2, 3]),
         one("list_lengths_to_be_between", max_value=1), (1,)),
    Case("FEATURE_TYPE_LOW_FRACTION_PRESENT", "values_missing", x(1, 2, 3, None), x(1, None, 3, None),
         one("values_to_not_be_null", 0.75), (1, 3)),
    Case("FEATURE_TYPE_LOW_NUMBER_PRESENT", "row_count_out_of_range", x(1, 2, None), x(1, None, None),
         (rule("table_row_count_to_be_between", min_value=2, row_condition=NOT_NULL),)),
    Case("FEATURE_TYPE_LOW_NUMBER_VALUES", "lengths_out_of_range", x([1], [2]), x([1], [], kind=WHOLE),
         one("list_lengths_to_be_between", min_value=1), (1,)),
    Case("FEATURE_TYPE_NOT_PRESENT", "values_missing", x(1, 2), x(None, None, kind=pa.int64()),
         one("values_to_not_be_null", 0.01), (0, 1)),
    Case("FEATURE_TYPE_HIGH_UNIQUE", "statistic_out_of_range", x(*"aabb"), x(*"abcd"),
         one("unique_value_count_to_be_between", max_value=2)),
    Case("FEATURE_TYPE_LOW_UNIQUE", "statistic_out_of_range", x(*"abcd"), x(*"aaaa"),
         one("unique_value_count_to_be_between", min_value=2)),
    Case("FEATURE_TYPE_NO_UNIQUE", "statistic_out_of_range", x(0.5, 0.5), x(0.5, 0.7),
         one("unique_value_count_to_be_between", max_value=1)),
    Case("FLOAT_TYPE_BIG_FLOAT", "values_out_of_range", x(0.5, 1.0), x(0.5, 1.5),
         one("values_to_be_between", max_value=1.0), (1,)),
    Case("FLOAT_TYPE_SMALL_FLOAT", "values_out_of_range", x(0.5, 1.0), x(-0.5, 1.0),
         one("values_to_be_between", min_value=0.0), (0,)),
    Case("FLOAT_TYPE_STRING_NOT_FLOAT", "values_malformed", x("1.5", "-2e3"), x("1.5", "n/a"),
         one("texts_to_be_numbers"), (1,)),
    Case("FLOAT_TYPE_HAS_NAN", "values_missing", x(1.0, None), x(1.0, float("nan")),
         one("values_to_not_be_nan"), (1,)),
    Case("FLOAT_TYPE_HAS_INF", "values_out_of_range", x(1.0, 2.0), x(1.0, float("inf")),
         one("values_to_be_finite"), (1,)),
    Case("INT_TYPE_BIG_INT", "values_out_of_range", x(1, 2), x(1, 2**62),
         one("values_to_be_between", max_value=100), (1,)),
    Case("INT_TYPE_NOT_INT_STRING", "values_malformed", x("1", "2"), x("1", "2.5"),
         one("texts_to_be_numbers", whole=True), (1,)),
    Case("INT_TYPE_SMALL_INT", "values_out_of_range", x(1, 2), x(1, -2),
         one("values_to_be_between", min_value=0), (1,)),
    Case("LOW_SUPPORTED_IMAGE_FRACTION", "values_malformed", x(PNG, JPEG), x(PNG, b"%PDF"),
         one("values_to_be_images", 0.6, formats=["png", "jpeg"]), (1,)),
    Case("SCHEMA_MISSING_COLUMN", "column_missing", SOUND, pa.table({"y": [1, 2, 3]}),
         one("to_exist"), says='column "x" is missing'),
    Case("SCHEMA_NEW_COLUMN", "column_new", SOUND, SOUND.append_column("y", [[1, 2, 3]]),
         severity=Severity.WARN, says="y"),
    Case("COMPARATOR_CONTROL_DATA_MISSING", "not_checked", pa.table({"y": [1, 2, 3]}), SOUND,
         drift=only(Measure.KOLMOGOROV_SMIRNOV, 0.1), says="the baseline has no such column"),
    Case("COMPARATOR_L_INFTY_HIGH", "distribution_changed", x(*"ab" * 50), x(*"aaab" * 25),
         drift=only(Measure.L_INFINITY, 0.2), says="l_infinity 0.25, limit 0.2"),
    Case("COMPARATOR_NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH", "distribution_changed", x(*"ab" * 50),
         x(*"aaab" * 25), drift=only(Measure.TOTAL_VARIATION, 0.2), says="total_variation 0.25, limit 0.2"),
    Case("COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH", "distribution_changed",
         x(*(n / 100 for n in range(200))), x(*(n / 200 for n in range(200))),
         drift=only(Measure.JENSEN_SHANNON, 0.1), says="jensen_shannon"),
    Case("SPARSE_FEATURE_MISSING_VALUE", "rows_inconsistent", BOTH, NO_VALUE, TOGETHER, (1,)),
    Case("SPARSE_FEATURE_MISSING_INDEX", "rows_inconsistent", BOTH, NO_OTHER, TOGETHER, (1,)),
    Case("SPARSE_FEATURE_LENGTH_MISMATCH", "rows_inconsistent", BOTH, UNEQUAL, EQUALLY_LONG, (1,)),
    Case("SPARSE_FEATURE_NAME_COLLISION", "DataError", SOUND, SOUND, columns=TWICE, says='column "x" twice'),
    Case("SEMANTIC_DOMAIN_UPDATE", "meaning_changed", x(*(f"{n}@b.org" for n in range(99))),
         x(*(f"http://b.org/{n}" for n in range(99))), severity=Severity.WARN,
         drift=DriftRules(meaning=Severity.WARN), says="looked like email, and look like url now"),
    Case("COMPARATOR_LOW_NUM_EXAMPLES", "row_count_changed", x(*range(100)), x(*range(49)),
         drift=DriftRules(min_rows=0.5, rows_severity=Severity.FAIL), says="49 rows"),
    Case("COMPARATOR_HIGH_NUM_EXAMPLES", "row_count_changed", x(*range(100)), x(*range(201)),
         drift=DriftRules(max_rows=2, rows_severity=Severity.FAIL), says="201 rows"),
    Case("DATASET_LOW_NUM_EXAMPLES", "row_count_out_of_range", SOUND, x(1),
         (rule("table_row_count_to_be_between", min_value=2),)),
    Case("DATASET_HIGH_NUM_EXAMPLES", "row_count_out_of_range", SOUND, x(1, 2, 3, 4),
         (rule("table_row_count_to_be_between", max_value=3),)),
    Case("WEIGHTED_FEATURE_NAME_COLLISION", "DataError", SOUND, SOUND, columns=TWICE,
         says='column "x" twice'),
    Case("WEIGHTED_FEATURE_MISSING_VALUE", "rows_inconsistent", BOTH, NO_VALUE, TOGETHER, (1,)),
    Case("WEIGHTED_FEATURE_MISSING_WEIGHT", "rows_inconsistent", BOTH, NO_OTHER, TOGETHER, (1,)),
    Case("WEIGHTED_FEATURE_LENGTH_MISMATCH", "rows_inconsistent", BOTH, UNEQUAL, EQUALLY_LONG, (1,)),
    Case("VALUE_NESTEDNESS_MISMATCH", "type_changed", x([1]), x([[1]]), says="list<"),
    Case("DOMAIN_INVALID_FOR_TYPE", "not_checked", x("a"), x(1),
         one("values_to_match_strftime_format", strftime_format="%Y")),
    Case("FEATURE_MISSING_NAME", "DataError", SOUND, SOUND, columns=({"type": "int64"},), says="`name`"),
    Case("FEATURE_MISSING_TYPE", "DataError", SOUND, SOUND, columns=({"name": "x"},), says="`type`"),
    Case("INVALID_SCHEMA_SPECIFICATION", "SuiteError", SOUND, SOUND,
         one("values_to_be_between", min_value=2, max_value=1), says="can never be kept"),
    Case("INVALID_DOMAIN_SPECIFICATION", "SuiteError", SOUND, SOUND,
         one("values_to_be_in_set", value_set=3), says="value_set: "),
    Case("UNEXPECTED_DATA_TYPE", "type_changed", SOUND, x("1", "2", "3"), says="found 'string'"),
    Case("SEQUENCE_VALUE_TOO_FEW_OCCURRENCES", "values_unexpected", x(["end"], ["a", "end"]),
         x(["end"], ["a"]),
         one("list_item_counts_to_be_between", item="end", min_value=1), (1,)),
    Case("SEQUENCE_VALUE_TOO_MANY_OCCURRENCES", "values_unexpected", x(["a"], ["end"]),
         x(["a"], ["end", "end"]),
         one("list_item_counts_to_be_between", item="end", max_value=1), (1,)),
    Case("SEQUENCE_VALUE_TOO_SMALL_FRACTION", "values_unexpected", x(["a"], ["a"], []), x(["a"], ["b"], []),
         one("list_item_counts_to_be_between", 0.6, item="a", min_value=1), (1, 2)),
    Case("SEQUENCE_VALUE_TOO_LARGE_FRACTION", "values_unexpected", x(["?"], ["a"], ["a"]),
         x(["?"], ["?"], ["a"]),
         one("list_item_counts_to_be_between", 0.6, item="?", max_value=0), (0, 1)),
    Case("FEATURE_COVERAGE_TOO_LOW", "values_unexpected", x(["a", "b"], ["b", "?"]),
         x(["a", "b"], ["?", "?"]),
         one("list_items_to_be_in_set", value_set=["a", "b"], min_share=0.5), (1,)),
    Case("FEATURE_COVERAGE_TOO_SHORT_AVG_TOKEN_LENGTH", "lengths_out_of_range",
         x(["word", "by"], ["abc"]), x(["word", "by"], ["a", "b"]),
         one("list_item_lengths_to_be_between", min_value=2), (1,)),
    Case("MAX_IMAGE_BYTE_SIZE_EXCEEDED", "lengths_out_of_range", x(PNG, JPEG), x(PNG, PNG * 9),
         one("value_lengths_to_be_between", max_value=64), (1,)),
    Case("INVALID_FEATURE_SHAPE", "shape_changed", x([[1, 2], [3, 4]]), x([[1, 2], [3]]),
         one("list_shapes_to_be", shape=[2, 2]), (0,)),
    Case("STATS_NOT_AVAILBLE", "not_checked", x(1, 2), x("a", "b"),
         one("mean_to_be_between", min_value=0), says="could not be checked"),
    Case("DERIVED_FEATURE_BAD_LIFECYCLE", "ArgumentError", SOUND, SOUND, environment="derived",
         says='no environment "derived"'),
    Case("DERIVED_FEATURE_INVALID_SOURCE", "column_missing", pa.table({"x": [1], "y": [2]}), x(1),
         (rule("rows_to_satisfy", condition="x <= y"),), says='column "y" is missing'),
)  # fmt: skip
