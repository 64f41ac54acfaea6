"""Components: plain functions that are also steps."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle
import pytest

from orchestration import ArgumentError, Beam, Component, Files, Policy, RunContext, component
from orchestration.component import Kind
from orchestration.parameters import bind
from tests.pipelines_for_tests import steps
from tests.pipelines_for_tests.steps import Both, Number, Word, add, join, start, tell, total


@component
def typed(
    one: Number, some: Number | None, many: list[Number], run: RunContext, beam: Beam, k: int, files: Files,
    build: Callable[[int], int] | None = None, options: Mapping[str, int] | None = None,
    words: tuple[str, ...] = (),
) -> Both:  # fmt: skip
    """Every kind of parameter."""
    return Both(one, Word.new())


def test_annotations_say_what_a_parameter_is() -> None:
    kinds = {name: parameter.kind for name, parameter in typed.parameters.items()}
    assert kinds == {
        "one": Kind.INPUT, "some": Kind.INPUT, "many": Kind.INPUTS, "run": Kind.INJECTED,
        "beam": Kind.INJECTED, "k": Kind.CONFIGURATION, "files": Kind.CONFIGURATION,
        "build": Kind.CONFIGURATION, "options": Kind.CONFIGURATION, "words": Kind.CONFIGURATION,
    }  # fmt: skip
    assert typed.parameters["some"].type is Number
    assert [name for name, p in typed.parameters.items() if not p.required] == [
        "run", "beam", "build", "options", "words",
    ]  # fmt: skip


def test_the_return_annotation_names_the_outputs() -> None:
    assert add.outputs == {"output": Number}
    assert typed.outputs == {"number": Number, "word": Word}
    assert tell.outputs == {}


def test_a_component_called_outside_a_pipeline_just_runs() -> None:
    number = add(start(3), 4)
    assert number.metadata["n"] == 7
    assert number.file("number.txt").read_text() == "7\n"
    assert total([number, start(1)]).metadata["n"] == 8
    assert join(number, Word.new(word="of"), extra=number).metadata["word"] == "of 7 7"


def test_beam_and_the_run_are_injected_or_given() -> None:
    events: list[dict[str, Any]] = []
    tell(start(3))
    tell(start(3), run=RunContext(emit=events.append))
    assert events == [{"kind": "metric", "name": "told", "value": 3.0, "step": 0}]


@component
def between(number: Number, run: RunContext, k: int = 0) -> Number:
    """An injected parameter in the middle takes no position from the caller."""
    return Number.of(number.metadata["n"] + k)


def test_an_injected_parameter_takes_no_position() -> None:
    assert between(start(1), 5).metadata["n"] == 6
    bound = bind("between", between.signature, {}, ("a reference", 5))
    assert bound == {"number": "a reference", "k": 5}


def test_a_component_keeps_its_function_name_and_docstring() -> None:
    assert (add.name, add.__doc__) == ("add", "Add ``k`` after some time.")
    assert inspect.unwrap(add) is add.function
    assert add.where.startswith("tests/pipelines_for_tests/steps.py:")
    assert add.where.endswith("def add(number: Number, k: int = 0, seconds: float = 0.0) -> Number:")


def test_with_changes_a_copy() -> None:
    changed = add.with_(name="later", retries=3).with_(timeout=9)
    assert (changed.node_name, changed.policy) == ("later", Policy(retries=3, timeout=9))
    assert (add.node_name, add.policy) == (None, Policy())


@pytest.mark.parametrize("name", ["a", "A-1", "ü_9", "3x", "x" * 100])
def test_names_of_nodes(name: str) -> None:
    assert add.with_(name=name).node_name == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-a", "_a", "a[0]", "a.b", "a\n", "x" * 101])
def test_names_that_would_not_do_as_a_folder(name: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be called"):
        add.with_(name=name)


@pytest.mark.parametrize(
    "policy", [{"retries": -1}, {"backoff": -0.1}, {"timeout": 0}, {"gpu": -1}, {"retry": 1}]
)
def test_policies_out_of_range(policy: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        add.with_(**policy)
    with pytest.raises(ArgumentError):
        component(**policy)


def test_imports_may_depend_on_the_configuration() -> None:
    by_framework = add.with_(imports=lambda configuration: (configuration["framework"],))
    assert by_framework.imports({"framework": "torch"}) == ("torch",)
    assert add.imports({}) == ()


# Travelling to another process


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_component_travels_by_name_with_its_policy(dumps: Callable[[object], bytes]) -> None:
    sent = dumps(add.with_(retries=2))
    assert len(sent) < 400  # a name, not the code
    arrived: Component[Number] = pickle.loads(sent)
    assert arrived.function is steps.add.function
    assert arrived.policy.retries == 2


def test_a_component_made_inside_a_function_travels_by_value() -> None:
    def local(number: Number, k: int = 2) -> Number:
        return Number.of(number.metadata["n"] * k)

    arrived = pickle.loads(cloudpickle.dumps(component(local)))
    assert arrived(start(4)).metadata["n"] == 8
    assert arrived.outputs == {"output": Number}
