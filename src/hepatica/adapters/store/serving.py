"""What a server keeps in a record's home beside the record: a lock, scratch folders, uploads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.core.errors import ConflictError
from hepatica.record.job import JobState
from hepatica.workflows.record_ports import RecordStore

SCRATCH: Final = "scratch"
WAITING: Final = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.INTERRUPTED})


@contextmanager
def serving_alone(home: Path) -> Iterator[None]:
    """Refuse a second server of one record: each would take the other's jobs for interrupted.

    Parameters
    ----------
    home
        The record's folder.

    Raises
    ------
    ConflictError
        If a server runs. The system forgets the lock when that process ends, in whatever way.
    """
    import fcntl

    with (home / "serve.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise ConflictError(
                expected="one server of a record", given="a second", where="--home", action="stop the first"
            ) from problem
        yield


@contextmanager
def open_scratch(home: Path) -> Iterator[Path]:
    """Open a private folder that vanishes; in the home, as it may hold scans for a while.

    Parameters
    ----------
    home
        The record's folder.
    """
    root = home / SCRATCH
    root.mkdir(exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        yield Path(folder)


def clear_left(home: Path, store: RecordStore, uploads: IncomingFolder) -> None:
    """Remove what an earlier server left: scratch folders, and uploads that no job waits for.

    Parameters
    ----------
    home, store, uploads
        Of the record.
    """
    shutil.rmtree(home / SCRATCH, ignore_errors=True)
    with store.reading() as reader:
        kept = {job.request.get("upload_id") for job in reader.jobs.list_jobs(states=WAITING, limit=10_000)}
    for upload_id in uploads.list_uploads():
        if upload_id not in kept:
            uploads.remove(upload_id)
