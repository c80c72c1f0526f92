"""Copy a record while it is in use, and put a copy back into an empty home.

A copy is one uncompressed tar: ``backup.json`` (version, counts, digests), one file of rows a table, the files,
the sealing key. Rows come from one consistent view and are written before the files: a file is always on the disk
before a row names it, so the files copied afterwards hold every one the rows name. The checkpoint key is not in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import JSON, Connection, MetaData, Table, insert, select

from hepatica.adapters.store.database import open_view
from hepatica.adapters.store.files import ContentFolder
from hepatica.adapters.store.home import (
    RecordHome,
    filling_home,
    open_home,
    read_key,
    write_marker,
    write_private,
)
from hepatica.adapters.store.migrate import find_version, list_versions, migrate_on
from hepatica.adapters.store.part_file import clear_parts, open_part, sync_folder
from hepatica.adapters.store.refusals import refusing
from hepatica.adapters.store.tables import META, METADATA, SESSION
from hepatica.core.errors import (
    HepaticaError,
    OutputError,
    OutputExistsError,
    SourceFormatError,
    TrailError,
    refuse_unreadable,
)
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import digest_bytes

FORMAT: Final = "hepatica-backup-1"
HEAD_MAX: Final = 8 << 20
"""Longest head taken back, in bytes."""
AGAIN: Final = "use another copy"
HEAD: Final = "backup.json"
ROWS_AT_ONCE: Final = 1000
LINE_MAX: Final = 64 << 20
"""Longest row taken back, in bytes: no item comes near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What a copy holds: rows by table, and files; and digests of damaged files, which it does not hold."""

    version: str
    rows: dict[str, int]
    files: int
    damaged: tuple[str, ...]


def write_backup(home: RecordHome, out: Path, *, progress: Progress = SILENT) -> BackupSummary:
    """Copy a record that may be in use into one new file that only its owner can read.

    Parameters
    ----------
    home
        The record.
    out
        The file; must not exist.
    progress
        Told how far it is; may cancel.

    Raises
    ------
    OutputExistsError
        If ``out`` exists.
    """
    if out.exists():
        raise _refuse_existing()
    try:
        clear_parts(out.parent)
        with refusing(), open_part(out.parent) as (part, file):
            with tarfile.open(fileobj=file, mode="w") as tar:
                summary = _fill(home, tar, folder=out.parent, progress=progress)
            file.flush()
            os.fsync(file.fileno())
            if out.exists():
                raise _refuse_existing()
            part.rename(out)
            sync_folder(out.parent)
    except HepaticaError:
        raise
    except OSError as problem:
        raise OutputError(
            expected="room and rights for the copy", given=type(problem).__name__, where="--out"
        ) from problem
    return summary


def restore_backup(
    source: Path, folder: Path, *, database: str = "", progress: Progress = SILENT
) -> RecordHome:
    """Put a copy back into an empty home, on either kind of database.

    Parameters
    ----------
    source
        File from `write_backup`.
    folder
        Empty or new home.
    database
        Address of an empty PostgreSQL database; empty for SQLite in the home.
    progress
        Told how far it is; may cancel.

    Raises
    ------
    OutputExistsError
        If the home or the database holds something.
    SourceFormatError
        If the file is no such copy, or of a newer version.
    TrailError
        If rows or files are not those that were copied.
    """
    with (
        refuse_unreadable(expected="a file that 'hepatica backup' wrote", where="--from", action=AGAIN),
        open_tar(source) as tar,
    ):
        head = read_head(tar)
        with filling_home(folder, database=database) as connection:
            # Files before the rows that name them, as when they were first kept.
            key = _take_files(tar, head, folder, progress=progress)
            migrate_on(connection, str(head["version"]))
            take_rows(tar, head, connection, progress=progress)
            migrate_on(connection)
            _require_same_record(head, connection, key=key)
            write_marker(folder, record_id=head["record_id"], mode=head["mode"], own_database=not database)
    return open_home(folder, database=database)


def _fill(home: RecordHome, tar: tarfile.TarFile, *, folder: Path, progress: Progress) -> BackupSummary:
    progress.stage("Copying rows")
    counts: dict[str, int] = {}
    digests: dict[str, str] = {}
    with ExitStack() as stack:
        view = stack.enter_context(open_view(home.engine))
        for table in METADATA.sorted_tables:
            if table is SESSION:
                continue  # who was logged in then must not be logged in again
            rows = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            counts[table.name], digests[table.name] = _write_rows(view, table, rows)
            rows.seek(0)
            _add(tar, f"rows/{table.name}.ndjson", rows)
            progress.check_cancelled()
    key = read_key(home.folder, "seal.key")
    _add_bytes(tar, "keys/seal.key", key)
    progress.stage("Copying files")
    names = list(home.files.list_digests())
    damaged = []
    for number, name in enumerate(names):
        try:
            with home.files.open_path(name).open("rb") as file:
                _add(tar, f"files/{name}", file)
        except TrailError:
            # The rest must be saved all the same; whoever verifies the copy is told that this is missing.
            damaged.append(name)
        progress.advance((number + 1) / len(names))
        progress.check_cancelled()
    head = {
        "format": FORMAT,
        "version": find_version(),
        "record_id": home.record_id,
        "mode": home.mode,
        "rows": counts,
        "row_digests": digests,
        "files": len(names) - len(damaged),
        "damaged_files": damaged,
    }
    _add_bytes(tar, HEAD, json.dumps(head, indent=2).encode())
    return BackupSummary(
        version=find_version(), rows=counts, files=len(names) - len(damaged), damaged=tuple(damaged)
    )


def _write_rows(view: Connection, table: Table, rows: Any) -> tuple[int, str]:
    held, count = hashlib.sha256(), 0
    statement = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS_AT_ONCE)
    for row in view.execute(statement).mappings():
        line = json.dumps(dict(row), separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
        held.update(line)
        rows.write(line)
        count += 1
    return count, held.hexdigest()


def _add(tar: tarfile.TarFile, name: str, file: Any) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = 0o600
    file.seek(0, os.SEEK_END)
    entry.size = file.tell()
    file.seek(0)
    tar.addfile(entry, file)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    _add(tar, name, io.BytesIO(data))


def open_tar(source: Path) -> tarfile.TarFile:
    """Open a copy.

    Parameters
    ----------
    source
        File from `write_backup`.

    Raises
    ------
    SourceFormatError
        If it is none.
    """
    try:
        return tarfile.open(source, mode="r:")
    except (OSError, tarfile.TarError) as problem:
        raise SourceFormatError(
            expected="a file that 'hepatica backup' wrote", given=type(problem).__name__, where="--from"
        ) from problem


def _read_member(tar: tarfile.TarFile, name: str | tarfile.TarInfo) -> Any:
    try:
        file = tar.extractfile(name)
    except (KeyError, tarfile.TarError, OSError):
        file = None
    if file is None:
        raise SourceFormatError(
            expected=f"'{name if isinstance(name, str) else name.name}' in the copy",
            given="a file without it, or cut off",
            where="--from",
            action=AGAIN,
        )
    return file


def read_head(tar: tarfile.TarFile) -> dict[str, Any]:
    """Return the head of a copy.

    Parameters
    ----------
    tar
        The copy.

    Raises
    ------
    SourceFormatError
        If it has none, or is of a newer version.
    """
    try:
        head = json.loads(_read_member(tar, HEAD).read(HEAD_MAX))
        known = {"version", "record_id", "mode", "rows", "row_digests", "files"} <= set(head)
        known = known and head.get("format", FORMAT) == FORMAT and isinstance(head["files"], int)
    except (ValueError, TypeError):
        known = False
    if not known:
        raise SourceFormatError(
            expected="the head of a copy", given="another document", where="--from", action=AGAIN
        )
    if head["version"] not in list_versions():
        raise SourceFormatError(
            expected=f"a copy of version {find_version()} or older",
            given="one of a newer version",
            where="--from",
            action="install the newer Hepatica",
        )
    return dict(head)


def take_rows(
    tar: tarfile.TarFile, head: dict[str, Any], connection: Connection, *, progress: Progress = SILENT
) -> None:
    """Put the rows of a copy into empty tables of its version.

    Parameters
    ----------
    tar, head
        The copy.
    connection
        Open transaction.
    progress
        Told how far it is; may cancel.

    Raises
    ------
    TrailError
        If they are not those that were copied.
    """
    progress.stage("Restoring rows")
    tables = _reflect(connection)
    if set(head["rows"]) != set(tables):
        raise SourceFormatError(
            expected=f"the tables of version {head['version']}", given="others", where="--from", action=AGAIN
        )
    for name, table in sorted(tables.items()):
        member = f"rows/{name}.ndjson"
        found = _digest_rows(_read_member(tar, member))
        if found != (head["rows"][name], head["row_digests"].get(name)):
            raise TrailError(
                expected="the rows that were copied",
                given="other rows",
                where=f"rows of {name}",
                action=AGAIN,
            )
        for batch in _batch(map(json.loads, _read_lines(_read_member(tar, member)))):
            connection.execute(insert(table), batch)
            progress.check_cancelled()


def _digest_rows(file: Any) -> tuple[int, str]:
    held, count = hashlib.sha256(), 0
    for line in _read_lines(file):
        held.update(line)
        count += 1
    return count, held.hexdigest()


def _reflect(connection: Connection) -> dict[str, Table]:
    """Return the tables as they are in the database: an older version's are not those of this program."""
    found = MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type.none_as_null = True
    left_out = {SESSION.name, "alembic_version"}
    return {name: table for name, table in found.tables.items() if name not in left_out}


