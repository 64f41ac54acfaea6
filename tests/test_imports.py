"""Importing the project is cheap: a count of modules says so on any machine, a time would not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    "apache_beam", "fastapi", "great_expectations", "jax", "keras", "matplotlib", "mlflow", "numpy", "onnx",
    "onnxruntime", "pandas", "pyarrow", "scipy", "sklearn", "sqlalchemy", "tensorflow", "torch",
}  # fmt: skip


def modules_after(code: str) -> list[str]:
    """Names of the modules a fresh interpreter has loaded after some code."""
    listing = "import json, sys; names = list(sys.modules); sys.stderr.write(json.dumps(names))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{listing}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stderr)
    return found


def heavy(names: list[str]) -> set[str]:
    return HEAVY & {name.split(".")[0] for name in names}


@pytest.mark.parametrize(
    ("code", "most"),
    [
        # A bare interpreter with an editable install has about 50.
        ("import orchestration", 250),
        ("import components, orchestration", 320),
        ("from pipelines import breast_cancer, taxi", 400),
    ],
)
def test_importing_loads_no_heavy_package(code: str, most: int) -> None:
    names = modules_after(code)
    assert heavy(names) == set()
    assert len(names) <= most


def test_help_loads_no_heavy_package() -> None:
    code = (
        "from orchestration.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code in (0, None)\n"
    )
    names = modules_after(code)
    assert heavy(names) == set()
    assert len(names) <= 700


def test_the_fork_server_starts_without_any_heavy_package() -> None:
    assert heavy(modules_after("import orchestration.forkserver, orchestration.node")) == set()


def test_orchestration_never_imports_components() -> None:
    pattern = ("import components", "from components", "import pipelines", "from pipelines")
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in sorted((ROOT / "orchestration").rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if line.strip().startswith(pattern)
    ]
    assert found == []
