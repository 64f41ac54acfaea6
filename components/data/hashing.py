"""Stable 64-bit hashes of Arrow values: the same value gives the same hash everywhere, in any batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_EXACT_INTEGER = 2**53
_LONG_TEXT = 512
_WORD = 8


def _constants(name: str, count: int) -> Hashes:
    """Return fixed pseudo-random numbers derived from a name."""
    stream = b"".join(hashlib.sha256(f"{name}/{i}".encode()).digest() for i in range((count + 3) // 4))
    return np.frombuffer(stream, np.dtype("<u8"), count).astype(np.uint64)


_MULTIPLIER, _POSITION = (int(value) | 1 for value in _constants("odd", 2))
_BIG_INTEGER, _TEXT, _LIST, _STRUCT = _constants("kind", 4)


def mix(values: Hashes) -> Hashes:
    """Return the SplitMix64 finalizer of each value: every input bit changes half of the output bits."""
    out = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        out ^= out >> np.uint64(shift)
        out *= np.uint64(factor)
    out ^= out >> np.uint64(31)
    return out


def hash_numbers(values: npt.NDArray[np.generic]) -> Hashes:
    """Return hashes of a numpy array of numbers; an integer and the equal float hash alike."""
    floats = values.astype(np.float64) + 0.0  # adding zero turns -0.0 into 0.0
    floats[np.isnan(floats)] = np.nan  # one bit pattern for every NaN
    bits = floats.view(np.uint64)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        big = np.abs(floats) > _EXACT_INTEGER
        if big.any():
            bits[big] = values[big].astype(np.uint64) ^ _BIG_INTEGER
    return mix(bits)


def hash_array(array: pa.Array) -> Hashes:
    """Return one hash for each value of an Arrow array; 0 for a null.

    Values hash by what they mean, so 1 and 1.0 are equal, and dictionary-encoded text equals plain text.

    Args:
        array: Any Arrow array, nested ones included.
    """
    hashes = _valid_hashes(array)
    if array.null_count:
        hashes[pc.is_null(array).to_numpy(zero_copy_only=False)] = 0
    return hashes


def _valid_hashes(array: pa.Array) -> Hashes:
    kind = array.type
    if pa.types.is_dictionary(kind):
        of_values = hash_array(array.dictionary)
        codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return of_values[codes] if len(of_values) else np.zeros(len(array), np.uint64)
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.uint64)
    if is_text(kind):
        encoded = array.dictionary_encode()
        codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
        values = hash_texts(encoded.dictionary)
        return values[codes] if len(values) else np.zeros(len(array), np.uint64)
    if pa.types.is_struct(kind):
        columns = [array.field(i) for i in range(kind.num_fields)]
        return mix(_combine(columns, [f.name for f in kind]) ^ _STRUCT)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return _hash_lists(array)
    numbers = as_numbers(array)
    return _valid_hashes(pc.cast(array, pa.string())) if numbers is None else hash_numbers(numbers)


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type holds texts or byte strings."""
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
        )
    )


def as_numbers(array: pa.Array) -> npt.NDArray[np.generic] | None:
    """Return numbers, booleans, dates and times as a numpy array (nulls are 0), or None for other types."""
    kind = array.type
    if pa.types.is_boolean(kind):
        array = pc.cast(array, pa.uint8())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        array = array.view(pa.int32())
    elif pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        array = array.view(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    if array.null_count:
        array = array.fill_null(0)
    return np.asarray(array.to_numpy(zero_copy_only=False))


def hash_texts(array: pa.Array) -> Hashes:
    """Return hashes of texts or byte strings, eight bytes at a time over all of them; none may be null.

    :func:`hash_array` gives the same, faster where texts repeat, and slower where all are different.
    """
    if not len(array):
        return np.zeros(0, np.uint64)
    array = array.cast(pa.large_binary())
    _, offsets_buffer, data = array.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    content = content[offsets[0] : offsets[-1]]
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    out = _hash_words(content, starts, np.where(lengths > _LONG_TEXT, 0, lengths))
    for place in np.flatnonzero(lengths > _LONG_TEXT):
        raw = content[starts[place] : starts[place] + lengths[place]].tobytes()
        out[place] = int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
    return mix(out ^ mix(lengths.astype(np.uint64) ^ _TEXT))


def _hash_words(
    content: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> Hashes:
    padded = np.concatenate([content, np.zeros(_WORD, np.uint8)])
    # Every place of the content seen as the start of a word, so that words need not be aligned.
    words = np.ndarray((len(content) + 1,), np.dtype("<u8"), padded, strides=(1,))
    out = np.zeros(len(starts), np.uint64)
    active = np.flatnonzero(lengths)
    begin, left = starts[active], lengths[active]
    while len(active):
        spare = ((_WORD - np.minimum(left, _WORD)) * 8).astype(np.uint64)
        word = (words[begin] << spare) >> spare  # bytes after the end count as zero
        out[active] = _absorb(out[active], word)
        longer = left > _WORD
        active, begin, left = active[longer], begin[longer] + _WORD, left[longer] - _WORD
    return out


def _absorb(state: Hashes, word: Hashes) -> Hashes:
    state = (state ^ word) * np.uint64(_MULTIPLIER)
    return np.asarray(state ^ (state >> np.uint64(32)), np.uint64)


def _hash_lists(array: pa.Array) -> Hashes:
    offsets = array.offsets.to_numpy().astype(np.int64)
    child = array.keys if pa.types.is_map(array.type) else array.values
    elements = hash_array(child)
    if pa.types.is_map(array.type):
        elements = elements + mix(hash_array(array.items))
    lengths = np.diff(offsets)
    place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    inside = elements[offsets[0] : offsets[-1]]
    terms = mix(inside + (place.astype(np.uint64) + np.uint64(1)) * np.uint64(_POSITION))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    ends = np.cumsum(lengths)
    return mix(sums[ends] - sums[ends - lengths] + mix(lengths.astype(np.uint64) ^ _LIST))


def _combine(columns: Sequence[pa.Array], names: Sequence[str]) -> Hashes:
    rows = len(columns[0]) if columns else 0
    total = np.zeros(rows, np.uint64)
    for column, name in zip(columns, names, strict=True):
        seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
        hashes = hash_array(column)
        total += np.where(hashes == 0, np.uint64(0), mix(hashes ^ np.uint64(seed)))
    return total


def hash_rows(batch: pa.RecordBatch, columns: Sequence[str] | None = None) -> Hashes:
    """Return one hash for each row.

    Neither the order of the columns nor a further column without values changes it.

    Args:
        batch: The rows.
        columns: Names of the columns that count; all of them when None.
    """
    names = list(columns) if columns is not None else batch.schema.names
    return mix(_combine([batch.column(name) for name in names], names))


def uniform(hashes: Hashes) -> npt.NDArray[np.float64]:
    """Return hashes as numbers in [0, 1), evenly spread."""
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53


def rehash(hashes: Hashes, seed: int) -> Hashes:
    """Return other hashes of the same values, which tell nothing about the ones given."""
    salt = int.from_bytes(hashlib.blake2b(f"seed/{seed}".encode(), digest_size=8).digest(), "little")
    return mix(hashes ^ np.uint64(salt))
