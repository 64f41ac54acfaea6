"""A program: trains the same model uninterrupted and killed several times, and prints both results.

TensorFlow is imported once; every training runs in a forked child, as a node does.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.artifacts import Transform
from components.train_model import train_model
from components.training.checkpoint import FILE
from orchestration import RunContext
from tests.components.training.models import small

EPOCHS = 5


def train(features: Transform, folder: Path, on_event: Callable[[dict[str, Any]], None]) -> None:
    """Train, and leave the digests of the model's files and the epochs' metrics in ``result.json``."""
    events: list[dict[str, Any]] = []

    def emit(event: dict[str, Any]) -> None:
        events.append(event)
        on_event(event)

    run = RunContext(scratch=folder, emit=emit)
    model = train_model(
        features, small, epochs=EPOCHS, batch_size=32, early_stopping=3, checkpoint_seconds=0, run=run
    )
    files = sorted(path for path in model.path.rglob("*") if path.is_file())
    digests = {str(path.relative_to(model.path)): digest(path) for path in files}
    metrics = {f"{e['name']} {e['step']}": e["value"] for e in events if e["kind"] == "metric" and e["step"]}
    (folder / "result.json").write_text(json.dumps({"files": digests, "metrics": metrics}))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def in_child(work: Callable[[], None]) -> int:
    """Run in a forked child and return its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_after_checkpoints(folder: Path, count: int) -> None:
    """Kill this process, as hard as it gets, once the checkpoint has been replaced some times."""

    def watch() -> None:
        seen: set[int] = set()
        while len(seen) < count:
            if (folder / FILE).exists():
                seen.add((folder / FILE).stat().st_mtime_ns)
            time.sleep(0.0005)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def kill_at_epoch(epoch: int) -> Callable[[dict[str, Any]], None]:
    """Return a listener that kills this process at an epoch's first metric, before its checkpoint."""

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "metric" and event["step"] == epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    return listen


def main() -> None:
    """Print a JSON object: exit codes of the killed attempts, and both results."""
    import keras  # noqa: F401 - what a fork server imports beforehand
    import tensorflow as tf  # noqa: F401

    features = Transform(sys.argv[1], json.loads(sys.argv[2]))
    whole, killed = Path(sys.argv[3]) / "whole", Path(sys.argv[3]) / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    codes = [in_child(lambda: train(features, whole, lambda _: None))]

    def watched(count: int) -> None:
        kill_after_checkpoints(killed, count)
        train(features, killed, lambda _: None)

    codes.append(in_child(lambda: watched(4)))
    codes.append(in_child(lambda: train(features, killed, kill_at_epoch(2))))
    codes.append(in_child(lambda: watched(7)))
    codes.append(in_child(lambda: train(features, killed, lambda _: None)))
    results = {folder.name: json.loads((folder / "result.json").read_text()) for folder in (whole, killed)}
    print(json.dumps({"codes": codes, **results}))


if __name__ == "__main__":
    main()
