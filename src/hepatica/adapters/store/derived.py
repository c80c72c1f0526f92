"""Derived bytes that can be made again at any time: a cache beside the record, never part of its trail."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hepatica.adapters.store.part_file import clear_parts, open_part
from hepatica.core.errors import NotFoundError, OutputError

MOST_BYTES: Final = 20 << 30
"""Room the cache may take; what was not asked for longest goes first."""
BLOCK: Final = 1 << 20
KEY_LETTERS: Final = 64


class DerivedFolder:
    """A folder of files named by what they were made from and by their own digest.

    A file whose bytes are not those of its name is removed, and counts as not there.

    Parameters
    ----------
    root
        The folder; made when the first file is kept. Everything in it may be deleted at any time.
    most_bytes
        Room it may take.
    """

    def __init__(self, root: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.root, self._most_bytes = root, most_bytes

    def find(self, key: str) -> tuple[Path, str] | None:
        """Return where something lies and the SHA-256 of its bytes, checked just now; None where it is not made.

        Parameters
        ----------
        key
            SHA-256 of what it is made from.
        """
        _require_key(key)
        for path in sorted(self.root.glob(f"{key}.*.bin")):
            digest = path.name.split(".")[1]
            with suppress(FileNotFoundError):
                if _digest(path) == digest:
                    # Its time says when it was asked for last.
                    os.utime(path)
                    return path, digest
                path.unlink()
        return None

    def holds(self, key: str) -> bool:
        """Return whether something lies under a key; its bytes are checked when they are asked for.

        Parameters
        ----------
        key
            SHA-256 of what it is made from.
        """
        _require_key(key)
        return any(self.root.glob(f"{key}.*.bin"))

    def keep(self, key: str, data: bytes) -> str:
        """Keep bytes under a key; returns their digest.

        Parameters
        ----------
        key
            SHA-256 of what they are made from.
        data
            The bytes.

        Raises
        ------
        OutputError
            If they cannot be written.
        """
        _require_key(key)
        digest = hashlib.sha256(data).hexdigest()
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            clear_parts(self.root)
            self._make_room(len(data))
            with open_part(self.root) as (part, file):
                file.write(data)
                file.flush()
                part.replace(self.root / f"{key}.{digest}.bin")
        except OSError as problem:
            raise OutputError(
                expected="room and rights to keep derived data",
                given=type(problem).__name__,
                where="derived data of the record",
            ) from problem
        return digest

    @contextmanager
    def making(self, key: str) -> Iterator[None]:
        """Let one thread of one process make something at a time; the others wait and find it made.

        Parameters
        ----------
        key
            What is made.
        """
        _require_key(key)
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # One file for each of 256 keys: it is never removed, so that nobody can wait on one that is gone.
        with (self.root / f"{key[:2]}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _make_room(self, wanted: int) -> None:
        found = []
        for path in self.root.glob("*.bin"):
            with suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        held = sum(size for _, size, _ in found) + wanted
        for _, size, path in sorted(found):
            if held <= self._most_bytes:
                return
            path.unlink(missing_ok=True)
            held -= size


def _digest(path: Path) -> str:
    held = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            held.update(block)
    return held.hexdigest()


def _require_key(key: str) -> None:
    if len(key) != KEY_LETTERS or not set(key) <= set("0123456789abcdef"):
        raise NotFoundError(expected="a SHA-256 in hexadecimal", given="another text", where="derived data")
