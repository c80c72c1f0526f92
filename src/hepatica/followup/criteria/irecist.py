"""iRECIST from records: RECIST 1.1 components, new-lesion targets with their own sum, and the state machine.

Seymour 2017, Lancet Oncol 18:e143 (PMC5648544). RECIST 1.1 runs beside it, unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hepatica.core.evidence import read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.followup.assess import assess_course
from hepatica.followup.criteria.recist11 import read_recist_limits
from hepatica.followup.immune_state import (
    START,
    Cause,
    ImmuneAnswer,
    ImmuneFacts,
    ImmuneLimits,
    ImmuneState,
    advance,
    read_immune_limits,
)
from hepatica.followup.limits import SUM_TOLERANCE
from hepatica.followup.overall import (
    KnownNew,
    NewLesionAssessment,
    NonTargetAssessment,
    assess_new_lesions,
    assess_non_targets,
    find_state,
)
from hepatica.followup.records import Course, TrackedLesion, Visit
from hepatica.followup.selection import Room, choose_targets
from hepatica.followup.sums import measure_lesion, measure_sum
from hepatica.followup.target import TABLES, TargetAssessment, TargetHistory, TargetLimits, assess_targets
from hepatica.followup.words import TO_IMMUNE, Growth, ImmuneResponse, LesionRole, LesionState, Response

NAME: Final = "irecist"
CATEGORY: Final = "iRECIST"
"""Value of RSCAT; CDISC list ONCRSCAT, C136711."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmuneVisitAssessment:
    """The iRECIST answer for one visit, with everything that led to it.

    Parameters
    ----------
    visit
        The visit.
    target, non_target, new
        Components by RECIST 1.1 measures; the target is judged against the nadir of valid scans.
    facts
        What the state machine saw: components with the prefix i, sums and growth.
    answer
        Code, rule, causes, late flag, set aside or not.
    new_targets
        Ids of new lesions with a sum of their own.
    recist
        RECIST 1.1 overall response of the same visit.
    """

    visit: Visit
    target: TargetAssessment
    non_target: NonTargetAssessment
    new: NewLesionAssessment
    facts: ImmuneFacts
    answer: ImmuneAnswer
    new_targets: tuple[str, ...]
    recist: Response


@dataclass(slots=True)
class _Memory:
    """What the walk along the visits carries."""

    history: TargetHistory
    state: ImmuneState = START
    known: KnownNew = field(default_factory=KnownNew)
    new_targets: tuple[TrackedLesion, ...] = ()
    seen_new: frozenset[str] = frozenset()
    before: Visit | None = None
    opening: Visit | None = None


def derive_irecist(
    course: Course, *, limits: TargetLimits | None = None, immune: ImmuneLimits | None = None
) -> tuple[ImmuneVisitAssessment, ...]:
    """Derive iRECIST for every visit after the baseline.

    Parameters
    ----------
    course
        One subject as one evaluator saw it; sizes in mm.
    limits
        RECIST limits and settings.
    immune
        iRECIST limits and settings.
    """
    limits = limits or read_recist_limits()
    immune = immune or read_immune_limits()
    parallel = assess_course(course, limits=limits)
    start = measure_sum(course.targets, course.baseline, node_normal=limits.node_normal)
    memory = _Memory(history=TargetHistory.start(start))
    return tuple(
        _assess_visit(course, visit, memory, limits=limits, immune=immune, recist=beside.overall)
        for visit, beside in zip(course.follow_ups, parallel)
    )


def _assess_visit(
    course: Course,
    visit: Visit,
    memory: _Memory,
    *,
    limits: TargetLimits,
    immune: ImmuneLimits,
    recist: Response,
) -> ImmuneVisitAssessment:
    normal = limits.node_normal
    now = measure_sum(course.targets, visit, node_normal=normal)
    target = assess_targets(now, targets=course.targets, history=memory.history, limits=limits)
    others = assess_non_targets(course.non_targets, visit, node_normal=normal, cleared=memory.history.cleared)
    new_by_id = {lesion.lesion_id: lesion for lesion in course.new}
    found, memory.known = assess_new_lesions(new_by_id, visit, known=memory.known, node_normal=normal)
    first_seen = [new_by_id[key] for key in found.present if key not in memory.seen_new]
    memory.seen_new |= frozenset(found.present)
    memory.new_targets += _choose_new_targets(first_seen, visit, already=memory.new_targets)
    facts = _gather_facts(course, visit, memory, target=target, others=others, found=found)
    answer, state = advance(facts, memory.state, limits=immune)
    if not answer.set_aside:
        overall_cr = answer.response is ImmuneResponse.ICR
        memory.history = memory.history.then(now, target=target.response, overall_cr=overall_cr)
        if state.open and not memory.state.open:
            memory.opening = visit
        memory.before = visit
    memory.state = state
    return ImmuneVisitAssessment(
        visit=visit,
        target=target,
        non_target=others,
        new=found,
        facts=facts,
        answer=answer,
        new_targets=tuple(lesion.lesion_id for lesion in memory.new_targets),
        recist=recist,
    )


