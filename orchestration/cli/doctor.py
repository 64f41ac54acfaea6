"""``doctor``: what is installed, what can be reached, and the remedy for each problem."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from orchestration.errors import HeadraceError
from orchestration.secrets import redact
from orchestration.settings import Settings, load

REQUIRED = (
    "apache-beam",
    "pandas",
    "pyarrow",
    "numpy",
    "tensorflow",
    "keras",
    "mlflow",
    "great-expectations",
    "sqlalchemy",
    "onnxruntime",
    "datasketches",
)
EXTRAS = {
    "torch": "torch",
    "jax": "jax",
    "psycopg": "postgres",
    "adbc_driver_postgresql": "adbc",
    "deltalake": "delta",
    "pyiceberg": "iceberg",
    "google_crc32c": "tfrecord",
    "s3fs": "s3",
    "gcsfs": "gcs",
}
LOW_DISK = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``remedy`` is empty where all is well."""

    topic: str
    found: str
    remedy: str = ""
    optional: bool = False


def doctor(
    *, profile: str | None = None, json_: Annotated[bool, Parameter(name="--json", negative=())] = False
) -> int:
    """Check versions, extras, accelerators, stores and free disk; each problem with its remedy.

    Args:
        profile: Profile of headrace.toml.
        json_: Print a JSON list.
    """
    settings = load(profile=profile)
    findings = list(examine(settings))
    problems = [finding for finding in findings if finding.remedy and not finding.optional]
    if json_:
        print(json.dumps([vars(finding) for finding in findings]))
        return 1 if problems else 0
    for finding in findings:
        mark = "ok " if not finding.remedy else "-- " if finding.optional else "!! "
        print(f"{mark} {finding.topic:<20} {finding.found}")
        if finding.remedy:
            print(f"    {'':<20} {finding.remedy}")
    return 1 if problems else 0


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield what was found, topic by topic."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    fits = (3, 11) <= sys.version_info < (3, 14)
    yield Finding("python", version, "" if fits else "use Python 3.11, 3.12 or 3.13")
    yield Finding("profile", f"{settings.profile}, home {settings.home}")
    for package in REQUIRED:
        yield _package(package)
    for package, extra in EXTRAS.items():
        yield _package(package, extra)
    yield _gpu()
    yield _checked("journal", lambda: _journal(settings))
    yield _checked("tracking", lambda: _tracking(settings))
    yield _checked("artifacts", lambda: _artifacts(settings))
    free = shutil.disk_usage(_existing(settings.home)).free
    yield Finding(
        "free disk",
        f"{free / (1 << 30):.1f} GiB",
        "" if free > LOW_DISK else "free some space, or move HEADRACE_HOME",
    )


def _package(name: str, extra: str = "") -> Finding:
    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        command = f"pip install 'headrace[{extra}]'" if extra else "pip install headrace"
        return Finding(name, "not installed", command, optional=bool(extra))


def _gpu() -> Finding:
    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if not devices:
        return Finding("gpu", "none: training uses the CPU")
    return Finding(
        "gpu", f"{len(devices)} NVIDIA; share them out with gpus = {len(devices)} in headrace.toml"
    )


def _checked(topic: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(topic, look())
    except HeadraceError as error:
        return Finding(topic, error.received or error.headline, error.next or error.headline)
    except OSError as error:
        return Finding(topic, str(error), "check that the location exists and can be written to")


def _journal(settings: Settings) -> str:
    from orchestration.journal import Journal

    journal = Journal.open(settings.journal_url)
    waiting = len(journal.pending(10_000))
    note = f", {waiting} events wait for MLflow" if waiting else ""
    return f"{journal.engine.url.render_as_string(hide_password=True)}{note}"


def _tracking(settings: Settings) -> str:
    import urllib.request

    shown = redact(settings.tracking)
    if not settings.tracking.startswith("http"):
        return shown
    with urllib.request.urlopen(f"{settings.tracking_uri.rstrip('/')}/health", timeout=5) as answer:
        return f"{shown} answers {answer.status}"


def _artifacts(settings: Settings) -> str:
    if "://" in settings.artifacts:
        from orchestration.artifacts import location

        list(location(settings.artifacts).glob("*"))
        return settings.artifacts
    folder = Path(settings.artifacts)
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".probe"
    probe.write_text("ok")
    probe.unlink()
    return f"{folder} can be written to"


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
