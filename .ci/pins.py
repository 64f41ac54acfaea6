"""Write constraints.txt anew: the newest versions that fit pyproject.toml, all extras included."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "constraints.txt"


def resolve(extras: list[str]) -> dict[str, str]:
    """Return version by package name, as pip would install them into an empty environment."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", "--editable", f"{ROOT}[{','.join(extras)}]"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = (item["metadata"] for item in json.loads(done.stdout)["install"])
    return {package["name"]: package["version"] for package in found}


def main() -> None:
    """Resolve and write."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = resolve(list(project["optional-dependencies"]))
    del versions[project["name"]]
    comment = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    pins = [f"{name}=={versions[name]}" for name in sorted(versions, key=str.lower)]
    FILE.write_text("\n".join([*comment, *pins]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
