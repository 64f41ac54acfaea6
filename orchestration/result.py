"""What a run returns."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

from orchestration.artifacts import Artifact
from orchestration.errors import HeadraceError
from orchestration.records import Attempt, RunState, State

EXIT_CODES = {RunState.SUCCEEDED: 0, RunState.FAILED: 1, RunState.INTERRUPTED: 130}


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
        return EXIT_CODES[self.state]

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
            known = ", ".join(o.name for o in attempt.outputs) if attempt else ", ".join(self.nodes)
            raise RunFailedError(
                f"run {self.id} has no single output {node}{'.' + output if output else ''}",
                expected=known or "a node that succeeded",
                received=str(attempt.state) if attempt else "no such node",
            )
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
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{a.state}</td><td style='text-align:right'>"
            f"{a.seconds:.1f} s</td><td>{html.escape(a.reason or a.error.partition(chr(10))[0])}</td></tr>"
            for name, a in self.nodes.items()
        )
        return (
            f"<b>{html.escape(self.id)}</b> {self.state}, {self.seconds:.1f} s"
            f"<table><tr><th>node</th><th>state</th><th>time</th><th></th></tr>{rows}</table>"
        )

    def __repr__(self) -> str:
        lines = [f"{self.id} {self.state} {self.seconds:.1f} s"]
        lines += [f"  {n:<24} {a.state:<11} {a.seconds:6.1f} s  {a.reason}" for n, a in self.nodes.items()]
        return "\n".join(lines)
