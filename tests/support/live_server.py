"""The installed server in a process of its own, for tests."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

WRITES = {"x-hepatica": "1", "content-type": "application/json"}
PATIENCE_S = 60.0
PASSWORD = "three quiet herons"


@dataclass
class LiveServer:
    """A running ``hepatica serve``."""

    process: subprocess.Popen
    port: int
    link: str
    errors: list[str] = field(default_factory=list)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def ask(
        self, method: str, path: str, body=None, *, cookie: str = "", headers=None, raw: bytes | None = None
    ):
        """One request; returns status, headers and bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = {**WRITES, **({"cookie": cookie} if cookie else {}), **(headers or {})}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection.request(method, path, body=data, headers=sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def enter(self, login: str, password: str = PASSWORD) -> str:
        """Log in; returns the cookie."""
        status, headers, content = self.ask("POST", "/api/login", {"login": login, "password": password})
        assert status == 200, content
        return headers["set-cookie"].partition(";")[0]


def start_server(home: Path, *more: str, environment=None) -> LiveServer:
    """Start a server on a free port and wait until it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hepatica.entrypoints.cli.main", "serve", "--home", str(home), "--port", "0", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    lines: Queue[str] = Queue()
    errors: list[str] = []

    def listen() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True).start()
    first = lines.get(timeout=PATIENCE_S)
    assert first.startswith("Serving on"), (first, errors)
    port = int(re.search(r":(\d+)\s*$", first).group(1))
    server = LiveServer(process=process, port=port, link="", errors=errors)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            server.ask("GET", "/health")
            break
        except OSError:
            assert time.monotonic() < deadline, errors
    while not lines.empty():
        line = lines.get()
        if "/#/link/" in line:
            server.link = line.strip().rpartition("/")[2]
    return server
