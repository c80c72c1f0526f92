"""Items, events and answers in a database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from hepatica.adapters.store.accounts import SqlAccounts
from hepatica.adapters.store.conditions import require_keys, to_condition, to_item, to_search
from hepatica.adapters.store.database import open_change, open_view
from hepatica.adapters.store.jobs import SqlJobs
from hepatica.adapters.store.refusals import refusing
from hepatica.adapters.store.seals import Seals, list_changes_kept, list_current, purge
from hepatica.adapters.store.tables import (
    ANSWER,
    CHECKPOINT,
    EVENT,
    ITEM,
    META,
    SEALED,
    SEALED_CHANGE,
)
from hepatica.adapters.store.vault import SqlVault
from hepatica.core.errors import NoRecordError
from hepatica.record.catalogue import find_kind
from hepatica.record.chain import Checkpoint, SealedChange, TrailLine
from hepatica.record.event import (
    FIRST_LINK,
    Event,
    EventDraft,
    JsonValue,
    from_document,
    link_event,
    to_text,
)
from hepatica.record.item import Item
from hepatica.record.kind import list_sealed
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, Page

EVENTS_AT_ONCE: Final = 2000
"""Rows fetched at a time where a whole trail is read."""


class SqlRecordReader:
    """One consistent view.

    Parameters
    ----------
    connection
        Open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._accounts = SqlAccounts(connection)
        self._vault = SqlVault(connection)
        self._jobs = SqlJobs(connection)

    @property
    def vault(self) -> SqlVault:
        """What lies behind pseudonyms."""
        return self._vault

    @property
    def connection(self) -> Connection:
        """The open transaction, for the rest of this adapter."""
        return self._connection

    @property
    def accounts(self) -> SqlAccounts:
        """How accounts show who they are."""
        return self._accounts

    @property
    def jobs(self) -> SqlJobs:
        """Long work."""
        return self._jobs

    def find_item(self, kind: str, item_id: str) -> Item | None:
        """Return an item with its sealed values, or None."""
        row = self._connection.execute(
            select(ITEM).where(ITEM.c.kind == kind, ITEM.c.item_id == item_id)
        ).one_or_none()
        return None if row is None else self._unseal([to_item(row)])[0]

    def list_items(self, wanted: ItemFilter) -> Page:
        """Return one page of items."""
        limit = max(1, min(wanted.limit, PAGE_MAX))
        statement = (
            select(ITEM)
            .where(to_condition(wanted), ITEM.c.item_id > wanted.after)
            .order_by(ITEM.c.item_id)
            .limit(limit + 1)
        )
        items = [to_item(row) for row in self._connection.execute(statement)]
        more = len(items) > limit
        items = self._unseal(items[:limit])
        return Page(items=tuple(items), next=items[-1].item_id if more else "")

    def count_items(self, wanted: ItemFilter) -> int:
        """Return how many there are in all."""
        return int(
            self._connection.execute(
                select(func.count()).select_from(ITEM).where(to_condition(wanted))
            ).scalar_one()
        )

    def read_events(
        self, *, after: int = 0, limit: int = 0, kind: str = "", item_id: str = "", patient_id: str = ""
    ) -> Iterator[Event]:
        """Return events in order; limit 0 for all, streamed."""
        statement = (
            select(EVENT.c.document, EVENT.c.hash).where(EVENT.c.number > after).order_by(EVENT.c.number)
        )
        for column, value in (
            (EVENT.c.kind, kind),
            (EVENT.c.item_id, item_id),
            (EVENT.c.patient_id, patient_id),
        ):
            if value:
                statement = statement.where(column == value)
        if limit:
            statement = statement.limit(limit)
        rows = self._connection.execute(statement.execution_options(yield_per=EVENTS_AT_ONCE))
        for document, claimed in rows:
            yield from_document(json.loads(document), claimed_hash=claimed)

    def read_lines(self) -> Iterator[TrailLine]:
        """Return the whole trail as its rows keep it, in order, streamed."""
        statement = select(
            EVENT.c.number, EVENT.c.hash, EVENT.c.kind, EVENT.c.item_id, EVENT.c.patient_id, EVENT.c.document
        ).order_by(EVENT.c.number)
        rows = self._connection.execute(statement.execution_options(yield_per=EVENTS_AT_ONCE))
        return map(TrailLine._make, rows)

    def count_events(self) -> int:
        """Return how many events there are."""
        return int(self._connection.execute(select(func.count()).select_from(EVENT)).scalar_one())

    def read_checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return all checkpoints in order."""
        return tuple(
            Checkpoint(
                number=row.number,
                hash=row.hash,
                time_utc=datetime.fromisoformat(row.time_utc),
                signature=row.signature,
            )
            for row in self._connection.execute(select(CHECKPOINT).order_by(CHECKPOINT.c.number))
        )

    def _unseal(self, items: list[Item]) -> list[Item]:
        if not items or not list_sealed(find_kind(items[0].kind)):
            return items
        rows = self._connection.execute(
            select(SEALED.c.item_id, SEALED.c.content).where(
                SEALED.c.kind == items[0].kind, SEALED.c.item_id.in_([item.item_id for item in items])
            )
        )
        held = {row.item_id: row.content for row in rows}
        return [replace(item, values={**item.values, **held.get(item.item_id, {})}) for item in items]


class SqlRecordWriter(SqlRecordReader):
    """A change in the making.

    Parameters
    ----------
    connection
        Open transaction that holds the writers' lock.
    sealing_key
        Key for sealed fields.
    """

    def __init__(self, connection: Connection, *, sealing_key: bytes) -> None:
        super().__init__(connection)
        self._seals = Seals(connection, key=sealing_key)

    def write_item(self, item: Item) -> None:
        """Make this the item's current version.

        Raises
        ------
        RecordInputError
            If an identifier is empty, too long, or holds what no database keeps.
        """
        require_keys(item)
        kind = find_kind(item.kind)
        sealed = list_sealed(kind)
        content = {name: value for name, value in item.values.items() if name not in sealed}
        self._put(
            ITEM,
            {"kind": item.kind, "item_id": item.item_id},
            {
                "site_id": item.site_id,
                "patient_id": item.patient_id,
                "version": item.version,
                "locked": item.locked,
                "content": content,
                "search": to_search(kind, content),
            },
        )
        if sealed:
            hidden = {name: value for name, value in item.values.items() if name in sealed}
            self._put(SEALED, {"kind": item.kind, "item_id": item.item_id}, {"content": hidden})

    def remove_item(self, kind: str, item_id: str) -> None:
        """Take an item out of the current values."""
        for table in (ITEM, SEALED):
            self._connection.execute(delete(table).where(table.c.kind == kind, table.c.item_id == item_id))

    def append_event(self, draft: EventDraft) -> Event:
        """Give an event its place; seals the values of sealed fields."""
        head = self._connection.execute(
            select(EVENT.c.number, EVENT.c.hash).order_by(EVENT.c.number.desc()).limit(1)
        ).one_or_none()
        number, previous = (head.number + 1, head.hash) if head else (1, FIRST_LINK)
        sealed = list_sealed(find_kind(draft.kind))
        hidden = [change for change in draft.changes if change.field in sealed]
        if hidden:
            draft = replace(draft, changes=self._seals.seal_changes(draft, sealed))
        event = link_event(draft, number=number, previous_hash=previous)
        self._connection.execute(insert(EVENT), to_event_row(event))
        if hidden:
            self._connection.execute(
                insert(SEALED_CHANGE),
                [
                    {"event_number": number, "field": change.field, "old": change.old, "new": change.new}
                    for change in hidden
                ],
            )
        return event

    def erase_sealed(self, kind: str, item_id: str) -> None:
        """Destroy every value behind the seals of an item, and what its seals were mixed with."""
        self._seals.erase(kind, item_id)

    def append_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a signed head."""
        self._connection.execute(
            insert(CHECKPOINT),
            {
                "number": checkpoint.number,
                "hash": checkpoint.hash,
                "time_utc": checkpoint.time_utc.isoformat(timespec="microseconds"),
                "signature": checkpoint.signature,
            },
        )

    def find_answer(self, *, account_id: str, key: str) -> Mapping[str, JsonValue] | None:
        """Return what a request with this idempotency key was answered, or None."""
        answer: Mapping[str, JsonValue] | None = self._connection.execute(
            select(ANSWER.c.answer).where(ANSWER.c.account_id == account_id, ANSWER.c.key == key)
        ).scalar_one_or_none()
        return answer

    def keep_answer(self, *, account_id: str, key: str, answer: Mapping[str, JsonValue]) -> None:
        """Remember the answer of a request, in the same change."""
        self._connection.execute(
            insert(ANSWER), {"account_id": account_id, "key": key, "answer": dict(answer)}
        )

    def _put(self, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
        # Not one statement for both: those of each database are compiled anew for every row, which takes longer.
        same = [table.c[name] == value for name, value in key.items()]
        if not self._connection.execute(update(table).where(*same).values(**values)).rowcount:
            self._connection.execute(insert(table).values(**key, **values))


class SqlRecordStore:
    """The record in a database.

    Parameters
    ----------
    engine
        From `hepatica.adapters.store.database.open_engine`.
    sealing_key
        Key for sealed fields, at least 32 bytes.
    """

    def __init__(self, engine: Engine, *, sealing_key: bytes) -> None:
        self.engine = engine
        self._key = sealing_key

    @contextmanager
    def reading(self) -> Iterator[SqlRecordReader]:
        """Open a view."""
        with refusing(), open_view(self.engine) as connection:
            yield SqlRecordReader(connection)

    @contextmanager
    def writing(self) -> Iterator[SqlRecordWriter]:
        """Begin a change; durable when the block ends, undone if it raises."""
        with refusing(), open_change(self.engine) as connection:
            yield SqlRecordWriter(connection, sealing_key=self._key)

    def purge_erased(self) -> None:
        """Have the database let go of the bytes of what was erased."""
        with refusing():
            purge(self.engine)

    def list_sealed_current(self, reader: SqlRecordReader, kind: str) -> Iterator[tuple[Item, bool]]:
        """Return every item of a kind as the trail knows it, and whether its own texts find it.

        Parameters
        ----------
        reader
            View to read in.
        kind
            Kind of item.
        """
        return list_current(reader.connection, find_kind(kind), key=self._key)

    def list_sealed_changes(self, reader: SqlRecordReader) -> Iterator[SealedChange]:
        """Return seals made anew from the values kept behind those in the trail.

        Parameters
        ----------
        reader
            View to read in.
        """
        return list_changes_kept(reader.connection, key=self._key)


def read_meta(engine: Engine) -> dict[str, str]:
    """Return the record's own facts.

    Raises
    ------
    NoRecordError
        If the database holds no record or cannot be reached.
    """
    try:
        with open_view(engine) as connection:
            return {row.name: row.value for row in connection.execute(select(META))}
    except DBAPIError as problem:
        raise NoRecordError(
            expected="a database with a record",
            given="none, or one that cannot be reached",
            where="--database",
            action="make one with 'hepatica record init'",
        ) from problem


def to_event_row(event: Event) -> dict[str, JsonValue]:
    """Return the row that keeps an event: canonical text, and the columns it is searched by."""
    return {
        "number": event.number,
        "hash": event.hash,
        "kind": event.kind,
        "item_id": event.item_id,
        "patient_id": event.patient_id,
        "document": to_text(event),
    }
