"""Fixtures every room's tests may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """One numerical thread for each test process, so that two processes fill two cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave soak tests to 'make soak'."""
    if "soak" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="long test: run 'make soak'")
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real scans; the test is skipped where HEPATICA_TEST_DATA is not set."""
    folder = os.environ.get("HEPATICA_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("HEPATICA_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Honour the markers real_data(folder) and tool(name)."""
    for marker in request.node.iter_markers("real_data"):
        folder = os.environ.get("HEPATICA_TEST_DATA", "")
        if not folder or not (Path(folder) / marker.args[0]).exists():
            pytest.skip(f"real data {marker.args[0]} is absent")
    for marker in request.node.iter_markers("tool"):
        if shutil.which(marker.args[0]) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{marker.args[0]} is missing in CI")
            pytest.skip(f"{marker.args[0]} is not installed: apt-get install {marker.args[-1]}")
