"""RECIST 1.1: every cell of the tables by hand, and the tests on the sums one by one."""

from __future__ import annotations

import pytest
from response_courses import course

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.followup.criteria.recist11 import derive_recist, read_recist_limits
from hepatica.followup.overall import compose_overall
from hepatica.followup.records import Course, Reading, TrackedLesion, Visit
from hepatica.followup.words import LesionRole, NewLesion, Response

TARGETS = ("CR", "PR", "SD", "PD", "NE", "")
# Rows: non-target response. Columns: target response in the order above, "" meaning no targets.
NO_NEW_LESION = {
    "CR": ("CR", "PR", "SD", "PD", "NE", "CR"),
    "NON-CR/NON-PD": ("PR", "PR", "SD", "PD", "NE", "NON-CR/NON-PD"),
    "NE": ("PR", "PR", "SD", "PD", "NE", "NE"),
    "PD": ("PD", "PD", "PD", "PD", "PD", "PD"),
    "": ("CR", "PR", "SD", "PD", "NE", "NE"),
}
NEW_LESION = {
    "CR": ("PD", "PD", "PD", "PD", "PD", "PD"),
    "NON-CR/NON-PD": ("PD", "PD", "PD", "PD", "PD", "PD"),
    "NE": ("PD", "PD", "PD", "PD", "PD", "PD"),
    "PD": ("PD", "PD", "PD", "PD", "PD", "PD"),
    "": ("PD", "PD", "PD", "PD", "PD", "PD"),
}
NEW_LESIONS_NOT_JUDGED = {
    "CR": ("NE", "NE", "NE", "PD", "NE", "NE"),
    "NON-CR/NON-PD": ("NE", "NE", "NE", "PD", "NE", "NE"),
    "NE": ("NE", "NE", "NE", "PD", "NE", "NE"),
    "PD": ("PD", "PD", "PD", "PD", "PD", "PD"),
    "": ("NE", "NE", "NE", "PD", "NE", "NE"),
}
TABLES = {"N": NO_NEW_LESION, "EQUIVOCAL": NO_NEW_LESION, "Y": NEW_LESION, "NE": NEW_LESIONS_NOT_JUDGED}
CELLS = [
    (target, non_target, new, table[non_target][column])
    for new, table in TABLES.items()
    for non_target in table
    for column, target in enumerate(TARGETS)
]


@pytest.mark.requirement("D-recist-tables")
@pytest.mark.parametrize(("target", "non_target", "new", "expected"), CELLS)
def test_every_cell_of_tables_1_and_2_gives_the_written_overall_response(target, non_target, new, expected):
    found, rule = compose_overall(Response(target), Response(non_target), NewLesion(new))
    assert found == expected
    assert rule


def overall(lesions, **keywords):
    limits = read_recist_limits(continuing_pr=keywords.pop("continuing_pr", False))
    return [str(answer.overall) for answer in derive_recist(course(lesions, **keywords), limits=limits)]


def target(lesions, **keywords):
    limits = read_recist_limits(continuing_pr=keywords.pop("continuing_pr", False))
    return [
        str(answer.target.response) for answer in derive_recist(course(lesions, **keywords), limits=limits)
    ]


@pytest.mark.requirement("D-recist-sums")
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100, 70], ["PR"]),  # the limit itself is PR
        ([100, 70.1], ["SD"]),
        ([100, 120], ["PD"]),  # the limit itself is PD
        ([100, 119.9], ["SD"]),
        ([20, 24], ["SD"]),  # 20 % but only 4 mm
        ([20, 25], ["PD"]),
        ([20, 24.9], ["SD"]),
        ([100, 50, 59], ["PR", "PR"]),
        ([100, 50, 60], ["PR", "PD"]),  # against the nadir, still PR against the baseline: PD outranks
        ([100, 0, 5], ["CR", "PD"]),
        ([0.1 + 0.2, 0.21], ["PR"]),  # 70 % of a sum that binary fractions cannot hold
        ([55, 66.0], ["PD"]),  # 1.2 * 55 is 66.00000000000001 in binary
        ([50, 35.0], ["PR"]),
    ],
)
def test_limits_are_inclusive_and_compared_with_a_tolerance(sizes, expected):
    assert target({"T1": sizes}) == expected


@pytest.mark.requirement("D-recist-nadir")
def test_an_incomplete_sum_does_not_lower_the_nadir():
    # Visit 2 misses T2: its partial sum of 30 is no nadir, so 62 at visit 3 stays far from 1.2 x 60 = 72.
    assert target({"T1": [30, 30, 31], "T2": [30, None, 31]}) == ["NE", "SD"]


