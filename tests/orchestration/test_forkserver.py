"""The fork servers: imported, not used; one thread; no process outlives them."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from orchestration.component import Component
from orchestration.node import Call
from orchestration.records import Attempt, State
from orchestration.settings import Settings
from orchestration.workers import Workers
from tests.pipelines_for_tests import running
from tests.pipelines_for_tests.steps import Number, add, start

ROOT = Path(__file__).resolve().parents[2]
BEAM = ("pyarrow.parquet", "apache_beam")
TENSORFLOW = (*BEAM, "KERAS_BACKEND=tensorflow", "tensorflow", "keras")


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers([str(ROOT), *sys.path], tmp_path / "forkserver.txt", threading.Event())
    yield made
    made.close()


Events = Iterator[dict[str, Any]]
Send = Callable[..., Events]


@pytest.fixture
def send(workers: Workers, settings: Settings, tmp_path: Path) -> Send:
    """Start a node's process for a component and its arguments; what it tells from then on."""
    count = iter(range(1000))

    def send_(component: Component[Number], *, imports: tuple[str, ...] = (), **arguments: object) -> Events:
        number = next(count)
        folder = tmp_path / f"node-{number}"
        folder.mkdir()
        attempt = Attempt("run", "node", State.RUNNING, number, key=str(number), folder=str(folder))
        call = Call(component, arguments, settings, "pipeline", attempt)
        (folder / "call.pickle").write_bytes(cloudpickle.dumps(call))
        events = workers.run(imports, folder / "call.pickle", folder / "log.txt")
        assert next(events)["kind"] == "started"
        return events

    return send_


def probe() -> Number:
    """Tell about the process: its parent's threads and modules, its own parent and group."""
    parent = Path(f"/proc/{os.getppid()}")
    return Number.new(
        parent_threads=len(list((parent / "task").iterdir())),
        own_threads=len(list(Path("/proc/self/task").iterdir())),
        parent=os.getppid(), leader=os.getpgid(0) == os.getpid(), modules=sorted(sys.modules),
        backend=os.environ.get("KERAS_BACKEND", ""), descriptors=len(list(Path("/proc/self/fd").iterdir())),
    )  # fmt: skip


def facts(events: Events) -> dict[str, object]:
    """Return what ``probe`` found."""
    for event in events:
        if event["kind"] == "result":
            assert event["state"] == "SUCCEEDED", event["traceback"]
            return dict(event["outputs"][0]["metadata"])
    raise AssertionError("no result")


probing = Component(probe, add.policy)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_node_starts_in_a_fork_of_a_server_with_one_thread(send: Send) -> None:
    found = facts(send(probing))
    assert found["parent_threads"] == 1
    assert found["leader"] is True
    assert isinstance(found["descriptors"], int) and found["descriptors"] < 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports", [BEAM, TENSORFLOW, (*BEAM, "great_expectations"), ("pyarrow.parquet", "onnxruntime")],
    ids=["beam", "tensorflow", "great_expectations", "onnxruntime"],
)  # fmt: skip
def test_what_is_imported_beforehand_starts_no_thread(send: Send, imports: tuple[str, ...]) -> None:
    found = facts(send(probing, imports=imports))
    assert found["parent_threads"] == 1
    modules = found["modules"]
    assert isinstance(modules, list)
    assert {name for name in imports if "=" not in name} <= set(modules)
    assert found["backend"] == ("tensorflow" if imports is TENSORFLOW else "")


def test_servers_share_the_beginning_of_their_imports(send: Send) -> None:
    plain, again = facts(send(probing)), facts(send(probing))
    decimal = facts(send(probing, imports=("decimal",)))
    both = facts(send(probing, imports=("decimal", "wave")))
    assert plain["parent"] == again["parent"]
    assert len({plain["parent"], decimal["parent"], both["parent"]}) == 3
    assert "wave" in both["modules"] and "wave" not in decimal["modules"]  # type: ignore[operator]
    assert _parent_of(both["parent"]) == decimal["parent"]
    assert _parent_of(decimal["parent"]) == plain["parent"]


def test_an_import_that_fails_is_left_to_the_node(send: Send) -> None:
    assert facts(send(probing, imports=("no_such_module", "wave")))["leader"] is True


