"""States of visits on a day, written out by hand: anchors, windows, delays, ends, uncertain days."""

from __future__ import annotations

from datetime import date

import pytest

from hepatica.core.errors import InputError, NotSetError
from hepatica.followup.dates import PartialDate
from hepatica.followup.visits.check import check_history, check_schedule
from hepatica.followup.visits.derive import derive_visits
from hepatica.followup.visits.history import EventStatus, History, VisitEvent
from hepatica.followup.visits.schedule_file import parse_schedule, read_schedule
from hepatica.followup.visits.spans import Step

SCHEDULE = """
name = "own"
title = "own"

[visits.injection]
kind = "injection"
anchor = "previous injection"
every = { value = 21, unit = "days" }
most = { value = 3 }
window = { value = 3, unit = "days" }
ends = ["end of treatment"]
first_after_baseline = { value = 7, unit = "days" }

[visits.imaging]
kind = "imaging"
anchor = "first injection"
at = [{ value = 6, unit = "weeks" }, { value = 12, unit = "weeks" }]
every = { value = 12, unit = "weeks" }
until = { value = 12, unit = "months" }
window = { value = 7, unit = "days" }

[visits.safety]
kind = "safety"
anchor = "last injection"
at = [{ value = 30, unit = "days" }]
window_before = { value = 0, unit = "days" }
window_after = { value = 7, unit = "days" }

[visits.survival]
kind = "contact"
anchor = "safety"
every = { value = 12, unit = "weeks" }
until = { value = 24, unit = "months" }
until_anchor = "first injection"
window = { value = 2, unit = "weeks" }
"""


def own(**changes):
    text = SCHEDULE
    for old, new in changes.get("swap", ()):
        assert old in text
        text = text.replace(old, new)
    return parse_schedule(text.encode(), where="own.toml")


def event(visit, on, status="done", number=None):
    return VisitEvent(visit=visit, on=PartialDate.from_text(on), status=EventStatus(status), number=number)


def history(*events, baseline=None, **ended):
    return History(
        subject="S01",
        events=tuple(event(*given) for given in events),
        baseline=None if baseline is None else PartialDate.from_text(baseline),
        ended={word.replace("_", " "): PartialDate.from_text(day) for word, day in ended.items()},
    )


def states(found, name):
    return {
        visit.number: (str(visit.state), str(visit.due) if visit.due else "")
        for visit in found
        if visit.name == name
    }


def derive(given, day, schedule=None, **more):
    return derive_visits(schedule or own(), given, as_of=date.fromisoformat(day), **more)


FIRST = ("injection", "2024-01-08")

# day | state of the second injection, due on 29 January with three days each way
SECOND = """
2024-01-08 planned
2024-01-25 planned
2024-01-26 due
2024-01-29 due
2024-02-01 due
2024-02-02 overdue
2025-01-01 overdue
"""


@pytest.mark.requirement("D-visits-states")
@pytest.mark.parametrize("line", SECOND.strip().splitlines())
def test_a_visit_is_planned_before_its_window_due_in_it_and_overdue_behind_it(line):
    day, state = line.split()
    assert states(derive(history(FIRST), day), "injection")[2] == (state, "2024-01-29")


# day on which the second injection was given | its state | planned day of the third
GIVEN = """
2024-01-25 | out of window | 2024-02-15
2024-01-26 | done | 2024-02-16
2024-01-29 | done | 2024-02-19
2024-02-01 | done | 2024-02-22
2024-02-02 | out of window | 2024-02-23
2024-02-20 | out of window | 2024-03-12
"""


@pytest.mark.requirement("D-visits-delay")
@pytest.mark.parametrize("line", GIVEN.strip().splitlines())
def test_the_third_injection_is_counted_from_the_day_the_second_was_given(line):
    on, state, third = (part.strip() for part in line.split("|"))
    found = states(derive(history(FIRST, ("injection", on)), "2024-02-25"), "injection")
    assert found[2] == (state, "2024-01-29")
    assert found[3][1] == third


