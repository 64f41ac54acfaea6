"""Files in spans: which of them a node reads, and which part of its examples holds which span."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from components.reading.span_pattern import SpanKey, SpanPattern
from components.reading.span_window import SpanWindow
from orchestration import DataError, Files, require
from orchestration.artifacts import location

if TYPE_CHECKING:
    from components.artifacts import Examples
    from orchestration.external import DigestFile

_SHOWN = 8


class SpanFile(NamedTuple):
    """A file of a span; span and version are None where the pattern has no such field."""

    path: Path
    span: str | None
    version: int | None


class SpanFiles(Files):
    """A path, a folder or a pattern, which may have fields for spans.

    ``{SPAN}`` is a number; ``{YYYY}``, ``{YYYY}-{MM}``, ``{YYYY}{MM}{DD}`` and with ``{HH}`` (in any order,
    with any text between) are years, months, days and hours. ``{VERSION}`` beside them numbers the
    versions of a span, the newest of which counts. ``{SPAN:3}`` has exactly three digits. Without a
    window, all spans count.
    """

    window: SpanWindow | None = None

    def within(self, window: SpanWindow) -> SpanFiles:
        """Return the same files, narrowed to the spans of a window.

        Raises:
            ArgumentError: The window chooses spans, and the pattern has no field for them.
        """
        named = window.span == SpanWindow().span or SpanPattern.of(self) is not None
        require(named, "span", f"files with a field such as {{SPAN}}, not {str(self)!r}", window.span)
        narrowed = SpanFiles(self)
        narrowed.window = window
        return narrowed

    def among(self, configuration: Mapping[str, Any]) -> SpanFiles:
        """Return the same files, narrowed as the other arguments of the component say."""
        default = SpanWindow()
        span = configuration.get("span", default.span)
        return self.within(SpanWindow.of(span, configuration.get("missing_spans", default.missing)))

    def paths(self) -> list[Path]:
        """Return the files of the chosen spans, in order.

        Raises:
            ArgumentError: The pattern's fields do not go together, or the window does not fit them.
            DataError: No file matches, or a span of the window is missing.
        """
        return [file.path for file in self.found()]

    def content_digest(self, inputs: Mapping[str, Any], digest_file: DigestFile) -> str:
        """Return a digest over the spans, the versions, the names and the bytes of the chosen files."""
        if SpanPattern.of(self) is None:
            return super().content_digest(inputs, digest_file)
        import hashlib

        whole = hashlib.sha256()
        for path, span, version in self.found():
            whole.update(f"{span}\0{version}\0{path.name}\0{digest_file(path)}\n".encode())
        return whole.hexdigest()

    @property
    def root(self) -> str | None:
        """The folder above all spans, so that a file's name does not depend on the window; None without."""
        pattern = SpanPattern.of(self)
        return pattern.root if pattern else None

    def found(self) -> list[SpanFile]:
        """Return the files of the chosen spans with span and version, spans in order, then files.

        Raises:
            ArgumentError: See :meth:`paths`.
            DataError: See :meth:`paths`.
        """
        pattern = SpanPattern.of(self)
        if pattern is None:
            return [SpanFile(path, None, None) for path in super().paths()]
        spans: dict[int, dict[int | None, list[tuple[Path, SpanKey]]]] = {}
        for path, key in _matching(pattern):
            spans.setdefault(key.place, {}).setdefault(key.version, []).append((path, key))
        if not spans:
            raise _no_files(pattern)
        window = self.window or SpanWindow("all", "skip")
        chosen: list[SpanFile] = []
        for place in window.choose(pattern.unit, spans):
            version, files = max(spans[place].items(), key=lambda item: item[0] or 0)
            _check_one_spelling(pattern, place, files)
            chosen += [SpanFile(path, pattern.unit.label(place), version) for path, _ in files]
        return chosen


def _matching(pattern: SpanPattern) -> Iterator[tuple[Path, SpanKey]]:
    for candidate in sorted(_candidates(pattern)):
        key = pattern.read(str(candidate))
        if key is not None:
            folder = not pattern.wild and candidate.is_dir()
            within = sorted(candidate.iterdir()) if folder else [candidate]
            yield from ((p, key) for p in within if p.is_file() and not p.name.startswith((".", "_")))


def _candidates(pattern: SpanPattern) -> list[Path]:
    """Return the files and folders that fit a pattern as far as wildcards can tell."""
    if "://" not in pattern.text:
        return [Path(name) for name in glob.glob(pattern.glob, recursive=True)]  # noqa: PTH207 - may be absolute
    return list(location(pattern.root).glob(pattern.glob.removeprefix(f"{pattern.root}/")))


def _check_one_spelling(pattern: SpanPattern, place: int, files: list[tuple[Path, SpanKey]]) -> None:
    """Refuse ``3`` beside ``03``: whether that is one span or two, only its writer knows."""
    first, other = files[0], next((file for file in files if file[1].digits != files[0][1].digits), None)
    if other is not None:
        raise DataError(
            f"{pattern.unit.noun} {pattern.unit.label(place)} is written in two ways",
            expected="one way to write the digits of a span and of a version",
            received=f"{first[0]} and {other[0]}",
        )


def _no_files(pattern: SpanPattern) -> DataError:
    """Return the error for a pattern that nothing matches; says what is there instead."""
    folder = _nearest_folder(pattern)
    near = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    more = ", …" if len(near) > _SHOWN else ""
    return DataError(
        f"no input file matches {pattern.text}",
        expected="at least one file",
        received=f"{folder} holds " + (", ".join(near[:_SHOWN]) + more if near else "nothing"),
        next=f"ls {pattern.glob}",
    )


def _nearest_folder(pattern: SpanPattern) -> Path:
    """Return the deepest folder that fits the beginning of a pattern, the last by name."""
    if "://" in pattern.text:  # one listing is enough where each is a request
        return location(pattern.root)
    nearest = Path("/" if pattern.text.startswith("/") else ".")
    parts = pattern.glob.split("/")
    for count in range(1, len(parts)):
        matches = sorted(glob.glob("/".join(parts[:count]) or "/"))  # noqa: PTH207 - may be absolute
        if not matches:
            break
        nearest = Path(matches[-1]) if Path(matches[-1]).is_dir() else nearest
    return nearest


def spans_of(examples: Examples) -> dict[str, str]:
    """Return the span of every part file of examples, by the file's path in the artifact.

    A part holds rows of one span only, and the rows of a span make the same parts whatever other spans
    are read with it, as long as all agree on the column types.

    Returns:
        For example ``{"train/part-00000.parquet": "2026-11-01"}``, sorted by path, of the parts that are
        there; empty for examples that were read without spans.
    """
    parts = examples.metadata.get("parts", {})
    there = (
        [f"{split}/{file.name}" for split in examples.splits for file in examples.files(split)]
        if parts
        else []
    )
    return {name: str(parts[name]) for name in sorted(there) if name in parts}