def _choose_new_targets(
    lesions: list[TrackedLesion], visit: Visit, *, already: tuple[TrackedLesion, ...]
) -> tuple[TrackedLesion, ...]:
    named = tuple(lesion for lesion in lesions if lesion.role is LesionRole.NEW_TARGET)
    open_ones = [lesion for lesion in lesions if lesion.role is LesionRole.NEW]
    if not open_ones:
        return named
    table = read_evidence_table(TABLES, "irecist.toml")
    room = Room(
        most=int(table["new_targets_most"].number), per_organ=int(table["new_targets_per_organ"].number)
    )
    sizes_mm = {lesion.lesion_id: measure_lesion(lesion, visit) for lesion in open_ones}
    choices = choose_targets(open_ones, sizes_mm=sizes_mm, room=room, already=(*already, *named))
    chosen = {choice.lesion_id for choice in choices if choice.chosen}
    return (*named, *(lesion for lesion in open_ones if lesion.lesion_id in chosen))


def _gather_facts(
    course: Course,
    visit: Visit,
    memory: _Memory,
    *,
    target: TargetAssessment,
    others: NonTargetAssessment,
    found: NewLesionAssessment,
) -> ImmuneFacts:
    new_sum = _sum_new_targets(memory.new_targets, visit)
    unmeasured = tuple(
        lesion
        for lesion in course.new
        if lesion not in memory.new_targets and lesion.lesion_id in memory.seen_new
    )
    return ImmuneFacts(
        day=visit.date.day,
        target=TO_IMMUNE[target.response],
        non_target=TO_IMMUNE[others.response],
        new=found.answer,
        target_sum_mm=target.now.total if course.targets else None,
        partial_sum=not target.now.complete,
        new_target_sum_mm=new_sum,
        new_lesion_count=len(memory.seen_new),
        non_target_growth=_find_growth(course.non_targets, visit, memory, cause=Cause.NON_TARGET),
        new_non_target_growth=_find_growth(unmeasured, visit, memory, cause=Cause.NEW),
        symptom_driven=visit.symptom_driven,
    )


def _sum_new_targets(lesions: tuple[TrackedLesion, ...], visit: Visit) -> float | None:
    sizes = [measure_lesion(lesion, visit) for lesion in lesions]
    measured = [size for size in sizes if isinstance(size, float)]
    return sum(measured) if measured and len(measured) == len(sizes) else None


def _find_growth(
    lesions: tuple[TrackedLesion, ...], visit: Visit, memory: _Memory, *, cause: Cause
) -> Growth:
    """Say whether lesions that are judged by eye grew since the last valid scan, or were measured larger.

    A non-target that still reads UNEQUIVOCAL has not grown by that: the word describes it against its
    smallest state, not against the scan before.
    """
    for lesion in lesions:
        reading = visit.readings.get(lesion.lesion_id)
        if reading is None:
            continue
        if reading.state is LesionState.GROWN:
            return Growth.ANY
        if cause is Cause.NON_TARGET and reading.state is LesionState.UNEQUIVOCAL:
            before = memory.before.readings if memory.before else {}
            if not _was_unequivocal(lesion, before):
                return Growth.UNEQUIVOCAL
        if _is_larger(lesion, visit, memory.opening if memory.state.open else memory.before):
            return Growth.ANY
    return Growth.NONE


def _was_unequivocal(lesion: TrackedLesion, readings: Mapping[str, object]) -> bool:
    state = getattr(readings.get(lesion.lesion_id), "state", None)
    return state in (LesionState.UNEQUIVOCAL, LesionState.GROWN)


def _is_larger(lesion: TrackedLesion, visit: Visit, reference: Visit | None) -> bool:
    if reference is None or find_state(lesion, reference, node_normal=0.0) is None:
        return False
    now, before = measure_lesion(lesion, visit), measure_lesion(lesion, reference)
    if isinstance(now, NotEvaluable) or isinstance(before, NotEvaluable):
        return False
    return now - before > SUM_TOLERANCE
