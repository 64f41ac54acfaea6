"""The dry run behind ``headrace plan``: the coordinator's own decisions, without recording any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestration.coordinator import Coordinator
from orchestration.graph import Graph, Node
from orchestration.journal import Journal
from orchestration.records import Attempt, Run, RunState, State, now
from orchestration.result import Listener
from orchestration.settings import Settings


@dataclass(frozen=True)
class Planned:
    """What a node of a run would do: its state now, and why."""

    name: str
    cached: bool
    reason: str


def plan_run(graph: Graph, settings: Settings, selected: set[str], *, cache: bool = True) -> list[Planned]:
    """Return what a run would do with each node, without running anything."""
    options: dict[str, Any] = {"selected": sorted(selected), "cache": cache, "in_process": True}
    run = Run("plan", "plan", "", "", "", {}, options, {}, RunState.RUNNING, now(), now())
    dry = _DryCoordinator(graph, run, "", Journal.open(settings.journal_url), settings, Listener())
    dry.look_ahead()
    return [dry.planned(node) for node in graph.sorted()]


class _DryCoordinator(Coordinator):
    """Decides as a coordinator does, and records nothing."""

    def _finish(self, attempt: Attempt) -> Attempt:
        return attempt

    def planned(self, node: Node) -> Planned:
        ended = self.results.get(node.name)
        waiting = [need for need in node.needs if need not in self.results]
        if ended and ended.state.gave_outputs:
            return Planned(node.name, True, ended.reason)
        if node.name not in self.selected:
            return Planned(node.name, False, "not selected")
        if ended:
            what = "skipped" if ended.state is State.SKIPPED else "refused"
            return Planned(node.name, False, f"will be {what}: {ended.reason}")
        if waiting:
            return Planned(node.name, False, f"depends on what {', '.join(waiting)} will give")
        if not self.run.options["cache"]:
            return Planned(node.name, False, "the cache is off")
        if not node.component.policy.cache:
            return Planned(node.name, False, "its results are never reused")
        if node.each is not None:
            return Planned(node.name, False, "one run for each item")
        return Planned(node.name, False, "no earlier result with this key")
