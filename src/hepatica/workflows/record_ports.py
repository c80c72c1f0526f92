"""What the use cases of the shared record need from the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from hepatica.record.chain import Checkpoint, SealedChange, TrailLine
from hepatica.record.event import Event, EventDraft, JsonValue
from hepatica.record.item import Item
from hepatica.record.moved_dates import Calendar, MovedDates
from hepatica.record.people import Actor
from hepatica.record.sign_in import Credential, Token
from hepatica.workflows.clock import Clock
from hepatica.workflows.job_rows import JobReader, JobWriter

PAGE_MAX = 500
"""Most items of one page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items to list.

    Parameters
    ----------
    kind
        Their kind.
    site_ids
        Only of these sites and of none; None for every site.
    patient_id
        Only of this patient; empty for all.
    where
        Fields that must equal these values.
    search
        Text that must occur in one of the text fields that are not sealed.
    after
        Cursor from the page before.
    limit
        Most items to return, up to `PAGE_MAX`.
    """

    kind: str
    site_ids: frozenset[str] | None = None
    patient_id: str = ""
    where: Mapping[str, JsonValue] = field(default_factory=dict)
    search: str = ""
    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Items in the order of their identifiers, and the cursor of the next page, empty on the last."""

    items: tuple[Item, ...]
    next: str


class AccountReader(Protocol):
    """How accounts show who they are."""

    def find_credential(
        self, *, login: str = "", account_id: str = "", oidc_subject: str = ""
    ) -> Credential | None:
        """Return a credential by whichever is given, or None."""

    def find_token(self, digest: str) -> Token | None:
        """Return a token, or None."""

    def list_tokens(self, account_id: str) -> tuple[Token, ...]:
        """Return every token of an account."""


class AccountWriter(AccountReader, Protocol):
    """The same, to be changed."""

    def write_credential(self, credential: Credential) -> None:
        """Add or replace a credential."""

    def write_token(self, token: Token) -> None:
        """Keep a new token."""

    def touch_token(self, digest: str, *, seen_at: datetime) -> None:
        """Note that a session was used."""

    def remove_tokens(self, *, digest: str = "", account_id: str = "") -> None:
        """Close one token, or all of an account."""

    def remove_expired(self, *, now: datetime) -> None:
        """Forget tokens whose time is over."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VaultEntry:
    """What lies behind one pseudonym. Its value never stands in a message or a printed form.

    Parameters
    ----------
    purpose
        ``uid``, ``series``, ``scan_identity`` or ``date_offset``.
    pseudonym
        What the record shows instead.
    original
        The true value, or a JSON document of several.
    """

    purpose: str
    pseudonym: str
    original: str


class VaultReader(Protocol):
    """The table of true names, UIDs and dates."""

    def find(self, purpose: str, pseudonym: str) -> VaultEntry | None:
        """Return what lies behind a pseudonym, or None."""


class VaultWriter(VaultReader, Protocol):
    """The same, to be added to."""

    def keep(self, entries: Sequence[VaultEntry]) -> None:
        """Add entries; one that is there stays as it is."""

    def replace(self, entry: VaultEntry) -> None:
        """Add an entry, or put it in the place of the one there."""

    def remove(self, purpose: str, pseudonym: str) -> bool:
        """Destroy what lies behind a pseudonym; returns whether there was anything."""


class Passwords(Protocol):
    """Keeps passwords so that nobody can read them."""

    def hash_password(self, password: str) -> str:
        """Return a hash with its own salt."""

    def matches(self, password: str, hashed: str | None) -> bool:
        """Return whether a password is the one; takes as long where there is none to compare with."""


class RecordReader(Protocol):
    """One consistent view of the record."""

    @property
    def accounts(self) -> AccountReader:
        """How accounts show who they are."""

    @property
    def vault(self) -> VaultReader:
        """What lies behind pseudonyms."""

    @property
    def jobs(self) -> JobReader:
        """Long work."""

    def find_item(self, kind: str, item_id: str) -> Item | None:
        """Return an item with its sealed values, or None."""

    def list_items(self, wanted: ItemFilter) -> Page:
        """Return one page of items."""

    def count_items(self, wanted: ItemFilter) -> int:
        """Return how many there are in all, whatever the page."""

    def read_events(
        self, *, after: int = 0, limit: int = 0, kind: str = "", item_id: str = "", patient_id: str = ""
    ) -> Iterator[Event]:
        """Return events in order; limit 0 for all, streamed."""

    def read_lines(self) -> Iterator[TrailLine]:
        """Return the whole trail as its rows keep it, in order, streamed."""

    def count_events(self) -> int:
        """Return how many events there are."""

    def read_checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return all checkpoints in order."""