@pytest.mark.requirement("D-visits-delay")
def test_imaging_stays_on_calendar_weeks_when_an_injection_is_late():
    on_time = derive(history(FIRST, ("injection", "2024-01-29")), "2024-02-25")
    late = derive(history(FIRST, ("injection", "2024-02-20")), "2024-02-25")
    assert states(on_time, "imaging") == states(late, "imaging")
    assert [due for _, due in states(late, "imaging").values()] == [
        "2024-02-19",
        "2024-04-01",
        "2024-06-24",
        "2024-09-16",
        "2024-12-09",
    ]


@pytest.mark.requirement("D-visits-delay")
def test_a_schedule_that_keeps_its_rhythm_moves_nothing_after_a_delay():
    rhythm = own(swap=[('anchor = "previous injection"', 'anchor = "first injection"')])
    found = states(derive(history(FIRST, ("injection", "2024-02-05")), "2024-02-10", rhythm), "injection")
    assert found == {1: ("done", ""), 2: ("out of window", "2024-01-29"), 3: ("planned", "2024-02-19")}


@pytest.mark.requirement("D-visits-delay")
def test_an_open_injection_pushes_the_next_one_before_it_and_cannot_make_it_late():
    found = [v for v in derive(history(FIRST), "2024-03-01") if v.name == "injection"]
    assert [(str(v.state), str(v.due), v.projected) for v in found[1:]] == [
        ("overdue", "2024-01-29", False),
        ("planned", "2024-03-22", True),
    ]
    assert "not before" in found[2].reason


@pytest.mark.requirement("D-visits-anchors")
def test_the_first_injection_is_counted_from_the_baseline_and_waits_for_it():
    waiting = derive(history(), "2024-01-01")
    assert states(waiting, "injection")[1] == ("planned", "")
    planned = derive(history(baseline="2024-01-03"), "2024-01-08")
    assert states(planned, "injection")[1] == ("due", "2024-01-10")
    assert states(planned, "imaging")[1] == ("planned", "2024-02-21")


@pytest.mark.requirement("D-visits-anchors")
def test_the_safety_visit_waits_until_the_last_injection_is_known():
    given = (FIRST, ("injection", "2024-01-29"))
    open_ = next(v for v in derive(history(*given), "2024-02-05") if v.name == "safety")
    assert (open_.due, str(open_.state)) == (None, "planned")
    assert "if that of 2024-01-29 was the last, planned 2024-02-28" in open_.reason
    ended = derive(history(*given, end_of_treatment="2024-02-10"), "2024-02-12")
    assert states(ended, "safety")[1] == ("planned", "2024-02-28")
    assert 3 not in states(ended, "injection")
    full = derive(history(*given, ("injection", "2024-02-19")), "2024-02-20")
    assert states(full, "safety")[1] == ("planned", "2024-03-20")


@pytest.mark.requirement("D-visits-survival")
def test_survival_contacts_follow_the_safety_visit_every_twelve_weeks_to_two_years():
    given = history(FIRST, ("safety", "2024-02-07"), end_of_treatment="2024-01-20")
    dues = [due for _, due in states(derive(given, "2024-02-10"), "survival").values()]
    assert dues[:3] == ["2024-05-01", "2024-07-24", "2024-10-16"]
    assert dues[-1] == "2025-12-10" and len(dues) == 8


@pytest.mark.requirement("D-visits-survival")
def test_without_an_end_contacts_go_on_one_beyond_the_day():
    endless = own(swap=[('until = { value = 24, unit = "months" }\nuntil_anchor = "first injection"\n', "")])
    given = history(FIRST, ("safety", "2024-02-07"), end_of_treatment="2024-01-20")
    found = states(derive(given, "2030-01-01", endless), "survival")
    # 25 times 12 weeks after 7 February 2024 is 7 November 2029; its window closed on 21 November.
    assert list(found.items())[-2:] == [(25, ("overdue", "2029-11-07")), (26, ("planned", "2030-01-30"))]
    assert {state for number, (state, _) in found.items() if number < 25} == {"missed"}


