"""Values held against their annotations: run parameters from the command line, configuration in calls."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from orchestration.description import describe
from orchestration.errors import ArgumentError
from orchestration.external import External


def check_value(value: Any, annotation: Any, name: str, at: str | None = None, *, text: bool = False) -> Any:
    """Return ``value`` as the annotation wants it.

    Args:
        value: What was given.
        annotation: What is wanted: any type msgspec knows, a class, or a callable.
        name: How the error names the place.
        at: The user's line, for the error.
        text: Whether ``value`` is text from a command line, to be converted ("5" to 5).

    Raises:
        ArgumentError: It does not fit.
    """
    if annotation is Any or annotation is inspect.Parameter.empty:
        return value
    if isinstance(annotation, type) and issubclass(annotation, External):
        annotation, wrap = str, annotation
    else:
        wrap = None
    try:
        converted = _convert(value, annotation, text)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} has the wrong type",
            expected=_shown(annotation) + (", as JSON" if text and _has_structure(annotation) else ""),
            received=f"{type(value).__name__} {value!r}"[:200],
            at=at,
        ) from error
    return wrap(converted) if wrap is not None else converted


def _convert(value: Any, annotation: Any, text: bool) -> Any:
    import msgspec

    kinds = _alternatives(annotation)
    if any(_is_callable_kind(kind) for kind in kinds):
        if callable(value) or (value is None and type(None) in kinds):
            return value
        raise TypeError("not callable")
    if any(isinstance(kind, type) and not _is_plain(kind) and isinstance(value, kind) for kind in kinds):
        return value
    if text and isinstance(value, str) and _has_structure(annotation):
        value = msgspec.json.decode(value)
    return msgspec.convert(value, annotation, strict=not text, dec_hook=_decode)


def _decode(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise TypeError(f"not a {kind.__name__}")


def stored(value: Any, name: str) -> Any:
    """Return a run parameter as JSON, from which ``bind_parameters`` makes it again when a run is resumed.

    Raises:
        ArgumentError: The value cannot be written down.
    """
    import msgspec

    try:
        return msgspec.to_builtins(value, enc_hook=_encode)
    except TypeError:  # a function, for one: good for the record, but not for a resume
        return describe(value, name)


def _encode(value: Any) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"not JSON: {value!r}")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    import types

    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _is_callable_kind(kind: Any) -> bool:
    return kind is Callable or typing.get_origin(kind) is Callable


def _is_plain(kind: type) -> bool:
    return kind in (str, int, float, bool, bytes, list, dict, tuple, set, frozenset, type(None))


def _has_structure(annotation: Any) -> bool:
    return any(_is_structure(kind) for kind in _alternatives(annotation))


def _is_structure(kind: Any) -> bool:
    return (typing.get_origin(kind) or kind) in (list, dict, tuple, set) or dataclasses.is_dataclass(kind)


def _shown(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(str(choice.value) for choice in annotation)
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def bind_parameters(
    function: Callable[..., Any], given: Mapping[str, Any], *, text: bool = False
) -> dict[str, Any]:
    """Return a pipeline's parameters by name, defaults included, all checked.

    Args:
        function: The pipeline function.
        given: Values by parameter name.
        text: Whether the values come from a command line.

    Raises:
        ArgumentError: A parameter is unknown, missing, or of the wrong type.
    """
    import difflib

    signature = inspect.signature(function)
    at = "" if text else None  # a command line is no place in a file
    hints = typing.get_type_hints(function)
    for name in given:
        if name not in signature.parameters:
            close = difflib.get_close_matches(name, signature.parameters, n=1)
            raise ArgumentError(
                f'pipeline {function.__name__} has no parameter "{name}"',
                expected=", ".join(signature.parameters) or "no parameter",
                received=f"{name}={given[name]!r}",
                at=at,
                next=f"did you mean --{close[0].replace('_', '-')}?" if close else None,
            )
    bound: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if name in given:
            label = f'parameter "{name}" of pipeline {function.__name__}'
            bound[name] = check_value(given[name], hints.get(name, Any), label, at, text=text)
        elif parameter.default is parameter.empty:
            raise ArgumentError(
                f'pipeline {function.__name__} needs its parameter "{name}"',
                expected=f"--{name.replace('_', '-')} {_shown(hints.get(name, str)).upper()}",
                received="nothing",
                at=at,
            )
        else:
            bound[name] = parameter.default
    return bound
