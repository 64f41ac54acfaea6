"""What a coordinator tells whoever watches a run."""

from __future__ import annotations

from orchestration.records import Run, State


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
