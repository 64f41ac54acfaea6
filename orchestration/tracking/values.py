"""What MLflow accepts: names, lengths and states."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from orchestration.secrets import redact

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Param, RunTag

    from orchestration.records import Measured, Output

PARAMETER_LENGTH = 6_000
TAG_LENGTH = 8_000
NAME_LENGTH = 250
DIGEST_LENGTH = 36

# MLflow has no word for "did not run to its end", so the rest is KILLED: the tag headrace.state tells more.
STATUS = {"SUCCEEDED": "FINISHED", "CACHED": "FINISHED", "FAILED": "FAILED"}

_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]", re.ASCII)
_NOT_IN_MODEL_NAMES = re.compile(r"[/:.%\"']")


def entity_name(name: str) -> str:
    """Return a name MLflow accepts for a parameter, metric or tag.

    A name that has to change gets a short digest of the original, so that two stay two.
    """
    clean = _NOT_IN_NAMES.sub("_", name).strip("/.")
    # MLflow takes names for paths: "a//b" and "a/../b" are refused.
    clean = "/".join(part for part in clean.split("/") if part not in ("", ".", ".."))
    if clean and clean == name and len(clean) <= NAME_LENGTH:
        return clean
    return f"{clean[: NAME_LENGTH - 9]}-{sha256(name.encode()).hexdigest()[:8]}"


def model_name(name: str) -> str:
    """Return a name MLflow accepts for a logged or registered model."""
    return _NOT_IN_MODEL_NAMES.sub("_", name)[:NAME_LENGTH].strip() or "model"


def shortened(text: str, limit: int) -> str:
    """Return ``text`` with at most ``limit`` characters; a cut says so, with the whole length."""
    if len(text) <= limit:
        return text
    mark = f" … ({len(text):,} characters)"
    return text[: limit - len(mark)] + mark


def texts(values: Mapping[str, Any], limit: int = TAG_LENGTH) -> dict[str, str]:
    """Return parameters or tags as texts with names MLflow accepts; lists and tables become JSON."""
    return {entity_name(name): shortened(_text(value), limit) for name, value in values.items()}


def tags(given: Mapping[str, Any]) -> list[RunTag]:
    """Return tags as MLflow's own."""
    from mlflow.entities import RunTag

    return [RunTag(*pair) for pair in texts(given).items()]


def params(given: Mapping[str, Any]) -> list[Param]:
    """Return parameters as MLflow's own."""
    from mlflow.entities import Param

    return [Param(*pair) for pair in texts(given, PARAMETER_LENGTH).items()]


def metrics(measured: Iterable[Measured]) -> list[Metric]:
    """Return what was measured as MLflow's own, secrets masked."""
    from mlflow.entities import Metric

    return [Metric(entity_name(redact(name)), value, at, step) for name, value, at, step in measured]


def _text(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return str(value)


def dataset(artifact: Output, name: str) -> DatasetInput:
    """Return MLflow's record of a dataset: the artifact's place, digest and facts, under ``name``."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    uri, name = artifact.uri, shortened(name, NAME_LENGTH)
    made = Dataset(
        name=name,
        digest=artifact.digest[:DIGEST_LENGTH],
        source_type=uri.partition("://")[0] if "://" in uri else "local",
        source=_text({"uri": uri, "digest": artifact.digest}),
        profile=_text(artifact.metadata),
    )
    return DatasetInput(made, [InputTag("mlflow.data.context", name)])
