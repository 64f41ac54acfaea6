"""Starts a Python process for every SDK worker that a job asks for, on this machine only.

Beam's own ``worker_pool_main`` listens on all interfaces, starts whatever ``python`` comes first, and
never reads the workers' standard output, so that one that prints a lot stands still.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships no types
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

WORKER = """
import sys
from apache_beam.runners.worker.sdk_worker import SdkHarness
SdkHarness(sys.argv[1], worker_id=sys.argv[2], state_cache_size=int(sys.argv[3])).run()
"""
STATE_CACHE_BYTES = 64 << 20
GRACE_SECONDS = 10.0


class WorkerPool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Answers the runner's calls to start and stop workers.

    A worker's name is unique only within one runner process: with several task managers, several workers
    are called 1-1, and a call to stop 1-1 does not say whose. So only a worker whose name is unique here
    is ended; others end by themselves when their runner hangs up.

    Attributes:
        workers: The processes that run, and some that have ended, by name.
    """

    def __init__(self) -> None:
        self.workers: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the protocol
        """Start a worker; its output goes where the pool's goes."""
        worker, control = request.worker_id, request.control_endpoint.url
        command = [sys.executable, "-c", WORKER, control, worker, str(STATE_CACHE_BYTES)]
        try:
            process = subprocess.Popen(command)
        except OSError as error:
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        with self._lock:
            self.workers.setdefault(worker, []).append(process)
        print(f"worker {worker} is process {process.pid}", flush=True)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the protocol
        """Stop a worker."""
        with self._lock:
            named = [process for process in self.workers.pop(request.worker_id, []) if process.poll() is None]
            if len(named) > 1:
                self.workers[request.worker_id] = named
        if len(named) == 1:
            end(named[0])
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Stop all workers."""
        with self._lock:
            left = [process for named in self.workers.values() for process in named]
            self.workers = {}
        for process in left:
            process.terminate()
        for process in left:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, by force where it does not heed."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    pool, told = WorkerPool(), threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server = grpc.server(shared_unbounded_instance(), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"workers at 127.0.0.1:{port}", flush=True)
    told.wait()
    server.stop(grace=None)
    pool.close()


if __name__ == "__main__":
    main()
