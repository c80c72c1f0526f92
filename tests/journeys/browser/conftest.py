"""Fixtures of the journeys in the browser."""

from __future__ import annotations

import pytest
from browser_case import open_browser


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all journeys of a process."""
    with open_browser() as opened:
        yield opened
