"""Any file set as Examples: the reader is chosen by the files' names."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from orchestration import Beam, DataError, Files, HeadraceError, RunContext

if TYPE_CHECKING:
    from components.artifacts import Examples

_FORMATS = {
    "csv": ("csv", "tsv", "tab", "txt", "data"),
    "parquet": ("parquet", "pq"),
    "json": ("jsonl", "ndjson", "json"),
    "avro": ("avro",),
    "tfrecord": ("tfrecord", "tfrecords"),
}
_PACKED = {".gz", ".bz2", ".xz"}
_DELIMITERS = ",;\t|"


@Parameter(name="*")  # options of a command, without a name before them
@dataclass(frozen=True)
class ReadOptions:
    """How files are to be read where their names do not say.

    Attributes:
        header: CSV: the first row holds the names.
        delimiter: CSV: the character between values; looked for by default.
        encoding: Encoding of text files.
        null_values: CSV: texts that mean a missing value.
    """

    header: bool = True
    delimiter: str | None = None
    encoding: str = "utf-8"
    null_values: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = ()


def read_files(
    paths: Sequence[str], split: str, options: ReadOptions, beam: Beam, run: RunContext
) -> Examples:
    """Return all rows of some files as one split.

    Args:
        paths: Files, folders or patterns; all files of one format.
        split: Name of the split.
        options: How to read them.
        beam: Runs the reading.
        run: Where figures go.

    Raises:
        DataError: Nothing matches, formats are mixed, or a file cannot be read.
    """
    files = [file for path in paths for file in found(path)]
    kind = format_of(files)
    reader: Any = getattr(importlib.import_module(f"components.read_{kind}"), f"read_{kind}")
    arguments: dict[str, Any] = {"splits": {split: 1.0}}
    if kind == "csv":
        arguments |= {
            "header": options.header,
            "delimiter": options.delimiter or delimiter_of(files[0], options.encoding),
            "null_values": list(options.null_values),
        }
    if kind in ("csv", "json"):
        arguments["encoding"] = options.encoding
    with _together(files) as folder:
        examples: Examples = reader(folder, **arguments, beam=beam, run=run)
    return examples


def found(path: str) -> list[Path]:
    """Return the files of a path, a folder (with those inside it) or a pattern.

    Raises:
        DataError: Nothing matches.
    """
    if Path(path).is_dir() and not any(file.is_file() for file in Path(path).iterdir()):
        return Files(f"{path}/**/*").paths()
    return Files(path).paths()


def format_of(files: Sequence[Path]) -> str:
    """Return the one format of some files: the part of a reader's name behind ``read_``.

    Raises:
        DataError: A name does not tell, or formats are mixed.
    """
    kinds = {_format(file): file for file in reversed(files)}
    if len(kinds) > 1:
        raise DataError(
            "files of several formats are no one data set",
            expected="files of one format",
            received=", ".join(f"{file.name} ({kind})" for kind, file in sorted(kinds.items())),
            at="",
        )
    return next(iter(kinds))


def _format(file: Path) -> str:
    name = file.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    ending = name.rpartition(".")[2] if "." in name else ""
    for kind, endings in _FORMATS.items():
        if ending in endings:
            return kind
    if "tfrecord" in name:  # data_tfrecord-00000-of-00001
        return "tfrecord"
    raise DataError(
        f"the name of {file.name} does not tell how to read it",
        expected=" ".join(f".{ending}" for endings in _FORMATS.values() for ending in endings),
        received=str(file),
        at="",
    )


def delimiter_of(file: Path, encoding: str) -> str:
    """Return the character between values: a tab by the name, else the first line's most frequent."""
    if {".tsv", ".tab"} & set(file.suffixes):
        return "\t"
    if file.suffix in _PACKED:
        return ","
    with file.open("rb") as source:
        line = source.readline(1 << 16).decode(encoding, errors="replace")
    return max(_DELIMITERS, key=line.count)  # the comma where there is none


@contextmanager
def _together(files: Sequence[Path]) -> Iterator[str]:
    """Yield one path that stands for all files; errors name the files as they are called."""
    if len(files) == 1:
        yield str(files[0])
        return
    with tempfile.TemporaryDirectory(prefix="headrace-files-") as folder:
        names = {}
        for number, file in enumerate(files):
            link = Path(folder) / f"{number:06d}-{file.name}"
            link.symlink_to(file.resolve())
            names[str(link)] = os.path.relpath(file) if not file.is_absolute() else str(file)
            names[link.name] = file.name
        try:
            yield folder
        except HeadraceError as error:
            for place in ("headline", "expected", "received", "next"):
                setattr(error, place, _renamed(getattr(error, place), names))
            raise


def _renamed(text: str | None, names: dict[str, str]) -> str | None:
    for link, name in names.items():
        text = text.replace(link, name) if text else text
    return text
