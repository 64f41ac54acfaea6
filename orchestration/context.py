"""What a component may ask of the run it is part of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.artifacts import private_folder


@dataclass
class RunContext:
    """The running node's link to its run. A component asks for it with a parameter of this type.

    Attributes:
        run_id: Identifier of the run; ``"test"`` outside one.
        pipeline: Name of the pipeline.
        node: Name of the node.
        attempt: Number of this attempt, from 1.
        folder: Private folder of this attempt: attachments and the log.
        scratch: Folder that survives retries and resumes of the same work (same cache key):
            the place for checkpoints. Removed after the node has published.
    """

    run_id: str = "test"
    pipeline: str = "test"
    node: str = "test"
    attempt: int = 1
    folder: Path = field(default_factory=lambda: private_folder("run"))
    scratch: Path = field(default_factory=lambda: private_folder("scratch"))
    emit: Callable[[dict[str, Any]], None] = lambda event: None  # outside a run nobody listens

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Record one value of a metric; it reaches the terminal and MLflow while the node runs."""
        self.emit({"kind": "metric", "name": name, "value": float(value), "step": step})

    def progress(self, done: int, total: int | None = None, unit: str = "rows") -> None:
        """Tell how far the node is; ``done`` counts from the start of the node, in ``unit``."""
        self.emit({"kind": "progress", "done": done, "total": total, "unit": unit})

    def attach(self, path: Path | str, name: str | None = None) -> Path:
        """Keep a copy of a file or a folder with this attempt, also when the node fails afterwards.

        Attachments (reports, pictures, evidence) are shown by ``headrace show`` and in MLflow.
        """
        source = Path(path)
        target = self.folder / "attachments" / (name or source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)
        self.emit({"kind": "attachments", "path": str(target), "name": name or source.name})
        return target

    def push(self, name: str, version: int, uri: str, alias: str | None) -> None:
        """Tell the run that a model version went live, so that the registry follows.

        Recorded together with the node's outputs: only if the node succeeds.
        """
        self.emit({"kind": "pushes", "name": name, "version": version, "uri": uri, "alias": alias})
