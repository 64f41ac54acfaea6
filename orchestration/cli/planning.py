"""The dry run behind ``headrace plan``: the coordinator's own decisions, without recording any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestration.coordinator import Coordinator
from orchestration.graph import Graph
from orchestration.journal import Journal
from orchestration.records import Attempt, Run, RunState, now
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
    known = dry.known()
    plans = []
    for node in graph.sorted():
        waiting = [need for need in node.needs if need not in known]
        if node.name in known:
            plans.append(Planned(node.name, True, known[node.name].reason))
        elif node.name not in selected:
            plans.append(Planned(node.name, False, "not selected"))
        elif waiting:
            plans.append(Planned(node.name, False, f"depends on what {', '.join(waiting)} will give"))
        else:
            plans.append(Planned(node.name, False, dry.why(node.name, known)))
    return plans


class _DryCoordinator(Coordinator):
    """Decides as a coordinator does, and records nothing."""

    def _finish(self, attempt: Attempt) -> Attempt:
        return attempt

    def why(self, name: str, known: dict[str, Attempt]) -> str:
        node = self.graph.nodes[name]
        if not self.run.options["cache"]:
            return "the cache is off"
        if not node.component.policy.cache:
            return "its results are never reused"
        if node.each is not None:
            return "one run for each item"
        obstacle = self.obstacle(node, {need: known[need] for need in node.needs})
        return f"will be skipped: {obstacle}" if obstacle else "no earlier result with this key"
