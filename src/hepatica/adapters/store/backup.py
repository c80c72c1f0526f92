"""Copy a record while it is in use, and put a copy back into an empty home.

A copy is one uncompressed tar: ``backup.json`` (version, counts, digests), one file of rows a table, the files,
the sealing key. Rows come from one consistent view and are written before the files: a file is always on the disk
before a row names it, so the files copied afterwards hold every one the rows name. The checkpoint key is not in it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select

from hepatica.adapters.store.database import open_change, open_engine, open_view
from hepatica.adapters.store.home import (
    RecordHome,
    open_home,
    read_key,
    require_empty,
    write_marker,
    write_private,
)
from hepatica.adapters.store.migrate import find_version, migrate_to, read_version
from hepatica.adapters.store.tables import METADATA, SESSION
from hepatica.core.errors import OutputError, OutputExistsError, SourceFormatError, TrailError
from hepatica.core.progress import SILENT, Progress
from hepatica.core.provenance import digest_bytes

HEAD: Final = "backup.json"
ROWS_AT_ONCE: Final = 1000
LINE_MAX: Final = 64 << 20
"""Longest row taken back, in bytes: no item comes near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What a copy holds: rows by table, and files."""

    version: str
    rows: dict[str, int]
    files: int


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
        raise OutputExistsError(expected="a new file", given="one that exists", where="--out")
    part = out.with_name(f".{out.name}.part")
    try:
        part.unlink(missing_ok=True)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                summary = _fill(home, tar, progress=progress)
            file.flush()
            os.fsync(file.fileno())
        part.rename(out)
    except OSError as problem:
        raise OutputError(
            expected="room and rights for the copy", given=type(problem).__name__, where="--out"
        ) from problem
    finally:
        part.unlink(missing_ok=True)
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
    require_empty(folder)
    with _open_tar(source) as tar:
        head = _read_head(tar)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        engine = open_engine(database or f"sqlite:///{(folder / 'record.sqlite').absolute()}")
        try:
            if read_version(engine):
                raise OutputExistsError(
                    expected="an empty database", given="a database with a record", where="--database"
                )
            migrate_to(engine, str(head["version"]))
            with open_change(engine) as connection:
                _take_rows(tar, head, connection)
            migrate_to(engine)
        finally:
            engine.dispose()
        _take_files(tar, folder, progress=progress)
    write_marker(folder, record_id=head["record_id"], mode=head["mode"], own_database=not database)
    return open_home(folder, database=database)


def _fill(home: RecordHome, tar: tarfile.TarFile, *, progress: Progress) -> BackupSummary:
    progress.stage("Copying rows")
    counts: dict[str, int] = {}
    digests: dict[str, str] = {}
    with ExitStack() as stack:
        view = stack.enter_context(open_view(home.engine))
        for table in METADATA.sorted_tables:
            if table is SESSION:
                continue  # who was logged in then must not be logged in again
            rows = stack.enter_context(tempfile.TemporaryFile())
            counts[table.name], digests[table.name] = _write_rows(view, table, rows)
            rows.seek(0)
            _add(tar, f"rows/{table.name}.ndjson", rows)
            progress.check_cancelled()
    _add_bytes(tar, "keys/seal.key", read_key(home.folder, "seal.key"))
    progress.stage("Copying files")
    names = list(home.files.list_digests())
    for number, name in enumerate(names):
        with home.files.open_path(name).open("rb") as file:
            _add(tar, f"files/{name}", file)
        progress.advance((number + 1) / len(names))
        progress.check_cancelled()
    head = {
        "version": find_version(),
        "record_id": home.record_id,
        "mode": home.mode,
        "rows": counts,
        "row_digests": digests,
        "files": len(names),
    }
    _add_bytes(tar, HEAD, json.dumps(head, indent=2).encode())
    return BackupSummary(version=find_version(), rows=counts, files=len(names))


def _write_rows(view: Connection, table: Table, rows: Any) -> tuple[int, str]:
    import hashlib

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


def _open_tar(source: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(source, mode="r:")
    except (OSError, tarfile.TarError) as problem:
        raise SourceFormatError(
            expected="a file that 'hepatica backup' wrote", given=type(problem).__name__, where="--from"
        ) from problem


def _read_member(tar: tarfile.TarFile, name: str) -> Any:
    try:
        file = tar.extractfile(name)
    except (KeyError, tarfile.TarError, OSError):
        file = None
    if file is None:
        raise SourceFormatError(
            expected=f"'{name}' in the copy", given="a file without it, or cut off", where="--from"
        )
    return file


def _read_head(tar: tarfile.TarFile) -> dict[str, Any]:
    try:
        head = json.loads(_read_member(tar, HEAD).read(1 << 20))
        known = {"version", "record_id", "mode", "rows", "row_digests", "files"} <= set(head)
    except (ValueError, TypeError):
        known = False
    if not known:
        raise SourceFormatError(expected="the head of a copy", given="another document", where="--from")
    return dict(head)


def _take_rows(tar: tarfile.TarFile, head: dict[str, Any], connection: Connection) -> None:
    import hashlib

    for name in head["rows"]:
        table = METADATA.tables.get(name)
        if table is None:
            raise SourceFormatError(expected="tables this program knows", given="another", where="--from")
        held = hashlib.sha256()
        for batch in _batch(_read_lines(_read_member(tar, f"rows/{name}.ndjson"), held)):
            connection.execute(insert(table), batch)
        if held.hexdigest() != head["row_digests"].get(name):
            raise TrailError(
                expected="the rows that were copied", given="other rows", where=f"rows of {name}"
            )


def _read_lines(file: Any, held: Any) -> Iterator[dict[str, Any]]:
    while line := file.readline(LINE_MAX):
        held.update(line)
        yield json.loads(line)


def _batch(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _take_files(tar: tarfile.TarFile, folder: Path, *, progress: Progress) -> None:
    from hepatica.adapters.store.files import ContentFolder

    progress.stage("Restoring files")
    write_private(folder / "keys" / "seal.key", _read_member(tar, "keys/seal.key").read(1 << 10))
    files = ContentFolder(folder / "files")
    for entry in tar:
        if not entry.name.startswith("files/"):
            continue
        data = _read_member(tar, entry.name).read()
        if digest_bytes(data) != entry.name.removeprefix("files/"):
            raise TrailError(expected="the file that was copied", given="other bytes", where=entry.name[:18])
        files.keep_bytes(data)
        progress.check_cancelled()
