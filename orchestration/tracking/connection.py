"""MLflow's store: how it is opened, and which of its errors are worth another try."""

from __future__ import annotations

import gc
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.tracking.values import model_name

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

_SQLITE = "sqlite:///"
_FINAL_CODES = ("BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST")
_DOUBTFUL_CODES = ("ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "INTERNAL_ERROR", "NOT_IMPLEMENTED")
_FINAL_ERRORS = (AttributeError, LookupError, TypeError, ValueError)


def connect(settings: Settings) -> MlflowClient:
    """Import MLflow and open its store: 1.0 CPU-s, 0.6 more where a database must be made."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name, level in _LOGGERS.items():
        logging.getLogger(name).setLevel(level)
    uri = settings.tracking_uri
    gc.disable()  # a fifth of the time would go into collections that find nothing
    try:
        from mlflow import MlflowClient

        make_whole(uri)
        return MlflowClient(uri, uri)
    finally:
        gc.enable()


def make_whole(uri: str) -> None:
    """Make the SQLite database of a tracking URI where there is none; leave anything else alone.

    MLflow builds its tables in dozens of steps and cannot go on where it was killed between two:
    the file is built beside its place and moved there when it is complete.
    """
    path = Path(uri.removeprefix(_SQLITE))
    if not uri.startswith(_SQLITE) or path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    MlflowClient(f"{_SQLITE}{partial}", f"{_SQLITE}{partial}")
    with suppress(FileExistsError):  # another process was quicker; its database is as good
        path.hardlink_to(partial)
    partial.unlink()


def artifact_root(settings: Settings, experiment: str) -> str | None:
    """Return where a new experiment keeps its files; None where a server decides."""
    if settings.tracking_uri.startswith(("http://", "https://", "databricks")):
        return None
    # A store without a server would take the working directory.
    root, folder = settings.tracking_artifacts.rstrip("/"), model_name(experiment)
    return f"{root}/{folder}" if "://" in root else (Path(root) / folder).absolute().as_uri()


def is_final(error: Exception) -> bool:
    """Tell whether a later try cannot help: MLflow refuses what it is told, or that is malformed."""
    if code := getattr(error, "error_code", None):
        return code in _FINAL_CODES
    # Other errors of files and all of the network are OSErrors, and some of them ValueErrors as well.
    final = isinstance(error, _FINAL_ERRORS) and not isinstance(error, OSError)
    return final or isinstance(error, FileNotFoundError)


def is_doubtful(error: Exception) -> bool:
    """Tell whether a living server gave an answer that may be about what it was told."""
    from mlflow.exceptions import RestException

    return isinstance(error, RestException) and error.error_code in _DOUBTFUL_CODES
