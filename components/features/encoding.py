"""From Arrow columns to the plain arrays a model's signature takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestration import DataError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from components.features.expressions import Scalar
    from components.model_format import Dtype


def encode_column(column: Any, name: str, dtype: Dtype, *, nullable: bool) -> np.ndarray:
    """Return a raw column as ``float32``, ``int64`` or object array of ``str``, shape ``(rows,)``.

    Missing values become NaN, :data:`components.model_format.MISSING_INT` or ``""``.

    Raises:
        DataError: The column cannot be converted, or a value is missing and ``nullable`` is false.
    """
    if dtype == "float32":
        values = to_numbers(column, name, "float32")
    elif dtype == "int64":
        values = to_integers(column, name)
    else:
        values = to_strings(column, name)
    if not nullable:
        _refuse_missing(values, name, dtype)
    return values


def is_missing(values: np.ndarray, dtype: Dtype) -> np.ndarray:
    """Return where an encoded column is missing, ``bool`` of shape ``(rows,)``; infinities count."""
    import numpy as np

    from components.model_format import MISSING_INT

    missing: np.ndarray
    if dtype == "float32":
        missing = ~np.isfinite(values)
        return missing
    missing = values == (MISSING_INT if dtype == "int64" else "")
    return missing


def to_numbers(column: Any, name: str, dtype: str) -> np.ndarray:
    """Return a column as floating-point numbers, NaN where it is null.

    Raises:
        DataError: The column is not numeric.
    """
    import numpy as np
    import pyarrow as pa

    array = _arrow(column, name)
    kind = array.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (numeric or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
        raise _not(name, "numbers", kind, array)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    wide = array.cast(pa.float64(), safe=False)
    values: np.ndarray = wide.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and infinite is missing
        converted: np.ndarray = values.astype(dtype, copy=False)
    return converted


def to_integers(column: Any, name: str) -> np.ndarray:
    """Return a column as ``int64``: integers, booleans, or times as UTC seconds since 1970.

    Raises:
        DataError: The column holds something else.
    """
    import pyarrow as pa

    from components.model_format import MISSING_INT

    array = _arrow(column, name)
    kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # An Arrow time zone is only for display; the stored value is UTC.
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        array = array.cast(pa.timestamp("s", zone), safe=False)
    elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise _not(name, "integers or timestamps", kind, array)
    try:
        whole: np.ndarray = array.cast(pa.int64()).fill_null(MISSING_INT).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise _not(name, "integers below 2**63", kind, array) from None
    return whole


def to_strings(column: Any, name: str) -> np.ndarray:
    """Return a column as an object array of ``str``, ``""`` where it is null.

    Raises:
        DataError: The column does not hold strings.
    """
    array = strings_of(column, name)
    values: np.ndarray = array.fill_null("").to_numpy(zero_copy_only=False)
    return values


def strings_of(column: Any, name: str) -> pa.Array:
    """Return a column as an Arrow array of strings.

    Raises:
        DataError: The column does not hold strings.
    """
    import pyarrow as pa

    array = _arrow(column, name)
    kind = array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise _not(name, "strings", kind, array)
    return array.cast(pa.string())


def tokens_of(column: Any, name: str) -> pa.Array:
    """Return a column of categories as an Arrow array, booleans as 0 and 1.

    Raises:
        DataError: The column holds neither strings nor numbers.
    """
    import pyarrow as pa

    array = _arrow(column, name)
    kind = array.type
    if pa.types.is_boolean(kind):
        return array.cast(pa.int64())
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return strings_of(array, name)
    return array


def class_indices(column: Any, name: str, classes: tuple[Scalar, ...]) -> np.ndarray:
    """Return each value's index in ``classes`` as ``float32``, NaN where the value is missing.

    Raises:
        DataError: A value is none of the classes, or of another type.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from components.features.expressions import unknown_class

    array = _arrow(column, name)
    try:
        known = pa.array(list(classes)).cast(array.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise unknown_class(
            name, next((v for v in array.to_pylist() if v is not None), None), classes
        ) from None
    missing = absent(array)
    indices = pc.index_in(array, known).to_numpy(zero_copy_only=False).astype("float32")
    strange = np.isnan(indices) & ~missing
    if strange.any():
        raise unknown_class(name, array[int(strange.argmax())].as_py(), classes)
    return np.where(missing, np.float32("nan"), indices).astype("float32")


def absent(array: pa.Array) -> np.ndarray:
    """Return where a label's raw value is missing: null, NaN or the empty string."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = pc.is_null(array, nan_is_null=True)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        missing = pc.or_(missing, pc.equal(array, "").fill_null(True))
    where: np.ndarray = missing.to_numpy(zero_copy_only=False)
    return where


def _arrow(column: Any, name: str) -> pa.Array:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.Array):
        try:
            column = pa.array(column)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f'column "{name}" mixes types: {error}', expected="values of one type") from error
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column


def _not(name: str, expected: str, kind: pa.DataType, array: pa.Array) -> DataError:
    sample = next((value for value in array.to_pylist() if value is not None), None)
    return DataError(
        f'column "{name}" does not hold {expected}',
        expected=expected,
        received=f"{kind}, for example {sample!r}",
        next=f'change the feature on "{name}", or read the column with column_types={{"{name}": …}}',
    )


def _refuse_missing(values: np.ndarray, name: str, dtype: Dtype) -> None:
    missing = is_missing(values, dtype)
    if missing.any():
        raise DataError(
            f'column "{name}" has missing values, and its feature has no policy for them',
            expected="a value in every row",
            received=f"{int(missing.sum())} of {len(values)} rows, the first row {int(missing.argmax())}",
            next=f'give the feature on "{name}" a policy: missing="mean", missing=0, missing="own"',
        )
