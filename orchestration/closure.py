"""What a result depends on besides its inputs: the code of functions, and configuration values."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import functools
import hashlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path, PurePath
from types import CodeType
from typing import Any
from uuid import UUID

from orchestration.errors import ArgumentError, is_library

_IMPORT = re.compile(r"^[ \t]*((?:from\s+[.\w]+\s+)?import\s+(?:\([^)]*\)|[^\n]*))", re.MULTILINE)


def code_closure(function: Any) -> dict[str, str]:
    """Return the digests of the module that defines a function and of the project modules it imports.

    "Project" is what lies neither in the standard library nor in site-packages; our own
    ``components`` always count. What is typed into a notebook counts by its own source and by
    that of whatever it uses from other cells.
    """
    function = _bare(function)
    main = sys.modules["__main__"]
    start = function.__name__ if inspect.ismodule(function) else function.__module__ or ""
    if start == "__main__" and main.__spec__:  # run with python -m
        start = main.__spec__.name
    if start == "__main__" and not getattr(main, "__file__", None):
        return _typed_closure(function, vars(main))
    waiting, digests = [start], dict[str, str]()
    while waiting:
        module = waiting.pop()
        file = main.__file__ if module == "__main__" else _file(module)
        if file and module not in digests:
            digests[module], imported = _source(file, Path(file).stat().st_mtime_ns, module)
            waiting += imported
    return dict(sorted(digests.items()))


def _bare(function: Any) -> Any:
    return inspect.unwrap(getattr(function, "function", function))


def _typed_closure(function: Any, cells: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a function of a notebook and of all it uses from the notebook's namespace."""
    digests: dict[str, str] = {}
    waiting = {function.__name__: function}
    while waiting:
        name, found = waiting.popitem()
        found, label = _bare(found), f"__main__.{name}"
        if label in digests:
            continue
        code = inspect.isfunction(found) or isinstance(found, type)
        if inspect.ismodule(found) or (code and found.__module__ != "__main__"):
            digests |= code_closure(found)
        elif inspect.isfunction(found):
            digests[label] = _digest(_text(found))
            waiting |= {used: cells[used] for used in _names(found.__code__) & cells.keys()}
        elif isinstance(found, type):
            digests[label] = _digest(found.__qualname__)
            own = {n: v for n, v in vars(found).items() if inspect.isfunction(v) or not n.startswith("__")}
            waiting |= {f"{name}.{member}": value for member, value in own.items()}
            waiting |= {base.__name__: base for base in found.__bases__}
        else:
            with suppress(ArgumentError):  # without a stable description there is nothing to compare
                digests[label] = _digest(json.dumps(describe(found), sort_keys=True))
    return digests


def _text(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # made by a decorator, or typed at a prompt that keeps no source
        code = function.__code__
        return repr((code.co_code, code.co_consts, code.co_names))


def _names(code: CodeType) -> set[str]:
    """Return the names a function takes from outside itself, with those of the functions nested in it."""
    nested = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*nested)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _source(file: str, _mtime: int, module: str) -> tuple[str, list[str]]:
    """Return a module's digest and the names of the modules it imports."""
    text = Path(file).read_text(encoding="utf-8")
    if module == "components":  # the list of all components: following it would join them all
        return _digest(text), []
    package = module if file.endswith("__init__.py") else module.rpartition(".")[0]
    return _digest(text), [name for found in _imports(text) for name in _imported(found, package)]


def _imports(text: str) -> list[Any]:
    try:
        return [statement for found in _IMPORT.findall(text) for statement in ast.parse(found).body]
    except SyntaxError:  # words in a docstring, a remark with a bracket: to read all is exact, and slow
        return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    names = [alias.name for alias in statement.names]
    if isinstance(statement, ast.Import):
        return names
    base = importlib.util.resolve_name("." * statement.level + (statement.module or ""), package)
    return [f"{base}.{name}" if _file(f"{base}.{name}") else base for name in names]


def _file(module: str) -> str | None:
    """Return a project module's source file without importing it."""
    spec = _spec(module)
    return spec.origin if spec and spec.origin and spec.origin.endswith(".py") else None


@functools.cache
def _spec(module: str) -> ModuleSpec | None:
    package, _, inner = module.rpartition(".")
    if inner != module:
        above = _spec(package)
        return above and PathFinder.find_spec(module, above.submodule_search_locations)
    if module == "orchestration" or module in sys.stdlib_module_names:  # the runtime changes no result
        return None
    with suppress(ValueError):  # a module made by hand has no spec
        spec = importlib.util.find_spec(module)  # an editable install is found by a finder of its own
        places = [*(spec.submodule_search_locations or []), spec.origin] if spec else []
        if places and (module == "components" or not is_library(str(Path(places[0] or "").resolve()))):
            return spec
    return None


def describe(value: Any, name: str = "value", code: list[Any] | None = None) -> Any:
    """Return a value as canonical JSON; equal values give equal descriptions.

    Plain data (no function) comes back from it when it is bound to its annotation again.

    Args:
        value: The value.
        name: How an error names it.
        code: Receives the functions and classes the value is made of.

    Raises:
        ArgumentError: The value has no stable description (an open file, a lambda, a module …).
    """
    code = [] if code is None else code
    inner = functools.partial(describe, name=name, code=code)
    if isinstance(value, Enum):
        return inner(value.value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | PurePath | Decimal | UUID):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if inspect.isroutine(value) or isinstance(value, type):
        code.append(value)
        return {"function": _importable_name(value, name)}
    if isinstance(value, functools.partial):
        value = {"partial": value.func, "args": value.args, "keywords": value.keywords}
    if dataclasses.is_dataclass(value):
        code.append(type(value))
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        value = {"type": type(value).__qualname__, **fields}
    if isinstance(value, Mapping):
        return {str(key): inner(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return list(map(inner, value))
    if isinstance(value, set | frozenset):
        return sorted(map(inner, value), key=json.dumps)
    raise ArgumentError(
        f'"{name}" cannot be part of a cache key',
        expected="numbers, text, lists, dictionaries, dataclasses, module-level functions",
        received=f"a {type(value).__module__}.{type(value).__qualname__}",
        next="pass what it is made from, and make it inside the component",
    )


def _importable_name(function: Any, name: str) -> str:
    """Return ``module:qualified_name`` of a function that a child process can import."""
    qualified, module = function.__qualname__, function.__module__ or "builtins"
    if "<lambda>" in qualified or "<locals>" in qualified:
        kind = "a lambda" if "<lambda>" in qualified else f"a function inside a function: {function.__name__}"
        raise ArgumentError(
            f'"{name}" must be a function other processes can import',
            expected=f"def {name}(…): at the top level of a module, passed by name",
            received=f"{kind}, in {module}",
            next=f"move it to the module's top level and pass {name}={name}",
        )
    return f"{module}:{qualified}"
