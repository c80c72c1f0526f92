"""What a file or folder is, judged by its content and never by its name."""

from __future__ import annotations

import gzip
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Final

from hepatica.adapters.files.tree import open_tree
from hepatica.core.errors import SourceFormatError, refuse_unreadable
from hepatica.workflows.ports import FileEntry, FileTree

HEAD_BYTES: Final = 512
_GZIP_MAGIC: Final = b"\x1f\x8b"
_NIFTI1_MAGIC: Final = (b"n+1\x00", b"ni1\x00")
_NIFTI2_MAGIC: Final = (b"n+2\x00\r\n\x1a\n", b"ni2\x00\r\n\x1a\n")
_METAIMAGE_KEYS: Final = (b"ObjectType", b"NDims", b"Comment", b"ObjectSubType")


class SourceFormat(StrEnum):
    """Kinds of files that can be read."""

    DICOM = "DICOM"
    """DICOM files, also without extension or preamble."""
    NIFTI = "NIfTI"
    """NIfTI-1 or NIfTI-2, plain or gzip."""
    NRRD = "NRRD"
    """NRRD with attached or detached data."""
    METAIMAGE = "MetaImage"
    """MHA or MHD."""


def sniff_format(path: Path) -> SourceFormat:
    """Tell what a file, folder or zip archive holds.

    A folder or archive with any DICOM file is DICOM; otherwise its files must be of one other format.

    Raises
    ------
    NotFoundError
        If the path does not exist.
    SourceFormatError
        If nothing readable is found, or several formats are mixed.
    UnsafeArchiveError
        If an archive is unsafe.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "ct.nrrd").write_bytes(b"NRRD0004\\n")
    ...     sniff_format(Path(folder))
    <SourceFormat.NRRD: 'NRRD'>
    """
    with open_tree(path) as tree:
        found: Counter[SourceFormat] = Counter()
        for entry in tree.entries:
            kind = _sniff_entry(tree, entry)
            if kind is SourceFormat.DICOM:
                return kind
            if kind is not None:
                found[kind] += 1
        count = len(tree.entries)
    if len(found) == 1:
        return next(iter(found))
    if found:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(found.items()))
        raise SourceFormatError(
            expected="files of one format",
            given=kinds,
            action="name one file instead of the folder",
        )
    raise SourceFormatError(
        expected="DICOM, NIfTI, NRRD or MetaImage (MHA, MHD)",
        given=f"{count} file(s) of none of these" if count else "no file with content",
        action="check the path; unpack archives other than zip first",
    )


def sniff_bytes(head: bytes) -> SourceFormat | None:
    """Tell the format from the first `HEAD_BYTES` of a file (unpacked), or None."""
    if head[128:132] == b"DICM":
        return SourceFormat.DICOM
    if head[344:348] in _NIFTI1_MAGIC or head[4:12] in _NIFTI2_MAGIC:
        return SourceFormat.NIFTI
    if head[:4] == b"NRRD":
        return SourceFormat.NRRD
    first = head.split(b"\n", 1)[0]
    if first.split(b"=")[0].strip() in _METAIMAGE_KEYS and b"=" in first:
        return SourceFormat.METAIMAGE
    # Files of old archives lack the preamble and start with group 0008 (or 0002), little endian.
    if head[:2] in (b"\x08\x00", b"\x02\x00") and head[2:4] in (
        b"\x00\x00",
        b"\x01\x00",
        b"\x05\x00",
        b"\x08\x00",
    ):
        return SourceFormat.DICOM
    return None


def _sniff_entry(tree: FileTree, entry: FileEntry) -> SourceFormat | None:
    with refuse_unreadable(expected="a readable file", where=entry.position), tree.open(entry) as stream:
        head = stream.read(HEAD_BYTES)
        if head[:2] != _GZIP_MAGIC:
            return sniff_bytes(head)
        stream.seek(0)
        try:
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return sniff_bytes(unpacked.read(HEAD_BYTES))
        except (EOFError, OSError):
            return None
