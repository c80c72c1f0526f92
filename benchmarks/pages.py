"""Time of the routes behind pages, on a record of many simulated patients.

Run by hand: ``PYTHONPATH=src:tests/support python -m benchmarks.pages [patients]``. Prints one JSON document.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any, Final

BAR_S: Final = 1.5
"""A page is to be usable within this on two cores; its routes are a part of it."""
REPEATS: Final = 5
ROUTES: Final = (
    ("coordinator", "/api/patient?limit=100"),
    ("coordinator", "/api/patient?search=SIM-04"),
    ("coordinator", "/api/due"),
    ("coordinator", "/api/due?within_days=84"),
    ("coordinator", "/api/patient/sim-004/visits"),
    ("coordinator", "/api/patient/sim-004/events"),
    ("coordinator", "/api/patient/sim-004/labs"),
    ("coordinator", "/api/patient/sim-004/response"),
    ("coordinator", "/api/serious-events"),
    ("monitor", "/api/query?state=open&limit=200"),
    ("auditor", "/api/events?limit=100"),
)


def measure(patients: int) -> dict[str, Any]:
    """Return seconds by route, each the middle one of several, after one to warm up."""
    from large_record import make_large_record
    from web_record import PASSWORD, WRITES, PlainPasswords

    from hepatica.bootstrap import open_record
    from hepatica.entrypoints.web.app import make_app
    from hepatica.entrypoints.web.settings import WebSettings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.testclient import TestClient
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_record(make_large_record(Path(folder), patients=patients)) as record,
    ):
        made_s = time.perf_counter() - started
        settings = WebSettings(hosts=frozenset({"127.0.0.1"}), secure_cookies=False, version="0", mode="demo")
        app = make_app(record.context, PlainPasswords(), settings=settings)
        clients = {}
        for login in dict.fromkeys(login for login, _ in ROUTES):
            clients[login] = TestClient(app, base_url="http://127.0.0.1", headers=WRITES)
            clients[login].post("/api/login", json={"login": login, "password": PASSWORD}).raise_for_status()
        times = {path: _time(clients[login], path) for login, path in ROUTES}
    return {"patients": patients, "made_s": round(made_s, 1), "bar_s": BAR_S, "seconds": times}


def _time(client: Any, path: str) -> float:
    client.get(path).raise_for_status()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        client.get(path).raise_for_status()
        found.append(time.perf_counter() - started)
    return round(median(found), 3)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 500), indent=1))
