from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.training.checkpoint import FILE, Checkpoint, CheckpointFile, Progress

ARRAYS = [np.array([[1.5, -0.0], [np.nan, 1e-45]], "float32"), np.array(7, "int64")]
SHAPES: list[tuple[int, ...]] = [(2, 2), ()]


def saved(folder: Path, **identity: int) -> CheckpointFile:
    file = CheckpointFile(folder, dict(identity))
    progress = Progress(2, 5, 0.1 + 0.2, 1, [{"loss": 1 / 3}], stopped=True)
    file.save(Checkpoint(progress, ARRAYS, ARRAYS[:1]))
    return file


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    found = saved(tmp_path, seed=1).load(SHAPES)
    assert found is not None
    assert found.progress == Progress(2, 5, 0.1 + 0.2, 1, [{"loss": 1 / 3}], stopped=True)
    assert [array.tobytes() for array in found.arrays] == [array.tobytes() for array in ARRAYS]
    assert [array.dtype for array in found.arrays] == [array.dtype for array in ARRAYS]
    assert found.best_arrays[0].tobytes() == ARRAYS[0].tobytes()


def test_a_checkpoint_before_the_first_validation_comes_back(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path, {})
    file.save(Checkpoint(Progress(), ARRAYS, []))
    found = file.load(SHAPES)
    assert found is not None
    assert found.progress.best == float("inf")
    assert found.best_arrays == []


def test_other_work_is_not_resumed(tmp_path: Path) -> None:
    file = saved(tmp_path, seed=1)
    assert CheckpointFile(tmp_path, {"seed": 2}).load(SHAPES) is None
    assert file.load([(2, 2), (1,)]) is None
    assert file.load([(2, 2)]) is None
    assert file.load(SHAPES) is not None
    assert CheckpointFile(tmp_path / "nothing", {"seed": 1}).load(SHAPES) is None


def test_a_death_while_saving_leaves_the_former_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = saved(tmp_path, seed=1)
    before = (tmp_path / FILE).read_bytes()

    def die(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(KeyboardInterrupt):
        file.save(Checkpoint(Progress(9), ARRAYS, []))
    assert (tmp_path / FILE).read_bytes() == before
