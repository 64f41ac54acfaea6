"""A run of some tenths of a second a node in a process of its own, to be killed, interrupted and resumed.

``python -m tests.faults.small_run HOME [--resume RUN] [--seconds S]``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.artifacts import Artifact
from orchestration.journal import Journal
from orchestration.records import Run, State
from orchestration.settings import Settings, load
from orchestration.store import DAMAGED, STAGING, verify

ROOT = Path(__file__).resolve().parents[2]
MARK = "HEADRACE_TEST_MARK"


def settings_of(home: Path) -> Settings:
    """Return settings that keep everything in one folder, without MLflow."""
    return load(home=home, tracking="off", concurrency=3)


@dataclass
class SmallRun:
    """A running command; whatever it starts carries its mark in the environment."""

    home: Path
    arguments: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.small_run", str(self.home), *self.arguments],
            cwd=ROOT,
            env={**os.environ, MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, number: int) -> int:
        """Send the coordinator, and only it, a signal; wait for its end and return its exit status."""
        self.process.send_signal(number)
        self.output, self.errors = self.process.communicate(timeout=60)
        return self.process.returncode

    def left_behind(self, seconds: float) -> list[str]:
        """Return the processes of this run that are still there after so many seconds."""
        deadline = time.monotonic() + seconds
        while (found := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def _alive(self) -> list[str]:
        wanted, found = f"{MARK}={self.mark}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # ended meanwhile
                continue
        return found


def only_run(home: Path) -> Run | None:
    """Return the run a journal holds, if it was recorded at all."""
    if not (home / "journal.db").exists():
        return None
    journal = Journal.open(settings_of(home).journal_url)
    try:
        runs = journal.runs()
        assert len(runs) <= 1
        return runs[0] if runs else None
    finally:
        journal.close()


def contradictions(home: Path) -> list[str]:
    """Return whatever is half-written, published twice or left over in the home of a finished run."""
    settings = settings_of(home)
    found = []
    artifacts = Path(settings.artifacts)
    for folder in artifacts.glob("[!.]*/*"):
        wrong = verify(Artifact(str(folder), {}, folder.name))
        found += [wrong] if wrong else []
    found += [f"set aside: {path}" for path in (artifacts / DAMAGED).glob("*")]
    left = [*(artifacts / STAGING).glob("*"), *(home / "scratch").glob("*")]
    found += [f"left over: {path}" for path in left]
    journal = Journal.open(settings.journal_url)
    for run in journal.runs():
        attempts = journal.attempts(run.id)
        successes: dict[str, int] = {}
        for attempt in attempts:
            successes[attempt.node] = successes.get(attempt.node, 0) + attempt.state.gave_outputs
            found += [wrong for output in attempt.outputs if (wrong := verify(output.artifact()))]
        found += [f"{node} succeeded {n} times" for node, n in successes.items() if n != 1]
        found += [f"{a.node} {a.number} is still open" for a in attempts if a.state is State.RUNNING]
    journal.close()
    return found


def main() -> int:
    """Run or resume, and print the run's state and the last number."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--resume")
    parser.add_argument("--seconds", type=float, default=0.2)
    options = parser.parse_args()
    from orchestration.errors import HeadraceError
    from orchestration.run import resume_run, run_pipeline
    from tests.pipelines_for_tests.running import small_steps

    settings = settings_of(options.home)
    try:
        if options.resume:
            result = resume_run(small_steps, options.resume, settings=settings)
        else:
            result = run_pipeline(small_steps, {"seconds": options.seconds}, settings=settings)
    except HeadraceError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    print(result.state)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
