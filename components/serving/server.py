"""Runs the server's process: binds the port, drains on SIGTERM, stops."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from components.serving.app import MOST_BYTES, Api, create_app
from components.serving.models_folder import CHAMPION, ModelsFolder
from orchestration import ArtifactError, ConfigurationError

DRAIN_SECONDS = 5.0
FINISH_SECONDS = 30
_QUEUE = 2_048
_SO_ATTACH_FILTER, _BPF_RETURN = 26, 0x06  # Linux, asm-generic/socket.h and linux/bpf_common.h
_LATE_SECONDS = 0.25  # for requests on connections that were accepted last


class DrainingServer(uvicorn.Server):
    """A server that leaves without losing a request.

    On SIGTERM it first only says that it is not ready, and answers on, closing each connection
    after its answer; after ``drain_seconds`` it takes in what still waits at the door, closes the
    door, answers, and stops. SIGINT skips the wait. A second signal stops at once.
    """

    def __init__(self, config: uvicorn.Config, api: Api, drain_seconds: float) -> None:
        super().__init__(config)
        self.api = api
        self.drain_seconds = drain_seconds
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Begin to leave; called by the signals SIGTERM and SIGINT."""
        if self._leave_at is not None:
            self.should_exit = self.force_exit = True
            return
        self.leave(0.0 if sig == signal.SIGINT else self.drain_seconds)

    def leave(self, seconds: float) -> None:
        """Stop after so many seconds, not ready from now on."""
        self.api.draining = True
        self._leave_at = time.monotonic() + seconds

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to stop; called ten times a second."""
        stop = await super().on_tick(counter)
        return stop or (self._leave_at is not None and time.monotonic() >= self._leave_at)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept what waits, close the door, let what came in last be asked and answered."""
        if not self.force_exit:
            for door in sockets or []:
                turn_away(door)
            await asyncio.sleep(_LATE_SECONDS)
        await super().shutdown(sockets)


def turn_away(door: socket.socket) -> None:
    """Let nobody queue any more at a listening socket, while those in the queue are still let in.

    Closing a socket resets the connections that wait in its queue. So on Linux a packet filter
    first drops newcomers' packets: they try again later, and are then refused cleanly. Elsewhere
    the queue is made as short as it gets.
    """
    if sys.platform != "linux":
        door.listen(0)
        return
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(drop_all))
    door.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def serve(
    name: str,
    host: str = "127.0.0.1",
    port: int = 8501,
    *,
    models: Path | None = None,
    alias: str = CHAMPION,
    most_bytes: int = MOST_BYTES,
    drain_seconds: float = DRAIN_SECONDS,
    interval: float = 1.0,
    wait_for_model: bool = False,
    until_end_of_input: bool = False,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve the live version of a model until SIGTERM or SIGINT.

    Args:
        name: The model's name in the models folder.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        models: The models folder; that of the settings when None.
        alias: The pointer to follow.
        most_bytes: Largest body accepted, in bytes.
        drain_seconds: Seconds between SIGTERM (not ready any more) and closing the port.
        interval: Seconds between two looks at the pointer.
        wait_for_model: Start, not ready, also when no version is live yet.
        until_end_of_input: Stop too when standard input ends, as it does when the parent dies.
        announce: Called with the URL once the port is bound.

    Raises:
        ArtifactError: No version is live.
        ConfigurationError: The address cannot be bound.
    """
    from components.serving.models_folder import models_root

    root = models if models is not None else models_root()
    folder = ModelsFolder(root, name)
    if not wait_for_model and folder.pointer(alias) is None:
        raise _nothing_live(folder, alias)
    app = create_app(root, name, alias=alias, most_bytes=most_bytes, interval=interval)
    config = uvicorn.Config(
        app,
        backlog=_QUEUE,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = DrainingServer(config, app.state.api, drain_seconds)
    with bind(host, port) as door:
        if until_end_of_input:
            threading.Thread(target=_leave_at_end_of_input, args=(server,), daemon=True).start()
        announce(f"http://{_shown(host)}:{door.getsockname()[1]}")
        server.run([door])


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigurationError: The address is in use, not this machine's, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(_QUEUE)  # from here on requests wait for the model instead of being refused
    except OSError as error:
        door.close()
        raise ConfigurationError(
            f"the server cannot listen on {host}:{port}: {error.strerror}",
            expected="a free port of this machine",
            received=f"{host}:{port}",
            next="headrace serve --port 0 takes any free port",
        ) from error
    return door


def _nothing_live(folder: ModelsFolder, alias: str) -> ArtifactError:
    others = sorted(path.parent.name for path in folder.root.glob(f"*/{alias}.json"))
    return ArtifactError(
        f'no version of "{folder.name}" is live',
        expected=f"{alias}.json in {folder.path}",
        received=f"live: {', '.join(others)}" if others else "an empty models folder",
        next="headrace run a pipeline that pushes it" if not others else f"headrace serve {others[0]}",
    )


def _leave_at_end_of_input(server: DrainingServer) -> None:
    sys.stdin.buffer.read()
    server.leave(0.0)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def main(arguments: list[str] | None = None) -> None:
    """Serve as ``python -m components.serving`` asks; prints the URL on standard output."""
    import argparse

    parser = argparse.ArgumentParser(prog="components.serving", description=serve.__doc__)
    parser.add_argument("name")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--most-bytes", type=int, default=MOST_BYTES)
    parser.add_argument("--drain-seconds", type=float, default=DRAIN_SECONDS)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--wait-for-model", action="store_true")
    parser.add_argument("--until-end-of-input", action="store_true")
    options: dict[str, Any] = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    serve(**options, announce=lambda url: print(url, flush=True))
