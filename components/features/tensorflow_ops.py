"""Feature graphs as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


class Tables(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Look-up tables by their content, made once and kept with the model that uses them."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tf.lookup.StaticHashTable] = []
        self._places: dict[tuple[object, ...], int] = {}

    def table(
        self, keys: Sequence[str] | Sequence[int], first: int, default: int
    ) -> tf.lookup.StaticHashTable:
        """Return the table from ``keys[i]`` to ``first + i``, else ``default``."""
        content = (*keys, first, default)
        if content not in self._places:
            kind = tf.string if isinstance(keys[0], str) else tf.int64
            with tf.init_scope():  # also while a function is being traced
                values = tf.range(first, first + len(keys), dtype=tf.int64)
                pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(list(keys), kind), values)
                self.made.append(tf.lookup.StaticHashTable(pairs, default))
            self._places[content] = len(self.made) - 1
        return self.made[self._places[content]]


class TensorFlowOps:
    """Applies the operations to tensors; see :class:`components.features.ops.Ops`.

    Args:
        raw: Raw features by name, each of shape ``(rows,)``.
        tables: Holds the look-up tables.
    """

    def __init__(self, raw: Mapping[str, tf.Tensor], tables: Tables) -> None:
        self._raw = raw
        self._tables = tables

    def column(self, name: str) -> tf.Tensor:
        """See ``Ops.column``."""
        return tf.expand_dims(self._raw[name], 1)

    def is_int(self, name: str) -> bool:
        """See ``Ops.is_int``."""
        return bool(self._raw[name].dtype == tf.int64)

    def to_float(self, x: tf.Tensor) -> tf.Tensor:
        """See ``Ops.to_float``."""
        return tf.cast(x, tf.float32)

    def to_int(self, x: tf.Tensor) -> tf.Tensor:
        """See ``Ops.to_int``."""
        return tf.cast(x, tf.int64)

    def add(self, x: tf.Tensor, y: tf.Tensor | float) -> tf.Tensor:
        """See ``Ops.add``."""
        return tf.add(x, y)

    def subtract(self, x: tf.Tensor, y: tf.Tensor | float) -> tf.Tensor:
        """See ``Ops.subtract``."""
        return tf.subtract(x, y)

    def multiply(self, x: tf.Tensor, y: tf.Tensor | float) -> tf.Tensor:
        """See ``Ops.multiply``."""
        return tf.multiply(x, y)

    def divide(self, x: tf.Tensor, y: tf.Tensor | float) -> tf.Tensor:
        """See ``Ops.divide``."""
        return tf.divide(x, y)

    def quotient(self, x: tf.Tensor, y: int) -> tf.Tensor:
        """See ``Ops.quotient``."""
        return tf.math.floordiv(x, y)

    def remainder(self, x: tf.Tensor, y: int) -> tf.Tensor:
        """See ``Ops.remainder``."""
        return tf.math.floormod(x, y)

    def log(self, x: tf.Tensor) -> tf.Tensor:
        """See ``Ops.log``."""
        return tf.math.log(x)

    def absolute(self, x: tf.Tensor) -> tf.Tensor:
        """See ``Ops.absolute``."""
        return tf.abs(x)

    def maximum(self, x: tf.Tensor, y: float) -> tf.Tensor:
        """See ``Ops.maximum``."""
        return tf.maximum(x, y)

    def minimum(self, x: tf.Tensor, y: float) -> tf.Tensor:
        """See ``Ops.minimum``."""
        return tf.minimum(x, y)

    def at_least(self, x: tf.Tensor, y: float) -> tf.Tensor:
        """See ``Ops.at_least``."""
        return tf.greater_equal(x, y)

    def at_most(self, x: tf.Tensor, y: float) -> tf.Tensor:
        """See ``Ops.at_most``."""
        return tf.less_equal(x, y)

    def equals(self, x: tf.Tensor, y: int | str) -> tf.Tensor:
        """See ``Ops.equals``."""
        return tf.equal(x, y)

    def both(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """See ``Ops.both``."""
        return tf.logical_and(x, y)

    def where(self, condition: tf.Tensor, x: tf.Tensor | float, y: tf.Tensor | float) -> tf.Tensor:
        """See ``Ops.where``."""
        tensor: Any = x if isinstance(x, tf.Tensor) else y
        dtype = tensor.dtype
        return tf.where(condition, tf.cast(x, dtype), tf.cast(y, dtype))

    def count_at_least(self, x: tf.Tensor, boundaries: Sequence[float]) -> tf.Tensor:
        """See ``Ops.count_at_least``."""
        edges = tf.constant([list(boundaries)], tf.float32)
        return tf.reduce_sum(tf.cast(tf.greater_equal(x, edges), tf.int64), axis=1, keepdims=True)

    def look_up(
        self, x: tf.Tensor, keys: Sequence[str] | Sequence[int], first: int, default: int
    ) -> tf.Tensor:
        """See ``Ops.look_up``."""
        # The reshape keeps the rank where a converter's table look-up forgets it.
        return tf.reshape(self._tables.table(keys, first, default).lookup(x), (-1, 1))

    def one_hot(self, x: tf.Tensor, width: int) -> tf.Tensor:
        """See ``Ops.one_hot``."""
        return tf.cast(tf.equal(x, tf.range(width, dtype=tf.int64)[tf.newaxis, :]), tf.float32)
