"""``validate_serving``: the exported model, behind the real server, held against real rows."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from components.artifacts import Examples, Model, ServingCheck
from components.features.encoding import is_missing
from components.model_format import Dtype, ModelManifest, encode, load_manifest, load_predictor
from components.serving.models_folder import ModelsFolder
from orchestration import DataError, HeadraceError, RunContext, component, require

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from components.serving.server import main as _server  # noqa: F401 - so the cache key holds its code

_NAME = "candidate"
_START_SECONDS = 60.0
_REQUEST_SECONDS = 30.0
_ROWS_PER_REQUEST = 20


class ServingError(HeadraceError):
    """The check of the served model could not be carried out."""


@component(imports=("pyarrow.parquet", "onnxruntime"))
def validate_serving(
    model: Model,
    examples: Examples,
    *,
    rows: int = 200,
    split: str = "eval",
    tolerance: float = 1e-5,
    run: RunContext,
) -> ServingCheck:
    """Start the real server on the exported model and replay real rows over HTTP.

    The server runs in a fresh process on a loopback port, as a pushed model would be served. Its
    answers must equal those of the same export asked directly, and a malformed request must be
    refused with 400 naming the feature.

    Args:
        model: The model.
        examples: Raw rows; missing values travel as ``null``.
        rows: Rows to replay, from the beginning of the split; at least 1.
        split: The split to take them from.
        tolerance: Largest allowed difference of an answer, in its unit.
        run: Receives the server's start-up time and the replay's speed.

    Returns:
        Metadata ``ready``, ``rows``, ``largest_difference`` (None where answers cannot be
        compared) and ``reasons``.

    Raises:
        ServingError: The server could not be started at all, or stopped answering.
        DataError: The split has no rows, or they lack a column of the model.
    """
    require(rows >= 1, "rows", "1 or more", rows)
    require(tolerance >= 0, "tolerance", "0 or more", tolerance)
    manifest = load_manifest(model)
    batch = _first_rows(examples, split, rows)
    requests = json_rows(manifest, batch)
    expected = load_predictor(model).predict(batch)
    with tempfile.TemporaryDirectory(prefix="headrace-serving-") as temporary:
        ModelsFolder(Path(temporary), _NAME).push(model)
        started = time.perf_counter()
        with served(Path(temporary)) as server:
            run.log_metric("server_start_seconds", time.perf_counter() - started)
            found = _replay(server, manifest, requests, expected, tolerance, run)
    return _evidence(found, len(requests))


@dataclass(frozen=True)
class _Found:
    largest_difference: float
    refusal: str
    reasons: list[str]


def _evidence(found: _Found, rows: int) -> ServingCheck:
    known = math.isfinite(found.largest_difference)
    largest = float(f"{found.largest_difference:.3g}") if known else None
    check = ServingCheck.new(
        ready=not found.reasons, rows=rows, largest_difference=largest, reasons=found.reasons
    )
    check.write_json("check.json", {**check.metadata, "refusal_of_a_malformed_request": found.refusal})
    return check


def _first_rows(examples: Examples, split: str, rows: int) -> pa.RecordBatch:
    import pyarrow as pa

    kept, count = [], 0
    for batch in examples.batches(split, rows=rows):
        kept.append(batch.slice(0, rows - count))
        count += kept[-1].num_rows
        if count >= rows:
            break
    if not count:
        raise DataError(
            f'split "{split}" has no rows to replay', expected="at least one row", received="0 rows"
        )
    table = pa.Table.from_batches(kept).combine_chunks()
    return table.to_batches()[0]


def json_rows(manifest: ModelManifest, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return raw rows as a client sends them: one object per row, ``None`` for a missing value."""
    arrays = encode(manifest.inputs, batch)
    columns = {one.name: _json_values(arrays[one.name], one.dtype) for one in manifest.inputs}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _json_values(values: np.ndarray[Any, Any], dtype: Dtype) -> list[Any]:
    absent = is_missing(values, dtype)
    return [None if gone else value for value, gone in zip(values.tolist(), absent.tolist(), strict=True)]


