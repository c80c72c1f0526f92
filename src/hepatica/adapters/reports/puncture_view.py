"""One skin puncture in the words of the table side: slice, offset, angles, depths, stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepatica.adapters.reports.track_view import TrackRow, count_needles, derive_track_rows, say_sharing
from hepatica.adapters.reports.wording import (
    ABSENT,
    DERIVED_NOTE,
    Cell,
    to_cell,
    to_chance_words,
    to_count_words,
    to_list_words,
    to_ml_words,
    to_not_evaluable_words,
    to_number_words,
    to_tilt_words,
)
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray, Grid
from hepatica.core.position import derive_gravity_lps
from hepatica.planning.dose.values import Injection
from hepatica.planning.path.placement_values import PlacementRisk
from hepatica.planning.path.redirection import measure_depth_mm, measure_track_mm
from hepatica.planning.path.values import Clearance, Puncture, TissueClass, Track
from hepatica.planning.plan import Plan
from hepatica.workflows.ports import ImageFacts, PlanContext

LIVER_TISSUES: Final = frozenset({TissueClass.LIVER, TissueClass.TARGET, TissueClass.OTHER_LESION})
"""What proves that the capsule is behind the tip; a vessel may lie outside the liver."""
PICTURED_TISSUES: Final[Mapping[TissueClass, tuple[str, str]]] = {
    TissueClass.SKIN_FAT: ("fat", "fat"),
    TissueClass.MUSCLE: ("soft tissue", "soft"),
    TissueClass.UNLABELLED: ("unlabelled", "unknown"),
    TissueClass.LIVER: ("liver", "liver"),
    TissueClass.VESSEL: ("VESSEL", "danger"),
    TissueClass.TARGET: ("target", "target"),
    TissueClass.OTHER_LESION: ("other lesion", "lesion"),
    TissueClass.LUNG: ("LUNG", "danger"),
    TissueClass.BONE: ("BONE", "danger"),
    TissueClass.FORBIDDEN: ("FORBIDDEN", "danger"),
    TissueClass.GAS: ("GAS", "danger"),
    TissueClass.OUTSIDE: ("air", "outside"),
}
"""Word and hatch of each tissue in the depth strip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A stretch of the path; ``hatch`` names how the depth strip draws it."""

    from_mm: float
    to_mm: float
    depths: str
    word: str
    hatch: str
    structure: str
    hu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRow:
    """One stop of the needle."""

    track: int
    order: int
    lesion_id: str
    depth: str
    depth_mm: float
    pull_back: str
    volume: Cell
    chance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceRow:
    """One structure near the path. ``tight`` where a margin is missed or cannot be judged."""

    name: str
    derived: bool
    derived_note: str
    clearance: str
    margin: Cell
    run_out: str
    tight: bool
    touch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskView:
    """What placement error makes of the puncture; ``bound`` says where chances to touch are lower bounds."""

    title: Cell
    bound: str
    any_touched: str
    any_within_margin: str
    tip: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermRow:
    """One term of the ranking."""

    name: str
    value: str
    weight: Cell
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceWords:
    """Where a point is found on the table and in the image stack."""

    position: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PunctureView:
    """One puncture as printed.

    ``tracks``, ``coaxial_depth`` and ``sharing`` are empty where it is one straight needle for one lesion.
    """

    puncture_id: str
    lesions: str
    entry_slice: SliceWords
    tip_slice: SliceWords
    lateral: str
    lateral_zero: str
    lateral_mm: float | None
    in_plane: str
    in_plane_zero: str
    tilt: str
    depth_capsule: str
    depth_lesion: str
    depth_tip: str
    length_mm: float
    needle: Cell
    draw_up: Cell
    dose_total: Cell
    capsule_angle: str
    liver_before: str
    runs: tuple[RunRow, ...]
    stops: tuple[StopRow, ...]
    clearances: tuple[ClearanceRow, ...]
    terms: tuple[TermRow, ...]
    track_count: int
    risk: RiskView | None
    tracks: tuple[TrackRow, ...]
    coaxial_depth: str
    sharing: str


def derive_puncture_view(puncture: Puncture, context: PlanContext) -> PunctureView:
    """Turn a puncture into words.

    Parameters
    ----------
    puncture
        First choice or backup.
    context
        Its plan, and the scan it was planned on: slices and the lateral zero come from there.
    """
    grid, facts = context.image.volume.grid, context.image.facts
    injections = {item.lesion_id: item for item in context.plan.allocation.injections}
    gravity = find_patient_gravity(context.plan)
    deepest = max(puncture.tracks, key=lambda track: measure_track_mm(puncture, track), default=None)
    tip = puncture.entry_lps_mm if deepest is None else deepest.tip_lps_mm
    lateral, zero, lateral_mm = _say_lateral(puncture.entry_lps_mm, grid, gravity)
    volume_ml, leans = _sum_deposits(puncture, injections)
    needle = puncture.needle
    # Every lesion gets a fresh inner needle, and each of them keeps its dead space.
    dead_space_ml = count_needles(puncture) * needle.dead_space_ml
    draw_up_unverified = leans or needle.status is EvidenceStatus.UNVERIFIED
    return PunctureView(
        puncture_id=puncture.puncture_id,
        lesions=to_list_words(puncture.lesion_ids),
        entry_slice=find_slice_words(puncture.entry_lps_mm, grid, facts),
        tip_slice=find_slice_words(tip, grid, facts),
        lateral=lateral,
        lateral_zero=zero,
        lateral_mm=lateral_mm,
        in_plane=to_in_plane_words(puncture, gravity),
        in_plane_zero="0° = straight down" if not isinstance(gravity, NotEvaluable) else "zero unknown",
        tilt=to_tilt_words(puncture.craniocaudal_angle_deg),
        depth_capsule=_first_depth(puncture, LIVER_TISSUES, "the path does not enter the liver"),
        depth_lesion=_first_depth(
            puncture, frozenset({TissueClass.TARGET}), "the path does not enter the target"
        ),
        depth_tip=to_number_words(puncture.length_mm, unit="mm"),
        length_mm=puncture.length_mm,
        needle=to_cell(
            f"{needle.gauge} G, {needle.length_mm:.0f} mm",
            status=needle.status,
            note=f"{needle.name}; {needle.length_mm - puncture.length_mm:.0f} mm outside the skin at full depth",
        ),
        draw_up=Cell(
            text=to_ml_words(volume_ml + dead_space_ml),
            unverified=draw_up_unverified,
            note=f"{to_ml_words(volume_ml)} + dead space {to_ml_words(dead_space_ml)}",
        ),
        dose_total=Cell(text=to_ml_words(volume_ml), unverified=leans),
        capsule_angle=_say_angle(puncture.capsule_angle_deg),
        liver_before=to_number_words(puncture.liver_before_lesion_mm, unit="mm"),
        runs=_derive_runs(puncture),
        stops=_derive_stops(puncture, injections),
        clearances=_derive_clearances(puncture),
        terms=_derive_terms(puncture),
        track_count=len(puncture.tracks),
        risk=None if puncture.risk is None else _derive_risk(puncture.risk),
        tracks=derive_track_rows(puncture, unverified=leans),
        coaxial_depth=""
        if puncture.pivot_lps_mm is None
        else to_number_words(_depth(puncture, puncture.pivot_lps_mm), unit="mm"),
        sharing=say_sharing(puncture),
    )


def find_slice_words(point_lps_mm: FloatArray, grid: Grid, facts: ImageFacts) -> SliceWords:
    """Say on which acquired slice a point lies: position along the table and number of the image.

    The position is the scanner's slice location where the file has one, else the patient z of the slice.
    """
    axis = grid.slice_axis
    count = grid.shape[axis]
    index = grid.to_index(point_lps_mm)
    k = int(np.rint(index[axis]))
    if not 0 <= k < count:
        return SliceWords(position="n/e: outside the scan", image="n/e: outside the scan")
    if len(facts.slice_locations_mm) == count:
        position = f"{to_number_words(facts.slice_locations_mm[k], unit='mm')}"
    else:
        index[axis] = k
        position = f"z {to_number_words(float(grid.to_lps_mm(index)[2]), unit='mm')}"
    if len(facts.instance_numbers) == count:
        return SliceWords(position=position, image=f"image {facts.instance_numbers[k]}")
    end = "feet" if grid.directions[2, axis] > 0 else "head"
    return SliceWords(position=position, image=f"slice {k + 1} of {count} from the {end}")


def find_patient_gravity(plan: Plan) -> FloatArray | NotEvaluable:
    """Return gravity from the plan's Patient Position."""
    position = plan.patient_position
    return derive_gravity_lps(None if isinstance(position, NotEvaluable) else position)