@pytest.mark.requirement("D-recist-missing")
def test_a_missing_target_is_not_evaluable_unless_the_rest_alone_is_progression():
    assert target({"T1": [30, 30], "T2": [30, None]}) == ["NE"]
    assert target({"T1": [30, 72], "T2": [30, None]}) == ["PD"]
    assert target({"T1": [30, 30], "T2": [30, "-"]}) == ["NE"]


@pytest.mark.requirement("D-recist-missing")
def test_a_missing_lesion_never_counts_as_a_shrunken_one():
    assert target({"T1": [60, None], "T2": [10, 10]}) == ["NE"]


def test_an_incomplete_baseline_gives_no_response_but_still_finds_growth_later():
    assert target({"T1": [30, 30, 37], "T2": [None, 10, 12]}) == ["NE", "PD"]


@pytest.mark.requirement("D-recist-nodes")
def test_nodes_are_normal_below_10_mm_and_the_sum_may_stay_above_0_in_cr():
    assert target({"T1": [20, 0], "T2": [16, 9.9]}, nodes=["T2"]) == ["CR"]
    assert target({"T1": [20, 0], "T2": [16, 10]}, nodes=["T2"]) == ["PR"]
    answer = derive_recist(course({"T1": [20, 0], "T2": [16, 9.9]}, nodes=["T2"]))[0]
    assert answer.target.now.total == pytest.approx(9.9)


@pytest.mark.requirement("D-recist-nodes")
def test_a_node_growing_past_normal_as_only_sign_after_cr_waits_for_the_next_scan():
    assert overall({"T1": [20, 0, 0], "T2": [16, 9, 11]}, nodes=["T2"]) == ["CR", "PR"]


@pytest.mark.requirement("D-recist-reappearing")
def test_a_lesion_that_comes_back_after_overall_cr_is_progression_whatever_its_size():
    assert overall({"T1": [30, 0, 4]}) == ["CR", "PD"]
    assert overall({"T1": [30, 0, 0], "NT1": ["PRESENT", "ABSENT", "PRESENT"]}) == ["CR", "PD"]


@pytest.mark.requirement("D-recist-reappearing")
def test_a_lesion_that_comes_back_without_overall_cr_is_judged_by_the_sum():
    assert overall({"T1": [20, 0, 3], "T2": [30, 30, 30]}) == ["PR", "PR"]


@pytest.mark.requirement("D-recist-split-merge")
def test_fragments_of_a_split_lesion_are_added():
    lesions = {"T1": [40, "-"], "T1.1": ["-", 20], "T1.2": ["-", 8]}
    answer = derive_recist(course(lesions))[0]
    assert answer.target.now.sizes == {"T1": 28.0}
    assert answer.overall is Response.PR
    lesions["T1.2"] = ["-", None]
    assert derive_recist(course(lesions))[0].overall is Response.NE


@pytest.mark.requirement("D-recist-split-merge")
def test_a_merged_mass_counts_once_and_nothing_is_missing():
    lesions = {"T1": [30, "merged"], "T2": [20, "merged"], "T1/T2": ["-", 45]}
    answer = derive_recist(course(lesions))[0]
    assert answer.target.now.total == 45.0
    assert answer.target.now.complete
    assert answer.overall is Response.SD


def test_too_small_to_measure_counts_with_the_recorded_5_mm():
    assert target({"T1": [12, 5], "T2": [12, 5]}) == ["PR"]


@pytest.mark.requirement("D-recist-continuing-pr")
def test_continuing_pr_is_a_setting_that_is_off_by_default():
    sizes = {"T1": [100, 70, 75, 80, 84]}
    assert target(sizes) == ["PR", "SD", "SD", "PD"]
    assert target(sizes, continuing_pr=True) == ["PR", "PR", "PR", "PD"]


@pytest.mark.requirement("D-recist-non-target")
@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("ABSENT", "ABSENT"), "CR"),
        (("ABSENT", "PRESENT"), "NON-CR/NON-PD"),
        (("PRESENT", "EQUIVOCAL"), "NON-CR/NON-PD"),
        (("PRESENT", "UNEQUIVOCAL"), "PD"),
        ((None, "UNEQUIVOCAL"), "PD"),
        ((None, "PRESENT"), "NE"),
        (("NE", "ABSENT"), "NE"),
        (("-", "ABSENT"), "NE"),
        ((0, 0), "CR"),
        ((0, 12), "NON-CR/NON-PD"),
    ],
)
def test_non_target_lesions_are_judged_together(states, expected):
    lesions = {"NT1": ["PRESENT", states[0]], "NT2": ["PRESENT", states[1]]}
    assert overall(lesions) == [expected]


