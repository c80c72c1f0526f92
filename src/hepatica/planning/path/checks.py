"""Every limit of a path, hard and soft, as findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import StructureKind
from hepatica.core.errors import GeometryError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import FloatArray
from hepatica.imaging.mask import Mask
from hepatica.planning.path import kernels
from hepatica.planning.path.bent import measure_any_track
from hepatica.planning.path.entry import find_hub_under_table, is_on_skin, measure_implant_distance_mm
from hepatica.planning.path.measure import TrackMeasure, to_clearances
from hepatica.planning.path.neighbours import list_rib_findings
from hepatica.planning.path.pairs import ANGLE_TOLERANCE_DEG, LENGTH_TOLERANCE_MM
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.skin import derive_directions
from hepatica.planning.path.values import Puncture, TissueClass, Track

Check = Callable[[TrackMeasure, Scene], Iterator[Finding]]


def check_path(puncture: Puncture, scene: Scene) -> tuple[Finding, ...]:
    """Check any path from scratch: every track's hard and soft limits, and its deposits.

    Uses only where the puncture starts, where its tracks end and where its deposits lie, so that a path
    somebody drew by hand is judged like one from the search.

    Parameters
    ----------
    puncture
        Entry, tracks and lesion ids are used; lengths, angles and clearances in it are not.
    scene
        Scene.

    Returns
    -------
    tuple of Finding
        Errors (hard limits) first; empty where everything is kept.

    Raises
    ------
    NotFoundError
        If a lesion is unknown.
    GeometryError
        If a track has no length, or an end is not finite.
    """
    findings: list[Finding] = []
    for track in puncture.tracks:
        lesion_id = track.deposits[0].lesion_id if track.deposits else puncture.lesion_ids[0]
        pivot = puncture.pivot_lps_mm
        bends = [puncture.entry_lps_mm, *([] if pivot is None else [pivot]), track.tip_lps_mm]
        for way in np.diff(np.array(bends, float), axis=0):
            if not np.isfinite(way).all() or float(np.linalg.norm(way)) < LENGTH_TOLERANCE_MM:
                raise GeometryError(
                    expected="an entry, a coaxial tip where there is one, and a tip that differ",
                    given=f"a way of {way.tolist()} mm",
                    where=puncture.puncture_id,
                )
        tissue = scene.paint_target(lesion_id)
        findings.extend(_check_track(puncture, track, scene, tissue=tissue, lesion_id=lesion_id))
    findings.extend(_check_deposits(puncture, scene))
    order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    unique = tuple(dict.fromkeys(findings))
    return tuple(sorted(unique, key=lambda finding: order.index(finding.severity)))


def _check_track(
    puncture: Puncture, track: Track, scene: Scene, *, tissue: NDArray[np.uint8], lesion_id: str
) -> Iterator[Finding]:
    measure = measure_any_track(
        scene, tissue, lesion_id=lesion_id, ends_lps_mm=(puncture.entry_lps_mm, track.tip_lps_mm),
        pivot_lps_mm=puncture.pivot_lps_mm,
    )  # fmt: skip
    yield from check_measure(measure, scene)
    pivot = puncture.pivot_lps_mm
    if pivot is None:
        return
    turn = derive_redirection_deg(puncture.entry_lps_mm, pivot, track.tip_lps_mm)
    rule = scene.limits["redirect_max"]
    if turn > rule.number + ANGLE_TOLERANCE_DEG:
        yield _hard(rule, measure, turn, "The inner needle turns too far at the coaxial tip.")
    index = np.floor(scene.grid.to_index(pivot) + 0.5).astype(int)
    in_scan = bool((index >= 0).all() and (index < tissue.shape).all())
    if not in_scan or tissue[tuple(index)] & kernels.CODE_MASK != kernels.CODE_LIVER:
        yield _hard(rule, measure, turn, "The coaxial tip does not lie in liver.", name="pivot_in_liver")
    outer_mm = float(np.linalg.norm(pivot - puncture.entry_lps_mm)) - LENGTH_TOLERANCE_MM
    if any(run.tissue is TissueClass.TARGET and run.from_mm < outer_mm for run in measure.runs):
        message = "The coaxial needle does not end short of the lesion."
        yield _hard(rule, measure, turn, message, name="pivot_short_of_lesion")


def check_measure(measure: TrackMeasure, scene: Scene) -> tuple[Finding, ...]:
    """Return the findings of one measured track: `Severity.ERROR` where a hard limit is broken."""
    return tuple(finding for check in CHECKS for finding in check(measure, scene))


def _check_length(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    limits, length = scene.limits, measure.length_mm
    if length > limits["length_max"].number + LENGTH_TOLERANCE_MM:
        yield _hard(limits["length_max"], measure, length, "The path is longer than any path may be.")
    elif length > limits["length_warn"].number:
        yield _soft(limits["length_warn"], measure, length, "The path is long.", Severity.WARNING)
    if length < limits["length_min"].number - LENGTH_TOLERANCE_MM:
        yield _hard(limits["length_min"], measure, length, "The path is shorter than any path may be.")
    needed = length + scene.needle.hub_allowance_mm
    if needed > scene.needle.length_mm + LENGTH_TOLERANCE_MM:
        yield Finding(
            rule="path.needle_length",
            severity=Severity.ERROR,
            message=f"The needle '{scene.needle.name}' is too short for this path and its hub.",
            measured=needed,
            limit=scene.needle.length_mm,
            unit="mm",
            source=scene.needle.source,
            status=scene.needle.status,
            subject=measure.lesion_id,
        )


def _check_tilt(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    limits, tilt = scene.limits, abs(measure.craniocaudal_angle_deg)
    if tilt > limits["tilt_max"].number + ANGLE_TOLERANCE_DEG:
        yield _hard(limits["tilt_max"], measure, tilt, "The path leaves the axial plane too steeply.")
    elif tilt > limits["tilt_warn"].number:
        yield _soft(
            limits["tilt_warn"], measure, tilt, "The path leaves the axial plane steeply.", Severity.WARNING
        )
    elif tilt > limits["tilt_prefer"].number:
        yield _soft(limits["tilt_prefer"], measure, tilt, "The path leaves the axial plane.")


def _check_entry(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    limits = scene.limits
    entry, tip = measure.entry_lps_mm[None], measure.tip_lps_mm[None]
    direction = -derive_directions(
        entry,
        grid=scene.grid,
        tissue=scene.tissue,
        flag=kernels.BODY_FLAG,
        sigma_mm=limits["capsule_sigma"].number,
    )[0]
    if not np.isfinite(direction).all() or not is_on_skin(scene, measure.entry_lps_mm):
        yield Finding(
            rule="path.entry_on_skin",
            severity=Severity.ERROR,
            message="The entry does not lie where the body meets air.",
            status=EvidenceStatus.DERIVED,
            subject=measure.lesion_id,
        )
        return
    rule = limits["entry_facing_down_max"]
    if isinstance(scene.gravity_lps, NotEvaluable):
        message = f"Whether the entry lies on the table is {scene.gravity_lps}."
        yield _soft(rule, measure, str(scene.gravity_lps), message, Severity.WARNING, name="table_side")
    else:
        down = float(np.degrees(np.arcsin(np.clip(direction @ scene.gravity_lps, -1.0, 1.0))))
        if down > rule.number + ANGLE_TOLERANCE_DEG:
            yield _hard(
                rule, measure, down, "The entry lies on the side the patient lies on.", name="table_side"
            )
        if find_hub_under_table(scene, entry, tip)[0]:
            yield _hard(
                rule, measure, down, "The needle's hub would be below the table top.", name="table_side"
            )
    rule = limits["entry_implant_distance"]
    distance = float(measure_implant_distance_mm(scene, entry, up_to_mm=rule.number)[0])
    if distance < rule.number:
        yield _hard(rule, measure, distance, "The entry lies too near to an implant.")


def _check_liver(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    limits, before = scene.limits, measure.liver_before_lesion_mm
    if before < limits["liver_before_lesion_min"].number - LENGTH_TOLERANCE_MM:
        message = "Too little liver lies on the way right before the lesion to seal the track."
        yield _hard(limits["liver_before_lesion_min"], measure, before, message)
    angle = measure.capsule_angle_deg
    rule = limits["capsule_angle_min"]
    if isinstance(angle, NotEvaluable):
        yield _hard(rule, measure, str(angle), f"The angle to the liver capsule is {angle}.")
    elif angle < rule.number - ANGLE_TOLERANCE_DEG:
        yield _hard(rule, measure, angle, "The path meets the liver capsule too flatly.")
    elif angle < limits["capsule_angle_prefer"].number:
        yield _soft(
            limits["capsule_angle_prefer"], measure, angle, "The path meets the liver capsule flatly."
        )
    if measure.gap_mm > 0:
        yield Finding(
            rule="path.liver_reentry",
            severity=Severity.WARNING,
            message="The path leaves the liver and enters it again before its tip.",
            measured=measure.gap_mm,
            limit=0.0,
            unit="mm",
            status=EvidenceStatus.DERIVED,
            subject=measure.lesion_id,
        )


def _check_lesions(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    if measure.crosses_other_lesion:
        yield Finding(
            rule="path.other_lesion",
            severity=Severity.ERROR,
            message="The path goes through another lesion.",
            status=EvidenceStatus.DERIVED,
            subject=measure.lesion_id,
        )
    _, target = scene.find_lesion(measure.lesion_id)
    if not contains(target, measure.tip_lps_mm):
        yield Finding(
            rule="path.tip_in_target",
            severity=Severity.ERROR,
            message="The tip does not lie in the part of the lesion that is to be injected.",
            status=EvidenceStatus.DERIVED,
            subject=measure.lesion_id,
        )
    entered = [run for run in measure.runs if run.tissue is TissueClass.TARGET]
    if len(entered) > 1:
        yield Finding(
            rule="path.lesion_reentry",
            severity=Severity.INFO,
            message="The path leaves the lesion and enters it again before its tip.",
            measured=float(len(entered)),
            limit=1.0,
            status=EvidenceStatus.DERIVED,
            subject=measure.lesion_id,
        )


def _check_air(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    rule = scene.limits["unlabelled_air_max"]
    if measure.unlabelled_air_mm > rule.number:
        message = "The path goes through air inside the body that no label names, such as lung or gut."
        yield _hard(rule, measure, measure.unlabelled_air_mm, message)


def _check_clearances(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    radius = scene.needle_radius_mm
    for number, layer in enumerate(scene.obstacles.layers):
        rule = f"clearance.{layer.kind.value}"
        margin = layer.margin.number
        clearance = float(measure.distances_mm[number]) - radius
        if clearance < margin:
            yield _hard(
                layer.margin,
                measure,
                clearance,
                f"Too near to {_name(layer.kind, layer.derived)}.",
                name=rule,
            )
            continue
        beyond = float(measure.run_out_outside_mm[number]) - radius
        if beyond < margin:
            message = f"Beyond the tip and outside the liver, too near to {_name(layer.kind, layer.derived)}."
            yield _hard(layer.margin, measure, beyond, message, name=f"run_out.{layer.kind.value}")
            continue
        beyond = float(measure.run_out_mm[number]) - radius
        if beyond < margin:
            message = f"Going too deep would come near to {_name(layer.kind, layer.derived)}."
            rule = f"run_out.{layer.kind.value}"
            yield _soft(layer.margin, measure, beyond, message, Severity.WARNING, name=rule)


def _check_face(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    if measure.face_distance_mm < scene.largest_margin_mm:
        unknown = [
            c.kind.value for c in to_clearances(scene, measure) if isinstance(c.clearance_mm, NotEvaluable)
        ]
        yield Finding(
            rule="path.volume_face",
            severity=Severity.WARNING,
            message="The scan ends near the path; what lies beyond cannot be judged"
            + (f" (among it {', '.join(unknown)})." if unknown else "."),
            measured=measure.face_distance_mm,
            limit=scene.largest_margin_mm,
            unit="mm",
            source=scene.limits.name,
            status=EvidenceStatus.UNVERIFIED,
            subject=measure.lesion_id,
        )


def _check_prior(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    rule = scene.limits["prior_track_distance"]
    if measure.prior_distance_mm < rule.number:
        yield _hard(
            rule,
            measure,
            measure.prior_distance_mm,
            "The path follows or crosses a track of an earlier visit.",
        )


def _check_vessels(measure: TrackMeasure, scene: Scene) -> Iterator[Finding]:
    crossed = [run for run in measure.runs if run.tissue is TissueClass.VESSEL]
    if crossed:
        rule = scene.limits["vessel_calibre"]
        names = ", ".join(sorted({run.structure.value for run in crossed if run.structure}))
        message = f"Crosses vessel ({names}); narrower vessels than the limit are reported, not forbidden."
        total = sum(run.to_mm - run.from_mm for run in crossed)
        yield Finding(
            rule="path.vessel_crossed",
            severity=Severity.INFO,
            message=message,
            measured=total,
            limit="",
            unit="mm",
            source=rule.source,
            status=rule.status,
            subject=measure.lesion_id,
        )


def _check_deposits(puncture: Puncture, scene: Scene) -> Iterator[Finding]:
    for track in puncture.tracks:
        for deposit in track.deposits:
            target = scene.find_lesion(deposit.lesion_id)[1]
            if not contains(target, deposit.point_lps_mm):
                yield Finding(
                    rule="path.deposit_in_target",
                    severity=Severity.ERROR,
                    message=f"Deposit {deposit.order} lies outside the part of the lesion to be injected.",
                    status=EvidenceStatus.DERIVED,
                    subject=deposit.lesion_id,
                )


def contains(mask: Mask, point_lps_mm: FloatArray) -> bool:
    """Whether a point lies in a voxel of a mask."""
    index = np.floor(mask.grid.to_index(np.asarray(point_lps_mm)) + 0.5).astype(int) - np.array(
        mask.start_ijk
    )
    if (index < 0).any() or (index >= mask.crop.shape).any():
        return False
    return bool(mask.crop[tuple(index)])


def _name(kind: StructureKind, derived: bool) -> str:  # noqa: FBT001
    return kind.value.replace("_", " ") + (" (derived, not reviewed)" if derived else "")


def _hard(
    evidence: Evidence, measure: TrackMeasure, measured: float | str, message: str, *, name: str = ""
) -> Finding:
    return _soft(evidence, measure, measured, message, Severity.ERROR, name=name)


def _soft(
    evidence: Evidence,
    measure: TrackMeasure,
    measured: float | str,
    message: str,
    severity: Severity = Severity.INFO,
    *,
    name: str = "",
) -> Finding:
    return Finding.from_limit(
        evidence,
        rule=f"path.{name or evidence.key}",
        severity=severity,
        message=message,
        measured=measured,
        subject=measure.lesion_id,
    )


CHECKS: Final[tuple[Check, ...]] = (
    _check_length,
    _check_tilt,
    _check_entry,
    _check_liver,
    _check_lesions,
    _check_clearances,
    _check_air,
    _check_face,
    _check_prior,
    _check_vessels,
    list_rib_findings,
)
"""One function for each group of limits; the order is the order of the findings."""