def find_lateral_axis(gravity: FloatArray | NotEvaluable) -> tuple[FloatArray, str, str] | None:
    """Return the horizontal direction across the table with the words for its plus and minus side.

    Supine and prone it is the patient's left; lying on a side it is the patient's back. None where
    gravity is unknown.
    """
    if isinstance(gravity, NotEvaluable):
        return None
    if abs(gravity[1]) > abs(gravity[0]):
        return np.array([1.0, 0.0, 0.0]), "patient left", "patient right"
    return np.array([0.0, 1.0, 0.0]), "the patient's back", "the patient's front"


def to_in_plane_words(puncture: Puncture, gravity: FloatArray | NotEvaluable) -> str:
    """Say the in-plane angle: toward patient left or right, or front or back for a patient on the side.

    The size and, supine or prone, the sign are the plan's (positive toward patient left). On the side left
    and right are up and down, so the side word comes from the direction itself.
    """
    angle = puncture.in_plane_angle_deg
    if isinstance(angle, NotEvaluable):
        return to_not_evaluable_words(angle)
    size = f"{abs(angle):.1f}"
    if float(size) == 0.0:
        return "0.0° (straight down)"
    axis = find_lateral_axis(gravity)
    rising = ", pointing up" if abs(angle) > 90.0 else ""
    if axis is None or axis[0][0]:
        return f"{size}° toward patient {'left' if angle > 0 else 'right'}{rising}"
    tip = puncture.tracks[0].tip_lps_mm if puncture.tracks else puncture.entry_lps_mm
    tip = tip if puncture.pivot_lps_mm is None else puncture.pivot_lps_mm
    forward = float((tip - puncture.entry_lps_mm) @ axis[0]) > 0
    return f"{size}° toward {axis[1] if forward else axis[2]}{rising}"


