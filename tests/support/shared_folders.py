"""Folders that several test files look at, made once for all processes of a test run."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shared:
    """A place for them. Tests that change one take a copy."""

    base: Path

    def make(self, name: str, build: Callable[[Path], None]) -> Path:
        """Return the folder of a name, made by the first process that asks; the others wait until it stands."""
        self.base.mkdir(exist_ok=True)
        folder, begun = self.base / name, self.base / f"{name}.begun"
        with (self.base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if begun.exists():
                # Whoever asked first failed half way: each that asks is to see why.
                shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                begun.touch()
                folder.mkdir()
                build(folder)
                begun.unlink()
        return folder
