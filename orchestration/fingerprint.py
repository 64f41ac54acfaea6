"""Cache keys: what a node's result depends on, part by part, so that a change can be named."""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from orchestration.artifacts import Artifact
from orchestration.closure import code_closure, describe
from orchestration.component import Component
from orchestration.external import DigestFile, External

KeyParts = dict[str, dict[str, Any]]


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
    functions: list[Any] = [component.function]
    first = {name: artifacts[0] for name, artifacts in inputs.items() if artifacts}
    configured = {
        name: value.among(configuration).content_digest(first, digest_file)
        if isinstance(value, External)
        else describe(value, name, functions)
        for name, value in configuration.items()
    }
    return {
        "component": {"name": f"{component.__module__}.{component.name}"},
        "code": {module: digest for each in functions for module, digest in code_closure(each).items()},
        "configuration": configured,
        "inputs": {name: [a.digest for a in artifacts] for name, artifacts in inputs.items()},
        "environment": environment(component.imports(configuration)),
    }


def key_of(parts: KeyParts) -> str:
    """Return the SHA-256 of the parts' canonical JSON, as hex."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def environment(imports: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions that matter for a node: Python's, and of the packages it imports."""
    versions = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for item in imports:
        name, _, setting = item.partition("=")
        name = name.partition(".")[0]
        versions[name] = setting or _version(name)
    return versions


@functools.cache
def _version(module: str) -> str:
    try:
        return metadata.version(module.replace("_", "-"))
    except metadata.PackageNotFoundError:  # a distribution of another name, as scikit-learn is sklearn's
        names = metadata.packages_distributions().get(module, [])
        return ", ".join(metadata.version(name) for name in sorted(set(names))) or "unknown"
