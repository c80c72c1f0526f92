"""Measurement groups of the plan report: one for the plan, one for each lesion, one for each puncture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from hepatica.adapters.dicom.codes import to_code, to_structure_codes, to_unit_code
from hepatica.anatomy.structures import Origin, StructureKind
from hepatica.core.findings import NotEvaluable
from hepatica.core.provenance import derive_uid
from hepatica.lesions.lesion import Diameter, Lesion
from hepatica.planning.dose.values import Injection
from hepatica.planning.path.redirection import derive_redirection_deg, measure_track_mm
from hepatica.planning.path.values import Clearance, Puncture, Track
from hepatica.planning.plan import PlanStatus
from hepatica.workflows.ports import PlanContext

NUMBER_DECIMALS: Final = 6
"""Decimals of every number, the same as in plan.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReference:
    """Where the segment of a lesion was written."""

    sop_instance_uid: str
    segment_number: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportFrame:
    """What every group needs beside the plan.

    Parameters
    ----------
    context
        The plan.
    frame_of_reference
        Frame of the coordinates.
    source_series_uid
        Series the segments were drawn on.
    tracking_uids
        Tracking UID by lesion id.
    segments
        Segment by lesion tracking UID.
    notes
        What had to be filled in because the source lacks it.
    """

    context: PlanContext
    frame_of_reference: str
    source_series_uid: str
    tracking_uids: Mapping[str, str]
    segments: Mapping[str, SegmentReference]
    notes: tuple[str, ...] = ()


def make_groups(frame: ReportFrame) -> list[Any]:
    """Return the measurement groups in order: plan, lesions, punctures, backups."""
    plan = frame.context.plan
    groups = [_make_plan_group(frame)]
    groups.extend(_make_lesion_group(frame, lesion) for lesion in plan.lesions)
    groups.extend(_make_puncture_group(frame, puncture, finding="needle_path") for puncture in plan.punctures)
    groups.extend(_make_puncture_group(frame, puncture, finding="backup_path") for puncture in plan.backups)
    return groups


def _make_plan_group(frame: ReportFrame) -> Any:
    import highdicom as hd

    plan = frame.context.plan
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_track(f"visit {plan.visit}", derive_uid(frame.context.manifest.run_id, "plan")),
        finding_type=to_code("concept", "injection_plan"),
        finding_sites=[_site("liver")],
        measurements=[_measure("total_volume", plan.allocation.total_ml, "ml")],
        qualitative_evaluations=[_evaluate_status(plan.status), _evaluate_review(derived=True)],
    )
    lines = ["Research use, not a medical device.", f"Plan {plan.plan_id}, protocol {plan.protocol.name}."]
    lines.extend(plan.protocol.notices)
    if plan.missing_structures:
        lines.append(f"Neither labelled nor declared absent: {', '.join(plan.missing_structures)}.")
    lines.extend(frame.notes)
    _append_comments(group, lines)
    return group


def _make_lesion_group(frame: ReportFrame, lesion: Lesion) -> Any:
    import highdicom as hd

    tracking_uid = frame.tracking_uids[lesion.lesion_id]
    segment = frame.segments.get(tracking_uid)
    source = frame.context.anatomy.sources.get(StructureKind.LESION)
    derived = source is None or source.origin is Origin.DERIVED
    common: dict[str, Any] = {
        "tracking_identifier": _track(lesion.lesion_id, tracking_uid),
        "finding_category": to_structure_codes("lesion")[0],
        "finding_type": to_structure_codes("lesion")[1],
        "finding_sites": [_site("liver")],
        "measurements": list(_measure_lesion(frame, lesion)),
        "qualitative_evaluations": [_evaluate_review(derived=derived)],
    }
    group: Any
    if segment is None:
        group = hd.sr.MeasurementsAndQualitativeEvaluations(**common)
    else:
        group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=hd.sr.ReferencedSegment(
                sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
                sop_instance_uid=segment.sop_instance_uid,
                segment_number=segment.segment_number,
                source_series=hd.sr.SourceSeriesForSegmentation(frame.source_series_uid),
            ),
            **common,
        )
    _add_diameter_ends(frame, group, lesion)
    injection = _find_injection(frame, lesion.lesion_id)
    _append_comments(group, _comment_lesion(lesion, injection))
    return group


def _measure_lesion(frame: ReportFrame, lesion: Lesion) -> Iterator[Any]:
    for name, diameter in _list_diameters(lesion):
        yield _measure(name, diameter.length_mm, "mm")
    yield _measure("volume", lesion.volume_ml, "ml")
    yield _measure("volume_uncertainty", lesion.volume_uncertainty_ml, "ml")
    injection = _find_injection(frame, lesion.lesion_id)
    if injection is None:
        return
    yield _measure("planned_volume", injection.volume_ml, "ml")
    if not isinstance(injection.dose, NotEvaluable):
        yield _measure("planned_dose", injection.dose, injection.dose_unit)
    if injection.undelivered_ml > 0:
        yield _measure("undelivered", injection.undelivered_ml, "ml")


