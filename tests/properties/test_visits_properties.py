"""What holds for visits whatever happened: order, delays, the passing of time."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.followup.dates import PartialDate, derive_study_day
from hepatica.followup.visits.derive import derive_visits
from hepatica.followup.visits.history import EventStatus, History, VisitEvent
from hepatica.followup.visits.schedule_file import list_schedules, read_schedule
from hepatica.followup.visits.spans import Step
from hepatica.followup.visits.visit import OPEN_ORDER, VisitState

WINDOWS = {"imaging.window": 7, "safety.window": 7, "survival.window": 14}
OPEN = {
    "tvec-label": {},
    "tvec-liver": WINDOWS,
    "tvec-liver-atezolizumab": {**WINDOWS, "injection.window": 3, "imaging.until": 24},
}
SCHEDULES = {name: read_schedule(name, supplied=OPEN[name]) for name in list_schedules()}
START = date(2024, 1, 8)
few = settings(max_examples=60, deadline=None, derandomize=True)
schedules = st.sampled_from(sorted(SCHEDULES)).map(SCHEDULES.__getitem__)
offsets = st.integers(0, 800)


def to_text(day, precision):
    return day.isoformat()[: {"day": 10, "month": 7, "year": 4, "none": 0}[precision]]


@st.composite
def histories(draw, schedule, *, precisions=("day", "day", "day", "month", "none")):
    count = draw(st.integers(0, 5))
    gaps = draw(st.lists(st.integers(10, 40), min_size=count, max_size=count))
    day, events = (
        START,
        [] if count == 0 else [VisitEvent(visit="injection", on=PartialDate.from_text("2024-01-08"))],
    )
    for gap in gaps[1:]:
        day += timedelta(days=gap)
        events.append(VisitEvent(visit="injection", on=PartialDate.from_text(day.isoformat())))
    others = [rule.name for rule in schedule.rules if rule.name != "injection"]
    for name in others:
        for offset in draw(st.lists(offsets, max_size=4, unique=True)):
            text = to_text(START + timedelta(days=offset), draw(st.sampled_from(precisions)))
            status = draw(st.sampled_from((EventStatus.DONE, EventStatus.DONE, EventStatus.MISSED)))
            events.append(VisitEvent(visit=name, on=PartialDate.from_text(text), status=status))
    ended = {}
    if draw(st.booleans()):
        word = draw(st.sampled_from(("end of treatment", "death", "withdrawal")))
        ended[word] = PartialDate.from_text((day + timedelta(days=draw(st.integers(0, 300)))).isoformat())
    return History(subject="S01", events=tuple(events), ended=ended)


@st.composite
def cases(draw, **more):
    schedule = draw(schedules)
    return schedule, draw(histories(schedule, **more))


@pytest.mark.requirement("D-visits-permutation")
@few
@given(case=cases(), offset=offsets, seed=st.integers(0, 99))
def test_the_order_of_the_records_changes_nothing(case, offset, seed):
    schedule, history = case
    events = list(history.events)
    random.Random(seed).shuffle(events)
    as_of = START + timedelta(days=offset)
    shuffled = replace(history, events=tuple(events))
    assert derive_visits(schedule, shuffled, as_of=as_of) == derive_visits(schedule, history, as_of=as_of)


@pytest.mark.requirement("D-visits-monotone")
@few
@given(case=cases(precisions=("day",)), offset=offsets, later=st.integers(0, 200))
def test_as_time_passes_an_open_visit_only_goes_from_planned_to_due_to_overdue_to_missed(case, offset, later):
    schedule, history = case
    day = START + timedelta(days=offset)
    known = tuple(e for e in history.events if e.on.latest and e.on.latest <= day)
    past = {word: on for word, on in history.ended.items() if on.latest <= day}
    history = replace(history, events=known, ended=past)
    before = {(v.name, v.number): v for v in derive_visits(schedule, history, as_of=day) if v.number}
    after = {
        (v.name, v.number): v
        for v in derive_visits(schedule, history, as_of=day + timedelta(days=later))
        if v.number
    }
    for key, visit in before.items():
        if visit.state in OPEN_ORDER and key in after:
            assert OPEN_ORDER.index(after[key].state) >= OPEN_ORDER.index(visit.state)
        elif visit.state not in OPEN_ORDER:
            assert after[key] == visit


@pytest.mark.requirement("D-visits-done-stays-done")
@few
@given(case=cases(), offset=offsets, later=st.integers(1, 300))
def test_a_visit_done_never_becomes_due_again(case, offset, later):
    schedule, history = case
    day = START + timedelta(days=offset)
    done = (VisitState.DONE, VisitState.OUT_OF_WINDOW)

    def list_done(as_of):
        found = derive_visits(schedule, history, as_of=as_of)
        return sorted((v.name, v.on.text) for v in found if v.state in done)

    earlier, later_done = list_done(day), list_done(day + timedelta(days=later))
    for entry in earlier:
        assert later_done.count(entry) >= earlier.count(entry)


@pytest.mark.requirement("D-visits-past-stays")
@few
@given(
    schedule=schedules,
    gaps=st.lists(st.integers(14, 30), min_size=1, max_size=3),
    delay=st.integers(1, 60),
    offset=st.integers(0, 400),
)
def test_delaying_an_injection_never_moves_what_came_before_it(schedule, gaps, delay, offset):
    days = [START]
    for gap in gaps:
        days.append(days[-1] + timedelta(days=gap))

    def derive(last):
        given_days = [*days[:-1], last]
        events = tuple(
            VisitEvent(visit="injection", on=PartialDate.from_text(day.isoformat())) for day in given_days
        )
        return derive_visits(
            schedule, History(subject="S01", events=events), as_of=days[-1] + timedelta(days=delay + offset)
        )

    on_time, late = derive(days[-1]), derive(days[-1] + timedelta(days=delay))
    cut = len(days)

    def list_past(found):
        return [v for v in found if v.name == "injection" and (v.number or 0) < cut]

    def list_calendar(found):
        return [v for v in found if v.name == "imaging"]

    assert list_past(on_time) == list_past(late)
    assert list_calendar(on_time) == list_calendar(late)
    planned = [
        next(v for v in found if v.name == "injection" and v.number == cut).due for found in (on_time, late)
    ]
    assert planned[0] == planned[1], "the planned day of the late one is that of the one before"


@pytest.mark.requirement("D-visits-nothing-lost")
@few
@given(case=cases(), offset=offsets)
def test_every_recorded_visit_stands_in_the_table_once(case, offset):
    schedule, history = case
    as_of = START + timedelta(days=offset)
    found = derive_visits(schedule, history, as_of=as_of)
    known = [e for e in history.events if e.known_by(as_of)]
    done = sorted((e.visit, e.on.text) for e in known if e.status is EventStatus.DONE)
    assert sorted(
        (v.name, v.on.text) for v in found if v.state in (VisitState.DONE, VisitState.OUT_OF_WINDOW)
    ) == [pair for pair in done]


@pytest.mark.requirement("D-visits-study-day")
@few
@given(
    day=st.dates(date(2000, 1, 1), date(2040, 1, 1)), reference=st.dates(date(2000, 1, 1), date(2040, 1, 1))
)
def test_no_study_day_is_zero_and_the_next_day_is_one_more(day, reference):
    found = derive_study_day(day, reference=reference)
    following = derive_study_day(day + timedelta(days=1), reference=reference)
    assert found != 0 and following - found == (2 if found == -1 else 1)


@pytest.mark.requirement("D-visits-months")
@few
@given(day=st.dates(date(2000, 1, 1), date(2040, 1, 1)), months=st.integers(0, 60))
def test_a_month_step_lands_in_the_month_meant_and_never_later_in_it(day, months):
    found = Step(count=months, unit="months").after(day)
    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day <= day.day
    assert found.day == day.day or (found + timedelta(days=1)).day == 1
