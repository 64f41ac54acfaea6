"""The language of row filters: Python's comparisons over columns, evaluated by Arrow, nothing else.

``fare > 0 and company is not null`` is parsed by Python's own parser and then walked: only the kinds of
syntax listed here mean anything, so a filter can neither call a function nor reach an object.
A missing value makes a comparison unknown, as in SQL, and a row is kept only where the condition is true.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestration import ArgumentError, DataError

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST = 10_000
_DEEPEST = 100
_SHOWN = 200
_WORDS = {"null": None, "true": True, "false": False}
_ARITHMETIC = {ast.Add: "add_checked", ast.Sub: "subtract_checked", ast.Mult: "multiply_checked"}
_COMPARISONS = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
_LEGAL = (
    ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Call,
)  # fmt: skip
_OPERATORS = (ast.Not, ast.USub, ast.Div, *_ARITHMETIC)
_ASSIGNS = re.compile(r"[^=!<>]=[^=]")
_FUNCTIONS = ("column", "is_nan", "length", "lower")
_EXPECTED = 'comparisons such as: fare > 0 and company is not null and zone in ["a", "b"]'


@dataclass(frozen=True)
class Condition:
    """A condition that every row of a table meets or not.

    Columns by name, or as ``column("a name")`` where the name has other signs; numbers, texts, ``true`` and
    ``false``; ``== != < <= > >=``, ``in [...]``, ``is null``; ``and``, ``or``, ``not``; ``+ - * /``;
    ``is_nan(x)``, ``length(x)`` of a text or a list, ``lower(x)``. A text beside a date or a time is read
    as one.

    Attributes:
        text: The condition, for example ``'0 < fare < 500 and not is_nan(tips) and day >= "2026-11-01"'``.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.columns:
            raise self._malformed("it names no column")

    @functools.cached_property
    def _tree(self) -> ast.expr:
        if len(self.text) > _LONGEST:
            raise self._malformed(f"it has {len(self.text):,} characters, more than {_LONGEST:,}")
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
            self._check(tree, 0)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = str(error).partition(" (")[0]
            hint = "; equality is written ==" if _ASSIGNS.search(self.text) else ""
            raise self._malformed((reason or "nested too deep") + hint) from error
        return tree

    def _check(self, node: ast.AST, depth: int) -> None:
        if depth > _DEEPEST:
            raise self._malformed(f"it is nested more than {_DEEPEST} deep")
        if not isinstance(node, _LEGAL):
            raise self._malformed(f"{_source(node)} means nothing here")
        if isinstance(node, ast.UnaryOp | ast.BinOp) and not isinstance(node.op, _OPERATORS):
            raise self._malformed(f"{_source(node)} uses an operator that is none of + - * / not")
        if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | bool | None):
            raise self._malformed(f"{_source(node)} is no text, number or truth value")
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value >= 2**63:
            raise self._malformed(f"{_source(node)} is larger than any whole number of a column")
        if _is_null(node):
            raise self._malformed("a missing value is looked for by: is null, is not null")
        if isinstance(node, ast.Call):
            self._check_call(node)
        if isinstance(node, ast.Compare):
            self._check_comparison(node)
        for child in _operands(node):
            self._check(child, depth + 1)

    def _check_call(self, node: ast.Call) -> None:
        known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        if not known or len(node.args) != 1 or node.keywords:
            raise self._malformed(f"{_source(node)} is none of {', '.join(f'{n}(…)' for n in _FUNCTIONS)}")
        if _is_call(node, "column") and not _is_text(node.args[0]):
            raise self._malformed('column("…") takes a column\'s name')

    def _check_comparison(self, node: ast.Compare) -> None:
        for operation, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operation, ast.Is | ast.IsNot) and not _is_null(right):
                raise self._malformed('"is" goes with null only; equality is written ==')
            if isinstance(operation, ast.In | ast.NotIn) and not (
                isinstance(right, ast.List | ast.Tuple)
                and right.elts
                and all(isinstance(item, ast.Constant | ast.UnaryOp) for item in right.elts)
            ):
                raise self._malformed('"in" takes a list of values: zone in ["a", "b"]')

    def _malformed(self, reason: str) -> ArgumentError:
        return ArgumentError(
            "the row filter cannot be understood",
            expected=_EXPECTED,
            received=f"where={self.text[:_SHOWN]!r}: {reason}",
        )

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it reads, sorted."""
        names = {name for node in _walk(self._tree) if (name := _column_name(node)) is not None}
        return tuple(sorted(names))

    def check(self, schema: pa.Schema) -> None:
        """Refuse a schema that the condition does not fit.

        Raises:
            DataError: A column is missing, or is compared with what it cannot be compared with.
        """
        import pyarrow as pa

        for name in self.columns:
            if name not in schema.names:
                raise DataError(
                    f'the data has no column "{name}" to filter by',
                    expected="one of " + ", ".join(schema.names),
                    received=f"where={self.text!r}",
                )
        self.mask(pa.RecordBatch.from_pylist([], schema))

    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Return for each row whether the condition is true; false where it is unknown.

        Raises:
            DataError: Values cannot be compared or calculated with.
        """
        import pyarrow as pa

        try:
            found = _Evaluation(batch).value(self._tree)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise DataError(
                "the row filter cannot be applied to these columns",
                expected=", ".join(f"{name}: {batch.schema.field(name).type}" for name in self.columns),
                received=f"where={self.text!r}: {str(error).partition(chr(10))[0]}",
            ) from error
        if not pa.types.is_boolean(found.type):
            raise self._malformed(f"it is of type {found.type}, neither true nor false")
        return found.fill_null(False)


