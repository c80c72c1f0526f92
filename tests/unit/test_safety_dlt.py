"""Dose-limiting toxicity: decision tables written out by hand, windows, replacement, open questions."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import date, timedelta

import pytest

from hepatica.core.errors import InputError, NotSetError, ProtocolError
from hepatica.core.evidence import EvidenceStatus
from hepatica.followup.dates import PartialDate
from hepatica.followup.safety.attribution import Attribution, Relation
from hepatica.followup.safety.dlt import check_patient, judge_event, judge_patient
from hepatica.followup.safety.toxicity import ToxicEvent, TreatedPatient
from hepatica.followup.safety.toxicity_file import list_definitions, parse_definition, read_definition

FIRST = date(2024, 3, 1)
LATER = date(2024, 6, 1)
OPEN = {"attribution": "agent or procedure", "evaluable.replace": True}
PV10 = read_definition("pv10-liver", supplied=OPEN)
SORAFENIB = read_definition("pv10-liver-sorafenib", supplied=OPEN)
DAYS_42 = read_definition(
    "tvec-liver-atezolizumab",
    supplied={**OPEN, "attribution": "agent", "criteria.grade.grade_min": 3, "evaluable.injections_min": 2},
)


def event(
    term="abdominal pain", grade=3, day=5, *, last=None, agent="probable", procedure="unrelated", **more
):
    onset = more.pop("onset", None) or (FIRST + timedelta(days=day)).isoformat()
    end = more.pop("end", None) or ("" if last is None else (FIRST + timedelta(days=last)).isoformat())
    return ToxicEvent(
        term=term,
        grade=grade,
        onset=PartialDate.from_text(onset),
        end=PartialDate.from_text(end),
        attribution=Attribution(agent=Relation(agent), procedure=Relation(procedure)),
        **more,
    )


def patient(*events, **more):
    return TreatedPatient(subject="S01", dose="2", first_dose=FIRST, events=events, **more)


def verdict(given, definition=PV10, as_of=LATER):
    return str(judge_event(given, definition=definition, first_dose=FIRST, as_of=as_of).verdict)


# PV-10: class | grade 1 2 3 4 5 and grade not given
GRADES = """
abdominal pain         no no dlt dlt dlt undecided
fatigue                no no dlt dlt dlt undecided
platelet count decreased no no no dlt dlt undecided
anemia                 no no no dlt dlt undecided
"""


@pytest.mark.requirement("D-dlt-grades")
@pytest.mark.parametrize("line", GRADES.strip().splitlines())
def test_grade_3_counts_outside_the_blood_and_grade_4_in_it(line):
    words = line.split()
    term, expected = " ".join(words[:-6]), words[-6:]
    assert [verdict(event(term, grade)) for grade in (1, 2, 3, 4, 5, None)] == expected


@pytest.mark.requirement("D-dlt-grades")
def test_the_class_given_by_the_site_goes_before_the_term():
    assert verdict(event("pancytopenia", 3)) == "dlt"
    assert verdict(event("pancytopenia", 3, haematological=True)) == "no"
    assert verdict(event("pancytopenia", 4, haematological=True)) == "dlt"


# relation to agent | to procedure | counts agent / procedure / agent or procedure / any | cause
CAUSES = """
definite  unrelated  dlt no dlt dlt agent
probable  unlikely   dlt no dlt dlt agent
possible  unrelated  dlt no dlt dlt agent
related   unrelated  dlt no dlt dlt agent
unlikely  unrelated  no  no no  dlt neither
unrelated unrelated  no  no no  dlt neither
unrelated definite   no dlt dlt dlt procedure
unlikely  possible   no dlt dlt dlt procedure
possible  related    dlt dlt dlt dlt both
unknown   unrelated  undecided no undecided dlt unknown
unrelated unknown    no undecided undecided dlt unknown
unknown   unknown    undecided undecided undecided dlt unknown
definite  unknown    dlt undecided dlt dlt agent
unknown   probable   undecided dlt dlt dlt procedure
"""


@pytest.mark.requirement("D-dlt-attribution")
@pytest.mark.parametrize("line", CAUSES.strip().splitlines())
def test_agent_and_procedure_are_judged_apart(line):
    agent, procedure, *expected, cause = line.split()
    given = event(agent=agent, procedure=procedure)
    for mode, answer in zip(("agent", "procedure", "agent or procedure", "any"), expected):
        definition = read_definition("pv10-liver", supplied={**OPEN, "attribution": mode})
        found = judge_event(given, definition=definition, first_dose=FIRST, as_of=LATER)
        assert (str(found.verdict), found.cause) == (answer, cause), mode


# onset in days after the first dose | edge <= 28 (29 days) | edge < 42 (42 days)
ONSETS = """
-1 no no
0 dlt dlt
1 dlt dlt
27 dlt dlt
28 dlt dlt
29 no dlt
41 no dlt
42 no no
"""


@pytest.mark.requirement("D-dlt-window")
@pytest.mark.parametrize("line", ONSETS.strip().splitlines())
def test_the_onset_decides_whether_an_event_is_in_the_window(line):
    day, included, cycles = line.split()
    given = event(day=int(day))
    assert (verdict(given), verdict(given, DAYS_42)) == (included, cycles)


@pytest.mark.requirement("D-dlt-window")
def test_two_cycles_of_21_days_close_before_the_third_dose():
    assert DAYS_42.last_day(FIRST) == FIRST + timedelta(days=41)
    assert (DAYS_42.window_length_days, PV10.window_length_days) == (42, 29)
    assert PV10.last_day(FIRST) == FIRST + timedelta(days=28)


# grade | first and last day of the event, - while it goes on | looked at on day | verdict of the sorafenib cohort
LASTS = """
3 5 18 90 dlt
3 5 17 90 no
3 5 5 90 no
3 5 - 18 dlt
3 5 - 17 undecided
3 5 - 5 undecided
3 5 30 17 undecided
3 5 30 18 dlt
3 28 41 90 dlt
2 5 - 90 no
"""


@pytest.mark.requirement("D-dlt-duration")
@pytest.mark.parametrize("line", LASTS.strip().splitlines())
def test_fourteen_days_are_asked_for_with_first_and_last_day_counted(line):
    grade, first, last, seen, expected = line.split()
    given = event("nausea", int(grade), int(first), last=None if last == "-" else int(last))
    assert verdict(given, SORAFENIB, FIRST + timedelta(days=int(seen))) == expected


@pytest.mark.requirement("D-dlt-duration")
def test_an_event_that_goes_on_says_when_it_decides_itself():
    found = judge_event(
        event("nausea"), definition=SORAFENIB, first_dose=FIRST, as_of=FIRST + timedelta(days=10)
    )
    assert found.decides_on == FIRST + timedelta(days=18)


@pytest.mark.requirement("D-dlt-duration")
def test_fatigue_is_left_out_of_the_sorafenib_cohort():
    assert verdict(event("fatigue", 3), SORAFENIB) == "no"
    assert verdict(event("fatigue", 3)) == "dlt"


# onset as written | first dose 1 March, window to 29 March
PARTIAL = """
2024-03 | undecided
2024-02 | no
2024-04 | no
2024 | undecided
"""


@pytest.mark.requirement("D-dlt-partial")
@pytest.mark.parametrize("line", PARTIAL.strip().splitlines())
def test_an_onset_known_in_part_decides_only_where_all_its_days_agree(line):
    text, expected = (part.strip() for part in line.split("|"))
    assert verdict(event(onset=text)) == expected


@pytest.mark.requirement("D-dlt-partial")
def test_an_unknown_onset_is_undecided_and_takes_all_follow_up():
    given = ToxicEvent(
        term="fever", grade=3, onset=PartialDate.from_text(""), attribution=event().attribution
    )
    found = judge_patient(patient(given), definition=PV10, as_of=LATER)
    assert (str(found.state), found.follow_up_days) == ("undecided", 0)


# looked at in days after the first dose | state | follow-up, of 29 days
TIMES = """
0 pending 0
1 pending 1
27 pending 27
28 pending 28
29 no dlt 29
60 no dlt 29
"""


@pytest.mark.requirement("D-dlt-pending")
@pytest.mark.parametrize("line", TIMES.strip().splitlines())
def test_a_patient_is_pending_until_the_last_day_of_the_window_is_over(line):
    day, *words, follow_up = line.split()
    found = judge_patient(patient(injections=1), definition=PV10, as_of=FIRST + timedelta(days=int(day)))
    assert (str(found.state), found.follow_up_days) == (" ".join(words), int(follow_up))
    assert (found.follow_up_days < found.window_days) == (str(found.state) == "pending")
    assert found.closes_on == FIRST + timedelta(days=28)


@pytest.mark.requirement("D-dlt-pending")
def test_an_open_question_keeps_a_patient_pending_from_its_onset_even_after_the_window():
    given = patient(event(agent="unknown", procedure="unknown", day=12), injections=1)
    found = judge_patient(given, definition=PV10, as_of=LATER)
    assert (str(found.state), found.dlt, found.follow_up_days, found.window_days) == (
        "undecided",
        False,
        12,
        29,
    )
    late = judge_patient(patient(event(onset="2024-03", day=0), injections=1), definition=PV10, as_of=LATER)
    assert late.follow_up_days < late.window_days


@pytest.mark.requirement("D-dlt-pending")
def test_one_toxicity_settles_it_whatever_else_is_open():
    found = judge_patient(patient(event(grade=None, day=2), event(day=9)), definition=PV10, as_of=LATER)
    assert (str(found.state), found.dlt, found.first.event.grade) == ("dlt", True, 3)


# last day under observation | injections | replace | state, evaluable, follow-up
REPLACE = """
10 1 true  not evaluable 0 10
10 1 false not evaluable 1 29
27 1 true  not evaluable 0 27
28 1 true  no dlt 1 29
-  0 true  not evaluable 0 29
-  0 false not evaluable 1 29
-  1 true  no dlt 1 29
"""


@pytest.mark.requirement("D-dlt-evaluable")
@pytest.mark.parametrize("line", REPLACE.strip().splitlines())
def test_who_leaves_early_or_had_too_little_is_replaced_or_counts_as_the_protocol_says(line):
    off, injections, replaces, *state, evaluable, follow_up = line.split()
    definition = read_definition("pv10-liver", supplied={**OPEN, "evaluable.replace": replaces == "true"})
    last = None if off == "-" else FIRST + timedelta(days=int(off))
    found = judge_patient(
        patient(off_study=last, injections=int(injections)), definition=definition, as_of=LATER
    )
    assert (str(found.state), found.evaluable, found.follow_up_days) == (
        " ".join(state),
        evaluable == "1",
        int(follow_up),
    )


@pytest.mark.requirement("D-dlt-evaluable")
def test_who_had_a_toxicity_is_evaluable_however_short_the_observation():
    found = judge_patient(
        patient(event(day=3), off_study=FIRST + timedelta(days=4), injections=0), definition=PV10, as_of=LATER
    )
    assert (str(found.state), found.evaluable, found.dlt) == ("dlt", True, True)


@pytest.mark.requirement("D-dlt-not-set")
def test_replacement_is_asked_for_only_when_somebody_cannot_be_evaluated():
    definition = read_definition("pv10-liver", supplied={"attribution": "any"})
    assert str(judge_patient(patient(injections=1), definition=definition, as_of=LATER).state) == "no dlt"
    with pytest.raises(NotSetError) as caught:
        judge_patient(patient(injections=0), definition=definition, as_of=LATER)
    assert "evaluable.replace" in str(caught.value)


@pytest.mark.requirement("D-dlt-not-set")
@pytest.mark.parametrize("name", list_definitions())
def test_every_packaged_definition_names_its_sources_and_asks_for_what_it_leaves_open(name):
    definition = read_definition(name)
    for item in definition.evidence:
        assert item.source
        assert (item.value is None) == (item.status is EvidenceStatus.NOT_SET)
    with pytest.raises(NotSetError) as caught:
        definition.require_rules()
    assert "attribution" in str(caught.value)


@pytest.mark.requirement("D-dlt-not-set")
def test_the_first_liver_study_has_no_window_until_somebody_supplies_it():
    assert "window" in read_definition("tvec-liver").missing
    assert read_definition("tvec-liver", supplied={"window": 42}).window_length_days == 42


@pytest.mark.requirement("D-dlt-findings")
def test_an_onset_on_the_day_the_edge_decides_about_is_a_finding():
    for day, rules in ((27, []), (28, ["dlt.window_edge"]), (29, [])):
        found = judge_patient(patient(event(day=day), injections=1), definition=PV10, as_of=LATER)
        assert [f.rule for f in check_patient(found, definition=PV10)] == rules


@pytest.mark.requirement("D-dlt-findings")
def test_injections_that_are_not_recorded_and_open_questions_are_findings():
    found = judge_patient(patient(), definition=PV10, as_of=LATER)
    assert [f.rule for f in check_patient(found, definition=PV10)] == ["dlt.injections_unknown"]
    found = judge_patient(patient(event(grade=None), injections=1), definition=PV10, as_of=LATER)
    assert [f.rule for f in check_patient(found, definition=PV10)] == ["dlt.undecided"]


def test_events_after_the_day_of_the_report_do_not_count():
    found = judge_patient(patient(event(day=20)), definition=PV10, as_of=FIRST + timedelta(days=19))
    assert (str(found.state), found.dlt) == ("pending", False)


@pytest.mark.requirement("D-dlt-permutation")
def test_the_order_of_events_changes_nothing():
    events = [
        event(day=day, grade=grade, agent=agent)
        for day, grade, agent in itertools.product((2, 30), (2, 3, None), ("probable", "unknown"))
    ]
    expected = judge_patient(patient(*events), definition=PV10, as_of=LATER)
    source = random.Random(7)
    for _ in range(10):
        source.shuffle(events)
        found = judge_patient(patient(*events), definition=PV10, as_of=LATER)
        assert replace(found, patient=expected.patient) == expected


@pytest.mark.requirement("D-dlt-pending")
def test_follow_up_never_shrinks_as_days_pass_while_nothing_happens():
    follow_up = [
        judge_patient(
            patient(injections=1), definition=DAYS_42, as_of=FIRST + timedelta(days=day)
        ).follow_up_days
        for day in range(42)
    ]
    assert follow_up == list(range(42))


def test_days_out_of_order_are_refused():
    with pytest.raises(InputError):
        judge_patient(patient(), definition=PV10, as_of=FIRST - timedelta(days=1))
    with pytest.raises(InputError):
        judge_patient(patient(off_study=FIRST - timedelta(days=1)), definition=PV10, as_of=LATER)
    with pytest.raises(InputError):
        event(day=5, last=4)


OWN = """
name = "own"
title = "own"
window = { value = 28, unit = "days", edge = "<=" }
attribution = { value = "any" }
related = { value = "possible" }
[evaluable]
replace = { value = true }
[criteria.any]
title = "grade 3"
category = "any"
grade_min = { value = 3 }
"""
WRONG = [
    ('edge = "<="', 'edge = ">"'),
    ('value = "any" }', 'value = "weather" }'),
    ('value = "possible"', 'value = "maybe"'),
    ("value = true", "value = 1"),
    ('category = "any"', 'category = "haematological"'),
    ("grade_min = { value = 3 }", "grade_min = { value = 6 }"),
    ("grade_min = { value = 3 }", "grade_min = 3"),
    ('title = "grade 3"', 'title = "grade 3"\nother = 1'),
    ("value = 28,", "value = 28.5,"),
]


@pytest.mark.requirement("D-dlt-definition-refusals")
@pytest.mark.parametrize(("old", "new"), WRONG)
def test_a_contradictory_definition_is_refused_with_its_place(old, new):
    assert parse_definition(OWN.encode(), where="own.toml").name == "own"
    assert old in OWN
    with pytest.raises(ProtocolError) as caught:
        parse_definition(OWN.replace(old, new).encode(), where="own.toml")
    assert "own.toml" in str(caught.value)
