"""The groups of lesions whose response is told apart: injected, non-injected in the liver, outside the liver."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from hepatica.followup.records import Course, TrackedLesion, Visit
from hepatica.trials.report.words import ReportWords


class ResponseGroup(StrEnum):
    """Groups of lesions; the values are those of GRPID."""

    ALL = ""
    INJECTED = "INJECTED"
    HEPATIC = "NON-INJECTED HEPATIC"
    EXTRAHEPATIC = "EXTRAHEPATIC"

    @property
    def words(self) -> str:
        """Words for people."""
        return {
            ResponseGroup.ALL: "All lesions",
            ResponseGroup.INJECTED: "Injected lesions",
            ResponseGroup.HEPATIC: "Non-injected lesions of the liver",
            ResponseGroup.EXTRAHEPATIC: "Lesions outside the liver, not injected",
        }[self]


def to_response_group(lesion: TrackedLesion, *, words: ReportWords) -> ResponseGroup:
    """Return the group of a lesion.

    Injected means at least once at any time, so that a lesion that is injected late makes no jump; a new lesion keeps
    its place in or outside the liver, also where it is injected later.
    """
    if lesion.injections and not lesion.role.is_new:
        return ResponseGroup.INJECTED
    hepatic = words.is_hepatic(lesion.site, is_node=lesion.is_node)
    return ResponseGroup.HEPATIC if hepatic else ResponseGroup.EXTRAHEPATIC


def restrict_course(course: Course, group: ResponseGroup, *, words: ReportWords) -> Course | None:
    """Return the course with the lesions of one group only; None where the group has none at baseline."""
    if group is ResponseGroup.ALL:
        return course
    kept = tuple(item for item in course.lesions if to_response_group(item, words=words) is group)
    if all(lesion.role.is_new for lesion in kept):
        return None
    names = {lesion.lesion_id for lesion in kept}
    return Course(
        lesions=kept,
        baseline=_restrict(course.baseline, names),
        follow_ups=tuple(_restrict(visit, names) for visit in course.follow_ups),
    )


def _restrict(visit: Visit, names: Collection[str]) -> Visit:
    def belongs(lesion_id: str) -> bool:
        return any(part.rpartition(".")[0] in names or part in names for part in lesion_id.split("/"))

    readings: Mapping[str, Any] = {key: value for key, value in visit.readings.items() if belongs(key)}
    return replace(
        visit,
        readings=readings,
        new_lesions=frozenset(name for name in visit.new_lesions if name in names),
        equivocal_lesions=frozenset(name for name in visit.equivocal_lesions if name in names),
    )
