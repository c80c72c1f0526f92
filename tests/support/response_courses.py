"""Courses for the response tests, written as short texts."""

from __future__ import annotations

from collections.abc import Sequence

from hepatica.core.findings import NotEvaluable
from hepatica.followup.dates import PartialDate
from hepatica.followup.records import Course, Reading, TrackedLesion, Visit
from hepatica.followup.words import LesionRole, LesionState

MISSED = NotEvaluable(reason="not imaged")


def reading(value: float | int | str | None) -> Reading:
    """A number is a size, a word a state, None a lesion that was not imaged, 'merged' a merged one."""
    if value is None:
        return Reading(size=MISSED)
    if value == "merged":
        return Reading(merged=True)
    if isinstance(value, str):
        return Reading(state=LesionState(value))
    return Reading(size=float(value))


def course(
    lesions: dict[str, Sequence[float | int | str | None]],
    *,
    nodes: Sequence[str] = (),
    dates: Sequence[str] = (),
    injections: dict[str, Sequence[str]] | None = None,
    sites: dict[str, str] | None = None,
) -> Course:
    """Ids starting with T are targets, NT non-targets, NEW new lesions; '-' in a row is no reading at all."""
    roles = {"NT": LesionRole.NON_TARGET, "NE": LesionRole.NEW}
    count = max(len(row) for row in lesions.values())
    tracked = tuple(
        TrackedLesion(
            lesion_id=key,
            role=roles.get(key[:2], LesionRole.TARGET),
            is_node=key in nodes,
            site=(sites or {}).get(key, "LIVER"),
            injections=tuple(PartialDate.from_text(day) for day in (injections or {}).get(key, ())),
        )
        for key in lesions
        if "." not in key and "/" not in key
    )
    visits = []
    seen: set[str] = set()
    for index in range(count):
        readings = {
            key: reading(row[index]) for key, row in lesions.items() if index < len(row) and row[index] != "-"
        }
        there = {key for key in readings if key.startswith("NEW")}
        visits.append(
            Visit(
                number=float(index + 1),
                name=f"VISIT {index + 1}",
                date=PartialDate.from_text(dates[index] if dates else ""),
                readings=readings,
                new_lesions=frozenset(there - seen),
            )
        )
        seen |= there
    return Course(lesions=tracked, baseline=visits[0], follow_ups=tuple(visits[1:]))


def days(*offsets: int) -> list[str]:
    """ISO dates at these offsets from 2024-01-01."""
    from datetime import date, timedelta

    return [(date(2024, 1, 1) + timedelta(days=offset)).isoformat() for offset in offsets]
