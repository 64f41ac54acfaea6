"""MLflow ends up the same however often the feeder is killed and the server goes away."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from orchestration.journal import Journal
from orchestration.tracking import MlflowTracking, OutboxFeeder
from tests.orchestration.mlflow_events import RUN, running_server, settings, snapshot, whole_run

Event = dict[str, Any]


class _DiesAtCall:
    """MLflow's client, with the process killed right after (or right before) one of its calls."""

    def __init__(self, client: Any, call: int, *, before: bool) -> None:
        self._client, self._left, self._before = client, call, before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._before:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return method(*args, **kwargs)
            finally:
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call


def feed(home: Path, client_of: Any = lambda client: client) -> OutboxFeeder:
    """Deliver everything that waits in the journal of a home folder."""
    told = settings(home)
    tracking = MlflowTracking(told)
    tracking.client = client_of(tracking.client)
    journal = Journal.open(told.journal_url)
    feeder = OutboxFeeder(journal, lambda: tracking)
    feeder.start()
    assert feeder.flush(60), feeder.trouble
    assert feeder.stop(10)
    journal.close()
    return feeder


def feed_and_die(home: Path, call: int, *, before: bool) -> bool:
    """Feed in a child process that is killed at a call; tells whether it came to that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            feed(home, lambda client: _DiesAtCall(client, call, before=before))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the feeder itself failed"
    return os.WIFSIGNALED(status)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A home folder with a journal full of events and an empty store, and what MLflow must hold."""
    folder = tmp_path_factory.mktemp("prepared")
    home = folder / "home"
    told = settings(home)
    _ = MlflowTracking(told).client
    journal = Journal.open(told.journal_url)
    journal.post(RUN, [*whole_run(folder / "artifacts")])
    journal.close()
    undisturbed = folder / "undisturbed"
    shutil.copytree(home, undisturbed)
    feed(undisturbed)
    return home, snapshot(settings(undisturbed).tracking)


def killed_at(prepared: tuple[Path, Any], tmp_path: Path, calls: list[tuple[int, bool]]) -> int:
    """Feed with a kill at each of the calls, one after the other, then to the end; compare."""
    # MLflow keeps a store open for good once it was used: every try has a folder of its own.
    home = tmp_path / "-".join(f"{call}{'b' if before else 'a'}" for call, before in calls)
    shutil.copytree(prepared[0], home)
    killed = sum(feed_and_die(home, call, before=before) for call, before in calls)
    feed(home)
    assert snapshot(settings(home).tracking) == prepared[1]
    shutil.rmtree(home)
    return killed


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_several_calls_nothing_is_lost_or_doubled(
    prepared: tuple[Path, Any], tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    calls = [(dice.randint(1, 12), dice.random() < 0.5) for _ in range(4)]
    assert killed_at(prepared, tmp_path, calls) == 4


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_every_single_call(prepared: tuple[Path, Any], tmp_path: Path, before: bool) -> None:
    call = 1
    while killed_at(prepared, tmp_path, [(call, before)]):
        call += 1
    assert call > 45


def test_the_server_goes_away_and_comes_back(prepared: tuple[Path, Any], tmp_path: Path) -> None:
    """Half the run, the server killed, the other half; then it starts again."""
    events = whole_run(tmp_path / "artifacts")
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
    with running_server(tmp_path) as server:
        feeder = OutboxFeeder(journal, lambda: MlflowTracking(settings(tmp_path / "home", server.uri)))
        feeder.start()
        journal.post(RUN, [*events[:7]])
        assert feeder.flush(60), feeder.trouble
        journal.post(RUN, [*events[7:11]])
        time.sleep(0.05)  # somewhere in the middle of a call
        server.stop()
        began = time.monotonic()
        journal.post(RUN, [*events[11:]])
        assert time.monotonic() - began < 1
        assert not feeder.flush(2)
        assert "Connection" in (feeder.trouble or "")
        assert len(journal.pending(100)) >= len(events[11:])
        server.start()
        assert feeder.flush(60), feeder.trouble
        assert feeder.stop(10)
        assert feeder.rejected == []
        assert journal.pending(1) == []
        assert snapshot(server.uri) == prepared[1]
    journal.close()


def test_what_a_dead_process_left_is_delivered_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    told = settings(home)
    journal = Journal.open(told.journal_url)
    journal.post(RUN, [*whole_run(tmp_path / "artifacts")])
    journal.close()
    assert feed(home).rejected == []
    assert {run["status"] for run in snapshot(told.tracking)["runs"]} == {"FINISHED", "FAILED", "KILLED"}
