"""Configuration values as canonical JSON: equal values give equal descriptions, in every process."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from orchestration.errors import ArgumentError


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
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _collection(value, name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: describe(getattr(value, f.name), name) for f in dataclasses.fields(value)}
        return {"type": type(value).__qualname__, **fields}
    if isinstance(value, functools.partial):
        parts = {"partial": value.func, "args": value.args, "keywords": value.keywords}
        return {key: describe(part, name) for key, part in parts.items()}
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


def _collection(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        described = {str(key): describe(item, name) for key, item in value.items()}
        return dict(sorted(described.items()))
    described_items = [describe(item, name) for item in value]
    return sorted(described_items, key=json.dumps) if isinstance(value, set | frozenset) else described_items


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
