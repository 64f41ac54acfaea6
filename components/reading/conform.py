"""Values brought into the type that all files agreed on."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from orchestration import DataError


def conform(array: pa.Array, field: pa.Field, name: str) -> pa.Array:
    """Return a column's values in the agreed type.

    Args:
        array: The values as the file holds them.
        field: The column as it is stored.
        name: How messages call the file.

    Raises:
        DataError: A value would change.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    try:
        return array if array.type.equals(field.type) else pc.cast(array, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f'column "{field.name}" of {name} cannot be stored as {field.type}',
            expected=str(field.type),
            received=f"{array.type}: {str(error).partition(chr(10))[0]}",
        ) from error
