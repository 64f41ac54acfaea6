"""Cache keys: what a node's result depends on, part by part, so that a change can be named."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.machinery
import inspect
import json
import os
import re
import sys
import sysconfig
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.component import Component
from orchestration.errors import ArgumentError
from orchestration.external import DigestFile, External

KeyParts = dict[str, dict[str, Any]]

_IMPORT = re.compile(r"^[ \t]*(?:from\s+([.\w]+)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+([^\n]+))", re.MULTILINE)
_FOREIGN = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
# The runtime itself changes no result; the components' code does, wherever it is installed.
_NEVER, _ALWAYS = {"orchestration"}, {"components"}


def key_parts(
    component: Component[Any],
    configuration: Mapping[str, Any],
    inputs: Mapping[str, list[Artifact]],
    digest_file: DigestFile,
) -> KeyParts:
    """Return everything a node's result depends on.

    Args:
        component: The component.
        configuration: Its configuration, run-time values resolved.
        inputs: Its published input artifacts by parameter.
        digest_file: Gives a file's SHA-256.

    Returns:
        Digests by part (component, code, configuration, inputs, environment) and name.
    """
    functions = [value for value in configuration.values() if inspect.isroutine(value)]
    code: dict[str, str] = {}
    for function in [component.function, *functions]:
        code.update(code_closure(function))
    first = {name: artifacts[0] for name, artifacts in inputs.items() if artifacts}
    configured = {
        name: value.content_digest(first, digest_file)
        if isinstance(value, External)
        else describe(value, name)
        for name, value in configuration.items()
    }
    return {
        "component": {"name": f"{component.__module__}.{component.name}"},
        "code": code,
        "configuration": configured,
        "inputs": {name: [a.digest for a in artifacts] for name, artifacts in inputs.items()},
        "environment": environment(component.imports(configuration)),
    }


def key_of(parts: KeyParts) -> str:
    """Return the SHA-256 of the parts' canonical JSON, as hex."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def differences(old: KeyParts, new: KeyParts) -> list[tuple[str, str, Any, Any]]:
    """Return ``(part, name, old, new)`` for every entry of the key that differs."""
    found = []
    for part in sorted({*old, *new}):
        before, now = old.get(part, {}), new.get(part, {})
        found += [
            (part, name, before.get(name), now.get(name))
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
    return found


def describe(value: Any, name: str = "value") -> Any:
    """Return a configuration value as canonical JSON; equal values give equal descriptions.

    Raises:
        ArgumentError: The value has no stable description (an open file, a lambda, a module …).
    """
    if value is None or isinstance(value, bool | int | float) or type(value) is str:
        return value
    if hasattr(value, "fingerprint"):
        return value.fingerprint()
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, Enum):
        return {"enum": f"{type(value).__qualname__}.{value.name}"}
    if isinstance(value, bytes):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, Mapping):
        return {
            str(key): describe(item, name) for key, item in sorted(value.items(), key=lambda kv: str(kv[0]))
        }
    if isinstance(value, list | tuple):
        return [describe(item, name) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(item, name) for item in value), key=json.dumps)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: describe(getattr(value, f.name), name) for f in dataclasses.fields(value)}
        return {"type": type(value).__qualname__, **fields}
    if isinstance(value, functools.partial):
        return {
            "partial": describe(value.func, name),
            "args": describe(value.args, name),
            "keywords": describe(value.keywords, name),
        }
    if inspect.isroutine(value) or isinstance(value, type):
        return {"function": importable_name(value, name)}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise ArgumentError(
        f'"{name}" cannot be part of a cache key',
        expected="numbers, text, lists, dictionaries, dataclasses, module-level functions",
        received=f"a {type(value).__module__}.{type(value).__qualname__}",
        next="pass what it is made from, and make it inside the component",
    )


def importable_name(function: Any, name: str) -> str:
    """Return ``module:qualified_name`` of a function that a child process can import.

    Raises:
        ArgumentError: It is a lambda or nested in another function.
    """
    qualified = getattr(function, "__qualname__", repr(function))
    module = getattr(function, "__module__", None) or "builtins"
    if "<lambda>" in qualified or "<locals>" in qualified:
        kind = "a lambda" if "<lambda>" in qualified else f"a function inside a function: {function.__name__}"
        raise ArgumentError(
            f'"{name}" must be a function other processes can import',
            expected=f"def {name}(…): at the top level of a module, passed by name",
            received=f"{kind}, in {module}",
            next=f"move it to the module's top level and pass {name}={name}",
        )
    return f"{module}:{qualified}"


def environment(imports: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions that matter for a node: Python's, and of the packages it imports."""
    from importlib import metadata

    versions = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for item in imports:
        name, _, setting = item.partition("=")
        if setting:
            versions[name] = setting
            continue
        package = name.split(".")[0]
        try:
            versions[package] = metadata.version(package.replace("_", "-"))
        except metadata.PackageNotFoundError:
            versions[package] = "unknown"
    return versions


def code_closure(function: Callable[..., Any]) -> dict[str, str]:
    """Return the digests of the module that defines a function and of the project modules it imports.

    "Project" is what lies neither in the standard library nor in site-packages; our own
    ``components`` always count. A function typed into a notebook counts by its own source.
    """
    function = inspect.unwrap(getattr(function, "function", function))
    module = getattr(function, "__module__", "") or ""
    if module == "__main__" and not getattr(sys.modules["__main__"], "__file__", None):
        source = inspect.getsource(function)
        return {f"__main__.{function.__qualname__}": hashlib.sha256(source.encode()).hexdigest()[:16]}
    if module == "__main__":
        file = str(sys.modules["__main__"].__file__)
        return _closure_from({module: file})
    found = _module_file(module)
    return _closure_from({module: found}) if found else {}


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
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
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
    spec = importlib.machinery.PathFinder.find_spec(top)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        return None
    places = list(spec.submodule_search_locations or [])
    place = Path(places[0] if places else str(spec.origin)).resolve()
    if top not in _ALWAYS and str(place).startswith(_FOREIGN):
        return None
    return place
