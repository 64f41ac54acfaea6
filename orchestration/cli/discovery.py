"""Pipelines by file and name, as commands name them, and those of a project's ``pipelines/``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration.errors import PipelineError, did_you_mean
from orchestration.pipeline import Pipeline, users_code


def load_pipeline(where: str, project: Path) -> Pipeline:
    """Return the pipeline of ``file.py``, ``file.py:name`` or the bare name of one in ``pipelines/``.

    Args:
        where: The file, seen from the working directory, or the name.
        project: The project's root, put first on the module search path.

    Raises:
        PipelineError: There is no such file or pipeline, the file does not import, or it holds
            several pipelines and none is named.
    """
    file, _, name = where.partition(":")
    path = Path(file)
    if not path.suffix and not path.exists():
        path = project / "pipelines" / f"{file}.py"
    if not path.is_file():
        known = [path.stem for path in _files(project)]
        raise PipelineError(
            f"there is no pipeline file {where}",
            expected=", or ".join(["a Python file with a @pipeline function", *known]),
            at="",
            next=did_you_mean(where, known) or "headrace list",
        )
    found = pipelines_in(import_file(path.resolve(), project))
    wanted = name or (path.stem if path.stem in found or len(found) != 1 else next(iter(found)))
    if wanted not in found:
        raise PipelineError(
            f"{file} holds {len(found) or 'no'} pipelines, and none is called {wanted}",
            expected=" or ".join(found) or "a function marked with @pipeline",
            at="",
            next=did_you_mean(wanted, found, f"{file}:{{}}"),
        )
    return found[wanted]


def pipelines_in(module: Any) -> dict[str, Pipeline]:
    """Return the pipelines a module defines, by name (imported ones left out)."""
    members = vars(module).values()
    return {p.name: p for p in members if isinstance(p, Pipeline) and p.__module__ == module.__name__}


def import_file(path: Path, project: Path) -> Any:
    """Import a Python file under the name its folder gives it below the project's root.

    Raises:
        PipelineError: The import fails; the user's own exception comes first.
    """
    root = project if path.is_relative_to(project) else path.parent
    parts = path.relative_to(root).with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        root, parts = path.parent, (path.stem,)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    with users_code(f"while importing {path.name}"):
        module = importlib.import_module(".".join(parts))
    if Path(str(module.__file__)).resolve() != path.resolve():
        raise PipelineError(
            f"{path.name} is hidden by another module called {module.__name__}: {module.__file__}",
            at="",
            next=f"rename {path.name}, or the folder it lies in",
        )
    return module


def discover(project: Path) -> Iterator[Pipeline]:
    """Yield the pipelines of ``pipelines/*.py`` below a project's root, by file."""
    for path in _files(project):
        yield from pipelines_in(import_file(path.resolve(), project)).values()


def _files(project: Path) -> list[Path]:
    found = sorted((project / "pipelines").glob("*.py"))
    return [path for path in found if "@pipeline" in path.read_text(encoding="utf-8")]
