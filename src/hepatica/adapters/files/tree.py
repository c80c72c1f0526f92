"""Safe file trees: a folder, a zip archive (archives inside it one level deep) or one file."""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final, Self, cast

from hepatica.core.errors import (
    NotFoundError,
    SourceFormatError,
    UnsafeArchiveError,
    refuse_unreadable,
)
from hepatica.workflows.ports import FileEntry

_GIB: Final = 1024**3
_JUNK_NAMES: Final = frozenset({"DICOMDIR", "THUMBS.DB", "DESKTOP.INI", "__MACOSX"})
_ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_IN_FOLDER: Final = "a file in the folder"
_ARCHIVE: Final = "an archive in the folder"
_INNER: Final = "an archive inside the archive"
# Messages never name files: names given by a scanner or a clinic may hold a person's name.
_SPOOL_BYTES: Final = 64 * 1024**2
"""Inner archives above this size wait on disk instead of in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """What a tree may hold at most.

    Parameters
    ----------
    files
        Number of files. A CT with all phases has some thousands.
    unpacked_bytes
        Unpacked size of all archives together.
    ratio
        Unpacked to packed size, judged only above ``ratio_from_bytes``: empty mask slices honestly pack
        several hundred to one.
    ratio_from_bytes
        Unpacked size from which the ratio counts.
    """

    files: int = 100_000
    unpacked_bytes: int = 12 * _GIB
    ratio: float = 250.0
    ratio_from_bytes: int = 1 * _GIB


DEFAULT_LIMITS: Final = TreeLimits()


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an entry comes from: a file on disk, or a member of an open archive."""

    path: Path | None = None
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None


class OpenTree:
    """The files below one path; made by `open_tree`, used as a context manager."""

    def __init__(self, *, sources: dict[FileEntry, _Source], stack: ExitStack) -> None:
        ordered = sorted(sources.items(), key=lambda pair: pair[0].name)
        self._sources = {
            replace(entry, position=f"file {n} of {len(ordered)}") if len(ordered) > 1 else entry: source
            for n, (entry, source) in enumerate(ordered, start=1)
        }
        self._stack = stack

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """All files, sorted by name."""
        return tuple(self._sources)

    def open(self, entry: FileEntry) -> BinaryIO:
        """Open one file for reading.

        Raises
        ------
        SourceFormatError
            If the archive member is damaged or encrypted.
        """
        source = self._sources[entry]
        with _refuse_damaged(entry.position):
            if source.path is not None:
                return source.path.open("rb")
            if source.archive is None or source.member is None:
                raise NotFoundError(expected="a file of this tree", given=entry.position)
            return cast(BinaryIO, source.archive.open(source.member))

    def read_bytes(self, entry: FileEntry) -> bytes:
        """Return one file whole.

        Raises
        ------
        SourceFormatError
            If the archive member is damaged or encrypted.
        """
        with _refuse_damaged(entry.position), self.open(entry) as stream:
            return stream.read()

    def __enter__(self) -> Self:
        """Return the tree."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close every archive."""
        self._stack.close()


def open_tree(path: Path, *, limits: TreeLimits = DEFAULT_LIMITS) -> OpenTree:
    """Open a folder, a zip archive or a single file as a tree of files.

    Hidden files, ``__MACOSX``, ``DICOMDIR`` and empty files are left out. Archives inside a folder, and
    archives
    inside an archive one level deep, are opened too. Nothing is ever unpacked to a path named by the archive.

    Parameters
    ----------
    path
        Folder, zip or file; zips are known by content, not by name.
    limits
        Ceilings against decompression bombs.

    Raises
    ------
    NotFoundError
        If the path does not exist.
    UnsafeArchiveError
        If an archive leaves its folder, or exceeds a limit.
    SourceFormatError
        If an archive is damaged or encrypted.

    Examples
    --------
    >>> import zipfile
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with zipfile.ZipFile(Path(folder) / "scan.zip", "w") as archive:
    ...         archive.writestr("study/image_1", b"pixels")
    ...         archive.writestr("study/image_0", b"pixels")
    ...     with open_tree(Path(folder) / "scan.zip") as tree:
    ...         [entry.name for entry in tree.entries]
    ['study/image_0', 'study/image_1']
    """
    if not path.exists():
        raise NotFoundError(
            expected="a file or folder", given="nothing at that path", action="check the path"
        )
    builder = _TreeBuilder(limits=limits)
    with ExitStack() as guard:
        guard.callback(builder.stack.close)
        if path.is_dir():
            builder.add_folder(path)
        else:
            builder.add_file(path, name=path.name, alone=True)
        guard.pop_all()
    return OpenTree(sources=builder.sources, stack=builder.stack)


