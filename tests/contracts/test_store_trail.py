"""What an owner of the database does behind the program's back is found, on SQLite and PostgreSQL."""

# ruff: noqa: F401  (fixtures are used by their names)
from __future__ import annotations

import json

import pytest
from records import (
    act_as_owner,
    change,
    create,
    fill,
    list_rules,
    record_address,
    record_context,
    record_home,
    to_identity,
    verify,
)
from sqlalchemy import text

from hepatica.core.errors import NoRecordError, NotFoundError, RecordInputError, SourceFormatError
from hepatica.record.event import Action, EventDraft, link_event, to_text
from hepatica.workflows.change_item import remove_item, require_item
from hepatica.workflows.erase_identity import erase_identity
from hepatica.workflows.verify_record import export_head, take_checkpoint, to_exported_head

KEY = b"checkpoint key of these tests..." + bytes(1)


@pytest.fixture
def filled(home, context):
    fill(context)
    take_checkpoint(context, key=KEY)
    assert verify(home, key=KEY).findings == ()
    return home


@pytest.mark.requirement("F-trail-owner")
@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        ("audit.content", "UPDATE event SET document = replace(document, 'typo', 'lies') WHERE number = 9"),
        ("audit.content", "UPDATE event SET document = document || ' ' WHERE number = 3"),
        ("audit.content", "UPDATE event SET document = 'x' WHERE number = 3"),
        ("audit.content", "UPDATE event SET document = '[]' WHERE number = 3"),
        ("audit.link", "UPDATE event SET hash = upper(hash) WHERE number = 3"),
        ("audit.columns", "UPDATE event SET patient_id = 'p2' WHERE number = 9"),
        ("audit.columns", "UPDATE event SET item_id = 'p9' WHERE number = 9"),
        ("audit.columns", "UPDATE event SET kind = 'scan' WHERE number = 9"),
        ("audit.numbers", "DELETE FROM event WHERE number = 5"),
        ("audit.truncated", "DELETE FROM event WHERE number > 10"),
        ("audit.truncated", "DELETE FROM event"),
        ("audit.current", "UPDATE item SET content = replace(CAST(content AS TEXT), 'C2', 'C3'){json}"),
        ("audit.current", "UPDATE item SET version = version + 1 WHERE item_id = 'p2'"),
        ("audit.current", "UPDATE item SET patient_id = 'p3' WHERE item_id = 'c1'"),
        ("audit.current", "UPDATE item SET site_id = 's2' WHERE item_id = 'p2'"),
        ("audit.current", "UPDATE item SET locked = true WHERE item_id = 'p2'"),
        ("audit.current", "DELETE FROM item WHERE item_id = 'p2'"),
        ("audit.current", "INSERT INTO item SELECT kind, 'p99', site_id, patient_id, version, locked, content, search FROM item WHERE item_id = 'p2'"),
        ("audit.search", "UPDATE item SET search = 'hidden' WHERE item_id = 'p2'"),
        ("audit.current", "UPDATE sealed_item SET content = replace(CAST(content AS TEXT), 'Steinwasser', 'Other'){json}"),
        ("audit.current", "DELETE FROM sealed_item WHERE item_id = 'i-p1'"),
        ("audit.sealed", "UPDATE sealed_change SET old = new WHERE old IS NOT NULL"),
        ("audit.sealed", "DELETE FROM sealed_change WHERE field = 'birth_date'"),
        ("audit.sealed", "INSERT INTO sealed_change SELECT 1, field, old, new FROM sealed_change WHERE event_number = 2"),
        ("audit.sealed", "DELETE FROM seal_salt WHERE item_id = 'i-p2'"),
        ("audit.sealed", "UPDATE seal_salt SET salt = 'no salt' WHERE item_id = 'i-p2'"),
        ("audit.signature", "UPDATE checkpoint SET time_utc = '2020-01-01T00:00:00.000000+00:00'"),
        ("audit.checkpoint", "UPDATE checkpoint SET hash = substr(hash, 2) || 'x'"),
    ],
)  # fmt: skip
def test_what_was_done_with_raw_sql_is_found(filled, rule, statement):
    as_json = {"postgresql": "::json", "sqlite": ""}[filled.engine.dialect.name]
    act_as_owner(filled, _to_json(statement, as_json))
    report = verify(filled, key=KEY)
    assert rule in list_rules(report) and report.is_damaged


def _to_json(statement: str, cast: str) -> str:
    if "{json}" not in statement:
        return statement
    head, value = statement.split(" = ", 1)
    return f"{head} = ({value.replace('{json}', '')}){cast}"


@pytest.mark.requirement("F-trail-owner")
def test_reordered_events_are_found(filled):
    act_as_owner(
        filled,
        "UPDATE event SET number = 1000 WHERE number = 4",
        "UPDATE event SET number = 4 WHERE number = 5",
        "UPDATE event SET number = 5 WHERE number = 1000",
    )
    assert {"audit.link", "audit.columns"} <= list_rules(verify(filled, key=KEY))


@pytest.mark.requirement("F-trail-owner")
def test_a_trail_written_anew_from_one_event_on_is_found_only_by_checkpoint_or_exported_head(filled, context):
    document = export_head(context, record_id=filled.record_id)
    head = to_exported_head(json.loads(json.dumps(document)), record_id=filled.record_id)
    assert verify(filled, key=KEY, heads=head).findings == ()
    _write_anew(filled, from_number=9)
    assert list_rules(verify(filled, key=KEY)) == {"audit.checkpoint"}
    assert "audit.head" in list_rules(verify(filled, key=KEY, heads=head))
    act_as_owner(filled, "DELETE FROM checkpoint")
    # What the documentation says an owner of database and key can still do.
    assert verify(filled, key=KEY).findings == ()
    assert list_rules(verify(filled, key=KEY, heads=head)) == {"audit.head"}


