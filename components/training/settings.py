"""How long and in what portions to train."""

from __future__ import annotations

from dataclasses import dataclass

from orchestration import require


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training.

    Attributes:
        epochs: Passes over the training rows.
        batch_size: Rows in a step.
        seed: Decides the initial weights, the order of the rows, and dropout.
        early_stopping: Epochs without a lower validation loss before training ends; the best
            epoch's weights are kept. None trains all epochs and keeps the last weights.
        threads: Threads of one operation.
        checkpoint_seconds: Seconds between checkpoints within an epoch; one is always made after it.
    """

    epochs: int
    batch_size: int
    seed: int
    early_stopping: int | None
    threads: int
    checkpoint_seconds: float

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs", "1 or more", self.epochs)
        require(self.batch_size >= 1, "batch_size", "1 row or more", self.batch_size)
        require(0 <= self.seed < 2**32, "seed", "0 to 2**32 - 1", self.seed)
        patience = self.early_stopping
        require(patience is None or patience >= 1, "early_stopping", "1 epoch or more, or None", patience)
        require(self.threads >= 1, "threads", "1 or more", self.threads)
        require(self.checkpoint_seconds >= 0, "checkpoint_seconds", "0 or more", self.checkpoint_seconds)
