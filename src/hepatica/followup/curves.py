"""Lesions and sums over time: the values behind spider plots, lesion timelines and group sums.

Lesions are told apart as injected (at least one injection by the last visit), non-injected and new. The sums
of injected and non-injected targets are over these fixed sets, so that a lesion that is injected late makes
no jump; their total is the sum of all targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hepatica.core.findings import NotEvaluable
from hepatica.followup.limits import is_zero
from hepatica.followup.records import Course, TrackedLesion, Visit
from hepatica.followup.sums import measure_lesion, measure_sum
from hepatica.followup.verdict import Verdict

ALL_GROUPS = ("", "ALL")


class LesionGroup(StrEnum):
    """How a lesion is shown."""

    INJECTED = "injected"
    NON_INJECTED = "non-injected"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One visit.

    Parameters
    ----------
    day
        Days since baseline; before it negative.
    size
        Diameter or sum in mm (volumes in mm3); why there is none otherwise.
    change_percent
        Change from baseline; NotEvaluable without a baseline above 0.
    """

    day: int
    size: float | NotEvaluable
    change_percent: float | NotEvaluable


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionCurve:
    """One lesion.

    Parameters
    ----------
    lesion_id, group, role
        Which one it is.
    points
        One for each dated visit at which it was looked at.
    injections
        Days of injections with a whole date.
    """

    lesion_id: str
    group: LesionGroup
    role: str
    points: tuple[CurvePoint, ...]
    injections: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectCurves:
    """One subject as one evaluator saw it.

    Parameters
    ----------
    lesions
        Every lesion.
    total, injected, non_injected
        Sums of targets; empty where the group has none.
    responses
        Day and overall response of each visit.
    undated
        Visits without a whole date; they are in no curve.
    """

    lesions: tuple[LesionCurve, ...]
    total: tuple[CurvePoint, ...]
    injected: tuple[CurvePoint, ...]
    non_injected: tuple[CurvePoint, ...]
    responses: tuple[tuple[int, str], ...]
    undated: int


def derive_curves(
    course: Course, *, verdicts: Sequence[Verdict] = (), node_normal: float = 10.0
) -> SubjectCurves | NotEvaluable:
    """Return the curves of one course.

    Parameters
    ----------
    course
        One subject as one evaluator saw it.
    verdicts
        Overall responses to mark.
    node_normal
        Size below which a node is normal.

    Returns
    -------
    curves
        NotEvaluable where the baseline has no whole date.

    Examples
    --------
    >>> from hepatica.followup.dates import PartialDate
    >>> from hepatica.followup.records import Reading
    >>> from hepatica.followup.words import LesionRole
    >>> dates = [PartialDate.from_text(text) for text in ("2024-01-01", "2024-02-12")]
    >>> course = Course(
    ...     lesions=(TrackedLesion(lesion_id="T01", role=LesionRole.TARGET),),
    ...     baseline=Visit(number=1, date=dates[0], readings={"T01": Reading(size=40.0)}),
    ...     follow_ups=(Visit(number=2, date=dates[1], readings={"T01": Reading(size=30.0)}),),
    ... )
    >>> curves = derive_curves(course)
    >>> [(point.day, point.change_percent) for point in curves.total]
    [(0, 0.0), (42, -25.0)]
    """
    origin = course.baseline.date.day
    if origin is None:
        return NotEvaluable(reason="the baseline has no whole date")
    visits = (course.baseline, *course.follow_ups)
    dated = tuple((visit.date.day, visit) for visit in visits if visit.date.day is not None)
    groups = {lesion.lesion_id: to_group(lesion, until=dated[-1][0]) for lesion in course.lesions}
    lesions = tuple(_follow(lesion, groups[lesion.lesion_id], dated, origin) for lesion in course.lesions)
    sums = [
        _follow_sum(
            [t for t in course.targets if group is None or groups[t.lesion_id] is group],
            dated,
            origin,
            node_normal=node_normal,
        )
        for group in (None, LesionGroup.INJECTED, LesionGroup.NON_INJECTED)
    ]
    return SubjectCurves(
        lesions=lesions,
        total=sums[0],
        injected=sums[1],
        non_injected=sums[2],
        responses=tuple(
            ((v.visit.date.day - origin).days, v.overall)
            for v in verdicts
            if v.group in ALL_GROUPS and v.overall and v.visit.date.day is not None
        ),
        undated=len(visits) - len(dated),
    )


def to_group(lesion: TrackedLesion, *, until: date) -> LesionGroup:
    """Return how a lesion is shown: new lesions as new, whether or not they were injected later."""
    if lesion.role.is_new:
        return LesionGroup.NEW
    earlier = any(i.earliest is not None and i.earliest <= until for i in lesion.injections)
    return LesionGroup.INJECTED if earlier else LesionGroup.NON_INJECTED


def _follow(
    lesion: TrackedLesion, group: LesionGroup, dated: Sequence[tuple[date, Visit]], origin: date
) -> LesionCurve:
    sizes = [(day, measure_lesion(lesion, visit)) for day, visit in dated]
    first = sizes[0][1]
    points = [
        _to_point((day - origin).days, size, NotEvaluable(reason="new") if lesion.role.is_new else first)
        for day, size in sizes
        if not (lesion.role.is_new and isinstance(size, NotEvaluable))
    ]
    days = sorted((i.day - origin).days for i in lesion.injections if i.day is not None)
    return LesionCurve(
        lesion_id=lesion.lesion_id,
        group=group,
        role=str(lesion.role),
        points=tuple(points),
        injections=tuple(days),
    )


def _follow_sum(
    targets: Sequence[TrackedLesion],
    dated: Sequence[tuple[date, Visit]],
    origin: date,
    *,
    node_normal: float,
) -> tuple[CurvePoint, ...]:
    if not targets:
        return ()
    points: list[CurvePoint] = []
    first: float | NotEvaluable = NotEvaluable(reason="no baseline sum")
    for day, visit in dated:
        found = measure_sum(targets, visit, node_normal=node_normal)
        size = (
            found.total
            if found.complete
            else NotEvaluable(reason=f"not measured: {', '.join(found.missing)}")
        )
        first = size if not points else first
        points.append(_to_point((day - origin).days, size, first))
    return tuple(points)


def _to_point(day: int, size: float | NotEvaluable, first: float | NotEvaluable) -> CurvePoint:
    change: float | NotEvaluable = NotEvaluable(reason="no size to compare")
    if not isinstance(size, NotEvaluable) and not isinstance(first, NotEvaluable) and not is_zero(first):
        change = 100.0 * (size - first) / first
    return CurvePoint(day=day, size=size, change_percent=change)
