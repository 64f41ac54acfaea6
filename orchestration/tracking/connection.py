"""The connection to MLflow: how it is opened, and which of its errors are worth another try."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.tracking.database import make_whole
from orchestration.tracking.values import RefusedError, model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from orchestration.settings import Settings

# Retries are ours, in order; the client's own would hold the queue for minutes. What the user has
# set stays as it is.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

# Nothing may spoil the output of a run; what goes wrong is told by the feeder.
_LOGGERS = {"alembic": logging.WARNING, "mlflow.store": logging.CRITICAL, "mlflow.utils": logging.CRITICAL}

_FINAL_CODES = {
    "ALREADY_EXISTS",
    "BAD_REQUEST",
    "FEATURE_DISABLED",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "NOT_IMPLEMENTED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
}
# Answers of a server that is up: its fault or the event's, nobody can tell.
_DOUBTFUL_CODES = {"INTERNAL_ERROR", "ENDPOINT_NOT_FOUND"}


def connect(settings: Settings) -> MlflowClient:
    """Import MLflow and open its store: 1.0 CPU-s, 0.6 more where a database must be made."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    collecting = gc.isenabled()
    gc.disable()  # a third of the time would go into collections that find nothing
    try:
        from mlflow import MlflowClient

        for name, level in _LOGGERS.items():
            logging.getLogger(name).setLevel(level)
        uri = settings.tracking_uri
        make_whole(uri)
        return MlflowClient(uri, uri)
    finally:
        if collecting:
            gc.enable()


def artifact_root(settings: Settings, experiment: str) -> str | None:
    """Return where a new experiment keeps its files; None where a server decides."""
    if settings.tracking_uri.startswith(("http://", "https://", "databricks")):
        return None
    # A store without a server would take the working directory.
    root, folder = settings.tracking_artifacts.rstrip("/"), model_name(experiment)
    return f"{root}/{folder}" if "://" in root else (Path(root) / folder).absolute().as_uri()


def is_final(error: Exception) -> bool:
    """Tell whether a later try cannot help: the event says what MLflow refuses."""
    code = getattr(error, "error_code", None)
    if isinstance(error, RefusedError) or code is not None:
        return code is None or code in _FINAL_CODES
    # A malformed event. Errors of the network are OSErrors, and some of them ValueErrors as well.
    malformed = isinstance(error, TypeError | LookupError | ValueError | AttributeError)
    return malformed and not isinstance(error, OSError)


def is_doubtful(error: Exception) -> bool:
    """Tell whether a living server gave an answer that may be about the event itself."""
    from mlflow.exceptions import RestException

    return isinstance(error, RestException) and error.error_code in _DOUBTFUL_CODES


class Steps:
    """Does one thing after the other; what MLflow refuses does not keep the rest from being told."""

    def __init__(self) -> None:
        self._refused: list[Exception] = []

    def __call__(self, step: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Do one thing."""
        try:
            step(*args, **kwargs)
        except Exception as error:
            if not is_final(error):
                raise
            self._refused.append(error)

    def end(self) -> None:
        """Tell what was refused.

        Raises:
            RefusedError: Something was.
        """
        if self._refused:
            raise RefusedError("; ".join(str(error) for error in self._refused)) from self._refused[0]