class _TreeBuilder:
    def __init__(self, *, limits: TreeLimits) -> None:
        self.sources: dict[FileEntry, _Source] = {}
        self.stack = ExitStack()
        self._limits = limits
        self._unpacked_bytes = 0

    def add_folder(self, folder: Path) -> None:
        for file in _walk(folder):
            name = file.relative_to(folder).as_posix()
            self.add_file(file, name=name, alone=False)

    def add_file(self, file: Path, *, name: str, alone: bool) -> None:
        try:
            size = file.stat().st_size
            with file.open("rb") as stream:
                is_zip = stream.read(4) in _ZIP_MAGIC
        except OSError as failure:
            raise SourceFormatError(
                expected="a readable file",
                given=type(failure).__name__,
                where=_IN_FOLDER if not alone else "",
                action="check its rights",
            ) from None
        if is_zip:
            # A lone archive is the tree itself; its members need no prefix.
            self._add_archive(
                file, size=size, prefix="" if alone else f"{name}/", depth=0, where="" if alone else _ARCHIVE
            )
        elif size > 0:
            self._add(FileEntry(name=name, size_bytes=size), _Source(path=file))

    def _add_archive(self, file: Path | IO[bytes], *, size: int, prefix: str, depth: int, where: str) -> None:
        with _refuse_damaged(where):
            archive = self.stack.enter_context(zipfile.ZipFile(file))
        members = [member for member in archive.infolist() if not member.is_dir()]
        for member in archive.infolist():
            _require_inside(member, where=where)
        unpacked = sum(member.file_size for member in members)
        self._unpacked_bytes += unpacked
        self._require_sane_size(unpacked, packed=size, where=where)
        for member in members:
            name = member.filename
            if member.file_size == 0 or _is_junk(name) or stat.S_ISLNK(member.external_attr >> 16):
                continue
            if member.flag_bits & 0x1:
                raise SourceFormatError(
                    expected="an archive without password",
                    given="an encrypted archive",
                    where=where,
                    action="unpack it first",
                )
            if depth == 0 and self._is_archive(archive, member, where=where):
                inner = self._spool(archive, member, where=where)
                self._add_archive(
                    inner, size=member.file_size, prefix=f"{prefix}{name}/", depth=1, where=_INNER
                )
                continue
            entry = FileEntry(name=f"{prefix}{name}", size_bytes=member.file_size)
            self._add(entry, _Source(archive=archive, member=member))

    def _is_archive(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, where: str) -> bool:
        with _refuse_damaged(where), archive.open(member) as stream:
            return stream.read(4) in _ZIP_MAGIC

    def _spool(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, where: str) -> IO[bytes]:
        spool = self.stack.enter_context(tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES))  # noqa: SIM115
        with _refuse_damaged(where), archive.open(member) as stream:
            while block := stream.read(1 << 20):
                spool.write(block)
        spool.seek(0)
        return cast(IO[bytes], spool)

    def _require_sane_size(self, unpacked: int, *, packed: int, where: str) -> None:
        limits = self._limits
        if self._unpacked_bytes > limits.unpacked_bytes:
            raise UnsafeArchiveError(
                expected=f"at most {limits.unpacked_bytes / _GIB:.3g} GiB unpacked",
                given=f"{self._unpacked_bytes / _GIB:.3g} GiB announced",
                where=where,
                action="unpack and check the archive yourself",
            )
        if unpacked > limits.ratio_from_bytes and unpacked > limits.ratio * max(packed, 1):
            raise UnsafeArchiveError(
                expected=f"at most {limits.ratio:.0f} times the packed size",
                given=f"{unpacked / max(packed, 1):.0f} times",
                where=where,
                action="unpack and check the archive yourself",
            )

    def _add(self, entry: FileEntry, source: _Source) -> None:
        if len(self.sources) >= self._limits.files:
            raise UnsafeArchiveError(
                expected=f"at most {self._limits.files} files",
                given="more",
                where=f"file {self._limits.files + 1}",
                action="point at the folder of one study",
            )
        self.sources[entry] = source


def _walk(folder: Path) -> Iterator[Path]:
    """Yield regular files once each; symbolic links are followed, loops are not."""
    seen: set[tuple[int, int]] = set()
    for current, folders, files in os.walk(folder, followlinks=True):
        here = Path(current)
        identity = here.stat()
        if (identity.st_dev, identity.st_ino) in seen:
            folders.clear()
            continue
        seen.add((identity.st_dev, identity.st_ino))
        folders[:] = sorted(name for name in folders if not _is_junk(name))
        for name in sorted(files):
            file = here / name
            if not _is_junk(name) and file.is_file():
                yield file


def _is_junk(name: str) -> bool:
    return any(part.startswith(".") or part.upper() in _JUNK_NAMES for part in PurePosixPath(name).parts)


def _require_inside(member: zipfile.ZipInfo, *, where: str) -> None:
    name = member.orig_filename.replace("\\", "/")
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    if path.is_absolute() or ".." in path.parts or drive or "\x00" in name:
        raise UnsafeArchiveError(
            expected="names inside the archive's own folder",
            given="a name that leads out of it",
            where=where,
            action="do not open this archive; ask for a clean one",
        )


def _refuse_damaged(where: str) -> AbstractContextManager[None]:
    return refuse_unreadable(expected="a complete file or zip archive", where=where)


def read_start(path: Path, count: int) -> bytes:
    """Return the first bytes of a file.

    Raises
    ------
    SourceFormatError
        If it cannot be read.
    """
    with refuse_unreadable(expected="a readable file", where="the file"), path.open("rb") as stream:
        return stream.read(count)


__all__ = ["DEFAULT_LIMITS", "OpenTree", "TreeLimits", "open_tree", "read_start"]
