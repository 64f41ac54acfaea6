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
# A password in a URL that is not a reference, and the parameters that hold secrets.
_IN_URL = re.compile(
    r"""([a-z][a-z0-9+.\-]*://[^\s/:@?#]*:) (?!\$\{)[^\s/@]+ (?=@)
      | ([?&;](?:password|passwd|pwd|token|secret|api_?key|access_key|secret_key|sig)=) [^&\s;"']+""",
    re.IGNORECASE | re.VERBOSE,
)
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY", re.IGNORECASE)

# A value shorter than this would mask ordinary words; a variable that is only named like a secret
# must be longer still, because nobody declared it to be one.
_SHORTEST = 3
_SHORTEST_BY_NAME = 8

_known: set[str] = set()


def remember(value: str) -> None:
    """Let :func:`redact` mask this value from now on, also in its URL-quoted form."""
    _known.update(form for form in (value, quote(value, safe="")) if len(form) >= _SHORTEST)


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
        in_user_part = -1 < text.find("://") < match.start() and "@" in text[match.end() :].partition("/")[0]
        return quote(secret, safe="") if in_user_part else secret

    return _REFERENCE.sub(replace, text)


def _read(match: re.Match[str], name: str) -> str:
    variable, file = match["env"], match["file"]
    headline = f'setting "{name}" needs a secret that is not there'
    try:
        return os.environ[variable] if variable else Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except KeyError as error:
        wanted, remedy = f"the environment variable {variable}", f"export {variable}=…"
        raise ConfigurationError(headline, expected=wanted, received=match[0], at="", next=remedy) from error
    except OSError as error:
        wanted = f"a readable file {file}"
        raise ConfigurationError(headline, expected=wanted, received=str(error), at="") from error


def redact(text: str) -> str:
    """Return ``text`` with secrets masked.

    Masked are: every secret resolved so far, the values of environment variables that are named
    like secrets (``…_PASSWORD``, ``…_TOKEN``, …), and passwords and tokens inside URLs.
    """
    named = {v for k, v in os.environ.items() if len(v) >= _SHORTEST_BY_NAME and _SECRET_NAME.search(k)}
    for secret in sorted(_known | named, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _IN_URL.sub(rf"\1\2{MASK}", text) if "://" in text else text


def redact_all(value: Any) -> Any:
    """Return a JSON value with the secrets in all its texts masked; names of fields stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: redact_all(item) for name, item in value.items()}
    return [redact_all(item) for item in value] if isinstance(value, list | tuple) else value
