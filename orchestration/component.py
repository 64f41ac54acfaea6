"""``@component``: a typed function becomes a step of a pipeline."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from orchestration.artifacts import Artifact
from orchestration.beam import Beam
from orchestration.context import RunContext
from orchestration.errors import ArgumentError, PipelineError, definition

Result_ = TypeVar("Result_")
Imports = tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]]

_NODE_NAME = re.compile(r"[^\W_][\w-]{0,99}")

INJECTED: dict[type, Callable[[], object]] = {Beam: Beam, RunContext: RunContext}


class Kind(Enum):
    """What a component's parameter receives."""

    INPUT = "input"
    INPUTS = "inputs"
    CONFIGURATION = "configuration"
    INJECTED = "injected"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component: its name, kind, annotation and whether it may be left out."""

    name: str
    kind: Kind
    annotation: Any
    required: bool
    default: Any = None
    type: type = object


@dataclass(frozen=True)
class Policy:
    """How a node runs. Set on the component, changed for one node with ``component.with_(…)``.

    Attributes:
        retries: Further attempts after a failure, 0 by default.
        backoff: Seconds before the first retry; doubled each time, with jitter.
        timeout: Seconds an attempt may take; None for no limit.
        gpu: Accelerators the node claims while it runs.
        cache: Whether an earlier equal result may be used.
        imports: Modules the node's fork server imports beforehand, in order; ``NAME=value`` sets
            an environment variable first. A function receives the node's configuration.
    """

    retries: int = 0
    backoff: float = 1.0
    timeout: float | None = None
    gpu: int = 0
    cache: bool = True
    imports: Imports = ()

    def __post_init__(self) -> None:
        checks = (
            ("retries", self.retries >= 0, "0 or more"),
            ("backoff", self.backoff >= 0, "seconds, 0 or more"),
            ("timeout", self.timeout is None or self.timeout > 0, "seconds above 0, or None"),
            ("gpu", self.gpu >= 0, "0 or more"),
        )
        for name, passed, expected in checks:
            if not passed:
                raise ArgumentError(
                    f'policy "{name}" is out of range',
                    expected=expected,
                    received=f"{name}={getattr(self, name)!r}",
                )


def _policy(given: Mapping[str, Any]) -> Policy:
    known = Policy.__dataclass_fields__
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ArgumentError(
                f'there is no policy "{name}"',
                expected=", ".join(known),
                received=f"{name}={given[name]!r}",
                next=f"did you mean {close[0]}=…?" if close else None,
            )
    return Policy(**given)


class Component(Generic[Result_]):
    """A typed function that can be called as it is, or placed in a pipeline as a node."""

    def __init__(self, function: Callable[..., Result_], policy: Policy) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.policy = policy
        self.name: str = function.__name__
        self.qualified_name: str = function.__qualname__
        self.node_name: str | None = None

    @functools.cached_property
    def where(self) -> str:
        """The component's own place, ``file:line  source``."""
        return definition(self.function)

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, in order.

        Raises:
            PipelineError: A parameter has no annotation or is variadic.
        """
        hints = self._hints()
        return {
            name: _parameter(self, parameter, hints)
            for name, parameter in inspect.signature(self.function).parameters.items()
        }

    @functools.cached_property
    def outputs(self) -> dict[str, type[Artifact]]:
        """Artifact types by output name: one called ``output``, or the fields of a ``NamedTuple``.

        Raises:
            PipelineError: The return annotation is neither an artifact, a NamedTuple of them nor None.
        """
        result = self._hints().get("return", inspect.Parameter.empty)
        if result is type(None):
            return {}
        if _is_artifact(result):
            return {"output": result}
        fields = typing.get_type_hints(result) if hasattr(result, "_fields") else {}
        if fields and all(_is_artifact(kind) for kind in fields.values()):
            return fields
        raise PipelineError(
            f"component {self.name} has no usable return annotation",
            expected="an Artifact type, a NamedTuple of Artifact types, or None",
            received="nothing" if result is inspect.Parameter.empty else inspect.formatannotation(result),
            at=self.where,
        )

    def _hints(self) -> dict[str, Any]:
        try:
            return typing.get_type_hints(self.function, include_extras=False)
        except NameError as error:
            raise PipelineError(
                f"an annotation of component {self.name} cannot be resolved: {error}",
                expected="names imported at the module's top level (not under TYPE_CHECKING)",
                at=self.where,
            ) from error

    def with_(self, *, name: str | None = None, **policy: Any) -> Component[Result_]:
        """Return the component with another node name or policy, for one place in a pipeline."""
        if name is not None and not _NODE_NAME.fullmatch(name):
            raise ArgumentError(
                f"a node of {self.name} cannot be called {name!r}",
                expected="letters, digits, _ and -, at most 100, with a letter or a digit first",
                received=f"name={name!r}",
            )
        changed = Component(self.function, _policy({**vars(self.policy), **policy}))
        changed.node_name = name or self.node_name
        return changed

    def imports(self, configuration: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what the node's fork server imports beforehand, for this configuration."""
        imports = self.policy.imports
        return imports(configuration) if callable(imports) else imports

    def __call__(self, *args: Any, **kwargs: Any) -> Result_:
        """Run the function; inside a pipeline, add a node and return the promise of its result."""
        from orchestration.graph import building

        graph = building()
        if graph is not None:
            return typing.cast("Result_", graph.add(self, args, kwargs))
        injected = {
            name: kwargs.pop(name) if name in kwargs else INJECTED[parameter.type]()
            for name, parameter in self.parameters.items()
            if parameter.kind is Kind.INJECTED
        }
        return self.function(**self._signature.bind(*args, **kwargs).arguments, **injected)

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        """What a caller passes: the function's signature without the injected parameters."""
        whole = inspect.signature(self.function)
        kept = [p for n, p in whole.parameters.items() if self.parameters[n].kind is not Kind.INJECTED]
        return whole.replace(parameters=kept)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any], at: str) -> dict[str, Any]:
        """Return the call's arguments by name, defaults included, injected ones left out.

        Raises:
            ArgumentError: An argument is missing, unknown or given twice.
        """
        callers = {n: p for n, p in self.parameters.items() if p.kind is not Kind.INJECTED}
        unknown = [name for name in kwargs if name not in callers]
        if unknown:
            raise self._argument_error(unknown[0], callers, at)
        try:
            bound = self._signature.bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(
                f"{self.name}: {error}",
                expected=self._usage(callers),
                received=f"{len(args)} arguments without a name" + "".join(f", {name}=…" for name in kwargs),
                at=at,
            ) from error
        missing = [name for name, p in callers.items() if p.required and name not in bound]
        if missing:
            raise ArgumentError(
                f'{self.name} lacks its argument "{missing[0]}"',
                expected=self._usage(callers),
                received=f"only {', '.join(bound)}" if bound else "no argument",
                at=at,
                next=f"pass {missing[0]}=…, {_article(callers[missing[0]].annotation)}",
            )
        return {name: bound.get(name, p.default) for name, p in callers.items()}

    def _argument_error(self, name: str, callers: Mapping[str, Parameter], at: str) -> ArgumentError:
        close = difflib.get_close_matches(name, callers, n=1)
        return ArgumentError(
            f'{self.name} has no argument "{name}"',
            expected=self._usage(callers),
            received=f"{name}=…",
            at=at,
            next=f"did you mean {close[0]}=…?" if close else None,
        )

    def _usage(self, callers: Mapping[str, Parameter]) -> str:
        names = (n if p.required else f"{n}=…" for n, p in callers.items())
        return f"{self.name}({', '.join(names)})"

    def __reduce__(self) -> Any:
        # By module and name where that is possible: the function's module is then imported, not copied.
        if _importable(self):
            return (_import_component, (self.__module__, self.qualified_name, self.policy))
        return (Component, (self.function, self.policy))

    def __repr__(self) -> str:
        return f"<component {self.__module__}.{self.name}>"


