"""itRECIST-based groups, mRECIST and volumes."""

from __future__ import annotations

import pytest
from response_courses import course, days

from hepatica.core.findings import NotEvaluable
from hepatica.followup.assess import VisitAssessment
from hepatica.followup.criteria.itrecist import CATEGORY, Group, derive_itrecist
from hepatica.followup.criteria.mrecist import derive_mrecist, read_mrecist_limits
from hepatica.followup.criteria.volumetric import derive_volumetric

DAYS = days(0, 42, 84, 126)


def grouped(lesions, injections, *, dates=DAYS, **keywords):
    return derive_itrecist(course(lesions, dates=dates, injections=injections, **keywords))


def code(answer, group):
    found = answer.answers[Group(group)]
    return "n/a" if isinstance(found, NotEvaluable) else str(found.overall)


def codes(answers, group):
    return [code(answer, group) for answer in answers]


def found(answer, group):
    answer = answer.answers[Group(group)]
    assert isinstance(answer, VisitAssessment)
    return answer


@pytest.mark.requirement("D-itrecist-label")
def test_the_label_does_not_claim_the_paper_before_its_tables_were_checked():
    assert CATEGORY == "itRECIST-based"


@pytest.mark.requirement("D-itrecist-not-applicable")
def test_without_injection_injected_is_not_applicable_and_non_injected_is_overall():
    answers = grouped({"T1": [50, 30, 60, 0], "NT1": ["PRESENT", "PRESENT", "PRESENT", "ABSENT"]}, {})
    for group in ("INJECTED-A", "INJECTED-B", "INJECTED-C"):
        assert codes(answers, group) == ["n/a", "n/a", "n/a"]
    assert codes(answers, "NON-INJECTED") == codes(answers, "ALL") == ["PR", "PD", "CR"]
    assert [answer.iteration for answer in answers] == [0, 0, 0]


@pytest.mark.requirement("D-itrecist-not-applicable")
def test_with_all_lesions_injected_before_baseline_it_is_the_reverse():
    lesions = {"T1": [50, 30, 60, 0], "NT1": ["PRESENT", "PRESENT", "PRESENT", "ABSENT"]}
    answers = grouped(lesions, {"T1": ["2023-12-20"], "NT1": ["2023-12-20"]})
    assert codes(answers, "NON-INJECTED") == ["n/a", "n/a", "n/a"]
    assert codes(answers, "INJECTED-A") == codes(answers, "ALL") == ["PR", "PD", "CR"]


@pytest.mark.requirement("D-itrecist-groups")
def test_injected_and_non_injected_lesions_are_judged_apart():
    # T1 is injected on day 1 and shrinks; T2 is never injected and grows; T1 + T2 barely moves.
    answers = grouped({"T1": [50, 30, 20], "T2": [50, 62, 70]}, {"T1": ["2024-01-02"]})
    assert codes(answers, "INJECTED-A") == ["PR", "PR"]
    assert codes(answers, "NON-INJECTED") == ["PD", "PD"]
    assert codes(answers, "ALL") == ["SD", "SD"]


@pytest.mark.requirement("D-itrecist-groups")
def test_a_lesion_injected_on_the_day_of_the_scan_counts_from_the_next_assessment():
    answers = grouped({"T1": [50, 30, 30], "T2": [50, 50, 50]}, {"T1": [DAYS[1]]})
    assert [answer.injected for answer in answers] == [(), ("T1",)]
    assert codes(answers, "INJECTED-A") == ["n/a", "PR"]


@pytest.mark.requirement("D-itrecist-groups")
def test_a_lesion_that_leaves_the_non_injected_leaves_their_baseline_and_nadir_too():
    # T2 is first injected after visit 2. At visit 3 the non-injected are T1 alone: baseline 40, nadir 20.
    answers = grouped({"T1": [40, 20, 27], "T2": [60, 60, 60]}, {"T2": ["2024-02-20"]})
    first, second = (found(answer, "NON-INJECTED").target for answer in answers)
    assert (first.baseline, first.now.total) == (100.0, 80.0)
    assert (second.baseline, second.nadir, second.now.total) == (40.0, 20.0, 27.0)
    assert codes(answers, "NON-INJECTED") == ["SD", "PD"]


