"""Open a database so that what is committed is on the disk, and writers are served one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hepatica.core.errors import NoRecordError

BUSY_TIMEOUT_MS: Final = 30_000
"""How long a writer waits for another before it is told that the record is busy."""
WRITER_LOCK: Final = 0x48455041
"""Number of the advisory lock that orders writers on PostgreSQL."""
OLDEST_POSTGRESQL: Final = 15


def open_engine(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Engine:
    """Return an engine for a record's database.

    Parameters
    ----------
    url
        ``sqlite:////path/record.sqlite`` or ``postgresql://...``; plain ``postgresql`` uses psycopg 3.
    busy_timeout_ms
        How long a writer waits for another.

    Raises
    ------
    NoRecordError
        If the address is not one of these. The message never holds the address: it may hold a password.
    """
    try:
        address = make_url(url)
    except ArgumentError as problem:
        raise _refuse() from problem
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    elif address.get_backend_name() != "sqlite":
        raise _refuse()
    try:
        engine = create_engine(
            address,
            pool_pre_ping=address.get_backend_name() == "postgresql",
            hide_parameters=True,
            execution_options={"hepatica_busy_ms": busy_timeout_ms},
            **_to_pool(address.get_backend_name()),
        )
    except (NoSuchModuleError, ImportError) as problem:
        raise NoRecordError(
            expected="the PostgreSQL driver",
            given="an installation without it",
            where="--database",
            action="pip install 'hepatica[postgres]'",
        ) from problem
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", partial(_set_up_sqlite, busy_timeout_ms))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def open_view(engine: Engine) -> Iterator[Connection]:
    """Open one consistent, read-only view of everything.

    Parameters
    ----------
    engine
        From `open_engine`.
    """
    level = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**level) as connection, connection.begin():
        yield connection


@contextmanager
def open_change(engine: Engine) -> Iterator[Connection]:
    """Open a change that no other writer can interleave with; durable when the block ends.

    Parameters
    ----------
    engine
        From `open_engine`.
    """
    with engine.connect().execution_options(hepatica_writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            _begin_postgresql(connection)
        yield connection


def require_server(engine: Engine) -> None:
    """Refuse a server that is too old.

    Raises
    ------
    NoRecordError
        If it is a PostgreSQL before `OLDEST_POSTGRESQL`.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        found = (connection.dialect.server_version_info or (0,))[0]
    if found < OLDEST_POSTGRESQL:
        raise NoRecordError(
            expected=f"PostgreSQL {OLDEST_POSTGRESQL} or newer", given=f"version {found}", where="--database"
        )


def _to_pool(backend: str) -> dict[str, Any]:
    if backend == "sqlite":
        return {"pool_size": 8, "max_overflow": 40, "connect_args": {"check_same_thread": False}}
    return {"pool_size": 8, "max_overflow": 8, "connect_args": {"connect_timeout": 10}}


def _begin_postgresql(connection: Connection) -> None:
    wait_ms = int(connection.get_execution_options()["hepatica_busy_ms"])
    # A server may be set up to acknowledge what is not on the disk yet; this record never is.
    connection.exec_driver_sql("SET LOCAL synchronous_commit TO on")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout TO {wait_ms}")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _set_up_sqlite(busy_timeout_ms: int, connection: Any, _record: Any) -> None:
    # The driver would begin its own deferred transactions, which deadlock on upgrade to a write.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={busy_timeout_ms}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        # What is erased must not stay readable in free pages.
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("hepatica_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _refuse() -> NoRecordError:
    return NoRecordError(
        expected="a database address that begins with sqlite:// or postgresql://",
        given="another address",
        where="--database",
    )
