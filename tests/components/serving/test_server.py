"""The model server over HTTP, in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.model_format import load_predictor
from components.serving.models_folder import ModelsFolder
from components.serving.server import bind, serve as serve_here
from orchestration import ArtifactError, ConfigurationError
from tests.components.serving.tiny_model import tiny_model, tiny_table

ROW = {"fare": 1.5, "city": "Bonn", "trip hour": 3}
PREDICT = "/v1/models/taxi:predict"


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    models: Path

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, sent, headers or {})
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(content) if is_json else content.decode()
        finally:
            connection.close()

    def score(self, row: dict[str, Any], path: str = PREDICT) -> float:
        status, answer = self.ask("POST", path, {"instances": [row]})
        assert status == 200, answer
        return float(answer["predictions"][0][0])


@contextlib.contextmanager
def running(models: Path, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "components.serving", "taxi", "--models", str(models), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--interval", "0.05", *options],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0], "the server announced nothing"
        url = process.stdout.readline().decode().strip()
        server = Server(process, int(url.rsplit(":", 1)[1]), models)
        assert server.ask("GET", "/live")[0] == 200
        yield server
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def push(models: Path, **parameters: Any) -> None:
    ModelsFolder(models, "taxi").push(tiny_model(**parameters))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    models = tmp_path_factory.mktemp("models")
    push(models, slope=2.0)
    push(models)
    with running(models, "--most-bytes", "100000") as made:
        yield made


def expected(rows: list[dict[str, Any]], **parameters: Any) -> np.ndarray:
    table = tiny_table(1).slice(0, 0)
    import pyarrow as pa

    batch = pa.Table.from_pylist(
        rows, schema=table.select(["fare", "city", "trip hour"]).schema
    ).to_batches()[0]
    return load_predictor(tiny_model(**parameters)).predict(batch)


def test_rows_and_columns_are_answered_like_tensorflow_serving(server: Server) -> None:
    rows: list[dict[str, Any]] = [
        ROW,
        {"fare": None, "city": None, "trip hour": 0},
        {"fare": -2, "city": "Köln", "trip hour": 5},
    ]
    status, answer = server.ask("POST", PREDICT, {"instances": rows})
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], expected(rows), atol=1e-7)
    columns = {name: [row[name] for row in rows] for name in ROW}
    assert server.ask("POST", PREDICT, {"inputs": columns}) == (200, {"outputs": answer["predictions"]})


def test_many_rows_are_answered_in_order(server: Server) -> None:
    rows = [{"fare": n / 100, "city": "Bonn", "trip hour": n % 24} for n in range(500)]
    status, answer = server.ask("POST", PREDICT, {"instances": rows})
    assert status == 200
    np.testing.assert_allclose(answer["predictions"], expected(rows), atol=1e-7)


def test_another_version_is_answered_by_number(server: Server) -> None:
    other = server.score(ROW, "/v1/models/taxi/versions/1:predict")
    assert other == pytest.approx(float(expected([ROW], slope=2.0)[0, 0]), abs=1e-7)
    assert other != server.score(ROW)
    assert server.ask("POST", "/v1/models/taxi/versions/9:predict", {"instances": [ROW]}) == (
        404,
        {"error": "taxi has no version 9", "problems": ["taxi has no version 9"]},
    )


def test_status_and_signature_are_told(server: Server) -> None:
    status, answer = server.ask("GET", "/v1/models/taxi")
    assert (status, answer["model_version_status"][0]["version"]) == (200, "2")
    assert answer["model_version_status"][0]["state"] == "AVAILABLE"
    _, signature = server.ask("GET", "/v1/models/taxi/metadata")
    assert signature["metadata"]["inputs"][0] == {"name": "fare", "dtype": "float32", "nullable": True}


def test_the_open_inference_protocol_is_answered(server: Server) -> None:
    inputs = [
        {"name": "fare", "shape": [2], "datatype": "FP32", "data": [1.5, 0.0]},
        {"name": "city", "shape": [2], "datatype": "BYTES", "data": ["Bonn", "?"]},
        {"name": "trip hour", "shape": [2, 1], "datatype": "INT64", "data": [3, 3]},
    ]
    status, answer = server.ask("POST", "/v2/models/taxi/infer", {"id": "42", "inputs": inputs})
    assert status == 200
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "taxi", "2")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("probability", "FP32", [2, 1])
    assert output["data"][0] == pytest.approx(server.score(ROW))
    assert server.ask("GET", "/v2/health/live") == (200, {"live": True})
    assert server.ask("GET", "/v2/health/ready")[0] == 200
    assert server.ask("GET", "/v2/models/taxi/ready")[0] == 200
    assert server.ask("GET", "/v2/models/other/ready")[0] == 404
    _, metadata = server.ask("GET", "/v2/models/taxi")
    assert metadata["versions"] == ["1", "2"]
    assert metadata["inputs"][1] == {"name": "city", "datatype": "BYTES", "shape": [-1]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{oops", "the body is not JSON"),
        (b"", "the body is not JSON"),
        ({}, 'expected either "instances"'),
        ({"instances": [{**ROW, "fare": "12"}]}, 'instances[0]: feature "fare": expected a finite number'),
        ({"instances": [ROW, {**ROW, "zone": 1}]}, 'instances[1]: unknown feature "zone"'),
        ({"instances": [{"fare": 1, "city": "Bonn"}]}, 'feature "trip hour" is missing'),
        (
            b'{"instances": [{"fare": NaN, "city": "Bonn", "trip hour": 1}]}',
            'feature "fare": expected a finite number, received NaN',
        ),
    ],
)
def test_a_malformed_request_is_refused_by_name(server: Server, body: Any, message: str) -> None:
    status, answer = server.ask("POST", PREDICT, body)
    assert status == 400
    assert message in answer["error"]


def test_a_large_body_is_refused_before_it_is_read(server: Server) -> None:
    assert server.ask("POST", PREDICT, b"x" * 200_000)[0] == 413
    announced = {"content-length": "99999999999"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("POST", PREDICT, b"{", announced)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_large_body_without_a_length_is_refused_too(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", PREDICT, iter([b"x" * 50_000] * 4), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_unknown_places_are_answered_in_json(server: Server) -> None:
    assert server.ask("GET", "/nowhere")[0] == 404
    assert server.ask("GET", "/v2/models/taxi/infer")[0] == 405
    status, answer = server.ask("POST", "/v1/models/other:predict", {"instances": [ROW]})
    assert (status, answer["error"]) == (404, 'there is no model "other", only "taxi"')


def test_metrics_count_answers(server: Server) -> None:
    def count(status: int) -> int:
        _, text = server.ask("GET", "/metrics")
        found = re.search(rf'route="/v1/models/{{name}}:predict",status="{status}"}} (\d+)', text)
        return int(found.group(1)) if found else 0

    fine, refused = count(200), count(400)
    server.score(ROW)
    server.ask("POST", PREDICT, b"{")
    assert (count(200), count(400)) == (fine + 1, refused + 1)
    _, text = server.ask("GET", "/metrics")
    assert 'headrace_model_version{model="taxi"} 2' in text
    assert re.search(r'headrace_request_seconds_bucket\{.*le="\+Inf"\} \d+', text)


def test_the_description_names_the_features(server: Server) -> None:
    _, document = server.ask("GET", "/openapi.json")
    row = document["components"]["schemas"]["Row"]
    assert row["properties"]["fare"]["type"] == ["number", "null"]
    assert row["properties"]["trip hour"] == {"type": "integer", "format": "int64"}
    assert row["required"] == ["fare", "city", "trip hour"]
    for path, operations in document["paths"].items():
        if "get" in operations:
            assert server.ask("GET", path)[0] == 200, path
    for reference in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)):
        assert reference in document["components"]["schemas"]


def test_a_newly_pushed_model_takes_over_without_a_failed_request(tmp_path: Path) -> None:
    push(tmp_path)
    with running(tmp_path) as server:
        outcomes: Counter[int] = Counter()
        stop = threading.Event()

        def hammer() -> None:
            while not stop.is_set():
                outcomes[server.ask("POST", PREDICT, {"instances": [ROW]})[0]] += 1

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        before = server.score(ROW)
        push(tmp_path, slope=3.0)
        wait_for(lambda: server.score(ROW) != before)
        stop.set()
        for thread in threads:
            thread.join()
        assert set(outcomes) == {200}
        assert server.ask("GET", "/ready")[1] == {"ready": True, "name": "taxi", "version": 2}
        assert 'headrace_model_swaps_total{model="taxi"} 1' in server.ask("GET", "/metrics")[1]


def test_a_broken_version_leaves_the_old_one_live(tmp_path: Path) -> None:
    push(tmp_path)
    with running(tmp_path) as server:
        before = server.score(ROW)
        broken = tiny_model()
        broken.file("serving/model.onnx").write_bytes(b"not a model")
        ModelsFolder(tmp_path, "taxi").push(broken)
        wait_for(lambda: 'load_failures_total{model="taxi"} 1' in server.ask("GET", "/metrics")[1])
        assert server.score(ROW) == before
        status, answer = server.ask("GET", "/ready")
        assert (status, answer["version"]) == (200, 1)
        assert "cannot run version 2" in answer["reason"]
        push(tmp_path, slope=3.0)
        wait_for(lambda: server.score(ROW) != before)


def test_without_a_live_model_the_server_waits_if_told_to(tmp_path: Path) -> None:
    with running(tmp_path, "--wait-for-model") as server:
        assert server.ask("GET", "/ready")[0] == 503
        assert server.ask("POST", PREDICT, {"instances": [ROW]})[0] == 503
        push(tmp_path)
        wait_for(lambda: server.ask("GET", "/ready")[0] == 200)


def test_sigterm_under_load_loses_no_request(tmp_path: Path) -> None:
    push(tmp_path)
    with running(tmp_path, "--drain-seconds", "2") as server:
        outcomes: Counter[str] = Counter()
        stop = threading.Event()

        def hammer(keep: bool) -> None:
            body = json.dumps({"instances": [ROW]}).encode()
            connection: http.client.HTTPConnection | None = None
            while not stop.is_set():
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
                    try:
                        connection.connect()
                    except OSError:
                        outcomes["refused"] += 1
                        return
                try:
                    connection.request("POST", PREDICT, body)
                    answer = connection.getresponse()
                    answer.read()
                    outcomes[str(answer.status)] += 1
                except (OSError, http.client.HTTPException) as error:
                    outcomes[f"lost: {error!r}"] += 1
                    return
                if not keep or answer.will_close:
                    connection.close()
                    connection = None

        threads = [threading.Thread(target=hammer, args=(n % 2 == 0,)) for n in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: outcomes["200"] > 50)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: server.ask("GET", "/ready")[0] == 503, 1.9)
        answered = outcomes["200"]
        assert server.process.wait(15) == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert outcomes["200"] > answered, "it stopped answering before it stopped"
        assert set(outcomes) == {"200", "refused"}, outcomes


def test_the_server_ends_with_its_parent(tmp_path: Path) -> None:
    push(tmp_path)
    with running(tmp_path, "--until-end-of-input") as server:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(10) == 0


def test_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    push(tmp_path)
    with running(tmp_path, "--drain-seconds", "60") as server:
        started = time.monotonic()
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 5


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match='no version of "taxi" is live'):
        serve_here("taxi", port=0, models=tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="cannot listen"):
            bind("127.0.0.1", taken.getsockname()[1])
