"""The graph a pipeline function describes."""

from __future__ import annotations

import importlib.util

import pytest

from orchestration import (
    ArgumentError,
    ArtifactTypeError,
    MissingExtraError,
    after,
    component,
    for_each,
    pipeline,
    value,
    when,
)
from orchestration.graph import Graph, Node
from orchestration.promises import NoOutputError, Value
from tests.orchestration.conformance import graph_of
from tests.pipelines_for_tests import good
from tests.pipelines_for_tests.steps import Number, Word, add, both, join, pair, spell, start, total


def shape(graph: Graph) -> dict[str, tuple[str, ...]]:
    return {node.name: node.needs for node in graph.sorted()}


def edges(node: Node) -> dict[str, tuple[str, ...]]:
    """What feeds each of a node's parameters, as ``node.output``."""
    return {key: tuple(f"{e.node.name}.{e.output}" for e in fed) for key, fed in node.inputs.items()}


def test_calls_make_the_graph() -> None:
    graph = graph_of(good.chain, k=7)
    assert shape(graph) == {
        "start": (), "add": ("start",), "third": ("add",), "spell": ("third",), "tell": ("third",),
    }  # fmt: skip
    assert graph.nodes["add"].configuration == {"k": 7, "seconds": 0.0}
    assert edges(graph.nodes["add"]) == {"number": ("start.output",)}
    assert graph.nodes["third"].component.name == "add"
    assert graph.nodes["start"].at.startswith("tests/pipelines_for_tests/good.py:")
    assert graph.nodes["start"].at.endswith("first = start(n)")


def test_parameters_make_another_graph_each_time() -> None:
    @pipeline
    def counted(n: int):
        number = start(1)
        for k in range(n):
            add.with_(name=f"add_{k}")(number, k)

    assert len(graph_of(counted, n=2).nodes) == 3
    assert len(graph_of(counted, n=5).nodes) == 6


def test_an_output_is_picked_by_type_and_by_name() -> None:
    nodes = graph_of(good.outputs).nodes
    assert edges(nodes["join"]) == {"number": ("both.number",), "word": ("both.word",)}
    assert edges(nodes["named"]) == {
        "number": ("pair.low",),
        "word": ("both.word",),
        "extra": ("pair.high",),
    }
    assert edges(nodes["add"]) == {"number": ("both.number",)}


def test_an_absent_optional_input_is_no_edge() -> None:
    assert "extra" not in graph_of(good.outputs).nodes["join"].inputs


def test_an_unknown_output_is_told_and_is_an_attribute_error() -> None:
    @pipeline
    def asking():
        number = both(start(1))
        assert not hasattr(number, "nothing")
        with pytest.raises(NoOutputError) as caught:
            _ = number.wrod  # type: ignore[attr-defined]  # the mistake that is tested
        assert caught.value.next == "did you mean .word?"

    graph_of(asking)


class Special(Number):
    """A number that is something more."""


@component
def special(number: Number) -> Special:
    return Special.new(n=1)


@component
def needs_special(number: Special) -> Word:
    return Word.new()


def test_a_subclass_goes_where_its_base_is_wanted_but_not_the_other_way() -> None:
    @pipeline
    def up():
        add(special(start(1)))

    @pipeline
    def down():
        needs_special(start(1))

    assert graph_of(up).nodes["add"].needs == ("special",)
    with pytest.raises(ArtifactTypeError, match="start does not give what needs_special takes"):
        graph_of(down)


def test_outputs_unpack_in_order() -> None:
    @pipeline
    def unpacked():
        low, high = pair(start(1))
        join(low, both(high).word)

    assert edges(graph_of(unpacked).nodes["join"])["number"] == ("pair.low",)


def test_conditions_belong_to_the_nodes_inside() -> None:
    nodes = graph_of(good.decided).nodes
    told = {name: [str(condition) for condition in node.conditions] for name, node in nodes.items()}
    assert told == {
        "start": [], "big": ["start.n > 3"], "spell_big": ["start.n > 3"], "small": ["start.n <= 3"],
        "three": ["start.n == 3", "start.n >= 3"],
    }  # fmt: skip
    assert nodes["three"].needs == ("start",)


@pytest.mark.parametrize(
    ("n", "held"),
    [(2, {"<": True, "<=": True, ">": False, ">=": False, "==": False}),
     (3, {"<": False, "<=": True, ">": False, ">=": True, "==": True}),
     (4, {"<": False, "<=": False, ">": True, ">=": True, "==": False})],
)  # fmt: skip
def test_comparisons(n: int, held: dict[str, bool]) -> None:
    @pipeline
    def compared():
        found = value(start(1), "n")
        conditions = [found < 3, found <= 3, found > 3, found >= 3, found.equals(3)]
        artifact = Number("", {"n": n})
        assert {c.comparison: c.holds(artifact) for c in conditions} == held

    graph_of(compared)


