"""Uploads on their way into the record: one file each, readable by its owner only, kept until their job is over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hepatica.core.errors import NotFoundError
from hepatica.record.sign_in import make_secret


class IncomingFolder:
    """A folder of uploads.

    Parameters
    ----------
    root
        The folder; made when the first upload comes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def receiving(self) -> Iterator[tuple[str, BinaryIO]]:
        """Open a new upload: its identifier, and a file to write to; it vanishes if the block raises."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        upload_id = "up" + make_secret().replace("-", "0").replace("_", "0")[:24]
        path = self.root / upload_id
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                yield upload_id, file
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def find_path(self, upload_id: str) -> Path:
        """Return where an upload lies.

        Parameters
        ----------
        upload_id
            From `receiving`.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        path = self._to_path(upload_id)
        if not path.is_file():
            raise NotFoundError(expected="an upload", given="none of this identifier", where="upload")
        return path

    def remove(self, upload_id: str) -> None:
        """Forget an upload; silently, if it is not there.

        Parameters
        ----------
        upload_id
            From `receiving`.
        """
        self._to_path(upload_id).unlink(missing_ok=True)

    def list_uploads(self) -> tuple[str, ...]:
        """Return the identifiers of all uploads."""
        return tuple(sorted(path.name for path in self.root.glob("up*"))) if self.root.is_dir() else ()

    def _to_path(self, upload_id: str) -> Path:
        if not (upload_id.startswith("up") and upload_id.isalnum() and upload_id.isascii()):
            raise NotFoundError(expected="an upload", given="none of this identifier", where="upload")
        return self.root / upload_id
