"""A plan context on a real scan, read by the tests themselves: an independent witness of the writers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from phantom import make_context, make_puncture

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.lesions.lesion import Diameter, ViablePart
from hepatica.planning.path.values import Deposit, Track
from hepatica.workflows.ports import ImageFacts, PlanContext, ReadImage

HCC = "hcc-tace-seg-015"
IRCADB = "3d-ircadb-01-17"


def read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder or zip."""
    if path.is_dir():
        for file in sorted(path.iterdir()):
            yield file.name, file.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith("/"):
                yield name, archive.read(name)


def read_stack(path: Path):
    """Read one axial series: array (i, j, k), affine and the data sets, by position along the head."""
    slices = [pydicom.dcmread(io.BytesIO(content)) for _, content in read_files(path)]
    slices.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    values = np.stack([s.pixel_array for s in slices]).transpose(2, 1, 0)
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    affine[0, 0], affine[1, 1] = float(first.PixelSpacing[1]), float(first.PixelSpacing[0])
    affine[2, 2] = (float(last.ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])) / (
        len(slices) - 1
    )
    affine[:3, 3] = [float(c) for c in first.ImagePositionPatient]
    return values, affine, slices


def _box_centre_diameter(mask: Mask, axis: int) -> Diameter:
    index = mask.index_ijk()
    low, high = index[:, axis].argmin(), index[:, axis].argmax()
    ends = mask.grid.to_lps_mm(index[[low, high]])
    return Diameter(length_mm=float(np.linalg.norm(ends[1] - ends[0])), ends_lps_mm=ends, slice_index=None)


def _make_context(path: Path, values, affine, slices, parts, lesion_masks) -> PlanContext:
    base = make_context()
    frame = str(slices[0].get("FrameOfReferenceUID", ""))
    grid = Grid(shape=values.shape, lps_from_ijk=affine, frame_of_reference=frame or None)
    anatomy = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F")).with_structures(
        (
            StructureSource(kind=kind, origin=origin, names=(kind.value,), source="test label"),
            Mask.from_full(full, grid=grid),
        )
        for kind, (full, origin) in parts.items()
    )
    lesions, punctures, injections = [], [], []
    for number, full in enumerate(lesion_masks, start=1):
        name, mask = f"L{number}", Mask.from_full(full, grid=grid)
        puncture = make_puncture(
            f"P{number}", mask.centroid_lps_mm + np.array([-80.0, -60.0, 5.0]), lesion_id=name
        )
        tip = mask.centroid_lps_mm
        deposits = tuple(
            Deposit(
                point_lps_mm=tip - np.array([0, 0, 4.0 * n]), volume_ml=1.0 + n, lesion_id=name, order=n + 1
            )
            for n in range(2)
        )
        punctures.append(replace(puncture, tracks=(Track(tip_lps_mm=tip, deposits=deposits),)))
        lesions.append(
            replace(
                base.plan.lesions[0],
                lesion_id=name,
                label=f"tumour {number}",
                mask=mask,
                volume_ml=mask.volume_ml,
                longest_diameter=_box_centre_diameter(mask, 0),
                short_axis=_box_centre_diameter(mask, 1),
                longest_diameter_3d=_box_centre_diameter(mask, 2),
                viable=ViablePart(
                    low=mask, middle=mask, high=mask, origin="derived, not reviewed", method="test"
                ),
            )
        )
        injections.append(replace(base.plan.allocation.injections[0], lesion_id=name, dose=2e6 * number))
    allocation = replace(base.plan.allocation, injections=tuple(injections))
    plan = replace(
        base.plan,
        lesions=tuple(lesions),
        punctures=tuple(punctures),
        backups=(),
        allocation=allocation,
        allocation_all=allocation,
    )
    facts = ImageFacts(
        format="DICOM",
        series_uid=str(slices[0].SeriesInstanceUID),
        study_uid=str(slices[0].StudyInstanceUID),
        frame_of_reference=frame,
        patient_position=str(slices[0].get("PatientPosition", "HFS")),
        source=path,
    )
    image = ReadImage(volume=Volume(values=values, grid=grid), facts=facts, digest="2" * 64)
    return replace(base, plan=plan, image=image, anatomy=anatomy)


def make_hcc_context(data: Path) -> PlanContext:
    """Plan on HCC_015: semi-automatic labels plus derived structures, ten segments."""
    import nibabel

    path = data / HCC / "ct_venous"
    values, affine, slices = read_stack(path)
    image = nibabel.load(data / HCC / "labels_semiautomatic.nii.gz")
    ras_from_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    labels = np.asarray(image.dataobj)
    # The label file counts voxels its own way: carry each labelled voxel through the world.
    where = np.argwhere(labels > 0)
    index = np.linalg.inv(affine) @ ras_from_lps @ image.affine @ np.c_[where, np.ones(len(where))].T
    target = np.rint(index[:3]).astype(int)
    grid_labels = np.zeros(values.shape, np.uint8, order="F")
    grid_labels[tuple(target)] = labels[tuple(where.T)]
    body = grid_labels > 0
    bright = (values > 250) & body
    parts = {
        StructureKind.BODY: (body, Origin.LABELLED),
        StructureKind.LUNG: (grid_labels == 2, Origin.LABELLED),
        StructureKind.LIVER: (grid_labels >= 3, Origin.LABELLED),
        StructureKind.LESION: (grid_labels == 4, Origin.LABELLED),
        StructureKind.BONE: (bright, Origin.DERIVED),
        StructureKind.CONTRAST_LUMEN: ((values > 200) & body, Origin.DERIVED),
        StructureKind.GAS: (values < -300, Origin.DERIVED),
        StructureKind.LIVER_VESSEL: ((values > 150) & (grid_labels >= 3), Origin.DERIVED),
        StructureKind.STOMACH: ((values > 0) & (values < 30) & body, Origin.DERIVED),
        StructureKind.HEART: ((values > 30) & (values < 60) & body, Origin.DERIVED),
    }
    return _make_context(path, values, affine, slices, parts, [grid_labels == 4])


def make_ircadb_context(data: Path) -> PlanContext:
    """Plan on 3D-IRCADb case 17 with its own masks, read in place."""
    path = data / IRCADB / "PATIENT_DICOM.zip"
    values, affine, slices = read_stack(path)
    masks = {
        name: read_stack(data / IRCADB / f"MASK_{name}.zip")[0] > 0
        for name in ("liver", "livertumor1", "livertumor2", "portalvein", "bone")
    }
    parts = {
        StructureKind.LIVER: (masks["liver"], Origin.LABELLED),
        StructureKind.LESION: (masks["livertumor1"] | masks["livertumor2"], Origin.LABELLED),
        StructureKind.PORTAL_VEIN: (masks["portalvein"], Origin.LABELLED),
        StructureKind.BONE: (masks["bone"], Origin.DERIVED),
    }
    return _make_context(path, values, affine, slices, parts, [masks["livertumor1"], masks["livertumor2"]])
