"""``@pipeline``: a function whose parameters are a run's parameters and whose calls are its graph."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from orchestration.description import describe
from orchestration.errors import (
    CycleError,
    HeadraceError,
    MissingExtraError,
    PipelineError,
    definition,
)
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
        try:
            with graph.collecting():
                self(**parameters)
        except HeadraceError:
            raise
        except (Exception, SystemExit) as error:  # whatever the user's own lines raise
            raise _own_error(error, f"while describing pipeline {self.name}") from error
        if not graph.nodes:
            raise PipelineError(
                f"pipeline {self.name} has no node",
                expected="at least one component call",
                received="a function that calls none",
                at=definition(self.function),
            )
        for node in graph.sorted():
            _check(node)
        return graph

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add the pipeline's nodes to the one that is being described."""
        graph = building()
        if graph is None:
            raise PipelineError(
                f"pipeline {self.name} is called like a plain function",
                expected=f"{self.name}.run(…)",
                received=f"{self.name}(…)",
            )
        if self.function in graph.open:
            names = [function.__name__ for function in graph.open]
            raise CycleError(
                f"pipeline {self.name} includes itself",
                expected="a pipeline whose description ends",
                received=" -> ".join([*names[graph.open.index(self.function) :], self.name]),
            )
        graph.open.append(self.function)
        try:
            return self.function(*args, **kwargs)
        finally:
            graph.open.pop()

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
        for name, value in node.configuration.items():
            if not isinstance(value, Value | Item):
                describe(value, name)
        imports = node.imports
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
                next=f"pip install {_requirement(module)}",
            )


def _requirement(module: str) -> str:
    """Return what to install for a module: our extra where there is one of its name."""
    from importlib import metadata

    try:
        extras = metadata.metadata("headrace").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        extras = []
    return f"'headrace[{module}]'" if module in extras else module.replace("_", "-")


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

    own = inspect.signature(Pipeline.run).parameters.values()
    reserved = [parameter.name for parameter in own if parameter.kind is parameter.KEYWORD_ONLY]
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PipelineError(
                f"pipeline {function.__name__} takes any number of parameters",
                expected="named parameters with types: they are the run's, on the command line too",
                received=str(parameter),
                at=definition(function),
            )
        if name in reserved:
            raise PipelineError(
                f'"{name}" cannot be a parameter of pipeline {function.__name__}',
                expected=f"another name; run() itself takes {', '.join(reserved)}",
                received=str(parameter),
                at=definition(function),
            )
    if timezone != "UTC" and timezone not in zoneinfo.available_timezones():
        close = difflib.get_close_matches(timezone, zoneinfo.available_timezones(), n=1)
        raise PipelineError(
            f'"{timezone}" is no time zone',
            expected='an IANA name such as "America/Chicago"',
            received=f"timezone={timezone!r} of pipeline {function.__name__}",
            at=definition(function),
            next=f'did you mean "{close[0]}"?' if close else None,
        )
    if schedule is not None and len(schedule.split()) != 5:
        raise PipelineError(
            f'"{schedule}" is no schedule',
            expected='five fields, minute hour day month weekday, such as "0 3 * * *"',
            received=f"schedule={schedule!r} of pipeline {function.__name__}",
            at=definition(function),
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
        path = project / "pipelines" / f"{file}.py"
    if not path.is_file():
        raise _no_file(where, project)
    found = pipelines_in(import_file(path.resolve(), project))
    wanted = name or path.stem
    if wanted in found:
        return found[wanted]
    if len(found) == 1 and not name:
        return next(iter(found.values()))
    how_many = f"{len(found)} pipelines, none of them called {wanted}" if found else "no pipeline"
    close = difflib.get_close_matches(wanted, found, n=1)
    raise PipelineError(
        f'{file} holds no pipeline "{name}"' if name else f"{file} holds {how_many}",
        expected=" or ".join(found) or "a function marked with @pipeline",
        received=where,
        at="",
        next=f"did you mean {file}:{close[0]}?" if close else None,
    )


def _no_file(where: str, project: Path) -> PipelineError:
    known = [path.stem for path in _files(project)]
    close = difflib.get_close_matches(where, known, n=1)
    return PipelineError(
        f"there is no pipeline file {where}",
        expected="a Python file with a @pipeline function" + "".join(f", or {name}" for name in known),
        received=where,
        at="",
        next=f"did you mean {close[0]}?" if close else "headrace list",
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
    except (Exception, SystemExit) as error:  # whatever a user's module raises while it is imported
        raise _own_error(error, f"while importing {path.name}") from error
    if Path(str(module.__file__)).resolve() != path.resolve():
        raise PipelineError(
            f"{path.name} is hidden by another module called {module.__name__}",
            expected=f"{path}",
            received=str(module.__file__),
            at="",
            next=f"rename {path.name}, or the folder it lies in",
        )
    return module


def _own_error(error: BaseException, when: str) -> PipelineError:
    """Return an error of the user's own lines as one of the pipeline: their exception comes first."""
    from orchestration.failure import user_failure

    failure = user_failure(error)
    return PipelineError(failure.headline, received=when, at=failure.at)


def discover(project: Path) -> Iterator[Pipeline]:
    """Yield the pipelines of ``pipelines/*.py`` below a project's root, by file."""
    for path in _files(project):
        yield from pipelines_in(import_file(path.resolve(), project)).values()


def _files(project: Path) -> list[Path]:
    found = sorted((project / "pipelines").glob("*.py"))
    return [path for path in found if "@pipeline" in path.read_text(encoding="utf-8")]


def parameter_types(found: Pipeline) -> dict[str, Any]:
    """Return a pipeline's parameter annotations by name."""
    hints = typing.get_type_hints(found.function)
    return {name: hints.get(name, str) for name in found.parameters}
