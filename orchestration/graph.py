"""The graph a pipeline function describes: its nodes, and the checks on them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import metadata
from typing import Any, TypeVar

from orchestration.artifacts import Artifact
from orchestration.closure import describe
from orchestration.component import Component, Kind, Parameter
from orchestration.errors import (
    ArgumentError,
    ArtifactTypeError,
    MissingExtraError,
    PipelineError,
    did_you_mean,
    told,
    user_line,
)
from orchestration.parameters import bind, check_value, shown
from orchestration.promises import Condition, Item, Reference, Value

Each_ = TypeVar("Each_")

_building: ContextVar[Graph | None] = ContextVar("headrace_graph", default=None)


@dataclass(frozen=True, eq=False)
class Node:
    """One step of a graph.

    Attributes:
        inputs: What feeds each parameter; several where it takes a list of artifacts.
        configuration: Plain values, or ``Value`` and ``Item`` that are read at run time.
        conditions: All must hold, or the node is skipped.
        each: The repetition this node belongs to, if any.
        at: The user's own line.
        after: Names of further nodes that must have finished before; :func:`after` adds to them.
    """

    name: str
    component: Component[Any]
    outputs: dict[str, type[Artifact]]
    inputs: dict[str, tuple[Reference, ...]]
    configuration: dict[str, Any]
    conditions: tuple[Condition, ...]
    each: Item | None
    at: str
    after: list[str] = field(default_factory=list)

    @property
    def imports(self) -> tuple[str, ...]:
        """What its fork server can import beforehand; nothing where that depends on a run-time value."""
        plain = {k: v for k, v in self.configuration.items() if not isinstance(v, Value | Item)}
        if callable(self.component.policy.imports) and len(plain) < len(self.configuration):
            return ()
        return self.component.imports(plain)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the nodes this one waits for, in a stable order, each once."""
        repeated = self.each.items if self.each else None
        read = [*(condition.value for condition in self.conditions), *self.configuration.values(), repeated]
        edges = [edge.node.name for edges in self.inputs.values() for edge in edges]
        sources = [found.source.node.name for found in read if isinstance(found, Value)]
        return tuple(dict.fromkeys([*edges, *sources, *self.after]))


