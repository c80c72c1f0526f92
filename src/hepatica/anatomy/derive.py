"""What nobody labelled, derived from the CT and marked "derived, not reviewed"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatica.anatomy.derive_body import derive_body, fill_holes
from hepatica.anatomy.derive_bone import close_slices, derive_bone
from hepatica.anatomy.derive_contrast import BrightImage, find_even_regions
from hepatica.anatomy.derive_gas import derive_gas
from hepatica.anatomy.derive_liver_vessels import derive_liver_vessels
from hepatica.anatomy.derive_lung import derive_lung
from hepatica.anatomy.scan_axes import ScanAxes, expand, reduce_max, reduce_mean
from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource, to_bit
from hepatica.core.errors import GeometryError
from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.core.progress import SILENT, Progress
from hepatica.imaging.volume import Volume

_WORKING_MM: Final = 1.4
"""In-slice step for telling bone from contrast: less noise, ribs still several steps wide."""
_CONTRAST_CLOSING_MM: Final = 3.0
"""Unevenly filled lumens and the kidney's medulla are closed over this radius."""
_NOT_EXPLAINED: Final = (
    StructureKind.BODY,
    StructureKind.LIVER,
    StructureKind.GAS,
    StructureKind.CONTRAST_LUMEN,
    StructureKind.LIVER_VESSEL,
)
"""Kinds that do not explain why a voxel is bright or dark; every other label does."""
_METHODS: Final = {
    StructureKind.BODY: "largest thick component above air, holes filled",
    StructureKind.LUNG: "aerated components that go on to the head end",
    StructureKind.GAS: "gas inside the body, outside the lung",
    StructureKind.BONE: "cortex brighter than any lumen, its surroundings and marrow",
    StructureKind.CONTRAST_LUMEN: "bright even regions without cortex, dense pieces inside the rib frame",
    StructureKind.LIVER_VESSEL: "bright tubes inside the liver label",
}


