"""The demo: run a whole pipeline on real data, ask the served model for a prediction, say where all lies."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HEADRACE = str(BIN / "headrace")
PIPELINE = ROOT / "pipelines" / "breast_cancer.py"
LABEL = "benign"
START_SECONDS = 60.0


@dataclass(frozen=True)
class Made:
    """An artifact of the run: its node, type and folder."""

    node: str
    type: str
    folder: Path

    def pages(self) -> list[Path]:
        """Return the pages a person opens: the report, or the page the others hang from."""
        whole = [self.folder / name for name in ("report.html", "index.html")]
        found = [page for page in whole if page.exists()]
        return found or sorted(self.folder.glob("*.html"))


def main() -> int:
    """Run, serve, ask, and point to the results; 0 if everything worked."""
    os.chdir(ROOT)
    ran = subprocess.run([HEADRACE, "run", _short(PIPELINE)], check=False)
    if ran.returncode:
        return ran.returncode
    made = newest_run()
    name, version = pushed_model(made)
    features, truth = evaluation_row(made)
    with served(name) as url:
        wanted = {column["name"] for column in ask(f"{url}/v1/models/{name}/metadata")["metadata"]["inputs"]}
        row = {column: value for column, value in features.items() if column in wanted}
        answer = ask(f"{url}/v1/models/{name}:predict", {"instances": [row]})
    report(made, name, version, answer["predictions"][0], truth)
    return 0


def newest_run() -> list[Made]:
    """Return what the newest run made, node by node."""
    shown = subprocess.run([HEADRACE, "show", "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return [
        Made(attempt["node"], output["type"].rpartition(":")[2], Path(output["uri"]))
        for attempt in json.loads(shown.stdout)["attempts"]
        for output in attempt["outputs"]
    ]


def pushed_model(made: list[Made]) -> tuple[str, int]:
    """Return the name and version of the model that went live."""
    for item in made:
        if item.type == "PushedModel":
            pushed = json.loads((item.folder / "pushed.json").read_text(encoding="utf-8"))
            return str(pushed["name"]), int(pushed["version"])
    sys.exit("the run pushed no model: headrace show")


def evaluation_row(made: list[Made]) -> tuple[dict[str, Any], object]:
    """Return the features of a real row the model has not been trained on, and its label."""
    import pyarrow.parquet as pq

    examples = next(item.folder for item in made if item.type == "Examples")
    file = min((examples / "eval").glob("*.parquet"))
    row: dict[str, Any] = pq.read_table(file).slice(0, 1).to_pylist()[0]
    return row, row.pop(LABEL)


@contextmanager
def served(name: str) -> Iterator[str]:
    """Serve the live model on a free port; yield the server's address once it is ready."""
    command = [HEADRACE, "serve", name, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"(http://\S+?)/v1/", line)
        if found is None:
            sys.exit(f"the model server did not start: {line}")
        url = found[1]
        wait_until_ready(f"{url}/ready")
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def wait_until_ready(url: str) -> None:
    """Return as soon as the address answers 200."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ask(url)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def ask(url: str, body: object = None) -> Any:
    """Return the JSON answer to a GET, or to a POST of ``body``."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def report(made: list[Made], name: str, version: int, prediction: object, truth: object) -> None:
    """Print the prediction, and where the results lie with the command that opens each."""
    shown = prediction[0] if isinstance(prediction, list) and len(prediction) == 1 else prediction
    headrace, python = _short(HEADRACE), _short(sys.executable)
    print(f"\nprediction  {LABEL} {shown:.3f} over HTTP from {name} version {version}; the truth is {truth}")
    print(f"model       {headrace} serve {name}")
    print(f"            {_short(made_of(made, 'Model').folder)}")
    print(f"dashboard   {headrace} ui")
    for item in made:
        for page in item.pages():
            print(f"report      {python} -m webbrowser {page.resolve().as_uri()}  # {item.node}")


def made_of(made: list[Made], kind: str) -> Made:
    """Return the artifact of a type."""
    return next(item for item in made if item.type == kind)


def _short(path: Path | str) -> str:
    return os.path.relpath(path, ROOT)


if __name__ == "__main__":
    sys.exit(main())
