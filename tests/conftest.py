"""What all tests share: an environment of their own, and slow tests last, for as long as time allows."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Epoch seconds after which no slow test is started any more.
SLOW_UNTIL = "HEADRACE_SLOW_UNTIL"

# The same examples every time, and no time limit for one: machines differ in speed, results must not.
hypothesis.settings.register_profile("headrace", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("headrace")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too, after the others")


def pytest_configure() -> None:
    # What a person has set for their own runs must not reach the tests.
    for name in list(os.environ):
        if name.startswith(("HEADRACE_", "MLFLOW_")) and name != SLOW_UNTIL:
            del os.environ[name]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_is_slow)
    named = config.option.markexpr or any("::" in argument for argument in config.args)
    if config.option.slow or named:
        return
    slow = [item for item in items if _is_slow(item)]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not _is_slow(item)]


def pytest_runtest_setup(item: pytest.Item) -> None:
    until = float(os.environ.get(SLOW_UNTIL, "inf"))
    if _is_slow(item) and time.time() > until:
        pytest.skip("the time for slow tests is used up")


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what components leave in the temporary folder out of the machine's own, and remove it."""
    tmp_path_factory.getbasetemp()  # made before, so that a failed test's files stay
    folder = Path(tempfile.mkdtemp(prefix="headrace-tests-"))
    folder.chmod(0o755)  # a private PostgreSQL runs as another account
    before, owner = (tempfile.tempdir, os.environ.get("TMPDIR")), os.getpid()
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    yield
    tempfile.tempdir = before[0]
    if before[1] is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before[1]
    if os.getpid() == owner:  # not in a process that a test has forked
        shutil.rmtree(folder, ignore_errors=True)
