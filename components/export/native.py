"""The trained core in Keras's own format, with equal bytes for equal models."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

_EPOCH = (1980, 1, 1, 0, 0, 0)


def save_core(core: keras.Model, file: Path) -> None:
    """Write a core to a ``.keras`` file, without the time of saving and memory addresses."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "model.keras"
        core.save(made)
        content = _settled(made.read_bytes())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _settled(archive: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "w") as copy:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name.endswith(".json"):
                content = json.dumps(_without_chance(json.loads(content), {})).encode()
            copy.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return target.getvalue()


def _without_chance(value: Any, numbers: dict[int, int]) -> Any:
    """Return a JSON value without times, its shared objects numbered in order of appearance."""
    if isinstance(value, list):
        return [_without_chance(one, numbers) for one in value]
    if not isinstance(value, dict):
        return value
    settled = {}
    for key, one in value.items():
        if key == "shared_object_id":
            settled[key] = numbers.setdefault(one, len(numbers) + 1)
        elif key != "date_saved":
            settled[key] = _without_chance(one, numbers)
    return settled
