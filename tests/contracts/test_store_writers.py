"""Writers of the store, the same on SQLite and PostgreSQL: one after the other, guarded, told when to wait."""

# ruff: noqa: F401  (fixtures are used by their names)
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from record_workers import working, write_changes
from records import (
    change,
    create,
    fill,
    make_context,
    new_home,
    record_address,
    record_home,
    to_patient,
    verify,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hepatica.adapters.store.database import open_engine
from hepatica.adapters.store.store import SqlRecordStore
from hepatica.core.errors import BusyError, ConflictError, OutputError, RecordInputError
from hepatica.record.event import Action, EventDraft
from hepatica.workflows.change_item import create_item
from hepatica.workflows.verify_record import take_checkpoint

WRITERS = 4
CHANGES = 12


@pytest.mark.requirement("F-store-writers")
def test_writers_in_threads_and_processes_leave_a_chain_without_gaps(home, address, tmp_path):
    folder = tmp_path / "home"

    def write(name: str) -> None:
        with working(write_changes, folder, address, name, CHANGES) as (process, pipe):
            assert pipe.recv() == "done"

    def write_here(name: str) -> None:
        context = make_context(home)
        create(context, to_patient(name))
        for version in range(1, CHANGES):
            change(context, "patient", name, version, cohort=f"{version}")

    with ThreadPoolExecutor(WRITERS + 2) as threads:
        work = [threads.submit(write, f"process{n}") for n in range(2)]
        work += [threads.submit(write_here, f"thread{n}") for n in range(WRITERS)]
        for done in work:
            done.result()
    report = verify(home)
    assert report.findings == () and report.events == (WRITERS + 2) * CHANGES


@pytest.mark.requirement("F-store-writers")
def test_of_two_people_with_the_same_version_the_second_is_told_and_nothing_is_lost(home):
    context = make_context(home)
    create(context, to_patient("p1"))
    start = threading.Barrier(2)

    def edit(name: str) -> str:
        start.wait()
        try:
            change(context, "patient", "p1", 1, cohort=name)
        except ConflictError:
            return "told"
        return name

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(edit, ["A", "B"]))
    assert sorted(answers)[1] == "told"
    with context.store.reading() as reader:
        item = reader.find_item("patient", "p1")
    assert (item.version, item.values["cohort"]) == (2, sorted(answers)[0])


@pytest.mark.requirement("F-store-busy")
def test_a_busy_record_says_so_with_a_code_and_reading_goes_on(home):
    context = make_context(home)
    impatient = SqlRecordStore(
        open_engine(home.engine.url.render_as_string(hide_password=False), busy_timeout_ms=50),
        sealing_key=bytes(32),
    )
    with context.store.writing():
        with pytest.raises(BusyError), impatient.writing():
            pass
        with impatient.reading() as reader:
            assert reader.count_events() == 0
    with impatient.writing() as writer:
        assert writer.count_events() == 0
    impatient.engine.dispose()


@pytest.mark.requirement("F-store-busy")
def test_a_reader_sees_one_moment_while_others_write(home):
    context = make_context(home)
    create(context, to_patient("p1"))
    with context.store.reading() as reader:
        before = reader.find_item("patient", "p1")
        change(context, "patient", "p1", 1, cohort="new")
        assert reader.find_item("patient", "p1") == before and reader.count_events() == 1


@pytest.mark.requirement("F-store-append-only")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET document = '{}' WHERE number = 1",
        "DELETE FROM event WHERE number = 2",
        "DELETE FROM event",
        "UPDATE checkpoint SET hash = 'x'",
        "DELETE FROM checkpoint",
        "INSERT INTO event SELECT number + 100, hash, kind, item_id, patient_id, document FROM event WHERE number = 1",
        "INSERT INTO event SELECT 0, hash, kind, item_id, patient_id, document FROM event WHERE number = 1",
    ],
)
def test_the_database_refuses_to_change_or_remove_an_event_or_to_put_one_in_between(home, statement):
    _fill_with_checkpoint(home)
    with pytest.raises(DBAPIError), home.engine.begin() as connection:
        connection.execute(text(statement))
    assert verify(home, key=bytes(32)).findings == ()


@pytest.mark.requirement("F-store-append-only")
def test_what_only_one_database_can_do_is_refused_too(home):
    _fill_with_checkpoint(home)
    statements = {
        "postgresql": ["TRUNCATE event", "TRUNCATE checkpoint", "TRUNCATE event, checkpoint CASCADE"],
        "sqlite": [
            "INSERT OR REPLACE INTO event SELECT 1, hash, kind, item_id, patient_id, '{}' FROM event WHERE number = 2",
            "REPLACE INTO checkpoint SELECT number, 'x', time_utc, signature FROM checkpoint",
        ],
    }[home.engine.dialect.name]
    for statement in statements:
        with pytest.raises(DBAPIError), home.engine.begin() as connection:
            connection.execute(text(statement))
    assert verify(home, key=bytes(32)).findings == ()


@pytest.mark.requirement("F-store-append-only")
def test_a_refusal_of_the_database_reaches_the_user_with_a_code_and_without_values(home):
    context = make_context(home)
    create(context, to_patient("p1"))
    draft = EventDraft(
        time_utc=context.now_utc(),
        actor_id="system",
        action=Action.READ,
        kind="patient",
        item_id="Quellenbrunn" * 30,
        version=1,
    )
    if home.engine.dialect.name == "postgresql":
        with (
            pytest.raises(RecordInputError) as refused,
            context.store.writing() as writer,
        ):
            writer.append_event(draft)
    else:
        with pytest.raises(ConflictError) as refused, context.store.writing() as writer:
            writer.connection.execute(text("DELETE FROM event"))
    assert "Quellenbrunn" not in str(refused.value) and refused.value.code in ("record_input", "conflict")


@pytest.mark.requirement("F-crash-full-disk")
def test_a_full_database_says_so_and_loses_nothing(tmp_path):
    home = new_home(tmp_path / "home", "")
    context = make_context(home)
    fill(context)
    acknowledged = 0
    home.engine.dispose()
    with pytest.raises(OutputError) as refused:
        while True:
            with context.store.writing() as writer:
                writer.connection.exec_driver_sql("PRAGMA max_page_count=80")
                create_item(context, writer, item=to_patient(f"q{acknowledged}", cohort="x" * 4000))
            acknowledged += 1
    assert refused.value.code == "output" and acknowledged > 3
    home.engine.dispose()
    report = verify(home)
    assert report.findings == ()
    with context.store.reading() as reader:
        assert reader.find_item("patient", f"q{acknowledged - 1}") is not None
        assert reader.find_item("patient", f"q{acknowledged}") is None
    home.close()


def _fill_with_checkpoint(home) -> None:
    context = make_context(home)
    fill(context, patients=1)
    take_checkpoint(context, key=bytes(32))
