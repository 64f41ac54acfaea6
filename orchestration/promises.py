"""What a component call returns while a pipeline is described: promises of results, values, decisions."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.errors import ArgumentError, ArtifactTypeError, PipelineError, did_you_mean, told

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

    node: str
    outputs: dict[str, type[Artifact]]
    output: str | None = None
    graph: object = field(default=None, repr=False)

    def __getattr__(self, name: str) -> Reference:
        if not name.startswith("_") and self.output is None and name in self.outputs:
            return Reference(self.node, self.outputs, name, self.graph)
        raise NoOutputError(
            f'{self.node} has no output "{name}"',
            expected=" or ".join(f"{self.node}(…).{output}" for output in self.outputs),
            received=f"{self.node}(…).{name}",
            next=did_you_mean(name, self.outputs, ".{}"),
        )

    def __iter__(self) -> Iterator[Reference]:
        if len(self.outputs) < 2:
            raise self.undecided()
        return iter([getattr(self, name) for name in self.outputs])

    def __str__(self) -> str:
        return f"the result of {self.node}"

    @property
    def kinds(self) -> dict[str, type[Artifact]]:
        """The artifact types on offer by output: all of the node's, or the one that was named."""
        return self.outputs if self.output is None else {self.output: self.outputs[self.output]}


@dataclass(frozen=True, eq=False)
class Value(Promise):
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
        return Value(Reference("artifact", {}), "output", name).read(source)
    outputs = source.kinds if isinstance(source, Reference) else {}
    if len(outputs) != 1:
        raise ArgumentError(
            "value() reads one result of a component",
            expected=" or ".join(f"value({source.node}.{each}, …)" for each in outputs)
            or "value(result, name)",
            received=str(source) if outputs else told(source),
        )
    return Value(source, next(iter(outputs)), name)
