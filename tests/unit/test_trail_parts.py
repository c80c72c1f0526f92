"""Lists in the trail: only what changed of them is written, and the values still follow from it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.record.chain import TrailLine, check_trail, check_values, to_line
from hepatica.record.event import (
    FIRST_LINK,
    Action,
    Change,
    EventDraft,
    from_document,
    link_event,
    to_change,
    to_document,
    to_text,
)
from hepatica.record.item import Item, list_changes

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
ENTRIES = 200
ENTRY = {
    "entry_id": "e" * 12,
    "kind": "deposit",
    "values": {"volume_ml": 0.5, "lesion_id": "L1"},
    "reason": "",
}
LISTS = st.lists(
    st.one_of(st.integers(0, 2), st.floats(0, 1), st.booleans(), st.text(max_size=2)), max_size=5
)
QUICK = settings(max_examples=150, deadline=None, derandomize=True)


def make_trail(values):
    """Events of one item that took these values one after the other."""
    events, before, previous = [], None, FIRST_LINK
    for version, held in enumerate(values, start=1):
        after = Item(kind="procedure", item_id="q", version=version, values={"entries": held})
        draft = EventDraft(
            time_utc=START, actor_id="u1", action=Action.CHANGE if before else Action.CREATE, kind="procedure",
            item_id="q", version=version, changes=list_changes(before, after),
        )  # fmt: skip
        events.append(link_event(draft, number=version, previous_hash=previous))
        before, previous = after, events[-1].hash
    return events, before


@pytest.mark.requirement("F-trail")
def test_a_day_of_200_entries_is_written_once_into_the_trail_and_not_200_times():
    rows = [{**ENTRY, "entry_id": f"e{number:04}"} for number in range(ENTRIES)]
    events, last = make_trail([rows[:count] for count in range(ENTRIES + 1)])
    sizes = [len(to_text(event)) for event in events[1:]]
    assert max(sizes) < len(json.dumps(ENTRY)) + 500 and sizes[-1] - sizes[0] < 20
    report = check_trail(map(to_line, events))
    assert report.findings == () and check_values(report.state, [last]) == ()


@pytest.mark.requirement("F-trail")
@QUICK
@given(st.lists(LISTS, min_size=1, max_size=6))
def test_whatever_lists_become_the_trail_yields_the_last(values):
    events, last = make_trail(values)
    report = check_trail(map(to_line, events))
    assert report.findings == () and check_values(report.state, [last]) == ()
    for event in events:
        assert from_document(to_document(event), claimed_hash=event.hash) == event


@pytest.mark.requirement("F-trail")
@QUICK
@given(st.lists(LISTS, min_size=2, max_size=6))
def test_several_changes_of_a_list_joined_are_the_change_from_the_first_to_the_last(values):
    events, _ = make_trail(values)
    whole = None
    for event in events[1:]:
        for change in event.changes:
            whole = change if whole is None else whole.join(change)
    if whole is not None:
        assert whole.apply(list(values[0])) == values[-1]


@pytest.mark.requirement("F-trail")
def test_events_written_before_lists_were_cut_are_still_judged():
    old = [["entries", [1], [1, 2]], ["entries", [1, 2], [1, 2, 3]]]
    created, _ = make_trail([[1]])
    lines, previous = [to_line(created[0])], created[0].hash
    for number, row in enumerate(old, start=2):
        draft = EventDraft(
            time_utc=START, actor_id="u1", action=Action.CHANGE, kind="procedure", item_id="q", version=number,
            changes=(to_change(row),),
        )  # fmt: skip
        event = link_event(draft, number=number, previous_hash=previous)
        lines.append(to_line(event))
        previous = event.hash
    report = check_trail(lines)
    shown = Item(kind="procedure", item_id="q", version=3, values={"entries": [1, 2, 3]})
    assert report.findings == () and check_values(report.state, [shown]) == ()


@pytest.mark.requirement("F-trail")
@pytest.mark.parametrize(
    "change",
    [
        Change(field="entries", old=[], new=[4], kept=3),
        Change(field="entries", old=[7], new=[4], kept=1),
        Change(field="entries", old=[True], new=[4], kept=1),
    ],
)
def test_a_part_of_a_list_that_was_not_there_is_found(change):
    created, _ = make_trail([[0, 1]])
    draft = EventDraft(
        time_utc=START, actor_id="u1", action=Action.CHANGE, kind="procedure", item_id="q", version=2,
        changes=(change,),
    )  # fmt: skip
    event = link_event(draft, number=2, previous_hash=created[0].hash)
    assert [f.rule for f in check_trail(map(to_line, [*created, event])).findings] == ["audit.values"]


@pytest.mark.requirement("F-trail")
@pytest.mark.parametrize(
    "row", [["entries", [], [1], 0], ["entries", "a", [1], 1], ["entries", [], [1], True, 2]]
)
def test_a_row_that_is_no_change_is_no_event(row):
    created, _ = make_trail([[1]])
    document = {**to_document(created[0]), "changes": [row]}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    import hashlib

    line = TrailLine(1, hashlib.sha256(text.encode()).hexdigest(), "procedure", "q", "", text)
    assert [finding.rule for finding in check_trail([line]).findings] == ["audit.values"]
