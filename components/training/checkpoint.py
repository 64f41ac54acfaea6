"""Checkpoints for exact resume: everything that decides the next step, in one atomic file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FILE = "checkpoint.npz"


@dataclass
class Progress:
    """Where training stands.

    Attributes:
        epoch: Epoch in progress, from 0.
        step: Batches already taken in it.
        best: Lowest validation loss so far.
        best_epoch: Its epoch, or -1.
        history: Metrics of the finished epochs, in order.
        stopped: Whether training has ended early.
    """

    epoch: int = 0
    step: int = 0
    best: float = float("inf")
    best_epoch: int = -1
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: bool = False


@dataclass
class Checkpoint:
    """Arrays and progress at one moment.

    Attributes:
        progress: Where training stood.
        arrays: Values of the model's variables (seed generators included), the optimizer's and
            the metrics', in order.
        best_arrays: The model's variables after the best epoch; empty without early stopping.
    """

    progress: Progress
    arrays: list[np.ndarray]
    best_arrays: list[np.ndarray]


class CheckpointFile:
    """The one checkpoint of a piece of work.

    Args:
        folder: A folder that survives attempts of the same work.
        identity: JSON facts the work is determined by; a checkpoint of other work is ignored.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.path = folder / FILE
        self.identity = json.dumps(identity, sort_keys=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the file; a process that dies meanwhile leaves the former one."""
        import numpy as np

        named = {f"a{place}": array for place, array in enumerate(checkpoint.arrays)}
        named |= {f"b{place}": array for place, array in enumerate(checkpoint.best_arrays)}
        facts = json.dumps({"identity": self.identity, "progress": vars(checkpoint.progress)})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{FILE}.partial")
        with partial.open("wb") as target:
            np.savez(target, facts=np.array(facts), **named)  # type: ignore[arg-type]  # only arrays are named
            target.flush()
            os.fsync(target.fileno())
        partial.replace(self.path)

    def load(self, shapes: Sequence[tuple[int, ...]]) -> Checkpoint | None:
        """Return the checkpoint, or None where there is none of this very work.

        Args:
            shapes: Shapes of the variables it must hold, in order.
        """
        import numpy as np

        if not self.path.exists():
            return None
        with np.load(self.path, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            if facts["identity"] != self.identity:
                return None
            arrays = [stored[f"a{place}"] for place in range(_count(stored.files, "a"))]
            best = [stored[f"b{place}"] for place in range(_count(stored.files, "b"))]
        if [array.shape for array in arrays] != [tuple(shape) for shape in shapes]:
            return None
        return Checkpoint(Progress(**facts["progress"]), arrays, best)


def _count(names: Sequence[str], letter: str) -> int:
    return sum(name[0] == letter and name[1:].isdigit() for name in names)
