"""Write the filled record of this version that later versions are migrated from in the tests.

Run it once, before a new step of the tables is added: ``python tools/make_record_fixture.py``. It writes
``tests/data/records/<version>.tar``, a copy as ``hepatica backup`` writes it, and never replaces one.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from hepatica.adapters.store.backup import write_backup
from hepatica.adapters.store.database import open_change
from hepatica.adapters.store.home import RecordHome, make_home
from hepatica.adapters.store.migrate import find_version
from hepatica.adapters.store.tables import JOB, VAULT
from hepatica.record.item import Item
from hepatica.record.people import Role, make_system_actor
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import change_item, create_item, remove_item, set_lock
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.repeat_safely import do_once
from hepatica.workflows.verify_record import take_checkpoint

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "records"
CHECKPOINT_KEY = b"fixture checkpoint key, 32 bytes" + bytes(1)
"""Known on purpose: the tests judge the fixture's checkpoint with it."""


class TickingClock:
    """A second later at every look."""

    def __init__(self) -> None:
        self._now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


class NoPasswords:
    """Stands in for the slow hash: nobody logs in to the fixture."""

    def hash_password(self, password: str) -> str:
        return "no hash"

    def matches(self, password: str, hashed: str | None) -> bool:
        return False


def fill(home: RecordHome) -> None:
    """Write at least one row of every table, and every action that changes a value."""
    clock = TickingClock()
    context = RecordContext(store=home.store, files=home.files, clock=clock, actor=make_system_actor())
    _, secret = invite_account(
        context, login="ada", display_name="Ada", roles=[Role.ADMINISTRATOR], site_ids=["s1"]
    )
    accept_link(context, NoPasswords(), secret=secret, password="three quiet herons")
    _fill_patients(context)
    scan = _fill_scan(context)
    with context.store.writing() as writer:
        locked = set_lock(context, writer, item=scan, locked=True, reason="")
        set_lock(context, writer, item=locked, locked=False, reason="one slice was missing")
    take_checkpoint(context, key=CHECKPOINT_KEY)
    do_once(
        context, key="k1", request={"a": 1}, act=lambda writer: {"number": 1.0, "text": "grün", "none": None}
    )
    _fill_jobs(home, clock)


def _fill_patients(context: RecordContext) -> None:
    with context.store.writing() as writer:
        create_item(
            context, writer, item=Item(kind="site", item_id="s1", version=1, values={"name": "North"})
        )
        for number in range(1, 6):
            patient = Item(
                kind="patient",
                item_id=f"p{number}",
                site_id="s1",
                patient_id=f"p{number}",
                version=1,
                values={
                    "subject_id": f"S-{number:03d}",
                    "status": "screening",
                    "cohort": '50 % "A_B" \\ ß漢',
                },
            )
            create_item(context, writer, item=patient)
            name = {"family_name": f"Müller-{number}", "given_name": "Åse", "birth_date": "1951-02-03"}
            create_item(
                context,
                writer,
                item=Item(
                    kind="identity",
                    item_id=f"i{number}",
                    site_id="s1",
                    patient_id=f"p{number}",
                    version=1,
                    values=name,
                ),
            )
            change_item(
                context,
                writer,
                kind="identity",
                item_id=f"i{number}",
                values={"family_name": f"Meyer-{number}", "given_name": None},
                expected_version=1,
                reason="typed wrongly",
            )
        removed = writer.find_item("patient", "p5")
        assert removed is not None
        remove_item(context, writer, item=removed, reason="entered twice")


def _fill_scan(context: RecordContext) -> Item:
    digest = context.files.keep_bytes(b"voxels of the fixture")
    values = {
        "series_uid": "2.25.1",
        "modality": "CT",
        "content_digest": digest,
        "state": "accepted",
    }
    with context.store.writing() as writer:
        return create_item(
            context,
            writer,
            item=Item(kind="scan", item_id="c1", site_id="s1", patient_id="p1", version=1, values=values),
        )


def _fill_jobs(home: RecordHome, clock: TickingClock) -> None:
    now = clock.now().isoformat(timespec="microseconds")
    job = {
        "job_id": "j1",
        "kind": "plan",
        "account_id": "u1",
        "site_id": "s1",
        "patient_id": "p1",
        "state": "done",
        "request": {"scan": "c1", "margin_mm": 5.0},
        "result": None,
        "stage": "Planning",
        "fraction": 1000,
        "created_at": now,
        "seen_at": now,
    }
    with open_change(home.engine) as connection:
        connection.execute(insert(JOB), job)
        connection.execute(insert(VAULT), {"purpose": "uid", "pseudonym": "2.25.9", "original": "1.2.3"})


def main() -> int:
    """Write the fixture of this version."""
    out = FOLDER / f"{find_version()}.tar"
    if out.exists():
        print(f"{out.name} exists; a fixture is never made anew", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home", mode="clinical", now=datetime(2026, 3, 2, tzinfo=UTC))
        try:
            fill(home)
            FOLDER.mkdir(parents=True, exist_ok=True)
            write_backup(home, out)
        finally:
            home.close()
    out.chmod(0o644)
    print(f"Wrote {out.name}, {out.stat().st_size} bytes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