def _list_diameters(lesion: Lesion) -> list[tuple[str, Diameter]]:
    named = [("long_axis", lesion.longest_diameter), ("longest_3d", lesion.longest_diameter_3d)]
    if not isinstance(lesion.short_axis, NotEvaluable):
        named.insert(1, ("short_axis", lesion.short_axis))
    return named


def _add_diameter_ends(frame: ReportFrame, group: Any, lesion: Lesion) -> None:
    """Hang the two ends of each diameter below its number.

    The library refuses coordinates inside a region-of-interest group because the region already says where;
    the template is extensible, and the ends say which chord of the region was measured.
    """
    from highdicom.sr import ContentSequence

    ends = {to_code("concept", name).value: d.ends_lps_mm for name, d in _list_diameters(lesion)}
    for item in group[0].ContentSequence:
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue in ends:
            points = ends[item.ConceptNameCodeSequence[0].CodeValue]
            item.ContentSequence = ContentSequence([_coordinates(frame, "POLYLINE", points, purpose="path")])


def _comment_lesion(lesion: Lesion, injection: Injection | None) -> Iterator[str]:
    if isinstance(lesion.short_axis, NotEvaluable):
        yield f"Short axis {lesion.short_axis}."
    if isinstance(lesion.viable, NotEvaluable):
        yield f"Viable part {lesion.viable}."
    if injection is None:
        yield "Not injected at this visit."
        return
    yield f"Rule: {injection.rule} ({injection.source}; {injection.status.value})."
    if isinstance(injection.dose, NotEvaluable):
        yield f"Planned dose {injection.dose}."
    if injection.reason:
        yield injection.reason
    if injection.undelivered_reason:
        yield injection.undelivered_reason


def _make_puncture_group(frame: ReportFrame, puncture: Puncture, *, finding: str) -> Any:
    import highdicom as hd

    name = puncture.puncture_id
    measurements = [_measure("puncture_length", puncture.length_mm, "mm")]
    measurements.extend(_measure_angles(puncture))
    for clearance in puncture.clearances:
        measurements.extend(_measure_clearance(clearance))
    for number, track in enumerate(puncture.tracks, start=1):
        measurements.extend(_measure_track(frame, puncture, track=track, number=number))
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_track(name, derive_uid(frame.context.manifest.run_id, "puncture", name)),
        finding_type=to_code("concept", finding),
        finding_sites=[_site("liver")],
        measurements=measurements,
        qualitative_evaluations=[_evaluate_status(frame.context.plan.status), _evaluate_review(derived=True)],
    )
    for lesion_id in puncture.lesion_ids:
        if lesion_id in frame.tracking_uids:
            item = hd.sr.UIDRefContentItem(
                name=to_code("concept", "target_lesion"),
                value=frame.tracking_uids[lesion_id],
                relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
            )
            group[0].ContentSequence.append(item)
    _append_comments(group, _comment_puncture(puncture))
    return group


def _measure_angles(puncture: Puncture) -> Iterator[Any]:
    for name, value in (
        ("in_plane_angle", puncture.in_plane_angle_deg),
        ("craniocaudal_angle", puncture.craniocaudal_angle_deg),
        ("capsule_angle", puncture.capsule_angle_deg),
    ):
        if not isinstance(value, NotEvaluable):
            yield _measure(name, value, "deg")
    yield _measure("liver_before_lesion", puncture.liver_before_lesion_mm, "mm")


def _measure_clearance(clearance: Clearance) -> Iterator[Any]:
    for name, value in (("clearance", clearance.clearance_mm), ("run_out_clearance", clearance.run_out_mm)):
        if not isinstance(value, NotEvaluable):
            yield _measure(name, value, "mm", site=clearance.kind.value, derived=clearance.derived)