def test_a_value_reaches_into_nested_facts_and_reads_artifacts_too() -> None:
    artifact = Number("", {"splits": {"train": {"rows": 3}}})
    assert value(artifact, "splits.train.rows") == 3

    @pipeline
    def nested():
        number = start(1)
        with when(value(number, "splits.train.rows")):
            add(number)

    (condition,) = graph_of(nested).nodes["add"].conditions
    assert condition.value.read(artifact) == 3


def test_a_repetition_spreads_its_body_and_is_collected_after() -> None:
    nodes = graph_of(good.repeated).nodes
    assert nodes["add"].each is nodes["again"].each is not None
    assert nodes["total"].each is None
    assert edges(nodes["again"]) == {"number": ("add.output",)}
    assert edges(nodes["total"]) == {"numbers": ("again.output",)}
    assert isinstance(nodes["again"].configuration["k"], Value)
    assert nodes["add"].needs == ("start",)


def test_two_repetitions_side_by_side_do_not_mix() -> None:
    @pipeline
    def twice():
        number = start(1)
        first = for_each([1, 2], lambda k: add(number, k))
        second = for_each([3], lambda k: add.with_(name="more")(number, k))
        total.with_(name="both")([first, second])

    assert edges(graph_of(twice).nodes["both"])["numbers"] == ("add.output", "more.output")


def test_pipelines_include_pipelines() -> None:
    graph = graph_of(good.outer)
    assert list(graph.nodes) == ["start_10", "inner_10", "start_20", "inner_20", "spell", "join"]
    assert edges(graph.nodes["join"])["number"] == ("inner_10.output",)
    again = graph_of(good.outer)
    assert shape(again) == shape(graph)  # nothing is left over from the first evaluation


def test_after_orders_without_an_edge() -> None:
    nodes = graph_of(good.ordered).nodes
    assert nodes["add"].needs == ("start", "tell")
    assert set(nodes["add"].inputs) == {"number"}


def test_a_list_of_results_becomes_several_edges() -> None:
    found = edges(graph_of(good.collected).nodes["total"])["numbers"]
    assert found == ("add_0.output", "add_1.output", "add_2.output")


def test_one_result_is_a_list_of_one() -> None:
    @pipeline
    def single():
        total(start(1))

    assert edges(graph_of(single).nodes["total"])["numbers"] == ("start.output",)


def test_the_order_follows_needs_then_calls() -> None:
    @pipeline
    def late():
        first, second = start(1), start.with_(name="second")(2)
        last = spell(first)
        after(first, second)
        join(first, last)

    assert [node.name for node in graph_of(late).sorted()] == ["second", "start", "spell", "join"]


def test_what_a_node_imports_is_known_unless_it_depends_on_run_time_values() -> None:
    by_k = add.with_(imports=lambda configuration: (f"module_{configuration['k']}",))

    @pipeline
    def importing():
        number = start(1)
        by_k.with_(name="plain", imports=("json",))(number, 3)
        by_k.with_(name="promised")(number, value(number, "n"))
        for_each([1, 2], lambda k: by_k.with_(name="item")(number, k))

    nodes: dict[str, Node] = graph_of(importing).nodes
    assert nodes["plain"].imports == ("json",)
    assert nodes["promised"].imports == ()
    assert nodes["item"].imports == ()


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_framework_that_is_missing_is_installed_by_its_extra(framework: str) -> None:
    if importlib.util.find_spec(framework):
        pytest.skip(f"{framework} is installed here")

    @component(imports=(framework,))
    def train(number: Number) -> Number:
        return number

    @pipeline
    def training():
        train(start(1))

    with pytest.raises(MissingExtraError) as caught:
        graph_of(training)
    assert caught.value.next == f"pip install 'headrace[{framework}]'"


# Selection


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, {"start", "add", "third", "spell", "tell"}),
        ({"start": "third"}, {"third", "spell", "tell"}),
        ({"to": "third"}, {"start", "add", "third"}),
        ({"start": "add", "to": "third"}, {"add", "third"}),
        ({"only": ["add", "tell"]}, {"add", "tell"}),
        ({"skip": ["tell"]}, {"start", "add", "third", "spell"}),
        ({"only": ["add", "tell"], "skip": ["add"]}, {"tell"}),
        ({"start": "third", "skip": ["spell"]}, {"third", "tell"}),
    ],
)
def test_selection(choice: dict[str, str | list[str]], expected: set[str]) -> None:
    assert graph_of(good.chain).select(**choice) == expected  # type: ignore[arg-type]  # a table of cases


def test_selecting_a_node_that_is_not_there() -> None:
    with pytest.raises(ArgumentError, match='there is no node "thrid"') as caught:
        graph_of(good.chain).select(start="thrid")
    assert caught.value.next == "did you mean third?"
