"""Texts kept beside the tests and compared exactly; ``UPDATE_SNAPSHOTS=1`` writes them anew."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"
ROOT = Path(__file__).resolve().parents[2]


def check(name: str, text: str) -> None:
    """Hold a text against the one that was reviewed.

    Raises:
        AssertionError: It differs, or there is none yet.
    """
    path = FOLDER / f"{name}.txt"
    found = normalised(text) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return
    known = path.read_text(encoding="utf-8") if path.exists() else "(not yet reviewed; UPDATE_SNAPSHOTS=1)"
    assert found == known, f"{path.name} reads differently"


def normalised(text: str) -> str:
    """Return a text without what differs between machines."""
    text = text.replace(sys.prefix, "PREFIX").replace(f"{ROOT}/", "").replace(str(ROOT), "ROOT")
    text = re.sub(r'"/[^"]*/lib/python[0-9.]+/', '"PYTHON/', text)
    text = re.sub(r'("(PYTHON|orchestration)/[^"]+", line) \d+', r"\1 LINE", text)
    text = re.sub(r"(tests/orchestration/\w+\.py):\d+", r"\1:LINE", text)
    text = re.sub(r"/\S*/(Number|Word)-\d+", r"FOLDER/\1", text)
    return re.sub(r" at 0x[0-9a-f]+", " at ADDRESS", text)
