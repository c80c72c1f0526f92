"""Where the tip was seen, against where it was planned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.procedure.entry import Entry
from hepatica.procedure.planned import PlannedDay, PlannedPuncture

Vector = tuple[float, float, float]
RIGID_TOLERANCE: Final = 1e-3
"""Axes of a registration that miss length 1 or a right angle by more than this are not rigid; 0.2 mm on 20 cm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TipDeviation:
    """One control of a tip.

    Parameters
    ----------
    entry_id, needle_id, puncture_id, track
        Which control of which needle on which planned track.
    deviation_mm
        Distance from the planned tip.
    axial_mm
        Along the planned way; above 0 for too deep.
    lateral_mm
        Across it.
    outside_lesions
        Lesions of the track from whose centre the tip is farther than half the longest diameter.
    """

    entry_id: str
    needle_id: str
    puncture_id: str
    track: int
    deviation_mm: float | NotEvaluable
    axial_mm: float | NotEvaluable
    lateral_mm: float | NotEvaluable
    outside_lesions: tuple[str, ...] = ()


def measure_tip(check: Entry, *, puncture_id: str, planned: PlannedDay) -> TipDeviation:
    """Measure how far a tip on a control image is from its plan.

    Parameters
    ----------
    check
        Entry of kind ``tip_check``.
    puncture_id
        Planned puncture of its needle; empty for none.
    planned
        The plan.

    Returns
    -------
    deviation
        NotEvaluable where the needle has no planned puncture or the two frames are not joined by a rigid registration.
    """
    track = check.whole("track") or 1
    puncture = planned.punctures.get(puncture_id)
    tip = _to_plan_frame(check, planned)
    if puncture is None:
        tip = NotEvaluable(reason="the needle goes through no planned puncture")
    elif track > len(puncture.tips_lps_mm):
        tip = NotEvaluable(reason=f"puncture {puncture_id} has no track {track} in the plan")
    if puncture is None or isinstance(tip, NotEvaluable):
        reason = tip if isinstance(tip, NotEvaluable) else NotEvaluable(reason="no planned puncture")
        return TipDeviation(
            entry_id=check.entry_id,
            needle_id=check.text("needle_id"),
            puncture_id=puncture_id,
            track=track,
            deviation_mm=reason,
            axial_mm=reason,
            lateral_mm=reason,
        )
    aim = puncture.tips_lps_mm[track - 1]
    error = _subtract(tip, aim)
    total = math.hypot(*error)
    axial = _dot(error, _find_direction(puncture, aim))
    return TipDeviation(
        entry_id=check.entry_id,
        needle_id=check.text("needle_id"),
        puncture_id=puncture_id,
        track=track,
        deviation_mm=total,
        axial_mm=axial,
        lateral_mm=math.sqrt(max(0.0, total * total - axial * axial)),
        outside_lesions=_list_missed(tip, puncture, track, planned),
    )


def _to_plan_frame(check: Entry, planned: PlannedDay) -> Vector | NotEvaluable:
    x, y, z = (float(part) for part in check.values["measured_tip_lps_mm"])
    frame = check.text("frame_of_reference")
    affine = check.values.get("plan_from_control_lps")
    if affine is not None:
        rows = tuple(tuple(float(v) for v in affine[4 * i : 4 * i + 4]) for i in range(4))
        if not _is_rigid(rows):
            return NotEvaluable(reason="the registration of the control image is not rigid")
        a, b, c = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in rows[:3])
        return a, b, c
    if not frame or not planned.frame_of_reference:
        return NotEvaluable(reason="control image or plan declares no frame of reference")
    if frame != planned.frame_of_reference:
        return NotEvaluable(reason="the control image has another frame of reference and no registration")
    return x, y, z


def _is_rigid(rows: Sequence[Sequence[float]]) -> bool:
    if any(abs(v - w) > RIGID_TOLERANCE for v, w in zip(rows[3], (0.0, 0.0, 0.0, 1.0))):
        return False
    first, second, third = ((row[0], row[1], row[2]) for row in rows[:3])
    right = all(
        abs(_dot(u, v) - float(u is v)) <= RIGID_TOLERANCE
        for u in (first, second, third)
        for v in (first, second, third)
    )
    # A mirror image has the same lengths and angles.
    cross = (
        first[1] * second[2] - first[2] * second[1],
        first[2] * second[0] - first[0] * second[2],
        first[0] * second[1] - first[1] * second[0],
    )
    return right and _dot(cross, third) > 0


def _find_direction(puncture: PlannedPuncture, aim: Vector) -> Vector:
    way = _subtract(aim, puncture.entry_lps_mm)
    length_mm = math.hypot(*way)
    return (way[0] / length_mm, way[1] / length_mm, way[2] / length_mm) if length_mm else (0.0, 0.0, 0.0)


def _list_missed(tip: Vector, puncture: PlannedPuncture, track: int, planned: PlannedDay) -> tuple[str, ...]:
    aimed = sorted({deposit.lesion_id for deposit in puncture.deposits if deposit.track == track})
    lesions = [planned.lesions[name] for name in aimed if name in planned.lesions]
    return tuple(
        lesion.lesion_id
        for lesion in lesions
        if math.dist(tip, lesion.centroid_lps_mm) > lesion.longest_diameter_mm / 2
    )


def _subtract(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
