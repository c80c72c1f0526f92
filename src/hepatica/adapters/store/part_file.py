"""A file in the making: private, locked while it is written, and cleared away if its writer died."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from hepatica.core.errors import OutputError, OutputExistsError

PREFIX: Final = ".part-"


@contextmanager
def open_part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Open a new file that only its owner can read; gone after the block unless it was renamed.

    Parameters
    ----------
    folder
        Where; must exist.
    """
    part, file = _make(folder)
    try:
        with file:
            yield part, file
    finally:
        part.unlink(missing_ok=True)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist; all of it, or none.

    Parameters
    ----------
    path
        The file.
    data
        Its bytes.

    Raises
    ------
    OutputExistsError
        If it exists.
    OutputError
        If it cannot be written.
    """
    if path.exists():
        raise OutputExistsError(expected="a new file", given="one that exists", where="--out")
    try:
        with open_part(path.parent) as (part, file):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            part.rename(path)
        sync_folder(path.parent)
    except OSError as problem:
        raise OutputError(
            expected="room and rights for a file", given=type(problem).__name__, where="--out"
        ) from problem


def clear_parts(folder: Path) -> int:
    """Remove what writers that died have left behind; returns how many files that were.

    Parameters
    ----------
    folder
        Where they wrote. A file that is still being written is locked and stays.
    """
    cleared = 0
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            cleared += 1
    return cleared


def sync_folder(folder: Path) -> None:
    """Have a folder's list of names on the disk.

    Parameters
    ----------
    folder
        The folder.
    """
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _make(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        number, name = tempfile.mkstemp(prefix=PREFIX, dir=folder)
        file = os.fdopen(number, "wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between making and locking, another process may have taken it for a dead writer's.
        with suppress(OSError):
            if os.stat(name).st_ino == os.fstat(file.fileno()).st_ino:
                return Path(name), file
        file.close()
