"""The code a result depends on: the modules of a function, or the cells of a notebook."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import json
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any

from orchestration.description import describe
from orchestration.errors import ArgumentError

_IMPORT = re.compile(
    r"^[ \t]*(?:from\s+([.\w]+)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+([^\n]+))", re.MULTILINE
)
_FOREIGN = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
# The runtime itself changes no result; the components' code does, wherever it is installed.
_NEVER, _ALWAYS = {"orchestration"}, {"components"}


def code_closure(function: Callable[..., Any]) -> dict[str, str]:
    """Return the digests of the module that defines a function and of the project modules it imports.

    "Project" is what lies neither in the standard library nor in site-packages; our own
    ``components`` always count. What is typed into a notebook counts by its own source and by
    that of whatever it uses from other cells.
    """
    function = inspect.unwrap(getattr(function, "function", function))
    module = getattr(function, "__module__", "") or ""
    main = sys.modules["__main__"]
    if module == "__main__" and not getattr(main, "__file__", None):
        return _typed_closure(function, vars(main))
    file = str(main.__file__) if module == "__main__" else _module_file(module)
    return _closure_from({module: file}) if file else {}


def code_in(value: Any) -> Iterator[Callable[..., Any]]:
    """Yield the functions and classes a configuration value is made of."""
    if inspect.isroutine(value) or isinstance(value, type):
        yield value
    elif isinstance(value, functools.partial):
        yield from code_in((value.func, value.args, value.keywords))
    elif isinstance(value, Mapping):
        yield from code_in(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from code_in(item)
    elif dataclasses.is_dataclass(value):
        yield type(value)
        yield from code_in([getattr(value, field.name) for field in dataclasses.fields(value)])


def _typed_closure(function: Callable[..., Any], cells: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of a function of a notebook and of all it uses from the notebook's namespace."""
    digests: dict[str, str] = {}
    waiting: list[tuple[str, Any]] = [(function.__name__, function)]
    while waiting:
        name, found = waiting.pop()
        found = inspect.unwrap(getattr(found, "function", found))
        label = f"__main__.{name}"
        if label in digests:
            continue
        if inspect.ismodule(found):
            file = _module_file(found.__name__)
            digests.update(_closure_from({found.__name__: file}) if file else {})
        elif not (inspect.isroutine(found) or isinstance(found, type)):
            with suppress(ArgumentError):  # without a stable description there is nothing to compare
                digests[label] = _digest(json.dumps(describe(found, name), sort_keys=True))
        elif found.__module__ != "__main__":
            digests.update(code_closure(found))
        else:
            digests[label] = _digest(_text_of(found))
            used = {n for code in _codes(found) for n in code.co_names if n in cells}
            waiting += [(n, cells[n]) for n in sorted(used)]
    return digests


def _text_of(found: Any) -> str:
    try:
        return inspect.getsource(found)
    except (OSError, TypeError):  # typed at a prompt that keeps no source
        return repr([(code.co_code, code.co_names, code.co_varnames) for code in _codes(found)])


def _codes(found: Any) -> Iterator[CodeType]:
    """Yield the code of a function or of a class's methods, with the functions nested in it."""
    members = vars(found).values() if isinstance(found, type) else [found]
    waiting = [inspect.unwrap(m).__code__ for m in members if inspect.isfunction(m)]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _closure_from(start: dict[str, str]) -> dict[str, str]:
    waiting, digests = dict(start), {}
    while waiting:
        module, file = waiting.popitem()
        if module in digests:
            continue
        digest, imported = _source(file, Path(file).stat().st_mtime_ns, module)
        digests[module] = digest
        waiting.update({name: found for name in imported if (found := _module_file(name))})
    return dict(sorted(digests.items()))


@functools.cache
def _source(file: str, _mtime: int, module: str) -> tuple[str, tuple[str, ...]]:
    text = Path(file).read_text(encoding="utf-8")
    digest = _digest(text)
    package_init = file.endswith("__init__.py")
    if package_init and module in _ALWAYS:
        return digest, ()  # the list of all components: following it would join them all
    package = module if package_init else module.rpartition(".")[0]
    return digest, tuple(dict.fromkeys(_imported(text, package)))


def _imported(text: str, package: str) -> list[str]:
    names = []
    for origin, members, plain in _IMPORT.findall(text):
        if plain:
            names += [part.split(" as ")[0].strip() for part in plain.split("#")[0].split(",")]
            continue
        base = _absolute(origin, package)
        listed = re.sub(r"#[^\n]*", "", members).strip("() \n").split(",")
        inner = [f"{base}.{part.split(' as ')[0].strip()}" for part in listed if part.strip()]
        submodules = [name for name in inner if _module_file(name)]
        names += submodules if submodules and len(submodules) == len(inner) else [base, *submodules]
    return names


def _absolute(origin: str, package: str) -> str:
    dots = len(origin) - len(origin.lstrip("."))
    if not dots:
        return origin
    parent = package.split(".")[: len(package.split(".")) - dots + 1]
    return ".".join([*parent, *([origin[dots:]] if origin[dots:] else [])])


@functools.cache
def _module_file(module: str) -> str | None:
    """Return a project module's source file without importing it."""
    top, *rest = module.split(".")
    root = _package_root(top)
    if root is None:
        return None
    path = root
    for part in rest:
        path = path / part
    if not rest and root.suffix == ".py":
        return str(root)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return str(candidate)
    return None


@functools.cache
def _package_root(top: str) -> Path | None:
    if top in _NEVER or top in sys.stdlib_module_names:
        return None
    spec = None
    with suppress(ValueError):  # a module made by hand has no spec
        spec = importlib.util.find_spec(top)  # an editable install is found by a finder of its own
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        return None
    places = list(spec.submodule_search_locations or [])
    place = Path(places[0] if places else str(spec.origin)).resolve()
    if top not in _ALWAYS and str(place).startswith(_FOREIGN):
        return None
    return place