def _measure_track(frame: ReportFrame, puncture: Puncture, *, track: Track, number: int) -> Iterator[Any]:
    """Give the way of one track as a line from skin to tip, over the coaxial tip, and each deposit as a point."""
    run_id = frame.context.manifest.run_id
    name = f"{puncture.puncture_id} track {number}"
    pivot = puncture.pivot_lps_mm
    corners = [puncture.entry_lps_mm, track.tip_lps_mm]
    line = np.stack(corners if pivot is None else [corners[0], pivot, corners[1]])
    yield _measure(
        "track_length",
        measure_track_mm(puncture, track),
        "mm",
        tracking=_track(name, derive_uid(run_id, name)),
        coordinates=_coordinates(frame, "POLYLINE", line, purpose="path"),
    )
    if pivot is not None:
        yield _measure(
            "redirection_angle",
            derive_redirection_deg(puncture.entry_lps_mm, pivot, track.tip_lps_mm),
            "deg",
            tracking=_track(name, derive_uid(run_id, name)),
            coordinates=_coordinates(frame, "POINT", [pivot], purpose="coaxial_tip"),
        )
    for deposit in track.deposits:
        label = f"{name} deposit {deposit.order} in {deposit.lesion_id}"
        yield _measure(
            "deposit_volume",
            deposit.volume_ml,
            "ml",
            tracking=_track(label, derive_uid(run_id, label)),
            coordinates=_coordinates(frame, "POINT", [deposit.point_lps_mm], purpose="deposit_point"),
        )


def _comment_puncture(puncture: Puncture) -> Iterator[str]:
    needle = puncture.needle
    yield f"Needle: {needle.name}, {needle.gauge} G, {needle.length_mm:g} mm."
    yield f"Lesions: {', '.join(puncture.lesion_ids)}."
    if puncture.pivot_lps_mm is not None:
        yield f"Coaxial needle; {len(puncture.tracks)} tracks from its tip, a fresh inner needle for each lesion."
    if puncture.shares_skin_with:
        yield f"Through the same hole in the skin as {', '.join(puncture.shares_skin_with)}, with a fresh needle."
    for word, value in (
        ("In-plane angle", puncture.in_plane_angle_deg),
        ("Capsule angle", puncture.capsule_angle_deg),
    ):
        if isinstance(value, NotEvaluable):
            yield f"{word} {value}."
    for clearance in puncture.clearances:
        word = clearance.kind.value.replace("_", " ")
        if isinstance(clearance.clearance_mm, NotEvaluable):
            yield f"Clearance to {word} {clearance.clearance_mm}."
        if isinstance(clearance.run_out_mm, NotEvaluable):
            yield f"Run-out clearance to {word} {clearance.run_out_mm}."
    for finding in puncture.findings:
        yield f"{finding.severity.value}: {finding.message}"


def _find_injection(frame: ReportFrame, lesion_id: str) -> Injection | None:
    injections = frame.context.plan.allocation.injections
    return next((injection for injection in injections if injection.lesion_id == lesion_id), None)


def _measure(
    concept: str,
    value: float,
    unit: str,
    *,
    site: str = "",
    derived: bool = False,
    tracking: Any = None,
    coordinates: Any = None,
) -> Any:
    import highdicom as hd

    return hd.sr.Measurement(
        name=to_code("concept", concept),
        value=round(float(value), NUMBER_DECIMALS),
        unit=to_unit_code(unit),
        tracking_identifier=tracking,
        method=to_code("concept", "derived_not_reviewed") if derived else None,
        finding_sites=[_site(site)] if site else None,
        referenced_coordinates=[coordinates] if coordinates is not None else None,
    )


def _coordinates(frame: ReportFrame, graphic_type: str, points_lps_mm: ArrayLike, *, purpose: str) -> Any:
    import highdicom as hd

    return hd.sr.CoordinatesForMeasurement3D(
        graphic_type=graphic_type,
        graphic_data=np.asarray(points_lps_mm, dtype=np.float64),
        frame_of_reference_uid=frame.frame_of_reference,
        purpose=to_code("concept", purpose),
    )


def _site(structure: str) -> Any:
    import highdicom as hd

    return hd.sr.FindingSite(anatomic_location=to_structure_codes(structure)[1])


def _track(name: str, uid: str) -> Any:
    import highdicom as hd

    return hd.sr.TrackingIdentifier(uid=uid, identifier=name)


def _evaluate_status(status: PlanStatus) -> Any:
    import highdicom as hd

    return hd.sr.QualitativeEvaluation(
        name=to_code("concept", "plan_status"), value=to_code("concept", status.value)
    )


def _evaluate_review(*, derived: bool) -> Any:
    import highdicom as hd

    return hd.sr.QualitativeEvaluation(
        name=to_code("concept", "review_status"),
        value=to_code("concept", "derived_not_reviewed" if derived else "supplied_label"),
    )


def _append_comments(group: Any, lines: Iterable[str] | Sequence[str]) -> None:
    """Append one text item for each line; what has no number is said in words, never left out."""
    import highdicom as hd

    for line in lines:
        item = hd.sr.TextContentItem(
            name=to_code("concept", "comment"),
            value=line,
            relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
        )
        group[0].ContentSequence.append(item)
