"""The record under load: ``python -m benchmarks record``, or ``python -m benchmarks.record [--database URL]``.

A server in a process of its own on 500 patients x 20 visits x 10 lesions; 50 logged-in people in another process,
each with 1 s to think, four requests of five reading. What is drawn is made up and says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commands import Row

if TYPE_CHECKING:
    from benchmarks.databases import Database

PATIENTS, VISITS, LESIONS = 500, 20, 10
PEOPLE, THINK_S, READS = 50, 1.0, 0.8
READ_BAR_MS, WRITE_BAR_MS, IDLE_BAR_MIB = 50.0, 100.0, 400.0
SEED = 1
PASSWORD = "three quiet herons"
SITES = tuple(f"s{number}" for number in range(5))


@dataclass
class Timed:
    """Milliseconds by kind of request, and answers that were no success."""

    reads: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    by_path: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def fill_record(home: Path, *, database: str) -> None:
    """Make a record with its items, events and people; rows go in at once, chained as the program chains them."""
    from sqlalchemy import insert

    from hepatica.adapters.store.database import open_change
    from hepatica.adapters.store.home import make_home
    from hepatica.adapters.store.passwords import ArgonPasswords
    from hepatica.adapters.store.store import to_event_row
    from hepatica.adapters.store.tables import EVENT, ITEM
    from hepatica.bootstrap import SystemClock
    from hepatica.record.event import FIRST_LINK, Action, EventDraft, link_event
    from hepatica.record.item import Item, list_changes
    from hepatica.record.people import Role, make_system_actor
    from hepatica.workflows.accounts import accept_link, invite_account
    from hepatica.workflows.record_ports import RecordContext

    opened = make_home(home, mode="research", database=database)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    previous, number, rows, events = FIRST_LINK, 0, [], []
    with open_change(opened.engine) as connection:
        for item in _make_items(Item):
            number += 1
            draft = EventDraft(
                time_utc=now, actor_id="system", action=Action.CREATE, kind=item.kind, item_id=item.item_id,
                version=1, site_id=item.site_id, patient_id=item.patient_id, changes=list_changes(None, item),
            )  # fmt: skip
            event = link_event(draft, number=number, previous_hash=previous)
            previous = event.hash
            events.append(to_event_row(event))
            rows.append(
                {
                    "kind": item.kind, "item_id": item.item_id, "site_id": item.site_id, "patient_id": item.patient_id,
                    "version": 1, "locked": False, "content": dict(item.values),
                    "search": "\n".join(v for v in item.values.values() if isinstance(v, str)).casefold(),
                }
            )  # fmt: skip
            if len(rows) == 5000:
                connection.execute(insert(ITEM), rows)
                connection.execute(insert(EVENT), events)
                rows, events = [], []
        connection.execute(insert(ITEM), rows)
        connection.execute(insert(EVENT), events)
    record = RecordContext(
        store=opened.store, files=opened.files, clock=SystemClock(), actor=make_system_actor()
    )
    passwords = ArgonPasswords()
    for person in range(PEOPLE):
        _, secret = invite_account(
            record, login=f"person{person}", display_name="P", roles=[Role.COORDINATOR],
            site_ids=[SITES[person % len(SITES)]],
        )  # fmt: skip
        accept_link(record, passwords, secret=secret, password=PASSWORD)
    opened.close()


def _make_items(make):
    draw = random.Random(SEED)
    for patient in range(PATIENTS):
        at = {"site_id": SITES[patient % len(SITES)], "patient_id": f"p{patient}", "version": 1}
        about = {"subject_id": f"S-{patient:04}", "status": "follow_up"}
        yield make(kind="patient", item_id=f"p{patient}", values=about, **at)
        for lesion in range(LESIONS):
            values = {
                "lesion_label": f"L{lesion}",
                "tracking_uid": f"2.25.{patient}{lesion}",
                "location": "LIVER",
            }
            yield make(kind="lesion", item_id=f"l{patient}-{lesion}", values=values, **at)
        about = {
            "reader_id": "x",
            "role": "reader_1",
            "criterion": "recist-1.1",
            "scan_ids": [],
            "state": "started",
        }
        yield make(kind="read", item_id=f"r{patient}", values=about, **at)
        for visit in range(VISITS):
            values = {"name": f"V{visit}", "visit_number": visit + 1, "status": "done", "date": "2026-01-02"}
            yield make(kind="visit", item_id=f"v{patient}-{visit}", values=values, **at)
            for lesion in range(LESIONS):
                size_mm = round(draw.uniform(8, 60), 1)
                values = {"read_id": f"r{patient}", "lesion_id": f"l{patient}-{lesion}"}
                values |= {"longest_diameter_mm": size_mm}
                yield make(kind="measurement", item_id=f"m{patient}-{visit}-{lesion}", values=values, **at)


class Browser:
    """One person's connection, kept open as a browser keeps it; no library that would itself be measured."""

    def __init__(self, port: int) -> None:
        self.port, self.streams = port, None

    async def ask(self, method: str, path: str, cookie: str = "", body=None, headers=None):
        """One request: status, head, content, milliseconds."""
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}", "x-hepatica: 1",
                 f"content-length: {len(data)}", "content-type: application/json", f"cookie: {cookie}",
                 "hepatica-dates: true"]  # fmt: skip
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        sent = ("\r\n".join(lines) + "\r\n\r\n").encode() + data
        started = time.perf_counter()
        for _ in range(2):
            if self.streams is None:
                self.streams = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self.streams
            try:
                writer.write(sent)
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                # The server closes what is silent for some seconds.
                self.streams = None
        length = re.search(r"content-length: (\d+)", head, re.I)
        content = await reader.readexactly(int(length.group(1))) if length else b""
        return int(head.split(" ", 2)[1]), head, content, (time.perf_counter() - started) * 1000


