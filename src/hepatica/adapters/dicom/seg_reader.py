"""DICOM SEG (binary, fractional, label map) as masks on the grid of its own frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.dicom.headers import to_numbers, to_text
from hepatica.adapters.dicom.pixels import decode_stored, require_plane_size
from hepatica.core.errors import GeometryError, MissingGeometryError, SourceFormatError, UnevenSpacingError
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import ORTHOGONALITY_TOLERANCE, BoolArray, FloatArray, Grid
from hepatica.core.progress import Progress
from hepatica.imaging.mask import Mask
from hepatica.imaging.orientation import to_canonical

if TYPE_CHECKING:
    from pydicom import Dataset

FRACTION_THRESHOLD: Final = 0.5
"""A fractional voxel counts from one half: the set then keeps the volume of a blurred straight edge."""
LATTICE_TOLERANCE_FRACTION: Final = 0.05
"""A frame may lie this share of the slice spacing beside its lattice place; headers round positions."""
IN_PLANE_TOLERANCE_MM: Final = 0.05
"""Frames of one object may be shifted sideways by rounding only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentMask:
    """One segment on the grid of the SEG: label as written, coded meaning, number and voxels."""

    number: int
    label: str
    meaning: str
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """One frame: its number, the segment it belongs to (None in label maps) and its lattice place."""

    number: int
    segment: int | None
    position_mm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lattice:
    """Where frames lie: origin of place 0, directions, spacing and the number of places."""

    origin_lps_mm: FloatArray
    first_mm: float
    step_mm: float
    places: int
    row: FloatArray
    column: FloatArray
    normal: FloatArray
    pixel_spacing_mm: tuple[float, float]

    def place(self, position_mm: float) -> int:
        return round((position_mm - self.first_mm) / self.step_mm)

    def affine(self) -> FloatArray:
        affine = np.eye(4)
        affine[:3, 0] = self.row * self.pixel_spacing_mm[0]
        affine[:3, 1] = self.column * self.pixel_spacing_mm[1]
        affine[:3, 2] = self.normal * self.step_mm
        affine[:3, 3] = self.origin_lps_mm
        return affine


def read_segments(
    dataset: Dataset, *, reference: Grid, where: str, progress: Progress
) -> tuple[tuple[SegmentMask, ...], tuple[Finding, ...]]:
    """Read every segment through the affine of its frames, never by frame index.

    Parameters
    ----------
    dataset
        A Segmentation or Label Map Segmentation object.
    reference
        Grid of the scan; only its slice step is used, and only where the object leaves its own open.
    where
        Which file, for messages.

    Returns
    -------
    tuple
        Segments with at least one voxel, all on one grid; and findings about thresholds and empty segments.

    Raises
    ------
    FrameMismatchError
        If the object declares another frame of reference than the scan.
    MissingGeometryError, UnevenSpacingError, GeometryError
        If frames do not lie on one regular lattice.
    SourceFormatError
        If the object is damaged.
    """
    described = _describe_segments(dataset, where=where)
    frames, lattice = _find_lattice(dataset, reference=reference, where=where)
    frame_uid = to_text(dataset, "FrameOfReferenceUID") or None
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    probe = Grid(
        shape=(columns, rows, lattice.places), lps_from_ijk=lattice.affine(), frame_of_reference=frame_uid
    )
    reference.require_same_frame(probe, where=where)
    require_plane_size(rows, columns, frames=lattice.places, where=where)
    findings: list[Finding] = []
    if to_text(dataset, "SegmentationType") == "FRACTIONAL":
        findings.append(_describe_threshold(dataset, where=where))
    planes = _collect_planes(dataset, frames, lattice, where=where, progress=progress)
    segments = []
    for number, (label, meaning) in described.items():
        parts = planes.get(number, {})
        if not parts:
            findings.append(_describe_empty(label))
            continue
        mask = _to_mask(parts, lattice, shape=(rows, columns), frame_uid=frame_uid)
        segments.append(SegmentMask(number=number, label=label, meaning=meaning, mask=mask))
    return tuple(segments), tuple(findings)