@pytest.mark.requirement("D-visits-survival")
def test_contacts_that_end_with_the_trial_end_a_time_after_the_last_patient_was_enrolled():
    supplied = {f"{name}.window": 7 for name in ("injection", "imaging", "safety", "survival")}
    schedule = read_schedule("tvec-liver-atezolizumab", supplied=supplied)
    given = history(FIRST, ("safety", "2024-02-07"), end_of_treatment="2024-01-20")
    found = derive(given, "2024-02-10", schedule, trial_dates={"last enrolled": date(2022, 6, 1)})
    assert [due for _, due in states(found, "survival").values()] == ["2024-05-01"]
    assert [f.rule for f in check_schedule(schedule)] == ["visits.not_set", "visits.last_enrolled"]


# day | states of the first and second scan, due 19 February and 1 April, seven days each way
TURNS = """
2024-02-11 planned planned
2024-02-12 due planned
2024-02-26 due planned
2024-02-27 overdue planned
2024-03-24 overdue planned
2024-03-25 missed due
2024-04-09 missed overdue
2024-06-17 missed missed
"""


@pytest.mark.requirement("D-visits-missed")
@pytest.mark.parametrize("line", TURNS.strip().splitlines())
def test_a_calendar_visit_is_missed_when_the_turn_of_the_next_begins(line):
    day, first, second = line.split()
    found = states(derive(history(FIRST), day), "imaging")
    assert (found[1][0], found[2][0]) == (first, second)


@pytest.mark.requirement("D-visits-missed")
def test_a_recorded_miss_keeps_the_rhythm_and_a_gap_in_the_numbers_is_a_miss():
    missed = derive(history(FIRST, ("injection", "", "missed", 2)), "2024-02-10")
    assert states(missed, "injection") == {
        1: ("done", ""),
        2: ("missed", "2024-01-29"),
        3: ("planned", "2024-02-19"),
    }
    gap = derive(history(FIRST, ("injection", "2024-02-19", "done", 3)), "2024-02-20")
    assert states(gap, "injection")[2][0] == "missed"


# days of scans | expected number by day; 0 for unscheduled
NEAREST = """
2024-02-20 | 2024-02-20:1
2024-01-15 | 2024-01-15:0
2024-01-15 2024-02-20 | 2024-01-15:0 2024-02-20:1
2024-03-11 | 2024-03-11:1
2024-03-12 | 2024-03-12:2
2024-02-15 2024-02-21 | 2024-02-15:0 2024-02-21:1
2024-02-17 2024-02-21 | 2024-02-17:1 2024-02-21:0
"""


@pytest.mark.requirement("D-visits-assignment")
@pytest.mark.parametrize("line", NEAREST.strip().splitlines())
def test_a_scan_belongs_to_the_nearest_planned_day_and_the_anchor_counts_as_one(line):
    given, expected = (part.split() for part in line.split("|"))
    found = derive(history(FIRST, *(("imaging", day) for day in given)), "2024-03-15")
    done = {v.on.text: v.number or 0 for v in found if v.name == "imaging" and v.on.text}
    assert done == {pair[:10]: int(pair[11:]) for pair in expected}


@pytest.mark.requirement("D-visits-assignment")
def test_a_number_given_by_the_site_wins_over_the_nearest_day():
    found = states(derive(history(FIRST, ("imaging", "2024-03-12", "done", 1)), "2024-03-15"), "imaging")
    assert found[1][0] == "out of window" and found[2][0] == "planned"


