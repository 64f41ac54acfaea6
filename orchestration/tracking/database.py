"""MLflow's SQLite file, made whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

_SCHEME = "sqlite:///"


def make_whole(uri: str) -> None:
    """Make the SQLite database of a tracking URI where there is none; leave anything else alone.

    MLflow builds its tables in dozens of steps and cannot go on where it was killed between two:
    the file is built beside its place and moved there when it is complete.
    """
    path = Path(uri.removeprefix(_SCHEME))
    if not uri.startswith(_SCHEME) or path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    MlflowClient(f"{_SCHEME}{partial}", f"{_SCHEME}{partial}")
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        pass  # another process was quicker; its database is as good
    finally:
        partial.unlink()
