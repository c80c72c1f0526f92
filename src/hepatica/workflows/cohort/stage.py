"""Where simulated people act: a clock that is told the time, a record, who holds which role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.record.people import Actor
from hepatica.workflows.change_item import change_item, create_item, require_item
from hepatica.workflows.record_ports import FileStore, Passwords, RecordContext, RecordReader, RecordWriter


class ToldClock:
    """A clock that shows what it was told last.

    Parameters
    ----------
    time
        With time zone.
    """

    def __init__(self, time: datetime) -> None:
        self.time = time

    def now(self) -> datetime:
        """Return that time."""
        return self.time


class OneChange:
    """A record of which every use case is part of one change: all of it happens, or nothing.

    Parameters
    ----------
    writer
        The change in the making.
    """

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer

    @contextmanager
    def reading(self) -> Iterator[RecordReader]:
        """Return the change in the making: what was written so far is seen."""
        yield self._writer

    @contextmanager
    def writing(self) -> Iterator[RecordWriter]:
        """Return the change in the making; it ends with the outer one."""
        yield self._writer

    def purge_erased(self) -> None:
        """Do nothing: there is nothing to let go of before the change ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What acts need.

    Parameters
    ----------
    writer, files
        The record.
    clock
        Told the time of each act.
    passwords, password
        To show who signs.
    people
        Account by login.
    notice
        What is said of everything here.
    kept
        Digest of bytes that were kept.
    """

    writer: RecordWriter
    files: FileStore
    clock: ToldClock
    passwords: Passwords
    password: str
    people: Mapping[str, Actor]
    notice: str
    store: OneChange = field(init=False)
    kept: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Join every use case to the one change."""
        object.__setattr__(self, "store", OneChange(self.writer))

    def act_as(self, login: str) -> RecordContext:
        """Return the record in the hands of a person."""
        return RecordContext(store=self.store, files=self.files, clock=self.clock, actor=self.people[login])

    def keep_bytes(self, data: bytes) -> str:
        """Keep some bytes, the same ones once; returns their digest."""
        if data not in self.kept:
            self.kept[data] = self.files.keep_bytes(data)
        return self.kept[data]

    def create(
        self, login: str, kind: str, item_id: str, *, patient: Item | None = None, **values: JsonValue
    ) -> Item:
        """Have a person make an item; of a patient, at the patient's site."""
        item = Item(
            kind=kind,
            item_id=item_id,
            site_id=patient.site_id if patient else "",
            patient_id=patient.item_id if patient else "",
            version=1,
            values=values,
        )
        return create_item(self.act_as(login), self.writer, item=item)

    def change(self, login: str, kind: str, item_id: str, *, reason: str, **values: JsonValue) -> Item:
        """Have a person change an item as it stands."""
        now = require_item(self.writer, kind=kind, item_id=item_id)
        return change_item(
            self.act_as(login), self.writer, kind=kind, item_id=item_id, values=values,
            expected_version=now.version, reason=reason,
        )  # fmt: skip

    def find(self, kind: str, item_id: str) -> Item:
        """Return an item as it stands."""
        return require_item(self.writer, kind=kind, item_id=item_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that somebody does at a moment.

    Parameters
    ----------
    at
        When.
    do
        What, on a stage.
    """

    at: datetime
    do: Callable[[Stage], Any]


def play(acts: list[Act], stage: Stage) -> None:
    """Do everything in the order of time; acts of one moment as they were listed.

    Parameters
    ----------
    acts
        In any order.
    stage
        Where.
    """
    for act in sorted(acts, key=lambda act: act.at):
        stage.clock.time = act.at
        act.do(stage)