@pytest.mark.requirement("D-visits-ends")
@pytest.mark.parametrize("word", ["death", "withdrawal", "lost_to_follow-up", "study_end"])
def test_nothing_is_owed_after_the_end_and_what_was_late_before_it_is_missed(word):
    found = derive(history(FIRST, **{word: "2024-02-22"}), "2024-06-01")
    assert states(found, "injection") == {1: ("done", ""), 2: ("missed", "2024-01-29")}
    assert states(found, "imaging") == {}, "its window was open when the patient left"
    assert states(found, "survival") == {}
    before = derive(history(FIRST, **{word: "2024-02-22"}), "2024-02-10")
    assert states(before, "injection")[2][0] == "overdue"


@pytest.mark.requirement("D-visits-ends")
def test_progression_ends_only_what_the_schedule_says():
    ends = own(swap=[('ends = ["end of treatment"]', 'ends = ["end of treatment", "progression"]')])
    found = derive(history(FIRST, progression="2024-01-15"), "2024-01-16", ends)
    assert 2 not in states(found, "injection") and 1 in states(found, "imaging")
    assert states(found, "safety")[1] == ("planned", "2024-02-07")


# first injection known as January: planned day 22 January to 21 February, window 19 January to 24 February
SPAN = """
2024-01-18 planned
2024-01-19 due
2024-02-24 due
2024-02-25 overdue
"""


@pytest.mark.requirement("D-visits-partial")
@pytest.mark.parametrize("line", SPAN.strip().splitlines())
def test_a_day_known_in_part_widens_the_next_window_instead_of_being_guessed(line):
    day, state = line.split()
    found = states(derive(history(("injection", "2024-01")), day), "injection")
    assert found[2] == (state, "2024-01-22 to 2024-02-21")


# second injection, due 29 January, window 26 January to 1 February: what its partial day allows to say
PART = """
2024-03 | out of window | late
2024-01 | done | cannot be judged
2024 | done | cannot be judged
"""


@pytest.mark.requirement("D-visits-partial")
@pytest.mark.parametrize("line", PART.strip().splitlines())
def test_uncertain_days_are_judged_only_where_every_day_they_may_mean_agrees(line):
    text, state, words = (part.strip() for part in line.split("|"))
    found = derive(history(FIRST, ("injection", text, "done", 2)), "2024-12-31")
    visit = next(v for v in found if v.name == "injection" and v.number == 2)
    assert str(visit.state) == state
    assert ("cannot be judged" in visit.reason) == (words == "cannot be judged")


@pytest.mark.requirement("D-visits-partial")
def test_nothing_is_counted_from_an_unknown_day():
    found = derive(history(FIRST, ("injection", "", "done", 2)), "2024-04-01")
    assert states(found, "injection")[3] == ("planned", "")


@pytest.mark.requirement("D-visits-partial")
def test_an_order_that_days_cannot_tell_is_a_finding():
    given = history(FIRST, ("injection", "2024-01"))
    assert [f.rule for f in check_history(given, as_of=date(2024, 6, 1))] == [
        "visits.date_partial",
        "visits.order_unknown",
    ]


@pytest.mark.requirement("D-visits-partial")
def test_partial_unknown_and_future_days_are_findings():
    given = history(
        FIRST, ("injection", "2024-02"), ("imaging", ""), ("imaging", "2025-01-01"), death="2024-03-01"
    )
    rules = [f.rule for f in check_history(given, as_of=date(2024, 6, 1))]
    assert sorted(rules) == [
        "visits.after_as_of",
        "visits.after_end",
        "visits.date_partial",
        "visits.date_unknown",
    ]
    assert not any("S01" in f.message for f in check_history(given, as_of=date(2024, 6, 1)))


@pytest.mark.requirement("D-visits-window-not-set")
def test_without_a_window_a_visit_is_due_from_its_day_and_never_called_late():
    open_ = own(
        swap=[('window = { value = 7, unit = "days" }', 'window = { unit = "days", status = "not set" }')]
    )
    assert states(derive(history(FIRST), "2024-02-18", open_), "imaging")[1][0] == "planned"
    for day in ("2024-02-19", "2024-03-31"):
        visit = next(v for v in derive(history(FIRST), day, open_) if v.name == "imaging")
        assert str(visit.state) == "due" and "not set" in visit.reason
    late = derive(history(FIRST, ("imaging", "2024-03-10")), "2024-03-11", open_)
    assert states(late, "imaging")[1][0] == "done"


