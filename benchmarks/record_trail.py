"""The trail of a large record: how long ``hepatica audit verify`` reads it, and how quickly changes are appended."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.commands import HEPATICA, Command, Row, measure
from benchmarks.databases import Database
from hepatica.adapters.store.conditions import to_search
from hepatica.adapters.store.home import RecordHome, make_home
from hepatica.bootstrap import SystemClock
from hepatica.record.catalogue import find_kind
from hepatica.record.event import FIRST_LINK
from hepatica.record.item import Item
from hepatica.record.people import make_system_actor
from hepatica.workflows.change_item import change_item, create_item
from hepatica.workflows.record_ports import RecordContext

EVENTS = 1_000_000
PATIENTS, VISITS, LESIONS = 500, 20, 10
APPENDED = 300
WRITERS = 4
ROWS_AT_ONCE = 10_000
BAR = "60 s, 2 cores"


@dataclass(slots=True)
class Trail:
    """A trail in the making, as the program would write it, and the values that follow from it."""

    previous: str = FIRST_LINK
    number: int = 0
    items: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    start: datetime = datetime(2026, 1, 5, tzinfo=UTC)

    def write(self, kind: str, item_id: str, patient_id: str, values: dict[str, Any]) -> tuple[Any, ...]:
        """Return the row of an event that sets some values of an item."""
        held = self.items.setdefault((kind, item_id), [0, patient_id, {}])
        held[0] += 1
        self.number += 1
        document = {
            "number": self.number,
            "time_utc": (self.start + timedelta(seconds=self.number)).isoformat(timespec="microseconds"),
            "actor_id": "coordinator-1",
            "action": "create" if held[0] == 1 else "change",
            "kind": kind,
            "item_id": item_id,
            "version": held[0],
            "site_id": "s1",
            "patient_id": patient_id,
            "changes": [[name, held[2].get(name), values[name]] for name in sorted(values)],
            "reason": "" if held[0] == 1 else "measured again on the source images",
            "request_id": f"{self.number:032x}",
            "previous_hash": self.previous,
        }
        held[2].update(values)
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        self.previous = hashlib.sha256(text.encode()).hexdigest()
        return self.number, self.previous, kind, item_id, patient_id, text


def fill(home: RecordHome, events: int) -> None:
    """Write a record of 500 patients, 20 visits, 10 lesions with this many events behind it."""
    trail = Trail()
    rows = _list_rows(trail)
    with home.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        write = _copy if home.engine.dialect.name == "postgresql" else _insert
        write(raw, "event", islice(rows, events))
        write(
            raw,
            "item",
            (
                (kind, item_id, "s1", patient, version, False, json.dumps(values), _to_search(kind, values))
                for (kind, item_id), (version, patient, values) in trail.items.items()
            ),
        )
        raw.commit()


def _to_search(kind: str, values: dict[str, Any]) -> str:
    return to_search(find_kind(kind), values)


def _insert(raw: Any, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    for block in iter(lambda: list(islice(rows, ROWS_AT_ONCE)), []):
        raw.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(block[0]))})", block)


def _copy(raw: Any, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with raw.cursor().copy(f"COPY {table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _list_rows(trail: Trail) -> Iterator[tuple[Any, ...]]:
    for number in range(PATIENTS):
        patient = f"p{number:04d}"
        yield trail.write("patient", patient, patient, {"subject_id": f"S-{number}", "status": "follow_up"})
        for lesion in range(LESIONS):
            values = {
                "lesion_label": f"L{lesion}",
                "tracking_uid": f"2.25.{number}{lesion}",
                "location": "LIVER",
            }
            yield trail.write("lesion", f"{patient}-l{lesion}", patient, values)
    step = 0
    while True:
        for number in range(PATIENTS * VISITS * LESIONS):
            patient = f"p{number % PATIENTS:04d}"
            name = f"{patient}-m{number // PATIENTS:04d}"
            values = {"longest_diameter_mm": 10 + (number * 7 + step * 3) % 900 / 10}
            if step == 0:
                values |= {
                    "read_id": f"{patient}-r1",
                    "lesion_id": f"{patient}-l{number % LESIONS}",
                    "state": "PRESENT",
                    "ends_lps_mm": [[1.5, 2.5, number / 7], [11.5, 3.5, number / 7]],
                }
            yield trail.write("measurement", name, patient, values)
        step += 1


def measure_verify(database: Database, events: int = EVENTS) -> Iterator[Row]:
    """The command on a record with this many events."""
    folder = Path(tempfile.mkdtemp(prefix="hepatica-bench-"))
    try:
        address = database.make_address()
        home = make_home(folder / "home", mode="research", database=address)
        fill(home, events)
        home.close()
        more = ("--database", address) if address else ()
        arguments = (*HEPATICA, "audit", "verify", "--home", str(folder / "home"), "--json", *more)
        name = f"audit verify on {database.name}, {events:,} events"
        yield from measure(Command(name=name, arguments=arguments, runs=2, bar=BAR))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure_append(database: Database) -> Iterator[Row]:
    """Changes a second, each acknowledged when it is on the disk."""
    for writers in (1, WRITERS):
        folder = Path(tempfile.mkdtemp(prefix="hepatica-bench-"))
        home = make_home(folder / "home", mode="research", database=database.make_address())
        try:
            context = RecordContext(
                store=home.store, files=home.files, clock=SystemClock(), actor=make_system_actor()
            )
            wall, cpu = time.perf_counter(), time.process_time()
            with ThreadPoolExecutor(writers) as threads:
                list(threads.map(lambda n, context=context: _append(context, n), range(writers)))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rate = writers * APPENDED / wall
            several = "s" if writers > 1 else ""
            name = f"append to {database.name}, {writers} writer{several}, {writers * APPENDED} changes"
            yield Row(name=name, wall_s=wall, cpu_s=cpu, peak_mib=0.0, bar=f"{rate:.0f} changes a second")
        finally:
            home.close()
            shutil.rmtree(folder, ignore_errors=True)


def _append(context: RecordContext, writer_number: int) -> None:
    name = f"p{writer_number}-{os.getpid()}"
    item = Item(
        kind="patient",
        item_id=name,
        patient_id=name,
        version=1,
        values={"subject_id": "S", "status": "screening"},
    )
    with context.store.writing() as writer:
        create_item(context, writer, item=item)
    for version in range(1, APPENDED):
        with context.store.writing() as writer:
            change_item(
                context,
                writer,
                kind="patient",
                item_id=name,
                values={"cohort": str(version)},
                expected_version=version,
                reason="benchmark",
            )
