"""What a component call returns while a pipeline is described: promises of results, values, decisions."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration.artifacts import Artifact
from orchestration.errors import ArgumentError, ArtifactTypeError, PipelineError, did_you_mean, told

if TYPE_CHECKING:
    from orchestration.graph import Node

COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}


class NoOutputError(PipelineError, AttributeError):
    """A component has no output of this name."""


class Promise:
    """What is known only when the pipeline runs: Python's own ``if`` and ``for`` cannot decide on it."""

    def __bool__(self) -> bool:
        raise self.undecided()

    def __iter__(self) -> Iterator[Any]:
        raise self.undecided()

    def undecided(self) -> PipelineError:
        """Return the error of a decision that is taken too early."""
        return PipelineError(
            f"{self} is not known while the pipeline is only being described",
            expected="a decision that is taken when the pipeline runs",
            received="Python's own if, for or bool() on what does not exist yet",
            next="with when(value(…) > …): in place of if; for_each(value(…), …) in place of for",
        )


@dataclass(frozen=True, eq=False)
class Reference(Promise):
    """What a component call returns inside a pipeline: the promise of an output.

    ``output`` is None for the node as a whole; a named output is reached as an attribute.
    """

    node: Node
    output: str | None = None

    def __getattr__(self, name: str) -> Reference:
        outputs, called = self.node.outputs, f"{self.node.name}(…)"
        if not name.startswith("_") and self.output is None and name in outputs:
            return Reference(self.node, name)
        raise NoOutputError(
            f'{self.node.name} has no output "{name}"',
            expected=" or ".join(f"{called}.{output}" for output in outputs),
            received=f"{called}.{name}",
            next=did_you_mean(name, outputs, ".{}"),
        )

    def __iter__(self) -> Iterator[Reference]:
        if len(self.kinds) < 2:
            raise self.undecided()
        return iter([getattr(self, name) for name in self.kinds])

    def __str__(self) -> str:
        return f"the result of {self.node.name}"

    @property
    def kinds(self) -> dict[str, type[Artifact]]:
        """The artifact types on offer by output: all of the node's, or the one that was named."""
        outputs = self.node.outputs
        return outputs if self.output is None else {self.output: outputs[self.output]}


@dataclass(frozen=True, eq=False)
class Value(Promise):
    """A field of an upstream artifact's metadata, read when the pipeline runs."""

    source: Reference
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

    def read(self, artifact: Artifact) -> Any:
        """Return the value.

        Raises:
            ArtifactTypeError: The artifact has no such field.
        """
        return _fact(artifact, self.name, self.source.node.name)

    def __str__(self) -> str:
        return f"{self.source.node.name}.{self.name}"


@dataclass(frozen=True)
class Condition(Promise):
    """A comparison on an upstream value, decided when the pipeline runs."""

    value: Value
    comparison: str
    other: object

    def holds(self, artifact: Artifact) -> bool:
        """Return whether the condition is true of the artifact the value is read from."""
        compare: Any = COMPARISONS[self.comparison]
        return bool(compare(self.value.read(artifact), self.other))

    def __str__(self) -> str:
        return f"{self.value} {self.comparison} {self.other!r}"


@dataclass(frozen=True, eq=False)
class Item:
    """Stands for the current item inside ``for_each``, and so for the repetition itself."""

    items: Value | tuple[Any, ...]


def value(source: Any, name: str) -> Any:
    """Return a fact from an artifact's metadata; inside a pipeline, the promise of it.

    Args:
        source: An artifact, or a component's result inside a pipeline.
        name: The metadata field; dots reach into nested objects.

    Raises:
        ArgumentError: The source is neither, or has several outputs and none is chosen.
    """
    if isinstance(source, Artifact):
        return _fact(source, name, "artifact")
    outputs = list(source.kinds) if isinstance(source, Reference) else []
    if len(outputs) != 1:
        offered = " or ".join(f"value({source.node.name}.{each}, …)" for each in outputs)
        received = str(source) if outputs else told(source)
        wanted = offered or "value(result, name)"
        raise ArgumentError("value() reads one result of a component", expected=wanted, received=received)
    return Value(Reference(source.node, outputs[0]), name)


def _fact(artifact: Artifact, name: str, owner: str) -> Any:
    found: Any = artifact.metadata
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            known = " or ".join(sorted(artifact.metadata)) or "a value in its metadata"
            raise ArtifactTypeError(f'{owner} has no value "{name}"', expected=known, received=name)
        found = found[part]
    return found