@pytest.mark.requirement("D-visits-window-not-set")
def test_an_interval_that_is_not_set_is_asked_for_with_its_key():
    unknown = own(swap=[("every = { value = 21, unit", 'every = { status = "not set", unit')])
    with pytest.raises(NotSetError) as caught:
        derive(history(FIRST), "2024-02-01", unknown)
    assert "injection.every" in str(caught.value)


@pytest.mark.requirement("D-visits-study-day")
def test_the_first_injection_is_day_one_and_there_is_no_day_zero():
    given = history(FIRST, ("imaging", "2024-01-07"), ("imaging", "2024-02-19"))
    found = derive(given, "2024-02-20")
    days = {v.on.text: v.study_day for v in found if v.on.text}
    assert days == {"2024-01-07": -1, "2024-01-08": 1, "2024-02-19": 43}


@pytest.mark.requirement("D-visits-booked")
def test_an_appointment_is_shown_and_said_to_lie_in_or_outside_the_window():
    inside = derive(history(FIRST, ("injection", "2024-01-30", "booked")), "2024-01-20")
    outside = derive(history(FIRST, ("injection", "2024-02-09", "booked")), "2024-01-20")
    one, two = (
        next(v for v in found if v.number == 2 and v.name == "injection") for found in (inside, outside)
    )
    assert (one.booked, one.day) == (date(2024, 1, 30), date(2024, 1, 30))
    assert "in the window" in one.reason and "outside the window" in two.reason


@pytest.mark.requirement("D-visits-due-within")
@pytest.mark.parametrize(
    ("day", "expected"), [("2024-01-21", False), ("2024-01-22", True), ("2024-02-20", True)]
)
def test_who_is_due_this_week_are_the_due_the_overdue_and_those_planned_in_seven_days(day, expected):
    second = next(v for v in derive(history(FIRST), day) if v.number == 2 and v.name == "injection")
    assert second.due_within(date.fromisoformat(day), days=7) is expected


@pytest.mark.requirement("D-visits-months")
@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2024-01-31", 1, "2024-02-29"),
        ("2023-01-31", 1, "2023-02-28"),
        ("2024-01-31", 2, "2024-03-31"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 24, "2026-02-28"),
        ("2024-11-30", 3, "2025-02-28"),
        ("2024-12-15", 1, "2025-01-15"),
    ],
)
def test_months_end_on_the_same_day_or_the_last_day_of_a_shorter_month(start, months, end):
    assert Step(count=months, unit="months").after(date.fromisoformat(start)) == date.fromisoformat(end)


@pytest.mark.requirement("D-visits-months")
def test_weeks_keep_their_weekday_across_changes_of_the_clock():
    for start in (date(2024, 3, 25), date(2024, 10, 21)):
        assert Step(count=1, unit="weeks").after(start).weekday() == start.weekday()
        assert (Step(count=12, unit="weeks").after(start) - start).days == 84


def test_a_window_in_months_has_no_way_back_and_is_refused():
    with pytest.raises(InputError):
        Step(count=1, unit="months").before(date(2024, 3, 31))


@pytest.mark.requirement("D-visits-partial")
def test_a_known_day_against_an_uncertain_planned_day_is_judged_only_where_all_its_days_agree():
    given = (("injection", "2024-01", "done", 1), ("injection", "2024-01-29", "done", 2))
    visit = next(v for v in derive(history(*given), "2024-03-01") if v.name == "injection" and v.number == 2)
    assert str(visit.state) == "done" and "cannot be judged" in visit.reason
    late = (("injection", "2024-01", "done", 1), ("injection", "2024-02-25", "done", 2))
    assert states(derive(history(*late), "2024-03-01"), "injection")[2][0] == "out of window"
