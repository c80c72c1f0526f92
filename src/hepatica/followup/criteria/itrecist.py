"""Response of injected and of never-injected lesions, built on the published outline of itRECIST.

Goldmacher 2020, J Clin Oncol 38:2667. Only the abstract and the legend of figure 1 could be read; the
response tables of the paper could not. What follows is therefore this project's reading, labelled
**itRECIST-based**, with three reference options for injected lesions side by side, until someone has
compared it with the paper.

* ``ALL``: RECIST 1.1 on all lesions, up to 5 injected and 5 non-injected targets. Which lesions were
injected plays
  no part in it.
* ``NON-INJECTED``: RECIST 1.1 on the lesions never injected before the visit; baseline and nadir are those
of the
  same lesions, so a lesion that is injected leaves all earlier sums too. New lesions that were not injected
  count.
* ``INJECTED-A``: lesions injected before the visit against their original baseline. New lesions do not count.
* ``INJECTED-B``: the same against the last measurement of each lesion before its own first injection.
* ``INJECTED-C``: lesions injected since the visit before, against that visit.

A lesion injected on the day of a scan counts as injected from the next visit on. Once injected, always
injected.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.assess import VisitAssessment, assess_course
from hepatica.followup.criteria.recist11 import read_recist_limits
from hepatica.followup.records import Course, Reading, TrackedLesion, Visit
from hepatica.followup.sums import measure_lesion, measure_sum
from hepatica.followup.target import TargetHistory, TargetLimits

NAME: Final = "itrecist"
CATEGORY: Final = "itRECIST-based"
"""Value of RSCAT. CDISC has itRECIST GOLDMACHER 2020 (C179781), not claimed until the tables are checked."""
NO_LESION: Final = NotEvaluable(reason="not applicable: no such lesion")


class Group(StrEnum):
    """Which lesions a response is about; the values stand in RSGRPID."""

    ALL = "ALL"
    NON_INJECTED = "NON-INJECTED"
    INJECTED_A = "INJECTED-A"
    INJECTED_B = "INJECTED-B"
    INJECTED_C = "INJECTED-C"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedAssessment:
    """The answers for one visit.

    Parameters
    ----------
    visit
        The visit.
    injected
        Ids of lesions injected before it.
    iteration
        Counts up each time the injected set has changed since the visit before; 0 until the first injection.
    answers
        By group; not applicable where the group has no lesion.
    """

    visit: Visit
    injected: tuple[str, ...]
    iteration: int
    answers: dict[Group, VisitAssessment | NotEvaluable]


def derive_itrecist(course: Course, *, limits: TargetLimits | None = None) -> tuple[GroupedAssessment, ...]:
    """Derive the responses of all groups for every visit after the baseline.

    Parameters
    ----------
    course
        One subject as one evaluator saw it; sizes in mm; lesions with their injections.
    limits
        RECIST limits and settings.
    """
    limits = limits or read_recist_limits()
    overall = assess_course(course, limits=limits)
    answers = []
    before: frozenset[str] = frozenset()
    iteration = 0
    for index, visit in enumerate(course.follow_ups):
        injected = find_injected(course.lesions, visit)
        iteration += injected != before
        before = injected
        past = replace(course, follow_ups=course.follow_ups[: index + 1])
        groups: dict[Group, VisitAssessment | NotEvaluable] = {
            Group.ALL: overall[index],
            Group.NON_INJECTED: _assess_non_injected(past, injected, limits=limits),
            Group.INJECTED_A: _assess_against_baseline(past, injected, limits=limits),
            Group.INJECTED_B: _assess_against_own_reference(past, injected, limits=limits),
            Group.INJECTED_C: _assess_against_last_visit(past, limits=limits),
        }
        answers.append(
            GroupedAssessment(
                visit=visit, injected=tuple(sorted(injected)), iteration=iteration, answers=groups
            )
        )
    return tuple(answers)


def find_injected(lesions: Sequence[TrackedLesion], visit: Visit) -> frozenset[str]:
    """Return the ids of lesions that were surely injected before the day of a visit."""
    return frozenset(lesion.lesion_id for lesion in lesions if lesion.injected_before(visit.date))


def _restrict(course: Course, ids: Collection[str], *, with_new: bool) -> Course:
    kept = tuple(
        lesion
        for lesion in course.lesions
        if lesion.lesion_id in ids and (with_new or not lesion.role.is_new)
    )
    return replace(course, lesions=kept)


def _has_disease(course: Course) -> bool:
    return bool(course.targets or course.non_targets)


def _assess_non_injected(
    past: Course, injected: Collection[str], *, limits: TargetLimits
) -> VisitAssessment | NotEvaluable:
    left = {lesion.lesion_id for lesion in past.lesions} - set(injected)
    course = _restrict(past, left, with_new=True)
    answer = assess_course(course, limits=limits, counted=injected)[-1]
    # Without any such lesion at baseline a new one that was not injected is progression all the same.
    return answer if _has_disease(course) or answer.new.present else NO_LESION


def _assess_against_baseline(
    past: Course, injected: Collection[str], *, limits: TargetLimits
) -> VisitAssessment | NotEvaluable:
    course = _restrict(past, injected, with_new=False)
    if not _has_disease(course):
        return NO_LESION
    return assess_course(course, limits=limits)[-1]


def _assess_against_own_reference(
    past: Course, injected: Collection[str], *, limits: TargetLimits
) -> VisitAssessment | NotEvaluable:
    """Judge injected lesions against the last measurement of each before its first injection.

    The nadir starts at the sum of these references and goes on over the visits with the same injected
    lesions.
    """
    course = _restrict(past, injected, with_new=False)
    if not _has_disease(course):
        return NO_LESION
    visits = (past.baseline, *past.follow_ups)
    references = {
        lesion.lesion_id: Reading(size=_find_reference(lesion, visits)) for lesion in course.targets
    }
    same = tuple(v for v in past.follow_ups if find_injected(past.lesions, v) == frozenset(injected))
    start = Visit(number=course.baseline.number, readings={**course.baseline.readings, **references})
    history = TargetHistory.start(measure_sum(course.targets, start, node_normal=limits.node_normal))
    return assess_course(replace(course, follow_ups=same), limits=limits, start=history)[-1]


def _find_reference(lesion: TrackedLesion, visits: Sequence[Visit]) -> float | NotEvaluable:
    found: float | NotEvaluable = NotEvaluable(reason="no measurement before the first injection")
    for visit in visits:
        if lesion.injected_before(visit.date):
            break
        size = measure_lesion(lesion, visit)
        if isinstance(size, float):
            found = size
    return found


def _assess_against_last_visit(past: Course, *, limits: TargetLimits) -> VisitAssessment | NotEvaluable:
    """Judge the lesions injected since the visit before by their change since then."""
    visits = (past.baseline, *past.follow_ups)
    last, now = visits[-2], visits[-1]
    lately = {
        lesion.lesion_id
        for lesion in past.lesions
        if any(i.surely_not_before(last.date) and i.surely_before(now.date) for i in lesion.injections)
    }
    course = _restrict(replace(past, baseline=last, follow_ups=(now,)), lately, with_new=False)
    if not _has_disease(course):
        return NO_LESION
    return assess_course(course, limits=limits)[-1]
