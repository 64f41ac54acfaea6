"""The taxi run, killed as a whole and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.taxi_kill import DATA, kill_and_resume


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the taxi data is not here")
@pytest.mark.parametrize("moment", [1.5, 6.0, 10.0])
def test_a_killed_taxi_run_is_finished_by_resume(tmp_path: Path, moment: float) -> None:
    killed = kill_and_resume(tmp_path / "home", moment)
    assert killed.state == "SUCCEEDED"
    assert killed.complaints == []