async def _live(
    person: int, port: int, *, until: float, timed: Timed, logged_in: asyncio.Event, ready: list
) -> None:
    draw, browser = random.Random(SEED * 1000 + person), Browser(port)
    login = {"login": f"person{person}", "password": PASSWORD}
    for _ in range(60):
        status, head, _, _ = await browser.ask("POST", "/api/login", "", login)
        if status != 429:
            break
        await asyncio.sleep(1.0)
    cookie = re.search(r"set-cookie: ([^;]+)", head, re.I).group(1)
    ready.append(person)
    await logged_in.wait()
    await asyncio.sleep(draw.uniform(0, THINK_S))
    until += time.monotonic()
    while time.monotonic() < until:
        patient = draw.randrange(PATIENTS // len(SITES)) * len(SITES) + person % len(SITES)
        if draw.random() < READS:
            path = draw.choice(
                (
                    "/api/patient?limit=50", f"/api/patient/p{patient}", f"/api/visit?patient_id=p{patient}",
                    f"/api/lesion?patient_id=p{patient}", f"/api/measurement?patient_id=p{patient}&limit=200",
                    f"/api/events/patient/p{patient}", "/api/measurement?limit=50",
                    f"/api/patient?search=S-{patient:04}",
                )
            )  # fmt: skip
            status, _, content, took_ms = await browser.ask("GET", path, cookie)
            timed.reads.append(took_ms)
        elif draw.random() < 0.5:
            path = "/api/adverse_event"
            values = {"term": "Fever", "grade": 1, "start_date": "2026-01-03", "serious": False}
            body = {"patient_id": f"p{patient}", "values": values}
            status, _, content, took_ms = await browser.ask("POST", path, cookie, body)
            timed.writes.append(took_ms)
        else:
            path = f"/api/visit/v{patient}-{draw.randrange(VISITS)}"
            _, head, _, _ = await browser.ask("GET", path, cookie)
            etag = re.search(r'etag: ("[^"]+")', head, re.I).group(1)
            body = {"values": {"date": f"2026-02-{draw.randrange(1, 28):02}"}, "reason": "moved"}
            status, _, content, took_ms = await browser.ask("PATCH", path, cookie, body, {"if-match": etag})
            timed.writes.append(took_ms)
        timed.by_path.setdefault(re.sub(r"\d+", "N", path), []).append(took_ms)
        if status >= 400 and status != 409:
            timed.failures.append(f"{status} {path} {content[:120]!r}")
        await asyncio.sleep(draw.expovariate(1 / THINK_S))


async def put_load(port: int, seconds: float) -> Timed:
    """Let everybody log in, then all of them work."""
    timed, logged_in, ready = Timed(), asyncio.Event(), []
    people = [
        asyncio.create_task(_live(n, port, until=seconds, timed=timed, logged_in=logged_in, ready=ready))
        for n in range(PEOPLE)
    ]
    while len(ready) < PEOPLE:
        await asyncio.sleep(0.1)
        for task in people:
            if task.done():
                task.result()
    logged_in.set()
    await asyncio.gather(*people)
    return timed


def find_percentile(values: list[float], share: float) -> float:
    """Return the smallest value that at least this share does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 100) * len(ordered) // 100) - 1))]


def _count_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_record(*, database: str = "", seconds: float = 60.0) -> dict:
    """Fill, serve, load; returns figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        started = time.perf_counter()
        fill_record(home, database=database)
        filled_s = time.perf_counter() - started
        more = ["--database", database] if database else []
        server = subprocess.Popen(
            [sys.executable, "-m", "hepatica.entrypoints.cli.main", "serve", "--home", str(home), "--port", "0", *more],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            port = int(server.stdout.readline().strip().rpartition(":")[2])
            time.sleep(1.0)
            asyncio.run(Browser(port).ask("GET", "/health"))
            idle = _count_mib(server.pid)
            load = subprocess.run(
                [sys.executable, "-m", "benchmarks.record", "--load", str(port), "--seconds", str(seconds)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if load.returncode:
                raise RuntimeError(load.stderr[-2000:])
            figures = json.loads(load.stdout)
            cpu = [
                int(word)
                for word in Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
            ]
            figures |= {"idle_mib": idle, "after_mib": _count_mib(server.pid), "filled_s": filled_s,
                        "server_cpu_s": sum(cpu) / os.sysconf("SC_CLK_TCK"), "seconds": seconds}  # fmt: skip
        finally:
            server.terminate()
            figures_status = server.wait()
        figures["status"] = figures_status
        return figures


def measure_load(database: Database) -> Iterator[Row]:
    """50 people for a minute on one kind of database, as rows of the document."""
    figures = measure_record(database=database.make_address())
    failed = f", {figures['failed']} FAILED" if figures["failed"] else ""
    for word, bar_ms in (("reads", READ_BAR_MS), ("writes", WRITE_BAR_MS)):
        taken = figures[f"{word}_ms"]
        shown = f"p50 {taken['p50']:.0f}, p95 {taken['p95']:.0f}, p99 {taken['p99']:.0f} ms of {taken['n']}{failed}"
        yield Row(
            name=f"{PEOPLE} people on {database.name}, {word}: {shown}",
            wall_s=figures["seconds"],
            cpu_s=figures["server_cpu_s"],
            peak_mib=figures["after_mib"],
            bar=f"p95 {bar_ms:.0f} ms",
        )
    yield Row(
        name=f"server on {database.name}, idle",
        wall_s=0.0,
        cpu_s=0.0,
        peak_mib=figures["idle_mib"],
        bar=f"{IDLE_BAR_MIB:.0f} MiB",
    )


def _to_figures(timed: Timed) -> dict:
    def percentiles(values: list[float]) -> dict:
        return {"n": len(values)} | {
            f"p{int(s * 100)}": round(find_percentile(values, s), 1) for s in (0.5, 0.95, 0.99)
        }

    return {
        "reads_ms": percentiles(timed.reads),
        "writes_ms": percentiles(timed.writes),
        "by_path_ms": {path: percentiles(values) for path, values in sorted(timed.by_path.items())},
        "failures": timed.failures[:5],
        "failed": len(timed.failures),
    }


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", default="")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--load", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.load:
        print(json.dumps(_to_figures(asyncio.run(put_load(chosen.load, chosen.seconds)))))
        return
    figures = measure_record(database=chosen.database, seconds=chosen.seconds)
    figures["bars"] = {"reads_p95_ms": READ_BAR_MS, "writes_p95_ms": WRITE_BAR_MS, "idle_mib": IDLE_BAR_MIB}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
