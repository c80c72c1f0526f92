"""Bring a database to this version's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from hepatica.adapters.store.database import open_change, open_view
from hepatica.core.errors import NoRecordError

STEPS = Path(__file__).parent / "migrations"


def find_version() -> str:
    """Return the version of the tables that this program knows."""
    head = ScriptDirectory(str(STEPS)).get_current_head()
    assert head is not None, "the program ships at least one step"
    return head


def read_version(engine: Engine) -> str:
    """Return the version of a database's tables, empty text for none.

    Parameters
    ----------
    engine
        The database.
    """
    with open_view(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def migrate_to(engine: Engine, version: str = "head") -> None:
    """Take every step up to a version; all of them, or none.

    Parameters
    ----------
    engine
        The database.
    version
        Version to reach.
    """
    with open_change(engine) as connection:
        migrate_on(connection, version)


def migrate_on(connection: Connection, version: str = "head") -> None:
    """Take every step up to a version, within a change.

    Parameters
    ----------
    connection
        Open transaction.
    version
        Version to reach.
    """
    command.upgrade(_to_config(connection), version)


def list_versions() -> tuple[str, ...]:
    """Return every version of the tables, the oldest first."""
    steps = ScriptDirectory(str(STEPS)).walk_revisions()
    return tuple(reversed([step.revision for step in steps]))


def require_version(engine: Engine) -> None:
    """Refuse a database whose tables are of another version.

    Raises
    ------
    NoRecordError
        Says whether the program or the database is the older one.
    """
    found, known = read_version(engine), find_version()
    if found == known:
        return
    if not found:
        given, action = "a database without a record", "make one with 'hepatica record init'"
    elif found in list_versions():
        given, action = f"version {found}", "back it up, then run 'hepatica record migrate'"
    else:
        given, action = f"version {found}, which is newer than this program", "install the newer Hepatica"
    raise NoRecordError(expected=f"a record of version {known}", given=given, where="database", action=action)


def _to_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(STEPS))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    return config