def derive_anatomy(
    volume: Volume, anatomy: Anatomy, *, progress: Progress = SILENT
) -> tuple[Anatomy, tuple[Finding, ...]]:
    """Add body, lung, gas, bone, contrast lumens and liver vessels where they are not labelled.

    Labelled structures win: a labelled kind is not derived, and voxels a label explains are neither gas,
    bone nor contrast. The result does not depend on how the axes are stored.

    Parameters
    ----------
    volume
        The planning CT.
    anatomy
        What is labelled, on the same grid.
    progress
        Told each structure's name.

    Returns
    -------
    anatomy
        With additional structures of origin ``derived, not reviewed``.
    findings
        What was derived, with its volume, and what could not be.

    Raises
    ------
    GeometryError
        If image and anatomy lie on different grids.
    """
    if not volume.grid.same_grid(anatomy.grid):
        raise GeometryError(
            expected="an image on the anatomy's grid", given="another grid", where="derivation"
        )
    if volume.modality != "CT":
        return anatomy, (
            Finding(
                rule="anatomy.not_derived",
                severity=Severity.WARNING,
                message=f"Nothing was derived: the image is {volume.modality}, derivation needs CT numbers.",
            ),
        )
    limits = read_evidence_table("hepatica.anatomy.tables", "derivation.toml")
    box = _find_body(volume, anatomy, limits, progress)
    if box is None:
        return anatomy, (
            Finding(
                rule="anatomy.body_not_found",
                severity=Severity.ERROR,
                message="No body was found in the image; nothing was derived.",
            ),
        )
    masks: dict[StructureKind, BoolArray] = {}
    for step in (_derive_air, _derive_bright, _derive_vessels):
        masks.update(step(box, limits, progress))
    if not anatomy.has(StructureKind.BODY):
        masks[StructureKind.BODY] = box.body
    return _add(anatomy, masks, box, limits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _BodyBox:
    """The scan cut to the body, axes turned to (z, y, x)."""

    axes: ScanAxes
    start_zyx: tuple[int, int, int]
    hu: NDArray[np.int16]
    body: BoolArray
    depth: BoolArray
    bits: NDArray[np.uint32]
    anatomy: Anatomy = field(repr=False)

    @property
    def spacing_mm(self) -> FloatArray:
        return self.axes.spacing_mm

    def pick(self, *kinds: StructureKind) -> BoolArray:
        wanted = np.uint32(sum(to_bit(kind) for kind in kinds))
        return np.asarray((self.bits & wanted) != 0)

    @property
    def explained(self) -> BoolArray:
        return self.pick(*(kind for kind in StructureKind if kind not in _NOT_EXPLAINED))


def _find_body(
    volume: Volume, anatomy: Anatomy, limits: EvidenceTable, progress: Progress
) -> _BodyBox | None:
    progress.stage("body")
    axes = ScanAxes.from_grid(volume.grid)
    turned = axes.turn(volume.values)
    if turned.dtype != np.int16:
        turned = np.rint(np.clip(turned, -1024, 3071)).astype(np.int16)
    if anatomy.has(StructureKind.BODY):
        # A body label may leave lung and gas out; they are looked for inside the skin all the same.
        body = fill_holes(np.ascontiguousarray(axes.turn(anatomy.select(StructureKind.BODY))))
    else:
        body = derive_body(turned, axes.spacing_mm, limits)
    found = ndimage.find_objects(body.view(np.uint8))
    if not found:
        return None
    box = found[0]
    cut = np.ascontiguousarray(body[box])
    # In-slice only: the first and last slice are cuts through the patient, not skin.
    steps = max(1, round(limits["skin_depth"].number / float(axes.spacing_mm[1:].min())))
    flat = ndimage.generate_binary_structure(3, 1)
    flat[0] = flat[2] = False
    return _BodyBox(
        axes=axes,
        start_zyx=(box[0].start, box[1].start, box[2].start),
        hu=np.maximum(np.ascontiguousarray(turned[box]), np.int16(-1024)),
        body=cut,
        depth=ndimage.binary_erosion(cut, flat, iterations=steps, border_value=1),
        bits=np.ascontiguousarray(axes.turn(anatomy.bits)[box]),
        anatomy=anatomy,
    )


def _derive_air(
    box: _BodyBox, limits: EvidenceTable, progress: Progress
) -> Iterator[tuple[StructureKind, BoolArray]]:
    progress.stage("lung and gas")
    progress.check_cancelled()
    explained = box.explained
    if box.anatomy.has(StructureKind.LUNG):
        lung = box.pick(StructureKind.LUNG)
    else:
        lung = derive_lung(box.hu, box.body & ~explained, box.spacing_mm, limits)
        yield StructureKind.LUNG, lung
    if not box.anatomy.has(StructureKind.GAS):
        gas = derive_gas(box.hu, box.body, lung, depth=box.depth, spacing_mm=box.spacing_mm, limits=limits)
        yield StructureKind.GAS, gas & ~explained


def _derive_bright(
    box: _BodyBox, limits: EvidenceTable, progress: Progress
) -> Iterator[tuple[StructureKind, BoolArray]]:
    has = box.anatomy.has
    if has(StructureKind.BONE) and has(StructureKind.CONTRAST_LUMEN):
        return
    progress.stage("bone and contrast")
    progress.check_cancelled()
    liver = box.pick(StructureKind.LIVER)
    level = limits["contrast_least"].number
    if liver.any():
        level = max(level, float(np.median(box.hu[liver])) + limits["contrast_above_liver"].number)
    factor = max(1, round(_WORKING_MM / float(box.spacing_mm[1:].max())))
    blocked = ~box.depth | liver | box.explained
    spacing_mm = box.spacing_mm * np.array([1, factor, factor])
    image = BrightImage(
        mean_hu=reduce_mean(box.hu, factor),
        peak_hu=reduce_max(box.hu, factor).astype(np.float32),
        candidate=~reduce_max(blocked, factor),
        spacing_mm=spacing_mm,
        lumen_threshold_hu=level,
    )
    regions = find_even_regions(image, limits)
    progress.check_cancelled()
    bone, dense = derive_bone(image, regions, limits)
    if has(StructureKind.BONE):
        bone = np.zeros_like(bone)
    else:
        yield StructureKind.BONE, expand(bone, factor, box.hu.shape) & box.body
    if not has(StructureKind.CONTRAST_LUMEN):
        lumen = close_slices(regions.lumen, spacing_mm[1:], _CONTRAST_CLOSING_MM) | regions.lumen | dense
        yield StructureKind.CONTRAST_LUMEN, expand(lumen & ~bone & image.candidate, factor, box.hu.shape)


def _derive_vessels(
    box: _BodyBox, limits: EvidenceTable, progress: Progress
) -> Iterator[tuple[StructureKind, BoolArray]]:
    has = box.anatomy.has
    told_apart = has(StructureKind.PORTAL_VEIN) and has(StructureKind.HEPATIC_VEIN)
    if has(StructureKind.LIVER_VESSEL) or told_apart or not has(StructureKind.LIVER):
        return
    progress.stage("liver vessels")
    progress.check_cancelled()
    liver = box.pick(StructureKind.LIVER)
    found = ndimage.find_objects(liver.view(np.uint8))
    if not found:
        return
    cut = found[0]
    lesions = box.pick(StructureKind.LESION, StructureKind.NECROSIS)[cut]
    factor = max(1, round(_WORKING_MM / float(box.spacing_mm[1:].max())))
    vessels = derive_liver_vessels(
        reduce_mean(box.hu[cut], factor),
        ~reduce_max(~liver[cut], factor),
        reduce_max(lesions, factor),
        spacing_mm=box.spacing_mm * np.array([1, factor, factor]),
        limits=limits,
    )
    full = np.zeros_like(liver)
    full[cut] = expand(vessels, factor, liver[cut].shape)
    yield StructureKind.LIVER_VESSEL, full & liver


def _add(
    anatomy: Anatomy, masks: dict[StructureKind, BoolArray], box: _BodyBox, limits: EvidenceTable
) -> tuple[Anatomy, tuple[Finding, ...]]:
    additions, findings = [], list(_check_edges(box))
    for kind in sorted(masks, key=list(StructureKind).index):
        mask = box.axes.to_mask(masks[kind], grid=anatomy.grid, start_zyx=box.start_zyx)
        if mask is None:
            findings.append(_tell(kind, "none was found", limits))
            continue
        source = StructureSource(
            kind=kind, origin=Origin.DERIVED, names=(f"{kind} (derived)",), source=_METHODS[kind]
        )
        additions.append((source, mask))
        findings.append(_tell(kind, f"{mask.volume_ml:.1f} ml by {_METHODS[kind]}", limits))
    return anatomy.with_structures(additions), tuple(findings)


def _tell(kind: StructureKind, what: str, limits: EvidenceTable) -> Finding:
    return Finding(
        rule="anatomy.derived",
        severity=Severity.INFO,
        message=f"{kind.replace('_', ' ').capitalize()} derived, not reviewed: {what}.",
        source=f"{limits.name} version {limits.version}",
        status=next(iter(limits)).status,
        subject=str(kind),
    )


def _check_edges(box: _BodyBox) -> Iterator[Finding]:
    """Say where the image cuts the patient off at its side: that face is not skin."""
    shape = box.axes.turn(np.broadcast_to(np.uint8(0), box.anatomy.grid.shape)).shape
    ends: list[tuple[str, Any]] = [
        ("front", (1, 0, box.start_zyx[1] == 0)),
        ("back", (1, -1, box.start_zyx[1] + box.body.shape[1] == shape[1])),
        ("right", (2, 0, box.start_zyx[2] == 0)),
        ("left", (2, -1, box.start_zyx[2] + box.body.shape[2] == shape[2])),
    ]
    for name, (axis, index, reached) in ends:
        if reached and np.take(box.body, index, axis=axis).any():
            yield Finding(
                rule="anatomy.body_truncated",
                severity=Severity.WARNING,
                message=f"The patient's {name} side is cut off by the edge of the image: no skin there.",
                subject=str(StructureKind.BODY),
            )
