"""A local cluster for Beam's data pipelines: a job server with Flink in it, and a pool of Python workers."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from job_server import Ports, SetupError, flink, without_flink
from processes import Process

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIRST_PORT = 8096
START_SECONDS = 120.0
POOL, SERVER = "workers", "job-server"
Ready = Callable[[float], bool]

PROFILE = """\
[profiles.flink.beam]
runner = "{runner}"
job_endpoint = "127.0.0.1:{ports.job}"
environment_type = "EXTERNAL"
environment_config = "127.0.0.1:{ports.workers}"
parallelism = {parallelism}
sdk_worker_parallelism = {parallelism}
"""


def main() -> int:
    """Bring the cluster up, or take it down."""
    logging.disable(logging.WARNING)  # Beam's, about optional packages
    asked = arguments()
    folder = asked.folder.absolute()
    try:
        if asked.verb == "down":
            down(folder)
        else:
            up(asked, folder)
    except SetupError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    home = Path(os.environ.get("HEADRACE_HOME") or Path.cwd() / ".headrace")
    parser = argparse.ArgumentParser(prog="infra/flink", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    starting, ending = verbs.add_parser("up"), verbs.add_parser("down")
    for verb in (starting, ending):
        verb.add_argument("--folder", type=Path, default=home / "flink", help="pids, logs, jar, staged files")
    starting.add_argument(
        "--project", type=Path, default=Path.cwd(), help="folder the workers import your modules from"
    )
    starting.add_argument("--parallelism", type=int, default=2, help="task slots, and worker processes")
    starting.add_argument(
        "--port", type=int, default=FIRST_PORT, help="first of three ports; 0 takes any free ones"
    )
    starting.add_argument(
        "--flink-master", default="[local]", help="host:port of a running cluster instead of an embedded one"
    )
    starting.add_argument(
        "--without-flink", action="store_true", help="Beam's own job server: the same protocol without Java"
    )
    return parser.parse_args()


def up(asked: argparse.Namespace, folder: Path) -> None:
    """Start what does not run yet, wait until it answers, and print the profile to use.

    Raises:
        SetupError: Something cannot be had, does not start or does not answer.
    """
    server, pool = Process(SERVER, folder), Process(POOL, folder)
    profile = folder / "profile.toml"
    if server.pid() and pool.pid() and profile.exists():
        print(f"It is already up; infra/flink/down ends it.\n\n{profile.read_text()}", end="")
        return
    _check_packages()
    ports = choose_ports(asked.port)
    if asked.without_flink:
        command, runner = without_flink(folder, ports), "PortableRunner"
    else:
        command, runner = flink(folder, ports, asked.parallelism, asked.flink_master), "FlinkRunner"
    project = asked.project.absolute()
    workers = [sys.executable, str(HERE / "worker_pool.py"), f"--port={ports.workers}"]
    with ExitStack() as undo:
        for left in (server, pool):
            left.stop()
        for process, line in ((pool, workers), (server, command)):
            process.start(line, cwd=project, environment=_environment(project))
            undo.callback(process.stop)
        wait_for(pool, lambda seconds: _connects(ports.workers, seconds))
        wait_for(server, lambda seconds: _answers(ports.job, seconds))
        undo.pop_all()
    profile.write_text(PROFILE.format(runner=runner, ports=ports, parallelism=asked.parallelism))
    print(f"Up. For headrace.toml:\n\n{profile.read_text()}\nThen: headrace run PIPELINE --profile flink")
    print(f"Logs: {server.log}, {pool.log}")


def down(folder: Path) -> None:
    """End what was started from ``folder``."""
    ended = [name for name in (SERVER, POOL) if Process(name, folder).stop()]
    (folder / "profile.toml").unlink(missing_ok=True)
    print(f"Ended: {', '.join(ended)}" if ended else "Nothing was running")


def _check_packages() -> None:
    if importlib.util.find_spec("apache_beam") is None:
        raise SetupError(
            "this Python has no Apache Beam",
            expected="the Python that Headrace is installed in",
            received=sys.executable,
            advice="make setup, or HEADRACE_PYTHON=/path/to/python infra/flink/up",
        )


def _environment(project: Path) -> dict[str, str]:
    """Return the workers' environment: they import the project's modules and Headrace's, as a run does."""
    before = os.environ.get("PYTHONPATH")
    places = [str(project), str(ROOT), *([before] if before else [])]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    return {**quiet, **os.environ, "PYTHONPATH": os.pathsep.join(places)}


def choose_ports(first: int) -> Ports:
    """Return three ports nobody listens on.

    Raises:
        SetupError: One of those asked for is in use.
    """
    with ExitStack() as held:
        found = []
        for number in range(first, first + 3) if first else (0, 0, 0):
            place = held.enter_context(socket.socket())
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                place.bind(("127.0.0.1", number))
            except OSError as error:
                raise SetupError(
                    f"port {number} is in use",
                    expected=f"{first} to {first + 2} free",
                    received=str(error),
                    advice="infra/flink/up --port 0",
                ) from None
            found.append(place.getsockname()[1])
    return Ports(workers=found[0], artifacts=found[1], job=found[2])


def wait_for(process: Process, ready: Ready) -> None:
    """Wait until a process answers.

    Raises:
        SetupError: It ended, or the time is up.
    """
    until = time.monotonic() + START_SECONDS
    while not ready(1.0):
        if process.pid() is None or time.monotonic() > until:
            said = process.log.read_text(errors="replace").strip().splitlines()
            raise SetupError(
                f"the {process.name} did not start",
                expected=f"an answer within {START_SECONDS:.0f} s",
                received=said[-1] if said else "no output",
                advice=f"read {process.log}",
            )
        time.sleep(0.2)


def _connects(port: int, seconds: float) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=seconds).close()
    except OSError:
        return False
    return True


def _answers(port: int, seconds: float) -> bool:
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        jobs = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            jobs.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=seconds)
        except grpc.RpcError as error:
            # Whoever says that it lacks this call has answered too.
            return bool(error.code() == grpc.StatusCode.UNIMPLEMENTED)
    return True


if __name__ == "__main__":
    sys.exit(main())
