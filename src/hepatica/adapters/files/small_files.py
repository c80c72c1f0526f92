"""Small text files: facts, protocols, plans, manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hepatica.core.errors import NotFoundError, SourceFormatError, TooLargeError

MOST_BYTES: Final = 20_000_000
"""A plan of a hundred lesions has about a megabyte; more is another kind of file."""


def read_small_file(path: Path) -> bytes:
    """Return the bytes of a small file.

    Raises
    ------
    NotFoundError, SourceFormatError, TooLargeError
    """
    if not path.exists():
        raise NotFoundError(expected="a file", given="nothing at that path", action="check the path")
    if not path.is_file():
        raise SourceFormatError(expected="a file", given="a folder")
    size_bytes = path.stat().st_size
    if size_bytes > MOST_BYTES:
        raise TooLargeError(
            expected=f"at most {MOST_BYTES} bytes",
            given=f"{size_bytes} bytes",
            action="check the path",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceFormatError(
            expected="a readable file", given=error.strerror or type(error).__name__
        ) from error


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write one JSON document: sorted as given, indented, finite numbers only, one line end at the end."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