class Graph:
    """The nodes of one evaluation of a pipeline function."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.conditions: tuple[Condition, ...] = ()
        self.each: Item | None = None

    def add(self, component: Component[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reference:
        """Add a node for a component call.

        Raises:
            ArgumentError: An argument is missing, unknown or of the wrong type.
            ArtifactTypeError: An edge joins unlike artifact types.
            PipelineError: The node's name is taken.
        """
        name = component.node_name or component.name
        if name in self.nodes:
            raise PipelineError(
                f'two nodes are called "{name}"',
                expected=f"a name of its own for each; the first is at {self.nodes[name].at}",
                next=f'{component.name}.with_(name="…")(…)',
            )
        inputs: dict[str, tuple[Reference, ...]] = {}
        configuration: dict[str, Any] = {}
        for key, argument in bind(component.name, component.signature, kwargs, args).items():
            parameter = component.parameters[key]
            if parameter.kind is Kind.CONFIGURATION:
                configuration[key] = self._configured(component, parameter, argument)
            elif argument is not None or parameter.required:
                several = parameter.kind is Kind.INPUTS and isinstance(argument, list | tuple)
                references = argument if several else [argument]
                inputs[key] = tuple(self._edge(component, parameter, each) for each in references)
        at = user_line() or ""
        node = Node(name, component, component.outputs, inputs, configuration, self.conditions, self.each, at)
        _check_installed(node)
        self.nodes[name] = node
        return Reference(node)

    def _configured(self, component: Component[Any], parameter: Parameter, argument: Any) -> Any:
        _check_kind(component, parameter, argument)
        if isinstance(argument, Value):
            self.check(argument.source, each=self.each)
        if isinstance(argument, Item) and argument is not self.each:
            remedy = "use the item inside the function that for_each calls with it"
            raise ArgumentError("an item is used outside its for_each", next=remedy)
        if isinstance(argument, Value | Item):
            return argument
        value = check_value(argument, parameter.annotation, f"{component.name}({parameter.name}=…)")
        describe(value, parameter.name)  # what can be no part of a cache key is refused now
        return value

    def _edge(self, component: Component[Any], parameter: Parameter, argument: Any) -> Reference:
        _check_kind(component, parameter, argument)
        self.check(argument, each=self.each, many=parameter.kind is Kind.INPUTS)
        source, kinds = argument.node, argument.kinds
        fitting = [name for name, kind in kinds.items() if issubclass(kind, parameter.type)]
        if len(fitting) != 1:
            offered = (f"{n}: {kind.__name__}".removeprefix("output: ") for n, kind in kinds.items())
            raise ArtifactTypeError(
                f"{source.name} does not give what {component.name} takes",
                expected=f"{parameter.type.__name__} as {component.name}({parameter.name}=…)",
                received=f"{', '.join(offered) or 'nothing'}, from {source.name} at {source.at}",
                next=" or ".join(f"{source.name}(…).{name}" for name in fitting),
            )
        return Reference(source, fitting[0])

    def check(self, reference: Reference, *, each: Item | None = None, many: bool = False) -> None:
        """Refuse a result that cannot be used here.

        Args:
            reference: The result.
            each: The repetition in which it is used for its own item, if any.
            many: Whether the results of all items are as good as one.

        Raises:
            PipelineError: It comes from another pipeline.
            ArtifactTypeError: Its node runs once for each item, and one result is wanted.
        """
        node = reference.node
        if self.nodes.get(node.name) is not node:
            raise PipelineError(
                f"{reference} belongs to another pipeline or an earlier evaluation",
                expected="a result of a component called in this pipeline function",
                next="call the other pipeline inside this one, and use what it returns",
            )
        if node.each not in (None, each) and not many:
            raise ArtifactTypeError(
                f"{reference} is many results, one for each item, where one is wanted",
                expected="the result of a node that runs once",
                received=f"a node inside for_each, at {node.at}",
                next="bring them together in a component that takes a list[…] of artifacts",
            )

    def sorted(self) -> list[Node]:
        """Return the nodes so that each comes after what it needs.

        Raises:
            PipelineError: There is no such order.
        """
        sorter = TopologicalSorter({node.name: node.needs for node in self.nodes.values()})
        try:
            return [self.nodes[name] for name in sorter.static_order()]
        except CycleError as error:
            first, *_ = names = [str(name) for name in error.args[1]]
            circle, at = " -> ".join(reversed(names)), self.nodes[first].at
            raise PipelineError(f"the pipeline has a cycle through {first}", received=circle, at=at) from None

    def select(
        self,
        *,
        start: str | None = None,
        to: str | None = None,
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
    ) -> set[str]:
        """Return the names of the nodes a run is for.

        Args:
            start: This node and all that follow from it.
            to: This node and all it needs.
            only: Just these.
            skip: Not these.

        Raises:
            ArgumentError: A name is no node of the graph.
        """
        for name in (*filter(None, (start, to)), *only, *skip):
            if name not in self.nodes:
                wanted, close = " or ".join(self.nodes), did_you_mean(name, self.nodes)
                raise ArgumentError(f'there is no node "{name}"', expected=wanted, at="", next=close)
        needed: dict[str, set[str]] = {}
        for node in self.sorted():
            needed[node.name] = {node.name}.union(*(needed[need] for need in node.needs))
        chosen = set(only or self.nodes) - set(skip)
        if start:
            chosen = {name for name in chosen if start in needed[name]}
        return chosen & needed[to] if to else chosen

    def describe(self, function: Callable[[], object]) -> None:
        """Call a function whose component calls add nodes to this graph."""
        context = copy_context()
        context.run(_building.set, self)
        context.run(function)


def _check_kind(component: Component[Any], parameter: Parameter, argument: Any) -> None:
    plain = parameter.kind is Kind.CONFIGURATION
    if plain == isinstance(argument, Reference):
        wanted = "a plain value" if plain else "the result of a node"
        raise ArtifactTypeError(
            f"{component.name} takes {wanted} as {parameter.name}",
            expected=f"{parameter.name}: {shown(parameter.annotation)}",
            received=str(argument) if plain else told(argument),
            next=f'value({argument.node.name}, "…") passes one of its facts' if plain else None,
        )


def _check_installed(node: Node) -> None:
    for item in node.imports:
        module = item.partition(".")[0]
        if "=" not in item and importlib.util.find_spec(module) is None:
            name, extras = module.replace("_", "-"), metadata("headrace").get_all("Provides-Extra", [])
            remedy = f"pip install 'headrace[{name}]'" if name in extras else f"pip install {name}"
            headline = f"{node.name} needs {module}, which is not installed"
            raise MissingExtraError(headline, received=f"Python at {sys.prefix} without it", next=remedy)


def building() -> Graph | None:
    """Return the graph being described, or None outside a pipeline function."""
    return _building.get()


def _open_graph(what: str) -> Graph:
    graph = building()
    if graph is None:
        raise PipelineError(f"{what} is used outside a pipeline", expected="inside a @pipeline function")
    return graph


@contextmanager
def when(condition: Any) -> Iterator[None]:
    """Run the nodes described inside this context only if the condition holds, else skip them.

    Args:
        condition: A comparison on :func:`value`, or a :func:`value` that is true or false.
    """
    graph = _open_graph("when")
    if isinstance(condition, Value):
        condition = condition.equals(True)
    if not isinstance(condition, Condition):
        raise ArgumentError(
            "when() takes a comparison on an upstream value",
            expected='when(value(evaluation, "auc") > 0.8)',
            received=told(condition),
            next="for equality: value(…).equals(…)" if isinstance(condition, bool) else None,
        )
    graph.check(condition.value.source)
    before, graph.conditions = graph.conditions, (*graph.conditions, condition)
    try:
        yield
    finally:
        graph.conditions = before


def for_each(items: Any, body: Callable[[Any], Each_]) -> Each_:
    """Run the components of ``body`` once for each item of an upstream list.

    Args:
        items: A :func:`value` that is a list when the pipeline runs, or a plain list.
        body: Receives the item and calls components with it.

    Returns:
        What ``body`` returns. Passed to a parameter of type ``list[…]`` it is the results of
        all items, in order.

    Raises:
        PipelineError: It stands inside another ``for_each``.
    """
    graph = _open_graph("for_each")
    if graph.each is not None:
        remedy = "one for_each over the list of all combinations"
        raise PipelineError("for_each stands inside another for_each", next=remedy)
    if not isinstance(items, Value | list | tuple):
        wanted = 'value(component(…), "names") or a plain list'
        raise ArgumentError("for_each() takes a list", expected=wanted, received=told(items))
    if isinstance(items, Value):
        graph.check(items.source)
    graph.each = Item(items if isinstance(items, Value) else tuple(items))
    try:
        return body(graph.each)
    finally:
        graph.each = None


def after(later: Any, *earlier: Any) -> None:
    """Make a node wait for others although it takes none of their outputs.

    Args:
        later: The result of the component that waits.
        *earlier: Results of those it waits for; it also runs if one of them is skipped.
    """
    graph = _open_graph("after")
    for reference in (later, *earlier):
        if not isinstance(reference, Reference):
            wanted = "after(push_model(…), notify(…))"
            raise ArgumentError(
                "after() takes results of components", expected=wanted, received=told(reference)
            )
        graph.check(reference, each=reference.node.each)
    later.node.after.extend(each.node.name for each in earlier)
