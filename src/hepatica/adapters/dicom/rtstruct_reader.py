"""RTSTRUCT contours as masks on the grid of a scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hepatica.adapters.dicom.headers import to_text
from hepatica.core.errors import GeometryError, SourceFormatError, refuse_unreadable
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray, Grid
from hepatica.core.progress import Progress
from hepatica.imaging.contours import SAME_PLANE_TOLERANCE_MM, FilledPlanes, fill_slices
from hepatica.imaging.mask import Mask
from hepatica.imaging.resample import resample_mask

if TYPE_CHECKING:
    from pydicom import Dataset

PLANAR_TOLERANCE_MM: Final = 0.1
"""Points of one contour may leave its plane by rounding of coordinates, not by more."""
MAX_POINTS: Final = 20_000_000
"""Points of one object; a whole-body set of fine contours stays below a million."""
_CLOSED: Final = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoiMask:
    """One region of interest on the grid of the scan: name as written, coded meaning and voxels."""

    name: str
    meaning: str
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Roi:
    name: str
    meaning: str
    frame_of_reference: str
    contours: tuple[FloatArray, ...]
    other_shapes: int


def read_rois(
    dataset: Dataset,
    *,
    reference: Grid,
    known_instances: Sequence[str],
    where: str,
    progress: Progress,
) -> tuple[tuple[RoiMask, ...], tuple[Finding, ...]]:
    """Read every region of interest onto the slices of a scan.

    Contours are filled by the even-odd rule; where their planes are not the scan's slices, shapes are
    interpolated
    between neighbouring planes (`hepatica.imaging.contours.fill_slices`).

    Parameters
    ----------
    dataset
        An RT Structure Set.
    reference
        Grid of the scan.
    known_instances
        SOP Instance UIDs of the scan's slices; references to others are a finding. Empty: not compared.
    where
        Which file, for messages.

    Raises
    ------
    FrameMismatchError
        If a region was drawn in another frame of reference.
    GeometryError
        If a contour is not planar.
    SourceFormatError
        If the object is damaged.
    """
    progress.stage("filling contours")
    rois = _collect_rois(dataset, where=where)
    findings = _describe_references(dataset, known_instances=known_instances, where=where)
    masks = []
    for n, roi in enumerate(rois):
        progress.check_cancelled()
        _require_frame(roi, reference, where=where)
        if roi.other_shapes:
            message = f"{roi.other_shapes} shape(s) of '{roi.name}' are no closed contours and were left out."
            findings.append(_finding("labels.open_contours", Severity.INFO, message, roi.name))
        mask, noticed = _fill_roi(roi, reference, where=where)
        findings.extend(noticed)
        if mask is not None:
            masks.append(RoiMask(name=roi.name, meaning=roi.meaning, mask=mask))
        progress.advance((n + 1) / len(rois))
    return tuple(masks), tuple(findings)


def _collect_rois(dataset: Dataset, *, where: str) -> list[_Roi]:
    with refuse_unreadable(expected="a complete RT Structure Set", where=where):
        meanings = _collect_meanings(dataset)
        drawn = {
            int(item.ReferencedROINumber): item.get("ContourSequence") or []
            for item in dataset.get("ROIContourSequence") or []
        }
        default_frame = _first_frame(dataset)
        rois: list[_Roi] = []
        used: set[str] = set()
        for item in dataset.get("StructureSetROISequence") or []:
            number = int(item.ROINumber)
            name = to_text(item, "ROIName") or f"region {number}"
            name = f"{name} {number}" if name in used else name
            used.add(name)
            contours, others = _collect_contours(drawn.get(number, []))
            rois.append(
                _Roi(
                    name=name,
                    meaning=meanings.get(number, ""),
                    frame_of_reference=to_text(item, "ReferencedFrameOfReferenceUID") or default_frame,
                    contours=contours,
                    other_shapes=others,
                )
            )
    if not rois or sum(len(points) for roi in rois for points in roi.contours) > MAX_POINTS:
        raise SourceFormatError(
            expected=f"regions of interest with at most {MAX_POINTS} points",
            given=f"{len(rois)} region(s)",
            where=where,
        )
    return rois


def _collect_meanings(dataset: Dataset) -> Mapping[int, str]:
    meanings = {}
    for item in dataset.get("RTROIObservationsSequence") or []:
        codes = item.get("RTROIIdentificationCodeSequence")
        if codes:
            meanings[int(item.ReferencedROINumber)] = to_text(codes[0], "CodeMeaning")
    return meanings


def _first_frame(dataset: Dataset) -> str:
    frames = dataset.get("ReferencedFrameOfReferenceSequence") or []
    return to_text(frames[0], "FrameOfReferenceUID") if frames else to_text(dataset, "FrameOfReferenceUID")


def _collect_contours(items: Sequence[Any]) -> tuple[tuple[FloatArray, ...], int]:
    contours, others = [], 0
    for item in items:
        points = np.array([float(value) for value in item.get("ContourData") or []]).reshape(-1, 3)
        if (
            to_text(item, "ContourGeometricType") in _CLOSED
            and len(points) >= 3
            and np.isfinite(points).all()
        ):
            contours.append(points)
        else:
            others += 1
    return tuple(contours), others


def _require_frame(roi: _Roi, reference: Grid, *, where: str) -> None:
    own = Grid(shape=(1, 1, 1), lps_from_ijk=np.eye(4), frame_of_reference=roi.frame_of_reference or None)
    reference.require_same_frame(own, where=f"{where}, region '{roi.name}'")


def _describe_references(dataset: Dataset, *, known_instances: Sequence[str], where: str) -> list[Finding]:
    referenced = {
        to_text(image, "ReferencedSOPInstanceUID")
        for item in dataset.get("ROIContourSequence") or []
        for contour in item.get("ContourSequence") or []
        for image in contour.get("ContourImageSequence") or []
    }
    dangling = referenced - set(known_instances)
    if not dangling or not known_instances:
        return []
    message = (
        f"{len(dangling)} of {len(referenced)} images the contours refer to are not in the scan; contours "
        f"were placed "
        "by their coordinates."
    )
    return [_finding("labels.dangling_references", Severity.INFO, message, where)]


def _fill_roi(roi: _Roi, reference: Grid, *, where: str) -> tuple[Mask | None, list[Finding]]:
    if not roi.contours:
        message = f"'{roi.name}' has no closed contour."
        return None, [_finding("labels.empty_segment", Severity.WARNING, message, roi.name)]
    axis = _find_axis(roi.contours, reference)
    if axis is None:
        mask, filled = _fill_oblique(roi, reference, where=where)
    else:
        mask, filled = _fill_aligned(roi.contours, reference, axis=axis)
    findings = _describe_filling(roi, reference, filled=filled)
    if mask is None:
        message = f"'{roi.name}' has no voxel inside the scan."
        findings = [_finding("labels.vanished", Severity.WARNING, message, roi.name)]
    return mask, findings


def _find_axis(contours: Sequence[FloatArray], grid: Grid) -> int | None:
    """Find the voxel axis along which every contour is flat; the slice axis is asked first."""
    spans = np.max([np.ptp(grid.to_index(points), axis=0) * grid.spacing_mm for points in contours], axis=0)
    for axis in (grid.slice_axis, 0, 1, 2):
        if spans[axis] <= PLANAR_TOLERANCE_MM:
            return axis
    return None


def _fill_aligned(
    contours: Sequence[FloatArray], grid: Grid, *, axis: int
) -> tuple[Mask | None, FilledPlanes]:
    across, down = (other for other in range(3) if other != axis)
    spacing = grid.spacing_mm
    flat = []
    for points in contours:
        index = grid.to_index(points)
        flat.append((float(index[:, axis].mean() * spacing[axis]), index[:, (across, down)]))
    filled = fill_slices(
        flat,
        positions_mm=np.arange(grid.shape[axis]) * spacing[axis],
        shape=(grid.shape[down], grid.shape[across]),
        pixel_spacing_mm=(float(spacing[down]), float(spacing[across])),
    )
    if not filled.planes.any():
        return None, filled
    # planes has axes (axis, down, across); across < down always.
    return Mask.from_full(np.moveaxis(filled.planes.transpose(0, 2, 1), 0, axis), grid=grid), filled


def _fill_oblique(roi: _Roi, reference: Grid, *, where: str) -> tuple[Mask | None, FilledPlanes]:
    """Fill contours that are oblique to the scan on a grid of their own, then take the nearest voxel."""
    largest = max(roi.contours, key=len)
    _, _, turned = np.linalg.svd(largest - largest.mean(axis=0), full_matrices=False)
    normal = turned[2] / np.linalg.norm(turned[2])
    if max(float(np.ptp(points @ normal)) for points in roi.contours) > PLANAR_TOLERANCE_MM:
        raise GeometryError(
            expected="planar contours in parallel planes",
            given="contours that are not",
            where=f"{where}, region '{roi.name}'",
            action="export the structures as DICOM SEG",
        )
    directions = np.stack([turned[0], np.cross(normal, turned[0]), normal], axis=1)
    points = np.concatenate(roi.contours) @ directions
    step = float(reference.spacing_mm.min()) / 2
    low, high = points.min(axis=0) - 10 * step, points.max(axis=0) + 10 * step
    shape = np.ceil((high - low) / step).astype(int) + 1
    grid = Grid.from_axes(
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        spacing_mm=(step, step, step),
        origin_lps_mm=directions @ low,
        directions=directions,
        frame_of_reference=reference.frame_of_reference,
    )
    mask, filled = _fill_aligned(roi.contours, grid, axis=2)
    return (None if mask is None else resample_mask(mask, target=reference)), filled


def _describe_filling(roi: _Roi, reference: Grid, *, filled: FilledPlanes) -> list[Finding]:
    findings = []
    axis = reference.slice_axis
    at = np.array([reference.to_index(points)[:, axis].mean() for points in roi.contours])
    outside = float(np.mean((at < -0.5) | (at > reference.shape[axis] - 0.5)))
    if outside:
        message = f"{outside:.0%} of the contours of '{roi.name}' lie outside the scan and were lost."
        findings.append(
            Finding(
                rule="labels.outside_scan",
                severity=Severity.WARNING,
                message=message,
                measured=outside,
                unit="fraction",
                subject=roi.name,
            )
        )
    scan_step = float(reference.spacing_mm[axis])
    if filled.step_mm and abs(filled.step_mm - scan_step) > SAME_PLANE_TOLERANCE_MM:
        message = (
            f"Contours of '{roi.name}' are {filled.step_mm:.2f} mm apart, slices {scan_step:.2f} mm: "
            f"shapes between "
            "them were interpolated."
        )
        findings.append(_finding("labels.contours_interpolated", Severity.INFO, message, roi.name))
    if filled.gaps_mm:
        message = (
            f"'{roi.name}' has {len(filled.gaps_mm)} gap(s) between contour planes, the largest "
            f"{max(filled.gaps_mm):.1f} mm, which were left empty."
        )
        findings.append(_finding("labels.contour_gaps", Severity.INFO, message, roi.name))
    return findings


def _finding(rule: str, severity: Severity, message: str, subject: str) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, subject=subject)
