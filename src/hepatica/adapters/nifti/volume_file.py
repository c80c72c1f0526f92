"""Finding and loading volume files: one file, or the files of a folder or zip archive."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hepatica.adapters.nifti.load_itk import load_itk
from hepatica.adapters.nifti.load_nifti import load_nifti
from hepatica.adapters.nifti.stored_array import StoredArray
from hepatica.core.errors import NotFoundError, SourceFormatError, refuse_unreadable
from hepatica.core.provenance import digest_bytes
from hepatica.workflows.ports import FileTree

_NIFTI_STARTS = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c", b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c")
_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFile:
    """A file on disk, its name in the tree, what messages call it, and the SHA-256 of its bytes.

    ``where`` is empty for a file that is alone.
    """

    path: Path
    name: str
    where: str
    digest: str


def load_volume_file(file: VolumeFile) -> StoredArray:
    """Load one volume file by its content.

    Raises
    ------
    SourceFormatError
        If it is none of NIfTI, NRRD, MetaImage; for the rest see the loaders.
    """
    kind = _sniff(file.path, where=file.where)
    if kind == "nifti":
        return load_nifti(file.path, where=file.where)
    if kind == "itk":
        return load_itk(file.path, where=file.where)
    raise SourceFormatError(
        expected="NIfTI, NRRD or MetaImage",
        given="another or a truncated file",
        where=file.where,
        action="check the path",
    )


@contextmanager
def find_volume_files(path: Path, open_tree: Callable[[Path], FileTree]) -> Iterator[tuple[VolumeFile, ...]]:
    """Find the volume files of a path, sorted by name; archive members wait in a temporary folder meanwhile.

    Data files that belong to a header (``.img``, ``.raw``) are not listed by themselves.

    Raises
    ------
    NotFoundError
        If the path does not exist.
    SourceFormatError
        If there is no volume file.
    """
    if not path.exists():
        raise NotFoundError(
            expected="a file or folder", given="nothing at that path", action="check the path"
        )
    with open_tree(path) as tree, tempfile.TemporaryDirectory(prefix="hepatica-") as scratch:
        files = []
        for n, entry in enumerate(tree.entries):
            local = path / entry.name if path.is_dir() else path
            if not local.is_file() or (local == path and entry.name != path.name):
                local = Path(scratch) / f"{n}-{entry.name.rpartition('/')[2]}"
                local.write_bytes(tree.read_bytes(entry))
            if _sniff(local, where=entry.position):
                digest = digest_bytes(local.read_bytes())
                where = entry.position if len(tree.entries) > 1 else ""
                files.append(VolumeFile(path=local, name=entry.name, where=where, digest=digest))
            elif local.parent == Path(scratch):
                local.unlink()
        if not files:
            raise SourceFormatError(
                expected="NIfTI, NRRD or MetaImage (MHA, MHD)",
                given="none",
                action="check the path",
            )
        yield tuple(files)


def strip_suffix(name: str) -> str:
    """Return a file name without folder and suffix: ``segmentations/liver.nii.gz`` gives ``liver``."""
    base = name.rpartition("/")[2]
    for suffix in _SUFFIXES:
        if base.lower().endswith(suffix):
            return base[: -len(suffix)] or base
    return base


def _sniff(path: Path, *, where: str) -> str:
    with refuse_unreadable(expected="a readable file", where=where), path.open("rb") as stream:
        head = stream.read(32)
    if head[:2] == b"\x1f\x8b":
        try:
            with gzip.open(path) as unpacked:
                head = unpacked.read(32)
        except (EOFError, OSError):
            return ""
    if head[:4] in _NIFTI_STARTS:
        return "nifti"
    if head[:4] == b"NRRD" or head.split(b"=")[0].strip() in (
        b"ObjectType",
        b"NDims",
        b"Comment",
        b"ObjectSubType",
    ):
        return "itk"
    return ""
