"""Opening times of pages in a browser, on a record of many simulated patients.

Run by hand, with built pages and Chromium: ``PYTHONPATH=src:tests/support python -m benchmarks.browser [patients]``.
Prints a table: seconds from the change of the address until the page says that it can be used, in a browser that has
opened it once (*again*) and in one that never has (*first*).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

BAR_S: Final = 1.5
"""A page is to be usable within this on two cores."""
REPEATS: Final = 5
PAGES: Final = (
    ("coordinator", "/patients"),
    ("coordinator", "/due"),
    ("coordinator", "/patient/sim-004"),
    ("coordinator", "/patient/sim-004/visits"),
    ("coordinator", "/patient/sim-004/events"),
    ("coordinator", "/patient/sim-004/labs"),
    ("coordinator", "/patient/sim-004/response"),
    ("coordinator", "/patient/sim-004/import"),
    ("coordinator", "/patient/sim-004/day"),
    ("investigator", "/patient/sim-004/new-plan"),
    ("reader1", "/reads"),
    ("statistician", "/trial"),
    ("datamanager", "/quality"),
    ("administrator", "/people"),
    ("monitor", "/queries"),
    ("auditor", "/audit"),
)
READY: Final = 'main [data-page] [data-ready="true"], main[data-page] [data-ready="true"]'


def open_page(case: Any, path: str) -> float:
    """Return the seconds until a page can be used, from a blank one."""
    case.page.goto("about:blank")
    started = time.perf_counter()
    case.page.goto(f"{case.address}/#{path}", wait_until="commit")
    case.page.locator(READY).first.wait_for()
    return time.perf_counter() - started


def measure(patients: int) -> list[tuple[str, float, float]]:
    """Return path, and seconds at first and again, of every page."""
    from browser_case import open_browser, open_case
    from large_record import fill_large_record
    from live_server import start_server

    from hepatica.bootstrap import make_record

    rows = []
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        home = Path(folder) / "home"
        with make_record(home, mode="demo") as record:
            fill_large_record(record, patients=patients, passwords=record.passwords)
        server = start_server(home)
        try:
            for login in dict.fromkeys(login for login, _ in PAGES):
                with open_case(browser, server, f"benchmark-{login}") as case:
                    case.enter(login)
                    for path in (path for who, path in PAGES if who == login):
                        first = open_page(case, path)
                        rows.append((path, first, median(open_page(case, path) for _ in range(REPEATS))))
        finally:
            server.stop()
    return rows


def main(arguments: list[str]) -> int:
    """Print the table; 1 where a page takes longer than it may."""
    patients = int(arguments[0]) if arguments else 500
    rows = measure(patients)
    print(f"{patients} patients; bar {BAR_S} s")
    print(f"{'page':<32}{'first (s)':>10}{'again (s)':>10}")
    for path, first, again in rows:
        print(f"{path:<32}{first:>10.2f}{again:>10.2f}{'' if again <= BAR_S else '  over the bar'}")
    return int(any(again > BAR_S for _, _, again in rows))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
