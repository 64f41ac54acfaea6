"""Keeps the accumulators of spans, so that a rolling window computes only the new span."""

from __future__ import annotations

import hashlib
import json
import pickle
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.outcome import Failed
from orchestration import DataError
from orchestration.artifacts import location
from orchestration.closure import code_closure

if TYPE_CHECKING:
    from components.data.row_ranges import Span
    from components.statistics.describe_splits import Plan, SpanKey

_CHUNK = 1 << 20
_DIGEST = 64


@dataclass(frozen=True)
class SpanCache:
    """A folder of accumulators, each under a name made from all it depends on.

    The name is a digest of the span's name, the content of its files, the columns, the settings and the
    code that computes; so nothing in the folder is ever out of date, and any of it may be deleted.

    Attributes:
        folder: Where it lies; any location every worker can reach.
        names: Name of each kept or yet to be kept accumulator.
    """

    folder: str
    names: dict[SpanKey, str]

    @classmethod
    def of(cls, folder: str, spans: list[Span], plan: Plan) -> SpanCache:
        """Return the cache for some spans.

        Args:
            folder: Where it lies.
            spans: The spans of all splits.
            plan: What is to be described.
        """
        from components.statistics import describe_splits

        about = {
            "code": code_closure(describe_splits),
            "settings": asdict(plan.settings),
            "aspects": asdict(plan.aspects),
        }
        names = {}
        for span in spans:
            files = [_digest(location(file)) for file in span.files]
            for run, columns in enumerate(plan.runs):
                types = [str(plan.schema.field(name)) for name in (*columns, *plan.aspects.columns)]
                facts = {**about, "span": span.name, "files": files, "columns": types}
                text = json.dumps(facts, sort_keys=True)
                names[run, span.split, span.place] = hashlib.sha256(text.encode()).hexdigest()
        # A worker may stand in another folder than the driver.
        return cls(folder if "://" in folder else str(Path(folder).absolute()), names)

    def path(self, key: SpanKey) -> Path:
        """Return where the accumulator of some columns of a span lies."""
        return location(self.folder) / f"{self.names[key]}.statistics"

    def holds(self, key: SpanKey) -> bool:
        """Tell whether an accumulator is kept and undamaged."""
        path = self.path(key)
        return path.exists() and _content(path.read_bytes()) is not None

    def keep(self, element: tuple[SpanKey, Any]) -> tuple[SpanKey, Any]:
        """Store the accumulator of some columns of a span, and return it as it came."""
        key, table = element
        if not isinstance(table, Failed):
            path = self.path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = pickle.dumps(table)
            # Two runs may keep the same: rename keeps the file whole at every moment.
            partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
            partial.write_bytes(hashlib.sha256(content).hexdigest().encode() + content)
            partial.rename(path)
        return element

    def load(self, key: SpanKey) -> Any:
        """Return a kept accumulator.

        Raises:
            DataError: It went away, or was damaged, since :meth:`holds` was asked.
        """
        path = self.path(key)
        content = _content(path.read_bytes()) if path.exists() else None
        if content is None:
            raise DataError(
                "the kept statistics of a span went away or were damaged during the run",
                expected="nobody else changes the folder while statistics are computed",
                received=path.name,
                next="run it again: what is missing is computed anew",
            )
        return pickle.loads(content)


@dataclass(frozen=True)
class Kept:
    """A cache, and the spans taken from it: split and place."""

    cache: SpanCache
    spans: tuple[tuple[str, int], ...]


def _content(raw: bytes) -> bytes | None:
    content = raw[_DIGEST:]
    return content if hashlib.sha256(content).hexdigest().encode() == raw[:_DIGEST] else None


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
