"""The data components on a cluster: other processes, other engine, the same artifacts.

``flink`` is the real thing: it needs Java and Beam's Flink job server, and is skipped where they cannot
be had (FLINK_JOB_SERVER_JAR names a jar at hand). ``beam`` is Beam's own job server behind the same protocol,
with the same worker processes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.compute_statistics import compute_statistics
from components.read_csv import read_csv
from components.schema.schema import Severity
from components.validate_examples import validate_examples
from components.validation.suite import Rule
from orchestration import Artifact, Beam, Files, HeadraceError, RunContext
from orchestration.beam import BeamJobError
from orchestration.store import publish
from tests.components.validation.material import broad_suite, examples_of, rule, schema_of
from tests.flink.cluster_for_tests import ROOT, Cluster, cluster, script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TAXI = ROOT / ".." / "shared" / "data" / "taxi" / "data.csv"
PIPELINE = """
from components.compute_statistics import compute_statistics
from components.infer_schema import infer_schema
from components.read_csv import read_csv
from components.validate_examples import validate_examples
from orchestration import pipeline


@pipeline
def taxi_data(data: str = "data.csv") -> None:
    examples = read_csv(data, splits={"train": 0.8, "eval": 0.2})
    statistics = compute_statistics(examples)
    validate_examples(examples, statistics, infer_schema(statistics))
