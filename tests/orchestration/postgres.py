"""A private PostgreSQL server for tests: a fresh cluster below a temporary folder, on a free port."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ACCOUNT = "postgres"


def binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``pg_ctl``, the newest one, or None."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return found[-1].parent if found else None


def unavailable() -> str:
    """Return why no server can be started here, or an empty text."""
    if binaries() is None:
        return "initdb is not installed"
    if os.geteuid() == 0 and (shutil.which("runuser") is None or not _account_exists()):
        return f"PostgreSQL refuses to run as root, and there is no account {ACCOUNT} to run it as"
    return ""


@contextmanager
def server() -> Iterator[str]:
    """Run a server while the context lasts; yield the SQLAlchemy URL of its empty database."""
    tools = binaries()
    assert tools is not None
    folder = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
    folder.chmod(0o755)
    data, port = folder / "data", _free_port()
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, ACCOUNT)
        shutil.chown(data, ACCOUNT)
    _as_account(
        tools / "initdb", "-D", data, "-U", "headrace", "-A", "trust", "-E", "UTF8", "--locale=C",
        "--no-sync",
    )  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    control = tools / "pg_ctl"
    _as_account(control, "-D", data, "-w", "-t", "60", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql+psycopg://headrace@127.0.0.1:{port}/postgres"
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            _as_account(control, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _as_account(*command: object) -> None:
    switch = ["runuser", "-u", ACCOUNT, "--"] if os.geteuid() == 0 else []
    # To /dev/null: the server inherits the descriptors, and a pipe would never end.
    subprocess.run(
        [*switch, *map(str, command)], check=True, cwd="/", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _account_exists() -> bool:
    import pwd

    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(ACCOUNT))
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
