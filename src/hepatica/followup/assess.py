"""One course from baseline to the last visit, visit by visit: what every sum-based criterion shares."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hepatica.followup.overall import (
    KnownNew,
    NewLesionAssessment,
    NonTargetAssessment,
    assess_new_lesions,
    assess_non_targets,
    compose_overall,
)
from hepatica.followup.records import Course, Visit
from hepatica.followup.sums import measure_sum
from hepatica.followup.target import TargetAssessment, TargetHistory, TargetLimits, assess_targets
from hepatica.followup.words import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitAssessment:
    """The answer for one visit, with everything that led to it.

    Parameters
    ----------
    visit
        The visit.
    target, non_target, new
        Components.
    overall, rule
        Overall code and the row of the table that gave it.
    """

    visit: Visit
    target: TargetAssessment
    non_target: NonTargetAssessment
    new: NewLesionAssessment
    overall: Response
    rule: str


def assess_course(
    course: Course, *, limits: TargetLimits, counted: Collection[str] = (), start: TargetHistory | None = None
) -> tuple[VisitAssessment, ...]:
    """Judge every visit after the baseline from what was known by then; no later visit changes an earlier
    code.

    Parameters
    ----------
    course
        The records of one subject and evaluator.
    limits
        Numbers and settings of the criterion.
    counted
        Ids of lesions outside the course that take a merged mass first; see `hepatica.followup.sums`.
    start
        References to begin with; the baseline sum where none is given.
    """
    targets, non_targets = course.targets, course.non_targets
    new = {lesion.lesion_id: lesion for lesion in course.new}
    node_normal = limits.node_normal
    baseline = measure_sum(targets, course.baseline, node_normal=node_normal, counted=counted)
    history = start or TargetHistory.start(baseline)
    known = KnownNew()
    answers = []
    for visit in course.follow_ups:
        now = measure_sum(targets, visit, node_normal=node_normal, counted=counted)
        target = assess_targets(now, targets=targets, history=history, limits=limits)
        others = assess_non_targets(non_targets, visit, node_normal=node_normal, cleared=history.cleared)
        found, known = assess_new_lesions(new, visit, known=known, node_normal=node_normal)
        overall, rule = compose_overall(target.response, others.response, found.answer)
        answers.append(
            VisitAssessment(
                visit=visit, target=target, non_target=others, new=found, overall=overall, rule=rule
            )
        )
        history = history.then(now, target=target.response, overall_cr=overall is Response.CR)
    return tuple(answers)
