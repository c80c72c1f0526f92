"""What is sealed: keyed digests in the trail, the values beside it, and their destruction."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Engine, String, and_, cast, delete, exists, insert, outerjoin, select

from hepatica.adapters.store.conditions import to_item, to_search
from hepatica.adapters.store.tables import ANSWER, EVENT, ITEM, SALT, SEALED, SEALED_CHANGE, VAULT
from hepatica.core.errors import BusyError
from hepatica.record.chain import SealedChange
from hepatica.record.event import Change, EventDraft, JsonValue, seal
from hepatica.record.item import Item
from hepatica.record.kind import Kind, list_sealed

SALT_BYTES: Final = 32
ROWS_AT_ONCE: Final = 2000
"""Rows fetched at a time."""


class Seals:
    """Seals the values of one change of the record.

    Parameters
    ----------
    connection
        Open transaction.
    key
        The home's sealing key.
    """

    def __init__(self, connection: Connection, *, key: bytes) -> None:
        self._connection = connection
        self._key = key

    def seal_changes(self, draft: EventDraft, sealed: frozenset[str]) -> tuple[Change, ...]:
        """Return the changes of an event, those of sealed fields as their seals.

        Parameters
        ----------
        draft
            The event.
        sealed
            Names of sealed fields.
        """
        salt = self._find_salt(draft.kind, draft.item_id)
        return tuple(
            replace(
                change,
                old=_seal(change.old, key=self._key, salt=salt),
                new=_seal(change.new, key=self._key, salt=salt),
            )
            if change.field in sealed
            else change
            for change in draft.changes
        )

    def erase(self, kind: str, item_id: str) -> None:
        """Destroy every value behind the seals of an item, their salt, and answers that may repeat them.

        Parameters
        ----------
        kind, item_id
            The item.
        """
        self._connection.execute(
            delete(SEALED_CHANGE).where(SEALED_CHANGE.c.event_number.in_(_select_numbers(kind, item_id)))
        )
        for table in (SEALED, SALT):
            self._connection.execute(delete(table).where(table.c.kind == kind, table.c.item_id == item_id))
        self._connection.execute(
            delete(ANSWER).where(cast(ANSWER.c.answer, String).contains(item_id, autoescape=True))
        )

    def _find_salt(self, kind: str, item_id: str) -> bytes:
        """Return the salt of an item; a new one gets one, those of tables before salts have none."""
        found = self._connection.execute(
            select(SALT.c.salt).where(SALT.c.kind == kind, SALT.c.item_id == item_id)
        ).scalar_one_or_none()
        if found is not None:
            return bytes.fromhex(found)
        unsalted = self._connection.execute(
            select(exists().where(SEALED_CHANGE.c.event_number.in_(_select_numbers(kind, item_id))))
        ).scalar_one()
        if unsalted:
            return b""
        salt = secrets.token_bytes(SALT_BYTES)
        self._connection.execute(insert(SALT), {"kind": kind, "item_id": item_id, "salt": salt.hex()})
        return salt


def list_current(connection: Connection, kind: Kind, *, key: bytes) -> Iterator[tuple[Item, bool]]:
    """Return every item of a kind as the trail knows it, and whether its own texts find it.

    Parameters
    ----------
    connection
        Open transaction.
    kind
        The kind.
    key
        The home's sealing key.
    """
    sealed = list_sealed(kind)
    statement = select(ITEM).where(ITEM.c.kind == kind.name)
    if sealed:
        statement = (
            select(ITEM, SEALED.c.content.label("hidden"), SALT.c.salt)
            .select_from(outerjoin(outerjoin(ITEM, SEALED, _joins(ITEM, SEALED)), SALT, _joins(ITEM, SALT)))
            .where(ITEM.c.kind == kind.name)
        )
    for row in connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE)):
        item = to_item(row)
        shown: dict[str, JsonValue] = dict(item.values)
        if sealed:
            salt = _to_salt(row.salt)
            hidden = {name: _seal(value, key=key, salt=salt) for name, value in (row.hidden or {}).items()}
            # A value that should be sealed and lies open must not be covered by its seal.
            shown = {**hidden, **shown}
        if item.locked:
            shown["locked"] = True
        yield replace(item, values=shown), row.search == to_search(kind, item.values)


def list_changes_kept(connection: Connection, *, key: bytes) -> Iterator[SealedChange]:
    """Return seals made anew from the values kept behind those in the trail.

    Parameters
    ----------
    connection
        Open transaction.
    key
        The home's sealing key.
    """
    joined = outerjoin(SEALED_CHANGE, EVENT, SEALED_CHANGE.c.event_number == EVENT.c.number)
    statement = (
        select(SEALED_CHANGE, SALT.c.salt)
        .select_from(outerjoin(joined, SALT, _joins(EVENT, SALT)))
        .order_by(SEALED_CHANGE.c.event_number, SEALED_CHANGE.c.field)
    )
    for row in connection.execute(statement.execution_options(yield_per=ROWS_AT_ONCE)):
        salt = _to_salt(row.salt)
        old, new = (_seal(value, key=key, salt=salt) for value in (row.old, row.new))
        yield SealedChange(row.event_number, row.field, old, new)


def purge(engine: Engine) -> None:
    """Have the database let go of the bytes of rows that were erased.

    Parameters
    ----------
    engine
        The database.

    Raises
    ------
    BusyError
        If somebody reads all the while; the rows are gone, their bytes wait in the log.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in (SEALED, SEALED_CHANGE, SALT, ANSWER, VAULT):
                connection.exec_driver_sql(f'VACUUM "{table.name}"')
        return
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        raise BusyError(
            expected="a moment in which nobody reads",
            given="a record in use: what was erased is gone from it, and still lies in its log",
            where="database",
            action="it leaves the log when the server is started again",
        )


def _seal(value: JsonValue, *, key: bytes, salt: bytes) -> str | None:
    return None if value is None else seal(value, key=key, salt=salt)


def _to_salt(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b"not a salt"


def _select_numbers(kind: str, item_id: str) -> Any:
    return select(EVENT.c.number).where(EVENT.c.kind == kind, EVENT.c.item_id == item_id)


def _joins(one: Any, other: Any) -> Any:
    return and_(one.c.kind == other.c.kind, one.c.item_id == other.c.item_id)