def _say_lateral(
    entry_lps_mm: FloatArray, grid: Grid, gravity: FloatArray | NotEvaluable
) -> tuple[str, str, float | None]:
    axis = find_lateral_axis(gravity)
    if axis is None:
        return "n/e: Patient Position is unknown", "zero unknown", None
    direction, plus, minus = axis
    zero_mm = float(grid.bounds_lps_mm.mean(axis=0) @ direction)
    offset_mm = float(entry_lps_mm @ direction) - zero_mm
    letter = "x" if direction[0] else "y"
    zero = f"0 = middle of the image, {letter} {to_number_words(zero_mm, unit='mm')}"
    size = f"{abs(offset_mm):.0f} mm"
    if size == "0 mm":
        return "0 mm", zero, offset_mm
    return f"{size} to {plus if offset_mm > 0 else minus}", zero, offset_mm


def _depth(puncture: Puncture, point_lps_mm: FloatArray) -> float:
    return float(np.linalg.norm(point_lps_mm - puncture.entry_lps_mm))


def _first_depth(puncture: Puncture, tissues: frozenset[TissueClass], otherwise: str) -> str:
    depths = [run.from_mm for run in puncture.runs if run.tissue in tissues]
    return to_number_words(min(depths), unit="mm") if depths else f"n/e: {otherwise}"


def _say_angle(angle: float | NotEvaluable) -> str:
    return to_not_evaluable_words(angle) if isinstance(angle, NotEvaluable) else f"{angle:.0f}°"


def _sum_deposits(puncture: Puncture, injections: Mapping[str, Injection]) -> tuple[float, bool]:
    deposits = [deposit for track in puncture.tracks for deposit in track.deposits]
    return sum(d.volume_ml for d in deposits), any(_leans(d.lesion_id, injections) for d in deposits)


def _leans(lesion_id: str, injections: Mapping[str, Injection]) -> bool:
    injection = injections.get(lesion_id)
    return injection is not None and injection.status is EvidenceStatus.UNVERIFIED


