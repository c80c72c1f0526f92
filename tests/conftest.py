"""Fixtures every room's tests may use."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

if sys.dont_write_bytecode:
    # Else each of some two hundred new processes compiles every library again, seconds each. Not beside the sources:
    # whoever set this wants no files there.
    _bytecode = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode, sys.pycache_prefix = False, _bytecode
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = _bytecode

from shared_folders import Shared


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
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """What is costly to make and only looked at: made once for all test processes of a run."""
    base = tmp_path_factory.getbasetemp()
    return Shared((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared")


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
