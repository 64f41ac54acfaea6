"""The graph a pipeline function describes: nodes, references, conditions, and the checks on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from graphlib import CycleError as TopologyError
from graphlib import TopologicalSorter
from typing import Any, TypeVar

from orchestration.artifacts import Artifact
from orchestration.component import Component, Kind, Parameter
from orchestration.errors import (
    ArgumentError,
    ArtifactTypeError,
    CycleError,
    DuplicateNameError,
    PipelineError,
    user_line,
)
from orchestration.parameters import check_value
from orchestration.promises import Condition, Each, Item, Reference, Value

Each_ = TypeVar("Each_")

_building: ContextVar[Graph | None] = ContextVar("headrace_graph", default=None)


@dataclass(frozen=True)
class Input:
    """The end of an edge: which output of which node feeds a parameter."""

    node: str
    output: str
    many: bool = False


@dataclass(frozen=True)
class Node:
    """One step of a graph.

    Attributes:
        inputs: Edges by parameter; a tuple where the parameter takes a list of artifacts.
        configuration: Plain values, or ``Value`` and ``Item`` that are read at run time.
        conditions: All must hold, or the node is skipped.
        each: The repetition this node belongs to, if any.
        after: Further nodes that must have finished before.
        at: The user's own line.
    """

    name: str
    component: Component[Any]
    inputs: dict[str, tuple[Input, ...]]
    configuration: dict[str, Any]
    conditions: tuple[Condition, ...]
    each: Each | None
    after: tuple[str, ...]
    at: str

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
        names = [edge.node for edges in self.inputs.values() for edge in edges]
        names += [condition.value.source.node for condition in self.conditions]
        names += [v.source.node for v in self.configuration.values() if isinstance(v, Value)]
        if self.each is not None and isinstance(self.each.items, Value):
            names.append(self.each.items.source.node)
        return tuple(dict.fromkeys([*names, *self.after]))


class Graph:
    """The nodes of one evaluation of a pipeline function."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.open: list[Callable[..., Any]] = []  # pipeline functions being evaluated, the outermost first
        self._conditions: list[Condition] = []
        self._each: Each | None = None

    def add(self, component: Component[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reference:
        """Add a node for a component call.

        Raises:
            ArgumentError: An argument is missing, unknown or of the wrong type.
            ArtifactTypeError: An edge joins unlike artifact types.
            DuplicateNameError: The node's name is taken.
        """
        at = user_line() or ""
        name = component.node_name or component.name
        if name in self.nodes:
            raise DuplicateNameError(
                f'two nodes are called "{name}"',
                expected=f"a name of its own for each; the first is at {self.nodes[name].at}",
                at=at,
                next=f'{component.name}.with_(name="…")(…)',
            )
        inputs: dict[str, tuple[Input, ...]] = {}
        configuration: dict[str, Any] = {}
        for key, argument in component.bind(args, kwargs, at).items():
            parameter = component.parameters[key]
            if parameter.kind is Kind.CONFIGURATION:
                configuration[key] = self._configured(component, parameter, argument, at)
            elif argument is not None or parameter.required:
                inputs[key] = self._edges(component, parameter, argument, at)
        conditions = tuple(self._conditions)
        self.nodes[name] = Node(name, component, inputs, configuration, conditions, self._each, (), at)
        return Reference(name, component.outputs, None, self)

    def _configured(self, component: Component[Any], parameter: Parameter, argument: Any, at: str) -> Any:
        if isinstance(argument, Reference):
            raise ArtifactTypeError(
                f"{component.name} takes a plain value as {parameter.name}, not the result of a node",
                expected=f"{parameter.name}: {_shown(parameter.annotation)}",
                received=f"the result of {argument.node}",
                at=at,
                next=f'value({argument.node}, "…") passes one of its facts',
            )
        if isinstance(argument, Value):
            self.check_promise(argument, at, each=self._each)
        if isinstance(argument, Value | Item):
            return argument
        return check_value(argument, parameter.annotation, f"{component.name}({parameter.name}=…)", at)

    def _edges(
        self, component: Component[Any], parameter: Parameter, argument: Any, at: str
    ) -> tuple[Input, ...]:
        many = parameter.kind is Kind.INPUTS
        references = list(argument) if many and isinstance(argument, list | tuple) else [argument]
        return tuple(self._edge(component, parameter, reference, at) for reference in references)

    def _edge(self, component: Component[Any], parameter: Parameter, argument: Any, at: str) -> Input:
        wanted = parameter.type.__name__
        if not isinstance(argument, Reference):
            raise ArtifactTypeError(
                f'{component.name} needs the output of a node as "{parameter.name}"',
                expected=f"{wanted}, from another component",
                received=f"{type(argument).__name__} {argument!r}"[:200],
                at=at,
            )
        self._check_own(argument, at)
        output = argument.pick(parameter)
        if output is None:
            raise self._type_error(component, parameter, argument, at)
        spread = self.nodes[argument.node].each
        collected = spread is not None and spread is not self._each
        if collected and parameter.kind is not Kind.INPUTS:
            raise ArtifactTypeError(
                f"{argument.node} gives one {wanted} for each item, {component.name} takes one",
                expected=f"{parameter.name}: list[{wanted}]",
                received=f"{parameter.name}: {wanted}",
                at=at,
            )
        return Input(argument.node, output, many=collected)

    def _type_error(
        self, component: Component[Any], parameter: Parameter, reference: Reference, at: str
    ) -> ArtifactTypeError:
        kinds = reference.kinds
        fitting = [name for name, kind in kinds.items() if issubclass(kind, parameter.type)]
        given = ", ".join(
            kind.__name__ if name == "output" else f"{name}: {kind.__name__}" for name, kind in kinds.items()
        )
        headline = f"{reference.node} does not give what {component.name} takes"
        if fitting or not kinds:
            how_many = "several results" if fitting else "nothing"
            headline = f"{reference.node} gives {how_many} where {component.name} takes one"
        return ArtifactTypeError(
            headline,
            expected=f"{parameter.type.__name__} as {component.name}({parameter.name}=…)",
            received=f"{given or 'nothing'}, from {reference.node} at {self.nodes[reference.node].at}",
            at=at,
            next=" or ".join(f"{reference.node}(…).{name}" for name in fitting) or None,
        )

    def check_promise(self, promise: Value, at: str | None = None, *, each: Each | None = None) -> None:
        """Refuse a value of another pipeline, and one of many where only one can be meant.

        Args:
            promise: The value.
            at: The user's line; found from the stack when None.
            each: The repetition in which the value is used for its own item, if any.

        Raises:
            PipelineError: It comes from another pipeline.
            ArtifactTypeError: Its node runs once for each item.
        """
        self._check_own(promise.source, at)
        spread = self.nodes[promise.source.node].each
        if spread is not None and spread is not each:
            raise ArtifactTypeError(
                f"{promise.source.node} runs once for each item: {promise} is many values",
                expected="the value of a node that runs once",
                received=f"a node inside for_each, at {self.nodes[promise.source.node].at}",
                at=at,
                next="bring them together in a component that takes a list of artifacts",
            )

    def _check_own(self, reference: Reference, at: str | None) -> None:
        if reference.graph is not self:
            raise PipelineError(
                f"the result of {reference.node} belongs to another pipeline or an earlier evaluation",
                expected="a result of a component called in this pipeline function",
                received=f"one that was kept from elsewhere: {reference.node}",
                at=at,
                next="call the other pipeline inside this one, and use what it returns",
            )

    def order(self, later: str, earlier: Sequence[str]) -> None:
        """Make a node wait for others whose outputs it does not take."""
        import dataclasses

        node = self.nodes[later]
        self.nodes[later] = dataclasses.replace(node, after=(*node.after, *earlier))

    def sorted(self) -> list[Node]:
        """Return the nodes so that each comes after what it needs, otherwise in the order of calls.

        Raises:
            CycleError: There is no such order.
        """
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for node in self.nodes.values():
            sorter.add(node.name, *node.needs)
        try:
            sorter.prepare()
        except TopologyError as error:
            round_trip = [str(name) for name in error.args[1]]
            raise CycleError(
                f"the pipeline has a cycle through {round_trip[0]}",
                expected="no node that waits for itself",
                received=" -> ".join(reversed(round_trip)),
                at=self.nodes[round_trip[0]].at,
            ) from None
        done: list[Node] = []
        while sorter.is_active():
            ready = set(sorter.get_ready())
            done += [node for name, node in self.nodes.items() if name in ready]
            sorter.done(*ready)
        return done

    @contextmanager
    def collecting(self) -> Iterator[Graph]:
        """Make component calls inside this context add nodes to this graph."""
        token = _building.set(self)
        try:
            yield self
        finally:
            _building.reset(token)


def building() -> Graph | None:
    """Return the graph being described, or None outside a pipeline function."""
    return _building.get()


def _open_graph(what: str) -> Graph:
    graph = building()
    if graph is None:
        raise PipelineError(f"{what} is used outside a pipeline", expected="inside a @pipeline function")
    return graph


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def value(source: Any, name: str) -> Any:
    """Return a fact from an artifact's metadata; inside a pipeline, the promise of it.

    Args:
        source: An artifact, or a component's result inside a pipeline.
        name: The metadata field; dots reach into nested objects.

    Raises:
        PipelineError: The source has several outputs and none is chosen.
    """
    if isinstance(source, Artifact):
        whole = Reference("artifact", {}, None, Graph())
        return Value(whole, "output", name).read(source)
    if not isinstance(source, Reference):
        raise ArgumentError(
            "value() reads from the result of a component",
            expected="value(component(…), name)",
            received=repr(source),
        )
    output = source.output or (next(iter(source.outputs)) if len(source.outputs) == 1 else None)
    if output is None:
        raise ArgumentError(
            f"{source.node} has several outputs",
            expected=" or ".join(f"value({source.node}.{name}, …)" for name in source.outputs),
            received=f"value({source.node}, {name!r})",
        )
    return Value(source, output, name)


@contextmanager
def when(condition: Any) -> Iterator[None]:
    """Run the nodes described inside this context only if the condition holds, else skip them.

    Args:
        condition: A comparison on :func:`value`, or a :func:`value` that is true or false.
    """
    graph = _open_graph("when")
    if isinstance(condition, Value):
        condition = Condition(condition, "==", True)
    if not isinstance(condition, Condition):
        raise ArgumentError(
            "when() takes a comparison on an upstream value",
            expected='when(value(evaluation, "auc") > 0.8)',
            received=f"{type(condition).__name__} {condition!r}"[:200],
            next="for equality: value(…).equals(…)" if isinstance(condition, bool) else None,
        )
    graph.check_promise(condition.value)
    graph._conditions.append(condition)
    try:
        yield
    finally:
        graph._conditions.pop()


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
    if graph._each is not None:
        raise PipelineError(
            "for_each stands inside another for_each",
            expected="one level",
            received="a repetition in a repetition",
            next="one for_each over the list of all combinations",
        )
    if not isinstance(items, Value | list | tuple):
        raise ArgumentError(
            "for_each() takes a list",
            expected='value(component(…), "names") or a plain list',
            received=f"{type(items).__name__} {items!r}"[:200],
        )
    if isinstance(items, Value):
        graph.check_promise(items)
    graph._each = Each(items if isinstance(items, Value) else tuple(items))
    try:
        return body(Item(graph._each))
    finally:
        graph._each = None


def after(later: Any, *earlier: Any) -> None:
    """Make a node wait for others although it takes none of their outputs.

    Args:
        later: The result of the component that waits.
        *earlier: Results of those it waits for; it also runs if one of them is skipped.
    """
    graph = _open_graph("after")
    for reference in (later, *earlier):
        if not isinstance(reference, Reference):
            raise ArgumentError(
                "after() takes results of components",
                expected="after(push_model(…), notify(…))",
                received=f"{type(reference).__name__} {reference!r}"[:200],
            )
    graph.order(later.node, [reference.node for reference in earlier])
