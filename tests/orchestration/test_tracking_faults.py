"""MLflow ends up the same however often the feeder is killed and the server goes away."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.journal import Journal
from orchestration.tracking import OutboxFeeder
from tests.orchestration.runs import until
from tests.orchestration.tracked import Step, Teller, put, running_server, settings, snapshot, whole_run


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


@dataclass
class _Life:
    """A run that goes on where the process before was killed, each step told at once or all of them late."""

    home: Path
    steps: list[Step]
    late: bool

    def live(self, client_of: Any = lambda client: client) -> None:
        """Write what is not yet written and deliver everything, MLflow's client wrapped."""
        told, written = Teller(self.home), self.home / "written"
        told.tracking.client = told.tracking._models._client = client_of(told.tracking.client)
        done = int(written.read_text()) if written.exists() else 0
        for number, step in enumerate(self.steps[done:], done):
            put(told.journal, step)  # a second time if a process was killed while it told this step
            written.write_text(str(number))
            if not self.late:
                assert told.deliver() == []
        assert told.deliver() == []
        told.journal.close()


def live_and_die(life: _Life, call: int, *, before: bool) -> bool:
    """Live in a child process that is killed at a call; tells whether it came to that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            life.live(lambda client: _DiesAtCall(client, call, before=before))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "telling itself failed"
    return os.WIFSIGNALED(status)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step], Any]:
    """A home folder with an empty store, the steps of a run, and what MLflow must hold in the end."""
    folder = tmp_path_factory.mktemp("prepared")
    home, steps = folder / "home", whole_run(folder / "artifacts")
    Teller(home).journal.close()
    undisturbed = folder / "undisturbed"
    shutil.copytree(home, undisturbed)
    Teller(undisturbed, *steps)
    return home, steps, snapshot(settings(undisturbed).tracking)


def killed_at(
    prepared: tuple[Path, list[Step], Any], tmp_path: Path, calls: list[tuple[int, bool]], *, late: bool
) -> int:
    """Live with a kill at each of the calls, one after the other, then to the end; compare."""
    # MLflow keeps a store open for good once it was used: every try has a folder of its own.
    home = tmp_path / "-".join(f"{call}{'b' if before else 'a'}" for call, before in calls)
    shutil.copytree(prepared[0], home)
    life = _Life(home, prepared[1], late)
    killed = sum(live_and_die(life, call, before=before) for call, before in calls)
    life.live()
    assert snapshot(settings(home).tracking) == prepared[2]
    shutil.rmtree(home)
    return killed


@pytest.mark.parametrize(("seed", "late"), [(0, False), (1, False), (2, True)])
def test_killed_at_several_calls_nothing_is_lost_or_doubled(
    prepared: tuple[Path, list[Step], Any], tmp_path: Path, seed: int, late: bool
) -> None:
    dice = random.Random(seed)
    calls = [(dice.randint(1, 12), dice.random() < 0.5) for _ in range(4)]
    assert killed_at(prepared, tmp_path, calls, late=late) == 4


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_every_single_call(
    prepared: tuple[Path, list[Step], Any], tmp_path: Path, before: bool
) -> None:
    call = 1
    while killed_at(prepared, tmp_path, [(call, before)], late=False):
        call += 1
    assert call > 45


def test_the_server_goes_away_and_comes_back(prepared: tuple[Path, list[Step], Any], tmp_path: Path) -> None:
    """Half the run, the server killed, the other half; then it starts again."""
    steps = prepared[1]
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}")
    with running_server(tmp_path) as server:
        feeder = OutboxFeeder(journal, settings(tmp_path / "home", server.uri))
        feeder.start()
        for step in steps[:7]:
            put(journal, step)
        until(lambda: not journal.pending(1), 60)
        for step in steps[7:11]:
            put(journal, step)
        time.sleep(0.05)  # somewhere in the middle of a call
        server.stop()
        began = time.monotonic()
        for step in steps[11:]:
            put(journal, step)
        assert time.monotonic() - began < 1
        until(lambda: "Connection" in (feeder.trouble or ""), 60)
        assert len(journal.pending(100)) >= len(steps[11:]) - 1  # one is about what another is about
        server.start()
        assert feeder.finish(60) == 0, feeder.trouble
        assert feeder.rejected == []
        assert snapshot(server.uri) == prepared[2]
    journal.close()


def test_what_a_dead_process_left_is_delivered_by_the_next(
    prepared: tuple[Path, list[Step], Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    journal = Journal.open(settings(home).journal_url)
    for step in prepared[1]:
        put(journal, step)
    feeder = OutboxFeeder(journal, settings(home))
    feeder.start()
    assert feeder.finish(60) == 0, feeder.trouble
    assert feeder.rejected == []
    assert snapshot(settings(home).tracking) == prepared[2]
    journal.close()
