"""Find stored bytes through an item that the person may see; a digest alone opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hepatica.core.errors import NotFoundError
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext

CONTENT: Final = "content"
"""Name under which an item's own bytes (``content_digest``) are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file of an item.

    Parameters
    ----------
    name
        As the item calls it.
    digest
        SHA-256 of its bytes.
    path
        Where they lie, checked against the digest just now.
    """

    name: str
    digest: str
    path: Path


def find_file(context: RecordContext, *, kind: str, item_id: str, name: str) -> StoredFile:
    """Return a file of an item.

    Parameters
    ----------
    context
        Who asks.
    kind, item_id
        The item; only fields that the person may see name files for him.
    name
        Name of the file in the item, or `CONTENT`.

    Raises
    ------
    ForbiddenError
        Without the right to read the kind.
    NotFoundError
        If there is no such item or file for him.
    TrailError
        If the stored bytes are not those any more.
    """
    item = read_item(context, kind=kind, item_id=item_id)
    files = item.values.get("files")
    held = dict(files) if isinstance(files, Mapping) else {}
    if "content_digest" in item.values:
        held.setdefault(CONTENT, item.values["content_digest"])
    digest = held.get(name)
    if not isinstance(digest, str):
        raise NotFoundError(expected=f"a file of this {kind}", given="an unknown name", where=kind)
    return StoredFile(name=name, digest=digest, path=context.files.open_path(digest))
