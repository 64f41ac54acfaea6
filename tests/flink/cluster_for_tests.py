"""A cluster of the tests' own, brought up and taken down by the scripts a person uses."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "infra" / "flink"
UNAVAILABLE = 3
UP_SECONDS = 600  # a first start downloads


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its project's folder and the Beam options that lead to it."""

    project: Path
    profile: str

    @property
    def options(self) -> dict[str, Any]:
        """Beam options, as ``headrace.toml`` would give them."""
        found: dict[str, Any] = tomllib.loads(self.profile)["profiles"]["flink"]["beam"]
        return found


def script(name: str, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scripts, for a project and its own ``.headrace`` folder."""
    return subprocess.run(
        [SCRIPTS / name, *arguments],
        cwd=project,
        env={**os.environ, "HEADRACE_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )


@contextmanager
def cluster(engine: str, project: Path) -> Iterator[Cluster]:
    """Yield a running cluster, or skip the test where this machine cannot have it."""
    project.mkdir(parents=True, exist_ok=True)
    extra = () if engine == "flink" else ("--without-flink",)
    started = script("up", project, "--port", "0", *extra)
    if started.returncode == UNAVAILABLE:
        pytest.skip(" ".join(started.stderr.split())[:300])
    assert started.returncode == 0, started.stderr
    try:
        yield Cluster(project, (project / ".headrace/flink/profile.toml").read_text())
    finally:
        ended = script("down", project)
        assert ended.returncode == 0, ended.stderr