@pytest.mark.requirement("D-recist-new")
def test_a_new_lesion_stays_until_it_is_found_absent():
    lesions = {"T1": [30, 30, 30, 30, 30], "NEW1": ["-", "PRESENT", "-", "ABSENT", "-"]}
    assert overall(lesions) == ["PD", "PD", "SD", "SD"]


@pytest.mark.requirement("D-recist-new")
def test_an_equivocal_new_lesion_is_not_progression_until_it_is_confirmed():
    lesions = {"T1": [30, 30, 30, 30], "NEW1": ["-", "EQUIVOCAL", "-", "UNEQUIVOCAL"]}
    answers = derive_recist(course(lesions))
    assert [str(answer.overall) for answer in answers] == ["SD", "SD", "PD"]
    assert answers[1].new.suspected == ("NEW1",)


@pytest.mark.requirement("D-trail")
def test_the_trail_names_rule_numbers_and_distance_to_both_limits():
    answer = derive_recist(course({"T1": [100, 80, 90]}))[1]
    found = answer.target
    assert (found.rule, found.baseline, found.nadir, found.now.total) == ("stable", 100.0, 80.0, 90.0)
    assert found.to_response == pytest.approx(20.0)
    assert found.to_progression == pytest.approx(6.0)


@pytest.mark.requirement("D-trail")
def test_the_noise_band_tells_which_codes_reader_variability_could_make():
    near, far = (derive_recist(course({"T1": [100, size]}))[0].target.noise for size in (72, 30))
    # 72 mm: 81 to 120 % (two readers) is 58.3 to 86.4 mm; 90 to 113 % (one reader) is 64.8 to 81.4 mm.
    assert near.between_readers == pytest.approx((58.32, 86.4))
    assert near.codes_between_readers == (Response.PR, Response.SD)
    assert near.codes_same_reader == (Response.PR, Response.SD)
    assert far.codes_between_readers == (Response.PR,)
    unknown = derive_recist(course({"T1": [100, None]}))[0].target
    assert isinstance(unknown.noise, NotEvaluable)
    assert isinstance(unknown.to_response, NotEvaluable)


@pytest.mark.parametrize("size", [-1.0, float("nan"), float("inf")])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(InputError):
        Reading(size=size)


@pytest.mark.requirement("D-recist-split-merge")
@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({}, "NE"),  # both merged, nobody measured the mass
        ({"T02": Reading(size=0.0)}, "NE"),  # what is gone carries nothing
        ({"T02": Reading(size=35.0)}, "SD"),  # one keeps its name and carries both
        ({"T01/T02": Reading(size=25.0)}, "PR"),
    ],
)
def test_merged_lesions_whose_mass_nobody_measured_are_never_a_complete_response(others, expected):
    merged = {"T01": Reading(merged=True), "T02": Reading(merged=True), **others}
    first = {"T01": Reading(size=20.0), "T02": Reading(size=20.0)}
    lesions = tuple(TrackedLesion(lesion_id=key, role=LesionRole.TARGET, site="LIVER") for key in first)
    case = Course(
        lesions=lesions,
        baseline=Visit(number=1, readings=first),
        follow_ups=(Visit(number=2, readings=merged),),
    )
    assert derive_recist(case)[0].overall == expected


@pytest.mark.requirement("D-recist-split-merge")
@pytest.mark.parametrize(("sizes", "expected"), [((6.0, 5.0), "NON-CR/NON-PD"), ((0.0, 0.0), "CR")])
def test_measured_fragments_of_a_non_target_are_judged_by_their_sizes(sizes, expected):
    lesion = TrackedLesion(lesion_id="NT01", role=LesionRole.NON_TARGET, site="LUNG")
    fragments = {f"NT01.{number}": Reading(size=size) for number, size in enumerate(sizes, start=1)}
    case = Course(
        lesions=(lesion,),
        baseline=Visit(number=1, readings={"NT01": Reading(size=12.0)}),
        follow_ups=(Visit(number=2, readings=fragments),),
    )
    assert derive_recist(case)[0].non_target.response == expected
