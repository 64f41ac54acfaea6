"""Runs: what runs, what is reused, in which order, how often, and what is left afterwards."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from orchestration.errors import HeadraceError, RunStateError
from orchestration.journal import Journal
from orchestration.journal_tables import runs as runs_table
from orchestration.pipeline import Pipeline, load_pipeline
from orchestration.progress import Listener
from orchestration.records import Run, RunState, State
from orchestration.result import RunResult
from orchestration.run import plan_run, resume_run, run_pipeline
from orchestration.selection import select
from orchestration.settings import Settings
from tests.orchestration.conformance import run_both_ways
from tests.pipelines_for_tests import good, running
from tests.pipelines_for_tests.running import Span, spans


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which nodes leave their trace."""
    file = tmp_path / "trace.jsonl"
    monkeypatch.setenv("TRACE", str(file))
    return file


class Heard(Listener):
    """Remembers all it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.states: list[tuple[str, State]] = []
        self.metrics: list[tuple[str, str, float, int]] = []
        self.progressed: list[tuple[str, int, int | None, str]] = []
        self.run = ""

    def started(self, run: Run, nodes: list[str]) -> None:
        self.run = run.id

    def note(self, text: str) -> None:
        self.notes.append(text)

    def node(self, name: str, state: State, reason: str) -> None:
        self.states.append((name, state))

    def metric(self, node: str, name: str, value: float, step: int) -> None:
        self.metrics.append((node, name, value, step))

    def progress(self, node: str, done: int, total: int | None, unit: str) -> None:
        self.progressed.append((node, done, total, unit))


Runner = Callable[..., RunResult]


@pytest.fixture
def run(settings: Settings) -> Runner:
    """Run a pipeline with parameters; keywords that begin with ``_`` go to ``run_pipeline``."""

    def run_(pipeline: Pipeline, **given: Any) -> RunResult:
        passed = {name[1:]: given.pop(name) for name in list(given) if name.startswith("_")}
        return run_pipeline(pipeline, pipeline.bind(given), **{"settings": settings, **passed})

    return run_


def states(result: RunResult) -> dict[str, str]:
    return {name: str(attempt.state) for name, attempt in result.nodes.items()}


def changed(result: RunResult) -> set[str]:
    """Names of the nodes that really ran."""
    return {name for name, attempt in result.nodes.items() if attempt.state is State.SUCCEEDED}


def chosen(pipeline: Pipeline, **choice: Any) -> set[str]:
    whole: dict[str, Any] = {"start": None, "to": None, "only": (), "skip": ()}
    return select(pipeline.graph(pipeline.bind({})), **{**whole, **choice})


# The same in this process and in child processes


@pytest.mark.parametrize(
    ("pipeline", "parameters"),
    [
        (good.chain, {"n": 4}), (good.outputs, {}), (good.decided, {"n": 3}), (good.decided, {"n": 9}),
        (good.repeated, {}), (good.repeated, {"items": ()}), (good.outer, {}), (good.ordered, {}),
        (good.built, {}), (good.collected, {}), (running.passed_on, {}), (running.told, {}),
    ],
    ids=lambda case: case.name if isinstance(case, Pipeline) else "-".join(map(str, case.values())),
)  # fmt: skip
def test_every_way_to_run_gives_the_same(
    pipeline: Pipeline, parameters: dict[str, Any], settings: Settings
) -> None:
    for result in run_both_ways(pipeline, settings, **parameters):
        assert result.state is RunState.SUCCEEDED


def test_results_flow_along_the_edges(run: Runner) -> None:
    result = run(good.outputs, n=5)
    assert result.artifact("join").metadata == {"word": "5 5"}
    assert result.artifact("named").metadata == {"word": "5 4 6"}
    assert result.artifact("add").metadata == {"n": 6}
    assert result.artifact("both", "word").metadata == {"word": "5"}


@pytest.mark.parametrize(
    ("n", "skipped"), [(2, {"big", "spell_big", "three"}), (3, {"big", "spell_big"}), (4, {"small", "three"})]
)
def test_conditions_decide_on_data(run: Runner, n: int, skipped: set[str]) -> None:
    result = run(good.decided, n=n)
    assert {name for name, state in states(result).items() if state == "SKIPPED"} == skipped
    if n == 2:
        assert result.nodes["big"].reason == "start.n > 3 is false: it is 2"


def test_a_repetition_runs_once_for_each_item(run: Runner) -> None:
    result = run(good.repeated, n=1, items=(1, 2, 3))
    # add: 1+k; again: doubled by the value of its own item
    assert result.artifact("total").metadata == {"n": 2 * (2 + 3 + 4)}
    assert [output.item for output in result.nodes["again"].outputs] == [0, 1, 2]
    assert result.nodes["add"].reason == "3 items"


def test_a_repetition_over_nothing_gives_nothing(run: Runner) -> None:
    assert run(good.repeated, items=()).artifact("total").metadata == {"n": 0}


# Cache


def test_an_unchanged_run_does_nothing(run: Runner, trace: Path, settings: Settings) -> None:
    first = run(running.diamond)
    assert changed(first) == set(first.nodes)
    before = spans(trace)
    second = run(running.diamond)
    assert set(states(second).values()) == {"CACHED"}
    assert spans(trace) == before
    assert not (settings.home / "runs" / second.id / "forkserver.txt").exists()  # no process was started
    for name, attempt in second.nodes.items():
        assert attempt.outputs == first.nodes[name].outputs
        assert attempt.key == first.nodes[name].key


def test_a_changed_value_reruns_what_follows_from_it(run: Runner) -> None:
    run(running.diamond, _in_process=True)
    assert changed(run(running.diamond, left=2)) == {"left", "total"}
    assert changed(run(running.diamond, n=2, _in_process=True)) == {"start", "left", "clip", "total", "work"}


def test_equal_content_cuts_the_rerun_short(run: Runner) -> None:
    run(running.diamond, limit=100)
    result = run(running.diamond, limit=50)  # clip runs again, and gives the same number
    assert changed(result) == {"clip"}


def test_a_repetition_follows_its_items_and_is_cached_as_a_whole(run: Runner) -> None:
    run(running.repeated_work, items=(3, 4, 5), _in_process=True)
    result = run(running.repeated_work, items=(3, 9, 5), _in_process=True)
    assert result.artifact("total").metadata == {"n": 3 + 17}
    again = run(running.repeated_work, items=(3, 9, 5))
    assert set(states(again).values()) == {"CACHED"}


def test_a_node_that_must_not_be_cached_always_runs(run: Runner, trace: Path) -> None:
    for _ in range(2):
        run(running.uncached)
    assert sorted(span.name for span in spans(trace)) == ["always", "always", "once"]


def test_a_run_without_cache_runs_everything(run: Runner) -> None:
    run(running.diamond)
    result = run(running.diamond, _cache=False)
    assert changed(result) == set(result.nodes)


@pytest.mark.parametrize("damage", ["changed", "cut", "file deleted", "folder deleted", "manifest", "extra"])
def test_a_damaged_cached_output_is_made_again(run: Runner, damage: str) -> None:
    first = run(running.diamond, _in_process=True)
    left = first.artifact("left")
    file = left.path / "number.txt"
    if damage == "changed":
        file.write_text("7\n")
    elif damage == "cut":
        file.write_text("")
    elif damage == "file deleted":
        file.unlink()
    elif damage == "folder deleted":
        for path in list(left.path.iterdir()):
            path.unlink()
        left.path.rmdir()
    elif damage == "manifest":
        (left.path / "manifest.json").write_text("{")
    else:
        (left.path / "part-2.txt").write_text("more")
    heard = Heard()
    second = run(running.diamond, _listener=heard, _in_process=True)
    assert changed(second) == {"left"}
    assert second.artifact("left").digest == left.digest
    assert (second.artifact("left").path / "number.txt").read_text() == "2\n"
    assert any("it is made again" in note for note in heard.notes)
    assert set(states(run(running.diamond)).values()) == {"CACHED"}


def test_changed_code_reruns_its_nodes_and_what_follows(tmp_path: Path, settings: Settings) -> None:
    project = tmp_path / "project"
    (project / "pipelines").mkdir(parents=True)
    (project / "headrace.toml").write_text("")
    helper = project / "rc_helper.py"
    helper.write_text("BY = 2\n")
    (project / "pipelines" / "rc_flow.py").write_text(
        "from orchestration import pipeline\nfrom rc_helper import BY\n"
        "from tests.pipelines_for_tests.steps import Number, build, start, spell\n"
        "def scale(n: int) -> int:\n    import rc_helper\n    return n * rc_helper.BY\n"
        "@pipeline\ndef rc_flow():\n    number = start(3)\n    spell(build(number, scale))\n"
        "    spell.with_(name='other')(number)\n"
    )
    flow = load_pipeline(str(project / "pipelines" / "rc_flow.py"), project)
    assert run_pipeline(flow, {}, settings=settings).artifact("spell").metadata == {"word": "number 6"}
    helper.write_text("BY = 5  # of another size: bytecode of the same second would be taken for current\n")
    result = run_pipeline(flow, {}, settings=settings)
    assert result.artifact("spell").metadata == {"word": "number 15"}
    assert changed(result) == {"build", "spell"}


def test_data_that_changed_under_the_same_name_is_noticed(run: Runner, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "1.txt").write_text("1")
    assert run(good.reads, files=str(data)).artifact("add").metadata == {"n": 2}
    (data / "2.txt").write_text("10")
    assert run(good.reads, files=str(data)).artifact("add").metadata == {"n": 12}
    (data / "2.txt").write_text("20")
    assert run(good.reads, files=str(data)).artifact("add").metadata == {"n": 22}


def test_a_plan_says_what_would_run_and_changes_nothing(run: Runner, settings: Settings) -> None:
    run(running.diamond)
    journal = Journal.open(settings.journal_url)
    before = len(journal.runs())
    graph = running.diamond.graph({"n": 1, "left": 9, "limit": 100})
    plans = {plan.name: plan for plan in plan_run(graph, settings, set(graph.nodes))}
    assert [name for name, plan in plans.items() if plan.cached] == ["start", "clip", "work"]
    assert plans["left"].reason == "no earlier result with this key"
    assert plans["total"].reason == "depends on what left will give"
    assert len(journal.runs()) == before
    journal.close()


# Selection


def test_unselected_nodes_lend_their_earlier_results(run: Runner, trace: Path) -> None:
    run(running.diamond)
    result = run(running.diamond, left=5, _selected=chosen(running.diamond, start="left"))
    assert changed(result) == {"left", "total"}
    assert result.state is RunState.SUCCEEDED


def test_without_an_earlier_result_what_needs_them_is_skipped(run: Runner) -> None:
    heard = Heard()
    result = run(running.diamond, _selected={"left", "total"}, _listener=heard)
    assert result.nodes["start"].reason == "not selected, and there is no earlier result to use"
    assert result.nodes["left"].reason == "needs start, which is SKIPPED"
    assert heard.notes == ["start is not selected and has no earlier result: left will be skipped"]


# At the same time


def overlap(found: Sequence[Span]) -> int:
    """Return how many spans there are at the busiest moment."""
    moments = [(span.began, 1) for span in found] + [(span.ended, -1) for span in found]
    return max(itertools.accumulate(step for _, step in sorted(moments)))


def test_independent_nodes_overlap_in_processes_of_their_own(run: Runner, trace: Path) -> None:
    result = run(running.side_by_side, count=2, seconds=1.0)
    found = spans(trace)
    assert overlap(found) == 2
    assert len({span.pid for span in found} | {os.getpid()}) == 3
    assert result.seconds < 1.9


def test_no_more_run_at_once_than_allowed(run: Runner, trace: Path, settings: Settings) -> None:
    for places in (1, 3):
        trace.unlink(missing_ok=True)
        capped = settings.replace(concurrency=places)
        run(running.side_by_side, count=6, seconds=0.15, _settings=capped, _cache=False)
        assert overlap(spans(trace)) == places


def test_items_of_a_repetition_run_at_once_too(run: Runner) -> None:
    result = run(running.small_steps, seconds=0.0)
    assert result.state is RunState.SUCCEEDED


def test_a_short_arm_does_not_wait_for_a_long_one(run: Runner, trace: Path) -> None:
    run(running.uneven, seconds=0.4)
    by_name = {span.name: span for span in spans(trace)}
    assert by_name["further"].began < by_name["long"].ended


def test_accelerators_are_claimed_one_by_one(run: Runner, trace: Path, settings: Settings) -> None:
    run(running.side_by_side, count=4, seconds=0.2, gpu=1, _settings=settings.replace(gpus=2))
    found = spans(trace)
    assert overlap(found) == 2
    for device in ("0", "1"):
        own = [span for span in found if span.devices == device]
        assert len(own) == 2 and overlap(own) == 1


def test_a_node_without_accelerators_sees_none(run: Runner, trace: Path, settings: Settings) -> None:
    run(running.side_by_side, count=1, seconds=0.0, _settings=settings.replace(gpus=2))
    assert [span.devices for span in spans(trace)] == [""]


def test_runs_begun_in_the_same_second_have_names_of_their_own(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: run_pipeline(good.built, {"n": n}, settings=settings), range(4)))
    assert len({result.id for result in results}) == 4
    assert [result.artifact("build").metadata["n"] for result in results] == [0, 2, 4, 6]


# Again


def test_retries_wait_longer_each_time(run: Runner, trace: Path, settings: Settings) -> None:
    heard = Heard()
    result = run(running.retried, fails=2, retries=2, backoff=0.2, _listener=heard)
    assert result.state is RunState.SUCCEEDED
    assert result.attempts["flaky"] == 3
    first, second, third = spans(trace)
    assert 0.75 * 0.2 < second.began - first.ended < third.began - second.ended
    assert third.began - second.ended > 0.75 * 0.4
    assert "OSError: attempt 1 found the line busy; next attempt in" in heard.notes[0]
    journal = Journal.open(settings.journal_url)
    kept = [(a.number, str(a.state)) for a in journal.attempts(result.id) if a.node == "flaky"]
    assert kept == [(1, "FAILED"), (2, "FAILED"), (3, "SUCCEEDED")]
    journal.close()


def test_retries_come_to_an_end(run: Runner) -> None:
    result = run(running.retried, fails=5, retries=1, backoff=0.0)
    assert result.nodes["flaky"].error.startswith("OSError: attempt 2 found the line busy")
    assert result.attempts["flaky"] == 2
    assert result.nodes["add"].state is State.SKIPPED


def test_the_scratch_folder_outlives_attempts_and_is_removed_after_success(
    run: Runner, settings: Settings
) -> None:
    result = run(running.retried, fails=2, retries=2, backoff=0.0)
    assert result.artifact("flaky").metadata == {"n": 2}  # the third attempt saw what the first two left
    assert not list((settings.home / "scratch").glob("*/*"))


def test_resume_does_only_what_is_missing(
    run: Runner, trace: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEEDED", str(tmp_path / "needed.txt"))
    failed = run(running.resumable, n=2, where=Path("a/b"))
    assert failed.state is RunState.FAILED
    assert changed(failed) == {"start", "before", "beside"}
    (tmp_path / "needed.txt").write_text("42")
    resumed = resume_run(None, settings=settings)
    assert resumed.id == failed.id and resumed.state is RunState.SUCCEEDED
    assert resumed.artifact("behind").metadata["n"] == 42
    assert sorted(span.name for span in spans(trace)) == [
        "before", "behind", "beside", "needs_file", "needs_file",
    ]  # fmt: skip
    journal = Journal.open(settings.journal_url)
    numbers = {(a.node, a.number): str(a.state) for a in journal.attempts(failed.id)}
    journal.close()
    assert numbers == {
        ("start", 1): "SUCCEEDED", ("before", 1): "SUCCEEDED", ("beside", 1): "SUCCEEDED",
        ("needs_file", 1): "FAILED", ("needs_file", 2): "SUCCEEDED",
        ("behind", 1): "SKIPPED", ("behind", 2): "SUCCEEDED",
    }  # fmt: skip
    with pytest.raises(RunStateError, match="there is no unfinished run"):
        resume_run(None, settings=settings)
    with pytest.raises(RunStateError, match="has succeeded"):
        resume_run(failed.id, settings=settings)


# What a node tells


def test_what_a_node_tells_is_kept(run: Runner, settings: Settings) -> None:
    heard = Heard()
    result = run(running.told, _listener=heard)
    assert heard.metrics == [("rehearsed", "loss", 1.0 / step, step - 1) for step in (1, 2, 3)]
    assert heard.progressed == [("rehearsed", 5, 10, "rows")]
    assert result.metrics == {"rehearsed.loss": pytest.approx(1 / 3)}
    attempt = result.nodes["rehearsed"]
    folder = Path(attempt.folder)
    assert (folder / "attachments" / "report.html").read_text() == "<b>fine</b>"
    log = (folder / "log.txt").read_text()
    assert "a word on standard output" in log and "a word on standard error" in log
    assert attempt.cpu_seconds > 0 and attempt.peak_mb > 1
    assert not (folder / "call.pickle").exists()
    assert not (Path(settings.artifacts) / ".staging" / result.id).exists()


def test_the_outbox_tells_the_run_from_start_to_end(run: Runner, settings: Settings) -> None:
    result = run(running.told)
    journal = Journal.open(settings.journal_url)
    events = [event for _, event in journal.pending()]
    journal.close()
    assert all(event["run_id"] == result.id for event in events)
    kinds = [(event["kind"], event.get("node", "")) for event in events]
    assert kinds[0] == ("run_started", "") and kinds[-1] == ("run_finished", "")
    assert kinds.index(("node_started", "rehearsed")) < kinds.index(("metrics", "rehearsed"))
    assert kinds.index(("metrics", "rehearsed")) < kinds.index(("node_finished", "rehearsed"))
    steps = [m["step"] for e in events if e["kind"] == "metrics" for m in e["metrics"]]
    assert steps == [0, 1, 2]
    finished = events[kinds.index(("node_finished", "rehearsed"))]
    assert finished["state"] == "SUCCEEDED" and finished["outputs"][0]["type"] == "Number"
    assert [attachment["name"] for attachment in finished["attachments"]] == ["report.html"]
    json.dumps(events)


# Processes


def alive(pids: Path) -> list[int]:
    """Return which of the processes whose numbers are in a file are still there."""
    found = []
    for pid in map(int, pids.read_text().split()):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        found += [] if state in "ZX" else [pid]
    return found


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_timeout_leaves_no_process_behind(
    run: Runner, tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.workers.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("orchestration.workers.Child.stop.__defaults__", (0.5,))
    pids = tmp_path / "pids"
    result = run(running.hanging, pids=str(pids), stubborn=stubborn, timeout=2.0)
    assert result.nodes["hangs"].reason.startswith(
        "TimeoutError: the node took longer than its timeout of 2 s"
    )
    assert result.nodes["add"].state is State.SUCCEEDED
    assert len(pids.read_text().split()) == 4
    assert alive(pids) == []


def test_what_a_node_started_ends_with_it(run: Runner, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert run(running.littering, pids=str(pids)).state is RunState.SUCCEEDED
    assert alive(pids) == []


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_a_fork_server_that_dies_costs_one_attempt(run: Runner, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def kill_its_server() -> None:
        until(pids.exists)
        node = int(pids.read_text().split()[0])
        server = int(Path(f"/proc/{node}/stat").read_text().rpartition(")")[2].split()[1])
        assert b"forkserver" in Path(f"/proc/{server}/cmdline").read_bytes()
        os.kill(server, signal.SIGKILL)

    killer = threading.Thread(target=kill_its_server)
    killer.start()
    heard = Heard()
    result = run(running.second_time_lucky, pids=str(pids), _listener=heard)
    killer.join()
    assert heard.notes[0].startswith(
        "hangs_once: the node's process was killed by SIGKILL, with its fork server"
    )
    assert result.state is RunState.SUCCEEDED
    assert result.attempts["hangs_once"] == 2
    assert alive(pids) == []


# Interrupted


def test_a_run_that_lost_its_lease_ends_itself(settings: Settings, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def steal() -> None:
        until(pids.exists)
        journal = Journal.open(settings.journal_url)
        with journal.engine.begin() as connection:
            connection.execute(runs_table.update().values(owner="somebody else"))
        journal.close()

    thief = threading.Thread(target=steal)
    thief.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.run.LEASE_SECONDS", 1.0)
        with pytest.raises(RunStateError, match="held by another process"):
            run_pipeline(running.hanging, running.hanging.bind({"pids": str(pids)}), settings=settings)
    thief.join()
    assert alive(pids) == []
    journal = Journal.open(settings.journal_url)
    assert journal.runs()[0].state is RunState.RUNNING  # it belongs to somebody else now
    journal.close()


def test_a_run_left_by_an_exception_can_be_resumed_at_once(run: Runner, settings: Settings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestration.dag._join", _defect)
        with pytest.raises(Exception, match="our own defect"):
            run(running.diamond)
    journal = Journal.open(settings.journal_url)
    (left,) = journal.runs()
    assert left.state is RunState.INTERRUPTED
    journal.close()
    resumed = resume_run(None, settings=settings)
    assert (resumed.id, resumed.state) == (left.id, RunState.SUCCEEDED)


def _defect(name: str, token: str) -> None:
    raise ZeroDivisionError("our own defect")


def test_who_watches_cannot_break_a_run(run: Runner) -> None:
    class Broken(Heard):
        def node(self, name: str, state: State, reason: str) -> None:
            super().node(name, state, reason)
            raise BrokenPipeError("the terminal is gone")

    heard = Broken()
    assert run(running.diamond, _listener=heard).state is RunState.SUCCEEDED
    assert len(heard.states) == 1


def test_a_run_that_is_going_cannot_be_run_by_another(settings: Settings, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    refused: list[HeadraceError] = []

    def second() -> None:
        until(pids.exists)
        try:
            resume_run(Journal.open(settings.journal_url).runs()[0].id, settings=settings)
        except HeadraceError as error:
            refused.append(error)

    other = threading.Thread(target=second)
    other.start()
    bound = running.hanging.bind({"pids": str(pids), "timeout": 2.0})
    result = run_pipeline(running.hanging, bound, settings=settings)
    other.join()
    assert [type(error) for error in refused] == [RunStateError]
    assert "is still going" in str(refused[0])
    assert result.nodes["add"].state is State.SUCCEEDED
