"""A PostgreSQL server of one's own for tests: in a temporary folder, on a free port of this machine, ended by its pid."""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

OLDEST = 15
STOP_S = 20
"""How long a stopping server is waited for; it has nothing to save."""
LOOK_S = 0.01
STARTS = 3
"""Another program can take the free port before the server does."""


@dataclass(slots=True)
class Server:
    """A running server.

    Parameters
    ----------
    binaries, folder
        Its programs and its data.
    port
        On 127.0.0.1.
    """

    binaries: Path
    folder: Path
    port: int
    _numbers: itertools.count = field(default_factory=itertools.count)

    def make_database(self) -> str:
        """Return the address of a new, empty database."""
        name = f"t{os.getpid()}_{next(self._numbers)}"
        self.run_sql(f"CREATE DATABASE {name}")
        return f"postgresql://hepatica@127.0.0.1:{self.port}/{name}"

    def run_sql(self, text: str, *, database: str = "postgres") -> None:
        import psycopg

        address = f"postgresql://hepatica@127.0.0.1:{self.port}/{database}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(text)

    def start(self) -> None:
        # What a process that is killed has written stays with the system: no test needs it on the disk.
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories='' "
            "-c max_connections=60 -c fsync=off"
        )
        _run(
            self.binaries / "pg_ctl",
            "-D",
            self.folder,
            "-w",
            "-l",
            self.folder / "log",
            "-o",
            options,
            "start",
        )

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        os.kill(self._read_pid(), signal.SIGQUIT)
        self._wait()

    def stop(self) -> None:
        with suppress(OSError):
            os.kill(self._read_pid(), signal.SIGINT)
            self._wait()

    def _read_pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split("\n")[0])

    def _wait(self) -> None:
        limit = time.monotonic() + STOP_S
        while (self.folder / "postmaster.pid").exists() and time.monotonic() < limit:
            threading.Event().wait(LOOK_S)


@cache
def find_binaries() -> Path | None:
    """Return the folder with the newest server's programs, None where none is installed."""
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if path.parts[-3].isdigit() and int(path.parts[-3]) >= OLDEST
    ]
    on_path = shutil.which("initdb")
    return max(found, default=Path(on_path).parent if on_path else None, key=lambda path: int(path.parts[-2]))


def start_server() -> Server:
    """Return this process's server, started at the first call; the test is skipped where there is none."""
    if find_binaries() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is missing in CI")
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql-15")
    return _start()


@cache
def _start() -> Server:
    binaries = find_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="hepatica-pg-"))
    if os.getuid() == 0:
        # The server refuses to run as root.
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data = folder / "data"
    # Another language's order of letters than that of bytes, as departments have it.
    _run(
        binaries / "initdb", "-D", data, "-U", "hepatica", "--auth=trust", "--encoding=UTF8", "--no-sync",
        "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US",
    )  # fmt: skip
    for left in reversed(range(STARTS)):
        server = Server(binaries, data, _find_port())
        try:
            server.start()
            break
        except AssertionError:
            if not left:
                raise

    def end() -> None:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return server


def _find_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _run(*words: object) -> None:
    before = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*before, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr or done.stdout