@pytest.mark.requirement("D-itrecist-options")
def test_options_a_b_and_c_differ_in_their_reference():
    # T1: 40 at baseline, 60 at visit 2, injected on day 50, then 45 and 30.
    answers = grouped({"T1": [40, 60, 45, 30], "T2": [20, 20, 20, 20]}, {"T1": ["2024-02-20"]})
    last = answers[2]
    a, b = found(last, "INJECTED-A").target, found(last, "INJECTED-B").target
    assert (a.baseline, a.nadir) == (40.0, 40.0)
    assert (b.baseline, b.nadir) == (60.0, 45.0)
    assert codes(answers, "INJECTED-A") == ["n/a", "SD", "SD"]
    assert codes(answers, "INJECTED-B") == ["n/a", "SD", "PR"]
    # C: injected between visits 2 and 3 only; 45 against 60 is 75 %.
    assert codes(answers, "INJECTED-C") == ["n/a", "SD", "n/a"]
    assert found(answers[1], "INJECTED-C").target.baseline == 60.0


@pytest.mark.requirement("D-itrecist-groups")
def test_new_lesions_are_progression_of_the_non_injected_only():
    lesions = {"T1": [50, 30], "T2": [50, 50], "NEW1": ["-", "PRESENT"]}
    answers = grouped(lesions, {"T1": ["2024-01-02"]})
    assert [code(answers[0], group) for group in Group] == ["PD", "PD", "PR", "PR", "PR"]
    only_injected = grouped({"T1": [50, 30], "NEW1": ["-", "PRESENT"]}, {"T1": ["2024-01-02"]})
    assert code(only_injected[0], "NON-INJECTED") == "PD"


@pytest.mark.requirement("D-itrecist-groups")
def test_a_change_of_the_injected_set_opens_a_new_iteration():
    lesions = {"T1": [50, 50, 50, 50], "T2": [50, 50, 50, 50]}
    answers = grouped(lesions, {"T1": ["2024-01-02", "2024-02-20"], "T2": ["2024-03-30"]})
    assert [answer.iteration for answer in answers] == [1, 1, 2]


@pytest.mark.requirement("D-itrecist-groups")
def test_a_mass_merged_from_both_groups_counts_once_and_leaves_the_rest_not_evaluable():
    lesions = {"T1": [30, "merged"], "T2": [20, "merged"], "T3": [20, 20], "T1/T2": ["-", 45]}
    answer = grouped(lesions, {"T2": ["2024-01-02"]})[0]
    sums = {group: found(answer, group).target.now.total for group in ("ALL", "INJECTED-A", "NON-INJECTED")}
    assert sums == {"ALL": 65.0, "INJECTED-A": 45.0, "NON-INJECTED": 20.0}
    assert code(answer, "NON-INJECTED") == "NE"


@pytest.mark.requirement("D-itrecist-groups")
def test_an_injection_date_too_vague_to_lie_before_a_visit_does_not_count_yet():
    answers = grouped({"T1": [50, 30, 30], "T2": [20, 20, 20]}, {"T1": ["2024-02"]})
    assert [answer.injected for answer in answers] == [(), ("T1",)]


def mrecist(lesions, *, least=False, **keywords):
    limits = read_mrecist_limits(least_increase=least)
    return [str(answer.overall) for answer in derive_mrecist(course(lesions, **keywords), limits=limits)]


@pytest.mark.requirement("D-mrecist")
def test_mrecist_has_no_5_mm_rule_unless_asked_for():
    assert mrecist({"T1": [20, 24]}) == ["PD"]
    assert mrecist({"T1": [20, 24]}, least=True) == ["SD"]
    assert mrecist({"T1": [20, 25]}, least=True) == ["PD"]


@pytest.mark.requirement("D-mrecist")
def test_mrecist_is_cr_without_enhancement_and_pd_when_it_returns():
    assert mrecist({"T1": [40, 28, 0, 0, 2]}) == ["PR", "CR", "CR", "PD"]
    assert mrecist({"T1": [40, 0, 2], "NT1": ["PRESENT", "PRESENT", "PRESENT"]}) == ["PR", "PD"]


@pytest.mark.requirement("D-volumetric")
@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([1000, 343], "PR"),
        ([1000, 343.1], "SD"),
        ([1000, 1728], "PD"),
        ([1000, 1727.9], "SD"),
        ([1000, 0], "CR"),
        ([1000, None], "NE"),
    ],
)
def test_volume_limits_are_the_spheres_of_the_diameter_limits(volumes, expected):
    assert str(derive_volumetric(course({"T1": volumes}))[0].overall) == expected


@pytest.mark.requirement("D-volumetric")
def test_a_sphere_gives_the_same_code_by_volume_as_by_diameter():
    from math import pi

    from hepatica.followup.criteria.recist11 import derive_recist

    for size in (20.0, 27.9, 28.0, 28.1, 40.0, 47.9, 48.0, 60.0):
        by_size = derive_recist(course({"T1": [40.0, size]}))[0].overall
        by_volume = derive_volumetric(course({"T1": [pi / 6 * 40.0**3, pi / 6 * size**3]}))[0].overall
        assert by_size == by_volume, size
