"""Expressions over raw columns, and the label they define."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from components.features.checks import check_column, is_number
from orchestration import ArgumentError, ArtifactError, DataError, require

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Scalar = str | int | float | bool
_SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


@dataclass(frozen=True)
class Expression:
    """Arithmetic over raw numeric columns, evaluated in ``float64``; missing operands give NaN.

    Attributes:
        operation: ``"column"``, ``"constant"``, ``"add"``, ``"subtract"``, ``"multiply"`` or ``"divide"``.
        operands: The column's name, the constant, or the two sides.
    """

    operation: str
    operands: tuple[Any, ...]

    def __add__(self, other: Expression | float) -> Expression:
        return Expression("add", (self, expression(other)))

    def __radd__(self, other: float) -> Expression:
        return Expression("add", (expression(other), self))

    def __sub__(self, other: Expression | float) -> Expression:
        return Expression("subtract", (self, expression(other)))

    def __rsub__(self, other: float) -> Expression:
        return Expression("subtract", (expression(other), self))

    def __mul__(self, other: Expression | float) -> Expression:
        return Expression("multiply", (self, expression(other)))

    def __rmul__(self, other: float) -> Expression:
        return Expression("multiply", (expression(other), self))

    def __truediv__(self, other: Expression | float) -> Expression:
        return Expression("divide", (self, expression(other)))

    def __rtruediv__(self, other: float) -> Expression:
        return Expression("divide", (expression(other), self))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it reads, sorted."""
        if self.operation == "column":
            return (self.operands[0],)
        sides = (side for side in self.operands if isinstance(side, Expression))
        return tuple(sorted({name for side in sides for name in side.columns}))

    def values(self, batch: pa.RecordBatch | Mapping[str, np.ndarray]) -> np.ndarray:
        """Return ``float64`` values of shape ``(rows,)``; division by zero gives NaN or infinity.

        Raises:
            DataError: A column is missing or not numeric.
        """
        import numpy as np

        if self.operation == "column":
            return _numbers(batch, self.operands[0])
        if self.operation == "constant":
            return np.float64(self.operands[0])  # type: ignore[return-value]  # broadcasts like an array
        left, right = (side.values(batch) for side in self.operands)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            answer: np.ndarray = getattr(np, self.operation)(left, right)
        return answer

    def to_json(self) -> dict[str, Any]:
        """Return the expression as JSON: ``{"multiply": [{"constant": 0.2}, {"column": "fare"}]}``."""
        if self.operation in ("column", "constant"):
            return {self.operation: self.operands[0]}
        return {self.operation: [side.to_json() for side in self.operands]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Expression:
        """Return the expression of a JSON value.

        Raises:
            ArtifactError: The operation is unknown.
        """
        ((operation, operands),) = value.items()
        if operation in ("column", "constant"):
            return cls(operation, (operands,))
        if operation in _SYMBOLS:
            return cls(operation, tuple(cls.from_json(side) for side in operands))
        raise ArtifactError(
            "an expression has an unknown operation", expected=", ".join(_SYMBOLS), received=operation
        )

    def __str__(self) -> str:
        if self.operation in ("column", "constant"):
            return str(self.operands[0])
        return f"({self.operands[0]} {_SYMBOLS[self.operation]} {self.operands[1]})"


def column(name: str) -> Expression:
    """Name a raw numeric column, to do arithmetic with it as with a number."""
    check_column(name)
    return Expression("column", (name,))


def expression(value: Expression | float) -> Expression:
    """Return a number as a constant expression, and an expression as it is.

    Raises:
        ArgumentError: It is neither.
    """
    if isinstance(value, Expression):
        return value
    if is_number(value):
        return Expression("constant", (value,))
    raise ArgumentError(
        "an expression takes numbers and columns",
        expected='a number or column("name")',
        received=repr(value),
        next=f"column({value!r})",
    )


@dataclass(frozen=True)
class Label:
    """What a model learns to predict. Made by :func:`label`.

    Attributes:
        column: The raw column it is made of.
        kind: ``"classes"``, ``"greater_than"`` (binary) or ``"value"`` (regression).
        threshold: The right side of ``greater_than``.
        classes: Class values in output order; learned from the analyzed split when empty.
        missing: What happens to a row whose label is missing: ``"error"`` or ``"drop"`` (counted).
    """

    column: str
    kind: Literal["classes", "greater_than", "value"] = "classes"
    threshold: Expression | None = None
    classes: tuple[Scalar, ...] = ()
    missing: Literal["error", "drop"] = "error"

    def greater_than(self, threshold: Expression | float) -> Label:
        """Return the binary label ``column > threshold``; missing where either side is."""
        return Label(self.column, "greater_than", expression(threshold), (), self.missing)

    def value(self) -> Label:
        """Return the numeric label of a regression: the column's value."""
        return Label(self.column, "value", None, (), self.missing)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the raw columns it reads, sorted."""
        others = self.threshold.columns if self.threshold else ()
        return tuple(sorted({self.column, *others}))

    def values(
        self,
        batch: pa.RecordBatch | Mapping[str, np.ndarray],
        *,
        classes: tuple[Scalar, ...] | None = None,
    ) -> np.ndarray:
        """Return the label of each row, ``float32`` of shape ``(rows,)``, NaN where it is missing.

        Args:
            batch: Raw rows.
            classes: Class values in output order; ``self.classes`` when None.

        Raises:
            DataError: A column is missing or not numeric, or a class is unknown.
        """
        import numpy as np

        if self.kind == "classes":
            return _class_indices(batch, self.column, self.classes if classes is None else classes)
        left = _numbers(batch, self.column)
        if self.kind == "value":
            return left.astype("float32")
        assert self.threshold is not None
        right = self.threshold.values(batch)
        unknown = np.isnan(left) | np.isnan(right)
        return np.where(unknown, np.nan, left > right).astype("float32")

    def to_json(self) -> dict[str, Any]:
        """Return the label as a JSON value."""
        return {
            "column": self.column,
            "kind": self.kind,
            "threshold": self.threshold.to_json() if self.threshold else None,
            "classes": list(self.classes),
            "missing": self.missing,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Label:
        """Return the label of a JSON value.

        Raises:
            ArtifactError: It is not one.
        """
        try:
            threshold = value["threshold"]
            return cls(
                column=value["column"],
                kind=value["kind"],
                threshold=Expression.from_json(threshold) if threshold else None,
                classes=tuple(value["classes"]),
                missing=value["missing"],
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"a label cannot be read: {error!r}", received=str(dict(value))) from error

    def __str__(self) -> str:
        return f"{self.column} > {self.threshold}" if self.kind == "greater_than" else self.column


def label(
    column: str, *, classes: tuple[Scalar, ...] = (), missing: Literal["error", "drop"] = "error"
) -> Label:
    """Name the column a model learns to predict.

    As it is, the column's distinct values are the classes (two: binary, more: multiclass), in
    sorted order. ``.greater_than(…)`` makes a binary label, ``.value()`` a regression.

    Args:
        column: Raw column name.
        classes: Class values in output order; empty to take those found in the analyzed split.
        missing: For rows without a label: ``"error"`` refuses them, ``"drop"`` leaves them out
            of the transformed rows and counts them.
    """
    check_column(column)
    require(missing in ("error", "drop"), "missing", '"error" or "drop"', missing)
    require(len(classes) != 1, "classes", "none, or at least two", classes)
    return Label(column, classes=tuple(classes), missing=missing)


def _column_of(batch: pa.RecordBatch | Mapping[str, np.ndarray], name: str) -> Any:
    from components.model_format import missing_column

    names = list(batch) if isinstance(batch, Mapping) else batch.schema.names
    if name not in names:
        raise missing_column(name, names)
    return batch[name] if isinstance(batch, Mapping) else batch.column(name)


def _numbers(batch: pa.RecordBatch | Mapping[str, np.ndarray], name: str) -> np.ndarray:
    from components.features.encoding import to_numbers

    return to_numbers(_column_of(batch, name), name, "float64")


def _class_indices(
    batch: pa.RecordBatch | Mapping[str, np.ndarray], name: str, classes: tuple[Scalar, ...]
) -> np.ndarray:
    from components.features.encoding import class_indices

    return class_indices(_column_of(batch, name), name, classes)


def unknown_class(name: str, found: object, classes: tuple[Scalar, ...]) -> DataError:
    """Return the error for a label value that is none of the classes."""
    shown = ", ".join(repr(value) for value in classes[:8])
    return DataError(
        f'the label "{name}" has a class the model does not know',
        expected=shown + (", …" if len(classes) > 8 else ""),
        received=repr(found),
        next=f'label("{name}", classes=(…)) names every class, or keep such rows out of the split',
    )
