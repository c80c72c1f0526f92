"""Scales by name, causes, emergence, clocks and the exposure log: every edge by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import PartialDate
from hepatica.followup.safety.attribution import read_relation
from hepatica.followup.safety.complications import (
    ComplicationCourse,
    find_complication_grade,
    grade_cirse_2017,
    list_scales,
)
from hepatica.followup.safety.cytokine import (
    SCALES,
    CytokineGrade,
    CytokineSigns,
    Oxygen,
    grade_cytokine_release,
)
from hepatica.followup.safety.emergent import assess_emergence
from hepatica.followup.safety.exposure import (
    Contact,
    ExposedPerson,
    ExposureLog,
    SuspectedLesion,
    Swab,
    SwabResult,
    check_exposures,
)
from hepatica.followup.safety.lab_tests import read_lab_tests
from hepatica.followup.safety.laboratory import TESTS
from hepatica.followup.safety.serious import measure_report_clock
from hepatica.followup.safety.terms import check_grade

# low pressure: no, fluid, 1 pressor, 2 pressors, by rows of oxygen: ASTCT 2019, table in full
ASTCT = """
none              1 2 3 4
low flow          2 2 3 4
high flow         3 3 3 4
positive pressure 4 4 4 4
"""
PRESSURE = ((False, 0), (True, 0), (True, 1), (True, 2))


@pytest.mark.requirement("D-safety-crs-astct")
@pytest.mark.parametrize("line", ASTCT.strip().splitlines())
def test_astct_takes_the_worse_of_pressure_and_oxygen(line):
    *words, a, b, c, d = line.split()
    for (low, pressors), expected in zip(PRESSURE, (a, b, c, d)):
        signs = CytokineSigns(
            temperature_celsius=38.0, hypotension=low, vasopressors=pressors, oxygen=Oxygen(" ".join(words))
        )
        found = grade_cytokine_release(signs, scale="astct-2019")
        assert (found.grade, found.scale) == (int(expected), "ASTCT 2019")


@pytest.mark.requirement("D-safety-crs-astct")
def test_astct_needs_fever_until_drugs_against_it_were_given():
    signs = {"hypotension": True, "vasopressors": 1, "oxygen": Oxygen.NONE}
    cool = grade_cytokine_release(CytokineSigns(temperature_celsius=37.9, **signs), scale="astct-2019")
    assert cool.grade == 0
    treated = CytokineSigns(temperature_celsius=37.9, suppressed=True, **signs)
    assert grade_cytokine_release(treated, scale="astct-2019").grade == 3
    assert isinstance(grade_cytokine_release(CytokineSigns(**signs), scale="astct-2019"), NotEvaluable)


@pytest.mark.requirement("D-safety-crs-astct")
def test_vasopressin_beside_one_pressor_does_not_make_it_several():
    signs = {"temperature_celsius": 39.0, "hypotension": True, "vasopressin": True, "oxygen": Oxygen.NONE}
    assert grade_cytokine_release(CytokineSigns(vasopressors=1, **signs), scale="astct-2019").grade == 3
    alone = grade_cytokine_release(CytokineSigns(vasopressors=0, **signs), scale="astct-2019")
    assert isinstance(alone, NotEvaluable)


# pressors, high dose | oxygen percent, - for none, v for ventilated | organ, transaminase | Lee 2014
LEE = """
0 n -    0 0 2
1 n -    0 0 2
1 y -    0 0 3
2 n -    0 0 3
- n -    0 0 1
- n 39.9 0 0 2
- n 40   0 0 3
- n v    0 0 4
- n -    2 0 2
- n -    3 0 3
- n -    4 0 4
- n -    0 4 3
- n -    0 3 3
- n -    0 2 2
"""


@pytest.mark.requirement("D-safety-crs-lee")
@pytest.mark.parametrize("line", LEE.strip().splitlines())
def test_lee_grades_by_dose_of_pressors_oxygen_fraction_and_organs(line):
    pressors, high, oxygen, organ, transaminase, expected = line.split()
    way = {"-": Oxygen.NONE, "v": Oxygen.POSITIVE_PRESSURE}.get(oxygen, Oxygen.LOW_FLOW)
    signs = CytokineSigns(
        temperature_celsius=38.5,
        hypotension=pressors != "-",
        vasopressors=0 if pressors == "-" else int(pressors),
        high_dose=high == "y",
        oxygen=way,
        oxygen_percent=float(oxygen) if way is Oxygen.LOW_FLOW else None,
        organ_grade=int(organ),
        transaminase_grade=int(transaminase),
    )
    found = grade_cytokine_release(signs, scale="lee-2014")
    assert (found.grade, found.scale, found.unverified) == (int(expected), "Lee 2014", False)


@pytest.mark.requirement("D-safety-crs-named")
def test_every_scale_names_itself_and_ctcae_says_unverified():
    signs = CytokineSigns(
        temperature_celsius=39.0,
        hypotension=True,
        vasopressors=1,
        high_dose=True,
        oxygen=Oxygen.NONE,
        organ_grade=0,
        transaminase_grade=0,
        life_threatening=False,
    )
    found = {name: grade_cytokine_release(signs, scale=name) for name in SCALES}
    assert {name: (f.scale, f.grade, f.unverified) for name, f in found.items()} == {
        "astct-2019": ("ASTCT 2019", 3, False),
        "lee-2014": ("Lee 2014", 3, False),
        "ctcae-5": ("CTCAE v5.0", 3, True),
    }
    with pytest.raises(NotFoundError):
        grade_cytokine_release(signs, scale="penn")


@pytest.mark.requirement("D-safety-crs-named")
@pytest.mark.parametrize("scale", SCALES)
def test_a_sign_that_is_not_known_never_counts_as_absent(scale):
    assert isinstance(
        grade_cytokine_release(CytokineSigns(temperature_celsius=39.0), scale=scale), NotEvaluable
    )
    if scale != "ctcae-5":
        worst = CytokineSigns(temperature_celsius=39.0, oxygen=Oxygen.POSITIVE_PRESSURE)
        found = grade_cytokine_release(worst, scale=scale)
        assert isinstance(found, CytokineGrade) and found.grade == 4


# died, sequelae, treated, longer stay in hours | CIRSE 2017
CIRSE = """
n none   n 0    1
n none   n 0.5  2
n none   n 47.9 2
n none   n 48   -
n none   n 48.1 3
n none   y 0    3
n none   y 48   3
n mild   n 0    4
n mild   y 90   4
n severe n 0    5
y none   n 0    6
y severe y 90   6
"""


@pytest.mark.requirement("D-safety-cirse")
@pytest.mark.parametrize("line", CIRSE.strip().splitlines())
def test_cirse_2017_follows_from_what_came_after(line):
    died, sequelae, treated, stay, expected = line.split()
    found = grade_cirse_2017(
        ComplicationCourse(
            died=died == "y", sequelae=sequelae, treated=treated == "y", longer_stay_h=float(stay)
        )
    )
    if expected == "-":
        assert isinstance(found, NotEvaluable)
    else:
        assert (found.grade, found.edition) == (expected, "CIRSE 2017")


@pytest.mark.requirement("D-safety-scale-editions")
def test_each_complication_scale_has_its_own_grades_and_edition():
    grades = {
        "cirse-2017": ("CIRSE 2017", "1 2 3 4 5 6"),
        "cirse-2025": ("modified CIRSE 2025", "1a 1b 2 3a 3b 4 5 6"),
        "sir-2017": ("SIR 2017", "1 2 3 4 5"),
        "sir-old": ("SIR, older classification", "minor major"),
    }
    assert list_scales() == tuple(grades)
    for scale, (edition, known) in grades.items():
        assert {find_complication_grade(scale, grade).edition for grade in known.split()} == {edition}
    for scale, grade in (("cirse-2017", "1a"), ("cirse-2025", "3"), ("sir-2017", "6"), ("clavien", "1")):
        with pytest.raises(NotFoundError):
            find_complication_grade(scale, grade)


@pytest.mark.requirement("D-safety-scale-editions")
def test_wording_that_was_not_found_is_not_set_and_recalled_wording_is_unverified():
    assert find_complication_grade("cirse-2025", "3b").wording.status is EvidenceStatus.NOT_SET
    assert find_complication_grade("sir-2017", "4").wording.status is EvidenceStatus.UNVERIFIED
    assert find_complication_grade("cirse-2017", "3").wording.status is EvidenceStatus.VERIFIED


@pytest.mark.requirement("D-safety-term-grades")
def test_a_grade_its_term_does_not_have_is_an_error_only_where_the_table_was_read():
    inr, fatigue = check_grade("INR increased", 4), check_grade("FATIGUE", 4)
    assert [(f.rule, str(f.severity), f.unverified) for f in (*inr, *fatigue)] == [
        ("safety.grade_not_in_term", "error", False),
        ("safety.grade_not_in_term", "warning", True),
    ]
    assert check_grade("INR increased", 3) == check_grade("febrile neutropenia", 3) == ()
    assert check_grade("febrile neutropenia", 2)[0].rule == "safety.grade_not_in_term"
    assert check_grade("fatigue", 6)[0].rule == "safety.grade_unknown"
    assert isinstance(check_grade("hiccups of the needle", 3), NotEvaluable)


@pytest.mark.requirement("D-safety-lab-tests")
def test_every_test_with_limits_has_one_code_and_every_code_has_limits():
    assert sorted(test.name for test in read_lab_tests().values()) == sorted(TESTS)


# onset | first dose 5 March, last day that counts 30 April | worsened | emergent
EMERGENT = """
2024-03-04 n False
2024-03-04 y True
2024-03-05 n True
2024-04-30 n True
2024-05-01 n False
2024-05-01 y False
2024-02    n False
2024-03    n -
2024-04    n True
2024       n -
"""


@pytest.mark.requirement("D-safety-emergent")
@pytest.mark.parametrize("line", EMERGENT.strip().splitlines())
def test_an_event_is_emergent_from_the_day_of_the_first_dose_on(line):
    onset, worsened, expected = line.split()
    found = assess_emergence(
        PartialDate.from_text(onset),
        first_dose=date(2024, 3, 5),
        until=date(2024, 4, 30),
        worsened=worsened == "y",
    )
    assert isinstance(found, NotEvaluable) if expected == "-" else str(found) == expected


@pytest.mark.requirement("D-safety-emergent")
def test_without_a_first_dose_or_an_onset_nothing_is_emergent_or_not():
    assert isinstance(assess_emergence(PartialDate.from_text("2024-03-05"), first_dose=None), NotEvaluable)
    assert isinstance(assess_emergence(PartialDate.from_text(""), first_dose=date(2024, 3, 5)), NotEvaluable)


@pytest.mark.requirement("D-safety-attribution")
@pytest.mark.parametrize(
    ("text", "relation"),
    [
        ("NOT RELATED", "unrelated"),
        ("POSSIBLY RELATED", "possible"),
        ("Y", "related"),
        ("n", "unrelated"),
        ("", "unknown"),
        ("Probable", "probable"),
    ],
)
def test_words_of_forms_are_read_and_silence_is_unknown(text, relation):
    assert str(read_relation(text)) == relation
    with pytest.raises(InputError):
        read_relation("perhaps not")


AWARE = datetime(2024, 3, 5, 12, 0, tzinfo=UTC)


@pytest.mark.requirement("D-safety-serious-clock")
@pytest.mark.parametrize(
    ("hours", "reported", "state"),
    [
        (23.9, None, "open"),
        (24.0, None, "open"),
        (24.1, None, "late"),
        (90, 24.0, "in time"),
        (90, 24.1, "reported late"),
    ],
)
def test_a_serious_event_is_reported_within_24_hours_of_awareness(hours, reported, state):
    at = None if reported is None else AWARE + timedelta(hours=reported)
    clock = measure_report_clock(AWARE, now=AWARE + timedelta(hours=hours), reported=at)
    assert (str(clock.state), clock.due) == (state, AWARE + timedelta(hours=24))


@pytest.mark.requirement("D-safety-serious-clock")
def test_the_clock_runs_in_elapsed_hours_across_a_change_of_the_clock():
    zurich = ZoneInfo("Europe/Zurich")
    spring = measure_report_clock(
        datetime(2024, 3, 30, 12, tzinfo=zurich), now=datetime(2024, 3, 31, 12, 30, tzinfo=zurich)
    )
    assert (spring.due.hour, spring.left_h, str(spring.state)) == (13, 0.5, "open")
    autumn = measure_report_clock(
        datetime(2024, 10, 26, 12, tzinfo=zurich), now=datetime(2024, 10, 27, 11, 30, tzinfo=zurich)
    )
    assert (autumn.due.hour, autumn.left_h, str(autumn.state)) == (11, -0.5, "late")


@pytest.mark.requirement("D-safety-serious-clock")
def test_times_without_a_zone_and_reports_before_awareness_are_refused():
    with pytest.raises(InputError):
        measure_report_clock(datetime(2024, 3, 5), now=AWARE)
    with pytest.raises(InputError):
        measure_report_clock(AWARE, now=AWARE, reported=AWARE - timedelta(hours=1))


LIP = SuspectedLesion(subject="S01", lesion="lip", onset=date(2024, 3, 1), actions="dressing", row=2)


def swab(day, result="negative"):
    return Swab(subject="S01", lesion="lip", taken=date(2024, 3, day), result=SwabResult(result), row=3)


# days of March: swab taken (- none), looked at | rules
SWABS = """
- 4 |
- 5 | swab_overdue
4 9 |
5 9 | swab_late
5 4 |
6 5 | swab_overdue
"""


@pytest.mark.requirement("D-safety-swabs")
@pytest.mark.parametrize("line", SWABS.strip().splitlines())
def test_a_suspected_lesion_is_swabbed_within_three_days(line):
    given, rules = line.split("|")
    taken, looked = given.split()
    log = ExposureLog(lesions=(LIP,), swabs=() if taken == "-" else (swab(int(taken)),))
    found = check_exposures(log, as_of=date(2024, 3, int(looked)))
    assert [f.rule for f in found] == [f"exposure.{rule}" for rule in rules.split()]


@pytest.mark.requirement("D-safety-swabs")
@pytest.mark.parametrize(
    ("result", "found"),
    [("positive", ("error",)), ("negative", ()), ("pending", ("info",)), ("indeterminate", ("warning",))],
)
def test_swab_results_are_followed_up(result, found):
    log = ExposureLog(lesions=(LIP,), swabs=(swab(2, result),))
    assert tuple(str(f.severity) for f in check_exposures(log, as_of=date(2024, 3, 9))) == found


@pytest.mark.requirement("D-safety-exposure")
def test_contacts_need_an_action_and_exposure_a_review_each_cycle():
    contact = Contact(
        subject="S01", on=date(2024, 3, 1), person=ExposedPerson.STAFF, kind="needle stick", row=4
    )
    log = ExposureLog(contacts=(contact,), reviews=(("S01", date(2024, 3, 1)),))
    assert [f.rule for f in check_exposures(log, as_of=date(2024, 3, 22))] == ["exposure.no_action"]
    later = check_exposures(log, as_of=date(2024, 3, 23))
    assert [(f.rule, f.measured) for f in later][1:] == [("exposure.review_overdue", 22)]
    assert all("S01" not in f.message for f in later)


@pytest.mark.requirement("D-safety-exposure")
def test_records_that_contradict_each_other_are_refused():
    with pytest.raises(InputError):
        ExposureLog(lesions=(LIP, LIP))
    with pytest.raises(InputError):
        ExposureLog(lesions=(LIP,), swabs=(Swab(subject="S01", lesion="lip", taken=date(2024, 2, 28)),))
