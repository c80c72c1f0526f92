"""A real browser before a real server, for journeys: wait for flags, keep pictures, check accessibility."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from live_server import PASSWORD, LiveServer

PATIENCE_MS = 30_000
LAPTOP = {"width": 1366, "height": 768}
TABLET = {"width": 1024, "height": 768}
FLAGS = (
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ARTEFACTS = Path(os.environ.get("HEPATICA_ARTEFACTS", Path(__file__).parents[2] / "artefacts"))
BUILT = Path(__file__).parents[2] / "src" / "hepatica" / "resources" / "web" / "index.html"
NOISE = ("Failed to load resource",)
"""What browsers print of every answer that is no success; the page shows those itself."""


def require_browser() -> str:
    """Return Chromium's path, or skip (with CI=true: fail) without it or without built pages."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    missing = "Chromium is missing: apt-get install chromium" if found is None else ""
    if not missing and not BUILT.is_file():
        missing = "the pages are not built: make web"
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return str(found)


@contextmanager
def open_browser() -> Iterator[Any]:
    """A Chromium without a window."""
    from playwright.sync_api import sync_playwright

    path = require_browser()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class BrowserCase:
    """One person's browser before a server."""

    server: LiveServer
    context: Any
    page: Any
    name: str
    faults: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def go(self, path: str) -> None:
        """Open a page of the application, such as ``/patients``, and wait until it is usable."""
        self.page.goto(f"{self.address}/#{path}")
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait for the page's own flag."""
        self.page.locator('main [data-ready="true"]').first.wait_for()

    def enter(self, login: str, password: str = PASSWORD) -> None:
        """Log in through the page."""
        self.page.goto(self.address)
        self.page.get_by_label("Login").fill(login)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("button", name="Log out").wait_for()

    def ask(self, path: str) -> Any:
        """The interface's own answer, as the same person."""
        answer = self.context.request.get(f"{self.address}{path}")
        assert answer.ok, (path, answer.status, answer.text())
        return answer.json()

    def shot(self, name: str) -> Path:
        """Keep a picture of the page as an artefact."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{self.name}-{name}.png"
        self.page.screenshot(path=path)
        return path

    def check_accessible(self, *, leave_out: tuple[str, ...] = ()) -> None:
        """No violation of WCAG 2.2 A and AA that axe can find."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, options={"runOnly": {"type": "tag", "values": AXE_TAGS}})
        violations = [
            (rule["id"], [node["target"] for node in rule["nodes"]][:5])
            for rule in found.response["violations"]
            if rule["id"] not in leave_out
        ]
        assert not violations, violations

    def check_quiet(self) -> None:
        """Nothing failed silently in the page."""
        assert not self.faults, self.faults


@contextmanager
def open_case(
    browser: Any, server: LiveServer, name: str, *, size: dict[str, int] = LAPTOP
) -> Iterator[BrowserCase]:
    """A fresh profile; faults of the page fail the test at its end, and a picture of the end is kept."""
    context = browser.new_context(viewport=size, locale="en-GB", timezone_id="UTC", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    case = BrowserCase(server=server, context=context, page=page, name=name)
    page.on("pageerror", lambda error: case.faults.append(f"fault: {error}"))
    page.on(
        "console",
        lambda line: (
            case.faults.append(f"console: {line.text}")
            if line.type == "error" and not any(noise in line.text for noise in NOISE)
            else None
        ),
    )
    try:
        yield case
        case.check_quiet()
    finally:
        case.shot("end")
        context.close()