"""


@pytest.fixture(scope="module", params=["beam", "flink"])
def remote(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture
def beam(remote: Cluster, tmp_path: Path) -> Beam:
    (tmp_path / "scratch").mkdir()
    return Beam(remote.options, tmp_path / "scratch")


def digests(project: Path) -> dict[str, list[str]]:
    kinds = (project / ".headrace/artifacts").iterdir()
    return {kind.name: sorted(one.name for one in kind.iterdir()) for kind in kinds if kind.name[0] != "."}


def run_taxi(project: Path, profile: str) -> dict[str, list[str]]:
    project.mkdir(exist_ok=True)
    (project / "taxi_data.py").write_text(PIPELINE)
    shutil.copy(TAXI, project / "data.csv")
    command = [sys.executable, "-m", "orchestration.cli", "run", "taxi_data.py", "--profile", profile]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HEADRACE_TRACKING": "off"}
    done = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return digests(project)


def table(rows: int, seed: int, nans: float = 0.0) -> pa.Table:
    """Return rows whose sums depend on the order of adding, with many and few distinct values."""
    random = np.random.default_rng(seed)
    amount = np.where(random.random(rows) < nans, np.nan, random.lognormal(3, 4, rows))
    return pa.table(
        {
            "number": np.arange(rows) + rows * seed,
            "amount": pa.array(amount, mask=random.random(rows) < 0.03),
            "name": [f"name {n}" for n in random.integers(0, 20_000, rows)],
            "kind": pa.array(random.choice(["a", "b", "c"], rows), mask=random.random(rows) < 0.1),
        }
    )


def digest(artifact: Artifact, root: Path) -> str:
    return publish(artifact, str(root)).digest


# --- the same artifacts --------------------------------------------------------------------------


@pytest.mark.skipif(not TAXI.exists(), reason=f"the taxi data is not at {TAXI}")
def test_the_taxi_data_gives_the_digests_of_the_local_runner(remote: Cluster, tmp_path: Path) -> None:
    (remote.project / "headrace.toml").write_text(remote.profile)
    here = run_taxi(tmp_path / "here", "local")
    assert {kind: len(found) for kind, found in here.items()} == {
        "Examples": 1,
        "Schema": 1,
        "Statistics": 1,
        "Validation": 1,
    }
    assert run_taxi(remote.project, "flink") == here


def test_files_are_read_and_dealt_the_same(beam: Beam, tmp_path: Path) -> None:
    for number in range(12):
        lines = [f"{number * 50 + i},{i * 0.1},{'x' if number < 6 or i % 7 else ''}" for i in range(50)]
        broken = ["1,2,3,4"] if number == 3 else []
        text = "\n".join(["id,share,name", *lines, *broken]) + "\n"
        (tmp_path / f"part-{number:02d}.csv").write_text(text)
    read = partial(
        read_csv,
        Files(tmp_path / "part-*.csv"),
        splits={"train": 0.7, "eval": 0.3},
        on_bad_rows="quarantine",
    )
    here, there = read(beam=Beam(), run=RunContext()), read(beam=beam, run=RunContext())
    assert here.metadata["quarantined"] == 1
    assert digest(there, tmp_path / "there") == digest(here, tmp_path / "here")


def test_many_row_groups_are_described_the_same(beam: Beam, tmp_path: Path) -> None:
    splits = ("train", table(20_000, 1, nans=0.02)), ("eval", table(5_000, 2, nans=0.02))
    examples = examples_of(*splits, row_group=700, files=5)
    here = compute_statistics(examples, beam=Beam(), run=RunContext())
    there = compute_statistics(examples, beam=beam, run=RunContext())
    assert digest(there, tmp_path / "there") == digest(here, tmp_path / "here")


def test_many_row_groups_are_judged_and_set_aside_the_same(beam: Beam, tmp_path: Path) -> None:
    rows = table(6_000, 3)
    examples = publish(examples_of(("train", rows), row_group=500, files=4), str(tmp_path / "inputs"))
    statistics = compute_statistics(examples, beam=Beam(), run=RunContext())
    warned = [Rule(one.type, one.kwargs, Severity.WARN) for one in broad_suite(rows)]
    aside = [
        rule("column_values_to_be_between", Severity.QUARANTINE, column="amount", max_value=1e6),
        rule("column_values_to_be_unique", Severity.QUARANTINE, column="name"),
    ]
    schema = schema_of(rows, [*warned, *aside])
    check = partial(validate_examples, examples, statistics, schema)
    here, there = check(beam=Beam(), run=RunContext()), check(beam=beam, run=RunContext())
    assert here.validation.metadata["quarantined"] > 0
    for one, other in zip(here, there, strict=True):
        assert digest(other, tmp_path / "there") == digest(one, tmp_path / "here")


# --- how it fails --------------------------------------------------------------------------------


def message_of(files: Path, beam: Beam) -> str:
    with pytest.raises(HeadraceError) as caught:
        read_csv(Files(files), column_types={"id": "int64"}, beam=beam, run=RunContext())
    caught.value.at = ""
    return str(caught.value)


def test_an_error_in_the_data_says_the_same(beam: Beam, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("id,name\n1,a\nseven,b\n")
    message = message_of(file, Beam())
    assert "bad.csv:3" in message
    assert message_of(file, beam) == message


def test_an_error_in_a_worker_is_named(beam: Beam) -> None:
    import apache_beam

    def divide(value: int) -> float:
        return 1 / value

    with pytest.raises(BeamJobError, match="failed on") as caught, beam.pipeline() as job:
        job | apache_beam.Create([0]) | "Divide" >> apache_beam.Map(divide)
    assert "ZeroDivisionError: division by zero" in str(caught.value.received)


# --- what the cluster is -------------------------------------------------------------------------


def test_the_work_is_done_in_other_processes(beam: Beam) -> None:
    import apache_beam

    with beam.pipeline() as job:
        pids = job | apache_beam.Create([0]) | apache_beam.Map(lambda _: (os.getpid(), os.getppid()))
        found = beam.result(pids)
    assert not {os.getpid(), os.getppid()} & set(found.get())


def test_bringing_it_up_again_changes_nothing(remote: Cluster) -> None:
    again = script("up", remote.project)
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert remote.profile in again.stdout


def test_taking_it_down_frees_its_ports(tmp_path: Path) -> None:
    with cluster("beam", tmp_path) as running:
        places = [running.options[name] for name in ("job_endpoint", "environment_config")]
    for place in places:
        host, port = place.split(":")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((host, int(port)), timeout=2).close()
    assert not (tmp_path / ".headrace/flink/profile.toml").exists()


def test_without_a_job_server_a_run_fails_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{unused.getsockname()[1]}"
        started = time.monotonic()
        gone = Beam({"runner": "FlinkRunner", "job_endpoint": place})
        with pytest.raises(BeamJobError, match=r"does not answer[\s\S]*infra/flink/up"), gone.pipeline():
            pass
    assert time.monotonic() - started < 30


def test_a_missing_jar_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLINK_JOB_SERVER_JAR", str(tmp_path / "nowhere.jar"))
    failed = script("up", tmp_path)
    assert (failed.returncode, failed.stdout) in ((2, ""), (3, ""))
    assert failed.stderr.startswith("error: ")
    assert "\n  next      " in failed.stderr
    assert not list(tmp_path.glob(".headrace/flink/*.pid"))
