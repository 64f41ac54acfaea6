"""Typed signatures: what a component or a pipeline takes, and values held against it."""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from inspect import Signature
from pathlib import PurePath
from typing import Any

from orchestration.errors import ArgumentError, PipelineError, definition, did_you_mean, told


def signature_of(function: Callable[..., Any], what: str) -> Signature:
    """Return a function's signature, its annotations resolved.

    Args:
        function: The function.
        what: How errors name it.

    Raises:
        PipelineError: It takes any number of arguments, or an annotation names nothing.
    """
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as error:
        raise PipelineError(
            f"an annotation of {what} cannot be resolved: {error}",
            expected="names imported at the module's top level (not under TYPE_CHECKING)",
            at=definition(function),
        ) from error
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PipelineError(
                f"{what} takes any number of arguments",
                expected=f"named parameters with types; several of one type as {parameter.name}: list[…]",
                received=str(parameter),
                at=definition(function),
            )
    return signature


def bind(
    what: str, signature: Signature, named: Mapping[str, Any], positional: Any = (), *, text: bool = False
) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included; ``text`` says it is a command line.

    Raises:
        ArgumentError: An argument is missing, unknown or given twice.
    """
    try:
        bound = signature.bind(*positional, **named)
    except TypeError as error:
        unknown = next((name for name in named if name not in signature.parameters), "")
        prefix = "--" if text else ""
        received = [f"{len(positional)} by position"] if positional else []
        raise ArgumentError(
            f'{what} has no parameter "{unknown}"' if unknown else f"{what}: {error}",
            expected=", ".join(prefix + _usage(p) for p in signature.parameters.values()) or "no parameter",
            received=unknown or ", ".join([*received, *(prefix + name for name in named)]) or "nothing",
            at="" if text else None,  # a command line is no place in a file
            next=did_you_mean(unknown, signature.parameters, "--{}" if text else "{}=…"),
        ) from error
    bound.apply_defaults()
    return dict(bound.arguments)


def _usage(parameter: inspect.Parameter) -> str:
    usage = f"{parameter.name}: {shown(parameter.annotation)}"
    return usage if parameter.default is parameter.empty else f"{usage} = …"


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
    import msgspec

    classes = tuple(kind for kind in alternatives(annotation) if isinstance(kind, type) and kind is not Any)
    fits = isinstance(value, classes) and not isinstance(value, bool)  # a truth is no number
    if fits or annotation in (Any, inspect.Parameter.empty):
        return value
    convert = functools.partial(msgspec.convert, type=annotation, strict=not text, dec_hook=_decode)
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        if text:
            with suppress(TypeError, ValueError):
                return convert(msgspec.json.decode(value))
        wanted = shown(annotation) + (", as JSON" if text and typing.get_origin(annotation) else "")
        headline = f"{name} has the wrong type"
        raise ArgumentError(headline, expected=wanted, received=told(value), at=at) from error


def _decode(kind: Any, value: Any) -> Any:
    """Return a value as a type that msgspec does not know: a callable, a path, a name, any class."""
    known = typing.get_origin(kind) or kind
    if isinstance(value, str) and issubclass(known, str | PurePath):
        return known(value)
    if isinstance(value, known):
        return value
    raise TypeError(f"not a {kind}")


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation alone."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def shown(annotation: Any) -> str:
    """Return an annotation as an error names it: a class by its name, an enum by its choices."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(str(choice.value) for choice in annotation)
    if isinstance(annotation, type):
        return annotation.__name__
    return re.sub(r"[\w.]+\.(\w+)", r"\1", str(annotation))