@pytest.mark.requirement("F-trail-owner")
def test_a_cut_off_end_is_found_by_an_exported_head_even_when_checkpoints_and_values_are_cut_as_well(
    filled, context
):
    head = to_exported_head(export_head(context, record_id=filled.record_id), record_id=filled.record_id)
    (last,) = {number for number in head}
    act_as_owner(
        filled,
        f"DELETE FROM event WHERE number = {last}",
        "DELETE FROM checkpoint",
        "DELETE FROM item WHERE item_id = 'c1'",
    )
    assert verify(filled, key=KEY).findings == ()
    assert list_rules(verify(filled, key=KEY, heads=head)) == {"audit.truncated"}


def _write_anew(home, *, from_number: int) -> None:
    """Do what an owner can: another reason in one event, and all hashes after it made anew."""
    with home.store.reading() as reader:
        events = list(reader.read_events())
    act_as_owner(home)
    previous = events[from_number - 2].hash
    for event in events[from_number - 1 :]:
        names = {name: getattr(event, name) for name in ("time_utc", "actor_id", "action", "kind", "item_id", "version", "site_id", "patient_id", "changes", "request_id")}  # fmt: skip
        forged = link_event(
            EventDraft(**names, reason="rewritten"), number=event.number, previous_hash=previous
        )
        previous = forged.hash
        with home.engine.begin() as connection:
            connection.execute(
                text("UPDATE event SET hash = :h, document = :d WHERE number = :n"),
                {"h": forged.hash, "d": to_text(forged), "n": event.number},
            )


@pytest.mark.requirement("F-trail-head")
def test_a_head_of_another_record_or_another_document_is_refused(filled, context):
    document = export_head(context, record_id=filled.record_id)
    with pytest.raises(NoRecordError):
        to_exported_head(document, record_id="another")
    for wrong in ({}, [], {**document, "format": "x"}, {**document, "number": "1"}):
        with pytest.raises(SourceFormatError):
            to_exported_head(wrong, record_id=filled.record_id)


@pytest.mark.requirement("F-trail-key")
def test_without_the_key_checkpoints_are_left_unjudged_and_that_is_said(filled):
    report = verify(filled)
    assert not report.is_damaged and not report.is_judged and list_rules(report) == {"audit.key"}
    other = verify(filled, key=b"x" * 32)
    assert other.is_damaged and list_rules(other) == {"audit.signature"}


@pytest.mark.requirement("F-trail-erase")
def test_an_erased_identity_is_gone_from_every_table_and_the_chain_is_whole(filled, context):
    assert erase_identity(context, patient_id="p1", reason="he asked for it") == 1
    report = verify(filled, key=KEY)
    assert report.findings == ()
    with context.store.reading() as reader:
        assert reader.find_item("identity", "i-p1") is None
        assert reader.find_item("identity", "i-p2").values["family_name"] == "Quellenbrunn"
        *_, last = reader.read_events(kind="identity", item_id="i-p1")
    assert (last.action, last.reason) == (Action.ERASE, "he asked for it")
    with filled.engine.connect() as connection:
        for table in ("sealed_item", "sealed_change", "event", "item", "answer", "seal_salt"):
            rows = repr(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert "Steinwasser" not in rows, table
        salts = connection.execute(text("SELECT item_id FROM seal_salt")).scalars().all()
    assert sorted(salts) == ["i-p2", "i-p3", "i-p4"]
    with pytest.raises(NotFoundError):
        erase_identity(context, patient_id="p1", reason="again")


@pytest.mark.requirement("F-trail-erase")
def test_an_erased_name_leaves_the_bytes_of_the_sqlite_files(tmp_path):
    from records import make_context, new_home

    home = new_home(tmp_path / "home", "")
    context = make_context(home)
    fill(context)
    held = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("record.sqlite*"))
    assert b"Steinwasser" in held
    erase_identity(context, patient_id="p1", reason="he asked for it")
    held = b"".join(path.read_bytes() for path in (tmp_path / "home").glob("record.sqlite*"))
    assert b"Steinwasser" not in held
    home.close()


@pytest.mark.requirement("F-trail-erase")
def test_an_identity_removed_before_is_erased_too_and_one_entered_again_is_another(filled, context):
    with context.store.writing() as writer:
        item = require_item(writer, kind="identity", item_id="i-p1")
        remove_item(context, writer, item=item, reason="wrong patient")
    erase_identity(context, patient_id="p1", reason="he asked for it")
    assert verify(filled, key=KEY).findings == ()
    create(context, to_identity("p1", family_name="Neubach"))
    change(context, "identity", "i-p1", 5, family_name="Neudorf")
    assert verify(filled, key=KEY).findings == ()


@pytest.mark.requirement("F-trail-erase")
def test_values_that_reappear_after_erasing_or_vanish_without_it_are_damage(filled, context):
    with filled.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM sealed_change WHERE event_number = 2")).mappings().all()
    erase_identity(context, patient_id="p1", reason="he asked for it")
    with filled.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO sealed_change (event_number, field, new) VALUES (:n, :f, :v)"),
            {"n": 2, "f": rows[0]["field"], "v": json.dumps(rows[0]["new"])},
        )
    assert list_rules(verify(filled, key=KEY)) == {"audit.sealed"}


@pytest.mark.requirement("F-trail-erase")
def test_erasing_needs_a_reason(context):
    fill(context, patients=1)
    with pytest.raises(RecordInputError):
        erase_identity(context, patient_id="p1", reason="  ")
