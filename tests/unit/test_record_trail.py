"""The trail of the record: chain, checkpoints, values, rights, blinding."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hepatica.core.errors import ForbiddenError, InputError
from hepatica.record.blinding import is_visible, project_event, project_item
from hepatica.record.catalogue import read_kinds
from hepatica.record.chain import Checkpoint, Held, check_trail, check_values, sign_checkpoint, to_line
from hepatica.record.event import (
    FIRST_LINK,
    Action,
    Change,
    Event,
    EventDraft,
    derive_hash,
    from_document,
    link_event,
    to_document,
)
from hepatica.record.item import Item, list_changes
from hepatica.record.people import Actor, Role, check_roles, read_rights, require_right
from hepatica.record.signature import SignatureState, assess_signature

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
KEY = b"k" * 32


def make_events(count: int = 6) -> list[Event]:
    """One patient created and then changed, one scan created."""
    drafts = [
        EventDraft(
            time_utc=START,
            actor_id="u1",
            action=Action.CREATE,
            kind="patient",
            item_id="p1",
            version=1,
            changes=(Change(field="cohort", old=None, new=0),),
        )
    ]
    drafts += [
        EventDraft(
            time_utc=START + timedelta(minutes=number),
            actor_id="u1",
            action=Action.CHANGE,
            kind="patient",
            item_id="p1",
            version=number + 1,
            reason="typed wrongly",
            changes=(Change(field="cohort", old=number - 1, new=number),),
        )
        for number in range(1, count)
    ]
    events: list[Event] = []
    for number, draft in enumerate(drafts, 1):
        previous = events[-1].hash if events else FIRST_LINK
        events.append(link_event(draft, number=number, previous_hash=previous))
    return events


def check(events, **more):
    return check_trail(map(to_line, events), **more)


def show(version, values, item_id="p1"):
    return Item(kind="patient", item_id=item_id, version=version, values=values)


def rules(report) -> set[str]:
    return {finding.rule for finding in report.findings}


@pytest.mark.requirement("F-trail")
def test_a_whole_trail_has_no_finding_and_yields_the_values():
    report = check(make_events())
    assert report.is_whole
    assert report.state.items == {("patient", "p1"): Held(6, "", "", {"cohort": 5})}
    assert check_values(report.state, [show(6, {"cohort": 5})]) == ()


@pytest.mark.requirement("F-trail")
@pytest.mark.parametrize("field", ["actor_id", "reason", "item_id", "site_id"])
def test_a_changed_event_is_found_even_when_its_hash_is_made_anew(field):
    events = make_events()
    changed = replace(events[2], **{field: "x"})
    assert "audit.content" in rules(check([*events[:2], changed, *events[3:]]))
    rehashed = replace(changed, hash=derive_hash(changed))
    assert "audit.link" in rules(check([*events[:2], rehashed, *events[3:]]))


@pytest.mark.requirement("F-trail")
def test_a_removed_and_a_reordered_event_are_found():
    events = make_events()
    assert {"audit.numbers", "audit.link"} <= rules(check([*events[:2], *events[3:]]))
    assert {"audit.numbers", "audit.link"} <= rules(check([events[1], events[0], *events[2:]]))


@pytest.mark.requirement("F-trail")
def test_a_truncated_or_rewritten_trail_is_found_by_an_earlier_checkpoint():
    events = make_events()
    point = sign_checkpoint(6, events[-1].hash, time_utc=START, key=KEY)
    assert check(events, checkpoints=[point], key=KEY).is_whole
    assert rules(check(events[:4], checkpoints=[point], key=KEY)) == {"audit.truncated"}
    other = make_events()
    forged = link_event(replace_draft(other[5], reason="another"), number=6, previous_hash=other[4].hash)
    assert rules(check([*other[:5], forged], checkpoints=[point], key=KEY)) == {"audit.checkpoint"}
    assert rules(check(events, checkpoints=[point], key=b"x" * 32)) == {"audit.signature"}
    assert rules(check(events, checkpoints=[point])) == {"audit.key"}


def replace_draft(event: Event, **changes) -> EventDraft:
    names = EventDraft.__dataclass_fields__
    return EventDraft(**{**{name: getattr(event, name) for name in names}, **changes})


@pytest.mark.requirement("F-trail")
@pytest.mark.parametrize(
    "current",
    [
        [show(6, {"cohort": 4})],
        [show(6, {"cohort": 5.0})],
        [show(5, {"cohort": 5})],
        [replace(show(6, {"cohort": 5}), patient_id="p2")],
        [replace(show(6, {"cohort": 5}), site_id="s2")],
        [],
        [show(6, {"cohort": 5}), show(1, {}, item_id="p2")],
    ],
)
def test_values_that_the_trail_does_not_yield_are_found(current):
    state = check(make_events()).state
    assert [finding.rule for finding in check_values(state, current)] == ["audit.current"]


@pytest.mark.requirement("F-trail")
def test_an_event_survives_its_document():
    for event in make_events():
        assert from_document(to_document(event), claimed_hash=event.hash) == event


@pytest.mark.requirement("F-signature")
def test_a_signature_holds_until_the_values_change():
    plan = Item(kind="plan", item_id="p", version=2, values={"status": "cleared"})
    mark = Item(kind="signature", item_id="s", version=1, values={"signed_digest": plan.digest})
    assert assess_signature(mark, replace(plan, locked=True)) is SignatureState.VALID
    assert assess_signature(mark, plan.with_values({"status": "not_cleared"})) is SignatureState.BROKEN
    assert assess_signature(mark, None) is SignatureState.REMOVED


@pytest.mark.requirement("F-rights")
def test_every_kind_names_rights_of_the_table_and_every_right_is_held_by_somebody():
    rights = read_rights()
    for kind in read_kinds().values():
        assert kind.read_right in rights and kind.write_right in rights
    assert all(rights.values())


@pytest.mark.requirement("F-rights")
def test_another_sites_patient_and_a_missing_right_are_refused():
    nurse = Actor(account_id="u", roles=frozenset({Role.COORDINATOR}), site_ids=frozenset({"a"}))
    require_right(nurse, "patient.write", site_id="a")
    with pytest.raises(ForbiddenError):
        require_right(nurse, "patient.write", site_id="b")
    with pytest.raises(ForbiddenError):
        require_right(nurse, "account.write")


@pytest.mark.requirement("F-blinding")
def test_a_blinded_role_goes_with_no_other():
    with pytest.raises(InputError):
        check_roles(frozenset({Role.READER_1, Role.INVESTIGATOR}))


@pytest.mark.requirement("F-blinding")
def test_a_blinded_reader_learns_of_injections_only_after_his_read_is_locked():
    reader = Actor(account_id="r", roles=frozenset({Role.READER_1}), site_ids=frozenset({"a"}))
    lesion = Item(
        kind="lesion",
        item_id="l",
        site_id="a",
        patient_id="p",
        version=2,
        values={"lesion_label": "L1", "tracking_uid": "2.25.1", "injected_dates": ["2026-01-05"]},
    )
    assert "injected_dates" not in project_item(lesion, reader).values
    assert "injected_dates" in project_item(lesion, reader, own_read_locked=True).values
    draft = EventDraft(
        time_utc=START,
        actor_id="u",
        action=Action.CHANGE,
        kind="lesion",
        item_id="l",
        version=2,
        reason="injected today",
        changes=list_changes(replace(lesion, values={"lesion_label": "L1"}), lesion),
    )
    shown = project_event(link_event(draft, number=1, previous_hash=FIRST_LINK), reader)
    assert [change.field for change in shown.changes] == ["tracking_uid"] and shown.reason == ""


@pytest.mark.requirement("F-blinding")
def test_a_reader_sees_his_own_marks_and_no_plan():
    reader = Actor(account_id="r", roles=frozenset({Role.READER_2}), site_ids=frozenset({"a"}))
    own = Item(kind="measurement", item_id="m", site_id="a", version=1, values={"read_id": "x"})
    assert is_visible(own, reader, own_read_ids={"x": False})
    assert not is_visible(own, reader, own_read_ids={"y": False})
    assert not is_visible(
        Item(kind="plan", item_id="p", site_id="a", version=1, values={}), reader, own_read_ids={}
    )


@pytest.mark.requirement("F-trail")
def test_a_checkpoint_needs_a_long_key():
    with pytest.raises(InputError):
        sign_checkpoint(1, "x", time_utc=START, key=b"short")
    assert isinstance(sign_checkpoint(1, "x", time_utc=START, key=KEY), Checkpoint)


@pytest.mark.requirement("F-identity")
def test_identity_is_sealed_from_everybody_without_the_right():
    item = Item(
        kind="identity", item_id="i", site_id="a", patient_id="p", version=1, values={"family_name": "N"}
    )
    statistician = Actor(account_id="s", roles=frozenset({Role.STATISTICIAN}), site_ids=frozenset({"a"}))
    nurse = Actor(account_id="c", roles=frozenset({Role.COORDINATOR}), site_ids=frozenset({"a"}))
    assert not project_item(item, statistician).values
    assert project_item(item, nurse).values["family_name"] == "N"
