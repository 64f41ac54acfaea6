"""What a run tells whoever watches it, and what it returns in the end."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from orchestration.artifacts import Artifact
from orchestration.errors import HeadraceError
from orchestration.records import Attempt, Run, RunState, State


class Listener:
    """Hears about a run as it goes. Every method does nothing here; called from several threads."""

    def started(self, run: Run, nodes: list[str]) -> None:
        """The run has an identifier; its nodes are known, in order."""

    def node(self, name: str, state: State, reason: str) -> None:
        """A node changed its state."""

    def progress(self, node: str, done: int, total: int | None, unit: str) -> None:
        """A node tells how far it is."""

    def metric(self, node: str, name: str, value: float, step: int) -> None:
        """A node measured something."""

    def note(self, text: str) -> None:
        """Something a person should know that is no failure."""


def guarded(listener: Listener) -> Listener:
    """Return one that passes everything on until it fails: who watches a run must not break it."""
    return cast("Listener", _Guarded(listener))


class _Guarded:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __getattr__(self, what: str) -> Callable[..., None]:
        def tell(*facts: Any, **named: Any) -> None:
            try:
                getattr(self._listener, what)(*facts, **named)
            except Exception:  # noqa: BLE001 - a terminal that is gone, for one; the run goes on unseen
                self._listener = Listener()

        return tell


class RunFailedError(HeadraceError):
    """A node of the run failed."""


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run: its state and the last attempt at every node.

    Attributes:
        id: The run's identifier, for ``headrace show``.
        pipeline: The pipeline's name.
        state: SUCCEEDED, FAILED or INTERRUPTED.
        seconds: Wall seconds.
        nodes: Last attempt by node, in the graph's order.
        attempts: How many attempts each node took in this run.
        undelivered: Events that MLflow has not received yet.
    """

    id: str
    pipeline: str
    state: RunState
    seconds: float
    nodes: dict[str, Attempt]
    attempts: dict[str, int] = field(default_factory=dict)
    undelivered: int = 0

    @property
    def ok(self) -> bool:
        """Whether the run succeeded."""
        return self.state is RunState.SUCCEEDED

    @property
    def exit_code(self) -> int:
        """0 succeeded, 1 a node failed, 130 interrupted."""
        return {RunState.SUCCEEDED: 0, RunState.FAILED: 1, RunState.INTERRUPTED: 130}[self.state]

    @property
    def failed(self) -> list[Attempt]:
        """The attempts that failed, in the order they ended."""
        found = [a for a in self.nodes.values() if a.state is State.FAILED]
        return sorted(found, key=lambda attempt: attempt.ended or 0.0)

    @property
    def metrics(self) -> dict[str, float]:
        """Last value of every metric, as ``node.metric``."""
        return {f"{node}.{m}": v for node, a in self.nodes.items() for m, v in a.metrics.items()}

    def artifact(self, node: str, output: str | None = None) -> Artifact:
        """Return a node's output; ``output`` may be left out where there is only one.

        Raises:
            RunFailedError: The node has no such output.
        """
        attempt = self.nodes.get(node)
        outputs = [o for o in attempt.outputs if output in (None, o.name)] if attempt else []
        if len(outputs) != 1:
            headline = f"run {self.id} has no single output {node}{'.' + output if output else ''}"
            known = ", ".join(o.name for o in attempt.outputs) if attempt else ", ".join(self.nodes)
            received = str(attempt.state) if attempt else "no such node"
            raise RunFailedError(headline, expected=known or "a node that succeeded", received=received)
        return outputs[0].artifact()

    def raise_for_state(self) -> None:
        """Raise the first failure, if any.

        Raises:
            RunFailedError: A node failed or the run was interrupted.
        """
        if self.failed:
            first = self.failed[0]
            raise RunFailedError(first.error.partition("\n")[0], at="", next=f"headrace show {self.id}")
        if not self.ok:
            raise RunFailedError(f"run {self.id} was interrupted", at="", next=f"headrace resume {self.id}")

    def _repr_html_(self) -> str:
        cells = [(name, a.state, f"{a.seconds:.1f} s", a.reason) for name, a in self.nodes.items()]
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in cells]
        head = f"<b>{html.escape(self.id)}</b> {self.state}, {self.seconds:.1f} s"
        return f"{head}<table><tr><th>node<th>state<th>time</tr><tr>{'</tr><tr>'.join(rows)}</tr></table>"

    def __repr__(self) -> str:
        lines = [f"{self.id} {self.state} {self.seconds:.1f} s"]
        lines += [f"  {n:<24} {a.state:<11} {a.seconds:6.1f} s  {a.reason}" for n, a in self.nodes.items()]
        return "\n".join(lines)
