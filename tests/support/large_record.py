"""A record of many simulated patients, made quickly: the use cases write into memory, the database gets all at once."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from sqlalchemy import insert
from web_record import PASSWORD, PlainPasswords

from hepatica.adapters.store.conditions import to_search
from hepatica.adapters.store.store import to_event_row
from hepatica.adapters.store.tables import EVENT, ITEM
from hepatica.bootstrap import make_record
from hepatica.record.catalogue import find_kind
from hepatica.record.event import FIRST_LINK, link_event
from hepatica.workflows.record_ports import PAGE_MAX, Page
from hepatica.workflows.simulate_cohort import CohortOptions, simulate_cohort

PATIENTS = 500
ROWS_AT_ONCE = 5000


class MemoryWriter:
    """A writer that keeps items and events until it is flushed; everything else is the database's own."""

    def __init__(self, writer) -> None:
        self._writer = writer
        self._items = {}
        self._names = defaultdict(list)
        self.events = []
        self._versions = {}
        self._events_of = defaultdict(list)

    def __getattr__(self, name):
        return getattr(self._writer, name)

    def find_item(self, kind, item_id):
        return self._items.get((kind, item_id))

    def list_items(self, wanted):
        names = self._names[wanted.kind, wanted.patient_id]
        limit = max(1, min(wanted.limit, PAGE_MAX))
        start = bisect_right(names, wanted.after) if wanted.after else 0
        found = []
        for name in names[start:]:
            item = self._items.get((wanted.kind, name))
            if item is not None and _fits(item, wanted):
                found.append(item)
            if len(found) > limit:
                break
        page = tuple(found[:limit])
        return Page(items=page, next=page[-1].item_id if len(found) > limit else "")

    def count_items(self, wanted):
        names = self._names[wanted.kind, wanted.patient_id]
        return sum(_fits(self._items[wanted.kind, name], wanted) for name in names)

    def read_events(self, *, after=0, limit=0, kind="", item_id="", patient_id=""):
        assert kind and item_id and not (after or limit or patient_id)
        return iter(self._events_of[kind, item_id])

    def write_item(self, item):
        key = (item.kind, item.item_id)
        if key not in self._items:
            for patient in {item.patient_id, ""}:
                insort(self._names[item.kind, patient], item.item_id)
        self._items[key] = item

    def remove_item(self, kind, item_id):
        raise NotImplementedError("a simulated cohort removes nothing")

    def append_event(self, draft):
        number = len(self.events) + 1
        event = link_event(
            draft, number=number, previous_hash=self.events[-1].hash if self.events else FIRST_LINK
        )
        self.events.append(event)
        self._events_of[draft.kind, draft.item_id].append(event)
        return event

    def flush(self) -> None:
        """Write everything."""
        connection = self._writer.connection
        rows = [
            {
                "kind": item.kind, "item_id": item.item_id, "site_id": item.site_id, "patient_id": item.patient_id,
                "version": item.version, "locked": item.locked, "content": dict(item.values),
                "search": to_search(find_kind(item.kind), item.values),
            }
            for item in self._items.values()
        ]  # fmt: skip
        for table, wanted in ((ITEM, rows), (EVENT, [to_event_row(event) for event in self.events])):
            for start in range(0, len(wanted), ROWS_AT_ONCE):
                connection.execute(insert(table), wanted[start : start + ROWS_AT_ONCE])


def _fits(item, wanted) -> bool:
    at_site = wanted.site_ids is None or item.site_id in ("", *wanted.site_ids)
    return at_site and all(item.values.get(name) == value for name, value in wanted.where.items())


class MemoryStore:
    """A store of which every change is flushed at its end."""

    def __init__(self, store) -> None:
        self._store = store

    @contextmanager
    def writing(self):
        with self._store.writing() as writer:
            memory = MemoryWriter(writer)
            yield memory
            memory.flush()


def fill_large_record(record, *, patients: int = PATIENTS, password: str = PASSWORD):
    """Simulate a cohort in an open record of mode demo; days of injections entry by entry for a few only."""
    context = replace(record.context, store=MemoryStore(record.context.store))
    options = CohortOptions(patients=patients, mode=record.mode, with_days=3)
    return simulate_cohort(context, PlainPasswords(), password=password, options=options)


@cache
def make_large_record(folder: Path, *, patients: int = PATIENTS) -> Path:
    """Return the home of such a record, made once in a folder; passwords are kept in the tests' quick way."""
    home = folder / f"record-{patients}"
    with make_record(home, mode="demo") as record:
        fill_large_record(record, patients=patients)
    return home
