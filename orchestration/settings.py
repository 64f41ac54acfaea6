"""Settings: defaults, then ``headrace.toml``, then the environment, then what the caller says.

```toml
[profiles.production]
journal = "postgresql+psycopg://headrace:${PGPASSWORD}@db/headrace"
tracking = "https://mlflow.example.com"
artifacts = "s3://models/headrace"
concurrency = 8

[profiles.production.beam]
runner = "FlinkRunner"
flink_master = { env = "FLINK_MASTER" }
```

Every key has an environment variable: ``HEADRACE_JOURNAL``, ``HEADRACE_CONCURRENCY``,
``HEADRACE_BEAM`` (a JSON object). The profile is ``--profile`` or ``HEADRACE_PROFILE``, else ``local``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from orchestration import secrets
from orchestration.errors import ConfigurationError
from orchestration.secrets import Secret, redact
from orchestration.settings_layers import (
    FILE,
    KINDS,
    defaults,
    from_caller,
    from_environment,
    from_file,
    variable_of,
)

__all__ = ["FILE", "Secret", "Settings", "current", "load", "project_root", "redact", "use"]

OFF = "off"

_ROOT_MARKS = (FILE, "pyproject.toml", ".git")


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity
        return os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where a run keeps things and how much of the machine it may use.

    Text may hold references to secrets (``${NAME}``, ``${file:PATH}``). The fields keep them as
    written; use :attr:`journal_url`, :attr:`tracking_uri` and :attr:`beam_options` to connect.

    Attributes:
        home: Folder of everything local, ``<project>/.headrace`` or ``HEADRACE_HOME``.
        profile: Name of the profile in ``headrace.toml``.
        journal: SQLAlchemy URL of the journal.
        tracking: MLflow tracking URI; ``"off"`` for no tracking.
        tracking_artifacts: Where MLflow keeps the files of new experiments (local stores only).
        artifacts: Root of all artifacts: a folder or any location fsspec knows.
        models: Folder of the version folders of pushed models.
        beam: Beam options of the data pipelines.
        concurrency: Nodes that may run at the same time, at least 1.
        gpus: Accelerators to share out among nodes, 0 by default.
        experiment_prefix: Put before a pipeline's name to make the MLflow experiment's name.
        origins: Where each value came from, by key: ``"default"``, a file, a variable, ``"argument"``.
    """

    home: Path
    profile: str = "local"
    journal: str
    tracking: str
    tracking_artifacts: str
    artifacts: str
    models: Path
    beam: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = field(default_factory=_cores)
    gpus: int = 0
    experiment_prefix: str = ""
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("gpus", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(
                    f'setting "{name}" is out of range',
                    expected=f"{least} or more",
                    received=f"{name}={getattr(self, name)!r} ({self.origins.get(name, 'argument')})",
                    at="",
                )

    @property
    def journal_url(self) -> str:
        """The journal's URL with its secrets in place."""
        return secrets.resolve(self.journal, "journal")

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking URI with its secrets in place."""
        return secrets.resolve(self.tracking, "tracking")

    @property
    def beam_options(self) -> dict[str, Any]:
        """The Beam options with their secrets in place."""
        return {
            name: secrets.resolve(value, f"beam.{name}") if isinstance(value, str) else value
            for name, value in self.beam.items()
        }

    def replace(self, **changes: Any) -> Settings:
        """Return a copy with some values changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values, without any secret."""
        return {name: _shown(getattr(self, name)) for name in ("home", "profile", *KINDS)}

    def to_env(self) -> dict[str, str]:
        """Return environment variables that give a child process the same settings.

        References to secrets stay references: the child resolves them from its own environment.
        """
        values = {name: getattr(self, name) for name in ("home", "profile", *KINDS)}
        return {
            variable_of(name): json.dumps(dict(value)) if isinstance(value, Mapping) else str(value)
            for name, value in values.items()
        }

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.to_json().items())})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "beam": dict(self.beam), "origins": dict(self.origins)}


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return redact(str(value)) if isinstance(value, str | Path) else value


def load(profile: str | None = None, start: Path | None = None, **overrides: Any) -> Settings:
    """Return the settings of a profile.

    Args:
        profile: The profile's name; ``HEADRACE_PROFILE``, else ``local``, when None.
        start: Folder from which the project is looked for; the working directory when None.
        **overrides: Values that win over the file and the environment; None leaves a value alone.

    Raises:
        ConfigurationError: A key, a type, a value or the profile is wrong; names the file and the key.
    """
    root = project_root(start)
    name = profile or os.environ.get(variable_of("profile")) or "local"
    home = Path(overrides.pop("home", None) or os.environ.get(variable_of("home")) or root / ".headrace")
    home = home.expanduser().absolute()
    values: dict[str, Any] = defaults(home)
    origins = dict.fromkeys(KINDS, "default")
    for layer in (from_file(root / FILE, name), from_environment(), from_caller(overrides)):
        for key, (value, origin) in layer.items():
            values[key] = {**values["beam"], **value} if key == "beam" else value
            origins[key] = origin
    values["beam"] = MappingProxyType(values.get("beam", {}))
    return Settings(home=home, profile=name, origins=MappingProxyType(origins), **values)


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder, upwards, with ``headrace.toml``, ``pyproject.toml`` or ``.git``.

    Where there is none it is ``start`` itself.
    """
    folder = (start or Path.cwd()).absolute()
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _ROOT_MARKS):
            return candidate
    return folder


# A stack for the whole process, not per context: the threads of a run must see it too.
_used: list[Settings] = []


class Use:
    """What :func:`use` returns: leaving its ``with`` block brings back the settings from before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> Settings:
        return self._settings

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _used.pop()


def current() -> Settings:
    """Return the settings in use; without :func:`use`, those of the working directory."""
    return _used[-1] if _used else load()


def use(settings: Settings) -> Use:
    """Make ``settings`` the current ones, at once; as a context manager, until its end."""
    _used.append(settings)
    return Use(settings)
