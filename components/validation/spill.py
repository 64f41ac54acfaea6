"""Partial results on disk: what a large shuffle would keep in memory travels as a place in a file."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestration.artifacts import location


@dataclass(frozen=True)
class Spilled:
    """Where a value lies: a file that every worker can read, and the bytes of it."""

    uri: str
    offset: int
    length: int


@contextmanager
def spilling(folder: str | None) -> Iterator[Callable[[Any], Any]]:
    """Yield a function that puts values into a new file of a folder and returns their places.

    Args:
        folder: A folder that every worker can write to; None to return the values themselves.
    """
    if folder is None:
        yield lambda value: value
        return
    # A bundle that is tried again writes a file of its own; only places that arrive are read.
    uri = f"{folder}/{uuid.uuid4().hex}"
    path = location(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as sink:

        def put(value: Any) -> Spilled:
            data = pickle.dumps(value, protocol=5)
            place = Spilled(uri, sink.tell(), len(data))
            sink.write(data)
            return place

        yield put


def gathered(values: Iterable[Any]) -> list[Any]:
    """Return values, those that lie on disk read from there."""
    return [_read(value) if isinstance(value, Spilled) else value for value in values]


def _read(place: Spilled) -> Any:
    with location(place.uri).open("rb") as source:
        source.seek(place.offset)
        return pickle.loads(source.read(place.length))