def _derive_runs(puncture: Puncture) -> tuple[RunRow, ...]:
    rows = []
    for run in puncture.runs:
        word, hatch = PICTURED_TISSUES[run.tissue]
        rows.append(
            RunRow(
                from_mm=run.from_mm,
                to_mm=run.to_mm,
                depths=f"{run.from_mm:.1f} to {run.to_mm:.1f} mm",
                word=word,
                hatch=hatch,
                structure=ABSENT if run.structure is None else run.structure.value.replace("_", " "),
                hu=to_number_words(run.mean_hu, unit="HU", decimals=0),
            )
        )
    return tuple(rows)


def _derive_stops(puncture: Puncture, injections: Mapping[str, Injection]) -> tuple[StopRow, ...]:
    return tuple(
        row
        for number, track in enumerate(puncture.tracks, start=1)
        for row in _derive_track_stops(puncture, track, number, injections)
    )


def _derive_track_stops(
    puncture: Puncture, track: Track, number: int, injections: Mapping[str, Injection]
) -> list[StopRow]:
    rows: list[StopRow] = []
    chances = (
        {(item.track, item.order): item.in_target for item in puncture.risk.deposits} if puncture.risk else {}
    )
    previous_mm = measure_track_mm(puncture, track)
    for deposit in sorted(track.deposits, key=lambda item: item.order):
        depth_mm = measure_depth_mm(puncture, track, deposit.point_lps_mm)
        back_mm = previous_mm - depth_mm
        rows.append(
            StopRow(
                track=number,
                order=deposit.order,
                lesion_id=deposit.lesion_id,
                depth=to_number_words(depth_mm, unit="mm"),
                depth_mm=depth_mm,
                pull_back="at tip"
                if not rows and abs(back_mm) < 0.05
                else to_number_words(back_mm, unit="mm"),
                volume=Cell(
                    text=to_ml_words(deposit.volume_ml), unverified=_leans(deposit.lesion_id, injections)
                ),
                chance=to_chance_words(chances.get((number, deposit.order))),
            )
        )
        previous_mm = depth_mm
    return rows


def _slack_mm(clearance: Clearance) -> float:
    values = (clearance.clearance_mm, clearance.run_out_mm)
    known = [value for value in values if not isinstance(value, NotEvaluable)]
    # What cannot be judged comes first: it asks for a look.
    return min(known) - clearance.margin_mm if len(known) == len(values) else -np.inf


def _derive_clearances(puncture: Puncture) -> tuple[ClearanceRow, ...]:
    rows = []
    chances = {item.kind: item.touched for item in puncture.risk.structures} if puncture.risk else {}
    for item in sorted(puncture.clearances, key=lambda c: (_slack_mm(c), c.kind.value)):
        rows.append(
            ClearanceRow(
                name=item.kind.value.replace("_", " "),
                derived=item.derived,
                derived_note=DERIVED_NOTE if item.derived else "",
                clearance=to_number_words(item.clearance_mm, unit="mm"),
                margin=to_cell(f"{item.margin_mm:.0f} mm", status=item.status),
                run_out=to_number_words(item.run_out_mm, unit="mm"),
                tight=_slack_mm(item) < 0,
                touch=to_chance_words(chances.get(item.kind)),
            )
        )
    return tuple(rows)


def _derive_terms(puncture: Puncture) -> tuple[TermRow, ...]:
    return tuple(
        TermRow(
            name=term.name.replace("_", " "),
            value=f"{term.value:.3g} {term.unit}".strip(),
            weight=to_cell(f"{term.weight:.3g}", status=term.status),
            source=term.source,
        )
        for term in puncture.terms
    )


def _derive_risk(risk: PlacementRisk) -> RiskView:
    volume = risk.expected_in_target
    return RiskView(
        title=Cell(
            text=f"Placement error, {risk.model.name}, {to_count_words(risk.draws)} needles",
            unverified=risk.unverified,
        ),
        bound="lower bound" if risk.lower_bound else "",
        any_touched=to_chance_words(risk.any_touched),
        any_within_margin=to_chance_words(risk.any_within_margin),
        tip=to_chance_words(risk.tip_in_target),
        expected=f"{to_ml_words(round(volume.mean_ml, 2))} of {to_ml_words(volume.planned_ml)}",
    )
