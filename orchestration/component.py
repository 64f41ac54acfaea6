"""``@component``: a typed function becomes a step of a pipeline."""

from __future__ import annotations

import functools
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import NoneType
from typing import Any, Generic, TypeVar, overload

from orchestration.artifacts import Artifact
from orchestration.beam import Beam
from orchestration.context import RunContext
from orchestration.errors import ArgumentError, PipelineError, definition, require
from orchestration.parameters import alternatives, bind, signature_of

Result_ = TypeVar("Result_")
Imports = tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]]

INJECTED = (Beam, RunContext)

_NODE_NAME = re.compile(r"[^\W_][\w-]{0,99}")


class Kind(Enum):
    """What a component's parameter receives."""

    INPUT = "input"
    INPUTS = "inputs"
    CONFIGURATION = "configuration"
    INJECTED = "injected"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a component; ``type`` is its annotation without None and list."""

    name: str
    kind: Kind
    annotation: Any
    required: bool
    type: type


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
        require(self.retries >= 0, "retries", "0 or more", self.retries)
        require(self.backoff >= 0, "backoff", "seconds, 0 or more", self.backoff)
        in_time = self.timeout is None or self.timeout > 0
        require(in_time, "timeout", "seconds above 0, or None", self.timeout)
        require(self.gpu >= 0, "gpu", "0 or more", self.gpu)


def _policy(given: Mapping[str, Any]) -> Policy:
    return Policy(**bind("a policy", inspect.signature(Policy), given))


class Component(Generic[Result_]):
    """A typed function that can be called as it is, or placed in a pipeline as a node."""

    def __init__(self, function: Callable[..., Result_], policy: Policy) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.policy = policy
        self.name: str = function.__name__
        self.node_name: str | None = None

    @functools.cached_property
    def where(self) -> str:
        """The component's own place, ``file:line  source``."""
        return definition(self.function)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """What a caller passes: the function's signature without the injected parameters.

        Raises:
            PipelineError: A parameter has no annotation or is variadic.
        """
        whole = signature_of(self.function, f"component {self.name}")
        kept = [p for p in whole.parameters.values() if self.parameters[p.name].kind is not Kind.INJECTED]
        return whole.replace(parameters=kept)

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """All parameters by name, in order.

        Raises:
            PipelineError: A parameter has no annotation or is variadic.
        """
        raw = signature_of(self.function, f"component {self.name}").parameters
        return {name: _parameter(self, parameter) for name, parameter in raw.items()}

    @functools.cached_property
    def outputs(self) -> dict[str, type[Artifact]]:
        """Artifact types by output name: one called ``output``, or the fields of a ``NamedTuple``.

        Raises:
            PipelineError: The return annotation is neither an artifact, a NamedTuple of them nor None.
        """
        result = self.signature.return_annotation
        if result in (None, NoneType):
            return {}
        fields = typing.get_type_hints(result) if hasattr(result, "_fields") else {"output": result}
        if fields and all(map(_is_artifact, fields.values())):
            return fields
        raise PipelineError(
            f"component {self.name} has no usable return annotation",
            expected="an Artifact type, a NamedTuple of Artifact types, or None",
            received="nothing" if result is inspect.Parameter.empty else inspect.formatannotation(result),
            at=self.where,
        )

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
        injected = [p for p in self.parameters.values() if p.kind is Kind.INJECTED]
        made = {p.name: kwargs.pop(p.name) if p.name in kwargs else p.type() for p in injected}
        return self.function(**self.signature.bind(*args, **kwargs).arguments, **made)

    def __reduce__(self) -> Any:
        name = self.function.__qualname__
        if self.__module__ == "__main__" or "<locals>" in name:  # another process could not import it
            return (Component, (self.function, self.policy))
        return (_import_component, (f"{self.__module__}:{name}", self.policy))

    def __repr__(self) -> str:
        return f"<component {self.__module__}.{self.name}>"


def _import_component(name: str, policy: Policy) -> Component[Any]:
    found = pkgutil.resolve_name(name)
    return Component(getattr(found, "function", found), policy)


def _is_artifact(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Artifact)


def _parameter(component: Component[Any], raw: inspect.Parameter) -> Parameter:
    if raw.annotation is raw.empty:
        raise PipelineError(
            f'parameter "{raw.name}" of component {component.name} has no type',
            expected=f"{raw.name}: TYPE; an artifact type makes it an input, any other a setting",
            received=str(raw),
            at=component.where,
        )
    options = [kind for kind in alternatives(raw.annotation) if kind is not NoneType]
    only = options[0] if len(options) == 1 else object
    kind = Kind.INJECTED if only in INJECTED else Kind.INPUT if _is_artifact(only) else Kind.CONFIGURATION
    if typing.get_origin(only) is list and _is_artifact(item := typing.get_args(only)[0]):
        kind, only = Kind.INPUTS, item
    required = raw.default is raw.empty and kind is not Kind.INJECTED
    return Parameter(raw.name, kind, raw.annotation, required, only)


@overload
def component(function: Callable[..., Result_], /) -> Component[Result_]: ...


@overload
def component(**policy: Any) -> Callable[[Callable[..., Result_]], Component[Result_]]: ...


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
    made = functools.partial(Component, policy=_policy(policy))
    return made if function is None else made(function)
