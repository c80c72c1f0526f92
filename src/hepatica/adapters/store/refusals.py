"""Turn what a database says into the project's coded errors; its own words may quote values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, TimeoutError

from hepatica.core.errors import (
    BusyError,
    ConflictError,
    HepaticaError,
    OutputError,
    RecordInputError,
    TrailError,
)

FULL_SQLITE: Final = frozenset({"SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN"})
DAMAGED_SQLITE: Final = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
FULL_POSTGRESQL: Final = ("53100", "58030", "25006")
"""SQLSTATE of a full disk, of a failed write, and of a database opened for reading."""
DAMAGED_POSTGRESQL: Final = ("XX001", "XX002")
REFUSED_POSTGRESQL: Final = ("P0001",)
"""SQLSTATE of a trigger that refuses."""


@contextmanager
def refusing() -> Iterator[None]:
    """Raise coded errors for whatever a database refuses inside the block.

    Raises
    ------
    BusyError
        If others keep it busy, or it cannot be reached.
    OutputError
        If the disk is full or cannot be written to.
    TrailError
        If its files are damaged.
    RecordInputError, ConflictError
        If it does not take a value, or what should be new is there already.
    """
    try:
        yield
    except SQLAlchemyError as problem:
        # Without its cause: a database may quote the whole row, and a log would keep it.
        raise to_refusal(problem) from None
    except UnicodeEncodeError:
        raise _refuse_value() from None


def to_refusal(problem: SQLAlchemyError) -> HepaticaError:
    """Return the coded error for a database's own.

    Parameters
    ----------
    problem
        What was raised.
    """
    word, state = _find_words(problem)
    if word in FULL_SQLITE or state in FULL_POSTGRESQL:
        return OutputError(
            expected="room and rights to write the record",
            given=word or f"state {state}",
            where="database",
            action="make room on the disk; nothing that was acknowledged is lost",
        )
    if word in DAMAGED_SQLITE or state in DAMAGED_POSTGRESQL:
        return TrailError(
            expected="a whole database",
            given=word or f"state {state}",
            where="database",
            action="restore it from a backup",
        )
    if isinstance(problem, DataError):
        return _refuse_value()
    if isinstance(problem, IntegrityError) or state in REFUSED_POSTGRESQL:
        return ConflictError(
            expected="a change that keeps the trail whole", given="one the database refuses", where="record"
        )
    if isinstance(problem, DBAPIError | TimeoutError):
        return BusyError(
            expected="a record that answers",
            given="a busy or unreachable database",
            where="record",
            action="try again",
        )
    return TrailError(expected="rows of this program", given=type(problem).__name__, where="database")


def _find_words(problem: SQLAlchemyError) -> tuple[str, str]:
    """Return SQLite's name of the error without its extension, and PostgreSQL's state."""
    cause = problem.orig if isinstance(problem, DBAPIError) else None
    name = str(getattr(cause, "sqlite_errorname", "") or "")
    return "_".join(name.split("_")[:2]), str(getattr(cause, "sqlstate", "") or "")


def _refuse_value() -> RecordInputError:
    return RecordInputError(
        expected="values that the database can keep", given="one it refuses", where="record"
    )
