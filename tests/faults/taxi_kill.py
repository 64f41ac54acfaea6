"""Kills a whole taxi run at a random moment, resumes it, and holds all records against each other.

``python -m tests.faults.taxi_kill --times 20`` does so twenty times and prints a line for each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestration.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".." / "shared" / "data" / "taxi" / "data.csv"


@dataclass(frozen=True)
class Killed:
    """What one kill and its resume came to."""

    moment: float
    state: str
    done_before: int
    complaints: list[str]


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a command with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return {**kept, "HEADRACE_HOME": str(home), "PYTHONPATH": str(ROOT)}


def command(*arguments: str) -> list[str]:
    """Return a command line of the ``headrace`` command."""
    return [sys.executable, "-m", "orchestration.cli", *arguments]


def kill_and_resume(home: Path, moment: float) -> Killed:
    """Start the taxi run, kill it after ``moment`` seconds, resume it, and look for contradictions."""
    arguments = ("run", "pipelines/taxi.py", "--data", str(DATA), "--epochs", "2")
    with (home.parent / f"{home.name}.txt").open("w") as log:
        started = subprocess.Popen(
            command(*arguments),
            cwd=ROOT,
            env=environment(home),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        time.sleep(moment)
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    done = journal_attempts(home)
    if not done and not run_ids(home):
        resumed = subprocess.run(  # killed before the run was recorded: nothing was begun
            command(*arguments, "--json"),
            cwd=ROOT,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
    else:
        resumed = subprocess.run(
            command("resume", "--json"),
            cwd=ROOT,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
        if "there is no unfinished run" in resumed.stderr:
            return Killed(moment, "SUCCEEDED", len(done), contradictions(home))
    if not resumed.stdout:
        return Killed(moment, "NO RESULT", len(done), [resumed.stderr])
    state = json.loads(resumed.stdout)["run"]["state"]
    return Killed(moment, state, sum(a["state"] == "SUCCEEDED" for a in done), contradictions(home))


def run_ids(home: Path) -> list[str]:
    """Return the ids of the runs in a journal."""
    return [run.id for run in _journal(home).runs()] if (home / "journal.db").exists() else []


def journal_attempts(home: Path) -> list[dict[str, object]]:
    """Return the stored attempts of every run."""
    if not (home / "journal.db").exists():
        return []
    journal = _journal(home)
    return [asdict(attempt) for run in journal.runs() for attempt in journal.attempts(run.id)]


def contradictions(home: Path) -> list[str]:
    """Return what is half-written, published twice, or told differently by the journal and MLflow."""
    from orchestration.artifacts import Artifact
    from orchestration.store import verify

    found = []
    journal = _journal(home)
    for run in journal.runs():
        successes: dict[str, int] = {}
        for attempt in journal.attempts(run.id):
            if attempt.state.gave_outputs:
                successes[attempt.node] = successes.get(attempt.node, 0) + 1
            found += [wrong for o in attempt.outputs if (wrong := verify(o.artifact()))]
        found += [f"{node} succeeded {n} times" for node, n in successes.items() if n != 1]
    for folder in (home / "artifacts").glob("[!.]*/*"):
        wrong = verify(Artifact(str(folder), {}, folder.name))
        found += [wrong] if wrong else []
    found += [f"left behind: {path}" for path in (home / "artifacts" / ".staging").glob("*/*")]
    versions = list((home / "models" / "taxi").glob("[0-9]*"))
    found += [] if len(versions) == 1 else [f"{len(versions)} versions of the model"]
    found += [f"{len(journal.pending())} events wait"] if journal.pending() else []
    return found + _disagreements(home)


def _disagreements(home: Path) -> list[str]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    journal = _journal(home)
    found = []
    states = {"SUCCEEDED": "FINISHED", "CACHED": "FINISHED", "FAILED": "FAILED", "INTERRUPTED": "KILLED"}
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    tracked = client.search_runs(experiments, max_results=1000)
    for run in journal.runs():
        parents = [
            r
            for r in tracked
            if r.data.tags.get("headrace.run") == run.id and "headrace.node" not in r.data.tags
        ]
        if [r.info.status for r in parents] != ["FINISHED"]:
            found.append(f"MLflow has {[r.info.status for r in parents]} for run {run.id}")
        for attempt in journal.attempts(run.id):
            same = [
                r
                for r in tracked
                if (r.data.tags.get("headrace.node"), r.data.tags.get("headrace.attempt"))
                == (attempt.node, str(attempt.number))
                and r.data.tags.get("headrace.run") == run.id
            ]
            if [r.info.status for r in same] != [states.get(str(attempt.state), "KILLED")]:
                shown = [r.info.status for r in same]
                found.append(
                    f"{attempt.node} attempt {attempt.number}: journal {attempt.state}, MLflow {shown}"
                )
    return found


def _journal(home: Path) -> Journal:
    from orchestration.journal import Journal

    return Journal.open(f"sqlite:///{home / 'journal.db'}")


def main() -> int:
    """Kill so many times, at moments spread over a whole run; exit 1 at the first contradiction."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--longest", type=float, default=20.0, help="latest moment, in seconds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    choose = random.Random(options.seed)
    bad = 0
    for number in range(options.times):
        folder = Path(tempfile.mkdtemp(prefix="headrace-kill-"))
        killed = kill_and_resume(folder / "home", choose.uniform(0.3, options.longest))
        bad += killed.state != "SUCCEEDED" or bool(killed.complaints)
        print(
            f"{number + 1:>3}  killed at {killed.moment:5.1f} s, {killed.done_before} nodes done, "
            f"then {killed.state}  {killed.complaints or ''}",
            flush=True,
        )
        if killed.complaints:
            print(f"     kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{options.times - bad} of {options.times} clean")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
