"""Non-targets, new lesions and the overall response of one visit: RECIST 1.1 tables 1 and 2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.records import Reading, TrackedLesion, Visit
from hepatica.followup.sums import FRAGMENT_MARK, is_gone
from hepatica.followup.words import LesionState, NewLesion, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class NonTargetAssessment:
    """Non-target response, the rule that decided and the lesions it rests on."""

    response: Response
    rule: str
    lesions: tuple[str, ...] = ()


def find_state(lesion: TrackedLesion, visit: Visit, *, node_normal: float) -> LesionState | None:
    """Return the state of a lesion that is judged by eye; None where it was not assessed.

    A lesion that was measured only is absent at size 0 (a node below its normal size) and present otherwise.
    """
    reading = visit.readings.get(lesion.lesion_id)
    if reading is None:
        return _find_fragments(lesion, visit, node_normal=node_normal)
    return _read_state(reading, lesion, node_normal=node_normal)


def _read_state(reading: Reading, lesion: TrackedLesion, *, node_normal: float) -> LesionState | None:
    if reading.merged:
        return LesionState.PRESENT
    if reading.state is not None:
        return reading.state
    if isinstance(reading.size, NotEvaluable):
        return None
    return (
        LesionState.ABSENT if is_gone(reading.size, lesion, node_normal=node_normal) else LesionState.PRESENT
    )


_GRAVEST_FIRST: Final = (
    LesionState.UNEQUIVOCAL,
    LesionState.NOT_EVALUABLE,
    None,
    LesionState.GROWN,
    LesionState.EQUIVOCAL,
    LesionState.PRESENT,
    LesionState.ABSENT,
)


def _find_fragments(lesion: TrackedLesion, visit: Visit, *, node_normal: float) -> LesionState | None:
    start = lesion.lesion_id + FRAGMENT_MARK
    states = [
        _read_state(reading, lesion, node_normal=node_normal)
        for key, reading in visit.readings.items()
        if key.startswith(start)
    ]
    return next((state for state in _GRAVEST_FIRST if state in states), None)


def assess_non_targets(
    lesions: Iterable[TrackedLesion], visit: Visit, *, node_normal: float, cleared: bool
) -> NonTargetAssessment:
    """Judge the non-targets of one visit.

    ``unequivocal`` PD; ``reappeared-after-cr`` PD (not for nodes); ``not-all-assessed`` NE; ``all-gone`` CR;
    ``persists`` NON-CR/NON-PD. Equivocal progression is not progression.

    Parameters
    ----------
    lesions
        Non-target lesions; none of them gives an empty response.
    visit
        The visit.
    node_normal
        Size below which a node is normal.
    cleared
        An overall CR was given before.
    """
    states = {lesion: find_state(lesion, visit, node_normal=node_normal) for lesion in lesions}
    if not states:
        return NonTargetAssessment(response=Response.NONE, rule="no-non-targets")

    def named(*wanted: LesionState | None) -> tuple[str, ...]:
        return tuple(lesion.lesion_id for lesion, state in states.items() if state in wanted)

    worse = named(LesionState.UNEQUIVOCAL)
    if worse:
        return NonTargetAssessment(response=Response.PD, rule="unequivocal", lesions=worse)
    there = (LesionState.PRESENT, LesionState.GROWN)
    if cleared:
        back = tuple(
            lesion.lesion_id for lesion, state in states.items() if state in there and not lesion.is_node
        )
        if back:
            return NonTargetAssessment(response=Response.PD, rule="reappeared-after-cr", lesions=back)
    unknown = named(None, LesionState.NOT_EVALUABLE)
    if unknown:
        return NonTargetAssessment(response=Response.NE, rule="not-all-assessed", lesions=unknown)
    left = named(*there, LesionState.EQUIVOCAL)
    if left:
        return NonTargetAssessment(response=Response.NON_CR_NON_PD, rule="persists", lesions=left)
    return NonTargetAssessment(response=Response.CR, rule="all-gone", lesions=named(LesionState.ABSENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLesionAssessment:
    """Whether there is a new lesion, which ones are there, and which are only suspected."""

    answer: NewLesion
    present: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()


NO_NEW_LESION: Final = NewLesionAssessment(answer=NewLesion.NO)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNew:
    """New lesions when last seen: those that were there, and those that were only suspected."""

    present: frozenset[str] = frozenset()
    suspected: frozenset[str] = frozenset()


def assess_new_lesions(
    lesions: Mapping[str, TrackedLesion], visit: Visit, *, known: KnownNew, node_normal: float
) -> tuple[NewLesionAssessment, KnownNew]:
    """Say which new lesions there are at a visit.

    A new lesion stays one from its first sighting until a reader finds it absent; a visit that does not
    mention it does not make it vanish. A suspected one (equivocal) is not progression until a later visit
    finds it there.

    Parameters
    ----------
    lesions
        New lesions of the course by id.
    visit
        The visit.
    known
        What earlier visits left.
    node_normal
        Size below which a node is normal.

    Returns
    -------
    assessment, known
        The answer, and what to hand to the next visit.
    """
    if not lesions:
        return NO_NEW_LESION, known
    present: set[str] = set()
    suspected: set[str] = set()
    for lesion_id, lesion in lesions.items():
        state = find_state(lesion, visit, node_normal=node_normal)
        doubtful = lesion_id in visit.equivocal_lesions or state is LesionState.EQUIVOCAL
        unseen = state in (None, LesionState.NOT_EVALUABLE)
        if state is LesionState.ABSENT:
            continue
        if doubtful or (unseen and lesion_id in known.suspected):
            suspected.add(lesion_id)
        elif not unseen or lesion_id in known.present or lesion_id in visit.new_lesions:
            present.add(lesion_id)
    answer = NewLesion.YES if present else NewLesion.EQUIVOCAL if suspected else NewLesion.NO
    found = NewLesionAssessment(
        answer=answer, present=tuple(sorted(present)), suspected=tuple(sorted(suspected))
    )
    return found, KnownNew(present=frozenset(present), suspected=frozenset(suspected))


def compose_overall(target: Response, non_target: Response, new: NewLesion) -> tuple[Response, str]:
    """Join the three components: RECIST 1.1 table 1 with targets, table 2 without.

    Parameters
    ----------
    target, non_target
        Component responses; `Response.NONE` where there is no such disease at baseline.
    new
        New lesions. ``EQUIVOCAL`` counts as no; ``NE`` (not judged) bars every answer but PD.

    Returns
    -------
    overall, rule
        The code and the row that gave it.

    Examples
    --------
    >>> compose_overall(Response.CR, Response.NON_CR_NON_PD, NewLesion.NO)[0]
    <Response.PR: 'PR'>
    """
    for found, rule in (
        (target is Response.PD, "target-pd"),
        (non_target is Response.PD, "non-target-pd"),
        (new is NewLesion.YES, "new-lesion"),
    ):
        if found:
            return Response.PD, rule
    if target is Response.NONE and non_target is Response.NONE:
        return Response.NE, "no-disease-recorded"
    if new is NewLesion.NOT_EVALUABLE:
        return Response.NE, "new-lesions-not-evaluable"
    if target is Response.NONE:
        return non_target, "table-2"
    if target is Response.CR and non_target not in (Response.CR, Response.NONE):
        return Response.PR, "table-1-cr-with-non-targets-left"
    return target, "table-1"
