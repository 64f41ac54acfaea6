"""The dashboard: on the right store, in one process, and clear about what keeps it from starting."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from orchestration.dashboard import PAGE, ui
from orchestration.errors import ConfigurationError, HeadraceError
from tests.orchestration.tracked import Teller, a_run, ended_run, settings, wait_for_health

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
from orchestration.dashboard import ui
from orchestration.settings import load
ui(load(home=Path(sys.argv[1])), port=0)
"""


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def test_it_shows_the_profile_s_runs_and_files_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Teller(home, a_run(epochs=3), ended_run(a_run(epochs=3)))
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert line.startswith("MLflow dashboard at http://127.0.0.1:")
        assert line.endswith(PAGE)
        root = line.removeprefix("MLflow dashboard at ").removesuffix(PAGE)
        wait_for_health(root)
        api = f"{root}/api/2.0/mlflow"
        experiment = ask(f"{api}/experiments/get-by-name?experiment_name=taxi")["experiment"]["experiment_id"]
        runs = ask(f"{api}/runs/search", {"experiment_ids": [experiment]})["runs"]
        assert [run["data"]["params"] for run in runs] == [[{"key": "epochs", "value": "3"}]]
        picture = f"{root}/get-artifact?path=dag.svg&run_id={runs[0]['info']['run_id']}"
        with urllib.request.urlopen(picture, timeout=20) as answer:
            assert answer.read().startswith(b"<svg")
        with urllib.request.urlopen(root, timeout=20) as answer:
            assert b"<html" in answer.read()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        assert not children.exists() or children.read_text().split() == []
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert "Traceback" not in errors
        assert "Warning" not in errors
    finally:
        process.kill()
        process.wait()
    assert not any(path.name.startswith("mlflow") for path in tmp_path.iterdir())


def test_a_taken_port_is_told_with_the_next_to_try(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HeadraceError) as caught:
            ui(settings(tmp_path), port=port)
    assert f"cannot listen on 127.0.0.1:{port}" in str(caught.value)
    assert f"headrace ui --port {port + 1}" in str(caught.value)


def test_without_tracking_there_is_no_dashboard(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no tracking"):
        ui(settings(tmp_path, "off"))


def test_a_server_elsewhere_is_named_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ui(settings(tmp_path, "https://me:hunter2@mlflow.example.com/"))
    out = capsys.readouterr().out
    assert "mlflow.example.com/#/experiments?workflowType=machine_learning" in out
    assert "hunter2" not in out
