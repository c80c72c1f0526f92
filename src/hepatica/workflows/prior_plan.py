"""An earlier plan, as far as a new plan needs it: lesions, doses and tracks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from hepatica.core.errors import SourceFormatError
from hepatica.core.geometry import FloatArray
from hepatica.planning.path.values import PriorTrack

SCHEMA_VERSION: Final = "1.2"
"""Version of ``plan.json``; the first number changes when an old reader could misread a new document."""
COORDINATE_MAX_MM: Final = 10_000.0
"""A point farther than 10 m from the scanner's origin is a damaged file, not a patient."""
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorLesion:
    """A lesion of an earlier plan.

    Parameters
    ----------
    lesion_id
        Its name in that plan.
    tracking_uid
        UID that follows it from plan to plan.
    centroid_lps_mm
        (3,) centroid in that plan's frame.
    longest_diameter_mm
        Longest diameter then.
    """

    lesion_id: str
    tracking_uid: str
    centroid_lps_mm: FloatArray
    longest_diameter_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorDose:
    """What an earlier plan meant to give to one lesion.

    Parameters
    ----------
    lesion_id
        Its name in that plan.
    volume_ml
        Planned volume, less what found no place.
    dose
        Amount of the planned volume; None where it was not evaluable.
    dose_unit
        Its unit.
    """

    lesion_id: str
    volume_ml: float
    dose: float | None
    dose_unit: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriorPlan:
    """An earlier plan.

    Parameters
    ----------
    plan_id, visit
        Which plan it was.
    frame_of_reference
        Frame of its coordinates; None where its scan declared none.
    lesions, doses
        Its lesions and planned amounts.
    tracks
        Entry and tip of every straight stretch of the planned tracks, in that plan's frame.
    """

    plan_id: str
    visit: int
    frame_of_reference: str | None
    lesions: tuple[PriorLesion, ...]
    doses: tuple[PriorDose, ...]
    tracks: tuple[PriorTrack, ...]

    @property
    def tracking_uids(self) -> Mapping[str, str]:
        """Tracking UID by lesion id, as `to_plan_document` takes it."""
        return MappingProxyType({lesion.lesion_id: lesion.tracking_uid for lesion in self.lesions})


def from_plan_document(document: Any) -> PriorPlan:
    """Read back what a later plan needs from the content of a ``plan.json``.

    Parameters
    ----------
    document
        The parsed JSON.

    Raises
    ------
    SourceFormatError
        If it is not a plan, of an unknown version, or a value is missing, of another type or out of range.
    """
    plan = _mapping(document, "plan")
    version = _text(plan, "schema_version", "plan")
    if version.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise _refuse(f"schema_version {SCHEMA_VERSION}", f"'{version[:16]}'", "schema_version")
    plan_id = _text(plan, "plan_id", "plan")
    lesions = tuple(_read_lesion(entry, where) for entry, where in _entries(plan, "lesions", "plan"))
    names = [lesion.lesion_id for lesion in lesions]
    if len(set(names)) != len(names):
        raise _refuse("one entry for each lesion id", "a lesion id that comes twice", "lesions")
    if len({lesion.tracking_uid for lesion in lesions}) != len(lesions):
        raise _refuse("a tracking UID for each lesion", "a tracking UID that comes twice", "lesions")
    frame = plan.get("frame_of_reference")
    return PriorPlan(
        plan_id=plan_id,
        visit=_count(plan, "visit", "plan"),
        frame_of_reference=None if frame is None else _text(plan, "frame_of_reference", "plan"),
        lesions=lesions,
        doses=tuple(_read_dose(entry, where, names) for entry, where in _entries(plan, "injections", "plan")),
        tracks=tuple(
            track
            for entry, where in _entries(plan, "punctures", "plan")
            for track in _read_tracks(entry, where, plan_id)
        ),
    )


