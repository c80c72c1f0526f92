"""What holds for every course of lesions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from response_courses import course, days

from hepatica.core.findings import NotEvaluable
from hepatica.followup.criteria.irecist import derive_irecist
from hepatica.followup.criteria.itrecist import Group, derive_itrecist
from hepatica.followup.criteria.recist11 import derive_recist, read_recist_limits
from hepatica.followup.dates import PartialDate
from hepatica.followup.records import Course, Visit

CHECKED = settings(deadline=None, max_examples=60, derandomize=True)
SUM_MM = 1e-6
"""Sums of at most a dozen sizes."""
sizes = st.one_of(st.none(), st.sampled_from([0.0, 3.0, 9.0, 10.0, 12.0, 20.0, 24.0, 30.0, 36.0, 60.0]))
states = st.sampled_from(["ABSENT", "PRESENT", "EQUIVOCAL", "UNEQUIVOCAL", "INCREASED", None])
news = st.sampled_from(["-", "-", "PRESENT", "ABSENT", "EQUIVOCAL", 12.0, 18.0])
day_numbers = st.integers(min_value=-20, max_value=160)


@st.composite
def courses(draw: st.DrawFn, *, injected: bool = False) -> Course:
    visits = draw(st.integers(min_value=2, max_value=5))
    gaps = draw(st.lists(st.integers(min_value=7, max_value=70), min_size=visits - 1, max_size=visits - 1))
    lesions: dict[str, list] = {}
    for number in range(draw(st.integers(min_value=1, max_value=4))):
        first = draw(st.sampled_from([15.0, 20.0, 30.0, 50.0]))
        lesions[f"T{number}"] = [first, *(draw(sizes) for _ in range(visits - 1))]
    for number in range(draw(st.integers(min_value=0, max_value=2))):
        lesions[f"NT{number}"] = ["PRESENT", *(draw(states) for _ in range(visits - 1))]
    for number in range(draw(st.integers(min_value=0, max_value=2))):
        lesions[f"NEW{number}"] = ["-", *(draw(news) for _ in range(visits - 1))]
    given_on = {key: days(*draw(st.lists(day_numbers, max_size=2))) for key in lesions} if injected else {}
    nodes = [key for key in lesions if draw(st.booleans()) and key.startswith("T")][:1]
    offsets = [0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    return course(lesions, dates=days(*offsets), injections=given_on, nodes=nodes)


def recist_codes(one: Course) -> list[tuple[str, str, str]]:
    return [(str(a.target.response), str(a.non_target.response), str(a.overall)) for a in derive_recist(one)]


def immune_codes(one: Course) -> list[tuple[str, str]]:
    return [(str(a.answer.response), a.answer.rule) for a in derive_irecist(one)]


def group_codes(one: Course) -> list[list[str]]:
    return [
        ["n/a" if isinstance(x, NotEvaluable) else str(x.overall) for x in a.answers.values()]
        for a in derive_itrecist(one)
    ]


@CHECKED
@given(courses(injected=True), st.randoms(use_true_random=False))
def test_the_order_of_lesions_and_readings_changes_nothing(one, random):
    lesions = list(one.lesions)
    random.shuffle(lesions)

    def shuffled(visit: Visit) -> Visit:
        rows = list(visit.readings.items())
        random.shuffle(rows)
        return replace(visit, readings=dict(rows))

    other = Course(
        lesions=tuple(lesions),
        baseline=shuffled(one.baseline),
        follow_ups=tuple(shuffled(visit) for visit in one.follow_ups),
    )
    assert recist_codes(one) == recist_codes(other)
    assert immune_codes(one) == immune_codes(other)
    assert group_codes(one) == group_codes(other)


@CHECKED
@given(courses(injected=True))
def test_a_later_visit_never_changes_an_earlier_code(one):
    whole = recist_codes(one), immune_codes(one), group_codes(one)
    for count in range(1, len(one.follow_ups) + 1):
        part = replace(one, follow_ups=one.follow_ups[:count])
        assert [codes[:count] for codes in whole] == [
            recist_codes(part),
            immune_codes(part),
            group_codes(part),
        ]


@CHECKED
@given(courses(injected=True), courses(injected=True))
def test_injecting_other_lesions_never_changes_the_overall_response(one, other):
    injections = [lesion.injections for lesion in other.lesions]
    changed = replace(
        one,
        lesions=tuple(
            replace(lesion, injections=injections[number % len(injections)])
            for number, lesion in enumerate(one.lesions)
        ),
    )
    assert [codes[0] for codes in group_codes(one)] == [codes[0] for codes in group_codes(changed)]


def total(answer: object) -> float:
    return 0.0 if isinstance(answer, NotEvaluable) else answer.target.now.total  # type: ignore[attr-defined]


@CHECKED
@given(courses(injected=True))
def test_the_sums_of_injected_and_non_injected_targets_add_up_to_the_combined_sum(one):
    for answer in derive_itrecist(one):
        parts = total(answer.answers[Group.INJECTED_A]) + total(answer.answers[Group.NON_INJECTED])
        assert abs(parts - total(answer.answers[Group.ALL])) <= SUM_MM


@CHECKED
@given(courses())
def test_without_injection_only_the_non_injected_response_applies_and_equals_the_overall_one(one):
    for codes in group_codes(one):
        assert codes[1] == codes[0]
        assert codes[2:] == ["n/a", "n/a", "n/a"]


@CHECKED
@given(courses())
def test_with_every_lesion_injected_before_baseline_only_the_injected_response_applies(one):
    before = (PartialDate.from_text("2023-12-01"),)
    treated = replace(
        one,
        lesions=tuple(replace(x, injections=before) for x in one.lesions if not x.role.is_new),
    )
    for codes in group_codes(treated):
        assert codes[1] == "n/a"
        assert codes[2] == codes[0]


@CHECKED
@given(courses(), st.floats(min_value=0.5, max_value=4.0))
def test_a_larger_target_is_never_a_better_response(one, factor):
    order = ("CR", "PR", "SD", "PD")
    last = one.follow_ups[-1]
    grown = {
        key: replace(r, size=r.size * (1 + factor))
        if isinstance(r.size, float) and key.startswith("T")
        else r
        for key, r in last.readings.items()
    }
    other = replace(one, follow_ups=(*one.follow_ups[:-1], replace(last, readings=grown)))
    before, after = (str(derive_recist(x)[-1].target.response) for x in (one, other))
    if "NE" not in (before, after):
        assert order.index(after) >= order.index(before)


@CHECKED
@given(courses())
def test_continuing_pr_only_turns_stable_into_partial(one):
    plain = derive_recist(one)
    kept = derive_recist(one, limits=read_recist_limits(continuing_pr=True))
    for a, b in zip(plain, kept):
        if a.target.response != b.target.response:
            assert (str(a.target.response), str(b.target.response)) == ("SD", "PR")


@CHECKED
@given(courses())
def test_irecist_never_confirms_without_an_open_iupd(one):
    codes = [code for code, _ in immune_codes(one)]
    for number, code in enumerate(codes):
        if code == "iCPD":
            assert "iUPD" in codes[:number]
