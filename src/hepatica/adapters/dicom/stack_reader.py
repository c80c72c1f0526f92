"""From the planes of one group to an array on a regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.dicom.headers import SliceRecord, read_dataset
from hepatica.adapters.dicom.pixels import Plane, decode_plane, require_plane_size
from hepatica.core.errors import (
    DuplicatePositionError,
    GantryTiltError,
    GeometryError,
    MissingGeometryError,
    NotAVolumeError,
    SliceGapError,
    SourceFormatError,
    UnevenSpacingError,
)
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import ORTHOGONALITY_TOLERANCE, FloatArray
from hepatica.core.progress import Progress
from hepatica.core.provenance import digest_bytes
from hepatica.imaging.stack import StackShape, measure_stack, repair_stack
from hepatica.workflows.ports import FileTree

AIR_HU: Final = -1024
"""Lowest CT number of the 12-bit scale; scanners write lower ones only outside their field of view."""
TOP_HU: Final = 3071
"""Highest CT number of the 12-bit scale; a padding value above it cannot be tissue."""
SPACING_TOLERANCE_FRACTION: Final = 1e-4
"""Pixel spacing and direction cosines repeat from plane to plane up to the digits of the header."""
_RESAMPLE: Final = "add --resample to repair it by explicit resampling, or export the original series"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlicedGeometry:
    """Where ordered planes lie.

    Parameters
    ----------
    order
        Index into the records for each plane, ascending along the normal.
    origin_lps_mm
        Centre of the first pixel of the lowest plane.
    row, column, normal
        Unit vectors: along a row (column index grows), along a column (row index grows), and their cross
        product.
    pixel_spacing_mm
        Step along a row, step along a column.
    positions_mm, offsets_mm
        As `hepatica.imaging.stack.measure_stack` takes them.
    shape
        What it found; None for a single plane.
    """

    order: tuple[int, ...]
    origin_lps_mm: FloatArray
    row: FloatArray
    column: FloatArray
    normal: FloatArray
    pixel_spacing_mm: FloatArray
    positions_mm: FloatArray
    offsets_mm: FloatArray
    shape: StackShape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadStack:
    """Planes as one regular array.

    Parameters
    ----------
    values
        (slices, rows, columns), ascending along the normal.
    lps_from_ijk
        (4, 4) affine for index (column, row, slice).
    order
        Record index for each slice; None where slices were resampled.
    digest
        SHA-256 over the sorted digests of the files, so that names and order do not matter.
    findings
        What the reader did or noticed.
    """

    values: NDArray[Any]
    lps_from_ijk: FloatArray
    order: tuple[int, ...] | None
    digest: str
    findings: tuple[Finding, ...]


def derive_geometry(records: Sequence[SliceRecord], *, where: str) -> SlicedGeometry:
    """Order planes by position along their normal and measure how regular they are.

    Raises
    ------
    NotAVolumeError
        For a single plane.
    MissingGeometryError
        If a plane has no position, orientation or spacing.
    GeometryError
        If planes differ in size, spacing or direction.
    """
    if len(records) < 2:
        raise NotAVolumeError(
            expected="at least two slices",
            given=f"{len(records)} image",
            where=where,
            action="give the whole series",
        )
    orientation = _require_geometry(records, where=where)
    row, column = orientation[:3], orientation[3:]
    if (
        np.abs([row @ row - 1, column @ column - 1]).max() > 1e-2
        or abs(row @ column) > ORTHOGONALITY_TOLERANCE
    ):
        raise MissingGeometryError(
            expected="Image Orientation (0020,0037) of two perpendicular unit vectors",
            given=f"{orientation.round(4).tolist()}",
            where=where,
            action="export the original series",
        )
    row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    origins = np.array([record.position_lps_mm for record in records], dtype=np.float64)
    along = origins @ normal
    order = np.argsort(along, kind="stable")
    positions, sorted_origins = along[order], origins[order]
    shifts = sorted_origins - sorted_origins[0]
    offsets = np.stack([shifts @ row, shifts @ column], axis=1)
    spacing = records[0].pixel_spacing_mm or (0.0, 0.0)
    return SlicedGeometry(
        order=tuple(int(n) for n in order),
        origin_lps_mm=sorted_origins[0],
        row=row,
        column=column,
        normal=normal,
        pixel_spacing_mm=np.array([spacing[1], spacing[0]]),
        positions_mm=positions,
        offsets_mm=offsets,
        shape=measure_stack(positions, offsets),
    )


def _require_geometry(records: Sequence[SliceRecord], *, where: str) -> FloatArray:
    first = records[0]
    for record in records:
        missing = [
            name
            for name, value in (
                ("Image Position (0020,0032)", record.position_lps_mm),
                ("Image Orientation (0020,0037)", record.orientation),
                ("Pixel Spacing (0028,0030)", record.pixel_spacing_mm),
            )
            if value is None
        ]
        if missing or min(record.pixel_spacing_mm or (0,)) <= 0:
            raise MissingGeometryError(
                expected="position, orientation and spacing on each slice",
                given=f"no {', '.join(missing)}" if missing else "a pixel spacing of 0 mm or less",
                where=f"{where}, {record.entry.position}",
                action="export the original series; no default is assumed",
            )
        if (record.rows, record.columns) != (first.rows, first.columns):
            raise GeometryError(
                expected=f"{first.rows} x {first.columns} pixels on each slice",
                given=f"{record.rows} x {record.columns}",
                where=f"{where}, {record.entry.position}",
            )
    turns = np.array([record.orientation for record in records], dtype=np.float64)
    pixels = np.array([record.pixel_spacing_mm for record in records], dtype=np.float64)
    if (
        np.abs(turns - turns[0]).max() > ORTHOGONALITY_TOLERANCE
        or np.abs(pixels / pixels[0] - 1).max() > SPACING_TOLERANCE_FRACTION
    ):
        raise GeometryError(
            expected="one orientation and pixel spacing in all slices",
            given="several",
            where=where,
            action="choose one acquisition with --series",
        )
    return np.asarray(turns[0])


def require_regular(geometry: SlicedGeometry, *, where: str, resample: bool) -> None:
    """Refuse a stack that is no regular grid, each fault by its own error.

    With ``resample``, faults that can be repaired pass.

    Raises
    ------
    DuplicatePositionError
        Always, where two slices share a place.
    SliceGapError, UnevenSpacingError, GantryTiltError
        Unless ``resample``.
    """
    shape, at = geometry.shape, geometry.positions_mm
    if shape.duplicate_pairs:
        n, _ = shape.duplicate_pairs[0]
        raise DuplicatePositionError(
            expected="one slice at each position",
            given=f"{len(shape.duplicate_pairs)} doubled position(s), the first at {at[n]:.2f} mm",
            where=where,
            action="remove the repeated slices or export one reconstruction only",
        )
    if resample:
        return
    if shape.gaps:
        n, missing = shape.gaps[0]
        total = sum(count for _, count in shape.gaps)
        raise SliceGapError(
            expected=f"a slice every {shape.spacing_mm:.3f} mm",
            given=f"{total} missing, the first {missing} between {at[n]:.2f} and {at[n + 1]:.2f} mm",
            where=where,
            action=f"export the complete series, or {_RESAMPLE}",
        )
    if shape.uneven:
        steps = np.diff(at)
        raise UnevenSpacingError(
            expected="even slice spacing",
            given=f"steps from {steps.min():.3f} to {steps.max():.3f} mm",
            where=where,
            action=_RESAMPLE,
        )
    if shape.sheared:
        raise GantryTiltError(
            expected="slices stacked along their normal",
            given=f"a stack leaning {shape.tilt_deg:.2f} degrees or with sideways jumps",
            where=where,
            action=_RESAMPLE,
        )


def read_stack(
    tree: FileTree, records: Sequence[SliceRecord], *, where: str, resample: bool, progress: Progress
) -> ReadStack:
    """Decode the planes of one group into a regular array.

    CT comes as int16 Hounsfield units (values below -1024 and padding become -1024); other modalities keep
    whole
    numbers as int16 where they fit, else float32.

    Raises
    ------
    GeometryError
        Its leaves, as `derive_geometry` and `require_regular`.
    SourceFormatError
        If pixel data are damaged.
    """
    require_plane_size(records[0].rows, records[0].columns, frames=len(records), where=where)
    geometry = derive_geometry(records, where=where)
    require_regular(geometry, where=where, resample=resample)
    planes, digest = _decode_planes(
        tree, [records[n] for n in geometry.order], where=where, progress=progress
    )
    values, findings = _to_modality_values(planes, modality=records[0].modality, where=where)
    if geometry.shape.regular:
        affine = _affine(geometry, origin_lps_mm=geometry.origin_lps_mm, step_mm=geometry.shape.spacing_mm)
        return ReadStack(
            values=values, lps_from_ijk=affine, order=geometry.order, digest=digest, findings=tuple(findings)
        )
    fill = AIR_HU if records[0].modality == "CT" else float(values.min())
    repaired = repair_stack(
        values,
        positions_mm=geometry.positions_mm,
        offsets_mm=geometry.offsets_mm,
        pixel_spacing_mm=geometry.pixel_spacing_mm,
        shape=geometry.shape,
        fill=fill,
    )
    first = repaired.first_offset_mm
    origin = geometry.origin_lps_mm + geometry.row * first[0] + geometry.column * first[1]
    affine = _affine(geometry, origin_lps_mm=origin, step_mm=geometry.shape.spacing_mm)
    findings.append(_describe_repair(geometry, interpolated=repaired.interpolated, where=where))
    return ReadStack(
        values=repaired.values, lps_from_ijk=affine, order=None, digest=digest, findings=tuple(findings)
    )


def _affine(geometry: SlicedGeometry, *, origin_lps_mm: FloatArray, step_mm: float) -> FloatArray:
    affine = np.eye(4)
    affine[:3, 0] = geometry.row * geometry.pixel_spacing_mm[0]
    affine[:3, 1] = geometry.column * geometry.pixel_spacing_mm[1]
    affine[:3, 2] = geometry.normal * step_mm
    affine[:3, 3] = origin_lps_mm
    return affine


def _describe_repair(geometry: SlicedGeometry, *, interpolated: int, where: str) -> Finding:
    shape = geometry.shape
    parts = []
    if shape.gaps:
        parts.append(f"{sum(count for _, count in shape.gaps)} missing slice(s) made up between neighbours")
    if shape.uneven:
        steps = np.diff(geometry.positions_mm)
        parts.append(f"uneven spacing ({steps.min():.2f} to {steps.max():.2f} mm)")
    if shape.sheared:
        parts.append(f"a tilt of {shape.tilt_deg:.1f} degrees straightened")
    return Finding(
        rule="image.resampled",
        severity=Severity.WARNING,
        message=f"Stack repaired by linear resampling to {shape.spacing_mm:.3f} mm: {'; '.join(parts)}. "
        f"{interpolated} slice(s) are interpolated.",
        measured=float(interpolated),
        subject=where,
    )


def _decode_planes(
    tree: FileTree, records: Sequence[SliceRecord], *, where: str, progress: Progress
) -> tuple[list[Plane], str]:
    progress.stage("reading slices")
    planes: list[Plane] = []
    digests: dict[str, str] = {}
    dataset, opened = None, ""
    for n, record in enumerate(records):
        progress.check_cancelled()
        if record.entry.name != opened:
            dataset, data = read_dataset(tree, record.entry)
            opened = record.entry.name
            digests[opened] = digest_bytes(data)
        plane = decode_plane(dataset, frame=record.frame, where=f"{where}, {record.entry.position}")
        if plane.values.shape != (records[0].rows, records[0].columns):
            raise SourceFormatError(expected="slices of one size", given=f"{plane.values.shape}", where=where)
        planes.append(_compact(plane))
        progress.advance((n + 1) / len(records))
    return planes, digest_bytes("".join(sorted(digests.values())).encode())


def _compact(plane: Plane) -> Plane:
    """Store whole numbers that fit as int16: the stack waits in memory for its other planes."""
    values = plane.values
    if np.issubdtype(values.dtype, np.integer) and values.min() >= -32768 and values.max() <= 32767:
        return Plane(values=values.astype(np.int16), padding=plane.padding)
    return plane


def _to_modality_values(
    planes: list[Plane], *, modality: str, where: str
) -> tuple[NDArray[Any], list[Finding]]:
    whole = all(plane.values.dtype == np.int16 for plane in planes)
    stack = np.empty((len(planes), *planes[0].values.shape), dtype=np.int16 if whole else np.float32)
    raised = 0
    for n, plane in enumerate(planes):
        stack[n] = plane.values
        if modality == "CT":
            low = stack[n] < AIR_HU
            if plane.padding is not None and plane.padding > TOP_HU:
                low |= stack[n] == plane.padding
            raised += int(np.count_nonzero(low))
            stack[n][low] = AIR_HU
    if not whole and modality == "CT":
        np.rint(stack, out=stack)
        if stack.max() <= np.iinfo(np.int16).max:
            stack = stack.astype(np.int16)
    findings = []
    if raised:
        findings.append(
            Finding(
                rule="image.padding",
                severity=Severity.INFO,
                message=f"{raised} voxels of padding or below {AIR_HU} HU were set to {AIR_HU} HU.",
                measured=raised / stack.size,
                unit="fraction",
                subject=where,
            )
        )
    return stack, findings
