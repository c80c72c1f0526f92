"""iRECIST: every cell of the table by hand, window, reset and scenarios."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from response_courses import course, days

from hepatica.followup.criteria.irecist import derive_irecist
from hepatica.followup.immune_state import ImmuneFacts, advance, is_set_aside, read_immune_limits
from hepatica.followup.words import Growth, ImmuneResponse, NewLesion

NON = "NON-iCR/NON-iUPD"
START_DAY = date(2024, 1, 1)


def facts(target, non_target, new="N", **more):
    day = more.pop("day", None)
    return ImmuneFacts(
        day=None if day is None else START_DAY + timedelta(days=day),
        target=ImmuneResponse(target),
        non_target=ImmuneResponse(non_target),
        new=NewLesion(new),
        **more,
    )


def run(*visits, limits=None):
    from hepatica.followup.immune_state import START

    state, answers = START, []
    for visit in visits:
        answer, state = advance(visit, state, limits=limits)
        answers.append(answer)
    return answers


def codes(*visits, limits=None):
    return [str(answer.response) for answer in run(*visits, limits=limits)]


TARGETS = ("iCR", "iPR", "iSD", "iUPD", "NE", "")
WITHOUT_OPEN_NO_NEW = {
    "iCR": ("iCR", "iPR", "iSD", "iUPD", "NE", "iCR"),
    NON: ("iPR", "iPR", "iSD", "iUPD", "NE", NON),
    "NE": ("iPR", "iPR", "iSD", "iUPD", "NE", "NE"),
    "iUPD": ("iUPD", "iUPD", "iUPD", "iUPD", "iUPD", "iUPD"),
    "": ("iCR", "iPR", "iSD", "iUPD", "NE", "NE"),
}
FIRST = [(t, n, row[i]) for n, row in WITHOUT_OPEN_NO_NEW.items() for i, t in enumerate(TARGETS)]


@pytest.mark.requirement("D-irecist-table")
@pytest.mark.parametrize(("target", "non_target", "expected"), FIRST)
def test_without_an_open_iupd_every_cell_gives_the_written_code(target, non_target, expected):
    assert codes(facts(target, non_target)) == [expected]
    assert codes(facts(target, non_target, "EQUIVOCAL")) == [expected]
    assert codes(facts(target, non_target, "Y")) == ["iUPD"]


OPEN_BY_TARGET = facts("iUPD", NON, target_sum_mm=60.0, new_lesion_count=0)
OPEN_BY_NON_TARGET = facts("iSD", "iUPD", target_sum_mm=50.0, new_lesion_count=0)
OPEN_BY_NEW = facts("iSD", NON, "Y", target_sum_mm=50.0, new_target_sum_mm=12.0, new_lesion_count=1)
OPEN_BY_TARGET_AND_NON_TARGET = facts("iUPD", "iUPD", target_sum_mm=60.0, new_lesion_count=0)
OPEN_BY_ALL = facts("iUPD", "iUPD", "Y", target_sum_mm=60.0, new_target_sum_mm=12.0, new_lesion_count=1)
SAME = {"target_sum_mm": 60.0, "new_lesion_count": 0}
SAME_NEW = {"target_sum_mm": 60.0, "new_target_sum_mm": 12.0, "new_lesion_count": 1}
GROWN = Growth.ANY
SECOND = [
    # Rows of the table with an open iUPD and nothing progressing now.
    ("icr", OPEN_BY_TARGET, facts("iCR", "iCR"), "iCR"),
    ("icr, non-targets left", OPEN_BY_TARGET, facts("iCR", NON), "iPR"),
    ("ipr", OPEN_BY_TARGET, facts("iPR", NON), "iPR"),
    ("isd", OPEN_BY_TARGET, facts("iSD", NON), "iSD"),
    # Target not iUPD, non-target iUPD, no new lesion.
    ("nt unchanged, isd", OPEN_BY_NON_TARGET, facts("iSD", "iUPD", **SAME), "iUPD"),
    ("nt unchanged, ipr", OPEN_BY_NON_TARGET, facts("iPR", "iUPD", **SAME), "iUPD"),
    ("nt unchanged, icr", OPEN_BY_NON_TARGET, facts("iCR", "iUPD", **SAME), "iUPD"),
    ("nt grew, isd", OPEN_BY_NON_TARGET, facts("iSD", "iUPD", non_target_growth=GROWN), "iCPD"),
    ("nt grew, ipr", OPEN_BY_NON_TARGET, facts("iPR", "iUPD", non_target_growth=GROWN), "iCPD"),
    ("nt grew, icr", OPEN_BY_NON_TARGET, facts("iCR", "iUPD", non_target_growth=GROWN), "iCPD"),
    # Target iUPD, non-target not, no new lesion.
    ("target unchanged", OPEN_BY_TARGET, facts("iUPD", NON, **SAME), "iUPD"),
    ("target +4.9", OPEN_BY_TARGET, facts("iUPD", NON, target_sum_mm=64.9), "iUPD"),
    ("target +5", OPEN_BY_TARGET, facts("iUPD", NON, target_sum_mm=65.0), "iCPD"),
    ("target less", OPEN_BY_TARGET, facts("iUPD", "iCR", target_sum_mm=58.0), "iUPD"),
    # Both iUPD, no new lesion: either confirms.
    ("both unchanged", OPEN_BY_TARGET_AND_NON_TARGET, facts("iUPD", "iUPD", **SAME), "iUPD"),
    ("both, target +5", OPEN_BY_TARGET_AND_NON_TARGET, facts("iUPD", "iUPD", target_sum_mm=65.0), "iCPD"),
    (
        "both, nt grew",
        OPEN_BY_TARGET_AND_NON_TARGET,
        facts("iUPD", "iUPD", non_target_growth=GROWN, **SAME),
        "iCPD",
    ),
    # All three: any confirms.
    ("all unchanged", OPEN_BY_ALL, facts("iUPD", "iUPD", "Y", **SAME_NEW), "iUPD"),
    (
        "all, target +5",
        OPEN_BY_ALL,
        facts("iUPD", "iUPD", "Y", **{**SAME_NEW, "target_sum_mm": 65.0}),
        "iCPD",
    ),
    ("all, nt grew", OPEN_BY_ALL, facts("iUPD", "iUPD", "Y", non_target_growth=GROWN, **SAME_NEW), "iCPD"),
    (
        "all, new +5",
        OPEN_BY_ALL,
        facts("iUPD", "iUPD", "Y", **{**SAME_NEW, "new_target_sum_mm": 17.0}),
        "iCPD",
    ),
    ("all, one more", OPEN_BY_ALL, facts("iUPD", "iUPD", "Y", **{**SAME_NEW, "new_lesion_count": 2}), "iCPD"),
    (
        "all, new nt grew",
        OPEN_BY_ALL,
        facts("iUPD", "iUPD", "Y", new_non_target_growth=GROWN, **SAME_NEW),
        "iCPD",
    ),
    # New lesions only.
    ("new unchanged", OPEN_BY_NEW, facts("iSD", NON, "Y", **SAME_NEW), "iUPD"),
    ("new +4.9", OPEN_BY_NEW, facts("iSD", NON, "Y", new_target_sum_mm=16.9, new_lesion_count=1), "iUPD"),
    ("new +5", OPEN_BY_NEW, facts("iSD", NON, "Y", new_target_sum_mm=17.0, new_lesion_count=1), "iCPD"),
    (
        "new, one more",
        OPEN_BY_NEW,
        facts("iSD", NON, "Y", new_target_sum_mm=12.0, new_lesion_count=2),
        "iCPD",
    ),
    ("new, unmeasured grew", OPEN_BY_NEW, facts("iSD", NON, "Y", new_non_target_growth=GROWN), "iCPD"),
    ("new gone", OPEN_BY_NEW, facts("iSD", NON, "N"), "iSD"),
    ("new left, target better", OPEN_BY_NEW, facts("iPR", NON, "Y", **SAME_NEW), "iPR"),
    # A category that had not progressed does so now.
    ("target, then non-target", OPEN_BY_TARGET, facts("iUPD", "iUPD", **SAME), "iCPD"),
    (
        "target, then new",
        OPEN_BY_TARGET,
        facts("iUPD", NON, "Y", target_sum_mm=60.0, new_lesion_count=1),
        "iCPD",
    ),
    ("non-target, then target", OPEN_BY_NON_TARGET, facts("iUPD", "iUPD", target_sum_mm=70.0), "iCPD"),
    ("new, then target", OPEN_BY_NEW, facts("iUPD", NON, "Y", **SAME_NEW), "iCPD"),
    # Not evaluable neither confirms nor resets.
    ("ne", OPEN_BY_TARGET, facts("NE", NON), "NE"),
    ("ne, non-targets unknown", OPEN_BY_NON_TARGET, facts("iSD", "NE"), "NE"),
]


@pytest.mark.requirement("D-irecist-table")
@pytest.mark.parametrize(
    ("opening", "second", "expected"), [row[1:] for row in SECOND], ids=[row[0] for row in SECOND]
)
def test_with_an_open_iupd_every_row_gives_the_written_code(opening, second, expected):
    assert codes(opening, second) == ["iUPD", expected]


@pytest.mark.requirement("D-irecist-reset")
def test_small_increments_add_up_to_a_confirmation():
    visits = [facts("iUPD", NON, target_sum_mm=size) for size in (60.0, 64.0, 66.0)]
    assert codes(*visits) == ["iUPD", "iUPD", "iCPD"]


@pytest.mark.requirement("D-irecist-reset")
def test_after_a_reset_a_later_progression_is_unconfirmed_again():
    seen = (("iUPD", 60.0), ("iPR", 30.0), ("iUPD", 66.0), ("iUPD", 71.0))
    visits = [facts(code, NON, target_sum_mm=size) for code, size in seen]
    assert codes(*visits) == ["iUPD", "iPR", "iUPD", "iCPD"]


@pytest.mark.requirement("D-irecist-reset")
def test_scenario_f_a_new_lesion_after_pr_with_nothing_changing_stays_unconfirmed():
    pr = facts("iPR", NON, target_sum_mm=30.0, new_lesion_count=0)
    new = facts("iPR", NON, "Y", target_sum_mm=30.0, new_target_sum_mm=12.0, new_lesion_count=1)
    assert codes(pr, new, new, new) == ["iPR", "iUPD", "iUPD", "iUPD"]


@pytest.mark.requirement("D-irecist-reset")
def test_scenario_b_a_new_lesion_with_targets_shrinking_afterwards_is_a_response():
    stable = facts("iSD", NON, "Y", target_sum_mm=50.0, new_target_sum_mm=12.0, new_lesion_count=1)
    shrunk = facts("iPR", NON, "Y", target_sum_mm=30.0, new_target_sum_mm=12.0, new_lesion_count=1)
    cleared = facts("iCR", "iCR", "Y", target_sum_mm=0.0, new_target_sum_mm=12.0, new_lesion_count=1)
    assert codes(stable, shrunk, cleared) == ["iUPD", "iPR", "iPR"]


@pytest.mark.requirement("D-irecist-reset")
@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({"new_target_sum_mm": 17.9, "new_lesion_count": 1}, "iPR"),  # 4.9 mm
        (
            {"new_target_sum_mm": 18.0, "new_lesion_count": 1},
            "iUPD",
        ),  # 5 mm, and more than 20 %
        ({"new_target_sum_mm": 12.0, "new_lesion_count": 2}, "iUPD"),
        ({"new_non_target_growth": Growth.UNEQUIVOCAL, "new_lesion_count": 1}, "iUPD"),
        ({"new_non_target_growth": Growth.ANY, "new_lesion_count": 1}, "iPR"),
    ],
)
def test_after_a_reset_old_new_lesions_need_full_progression(later, expected):
    opening = facts("iSD", NON, "Y", target_sum_mm=50.0, new_target_sum_mm=13.0, new_lesion_count=1)
    reset = facts("iPR", NON, "Y", target_sum_mm=30.0, new_target_sum_mm=13.0, new_lesion_count=1)
    assert codes(opening, reset, facts("iPR", NON, "Y", target_sum_mm=30.0, **later)) == [
        "iUPD",
        "iPR",
        expected,
    ]


def first_and_second(gap, **more):
    return [
        facts("iUPD", NON, day=0, target_sum_mm=60.0),
        facts("iUPD", NON, day=gap, target_sum_mm=70.0, **more),
    ]


@pytest.mark.requirement("D-irecist-window")
@pytest.mark.parametrize(
    ("gap", "tolerant", "code", "late"),
    [
        (25, True, "iUPD", False),
        (26, False, "iUPD", False),
        (26, True, "iCPD", False),
        (27, False, "iUPD", False),
        (28, False, "iCPD", False),
        (56, False, "iCPD", False),
        (57, False, "iCPD", True),
        (200, False, "iCPD", True),
    ],
)
def test_the_confirmation_window_opens_at_28_days_and_flags_beyond_56(gap, tolerant, code, late):
    answer = run(*first_and_second(gap), limits=read_immune_limits(early_tolerance=tolerant))[1]
    assert (str(answer.response), answer.late_confirmation) == (code, late)
    assert answer.set_aside == (code == "iUPD")


@pytest.mark.requirement("D-irecist-window")
def test_an_early_symptom_driven_scan_counts_only_with_a_further_new_lesion():
    opening = facts("iSD", NON, "Y", day=0, new_lesion_count=1)
    more = facts("iSD", NON, "Y", day=10, new_lesion_count=2, symptom_driven=True)
    same = facts("iUPD", NON, "Y", day=10, new_lesion_count=1, target_sum_mm=90.0, symptom_driven=True)
    assert codes(opening, more) == ["iUPD", "iCPD"]
    assert codes(opening, same) == ["iUPD", "iUPD"]


@pytest.mark.requirement("D-irecist-window")
def test_what_a_scan_set_aside_first_showed_counts_at_the_next_valid_scan():
    visits = [
        facts("iUPD", NON, day=0, target_sum_mm=60.0, new_lesion_count=0),
        facts("iUPD", NON, "Y", day=14, target_sum_mm=60.0, new_lesion_count=1),
        facts("iUPD", NON, "Y", day=30, target_sum_mm=60.0, new_lesion_count=1),
    ]
    assert codes(*visits) == ["iUPD", "iUPD", "iCPD"]


def test_without_whole_dates_no_scan_is_set_aside():
    opening, second = facts("iUPD", NON, target_sum_mm=60.0), facts("iUPD", NON, target_sum_mm=66.0)
    _, state = advance(opening)
    assert not is_set_aside(second, state, read_immune_limits())


@pytest.mark.requirement("D-irecist-records")
def test_new_lesions_have_a_sum_of_their_own_and_never_enter_the_target_sum():
    lesions = {
        "T1": [50, 50, 50],
        "NEW1": ["-", 12, 17.1],
        "NEW2": ["-", 11, 11],
        "NEW3": ["-", 10, 10],
        "NEW4": ["-", 6, 6],
    }
    answers = derive_irecist(course(lesions, dates=days(0, 42, 84)))
    assert [str(a.answer.response) for a in answers] == ["iUPD", "iCPD"]
    assert answers[0].new_targets == ("NEW1", "NEW2")
    assert answers[0].facts.new_target_sum_mm == pytest.approx(23.0)
    assert answers[1].target.now.total == 50.0


@pytest.mark.requirement("D-irecist-records")
def test_a_scan_set_aside_enters_no_nadir():
    # Day 56 is 14 days after the iUPD: its small sum of 40 must not become the nadir of day 84.
    answers = derive_irecist(course({"T1": [50, 62, 40, 49]}, dates=days(0, 42, 56, 84)))
    assert [str(a.answer.response) for a in answers] == ["iUPD", "iUPD", "iSD"]
    assert answers[2].target.nadir == 50.0


@pytest.mark.requirement("D-irecist-records")
def test_recist_runs_beside_it_unchanged():
    answers = derive_irecist(course({"T1": [50, 62, 30]}, dates=days(0, 42, 84)))
    assert [str(a.recist) for a in answers] == ["PD", "PR"]
    assert [str(a.answer.response) for a in answers] == ["iUPD", "iPR"]


@pytest.mark.requirement("D-irecist-records")
@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["PRESENT", "UNEQUIVOCAL", "UNEQUIVOCAL"], ["iUPD", "iUPD"]),
        (["PRESENT", "UNEQUIVOCAL", "INCREASED"], ["iUPD", "iCPD"]),
        (["PRESENT", "UNEQUIVOCAL", "PRESENT"], ["iUPD", "iSD"]),
    ],
)
def test_non_target_progression_is_confirmed_by_any_further_growth(states, expected):
    answers = derive_irecist(course({"T1": [50, 50, 50], "NT1": states}, dates=days(0, 42, 84)))
    assert [str(a.answer.response) for a in answers] == expected


@pytest.mark.requirement("D-irecist-records")
def test_anything_that_comes_back_after_overall_icr_is_unconfirmed_progression():
    answers = derive_irecist(course({"T1": [50, 0, 3]}, dates=days(0, 42, 84)))
    assert [str(a.answer.response) for a in answers] == ["iCR", "iUPD"]


def test_a_partial_sum_is_no_reference_for_a_later_confirmation():
    # The iUPD rests on T1 alone (72 >= 1.2 x 60); T2 coming back with its old 30 mm is no growth.
    answers = derive_irecist(course({"T1": [30, 72, 72], "T2": [30, None, 30]}, dates=days(0, 42, 84)))
    assert [str(a.answer.response) for a in answers] == ["iUPD", "iUPD"]
