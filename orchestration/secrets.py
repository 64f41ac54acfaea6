"""Secrets: kept as references until the moment of use, and masked wherever text leaves the process.

A setting holds a *reference*, never the secret: ``${NAME}`` reads an environment variable,
``${file:/run/secrets/db}`` reads a file (without its last line break).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestration.errors import ConfigurationError

MASK = "***"

_REFERENCE = re.compile(r"\$\{(?:(?P<env>[A-Za-z_][A-Za-z0-9_]*)|file:(?P<file>[^}]+))\}")
_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@?#]*:)(?P<password>[^\s/@]+)(?=@)")
_URL_PARAMETER = re.compile(
    r"(?P<head>[?&;](?:password|passwd|pwd|token|secret|api_key|apikey|access_key|secret_key|sig)=)[^&\s;\"']+",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY)", re.IGNORECASE)

# A value shorter than this would mask ordinary words; a variable that is only named like a secret
# must be longer still, because nobody declared it to be one.
_SHORTEST = 3
_SHORTEST_BY_NAME = 8

_known: set[str] = set()


class Secret:
    """A value that never prints itself; ask for it with :meth:`reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        remember(value)

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret does not leave its process; send its reference, such as ${NAME}")


def remember(value: str) -> None:
    """Let :func:`redact` mask this value from now on, also in its URL-quoted form."""
    for form in (value, quote(value, safe="")):
        if len(form) >= _SHORTEST:
            _known.add(form)


def has_reference(text: str) -> bool:
    """Tell whether ``text`` holds a reference to a secret."""
    return _REFERENCE.search(text) is not None


def resolve(text: str, name: str = "value") -> str:
    """Return ``text`` with every reference replaced by its secret.

    Inside the user part of a URL (``scheme://user:${PASSWORD}@host``) the secret is URL-quoted.

    Args:
        text: The setting as it was written.
        name: Name of the setting, for the error.

    Raises:
        ConfigurationError: The environment variable is not set or the file cannot be read.
    """

    def replace(match: re.Match[str]) -> str:
        secret = _read(match, name)
        remember(secret)
        return quote(secret, safe="") if _in_user_part(text, match) else secret

    return _REFERENCE.sub(replace, text)


def _in_user_part(text: str, match: re.Match[str]) -> bool:
    scheme = text.find("://")
    return -1 < scheme < match.start() and "@" in text[match.end() :].partition("/")[0]


def _read(match: re.Match[str], name: str) -> str:
    variable, file = match["env"], match["file"]
    if variable is not None:
        if variable in os.environ:
            return os.environ[variable]
        raise ConfigurationError(
            f'setting "{name}" needs an environment variable that is not set',
            expected=f"{variable}=… in the environment",
            received=f"no {variable}",
            at="",
            next=f"export {variable}=…",
        )
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(
            f'setting "{name}" needs a secret file that cannot be read',
            expected=f"a readable file {file}",
            received=error.strerror or type(error).__name__,
            at="",
        ) from error


def redact(text: str) -> str:
    """Return ``text`` with secrets masked.

    Masked are: every secret resolved so far, the values of environment variables that are named
    like secrets (``…_PASSWORD``, ``…_TOKEN``, …), and passwords and tokens inside URLs.
    """
    for secret in sorted(_known | _named_like_secrets(), key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    if "://" in text:
        text = _URL_PASSWORD.sub(_mask_password, text)
        text = _URL_PARAMETER.sub(rf"\g<head>{MASK}", text)
    return text


def _mask_password(match: re.Match[str]) -> str:
    if has_reference(match["password"]):
        return match[0]
    return match["head"] + MASK


def _named_like_secrets() -> set[str]:
    return {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST_BY_NAME and _SECRET_NAME.search(name)
    }


def redact_all(value: Any) -> Any:
    """Return a JSON value with the secrets in all its texts masked; names of fields stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: redact_all(item) for name, item in value.items()}
    return [redact_all(item) for item in value] if isinstance(value, list | tuple) else value