def _read_lesion(entry: Mapping[str, Any], where: str) -> PriorLesion:
    uid = _text(entry, "tracking_uid", where)
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise _refuse("a DICOM UID", "other text", f"{where}.tracking_uid")
    return PriorLesion(
        lesion_id=_text(entry, "id", where),
        tracking_uid=uid,
        centroid_lps_mm=_point(entry, "centroid_lps_mm", where),
        longest_diameter_mm=_number(
            entry.get("longest_diameter_mm"), f"{where}.longest_diameter_mm", low=0.0
        ),
    )


def _read_dose(entry: Mapping[str, Any], where: str, lesion_ids: Sequence[str]) -> PriorDose:
    lesion_id = _text(entry, "lesion_id", where)
    if lesion_id not in lesion_ids:
        raise _refuse("a lesion of the same plan", "another lesion id", f"{where}.lesion_id")
    volume_ml = _number(entry.get("volume_ml"), f"{where}.volume_ml", low=0.0)
    left_ml = _number(entry.get("undelivered_ml", 0.0), f"{where}.undelivered_ml", low=0.0, high=volume_ml)
    dose = entry.get("dose")
    unknown = isinstance(dose, Mapping) and isinstance(dose.get("not_evaluable"), str)
    return PriorDose(
        lesion_id=lesion_id,
        volume_ml=volume_ml - left_ml,
        dose=None if unknown else _number(dose, f"{where}.dose", low=0.0, high=math.inf),
        dose_unit=_text(entry, "dose_unit", where),
    )


def _read_tracks(entry: Mapping[str, Any], where: str, plan_id: str) -> list[PriorTrack]:
    """Return every straight stretch: a fan gives its coaxial needle and what each track adds to it."""
    start = _point(entry, "entry_lps_mm", where)
    pivot = None if entry.get("pivot_lps_mm") is None else _point(entry, "pivot_lps_mm", where)
    stretches = [] if pivot is None else [PriorTrack(plan_id=plan_id, entry_lps_mm=start, tip_lps_mm=pivot)]
    return stretches + [
        PriorTrack(
            plan_id=plan_id,
            entry_lps_mm=start if pivot is None else pivot,
            tip_lps_mm=_point(track, "tip_lps_mm", place),
        )
        for track, place in _entries(entry, "tracks", where)
    ]


def _entries(mapping: Mapping[str, Any], key: str, where: str) -> list[tuple[Mapping[str, Any], str]]:
    place = key if where == "plan" else f"{where}.{key}"
    entries = mapping.get(key)
    if not isinstance(entries, list):
        raise _refuse("a list", _name_type(entries), place)
    return [(_mapping(entry, f"{place}[{n}]"), f"{place}[{n}]") for n, entry in enumerate(entries)]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _refuse("an object", _name_type(value), where)
    return value


def _text(mapping: Mapping[str, Any], key: str, where: str) -> str:
    value = mapping.get(key)
    if not isinstance(value, str) or not value:
        raise _refuse("a text that is not empty", _name_type(value), f"{where}.{key}")
    return value


def _count(mapping: Mapping[str, Any], key: str, where: str) -> int:
    value = mapping.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _refuse("a whole number from 1", _name_type(value), f"{where}.{key}")
    return value


def _number(
    value: Any, where: str, *, low: float = -COORDINATE_MAX_MM, high: float = COORDINATE_MAX_MM
) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _refuse("a number", _name_type(value), where)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high:
        raise _refuse(f"a finite number from {low:g} to {high:g}", f"{number:g}", where)
    return number


def _point(mapping: Mapping[str, Any], key: str, where: str) -> FloatArray:
    value = mapping.get(key)
    if not isinstance(value, list) or len(value) != 3:
        raise _refuse("three coordinates in mm", _name_type(value), f"{where}.{key}")
    point = np.array([_number(c, f"{where}.{key}") for c in value])
    point.setflags(write=False)
    return point


def _name_type(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "another type")


def _refuse(expected: str, given: str, where: str) -> SourceFormatError:
    return SourceFormatError(
        expected=expected,
        given=given,
        where=f"prior plan.json, {where}",
        action="pass the plan folder Hepatica wrote",
    )
