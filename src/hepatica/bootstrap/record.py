"""Open, make, keep and serve a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.bootstrap.clock import SystemClock
from hepatica.bootstrap.scans import make_moved_dates
from hepatica.core.errors import NotFoundError

if TYPE_CHECKING:
    from hepatica.adapters.store.backup import BackupSummary
    from hepatica.adapters.store.home import RecordHome
    from hepatica.adapters.store.incoming import IncomingFolder
    from hepatica.core.progress import Progress
    from hepatica.workflows.record_ports import Passwords, RecordContext, SealedRecord


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenRecord:
    """A record that is open, and the program itself as the actor.

    Parameters
    ----------
    record_id, mode
        Of the record.
    context
        For use cases.
    sealed
        The record as its trail knows it.
    folder
        Its home.
    passwords
        Hashes and verifies them.
    version
        Of the program.
    database
        Address of its database, empty for SQLite in the home; it may hold a password.
    incoming
        Uploads on their way in.
    """

    record_id: str
    mode: str
    context: RecordContext
    sealed: SealedRecord
    folder: Path
    passwords: Passwords
    version: str
    database: str
    incoming: IncomingFolder

    def read_checkpoint_key(self, path: Path | None) -> bytes | None:
        """Return the checkpoint key from where it is kept, None where it is not in the home."""
        source = path or self.folder / "keys" / "checkpoint.key"
        try:
            return source.read_bytes()
        except OSError as problem:
            if path is None:
                return None
            raise NotFoundError(
                expected="the checkpoint key", given=type(problem).__name__, where="--key"
            ) from problem


@contextmanager
def open_record(home: Path, *, database: str = "") -> Iterator[OpenRecord]:
    """Open a record for the program itself."""
    from hepatica.adapters.store.home import open_home

    # Absolute: plans are laid out as links to its files.
    with _opened(open_home(home.absolute(), database=database), database=database) as record:
        yield record


@contextmanager
def make_record(
    home: Path, *, mode: str, database: str = "", checkpoint_key: Path | None = None
) -> Iterator[OpenRecord]:
    """Make a record and open it."""
    from hepatica.adapters.store.home import make_home

    made = make_home(home.absolute(), mode=mode, database=database, checkpoint_key=checkpoint_key)
    with _opened(made, database=database) as record:
        yield record


@contextmanager
def _opened(home: RecordHome, *, database: str) -> Iterator[OpenRecord]:
    from hepatica.adapters.store.incoming import IncomingFolder
    from hepatica.adapters.store.passwords import ArgonPasswords
    from hepatica.record.people import make_system_actor
    from hepatica.workflows.record_ports import RecordContext

    try:
        yield OpenRecord(
            record_id=home.record_id,
            mode=home.mode,
            context=RecordContext(
                store=home.store,
                files=home.files,
                clock=SystemClock(),
                actor=make_system_actor(),
                dates=make_moved_dates(home.folder, mode=home.mode),
            ),
            sealed=home.store,
            folder=home.folder,
            passwords=ArgonPasswords(),
            version=metadata.version("hepatica"),
            database=database,
            incoming=IncomingFolder(home.folder / "uploads"),
        )
    finally:
        home.close()


def migrate_record(home: Path, *, database: str = "") -> tuple[str, str]:
    """Bring a record's tables to this version; returns the versions before and after."""
    from hepatica.adapters.store.home import migrate_home

    return migrate_home(home, database=database)


def back_up_record(home: Path, *, out: Path, database: str, progress: Progress) -> BackupSummary:
    """Copy a record, also while it is in use."""
    from hepatica.adapters.store.backup import write_backup
    from hepatica.adapters.store.home import open_home

    opened = open_home(home, database=database)
    try:
        return write_backup(opened, out, progress=progress)
    finally:
        opened.close()


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that must not exist; all of it, or none."""
    from hepatica.adapters.store.part_file import write_new

    write_new(path, data)


def restore_record(source: Path, *, home: Path, database: str, progress: Progress) -> None:
    """Put a copy back into an empty home."""
    from hepatica.adapters.store.backup import restore_backup

    restore_backup(source, home, database=database, progress=progress).close()
