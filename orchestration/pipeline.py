"""``@pipeline``: a function whose parameters are a run's parameters and whose calls are its graph."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from orchestration.errors import (
    CycleError,
    HeadraceError,
    MissingExtraError,
    PipelineError,
    place,
)
from orchestration.fingerprint import describe
from orchestration.graph import Graph, Node, building
from orchestration.parameters import bind_parameters
from orchestration.promises import Item, Value

if TYPE_CHECKING:
    from orchestration.result import RunResult


class Pipeline:
    """A described pipeline. Call :meth:`run`; or call it inside another pipeline to include its nodes."""

    def __init__(self, function: Callable[..., Any], *, schedule: str | None, timezone: str) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name: str = function.__name__
        self.schedule = schedule
        self.timezone = timezone
        self._open = False

    @property
    def description(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def file(self) -> Path:
        """The file the pipeline is written in."""
        return Path(inspect.unwrap(self.function).__code__.co_filename)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The run's parameters by name, with types and defaults."""
        return inspect.signature(self.function).parameters

    def bind(self, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
        """Return all parameters, checked; ``text`` converts values from a command line.

        Raises:
            ArgumentError: A parameter is unknown, missing or of the wrong type.
        """
        return bind_parameters(self.function, given, text=text)

    def graph(self, parameters: Mapping[str, Any]) -> Graph:
        """Evaluate the function and return its checked graph.

        Raises:
            PipelineError: The graph is wrong; names the user's line.
        """
        graph = Graph()
        with graph.collecting():
            self(**parameters)
        if not graph.nodes:
            raise PipelineError(
                f"pipeline {self.name} has no node",
                expected="at least one component call",
                received="a function that calls none",
                at=place(str(self.file), self.function.__code__.co_firstlineno),
            )
        for node in graph.sorted():
            _check(node)
        return graph

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if building() is None:
            raise PipelineError(
                f"pipeline {self.name} is called like a plain function",
                expected=f"{self.name}.run(…)",
                received=f"{self.name}(…)",
            )
        if self._open:
            raise CycleError(f"pipeline {self.name} includes itself", received=f"{self.name} -> {self.name}")
        self._open = True
        try:
            return self.function(*args, **kwargs)
        finally:
            self._open = False

    def run(
        self,
        *,
        profile: str | None = None,
        start: str | None = None,
        to: str | None = None,
        only: Sequence[str] = (),
        skip: Sequence[str] = (),
        cache: bool = True,
        in_process: bool = False,
        **parameters: Any,
    ) -> RunResult:
        """Run the pipeline and return its result, also when nodes failed.

        Args:
            profile: Profile of headrace.toml; ``local`` by default.
            start: Run this node and what follows from it; the rest comes from earlier results.
            to: Run only what this node needs, and it.
            only: Run just these nodes.
            skip: Leave these nodes out.
            cache: Whether earlier equal results may be used.
            in_process: Run nodes in this process, one after another, for a debugger.
            **parameters: The pipeline's own parameters.

        Raises:
            PipelineError: The pipeline or its arguments are wrong; nothing has run.
        """
        from orchestration.run import run_pipeline
        from orchestration.selection import select
        from orchestration.settings import load, use

        settings = load(profile=profile)
        bound = self.bind(parameters)
        selected = select(self.graph(bound), start=start, to=to, only=only, skip=skip)
        with use(settings):
            return run_pipeline(
                self, bound, settings=settings, selected=selected, cache=cache, in_process=in_process
            )

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


def _check(node: Node) -> None:
    """Find now what would otherwise fail in the middle of a run."""
    try:
        plain = {k: v for k, v in node.configuration.items() if not isinstance(v, Value | Item)}
        for name, value in plain.items():
            describe(value, name)
        imports = node.component.imports(plain)
    except HeadraceError as error:
        error.at = node.at
        raise
    for item in imports:
        module = item.split(".")[0]
        if "=" not in item and importlib.util.find_spec(module) is None:
            raise MissingExtraError(
                f"{node.name} needs {module}, which is not installed",
                expected=f"an environment with {module}",
                received=f"Python at {sys.prefix} without it",
                at=node.at,
                next=f"pip install 'headrace[{module}]'",
            )


@overload
def pipeline(function: Callable[..., Any], /) -> Pipeline: ...


@overload
def pipeline(
    *, schedule: str | None = None, timezone: str = "UTC"
) -> Callable[[Callable[..., Any]], Pipeline]: ...


def pipeline(
    function: Callable[..., Any] | None = None, /, *, schedule: str | None = None, timezone: str = "UTC"
) -> Any:
    """Mark a function as a pipeline.

    Args:
        function: Its parameters are the run's parameters; the component calls in it are the nodes.
        schedule: Cron expression (minute hour day month weekday) for ``headrace schedule``.
        timezone: IANA time zone the schedule is meant in.

    Raises:
        PipelineError: A parameter is variadic, or the time zone is unknown.
    """
    if function is None:
        return functools.partial(_decorate, schedule=schedule, timezone=timezone)
    return _decorate(function, schedule=None, timezone=timezone)


def _decorate(function: Callable[..., Any], *, schedule: str | None, timezone: str) -> Pipeline:
    import zoneinfo

    code = function.__code__
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PipelineError(
                f"pipeline {function.__name__} takes {parameter}",
                expected="named parameters with types",
                at=place(code.co_filename, code.co_firstlineno),
            )
    if timezone != "UTC" and timezone not in zoneinfo.available_timezones():
        raise PipelineError(
            f'pipeline {function.__name__}: "{timezone}" is no time zone',
            expected='an IANA name such as "America/Chicago"',
            received=timezone,
            at=place(code.co_filename, code.co_firstlineno),
        )
    return Pipeline(function, schedule=schedule, timezone=timezone)


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
        path, name = project / "pipelines" / f"{file}.py", name or file
    if not path.is_file():
        known = sorted(p.stem for p in (project / "pipelines").glob("*.py") if p.stem != "__init__")
        raise PipelineError(
            f"there is no pipeline file {where}",
            expected="a Python file with a @pipeline function"
            + (f", or {', '.join(known)}" if known else ""),
            received=where,
            at="",
            next="headrace list",
        )
    found = pipelines_in(import_file(path.resolve(), project))
    if name and name in found:
        return found[name]
    if len(found) == 1 and not name:
        return next(iter(found.values()))
    raise PipelineError(
        f"{path} holds no pipeline {name}" if name else f"{path} holds {len(found) or 'no'} pipelines",
        expected=" or ".join(f"{path}:{each}" for each in found) or "a function marked with @pipeline",
        received=where,
        at="",
    )


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
    try:
        module = importlib.import_module(".".join(parts))
    except HeadraceError:
        raise
    except Exception as error:  # whatever a user's module raises while it is imported
        from orchestration.failure import user_failure

        failure = user_failure(error)
        raise PipelineError(
            failure.headline, at=failure.at, received=f"while importing {path.name}"
        ) from error
    if Path(str(module.__file__)).resolve() != path.resolve():
        raise PipelineError(
            f"{path.name} is hidden by another module called {module.__name__}",
            expected=f"{path}",
            received=str(module.__file__),
            at="",
            next=f"rename {path.name}, or the folder it lies in",
        )
    return module


def discover(project: Path) -> Iterator[Pipeline]:
    """Yield the pipelines of ``pipelines/*.py`` below a project's root, by file."""
    for path in sorted((project / "pipelines").glob("*.py")):
        if "@pipeline" in path.read_text(encoding="utf-8"):
            yield from pipelines_in(import_file(path.resolve(), project)).values()


def parameter_types(found: Pipeline) -> dict[str, Any]:
    """Return a pipeline's parameter annotations by name."""
    hints = typing.get_type_hints(found.function)
    return {name: hints.get(name, str) for name in found.parameters}