def _replay(
    server: Served,
    manifest: ModelManifest,
    requests: list[dict[str, Any]],
    expected: np.ndarray[Any, Any],
    tolerance: float,
    run: RunContext,
) -> _Found:
    import numpy as np

    answers: list[list[float]] = []
    started = time.perf_counter()
    for first in range(0, len(requests), _ROWS_PER_REQUEST):
        status, body = server.predict({"instances": requests[first : first + _ROWS_PER_REQUEST]})
        if status != 200:
            reason = f"rows from {first} on were answered with {status}: {body.get('error', body)}"
            return _Found(float("inf"), "", [reason])
        answers += body["predictions"]
        run.progress(len(answers), len(requests))
    run.log_metric("replayed_rows_per_second", len(requests) / (time.perf_counter() - started))
    reasons = []
    given = np.asarray(answers, np.float32)
    if given.shape != expected.shape:
        reasons.append(f"answers have shape {given.shape}, expected {expected.shape}")
        return _Found(float("inf"), "", reasons)
    differences = np.abs(given.astype(np.float64) - expected).max(axis=1)
    if not differences.max() <= tolerance:
        row = int(np.nanargmax(differences))
        reasons.append(f"row {row} is answered {given[row].tolist()}, expected {expected[row].tolist()}")
    refusal = _malformed(server, manifest, requests[0], reasons)
    return _Found(float(differences.max()), refusal, reasons)


def _malformed(server: Served, manifest: ModelManifest, row: dict[str, Any], reasons: list[str]) -> str:
    """Send a row with a value of a wrong type; add to ``reasons`` unless it is refused by name."""
    name = manifest.inputs[0].name
    status, body = server.predict({"instances": [{**row, name: {"not": "a value"}}]})
    refusal = str(body.get("error", ""))
    if status != 400 or name not in refusal:
        reasons.append(f'a wrong value of "{name}" was answered with {status}: {refusal or body}')
    return refusal


@dataclass(frozen=True)
class Served:
    """A running server's address."""

    process: subprocess.Popen[bytes]
    url: str

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return status and JSON body of a GET."""
        return self._ask("GET", path, None)

    def predict(self, value: object) -> tuple[int, dict[str, Any]]:
        """Return status and JSON body of a ``:predict`` request."""
        return self._ask("POST", f"/v1/models/{_NAME}:predict", json.dumps(value).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        address = urlsplit(self.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_REQUEST_SECONDS)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            raise self._lost(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def _lost(self, what: str) -> ServingError:
        code = self.process.poll()
        state = "still running" if code is None else f"ended with {code}"
        return ServingError("the model server does not answer", received=f"{what}; its process is {state}")


@contextlib.contextmanager
def served(models: Path) -> Iterator[Served]:
    """Run the server of the candidate in a fresh process, ready to be asked; end it in any case.

    The process stays in this process group, and stops by itself when this process dies.

    Raises:
        ServingError: It is not ready within a minute; holds the end of what it printed.
    """
    command = [sys.executable, "-m", "components.serving", _NAME, "--models", str(models), "--port", "0"]
    command += ["--drain-seconds", "0", "--until-end-of-input"]
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        try:
            yield _ready(process, errors)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _ready(process: subprocess.Popen[bytes], errors: Any) -> Served:
    import select

    assert process.stdout is not None
    announced, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    url = process.stdout.readline().decode().strip() if announced else ""
    deadline = time.monotonic() + _START_SECONDS
    server = Served(process, url)
    while url and time.monotonic() < deadline:
        try:
            if server.get("/ready")[0] == 200:
                return server
        except ServingError:
            if process.poll() is not None:
                break
        time.sleep(0.02)
    errors.seek(0)
    printed = errors.read().decode(errors="replace").strip()
    raise ServingError(
        "the model server did not become ready",
        expected=f"/ready within {_START_SECONDS:g} s",
        received=printed[-1_000:] or f"exit code {process.poll()}",
    )
