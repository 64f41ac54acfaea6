"""A query as an input of a pipeline: what it answers decides whether a node must run again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from orchestration import ArgumentError, External
from orchestration.secrets import redact

if TYPE_CHECKING:
    from orchestration import Artifact
    from orchestration.external import DigestFile

_TABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)?")
_NAMES = ("query", "url", "version", "version_query")


class SqlQuery(External):
    """A query of a database, for :func:`components.read_sql`.

    Its text is JSON, so that it can be a run parameter and travel; it holds the *reference* to the URL
    and never a password.

    What decides whether the rows must be read again:

    - ``version=``: this text alone. The caller vouches that equal versions mean equal rows.
    - ``version_query=``: the answer of this query, such as
      ``"SELECT count(*), max(changed_at) FROM trips"``. No row, or only NULLs, is an error: it would look
      like "unchanged" for ever.
    - neither: the rows themselves, all of them, digested before every run: on PostgreSQL in the
      server, which sends one row; elsewhere they are read once more.

    Args:
        query: A ``SELECT``, or the name of a table or a view.
        url: SQLAlchemy URL, or a reference to it: ``"${SALES_DB}"``, ``"${file:/run/secrets/db}"``,
            ``"postgresql+psycopg://reader:${PASSWORD}@host/sales"``.
        version: Stands for the rows' content.
        version_query: A query whose answer changes whenever the rows do.

    Raises:
        ArgumentError: There is no URL, it holds a password, or two versions are given.
    """

    def __new__(
        cls,
        query: str,
        *,
        url: str | None = None,
        version: str | None = None,
        version_query: str | None = None,
    ) -> Self:
        """Make a query, or take it from its JSON text."""
        facts = _from_text(query) if url is None else {"query": query, "url": url}
        facts.update({"version": version} if version else {})
        facts.update({"version_query": version_query} if version_query else {})
        _check(facts)
        return super().__new__(cls, json.dumps(facts, sort_keys=True, ensure_ascii=False))

    def _fact(self, name: str) -> str | None:
        value: str | None = json.loads(self).get(name)
        return value

    @property
    def query(self) -> str:
        """The ``SELECT`` statement, without a semicolon."""
        text = (self._fact("query") or "").strip().rstrip(";").rstrip()
        return f"SELECT * FROM {text}" if _TABLE.fullmatch(text) else text

    @property
    def url(self) -> str:
        """The URL or its reference, as it was written."""
        return self._fact("url") or ""

    @property
    def version(self) -> str | None:
        """The version the caller vouches for."""
        return self._fact("version")

    @property
    def version_query(self) -> str | None:
        """The query whose answer is the version."""
        return self._fact("version_query")

    def content_digest(self, inputs: Mapping[str, Artifact], digest_file: DigestFile) -> str:
        """Return a digest of the version, of the version query's answer, or of all rows.

        Raises:
            DataError: The database does not answer, or answers nothing that could be a version.
        """
        del inputs, digest_file
        from components.reading.sql_digest import digest_of

        return digest_of(self)


def _from_text(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if isinstance(facts, dict) and set(facts) <= set(_NAMES):
        return {name: str(value) for name, value in facts.items()}
    raise ArgumentError(
        "a query needs the URL of its database",
        expected='SqlQuery("SELECT …", url="${DATABASE_URL}")',
        received=redact(text)[:200],
    )


def _check(facts: Mapping[str, str]) -> None:
    url = facts.get("url", "")
    if not facts.get("query", "").strip() or not url.strip():
        raise ArgumentError(
            "a query needs its text and the URL of its database",
            expected='SqlQuery("SELECT …", url="${DATABASE_URL}")',
            received=", ".join(name for name in _NAMES if facts.get(name)) or "nothing",
        )
    if redact(url) != url:
        raise ArgumentError(
            "the URL of a database holds a password",
            expected='a reference: url="${DATABASE_URL}", or "postgresql+psycopg://user:${PASSWORD}@host/db"',
            received=redact(url),
            next="export DATABASE_URL=… and name it in the pipeline",
        )
    if facts.get("version") and facts.get("version_query"):
        raise ArgumentError(
            "a query has two versions",
            expected="version= or version_query=, not both",
            received=f"version={facts['version']!r}, version_query={facts['version_query']!r}",
        )