class _Evaluation:
    """One walk over a condition with the rows of one batch."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch

    def value(self, node: ast.AST) -> Any:
        """Return an Arrow array, or a scalar for a literal."""
        import pyarrow as pa

        name = _column_name(node)
        if name is not None:
            return self.batch.column(name)
        if isinstance(node, ast.Name):
            return pa.scalar(_WORDS[node.id])
        if isinstance(node, ast.Constant):
            return pa.scalar(node.value)
        walk: Callable[[Any], Any] = getattr(self, f"_{type(node).__name__.lower()}")
        return walk(node)

    def _boolop(self, node: ast.BoolOp) -> Any:
        import pyarrow.compute as pc

        join = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
        return functools.reduce(join, [self.value(side) for side in node.values])

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        import pyarrow.compute as pc

        inner = self.value(node.operand)
        return pc.invert(inner) if isinstance(node.op, ast.Not) else pc.negate_checked(inner)

    def _binop(self, node: ast.BinOp) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        left, right = _aligned(self.value(node.left), self.value(node.right))
        if isinstance(node.op, ast.Div):  # 1 / 2 is 0.5, and 1 / 0 infinite: never an integer's division
            return pc.divide(*(pc.cast(side, pa.float64(), safe=False) for side in (left, right)))
        return getattr(pc, _ARITHMETIC[type(node.op)])(left, right)

    def _call(self, node: ast.Call) -> Any:
        import pyarrow.compute as pc

        assert isinstance(node.func, ast.Name)
        functions = {"is_nan": pc.is_nan, "length": _length, "lower": pc.utf8_lower}
        return functions[node.func.id](self.value(node.args[0]))

    def _compare(self, node: ast.Compare) -> Any:
        import pyarrow.compute as pc

        sides = [node.left, *node.comparators]
        pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
        return functools.reduce(pc.and_kleene, [self._pair(*pair) for pair in pairs])

    def _pair(self, left: ast.expr, operation: ast.cmpop, right: ast.expr) -> Any:
        import pyarrow.compute as pc

        if isinstance(operation, ast.Is | ast.IsNot):
            function = pc.is_null if isinstance(operation, ast.Is) else pc.is_valid
            return function(self.value(left))
        one = self.value(left)
        if isinstance(operation, ast.In | ast.NotIn):
            assert isinstance(right, ast.List | ast.Tuple)
            equal = [pc.equal(*_aligned(one, self.value(item))) for item in right.elts]
            found = functools.reduce(pc.or_kleene, equal)
            return pc.invert(found) if isinstance(operation, ast.NotIn) else found
        compare = getattr(pc, _COMPARISONS[type(operation)])
        return compare(*_aligned(one, self.value(right)))


def _aligned(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two sides as types that Arrow compares and calculates with as one expects."""
    return _beside(left, right), _beside(right, left)


def _beside(value: Any, other: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, literal = other.type, isinstance(value, pa.Scalar)
    if literal and pa.types.is_string(value.type) and pa.types.is_temporal(kind):
        return _as_time(value, kind)
    if literal and pa.types.is_integer(value.type) and pa.types.is_uint64(kind) and value.as_py() >= 0:
        return pc.cast(value, kind)  # int64, which Arrow would choose for both, cannot hold the largest
    negative = isinstance(other, pa.Scalar) and pa.types.is_integer(kind) and other.as_py() < 0
    whole = pa.types.is_int64(value.type) or pa.types.is_uint64(value.type)
    if whole and (pa.types.is_floating(kind) or (pa.types.is_uint64(value.type) and negative)):
        return pc.cast(value, pa.float64(), safe=False)  # large ones lose digits, rather than fail
    return value


def _as_time(value: Any, kind: Any) -> Any:
    """Read a text as a date or a time; without a zone of its own it is meant in the column's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.cast(value, kind)
    except pa.ArrowInvalid:
        if not (pa.types.is_timestamp(kind) and kind.tz):
            raise
        return pc.assume_timezone(pc.cast(value, pa.timestamp(kind.unit)), kind.tz)


def _length(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        return pc.utf8_length(values)
    return (pc.binary_length if pa.types.is_binary(values.type) else pc.list_value_length)(values)


def _operands(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of an expression that have a value of their own."""
    if isinstance(node, ast.Call):
        if not _is_call(node, "column"):
            yield from node.args
    elif isinstance(node, ast.Compare):
        yield node.left
        pairs = zip(node.ops, node.comparators, strict=True)
        yield from (right for operation, right in pairs if not isinstance(operation, ast.Is | ast.IsNot))
    else:
        yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for part in _operands(node):
        yield from _walk(part)


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_null(node: ast.AST) -> bool:
    constant = isinstance(node, ast.Constant) and node.value is None
    return constant or (isinstance(node, ast.Name) and node.id == "null")


def _column_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and _is_call(node, "column"):
        assert isinstance(node.args[0], ast.Constant)
        return str(node.args[0].value)
    if isinstance(node, ast.Name) and node.id not in _WORDS:
        return node.id
    return None


def _source(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