class RecordWriter(RecordReader, Protocol):
    """A change in the making. Writers are served one after the other; all of it happens, or nothing."""

    @property
    def accounts(self) -> AccountWriter:
        """How accounts show who they are."""

    @property
    def vault(self) -> VaultWriter:
        """What lies behind pseudonyms."""

    @property
    def jobs(self) -> JobWriter:
        """Long work, to be changed."""

    def write_item(self, item: Item) -> None:
        """Make this the item's current version; the caller appends the event."""

    def remove_item(self, kind: str, item_id: str) -> None:
        """Take an item out of the current values; its events stay."""

    def append_event(self, draft: EventDraft) -> Event:
        """Give an event its place; seals the values of sealed fields."""

    def erase_sealed(self, kind: str, item_id: str) -> None:
        """Destroy every value behind the seals of an item, and what its seals were mixed with."""

    def append_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a signed head."""

    def find_answer(self, *, account_id: str, key: str) -> Mapping[str, JsonValue] | None:
        """Return what a request with this idempotency key was answered, or None."""

    def keep_answer(self, *, account_id: str, key: str, answer: Mapping[str, JsonValue]) -> None:
        """Remember the answer of a request, in the same change."""


class RecordStore(Protocol):
    """The record. What `writing` returned from is on the disk."""

    def reading(self) -> AbstractContextManager[RecordReader]:
        """Open a view."""

    def writing(self) -> AbstractContextManager[RecordWriter]:
        """Begin a change; it is durable when the block ends, and undone if the block raises."""

    def purge_erased(self) -> None:
        """Have the database let go of the bytes of what was erased."""


class SealedRecord(Protocol):
    """The record as the trail knows it."""

    def list_sealed_current(self, reader: Any, kind: str) -> Iterator[tuple[Item, bool]]:
        """Return every item of a kind, sealed values as their seals, ``locked`` as a field.

        With each, whether a search for its own texts finds it.
        """

    def list_sealed_changes(self, reader: Any) -> Iterator[SealedChange]:
        """Return seals made anew from the values kept behind those in the trail."""


class FileStore(Protocol):
    """Bytes by their SHA-256. A file is on the disk before a row may name it, and is checked when read."""

    def keep_bytes(self, data: bytes) -> str:
        """Keep some bytes; returns their digest."""

    def keep_file(self, path: Path) -> str:
        """Keep a copy of a file; returns its digest."""

    def open_path(self, digest: str) -> Path:
        """Return where a digest's bytes lie, checked."""

    def read_bytes(self, digest: str) -> bytes:
        """Return a digest's bytes, checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordContext:
    """Who acts on which record, and when.

    Parameters
    ----------
    store, files
        The record.
    clock
        Now, in UTC.
    actor
        Who acts.
    request_id
        Links the events of one request.
    dates
        Of a research record: how the dates of its patients are moved; None where true dates are kept.
    """

    store: RecordStore
    files: FileStore
    clock: Clock
    actor: Actor
    request_id: str = ""
    dates: MovedDates | None = None

    def now_utc(self) -> datetime:
        """Return the present time in UTC."""
        return self.clock.now().astimezone(UTC)

    def patient_now(self, patient_id: str) -> datetime:
        """Return the present time in the calendar in which the record keeps a patient's dates."""
        days = self.dates.find_offset_days(patient_id) if self.dates else 0
        return self.now_utc() + timedelta(days=days)

    def to_record_date(self, text: str, *, patient_id: str, where: str) -> str:
        """Return a date or time that somebody gave in the calendar in which the record keeps it.

        Raises
        ------
        RecordInputError
            If nobody said which calendar it is of.
        """
        return str(self.dates.move(text, patient_id=patient_id, where=where)) if self.dates else text

    def deriving(self) -> RecordContext:
        """Return the same for what follows from dates of the record: they are moved already."""
        return replace(self, dates=self.dates.speaking(Calendar.RECORD)) if self.dates else self
