"""``@pipeline``: a function whose parameters are a run's parameters and whose calls are its graph."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from orchestration.errors import HeadraceError, PipelineError, definition, user_line
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
    def file(self) -> Path:
        """The file the pipeline is written in."""
        return Path(inspect.unwrap(self.function).__code__.co_filename)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The run's parameters, with types and defaults.

        Raises:
            PipelineError: A parameter is variadic or has a name that :meth:`run` needs itself.
        """
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
        bound = bind(what, self.signature, given, text=text)
        for name, value in given.items():
            annotation, label = self.signature.parameters[name].annotation, f'parameter "{name}" of {what}'
            bound[name] = check_value(value, annotation, label, at, text=text)
        return bound

    def graph(self, parameters: Mapping[str, Any]) -> Graph:
        """Evaluate the function and return its checked graph.

        Raises:
            PipelineError: The graph is wrong; names the user's line.
        """
        graph = Graph()
        with users_code(f"while describing pipeline {self.name}"):
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
        from orchestration.settings import load, use

        settings = load(profile=profile)
        bound = self.bind(parameters)
        selected = self.graph(bound).select(start=start, to=to, only=only, skip=skip)
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
def users_code(when: str) -> Iterator[None]:
    """Turn what the user's own lines raise into an error of the pipeline: their exception comes first.

    Args:
        when: What was being done, for the error.

    Raises:
        PipelineError: Something was raised that is no error of Headrace already.
    """
    try:
        yield
    except HeadraceError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's module or function raises
        at = user_line(error.__traceback__) or ""
        raise PipelineError(user_failure(error)["reason"], received=when, at=at) from error
