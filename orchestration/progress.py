"""What a coordinator tells whoever watches a run."""

from __future__ import annotations

from typing import Any

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


class Guarded(Listener):
    """Passes everything on until the listener fails: who watches a run must not break it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def started(self, run: Run, nodes: list[str]) -> None:
        """Pass it on."""
        self._tell("started", run, nodes)

    def node(self, name: str, state: State, reason: str) -> None:
        """Pass it on."""
        self._tell("node", name, state, reason)

    def progress(self, node: str, done: int, total: int | None, unit: str) -> None:
        """Pass it on."""
        self._tell("progress", node, done, total, unit)

    def metric(self, node: str, name: str, value: float, step: int) -> None:
        """Pass it on."""
        self._tell("metric", node, name, value, step)

    def note(self, text: str) -> None:
        """Pass it on."""
        self._tell("note", text)

    def _tell(self, what: str, *facts: Any) -> None:
        try:
            getattr(self._listener, what)(*facts)
        except Exception:  # noqa: BLE001 - a terminal that is gone, for one; the run goes on unseen
            self._listener = Listener()
