from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from components.transform_features import transform_features
from tests.components.features.rows import examples_of, no_schema, rides
from tests.components.training.models import DROPPING

ROOT = Path(__file__).resolve().parents[3]


def test_a_killed_training_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    table = pa.concat_tables([rides(500), rides(500)])
    features = transform_features(examples_of({"train": table, "eval": rides(90)}), no_schema(), DROPPING)
    arguments = [features.uri, json.dumps(features.metadata), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.components.training.killed", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["codes"] == [0, -9, -9, -9, 0]
    assert len(result["whole"]["files"]) == 7
    assert result["killed"]["files"] == result["whole"]["files"]
    assert result["killed"]["metrics"] == result["whole"]["metrics"]
    assert len(result["whole"]["metrics"]) == 4 * 5
