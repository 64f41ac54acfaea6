"""What a run takes from earlier ones: the cache, and nodes that are not selected."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.cli.discovery import load_pipeline
from orchestration.cli.planning import plan_run
from orchestration.journal import Journal
from orchestration.pipeline import Pipeline
from orchestration.records import RunState
from orchestration.run import run_pipeline
from orchestration.settings import Settings
from tests.orchestration.runs import Heard, Runner, changed, chosen, states
from tests.pipelines_for_tests import good, running
from tests.pipelines_for_tests.running import spans

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


@pytest.mark.parametrize(
    ("pipeline", "given"),
    [(running.repeated_work, {}), (good.decided, {"n": 2})],
    ids=["repeated", "skipped"],
)
def test_without_anything_to_run_no_process_is_started(
    run: Runner, settings: Settings, pipeline: Pipeline, given: dict[str, int]
) -> None:
    first, second = run(pipeline, _in_process=True, **given), run(pipeline, **given)
    assert changed(second) == set() and second.state is RunState.SUCCEEDED
    assert not (settings.home / "runs" / second.id / "forkserver.txt").exists()
    for name, attempt in second.nodes.items():
        assert attempt.outputs == first.nodes[name].outputs
    graph = pipeline.graph(pipeline.bind(given))
    cached = {plan.name: plan.cached for plan in plan_run(graph, settings, set(graph.nodes))}
    assert cached == {name: attempt.state.gave_outputs for name, attempt in second.nodes.items()}


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
    result = run(running.diamond, _selected={"left", "total"})
    assert result.nodes["start"].reason == "not selected, and there is no earlier result to use"
    assert result.nodes["left"].reason == "needs start, which is SKIPPED"
