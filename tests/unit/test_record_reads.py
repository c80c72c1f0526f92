"""Reads: two blinded readers, locked, adjudicated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hepatica.adapters.store.home import make_home
from hepatica.bootstrap import SystemClock
from hepatica.core.errors import (
    ConflictError,
    ForbiddenError,
    LockedError,
    NotFoundError,
    RecordInputError,
)
from hepatica.record.item import Item
from hepatica.record.people import Actor, Role, make_system_actor
from hepatica.workflows.accounts import invite_account
from hepatica.workflows.change_item import change_item, create_item
from hepatica.workflows.read_items import list_items, read_item
from hepatica.workflows.reads import assign_read, choose_read, lock_read, record_measurement
from hepatica.workflows.record_ports import ItemFilter, RecordContext


@pytest.fixture
def record(tmp_path):
    home = make_home(tmp_path / "home", mode="research")
    context = RecordContext(
        store=home.store, files=home.files, clock=SystemClock(), actor=make_system_actor()
    )
    with context.store.writing() as writer:
        for kind, item_id, values in (
            ("patient", "p", {"subject_id": "S1", "status": "follow_up"}),
            (
                "scan",
                "c1",
                {"series_uid": "2.25.1", "modality": "CT", "content_digest": "0" * 64, "state": "accepted"},
            ),
            (
                "lesion",
                "l1",
                {
                    "lesion_label": "L1",
                    "tracking_uid": "2.25.2",
                    "location": "LIVER",
                    "injected_dates": ["2026-01-05"],
                },
            ),
        ):
            create_item(
                context,
                writer,
                item=Item(kind=kind, item_id=item_id, site_id="s1", patient_id="p", version=1, values=values),
            )
    yield context
    home.close()


def act_as(record, login, role):
    account, _ = invite_account(record, login=login, display_name=login, roles=[role], site_ids=["s1"])
    return replace(
        record,
        actor=Actor(account_id=account.item_id, roles=frozenset({role}), site_ids=frozenset({"s1"})),
    )


def give_read(record, reader, **more):
    return assign_read(
        record,
        patient_id="p",
        reader_id=reader.actor.account_id,
        criterion="recist-1.1",
        scan_ids=["c1"],
        **more,
    )


def finish(reader, read, length_mm):
    record_measurement(
        reader,
        read_id=read.item_id,
        lesion_id="l1",
        values={"longest_diameter_mm": length_mm, "state": "PRESENT"},
    )
    return lock_read(
        reader,
        read_id=read.item_id,
        expected_version=read_item(reader, kind="read", item_id=read.item_id).version,
    )


@pytest.mark.requirement("F-reads")
def test_two_readers_measure_unseen_by_each_other_and_a_third_decides(record):
    one, two = act_as(record, "one", Role.READER_1), act_as(record, "two", Role.READER_2)
    third = act_as(record, "third", Role.ADJUDICATOR)
    first, second = give_read(record, one), give_read(record, two)
    first = finish(one, first, 31.0)
    with pytest.raises(NotFoundError):
        read_item(two, kind="read", item_id=first.item_id)
    page, total = list_items(two, ItemFilter(kind="measurement"))
    assert (page.items, total) == ((), 0)
    with pytest.raises(RecordInputError):
        give_read(record, third, adjudicates=[first.item_id, second.item_id])
    second = finish(two, second, 34.0)
    deciding = give_read(record, third, adjudicates=[first.item_id, second.item_id])
    assert list_items(third, ItemFilter(kind="measurement"))[1] == 2
    chosen = choose_read(
        third,
        read_id=deciding.item_id,
        expected_version=1,
        chosen_read_id=second.item_id,
        reason="the edge is outside",
    )
    locked = lock_read(third, read_id=deciding.item_id, expected_version=chosen.version)
    assert locked.locked and locked.values["chosen_read_id"] == second.item_id


@pytest.mark.requirement("F-blinding")
def test_the_injected_status_joins_after_the_readers_own_lock_and_not_before(record):
    one, two = act_as(record, "one", Role.READER_1), act_as(record, "two", Role.READER_2)
    first = give_read(record, one)
    give_read(record, two)
    assert "injected_dates" not in read_item(one, kind="lesion", item_id="l1").values
    finish(one, first, 31.0)
    assert "injected_dates" in read_item(one, kind="lesion", item_id="l1").values
    assert "injected_dates" not in read_item(two, kind="lesion", item_id="l1").values


@pytest.mark.requirement("F-reads")
def test_a_locked_read_and_its_marks_cannot_be_changed(record):
    one = act_as(record, "one", Role.READER_1)
    read = give_read(record, one)
    with pytest.raises(RecordInputError):
        lock_read(one, read_id=read.item_id, expected_version=1)
    finish(one, read, 31.0)
    with pytest.raises(ConflictError):
        record_measurement(one, read_id=read.item_id, lesion_id="l1", values={})
    (mark,) = list_items(one, ItemFilter(kind="measurement"))[0].items
    with pytest.raises(LockedError), one.store.writing() as writer:
        change_item(
            one,
            writer,
            kind="measurement",
            item_id=mark.item_id,
            values={"longest_diameter_mm": 1.0},
            expected_version=mark.version,
            reason="x",
        )


@pytest.mark.requirement("F-reads")
def test_a_reader_touches_his_own_read_only_and_each_role_reads_once(record):
    one, two = act_as(record, "one", Role.READER_1), act_as(record, "two", Role.READER_2)
    read = give_read(record, one)
    with pytest.raises(ForbiddenError):
        record_measurement(two, read_id=read.item_id, lesion_id="l1", values={})
    with pytest.raises(ConflictError):
        give_read(record, one)
    with pytest.raises(ForbiddenError):
        give_read(one, two)
    nurse = act_as(record, "nurse", Role.COORDINATOR)
    with pytest.raises(RecordInputError):
        give_read(record, nurse)
