"""Visit schedules as data: packaged ones, supplied numbers, refusals with place and remedy."""

from __future__ import annotations

import pytest

from hepatica.core.errors import NotFoundError, ProtocolError, UsageError
from hepatica.core.evidence import EvidenceStatus
from hepatica.followup.protocol_numbers import read_supplied
from hepatica.followup.visits.schedule_file import list_schedules, parse_schedule, read_schedule
from hepatica.followup.visits.spans import Step

GOOD = """
name = "own"
title = "own"
[visits.injection]
kind = "injection"
anchor = "previous injection"
every = { value = 21, unit = "days" }
window = { value = 3, unit = "days" }
[visits.safety]
kind = "safety"
anchor = "last injection"
at = [{ value = 30, unit = "days" }]
window = { value = 3, unit = "days" }
"""


def parse(text, **supplied):
    return parse_schedule(text.encode(), where="own.toml", supplied=supplied or None)


@pytest.mark.requirement("D-visits-schedule-data")
@pytest.mark.parametrize("name", list_schedules())
def test_every_number_of_a_packaged_schedule_has_a_source_and_a_status(name):
    for item in read_schedule(name).evidence:
        assert item.source
        assert (item.value is None) == (item.status is EvidenceStatus.NOT_SET)


@pytest.mark.requirement("D-visits-schedule-data")
def test_label_intervals_are_three_weeks_then_two():
    rule = read_schedule("tvec-label").injection
    assert [str(Step.from_evidence(item)) for item in (*rule.intervals, rule.every)] == ["3 weeks", "2 weeks"]
    assert {item.status for item in (*rule.intervals, rule.every)} == {EvidenceStatus.VERIFIED}


@pytest.mark.requirement("D-visits-schedule-data")
def test_the_liver_schedule_has_injections_every_21_days_and_leaves_unknown_windows_open():
    schedule = read_schedule("tvec-liver")
    assert str(Step.from_evidence(schedule.injection.every)) == "21 days"
    assert schedule.missing == ("imaging.window", "safety.window", "survival.window")
    until = schedule.rule("survival").until
    assert (until.value, until.unit, until.status) == (24, "months", EvidenceStatus.VERIFIED)


@pytest.mark.requirement("D-visits-supplied")
def test_a_supplied_number_fills_what_is_open_and_counts_as_unverified():
    schedule = read_schedule("tvec-liver", supplied={"imaging.window": 7})
    item = schedule.rule("imaging").after
    assert (item.value, item.unit, item.status) == (7, "days", EvidenceStatus.UNVERIFIED)
    assert "imaging.window" not in schedule.missing


@pytest.mark.requirement("D-visits-supplied")
@pytest.mark.parametrize("key", ["injection.every", "imaging.windows", "imaging", "nothing.window"])
def test_a_number_with_a_source_or_an_unknown_key_cannot_be_supplied(key):
    with pytest.raises(ProtocolError) as caught:
        read_schedule("tvec-liver", supplied={key: 7})
    assert key in str(caught.value)


@pytest.mark.parametrize("value", [-1, 2.5, "seven"])
def test_a_supplied_number_has_to_be_whole_and_not_negative(value):
    with pytest.raises(ProtocolError):
        read_schedule("tvec-liver", supplied={"imaging.window": value})


@pytest.mark.parametrize("pair", ["imaging.window", "=7", "imaging.window=", ""])
def test_supplied_texts_are_key_and_value(pair):
    with pytest.raises(UsageError):
        read_supplied([pair])
    with pytest.raises(UsageError):
        read_supplied(["a=1", "a=2"])


# what is changed in a good file | word of the refusal
BAD = {
    "window twice": ("window = { value = 3, unit", "windows = { value = 3, unit", "window"),
    "bare number": ("every = { value = 21, unit = \"days\" }", "every = 21", "every"),
    "hours": ('every = { value = 21, unit = "days" }', 'every = { value = 21, unit = "h" }', "unit"),
    "half days": ("value = 21", "value = 21.5", "whole number"),
    "zero interval": ("value = 21", "value = 0", "above 0"),
    "unknown anchor": ('anchor = "last injection"', 'anchor = "the moon"', "safety.anchor"),
    "no injection": ('kind = "injection"\nanchor = "previous injection"', 'kind = "clinic"\nanchor = "baseline"', "kind 'injection'"),
    "rolling visit": ('anchor = "last injection"', 'anchor = "previous injection"', "previous injection"),
    "at with rolling": ("every = { value = 21", 'at = [{ value = 3, unit = "days" }]\nevery = { value = 21', "every"),
    "unknown end": ("every = { value = 21", 'ends = ["rain"]\nevery = { value = 21', "rain"),
    "months window": ('window = { value = 3, unit = "days" }\n[visits.safety]', 'window = { value = 3, unit = "months" }\n[visits.safety]', "unit"),
    "not toml": ('name = "own"', 'name = "own', "TOML"),
    "unknown key": ('title = "own"', 'title = "own"\nhospital = "x"', "hospital"),
}  # fmt: skip


@pytest.mark.requirement("D-visits-schedule-refusals")
@pytest.mark.parametrize("case", BAD)
def test_a_contradictory_schedule_is_refused_with_its_place(case):
    old, new, word = BAD[case]
    assert old in GOOD and parse(GOOD).name == "own"
    with pytest.raises(ProtocolError) as caught:
        parse(GOOD.replace(old, new))
    assert "own.toml" in str(caught.value) and word in str(caught.value)


@pytest.mark.requirement("D-visits-schedule-refusals")
def test_steps_from_the_anchor_rise_and_anchors_make_no_circle():
    falling = GOOD.replace(
        'at = [{ value = 30, unit = "days" }]',
        'at = [{ value = 30, unit = "days" }, { value = 20, unit = "days" }]',
    )
    circle = GOOD.replace('anchor = "last injection"', 'anchor = "late"') + (
        '[visits.late]\nkind = "clinic"\nanchor = "safety"\nat = [{ value = 1, unit = "weeks" }]\n'
        'window = { value = 3, unit = "days" }\n'
    )
    for text in (falling, circle):
        with pytest.raises(ProtocolError):
            parse(text)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(NotFoundError) as caught:
        read_schedule("other")
    assert "tvec-label" in str(caught.value)
