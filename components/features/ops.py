"""The few operations a feature graph is made of, each available on every serving runtime.

A feature describes its arithmetic once, against :class:`Ops`; :mod:`components.features.onnx_ops`
and :mod:`components.features.tensorflow_ops` carry it out. Buckets are sums of comparisons,
look-ups are tables from values to ids, crosses are integer arithmetic: operations such as
``Bucketize`` or string hashing are left out because some runtime lacks them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Tensor = Any


class Ops(Protocol):
    """Operations on columns: tensors of shape ``(rows, 1)``, or ``(rows, width)`` where said.

    ``float`` means ``float32``, ``int`` means ``int64``. Right-hand operands may be plain numbers
    of the left-hand side's type.
    """

    def column(self, name: str) -> Tensor:
        """Return a raw input as a column, in the dtype of the signature."""

    def is_int(self, name: str) -> bool:
        """Return whether a raw input is int in the signature."""

    def to_float(self, x: Tensor) -> Tensor:
        """Cast int or bool to float."""

    def to_int(self, x: Tensor) -> Tensor:
        """Cast bool to int."""

    def add(self, x: Tensor, y: Tensor | float) -> Tensor:
        """Return ``x + y``."""

    def subtract(self, x: Tensor, y: Tensor | float) -> Tensor:
        """Return ``x - y``."""

    def multiply(self, x: Tensor, y: Tensor | float) -> Tensor:
        """Return ``x * y``."""

    def divide(self, x: Tensor, y: Tensor | float) -> Tensor:
        """Return ``x / y`` of floats."""

    def quotient(self, x: Tensor, y: int) -> Tensor:
        """Return the whole part of ``x / y`` for ints with ``x >= 0``, ``y > 0``."""

    def remainder(self, x: Tensor, y: int) -> Tensor:
        """Return the rest of ``x / y`` for ints with ``x >= 0``, ``y > 0``."""

    def log(self, x: Tensor) -> Tensor:
        """Return the natural logarithm of floats."""

    def absolute(self, x: Tensor) -> Tensor:
        """Return ``|x|`` of floats."""

    def maximum(self, x: Tensor, y: float) -> Tensor:
        """Return the larger of ``x`` and a number."""

    def minimum(self, x: Tensor, y: float) -> Tensor:
        """Return the smaller of ``x`` and a number."""

    def at_least(self, x: Tensor, y: float) -> Tensor:
        """Return ``x >= y`` as bool."""

    def at_most(self, x: Tensor, y: float) -> Tensor:
        """Return ``x <= y`` as bool; false for NaN."""

    def equals(self, x: Tensor, y: int | str) -> Tensor:
        """Return ``x == y`` of ints or strings as bool."""

    def both(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``x and y`` of bools."""

    def where(self, condition: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
        """Return ``x`` where the condition holds, else ``y``; one of them is a tensor."""

    def count_at_least(self, x: Tensor, boundaries: Sequence[float]) -> Tensor:
        """Return how many of the boundaries each float reaches, as int."""

    def look_up(self, x: Tensor, keys: Sequence[str] | Sequence[int], first: int, default: int) -> Tensor:
        """Return ``first + i`` where ``x == keys[i]``, else ``default``, as int."""

    def one_hot(self, x: Tensor, width: int) -> Tensor:
        """Return float zeros of shape ``(rows, width)`` with a one at each id."""
