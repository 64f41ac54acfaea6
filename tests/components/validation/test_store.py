"""The metric store is the same whatever the order, the batches, the files or the shards of the rows."""

from __future__ import annotations

import pickle
from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import given, settings, strategies as st

from components.validation.computer import Accumulator, Computer
from components.validation.distinct import Distinct, Partial, count
from components.validation.metrics import Metric, MetricStore
from components.validation.view import View, place, position

numbers = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 1.5, 2.5, 1e300, -1e300, 5e-324, float("nan"), float("inf")])
)
texts = st.one_of(st.none(), st.sampled_from(["a", "b", "é", "", "a\x1fb", "\\N", "\\"]))
rows = st.lists(st.tuples(numbers, st.one_of(st.none(), st.integers(-3, 3)), texts), max_size=25)


def metrics() -> list[Metric]:
    found = []
    for column in ("number", "whole", "text"):
        domain = {"column": column}
        found += [
            Metric.of(f"column_values.{rule}.{what}", domain, arguments)
            for rule, arguments in (
                ("nonnull", {}),
                ("unique", {}),
                ("in_set", {"value_set": [0, 2, "a"]}),
                ("match_regex", {"regex": "[a1]"}),
                ("between", {"min_value": 0, "max_value": 2}),
                ("increasing", {"strictly": True}),
            )
            for what in ("unexpected_count", "unexpected_values")
        ]
        found += [
            Metric.of(f"column.{name}", domain, arguments)
            for name, arguments in (
                ("min", {}),
                ("max", {}),
                ("sum", {}),
                ("mean", {}),
                ("standard_deviation", {}),
                ("median", {}),
                ("quantile_values", {"quantiles": [0.1, 0.5, 0.9], "allow_relative_error": False}),
                ("distinct_values.count", {}),
                ("value_counts", {"sort": "value"}),
                ("most_common_value", {}),
                ("distinct_values.not_in_set", {"value_set": [0, "a"]}),
                ("distinct_values.missing_from_column", {"value_set": [0, 7, "a"]}),
                ("unique_proportion", {}),
                ("non_null_proportion", {}),
                ("distribution", {}),
            )
        ]
    both = {"column_list": ["whole", "text"], "ignore_row_if": "any_value_is_missing"}
    condition = {"type": "comparison", "column": {"name": "whole"}, "operator": ">", "parameter": 0}
    return [
        *found,
        Metric.of("compound_columns.unique.unexpected_values", both, {}),
        Metric.of("column.mean", {"column": "number", "row_condition": condition}, {}),
        Metric.of("table.row_count", {"row_condition": condition}, {}),
        Metric.of("table.row_count", {}, {}),
    ]


METRICS = metrics()
SCHEMA = pa.schema([("number", pa.float64()), ("whole", pa.int64()), ("text", pa.string())])


def store_of(values: list[tuple[object, ...]], cuts: list[int], shards: int, random: Random) -> MetricStore:
    """Compute the metrics in pieces that are merged in a random tree, sent between workers on the way."""
    computer = Computer(METRICS, SCHEMA)
    columns = [list(column) for column in zip(*values, strict=True)] or [[], [], []]
    arrays = [
        pa.array(column, field.type, from_pandas=False) for column, field in zip(columns, SCHEMA, strict=True)
    ]
    batch = pa.record_batch(arrays, schema=SCHEMA)
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    pieces: list[Accumulator] = []
    partials: dict[tuple[str, int], list[Partial]] = {}
    for start, stop in zip(edges, edges[1:] or [0], strict=False):
        view = View(batch.slice(start, stop - start), np.arange(start, stop))
        piece = computer.create()
        computer.add(piece, view)
        pieces.append(piece)
        for key, shard, partial in computer.spread(view, shards):
            partials.setdefault((key, shard), []).append(partial)
    pieces = pieces or [computer.create()]
    while len(pieces) > 1:
        random.shuffle(pieces)
        first, second = pickle.loads(pickle.dumps((pieces.pop(), pieces.pop())))
        first.merge(second)
        pieces.append(first)
    counted = list(partials.items())
    random.shuffle(counted)
    distincts: dict[str, Distinct] = {}
    for (key, _), parts in counted:
        random.shuffle(parts)
        distincts.setdefault(key, Distinct()).merge(count(computer.distincts[key], parts))
    return computer.extract(pieces[0], distincts)


@settings(deadline=None, max_examples=150)
@given(rows, st.lists(st.integers(1, 24), max_size=6), st.integers(1, 4), st.randoms(use_true_random=False))
def test_any_batches_order_and_shards_give_the_same_store(
    values: list[tuple[object, ...]], cuts: list[int], shards: int, random: Random
) -> None:
    whole = store_of(values, [], 1, random)
    assert store_of(values, cuts, shards, random).as_json() == whole.as_json()


def test_text_has_no_mean_and_says_so() -> None:
    store = store_of([(1.5, 1, "a")], [], 1, Random(0))
    mean = Metric.of("column.mean", {"column": "text"}, {})
    assert "not numbers" in store.errors[mean.key]
    assert mean.key not in store.values


def test_a_metric_is_one_whatever_the_order_of_its_arguments() -> None:
    first = Metric.of("m", {"column": "a", "batch_id": "x"}, {"b": 1, "a": {2, 1}, "c": None})
    second = Metric.of("m", {"column": "a"}, {"a": [1, 2], "b": 1})
    assert first.key == second.key


def test_positions_are_ordered_by_file_then_row() -> None:
    assert position(0, 10**9) < position(1, 0)
    assert place(position(7, 123)) == (7, 123)
