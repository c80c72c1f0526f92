"""What the plan asks of the day, read from a plan document without any numerical library."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from hepatica.core.errors import SourceFormatError
from hepatica.core.findings import NotEvaluable

SAME_STRENGTH: Final = 1e-6
"""Doses in a plan are rounded to six decimals: strengths that differ by less are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLesion:
    """What one lesion shall get.

    Parameters
    ----------
    lesion_id, tracking_uid
        Name in the plan, and UID for life.
    volume_ml
        Planned amount.
    undelivered_ml
        Part of it that the plan found no place for.
    rank
        Place in the order of injection, from 1; 0 for none.
    centroid_lps_mm, longest_diameter_mm
        Where it is and how large.
    """

    lesion_id: str
    tracking_uid: str
    volume_ml: float
    undelivered_ml: float
    rank: int
    centroid_lps_mm: tuple[float, float, float]
    longest_diameter_mm: float

    @property
    def to_give_ml(self) -> float:
        """What deposits are planned for."""
        return self.volume_ml - self.undelivered_ml


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDeposit:
    """One planned stop of the needle.

    Parameters
    ----------
    puncture_id, track, order
        Which puncture, track (from 1) and place on it (1 is the deepest).
    lesion_id, volume_ml
        For which lesion, and how much.
    point_lps_mm
        Where the tip's opening stands.
    depth_mm
        Along the straight way from the entry.
    """

    puncture_id: str
    track: int
    order: int
    lesion_id: str
    volume_ml: float
    point_lps_mm: tuple[float, float, float]
    depth_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPuncture:
    """One planned puncture.

    Parameters
    ----------
    puncture_id, is_backup
        Name, and whether it stands in for another.
    entry_lps_mm, tips_lps_mm
        Skin point, and the tip of each track.
    dead_space_ml
        What stays in its needle.
    deposits
        Of all its tracks.
    """

    puncture_id: str
    is_backup: bool
    entry_lps_mm: tuple[float, float, float]
    tips_lps_mm: tuple[tuple[float, float, float], ...]
    dead_space_ml: float
    deposits: tuple[PlannedDeposit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDay:
    """All that the day is held against.

    Parameters
    ----------
    plan_id, visit, agent, cleared
        Of the plan.
    frame_of_reference
        Of its coordinates; empty where its scan declared none.
    lesions, punctures
        By name; lesions that get nothing are among them.
    strength
        Amount of agent in one mL, in ``dose_unit`` per mL.
    dose_unit
        Such as ``pfu``.
    ceiling_ml
        Most of a visit; None where the protocol has no ceiling.
    chosen
        Backup punctures that people chose in place of the planner's first choice.
    dose_reasons
        By lesion: why people changed its dose.
    """

    plan_id: str
    visit: int
    agent: str
    cleared: bool
    frame_of_reference: str
    lesions: Mapping[str, PlannedLesion]
    punctures: Mapping[str, PlannedPuncture]
    strength: float | NotEvaluable
    dose_unit: str
    ceiling_ml: float | None = None
    chosen: tuple[str, ...] = ()
    dose_reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def injected(self) -> tuple[PlannedLesion, ...]:
        """Lesions that shall get something, in order of injection."""
        wanted = (lesion for lesion in self.lesions.values() if lesion.to_give_ml > 0)
        return tuple(sorted(wanted, key=lambda lesion: (lesion.rank, lesion.lesion_id)))


def to_planned_day(document: Mapping[str, Any]) -> PlannedDay:
    """Read what the day needs from the content of a ``plan.json``.

    Parameters
    ----------
    document
        The parsed JSON.

    Raises
    ------
    SourceFormatError
        If it is no plan of schema version 1, or a value is missing or of another type.
    """
    if str(document.get("schema_version", "")).split(".")[0] != "1":
        raise _refuse("schema_version")
    try:
        return _read_plan(document)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise _refuse("plan.json") from problem


def _read_plan(document: Mapping[str, Any]) -> PlannedDay:
    injections = {str(entry["lesion_id"]): entry for entry in document["injections"]}
    lesions = {
        str(entry["id"]): _to_lesion(entry, injections.get(entry["id"])) for entry in document["lesions"]
    }
    if set(injections) - set(lesions):
        raise ValueError("an injection of an unknown lesion")
    first = [_to_puncture(entry, is_backup=False) for entry in document["punctures"]]
    backups = [_to_puncture(entry, is_backup=True) for entry in document["backups"]]
    others = _list_alternatives(document.get("paths", ()))
    strength, unit = _find_strength(injections)
    return PlannedDay(
        plan_id=str(document["plan_id"]),
        visit=int(document["visit"]),
        agent=str(document["protocol"]["agent"]),
        cleared=document["status"] == "cleared",
        frame_of_reference=document["frame_of_reference"] or "",
        lesions=MappingProxyType(lesions),
        punctures=MappingProxyType(
            {puncture.puncture_id: puncture for puncture in (*first, *backups, *others)}
        ),
        strength=strength,
        dose_unit=unit,
        ceiling_ml=_optional(document["allocation"]["ceiling_ml"]),
    )


def _list_alternatives(paths: Iterable[Mapping[str, Any]]) -> Iterator[PlannedPuncture]:
    """Yield the other ways that the planner found, those with a place for the volume, by the names they are shown by."""
    for path in paths:
        for number, entry in enumerate(path.get("alternatives", ()), start=1):
            if any(track["deposits"] for track in entry["tracks"]):
                name = f"{path.get('best') or path['lesion_id']}a{number}"
                yield _to_puncture({**entry, "id": name}, is_backup=True)


def _to_lesion(entry: Mapping[str, Any], injection: Mapping[str, Any] | None) -> PlannedLesion:
    given = injection or {"volume_ml": 0.0, "undelivered_ml": 0.0, "rank": 0}
    return PlannedLesion(
        lesion_id=str(entry["id"]),
        tracking_uid=str(entry["tracking_uid"]),
        volume_ml=_number(given["volume_ml"]),
        undelivered_ml=_number(given["undelivered_ml"]),
        rank=int(given["rank"]),
        centroid_lps_mm=_point(entry["centroid_lps_mm"]),
        longest_diameter_mm=_number(entry["longest_diameter_mm"]),
    )


def _measure_depth_mm(
    start: tuple[float, float, float],
    pivot: tuple[float, float, float] | None,
    point: tuple[float, float, float],
) -> float:
    """Return what the needle's scale shows: a turned needle goes by way of the coaxial tip."""
    if pivot is None:
        return math.dist(start, point)
    return math.dist(start, pivot) + math.dist(pivot, point)


def _to_puncture(entry: Mapping[str, Any], *, is_backup: bool) -> PlannedPuncture:
    start = _point(entry["entry_lps_mm"])
    pivot = _point(entry["pivot_lps_mm"]) if entry.get("pivot_lps_mm") else None
    name = str(entry["id"])
    deposits = tuple(
        PlannedDeposit(
            puncture_id=name,
            track=number,
            order=int(deposit["order"]),
            lesion_id=str(deposit["lesion_id"]),
            volume_ml=_number(deposit["volume_ml"]),
            point_lps_mm=_point(deposit["point_lps_mm"]),
            depth_mm=_measure_depth_mm(start, pivot, _point(deposit["point_lps_mm"])),
        )
        for number, track in enumerate(entry["tracks"], start=1)
        for deposit in track["deposits"]
    )
    return PlannedPuncture(
        puncture_id=name,
        is_backup=is_backup,
        entry_lps_mm=start,
        tips_lps_mm=tuple(_point(track["tip_lps_mm"]) for track in entry["tracks"]),
        dead_space_ml=_number(entry["needle"]["dead_space_ml"]),
        deposits=deposits,
    )


def _find_strength(injections: Mapping[str, Mapping[str, Any]]) -> tuple[float | NotEvaluable, str]:
    found = sorted(_list_strengths(injections))
    units = {str(entry["dose_unit"]) for entry in injections.values() if entry["volume_ml"] > 0}
    unit = units.pop() if len(units) == 1 else ""
    if not found or not unit:
        return NotEvaluable(reason="the plan sets no strength"), unit
    if found[-1] - found[0] > SAME_STRENGTH * found[-1]:
        return NotEvaluable(reason="the plan holds several strengths"), unit
    return found[-1], unit


def _list_strengths(injections: Mapping[str, Mapping[str, Any]]) -> Iterator[float]:
    for entry in injections.values():
        if entry["volume_ml"] > 0 and isinstance(entry["dose"], int | float):
            yield float(entry["dose"]) / float(entry["volume_ml"])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no number")
    return float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _point(value: Any) -> tuple[float, float, float]:
    x, y, z = (_number(part) for part in value)
    return x, y, z


def _refuse(where: str) -> SourceFormatError:
    return SourceFormatError(
        expected="a plan of this program, schema version 1",
        given="another document",
        where=where,
        action="give the folder that 'hepatica plan' wrote",
    )