def _describe_segments(dataset: Dataset, *, where: str) -> dict[int, tuple[str, str]]:
    described: dict[int, tuple[str, str]] = {}
    used: set[str] = set()
    for item in dataset.get("SegmentSequence") or []:
        number = to_numbers(item, "SegmentNumber", 1)
        if number is None:
            raise SourceFormatError(expected="a Segment Number (0062,0004)", given="none", where=where)
        if number[0] == 0:  # the background of a label map may be described too
            continue
        label = to_text(item, "SegmentLabel") or f"segment {int(number[0])}"
        if label in used:
            label = f"{label} {int(number[0])}"
        used.add(label)
        described[int(number[0])] = (label, _meaning(item))
    if not described:
        raise SourceFormatError(expected="a Segment Sequence (0062,0002)", given="none", where=where)
    return described


def _meaning(item: Any) -> str:
    codes = item.get("SegmentedPropertyTypeCodeSequence")
    return to_text(codes[0], "CodeMeaning") if codes else ""


def _find_lattice(dataset: Dataset, *, reference: Grid, where: str) -> tuple[list[_Frame], _Lattice]:
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), None)
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    count = int(dataset.get("NumberOfFrames") or 0)
    if not groups or len(groups) != count:
        raise MissingGeometryError(
            expected="a functional group for each frame",
            given=f"{len(groups)} for {count} frames",
            where=where,
        )
    label_map = to_text(dataset, "SegmentationType") == "LABELMAP"
    orientation = _one_value(
        groups, shared, "PlaneOrientationSequence", "ImageOrientationPatient", 6, where=where
    )
    spacing = _one_value(groups, shared, "PixelMeasuresSequence", "PixelSpacing", 2, where=where)
    origins = np.array([_position(group, shared, where=where) for group in groups])
    row, column = (
        orientation[:3] / np.linalg.norm(orientation[:3]),
        orientation[3:] / np.linalg.norm(orientation[3:]),
    )
    normal = np.cross(row, column)
    along = origins @ normal
    sideways = np.stack([(origins - origins[0]) @ row, (origins - origins[0]) @ column])
    if np.abs(sideways).max() > IN_PLANE_TOLERANCE_MM:
        raise GeometryError(
            expected="frames stacked along their normal",
            given=f"shifted by {np.abs(sideways).max():.2f} mm",
            where=where,
        )
    step = _derive_step(
        along, _declared_steps(groups, shared), reference=reference, normal=normal, where=where
    )
    low = int(np.argmin(along))
    lattice = _Lattice(
        origin_lps_mm=origins[low],
        first_mm=float(along[low]),
        step_mm=step,
        places=round(float(np.ptp(along)) / step) + 1,
        row=row,
        column=column,
        normal=normal,
        pixel_spacing_mm=(float(spacing[1]), float(spacing[0])),
    )
    frames = [
        _Frame(
            number=n,
            segment=None if label_map else _segment(group, shared, where=where),
            position_mm=float(along[n]),
        )
        for n, group in enumerate(groups)
    ]
    return frames, lattice


def _derive_step(
    along: FloatArray, declared: list[float], *, reference: Grid, normal: FloatArray, where: str
) -> float:
    """Find the slice step on which all frames lie: declared, the scan's, or the smallest that occurs."""
    distinct = np.unique(np.round(along, 3))
    steps = np.diff(distinct)
    # The scan's step counts only where its slices are parallel to the frames.
    parallel = (
        abs(float(reference.directions[:, reference.slice_axis] @ normal)) > 1 - ORTHOGONALITY_TOLERANCE
    )
    scan = [float(reference.spacing_mm[reference.slice_axis])] if parallel else []
    smallest = [float(steps.min())] if steps.size else []
    for step in (*declared[:1], *scan, *smallest, *declared[1:]):
        places = (distinct - distinct[0]) / step
        if np.abs(places - np.rint(places)).max() <= LATTICE_TOLERANCE_FRACTION and (
            not steps.size or steps.min() > step / 2
        ):
            whole = np.rint(places)
            # Over many slices the measured step is better than a rounded header value.
            return float(distinct[-1] - distinct[0]) / float(whole[-1]) if whole[-1] > 0 else step
    if not steps.size:
        raise MissingGeometryError(
            expected="a slice thickness or spacing for a single frame", given="none", where=where
        )
    raise UnevenSpacingError(
        expected="frames on evenly spaced slices",
        given=f"steps from {steps.min():.3f} to {steps.max():.3f} mm",
        where=where,
        action="export the segmentation on the original slices",
    )


