"""How long a plan's page takes to show its scan, and to answer a needle that is dragged, on the demonstration case.

Run by hand, with built pages and Chromium: ``PYTHONPATH=src:tests/support python -m benchmarks.viewer [home]``. Makes
the demonstration's record, in a folder that is kept where one is named. Prints seconds from the change of the address
until scan, labels and needle stand, with the page's own marks on the way, and the time of each answer to a drag.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

OPENING_BAR_S: Final = 3.0
DRAG_BAR_MS: Final = 300.0
REPEATS: Final = 5
DRAGS: Final = 15
SHOWN: Final = '[data-viewer="overlays"]'
PAGE: Final = "/patient/demo-case/plan/demo-plan"
LIVE: Final = """before => { const live = document.querySelector("[data-live]");
return live.dataset.live === "fresh" && live.dataset.asked !== (before ?? ""); }"""


def open_plan(case: Any) -> tuple[float, dict[str, float]]:
    """Return the seconds until the scan stands with what is drawn on it, and the page's marks in seconds."""
    case.page.goto("about:blank")
    started = time.perf_counter()
    case.page.goto(f"{case.address}/#{PAGE}", wait_until="commit")
    case.page.locator(SHOWN).wait_for()
    took = time.perf_counter() - started
    marks = case.page.evaluate(
        "performance.getEntriesByType('mark').map(one => [one.name, one.startTime / 1000])"
    )
    return took, dict(marks)


def drag(case: Any) -> list[float]:
    """Move the tip again and again; return the milliseconds until each answer stood in the page."""
    page, answers = case.page, []
    page.locator('[data-session="open"]').wait_for(timeout=120_000)
    for number in range(DRAGS):
        before = page.locator("[data-live]").get_attribute("data-asked")
        box = page.locator('[data-plane="axial"] [data-handle="tip"]').bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + (3 if number % 2 else -3), y + 1, steps=3)
        page.mouse.up()
        page.wait_for_function(LIVE, arg=before)
        answers.append(float(page.locator("[data-live]").get_attribute("data-took-ms")))
    return answers


def measure(home: Path) -> tuple[list[tuple[float, dict[str, float]]], list[float], float]:
    """Return openings, answers to drags, and the first opening in a browser that has seen nothing."""
    from browser_case import open_browser, open_case
    from live_server import start_server

    from hepatica.bootstrap import has_demo_record, make_demo_record, renew_demo_password
    from hepatica.core.progress import SILENT

    if has_demo_record(home):
        accounts = renew_demo_password(home)
    else:
        _, accounts = make_demo_record(
            home, out=home.with_name("plan"), spread_draws=8, workers=1, patients=4, progress=SILENT
        )
    login = next(name for name, roles in accounts.roles.items() if "investigator" in roles)
    server = start_server(home)
    try:
        with open_browser() as browser, open_case(browser, server, "benchmark-viewer") as case:
            case.enter(login, accounts.password)
            first, _ = open_plan(case)
            openings = [open_plan(case) for _ in range(REPEATS)]
            return openings, drag(case), first
    finally:
        server.stop()


def main(arguments: list[str]) -> int:
    """Print the figures; 1 where one is over its bar."""
    with tempfile.TemporaryDirectory() as folder:
        openings, answers, first = measure(Path(arguments[0]) if arguments else Path(folder) / "home")
    took = median(seconds for seconds, _ in openings)
    print(f"first opening {first:.2f} s; again {took:.2f} s (bar {OPENING_BAR_S} s)")
    for name in openings[0][1]:
        print(f"  {name:<28}{median(marks.get(name, 0.0) for _, marks in openings):>7.2f} s")
    print(f"drag: median {median(answers):.0f} ms, slowest {max(answers):.0f} ms (bar {DRAG_BAR_MS:.0f} ms)")
    return int(max(first, took) > OPENING_BAR_S or median(answers) > DRAG_BAR_MS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