def _require_same_record(head: dict[str, Any], connection: Connection, *, key: bytes) -> None:
    meta = {row.name: row.value for row in connection.execute(select(META))}
    found = (meta.get("record_id"), meta.get("mode"), meta.get("sealing_key_digest"))
    if found != (head["record_id"], head["mode"], digest_bytes(key)):
        raise TrailError(
            expected="head, rows and key of one record", given="those of two", where="--from", action=AGAIN
        )


def _read_lines(file: Any) -> Iterator[bytes]:
    while line := file.readline(LINE_MAX):
        yield line


def _batch(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield batch


def _take_files(tar: tarfile.TarFile, head: dict[str, Any], folder: Path, *, progress: Progress) -> bytes:
    """Put back the files and the sealing key; returns the key."""
    progress.stage("Restoring files")
    key = bytes(_read_member(tar, "keys/seal.key").read(1 << 10))
    write_private(folder / "keys" / "seal.key", key)
    files, count = ContentFolder(folder / "files"), 0
    for entry in tar:
        if not entry.name.startswith("files/"):
            continue
        if files.keep_stream(_read_member(tar, entry)) != entry.name.removeprefix("files/"):
            raise TrailError(
                expected="the file that was copied", given="other bytes", where=entry.name[:18], action=AGAIN
            )
        count += 1
        progress.advance(min(1.0, count / max(1, head["files"])))
        progress.check_cancelled()
    if count != head["files"]:
        raise TrailError(
            expected=f"{head['files']} files", given=f"{count}", where="files of the copy", action=AGAIN
        )
    return key


def _refuse_existing() -> OutputExistsError:
    return OutputExistsError(expected="a new file", given="one that exists", where="--out")