def test_how_a_child_ended_and_what_it_used_is_told(send: Send) -> None:
    result, ended = send(add, number=start(1), k=2, seconds=0.0)
    assert (result["kind"], ended["kind"], ended["code"], ended["late"]) == ("result", "ended", 0, False)
    assert 0 < ended["cpu_seconds"] < 5 and 1 < ended["peak_mb"] < 4000


def test_what_one_child_sends_does_not_wait_for_another(send: Send) -> None:
    busy = send(add, number=start(1), k=2, seconds=2.0)
    began = time.monotonic()
    assert facts(send(probing))["leader"] is True
    assert time.monotonic() - began < 1.5
    assert next(busy)["kind"] == "result"


def test_many_children_at_once_are_kept_apart(send: Send) -> None:
    children = [send(add, number=start(n), k=1, seconds=0.0) for n in range(30)]
    found = [next(child)["outputs"][0]["metadata"]["n"] for child in children]
    assert found == [n + 1 for n in range(30)]


def test_the_clock_starts_with_the_child_not_with_the_imports(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(1.5)\n")
    workers = Workers([str(tmp_path), str(ROOT), *sys.path], tmp_path / "log.txt", threading.Event())
    (tmp_path / "call.pickle").write_bytes(pickle.dumps(None))  # the node fails at once
    events = list(workers.run(("slow_to_import",), tmp_path / "call.pickle", tmp_path / "log.txt", 1.0))
    workers.close()
    assert [event["kind"] for event in events] == ["started", "ended"]
    assert not events[-1]["late"]


# No process outlives its server


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)


def _parent_of(pid: object) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _started(pids: Path) -> list[int]:
    deadline = time.monotonic() + 20
    while not pids.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int(pid) for pid in pids.read_text().split()]


@pytest.mark.parametrize("imports", [(), ("decimal",)], ids=["root", "branch"])
def test_closing_the_servers_ends_everything(
    send: Send, workers: Workers, tmp_path: Path, imports: tuple[str, ...]
) -> None:
    pids = tmp_path / "pids"
    events = send(running.hangs, imports=imports, number=start(1), pids=str(pids), stubborn=True)
    started = _started(pids)
    server = _parent_of(started[0])
    workers.close()
    assert [pid for pid in [*started, server] if not gone(pid, 0.0)] == []
    assert [event["code"] for event in events] == [None]


def test_after_the_end_nothing_is_started(workers: Workers, tmp_path: Path) -> None:
    workers.close()
    ended = workers.run((), tmp_path / "call.pickle", tmp_path / "log.txt")
    assert [event["code"] for event in ended] == [None]
    assert workers._root.poll() is not None


@pytest.mark.parametrize(
    ("imports", "above"),
    [((), 0), (("decimal",), 0), (("decimal",), 1), (("decimal", "wave"), 0), (("decimal", "wave"), 1)],
    ids=["root", "branch", "root of a branch", "twig", "branch of a twig"],
)
def test_a_killed_server_takes_its_children_along(
    send: Send, tmp_path: Path, imports: tuple[str, ...], above: int
) -> None:
    pids = tmp_path / "pids"
    events = send(running.hangs, imports=imports, number=start(1), pids=str(pids), stubborn=True)
    node, in_group, *elsewhere = _started(pids)
    server = _parent_of(node) if above == 0 else _parent_of(_parent_of(node))
    os.kill(server, signal.SIGKILL)
    assert [event["code"] for event in events] == [None]
    assert gone(node) and gone(in_group)
    if above == len(imports):  # the root: of those in sessions of their own no server is left to end them
        for pid in elsewhere:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert all(gone(pid) for pid in elsewhere)
    assert facts(send(probing, imports=imports))["leader"] is True  # servers are started again


def test_a_coordinator_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        "import sys; from pathlib import Path; from orchestration.run import run_pipeline\n"
        "from orchestration.settings import load; from tests.pipelines_for_tests.running import hanging\n"
        "settings = load(home=sys.argv[2], tracking='off')\n"
        "run_pipeline(hanging, hanging.bind({'pids': sys.argv[1], 'stubborn': True}), settings=settings)\n"
    )
    coordinator = subprocess.Popen(
        [sys.executable, "-c", script, str(pids), str(tmp_path / "home")], cwd=ROOT, stderr=subprocess.PIPE
    )
    started = _started(pids)
    servers = {_parent_of(started[0])}
    coordinator.kill()
    coordinator.wait()
    assert all(gone(pid) for pid in [*started, *servers])
