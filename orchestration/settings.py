"""Settings: defaults, then ``headrace.toml``, then the environment, then what the caller says.

```toml
[profiles.production]
journal = "postgresql+psycopg://headrace:${PGPASSWORD}@db/headrace"
tracking = "https://mlflow.example.com"
artifacts = "s3://models/headrace"
concurrency = 8

[profiles.production.beam]
runner = "FlinkRunner"
flink_master = "${FLINK_MASTER}"
```

Every key has an environment variable: ``HEADRACE_JOURNAL``, ``HEADRACE_CONCURRENCY``,
``HEADRACE_BEAM`` (a JSON object). The profile is ``--profile`` or ``HEADRACE_PROFILE``, else ``local``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration import secrets
from orchestration.errors import ConfigurationError, did_you_mean

FILE = "headrace.toml"
OFF = "off"

_ROOT_MARKS = (FILE, "pyproject.toml", ".git")
_LEAST = {"concurrency": 1, "gpus": 0}
_KINDS: dict[str, type] = {"beam": dict, "concurrency": int, "gpus": int}  # the rest is text
_NAMES = {dict: "a table of options", int: "a whole number", str: "text"}


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
    """

    home: Path
    profile: str
    journal: str
    tracking: str
    tracking_artifacts: str
    artifacts: str
    models: Path
    beam: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int
    gpus: int = 0
    experiment_prefix: str = ""

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
        texts = {name: value for name, value in self.beam.items() if isinstance(value, str)}
        return {**self.beam, **{name: secrets.resolve(text, f"beam.{name}") for name, text in texts.items()}}

    def to_env(self) -> dict[str, str]:
        """Return environment variables that give a child process the same settings.

        References to secrets stay references: the child resolves them from its own environment.
        """
        values = {**vars(self), "beam": json.dumps(self.beam)}
        return {_variable(name): str(value) for name, value in values.items()}

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return secrets.redact(f"Settings({values})")


_KEYS = [one.name for one in dataclasses.fields(Settings) if one.name not in ("home", "profile")]


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
    profile = profile or os.environ.get(_variable("profile")) or "local"
    home = Path(overrides.pop("home", None) or os.environ.get(_variable("home")) or root / ".headrace")
    home = home.expanduser().absolute()
    values = _defaults(home)
    for key, value, where, base in _said(root / FILE, profile, overrides):
        _check(key, value, where)
        values[key] = values[key] | value if key == "beam" else _placed(key, value, base)
    return Settings(home=home, profile=profile, **{**values, "models": Path(values["models"])})


def _defaults(home: Path) -> dict[str, Any]:
    return {
        "journal": f"sqlite:///{home / 'journal.db'}",
        "tracking": f"sqlite:///{home / 'mlflow.db'}",
        "tracking_artifacts": str(home / "mlflow-artifacts"),
        "artifacts": str(home / "artifacts"),
        "models": str(home / "models"),
        "beam": {},
        # macOS has no affinity.
        "concurrency": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _said(file: Path, profile: str, overrides: dict[str, Any]) -> Iterator[tuple[str, Any, str, Path]]:
    """Yield each key with its value, where it is written, and the folder its paths are relative to."""
    for key, value in _from_file(file, profile).items():
        yield key, value, f"profiles.{profile} in {file}", file.parent
    for key in _KEYS:
        said: Any = os.environ.get(_variable(key))
        if said:
            with suppress(ValueError):
                said = json.loads(said) if key in _KINDS else said
            yield key, said, _variable(key), Path.cwd()
    for key, value in overrides.items():
        if value is not None:
            yield key, str(value) if isinstance(value, Path) else value, "argument", Path.cwd()


def _from_file(file: Path, profile: str) -> dict[str, Any]:
    profiles: dict[str, dict[str, Any]] = {"local": {}}
    if file.exists():
        import tomllib

        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigurationError(f"{file} is not valid TOML", received=str(error), at="") from error
        for table in tables:
            _known("table", table, ["profiles"], str(file))
        profiles |= tables.get("profiles", {})
    _known("profile", profile, profiles, str(file))
    return profiles[profile]


def _known(what: str, word: str, known: Iterable[str], where: str) -> None:
    if word not in known:
        headline, wanted = f'there is no {what} "{word}"', " or ".join(known)
        received, remedy = f"{word} ({where})", did_you_mean(word, known)
        raise ConfigurationError(headline, expected=wanted, received=received, at="", next=remedy)


def _check(key: str, value: Any, where: str) -> None:
    _known("setting", key, _KEYS, where)
    kind, least = _KINDS.get(key, str), _LEAST.get(key)
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or (least is not None and value < least):
        expected = _NAMES[kind] if least is None else f"{_NAMES[kind]}, {least} or more"
        received = secrets.redact(f"{key} = {value!r} ({where})")
        raise ConfigurationError(f'setting "{key}" is wrong', expected=expected, received=received, at="")


def _placed(key: str, value: Any, base: Path) -> Any:
    """Return a folder or a SQLite file that was named relatively as one below ``base``."""
    if key in ("journal", "tracking"):
        scheme, mark, path = value.partition(":///")
        relative = scheme.startswith("sqlite") and path and not path.startswith(("/", ":", "file:", "$"))
        return f"{scheme}{mark}{base / path}" if relative else value
    if key in ("tracking_artifacts", "artifacts", "models") and not re.search(r"://|^\$", value):
        return str((base / Path(value).expanduser()).absolute())
    return value


def _variable(key: str) -> str:
    return f"HEADRACE_{key.upper()}"


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder, upwards, with ``headrace.toml``, ``pyproject.toml`` or ``.git``.

    Where there is none it is ``start`` itself.
    """
    folder = (start or Path.cwd()).absolute()
    marked = (one for one in (folder, *folder.parents) if any((one / mark).exists() for mark in _ROOT_MARKS))
    return next(marked, folder)


# A stack for the whole process, not per context: the threads of a run must see it too.
_used: list[Settings] = []


def current() -> Settings:
    """Return the settings in use; without :func:`use`, those of the working directory."""
    return _used[-1] if _used else load()


@contextmanager
def use(settings: Settings) -> Iterator[Settings]:
    """Make ``settings`` the current ones while the context lasts."""
    _used.append(settings)
    try:
        yield settings
    finally:
        _used.pop()
