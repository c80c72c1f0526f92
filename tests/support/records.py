"""Records for tests: on either database, with a clock that ticks and patients to fill them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hepatica.adapters.store.home import RecordHome, make_home
from hepatica.record.item import Item
from hepatica.record.people import make_system_actor
from hepatica.workflows.change_item import change_item, create_item
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.verify_record import RecordReport, verify_record

DATABASES = ["sqlite", "postgresql"]


class TickingClock:
    """A second later at every look."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


def make_address(database: str) -> str:
    """Return the address of a new database: empty text for SQLite."""
    if database == "sqlite":
        return ""
    from postgresql import start_server

    return start_server().make_database()


def make_context(home: RecordHome) -> RecordContext:
    return RecordContext(store=home.store, files=home.files, clock=TickingClock(), actor=make_system_actor())


def new_home(folder: Path, address: str) -> RecordHome:
    return make_home(folder, mode="clinical", database=address)


def to_patient(item_id: str, *, site_id: str = "s1", **values) -> Item:
    fields = {"subject_id": f"S-{item_id}", "status": "screening", **values}
    return Item(
        kind="patient", item_id=item_id, site_id=site_id, patient_id=item_id, version=1, values=fields
    )


def to_identity(patient_id: str, **values) -> Item:
    fields = {"family_name": "Quellenbrunn", "birth_date": "1951-02-03", **values}
    return Item(
        kind="identity",
        item_id=f"i-{patient_id}",
        site_id="s1",
        patient_id=patient_id,
        version=1,
        values=fields,
    )


def create(context: RecordContext, *items: Item) -> None:
    with context.store.writing() as writer:
        for item in items:
            create_item(context, writer, item=item)


def change(context: RecordContext, kind: str, item_id: str, version: int, **values) -> Item:
    with context.store.writing() as writer:
        return change_item(
            context,
            writer,
            kind=kind,
            item_id=item_id,
            values=values,
            expected_version=version,
            reason="typo",
        )


def fill(context: RecordContext, patients: int = 4) -> None:
    """Write patients with identities, one of them changed twice, and a scan with a file."""
    for number in range(1, patients + 1):
        create(context, to_patient(f"p{number}", cohort=f"C{number}"), to_identity(f"p{number}"))
    change(context, "patient", "p1", 1, cohort="X", dose_level=2)
    change(context, "patient", "p1", 2, cohort="Y")
    change(context, "identity", "i-p1", 1, family_name="Steinwasser")
    digest = context.files.keep_bytes(b"voxels " * 100)
    values = {"series_uid": "2.25.1", "modality": "CT", "content_digest": digest, "state": "accepted"}
    create(context, Item(kind="scan", item_id="c1", site_id="s1", patient_id="p1", version=1, values=values))


def verify(home: RecordHome, *, key: bytes | None = None, heads=None) -> RecordReport:
    return verify_record(make_context(home), home.store, key=key, heads=heads or {})


def list_rules(report: RecordReport) -> set[str]:
    return {finding.rule for finding in report.findings}


def act_as_owner(home: RecordHome, *statements: str) -> None:
    """Do what the database's owner can: drop the guards, then anything."""
    with home.engine.begin() as connection:
        if home.engine.dialect.name == "sqlite":
            names = (
                connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
                .scalars()
                .all()
            )
            for name in names:
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("event", "checkpoint"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in statements:
            connection.execute(text(statement.replace(":", "\\:")))


@pytest.fixture(params=DATABASES, name="address")
def record_address(request) -> str:
    """Address of a new database of each kind."""
    return make_address(request.param)


@pytest.fixture(name="home")
def record_home(address, tmp_path):
    """A new record on each database."""
    opened = new_home(tmp_path / "home", address)
    yield opened
    opened.close()


@pytest.fixture(name="context")
def record_context(home):
    """The program itself, acting on that record."""
    return make_context(home)
