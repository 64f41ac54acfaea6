"""What MLflow accepts: names, lengths and states. Nothing here imports MLflow."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

PARAMETERS_PER_CALL = 100
TAGS_PER_CALL = 100
METRICS_PER_CALL = 500
PARAMETER_LENGTH = 6_000
TAG_LENGTH = 8_000
NAME_LENGTH = 250
DATASET_NAME_LENGTH = 500
DATASET_DIGEST_LENGTH = 36
DATASET_PROFILE_LENGTH = 1_000_000
EXPERIMENT_NAME_LENGTH = 500
INPUT_TAG_LENGTH = 500

STATUS = {
    "RUNNING": "RUNNING",
    "SUCCEEDED": "FINISHED",
    "CACHED": "FINISHED",
    "FAILED": "FAILED",
    # MLflow has no word for "did not run to its end": the tag headrace.state tells which it was.
    "SKIPPED": "KILLED",
    "INTERRUPTED": "KILLED",
}

_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]", re.ASCII)
_NOT_IN_MODEL_NAMES = re.compile(r"[/:.%\"']")


class RefusedError(Exception):
    """An event that can never be delivered: MLflow refuses what it says."""


def entity_name(name: str) -> str:
    """Return a name MLflow accepts for a parameter, metric or tag.

    A name that has to change gets a short digest of the original, so that two stay two.
    """
    clean = _NOT_IN_NAMES.sub("_", name).strip("/.")
    # MLflow takes names for paths: "a//b" and "a/../b" are refused.
    clean = "/".join(part for part in clean.split("/") if part not in ("", ".", ".."))
    if clean and clean == name and len(clean) <= NAME_LENGTH:
        return clean
    return f"{clean[: NAME_LENGTH - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def model_name(name: str) -> str:
    """Return a name MLflow accepts for a logged or registered model."""
    return _NOT_IN_MODEL_NAMES.sub("_", name)[:NAME_LENGTH].strip() or "model"


def text_of(value: object) -> str:
    """Return a value as the text a person reads: JSON for lists and tables, ``str`` for the rest."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return str(value)


def shortened(text: str, limit: int) -> str:
    """Return ``text`` with at most ``limit`` characters; a cut says so, with the whole length."""
    if len(text) <= limit:
        return text
    mark = f" … ({len(text):,} characters)"
    return text[: limit - len(mark)] + mark


def parameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Return run parameters with names and lengths that MLflow accepts."""
    return {entity_name(name): shortened(text_of(value), PARAMETER_LENGTH) for name, value in values.items()}


def tags(values: Mapping[str, Any]) -> dict[str, str]:
    """Return tags with names and lengths that MLflow accepts; None is left out."""
    return {
        entity_name(name): shortened(text_of(value), TAG_LENGTH)
        for name, value in values.items()
        if value is not None
    }
