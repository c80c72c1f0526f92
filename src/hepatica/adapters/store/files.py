"""Bytes by their SHA-256, each file on the disk before a row may name it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hepatica.adapters.store.part_file import clear_parts, open_part, sync_folder
from hepatica.core.errors import NotFoundError, OutputError, TrailError

BLOCK: Final = 1 << 20
"""Bytes read at a time."""


class ContentFolder:
    """A folder of files named by their digest.

    Parameters
    ----------
    root
        The folder; made when the first file is kept.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep_bytes(self, data: bytes) -> str:
        """Keep some bytes; returns their digest once they are on the disk.

        Parameters
        ----------
        data
            Any bytes; the same bytes twice take room once.
        """
        return self._keep(iter((data,)))

    def keep_file(self, path: Path) -> str:
        """Keep a copy of a file; returns its digest once it is on the disk.

        Parameters
        ----------
        path
            The file.
        """
        return self._keep(_read_blocks(path))

    def keep_stream(self, file: BinaryIO) -> str:
        """Keep what is left of an open file; returns its digest once it is on the disk.

        Parameters
        ----------
        file
            Open for reading bytes.
        """
        return self._keep(iter(lambda: file.read(BLOCK), b""))

    def open_path(self, digest: str) -> Path:
        """Return where a digest's bytes lie, after checking that they are still those bytes.

        Parameters
        ----------
        digest
            SHA-256 in hexadecimal.

        Raises
        ------
        NotFoundError
            If nothing was kept under it.
        TrailError
            If the bytes are others now.
        """
        path = self._to_path(digest)
        if not path.is_file():
            raise NotFoundError(expected="stored bytes", given="nothing under this digest", where=digest[:12])
        held = hashlib.sha256()
        for block in _read_blocks(path):
            held.update(block)
        if held.hexdigest() != digest:
            raise TrailError(
                expected="the bytes that were stored",
                given="other bytes under the same name",
                where=f"file {digest[:12]}",
                action="restore it from a backup",
            )
        return path

    def read_bytes(self, digest: str) -> bytes:
        """Return a digest's bytes, checked.

        Parameters
        ----------
        digest
            SHA-256 in hexadecimal.
        """
        return self.open_path(digest).read_bytes()

    def list_digests(self) -> Iterator[str]:
        """Return every digest kept, in order."""
        for path in sorted(self.root.glob("[0-9a-f][0-9a-f]/*")):
            if len(path.name) == 64:
                yield path.name

    def clear_parts(self) -> int:
        """Remove files that were never finished; returns how many."""
        return clear_parts(self.root)

    def _to_path(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise NotFoundError(expected="a SHA-256 in hexadecimal", given="another text", where="digest")
        return self.root / digest[:2] / digest

    def _keep(self, blocks: Iterator[bytes]) -> str:
        held = hashlib.sha256()
        try:
            self._make_root()
            with open_part(self.root) as (part, file):
                for block in blocks:
                    held.update(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
                target = self._to_path(held.hexdigest())
                target.parent.mkdir(exist_ok=True, mode=0o700)
                part.replace(target)
                for folder in (target.parent, self.root):
                    sync_folder(folder)
        except OSError as problem:
            raise OutputError(
                expected="room and rights to keep a file",
                given=type(problem).__name__,
                where="files of the record",
            ) from problem
        return held.hexdigest()

    def _make_root(self) -> None:
        if not self.root.is_dir():
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(self.root.parent)


def _read_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
