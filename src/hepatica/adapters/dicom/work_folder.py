"""Folders for work that vanishes: private, on the record's disk, also where the power went off."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "work-"
LEFT_BEHIND_S: Final = 86_400.0
"""A folder of this age was left behind by a run that was killed; no import takes a day."""


@contextmanager
def open_work_folder(work: Path) -> Iterator[Path]:
    """Open an empty folder that vanishes when the block ends.

    Parameters
    ----------
    work
        Where; made if needed, readable by its owner only.
    """
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    _clear(work)
    with tempfile.TemporaryDirectory(dir=work, prefix=_PREFIX) as folder:
        yield Path(folder)


def _clear(work: Path) -> None:
    for folder in work.glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime > LEFT_BEHIND_S:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # another run was faster
