"""The pool of SDK workers: what it starts, and what it ends when it is told to."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest


class Runner:
    """A runner's side: it takes calls, never answers them, and knows its workers' processes."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, worker: str) -> subprocess.Popen[bytes]:
        from apache_beam.portability.api import beam_fn_api_pb2, endpoints_pb2

        place = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{self.socket.getsockname()[1]}")
        request = beam_fn_api_pb2.StartWorkerRequest(worker_id=worker, control_endpoint=place)
        assert self.pool.StartWorker(request, None).error == ""
        self.started.append(self.pool.workers[worker][-1])
        return self.started[-1]

    def stop(self, worker: str) -> None:
        from apache_beam.portability.api import beam_fn_api_pb2

        assert self.pool.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=worker), None).error == ""


@pytest.fixture
def runner() -> Iterator[Runner]:
    from infra.flink.worker_pool import WorkerPool

    made = Runner(WorkerPool())
    yield made
    made.pool.close()
    made.socket.close()
    assert [process.poll() for process in made.started].count(None) == 0


def test_a_worker_is_ended_by_its_name(runner: Runner) -> None:
    first, second = runner.start("1-1"), runner.start("1-2")
    runner.stop("1-1")
    assert first.poll() is not None
    assert second.poll() is None


def test_of_two_of_one_name_neither_is_ended(runner: Runner) -> None:
    mine, other = runner.start("1-1"), runner.start("1-1")
    runner.stop("1-1")
    time.sleep(0.5)
    assert (mine.poll(), other.poll()) == (None, None)
    mine.kill()
    mine.wait()
    runner.stop("1-1")
    assert other.poll() is not None


def test_stopping_what_was_never_started_is_no_error(runner: Runner) -> None:
    runner.stop("9-9")