def _declared_steps(groups: list[Any], shared: Any) -> list[float]:
    for source in (groups[0], shared):
        items = source.get("PixelMeasuresSequence") if source is not None else None
        if items:
            values = [to_numbers(items[0], name, 1) for name in ("SpacingBetweenSlices", "SliceThickness")]
            return [value[0] for value in values if value is not None and value[0] > 0]
    return []


def _one_value(
    groups: list[Any], shared: Any, sequence: str, keyword: str, count: int, *, where: str
) -> FloatArray:
    """Read a value that all frames must share."""
    found = []
    for source in (shared, *groups):
        items = source.get(sequence) if source is not None else None
        if items:
            value = to_numbers(items[0], keyword, count)
            if value is not None:
                found.append(value)
    values = np.array(found, dtype=np.float64)
    if not found or not np.abs(values).max():
        raise MissingGeometryError(expected=f"{keyword} for each frame", given="none", where=where)
    if np.abs(values - values[0]).max() > ORTHOGONALITY_TOLERANCE:
        raise GeometryError(expected=f"one {keyword} for all frames", given="several", where=where)
    return np.asarray(values[0])


def _position(group: Any, shared: Any, *, where: str) -> tuple[float, ...]:
    for source in (group, shared):
        items = source.get("PlanePositionSequence") if source is not None else None
        if items:
            value = to_numbers(items[0], "ImagePositionPatient", 3)
            if value is not None:
                return value
    raise MissingGeometryError(expected="a plane position for each frame", given="none", where=where)


def _segment(group: Any, shared: Any, *, where: str) -> int:
    for source in (group, shared):
        items = source.get("SegmentIdentificationSequence") if source is not None else None
        if items:
            value = to_numbers(items[0], "ReferencedSegmentNumber", 1)
            if value is not None:
                return int(value[0])
    raise SourceFormatError(expected="a segment number for each frame", given="none", where=where)


def _collect_planes(
    dataset: Dataset, frames: list[_Frame], lattice: _Lattice, *, where: str, progress: Progress
) -> Mapping[int, dict[int, BoolArray]]:
    """Return non-empty planes by segment number and lattice place; planes at one place are united."""
    progress.stage("reading segments")
    planes: dict[int, dict[int, BoolArray]] = defaultdict(dict)
    for frame in frames:
        progress.check_cancelled()
        stored = decode_stored(dataset, frame=frame.number, where=where)
        place = lattice.place(frame.position_mm)
        for number, plane in _split_plane(dataset, stored, frame):
            if plane.any():
                known = planes[number].get(place)
                planes[number][place] = plane if known is None else known | plane
        progress.advance((frame.number + 1) / len(frames))
    return planes


def _split_plane(dataset: Dataset, stored: NDArray[Any], frame: _Frame) -> Iterator[tuple[int, BoolArray]]:
    if frame.segment is None:
        for number in np.unique(stored):
            if number != 0:
                yield int(number), stored == number
    elif to_text(dataset, "SegmentationType") == "FRACTIONAL":
        full = float(dataset.get("MaximumFractionalValue") or 255)
        yield frame.segment, stored >= FRACTION_THRESHOLD * full
    else:
        yield frame.segment, stored != 0


def _to_mask(
    planes: Mapping[int, BoolArray], lattice: _Lattice, *, shape: tuple[int, int], frame_uid: str | None
) -> Mask:
    stack = np.zeros((lattice.places, *shape), dtype=bool)
    for place, plane in planes.items():
        stack[place] = plane
    values, affine, axis = to_canonical(stack.T, lps_from_ijk=lattice.affine(), slice_axis=2)
    grid = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]),
        lps_from_ijk=affine,
        frame_of_reference=frame_uid,
        slice_axis=axis,
    )
    return Mask.from_full(values, grid=grid)


def _describe_threshold(dataset: Dataset, *, where: str) -> Finding:
    kind = to_text(dataset, "SegmentationFractionalType").lower() or "fraction"
    return Finding(
        rule="labels.fractional_threshold",
        severity=Severity.WARNING,
        message=f"Fractional segmentation ({kind}): voxels from {FRACTION_THRESHOLD:g} up were taken.",
        limit=FRACTION_THRESHOLD,
        unit="fraction",
        subject=where,
    )


def _describe_empty(label: str) -> Finding:
    return Finding(
        rule="labels.empty_segment",
        severity=Severity.WARNING,
        message=f"'{label}' is described but has no voxel.",
        subject=label,
    )