def _importable(component: Component[Any]) -> bool:
    import sys

    if component.__module__ == "__main__":  # a notebook or a script: another module in a child process
        return False
    found = getattr(sys.modules.get(component.__module__), component.qualified_name, None)
    return isinstance(found, Component) and found.function is component.function


def _import_component(module: str, name: str, policy: Policy) -> Component[Any]:
    import importlib

    return Component(getattr(importlib.import_module(module), name).function, policy)


def _is_artifact(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Artifact)


def _parameter(component: Component[Any], raw: inspect.Parameter, hints: Mapping[str, Any]) -> Parameter:
    if raw.kind in (raw.VAR_POSITIONAL, raw.VAR_KEYWORD):
        raise PipelineError(
            f"component {component.name} takes any number of arguments",
            expected=f"named parameters; several artifacts of one type as {raw.name}: list[…]",
            received=str(raw),
            at=component.where,
        )
    if raw.name not in hints:
        raise PipelineError(
            f'parameter "{raw.name}" of component {component.name} has no type',
            expected=f"{raw.name}: TYPE; an artifact type makes it an input, any other a setting",
            received=str(raw),
            at=component.where,
        )
    annotation = hints[raw.name]
    kind, bare = _classify(annotation)
    required = raw.default is raw.empty and kind is not Kind.INJECTED
    default = None if raw.default is raw.empty else raw.default
    return Parameter(raw.name, kind, annotation, required, default, bare)


def _article(annotation: Any) -> str:
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _classify(annotation: Any) -> tuple[Kind, type]:
    """Return the kind of parameter an annotation means, and its type without None or list."""
    options = [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
    if len(options) == 1:
        only = options[0]
        if only in INJECTED:
            return Kind.INJECTED, only
        if _is_artifact(only):
            return Kind.INPUT, only
        if typing.get_origin(only) is list and _is_artifact(typing.get_args(only)[0]):
            return Kind.INPUTS, typing.get_args(only)[0]
        if isinstance(only, type):
            return Kind.CONFIGURATION, only
    return Kind.CONFIGURATION, object


@overload
def component(function: Callable[..., Result_], /) -> Component[Result_]: ...


@overload
def component(
    *,
    retries: int = 0,
    backoff: float = 1.0,
    timeout: float | None = None,
    gpu: int = 0,
    cache: bool = True,
    imports: Imports = (),
) -> Callable[[Callable[..., Result_]], Component[Result_]]: ...


def component(function: Callable[..., Any] | None = None, /, **policy: Any) -> Any:
    """Turn a typed function into a component.

    Artifact-typed parameters are its inputs, ``Beam`` and ``RunContext`` are injected, all others
    are configuration; the return annotation is its output, a ``NamedTuple`` several of them.
    Called inside a ``@pipeline`` function it adds a node; anywhere else it just runs.

    Args:
        function: The function to turn.
        **policy: See :class:`Policy`.

    Raises:
        PipelineError: The signature cannot be wired (missing annotation, ``*args``).
    """
    if function is None:
        return functools.partial(_decorate, _policy(policy))
    return _decorate(Policy(), function)


def _decorate(policy: Policy, function: Callable[..., Any]) -> Component[Any]:
    return Component(function, policy)
