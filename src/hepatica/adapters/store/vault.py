"""What lies behind pseudonyms: a table of its own that one right reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from hepatica.adapters.store.tables import VAULT
from hepatica.workflows.record_ports import VaultEntry

ROWS_AT_ONCE: Final = 500
"""Rows of one statement."""


class SqlVault:
    """The vault in a database.

    Parameters
    ----------
    connection
        Open transaction; a change of the vault belongs to the change of the record around it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, purpose: str, pseudonym: str) -> VaultEntry | None:
        """Return what lies behind a pseudonym, or None."""
        row = self._connection.execute(
            select(VAULT).where(VAULT.c.purpose == purpose, VAULT.c.pseudonym == pseudonym)
        ).one_or_none()
        if row is None:
            return None
        return VaultEntry(purpose=row.purpose, pseudonym=row.pseudonym, original=row.original)

    def keep(self, entries: Sequence[VaultEntry]) -> None:
        """Add entries; one that is there stays as it is."""
        for start in range(0, len(entries), ROWS_AT_ONCE):
            rows = [_to_row(entry) for entry in entries[start : start + ROWS_AT_ONCE]]
            self._connection.execute(self._insert().on_conflict_do_nothing(), rows)

    def replace(self, entry: VaultEntry) -> None:
        """Add an entry, or put it in the place of the one there."""
        statement = self._insert().values(**_to_row(entry))
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["purpose", "pseudonym"], set_={"original": entry.original}
            )
        )

    def remove(self, purpose: str, pseudonym: str) -> bool:
        """Destroy what lies behind a pseudonym; returns whether there was anything."""
        wanted = (VAULT.c.purpose == purpose, VAULT.c.pseudonym == pseudonym)
        return self._connection.execute(delete(VAULT).where(*wanted)).rowcount > 0

    def _insert(self) -> Any:
        is_postgresql = self._connection.dialect.name == "postgresql"
        make: Callable[..., Any] = postgresql.insert if is_postgresql else sqlite.insert
        return make(VAULT)


def _to_row(entry: VaultEntry) -> dict[str, str]:
    return {"purpose": entry.purpose, "pseudonym": entry.pseudonym, "original": entry.original}
