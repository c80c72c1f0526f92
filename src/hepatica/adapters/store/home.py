"""A record's home: one folder with its database, files and keys."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, insert

from hepatica.adapters.store.database import open_change, open_engine, require_server
from hepatica.adapters.store.files import ContentFolder
from hepatica.adapters.store.migrate import (
    list_versions,
    migrate_on,
    migrate_to,
    read_version,
    require_version,
)
from hepatica.adapters.store.part_file import sync_folder
from hepatica.adapters.store.refusals import refusing
from hepatica.adapters.store.store import SqlRecordStore, read_meta
from hepatica.adapters.store.tables import META
from hepatica.core.errors import HepaticaError, NoRecordError, OutputError, OutputExistsError
from hepatica.core.provenance import digest_bytes

KEY_BYTES: Final = 32
MARKER: Final = "home.json"
DATABASE: Final = "record.sqlite"
UNFINISHED: Final = "unfinished.txt"
"""Lies in a home from its first moment until everything is in it."""
MODES: Final = ("clinical", "research", "demo")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordHome:
    """An open record.

    Parameters
    ----------
    folder
        The home.
    record_id
        Unlike any other record's.
    mode
        ``clinical``, ``research`` or ``demo``.
    engine, store, files
        Its database, items and bytes.
    """

    folder: Path
    record_id: str
    mode: str
    engine: Engine
    store: SqlRecordStore
    files: ContentFolder

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


def make_home(
    folder: Path,
    *,
    mode: str,
    database: str = "",
    checkpoint_key: Path | None = None,
    now: datetime | None = None,
) -> RecordHome:
    """Make a record in an empty or new folder.

    Parameters
    ----------
    folder
        The home; readable by its owner only.
    mode
        ``clinical``, ``research`` or ``demo``; fixed for life.
    database
        Address of an empty PostgreSQL database; empty for SQLite in the home.
    checkpoint_key
        New file for the key that signs checkpoints; None keeps it in the home, beside what it should guard.
    now
        Time of making.

    Raises
    ------
    OutputExistsError
        If the folder or the database holds something.
    """
    if mode not in MODES:
        raise NoRecordError(expected=f"one of {', '.join(MODES)}", given="another word", where="--mode")
    key = secrets.token_bytes(KEY_BYTES)
    record_id = secrets.token_hex(16)
    facts = {
        "record_id": record_id,
        "mode": mode,
        "made_utc": (now or datetime.now(UTC)).astimezone(UTC).isoformat(),
        "sealing_key_digest": digest_bytes(key),
    }
    with filling_home(folder, database=database) as connection:
        migrate_on(connection)
        connection.execute(insert(META), [{"name": name, "value": value} for name, value in facts.items()])
        write_private(folder / "keys" / "seal.key", key)
        write_private(checkpoint_key or folder / "keys" / "checkpoint.key", secrets.token_bytes(KEY_BYTES))
        write_marker(folder, record_id=record_id, mode=mode, own_database=not database)
    return open_home(folder, database=database)


@contextmanager
def filling_home(folder: Path, *, database: str) -> Iterator[Connection]:
    """Open an empty home to be filled, in one change of its database: all of it is there afterwards, or nothing.

    A process that is killed leaves a home that says it is unfinished; any failure clears what was written.

    Parameters
    ----------
    folder
        Empty or new.
    database
        Address of an empty PostgreSQL database; empty for SQLite in the home.

    Raises
    ------
    OutputExistsError
        If the folder or the database holds something.
    OutputError
        If the disk is full or cannot be written to.
    """
    require_empty(folder)
    was_there = folder.exists()
    engine = open_engine(database or _to_sqlite(folder))
    try:
        try:
            _begin_home(folder)
            _require_empty_database(engine)
            with refusing(), open_change(engine) as connection:
                yield connection
            (folder / UNFINISHED).unlink()
            sync_folder(folder)
        finally:
            engine.dispose()
    except BaseException as problem:
        _clear(folder, keep=was_there)
        if isinstance(problem, OSError) and not isinstance(problem, HepaticaError):
            raise OutputError(
                expected="room and rights for a record", given=type(problem).__name__, where="--home"
            ) from problem
        raise


def open_home(folder: Path, *, database: str = "") -> RecordHome:
    """Open a record.

    Parameters
    ----------
    folder
        Its home.
    database
        Address of its database, where that is not in the home.

    Raises
    ------
    NoRecordError
        If there is none, it is of another version, or home and database belong to different records.
    """
    marker = _read_marker(folder)
    if marker["own_database"] is False and not database:
        raise NoRecordError(
            expected="the address of the record's database",
            given="none",
            where="--database",
            action="give the --database that the record was made with",
        )
    _keep_private(folder, own_database=not database)
    engine = open_engine(database or _to_sqlite(folder))
    try:
        return _open(folder, engine, str(marker["record_id"]))
    except BaseException:
        engine.dispose()
        raise


def _open(folder: Path, engine: Engine, record_id: str) -> RecordHome:
    with refusing():
        require_server(engine)
        require_version(engine)
        meta = read_meta(engine)
    key = read_key(folder, "seal.key")
    if meta.get("record_id") != record_id or meta.get("sealing_key_digest") != digest_bytes(key):
        raise NoRecordError(
            expected="the home and the database of one record",
            given="those of two",
            where="--home, --database",
            action="give both of the same record",
        )
    files = ContentFolder(folder / "files")
    files.clear_parts()
    return RecordHome(
        folder=folder,
        record_id=record_id,
        mode=meta["mode"],
        engine=engine,
        store=SqlRecordStore(engine, sealing_key=key),
        files=files,
    )


def migrate_home(folder: Path, *, database: str = "") -> tuple[str, str]:
    """Bring a record's tables to this version; returns the versions before and after.

    Parameters
    ----------
    folder, database
        As in `open_home`.
    """
    _read_marker(folder)
    engine = open_engine(database or _to_sqlite(folder))
    try:
        with refusing():
            before = read_version(engine)
            if before not in list_versions():
                require_version(engine)
            migrate_to(engine)
            return before, read_version(engine)
    finally:
        engine.dispose()


def require_empty(folder: Path) -> None:
    """Refuse a folder that holds anything.

    Raises
    ------
    OutputExistsError
        If it does, or is no folder.
    """
    if (folder / UNFINISHED).exists():
        raise OutputExistsError(
            expected="a new or empty folder",
            given="one in which a record was begun and never finished",
            where="--home",
            action="remove the folder, empty the --database if there is one, and begin again",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExistsError(
            expected="a new or empty folder",
            given="one that holds something",
            where="--home",
            action="choose another --home",
        )


def read_key(folder: Path, name: str) -> bytes:
    """Return a key of a home.

    Parameters
    ----------
    folder
        The home.
    name
        ``seal.key`` or ``checkpoint.key``.

    Raises
    ------
    NoRecordError
        If it is missing.
    """
    path = folder / "keys" / name
    try:
        return path.read_bytes()
    except OSError as problem:
        raise NoRecordError(
            expected=f"the key {name}", given=type(problem).__name__, where="home, keys"
        ) from problem


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read, and have it on the disk.

    Parameters
    ----------
    path
        The file; must not exist.
    data
        Its bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_marker(folder: Path, *, record_id: str, mode: str, own_database: bool) -> None:
    """Mark a home as finished.

    Parameters
    ----------
    folder
        The home.
    record_id, mode
        Of the record.
    own_database
        Whether its database lies in the home.
    """
    document = {"record_id": record_id, "mode": mode, "own_database": own_database}
    write_private(folder / MARKER, (json.dumps(document, indent=2) + "\n").encode())


def _read_marker(folder: Path) -> dict[str, object]:
    if (folder / UNFINISHED).exists():
        raise NoRecordError(
            expected="the home of a record",
            given="one that was begun and never finished",
            where="--home",
            action="remove the folder and make or restore the record again",
        )
    try:
        marker = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError) as problem:
        raise NoRecordError(
            expected="the home of a record",
            given="a folder without one",
            where="--home",
            action="make one with 'hepatica record init --home DIR'",
        ) from problem
    if not isinstance(marker, dict) or not {"record_id", "own_database"} <= set(marker):
        raise NoRecordError(expected=f"a {MARKER} of this program", given="another file", where="--home")
    return marker


def _begin_home(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    write_private(folder / UNFINISHED, b"This record was begun and is not finished. Do not use it.\n")


def _require_empty_database(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        # Made here, because the database's own default would let others read it.
        write_private(Path(str(engine.url.database)), b"")
    with refusing():
        require_server(engine)
        if read_version(engine):
            raise OutputExistsError(
                expected="an empty database", given="a database with a record", where="--database"
            )


def _keep_private(folder: Path, *, own_database: bool) -> None:
    """Take back what others were let to read, and refuse a home whose database is gone."""
    if not own_database:
        return
    if not (folder / DATABASE).is_file():
        raise NoRecordError(
            expected=f"the file {DATABASE}",
            given="a home without it",
            where="--home",
            action="restore it from a backup",
        )
    for path in folder.glob(f"{DATABASE}*"):
        with suppress(OSError):  # another process may be done with its log just now
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)


def _clear(folder: Path, *, keep: bool) -> None:
    for path in folder.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != UNFINISHED:
            path.unlink(missing_ok=True)
    (folder / UNFINISHED).unlink(missing_ok=True)
    if not keep and folder.is_dir():
        folder.rmdir()


def _to_sqlite(folder: Path) -> str:
    return f"sqlite:///{(folder / DATABASE).absolute()}"
