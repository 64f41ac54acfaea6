"""What a component call returns while a pipeline is described: promises of results, values, decisions."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestration.artifacts import Artifact
from orchestration.component import Parameter
from orchestration.errors import ArtifactTypeError, PipelineError

if TYPE_CHECKING:
    from orchestration.graph import Graph

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class NoOutputError(PipelineError, AttributeError):
    """A component has no output of this name."""

    def __init__(self, reference: Reference, name: str) -> None:
        close = difflib.get_close_matches(name, reference.outputs, n=1)
        super().__init__(
            f'{reference.node} has no output "{name}"',
            expected=" or ".join(f"{reference.node}(…).{output}" for output in reference.outputs),
            received=f"{reference.node}(…).{name}",
            next=f"did you mean .{close[0]}?" if close else None,
        )


@dataclass(frozen=True, eq=False)
class Reference:
    """What a component call returns inside a pipeline: the promise of an output.

    ``output`` is None for the node as a whole; a named output is reached as an attribute.
    """

    node: str
    outputs: dict[str, type[Artifact]]
    output: str | None
    graph: Graph = field(repr=False)

    def __getattr__(self, name: str) -> Reference:
        if not name.startswith("_") and self.output is None and name in self.outputs:
            return Reference(self.node, self.outputs, name, self.graph)
        raise NoOutputError(self, name)

    def __iter__(self) -> Iterator[Reference]:
        if len(self.outputs) < 2:
            raise _decision_error(
                f"the result of {self.node}", "iterated over", f"for_each(value({self.node}, …), …)"
            )
        return iter([getattr(self, name) for name in self.outputs])

    def __bool__(self) -> bool:
        raise _decision_error(
            f"the result of {self.node}", "tested", f"with when(value({self.node}, …) > …):"
        )

    @property
    def kinds(self) -> dict[str, type[Artifact]]:
        """The artifact types on offer by output: all of the node's, or the one that was named."""
        return self.outputs if self.output is None else {self.output: self.outputs[self.output]}

    def pick(self, parameter: Parameter) -> str | None:
        """Return the name of the only output that fits a parameter, or None."""
        fits = [name for name, kind in self.kinds.items() if issubclass(kind, parameter.type)]
        return fits[0] if len(fits) == 1 else None


def _decision_error(what: str, how: str, remedy: str) -> PipelineError:
    return PipelineError(
        f"{what} is {how} while the pipeline is only being described",
        expected="a decision that is taken when the pipeline runs",
        received="Python's own if, for or bool() on what does not exist yet",
        next=remedy,
    )


@dataclass(frozen=True, eq=False)
class Value:
    """A field of an upstream artifact's metadata, read when the pipeline runs."""

    source: Reference
    output: str
    name: str

    def __lt__(self, other: object) -> Condition:
        return Condition(self, "<", other)

    def __le__(self, other: object) -> Condition:
        return Condition(self, "<=", other)

    def __gt__(self, other: object) -> Condition:
        return Condition(self, ">", other)

    def __ge__(self, other: object) -> Condition:
        return Condition(self, ">=", other)

    def equals(self, other: object) -> Condition:
        """Return the condition that the value equals ``other``."""
        return Condition(self, "==", other)

    def __bool__(self) -> bool:
        raise _decision_error(
            f"the value {self}", "tested", f'with when(value({self.source.node}, "{self.name}")):'
        )

    def __iter__(self) -> Iterator[Any]:
        raise _decision_error(
            f"the value {self}", "iterated over", f'for_each(value({self.source.node}, "{self.name}"), …)'
        )

    def read(self, artifact: Artifact) -> Any:
        """Return the value.

        Raises:
            ArtifactTypeError: The artifact has no such field.
        """
        found: Any = artifact.metadata
        for part in self.name.split("."):
            if not isinstance(found, dict) or part not in found:
                raise ArtifactTypeError(
                    f'{self.source.node} has no value "{self.name}"',
                    expected=" or ".join(sorted(artifact.metadata)) or "a value in its metadata",
                    received=self.name,
                )
            found = found[part]
        return found

    def __str__(self) -> str:
        return f"{self.source.node}.{self.name}"


@dataclass(frozen=True)
class Condition:
    """A comparison on an upstream value, decided when the pipeline runs."""

    value: Value
    comparison: str
    other: object

    def holds(self, artifact: Artifact) -> bool:
        """Return whether the condition is true of the artifact the value is read from."""
        return bool(COMPARISONS[self.comparison](self.value.read(artifact), self.other))

    def __str__(self) -> str:
        return f"{self.value} {self.comparison} {self.other!r}"

    def __bool__(self) -> bool:
        compared = f'value({self.value.source.node}, "{self.value.name}") {self.comparison} {self.other!r}'
        raise _decision_error(f"the comparison {self}", "tested", f"with when({compared}):")


@dataclass(frozen=True, eq=False)
class Item:
    """Stands for the current item inside ``for_each``."""

    each: Each


@dataclass(frozen=True, eq=False)
class Each:
    """A repetition over items that are known only when the pipeline runs."""

    items: Value | tuple[Any, ...]
