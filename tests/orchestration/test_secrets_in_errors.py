"""A secret in a user's exception reaches neither the terminal nor the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration import Artifact, component, pipeline
from orchestration.journal import Journal
from orchestration.run import run_pipeline
from orchestration.settings import load, use


class Nothing(Artifact):
    """An artifact without content."""


@component
def connect() -> Nothing:
    raise ConnectionError("cannot log in with hunter2-and-more")


@pipeline
def leaky() -> None:
    """Fails with a password in its message."""
    connect()


def test_a_secret_in_an_exception_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2-and-more")
    settings = load(home=tmp_path, tracking="off")
    with use(settings):
        result = run_pipeline(leaky, {}, settings=settings, in_process=True)
    failed = Journal.open(settings.journal_url).attempts(result.id)[0]
    assert failed.error.startswith("ConnectionError: cannot log in with ")
    assert "hunter2" not in failed.error + failed.traceback + failed.reason + repr(result)
