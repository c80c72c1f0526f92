"""A process of this program that works for the server and never outlives it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

from hepatica.core.errors import ComputeError

COMMAND: Final = (sys.executable, "-m", "hepatica.entrypoints.worker")
PATIENCE_S: Final = 5.0
"""How long a worker may take to end after it was asked to."""


class WorkerProcess:
    """A worker that was given its task.

    It reads lines of JSON and writes lines of JSON. When its input ends, because the server ended in whatever
    way, it ends at once.

    Parameters
    ----------
    task
        What to do; goes through a pipe, as it may hold the address of a database.
    command
        Program and arguments.
    """

    def __init__(self, task: Mapping[str, Any], *, command: Sequence[str] = COMMAND) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "HEPATICA_DATABASE"}
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            # Ctrl-C at a terminal reaches the server alone; it then ends its workers in order.
            start_new_session=True,
        )
        self._lines: Queue[bytes] = Queue()
        threading.Thread(target=self._listen, daemon=True, name="worker-output").start()
        self.send(task)

    @property
    def number(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    @property
    def status(self) -> int | None:
        """Exit status, None while it runs."""
        return self._process.poll()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message.

        Parameters
        ----------
        message
            JSON object.

        Raises
        ------
        ComputeError
            If the worker has ended.
        """
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except OSError as problem:
            raise self._refuse() from problem

    def receive(self, *, timeout_s: float) -> dict[str, Any] | None:
        """Return the next message, None if none comes in time.

        Parameters
        ----------
        timeout_s
            How long to wait.

        Raises
        ------
        ComputeError
            If the worker has ended, or says something else than JSON.
        """
        try:
            line = self._lines.get(timeout=timeout_s)
        except Empty:
            return None
        try:
            message = json.loads(line)
        except ValueError as problem:
            raise self._refuse() from problem
        if not isinstance(message, dict):
            raise self._refuse()
        return message

    def count_bytes(self) -> int:
        """Return the memory it holds, 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.number}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self, *, patience_s: float = PATIENCE_S) -> None:
        """End it, kindly at first.

        Parameters
        ----------
        patience_s
            How long it may take.
        """
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, *, timeout_s: float) -> bool:
        """Wait for its end; returns whether it came.

        Parameters
        ----------
        timeout_s
            How long to wait.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.is_over

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        # An empty line is no JSON: whoever waits for an answer learns at once that none will come.
        self._lines.put(b"")

    def _refuse(self) -> ComputeError:
        return ComputeError(
            expected="a worker that answers",
            given="one that ended before its work did",
            where="worker",
            action="try again; if it ends again, look at the server's memory",
        )
