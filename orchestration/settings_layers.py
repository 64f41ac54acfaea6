"""Where settings come from: ``headrace.toml``, the environment, the caller; read and checked alike."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestration.errors import ConfigurationError
from orchestration.secrets import redact

FILE = "headrace.toml"

# Value and origin by key.
Layer = dict[str, tuple[Any, str]]


def defaults(home: Path) -> dict[str, Any]:
    """Return the values of a project that says nothing."""
    return {
        "journal": f"sqlite:///{home / 'journal.db'}",
        "tracking": f"sqlite:///{home / 'mlflow.db'}",
        "tracking_artifacts": str(home / "mlflow-artifacts"),
        "artifacts": str(home / "artifacts"),
        "models": home / "models",
        "beam": {},
    }


def from_file(file: Path, profile: str) -> Layer:
    """Return what a profile of ``headrace.toml`` says; relative paths are relative to the file.

    Raises:
        ConfigurationError: The file, the profile, a key or a type is wrong.
    """
    if not file.exists():
        _check_profile(profile, (), f"no {FILE} in {file.parent}")
        return {}
    tables = _read(file)
    _check_known(tables, ("profiles",), str(file), "")
    profiles = tables.get("profiles", {})
    if not isinstance(profiles, dict):
        raise _wrong_type("profiles", "a table", profiles, str(file))
    _check_profile(profile, profiles, str(file))
    chosen = profiles.get(profile, {})
    key = f"profiles.{profile}"
    if not isinstance(chosen, dict):
        raise _wrong_type(key, "a table", chosen, str(file))
    _check_known(chosen, KINDS, str(file), f"{key}.")
    return {
        name: (KINDS[name](_references(value), f"{key}.{name}", str(file), file.parent), str(file))
        for name, value in chosen.items()
    }


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} is not valid TOML", expected="TOML", received=str(error), at=""
        ) from error


def from_environment() -> Layer:
    """Return what ``HEADRACE_…`` variables say; empty ones count as not set."""
    layer: Layer = {}
    for name, convert in KINDS.items():
        variable = variable_of(name)
        text = os.environ.get(variable, "")
        if text:
            value = _parsed(name, text, variable)
            layer[name] = (convert(value, variable, "the environment", Path.cwd()), variable)
    return layer


def _parsed(name: str, text: str, variable: str) -> Any:
    kind = KINDS[name]
    if kind is _whole:
        try:
            return int(text)
        except ValueError as error:
            raise _wrong_type(variable, "a whole number", text, "the environment") from error
    if kind is _table:
        try:
            return json.loads(text)
        except ValueError as error:
            raise _wrong_type(variable, "a JSON object", text, "the environment") from error
    return text


def from_caller(overrides: Mapping[str, Any]) -> Layer:
    """Return what the caller says; None leaves a value alone."""
    _check_known(overrides, KINDS, "arguments", "")
    return {
        name: (KINDS[name](value, name, "arguments", Path.cwd()), "argument")
        for name, value in overrides.items()
        if value is not None
    }


def variable_of(name: str) -> str:
    """Return the environment variable of a key."""
    return f"HEADRACE_{name.upper()}"


# --- checks --------------------------------------------------------------------------------------


def _check_profile(profile: str, known: Iterable[str], where: str) -> None:
    # "local" is always there: its defaults need no file.
    known = sorted({"local", *known})
    if profile in known:
        return
    raise ConfigurationError(
        f'there is no profile "{profile}"',
        expected=" or ".join(known),
        received=f"{profile} ({where})",
        at="",
        next=f"[profiles.{profile}] in {FILE}, or --profile {_nearest(profile, known) or 'local'}",
    )


def _check_known(given: Iterable[str], known: Iterable[str], where: str, prefix: str) -> None:
    for key in given:
        if key not in known:
            close = _nearest(key, known)
            raise ConfigurationError(
                f'unknown setting "{prefix}{key}"',
                expected=f"{prefix}{close}" if close else ", ".join(known),
                received=f"{key} in {where}",
                at="",
            )


def _nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def _wrong_type(key: str, expected: str, received: object, where: str) -> ConfigurationError:
    kind = type(received).__name__
    return ConfigurationError(
        f'setting "{key}" has the wrong type',
        expected=expected,
        received=f"{key} = {redact(str(received))} ({kind}) in {where}",
        at="",
    )


def _references(value: Any) -> Any:
    """Turn ``{ env = "NAME" }`` and ``{ file = "PATH" }`` into the text form ``${…}``, at any depth."""
    if isinstance(value, dict):
        if value.keys() == {"env"} and isinstance(value["env"], str):
            return f"${{{value['env']}}}"
        if value.keys() == {"file"} and isinstance(value["file"], str):
            return f"${{file:{value['file']}}}"
        return {name: _references(item) for name, item in value.items()}
    return [_references(item) for item in value] if isinstance(value, list) else value


# --- the kinds of values -------------------------------------------------------------------------


def _text(value: Any, key: str, where: str, base: Path) -> str:
    if not isinstance(value, str):
        raise _wrong_type(key, "text", value, where)
    return value


def _database(value: Any, key: str, where: str, base: Path) -> str:
    """A URL; a SQLite file named relatively lies below ``base``."""
    text = _text(value, key, where, base)
    scheme, mark, path = text.partition(":///")
    relative = mark and scheme.startswith("sqlite") and path and not path.startswith(("/", ":", "file:", "$"))
    return f"{scheme}:///{base / path}" if relative else text


def _place(value: Any, key: str, where: str, base: Path) -> str:
    """A folder, relative to ``base``, or a remote location."""
    text = str(value) if isinstance(value, Path) else _text(value, key, where, base)
    if "://" in text or text.startswith("$"):
        return text
    return str((base / Path(text).expanduser()).absolute())


def _path(value: Any, key: str, where: str, base: Path) -> Path:
    return Path(_place(value, key, where, base))


def _whole(value: Any, key: str, where: str, base: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(key, "a whole number", value, where)
    return value


def _table(value: Any, key: str, where: str, base: Path) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _wrong_type(key, "a table of options", value, where)
    return dict(value)


KINDS: dict[str, Callable[[Any, str, str, Path], Any]] = {
    "journal": _database,
    "tracking": _database,
    "tracking_artifacts": _place,
    "artifacts": _place,
    "models": _path,
    "beam": _table,
    "concurrency": _whole,
    "gpus": _whole,
    "experiment_prefix": _text,
}
