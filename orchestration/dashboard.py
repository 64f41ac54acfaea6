"""MLflow's dashboard on the store of a profile, in one process."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from typing import TYPE_CHECKING, Any

from orchestration.errors import ConfigurationError, HeadraceError
from orchestration.secrets import redact
from orchestration.settings import OFF, Settings
from orchestration.tracking.connection import make_whole

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# MLflow opens its pages for language models by default.
PAGE = "/#/experiments?workflowType=machine_learning"

_SERVER_ENVIRONMENT = {
    # Without jobs it is one process of about 250 MB, not nine of 2 GB.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}


def ui(settings: Settings, host: str = "127.0.0.1", port: int = 5000) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM, and print its address first.

    A tracking server that runs elsewhere has a dashboard of its own: then only its address is printed.

    Args:
        settings: Tells the tracking store.
        host: Address to listen on. MLflow asks nobody for a password: keep it on this machine, or
            put it behind something that does.
        port: Port to listen on; 0 for any free one.

    Raises:
        ConfigurationError: The profile has no tracking.
        HeadraceError: The port is taken.
    """
    if settings.tracking == OFF:
        raise ConfigurationError(
            "this profile has no tracking, so there is no dashboard",
            expected="a tracking store",
            received=f'tracking = "{OFF}" in profile {settings.profile}',
            at="",
            next="headrace ui --profile local",
        )
    uri = settings.tracking_uri
    if uri.startswith(("http://", "https://")):
        _say(f"MLflow runs at {redact(uri.rstrip('/'))}{PAGE}")
        return
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    _say(f"MLflow dashboard at http://{shown}:{listening.getsockname()[1]}{PAGE}\nCtrl-C ends it")
    _serve(application(settings), listening)


def application(settings: Settings) -> ASGIApp:
    """Return MLflow's own application on the profile's store, to serve or to mount."""
    os.environ.update(server_environment(settings))
    os.environ.update({name: os.environ.get(name, value) for name, value in _SERVER_ENVIRONMENT.items()})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "starlette.middleware.wsgi")  # MLflow's own matter
        from mlflow.server.fastapi_app import create_fastapi_app

    make_whole(settings.tracking_uri)
    app: ASGIApp = create_fastapi_app()
    return app


def server_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that tell MLflow's server its stores."""
    uri = settings.tracking_uri
    return {
        "_MLFLOW_SERVER_FILE_STORE": uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings.tracking_artifacts,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise HeadraceError(
            f"the dashboard cannot listen on {host}:{port}",
            expected="a free port of this machine",
            received=error.strerror or str(error),
            at="",
            next=f"headrace ui --port {port + 1}",
        ) from error
    return listening


def _serve(app: Any, listening: socket.socket) -> None:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn has ended in good order and passes Ctrl-C on
        pass
    finally:
        listening.close()


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
