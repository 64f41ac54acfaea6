"""``@pipeline``: a function whose parameters are a run's parameters and whose calls are its graph."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from orchestration.errors import HeadraceError, PipelineError, definition, did_you_mean, user_line
from orchestration.failure import user_failure
from orchestration.graph import Graph, building
from orchestration.parameters import bind, check_value, signature_of

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
        if schedule is not None:
            from orchestration.schedule import ScheduledPipeline

            ScheduledPipeline(self.name, str(self.file), schedule, timezone)  # refuses what is no schedule

    @property
    def description(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def file(self) -> Path:
        """The file the pipeline is written in."""
        return Path(inspect.unwrap(self.function).__code__.co_filename)

    @functools.cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The run's parameters by name, with types and defaults.

        Raises:
            PipelineError: A parameter is variadic or has a name that :meth:`run` needs itself.
        """
        return self._signature.parameters

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        signature = signature_of(self.function, f"pipeline {self.name}")
        own = inspect.getfullargspec(Pipeline.run).kwonlyargs
        for name in signature.parameters.keys() & own:
            raise PipelineError(
                f'"{name}" cannot be a parameter of pipeline {self.name}',
                expected=f"another name; run() itself takes {', '.join(own)}",
                received=str(signature.parameters[name]),
                at=definition(self.function),
            )
        return signature

    def bind(self, given: Mapping[str, Any], *, text: bool = False) -> dict[str, Any]:
        """Return all parameters, checked; ``text`` converts values from a command line.

        Raises:
            ArgumentError: A parameter is unknown, missing or of the wrong type.
        """
        what, at = f"pipeline {self.name}", "" if text else None
        bound = bind(what, self._signature, given, text=text)
        for name, value in given.items():
            label = f'parameter "{name}" of {what}'
            bound[name] = check_value(value, self.parameters[name].annotation, label, at, text=text)
        return bound

    def graph(self, parameters: Mapping[str, Any]) -> Graph:
        """Evaluate the function and return its checked graph.

        Raises:
            PipelineError: The graph is wrong; names the user's line.
        """
        graph = Graph()
        with _users_code(f"while describing pipeline {self.name}"):
            graph.describe(functools.partial(self, **parameters))
        if not graph.nodes:
            at, wanted = definition(self.function), "at least one component call"
            raise PipelineError(f"pipeline {self.name} has no node", expected=wanted, at=at)
        graph.sorted()  # finds cycles
        return graph

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add the pipeline's nodes to the one that is being described."""
        if building() is None:
            headline = f"pipeline {self.name} is called like a plain function"
            raise PipelineError(headline, expected=f"{self.name}.run(…)", received=f"{self.name}(…)")
        return self.function(*args, **kwargs)

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
        ConfigurationError: The schedule is no cron expression, or the time zone is unknown.
    """
    made = functools.partial(Pipeline, schedule=schedule, timezone=timezone)
    return made if function is None else made(function)


@contextmanager
def _users_code(when: str) -> Iterator[None]:
    """Turn what the user's own lines raise into an error of the pipeline: their exception comes first."""
    try:
        yield
    except HeadraceError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's module or function raises
        at = user_line(error.__traceback__) or ""
        raise PipelineError(user_failure(error)["reason"], received=when, at=at) from error


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
    with _users_code(f"while importing {path.name}"):
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


def parameter_types(found: Pipeline) -> dict[str, Any]:
    """Return a pipeline's parameter annotations by name."""
    return {name: str if p.annotation is p.empty else p.annotation for name, p in found.parameters.items()}
