"""Scenes for path tests: analytic ones with closed forms, and real scans read in place."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.planning.path.clearance import measure_box_distance_mm
from hepatica.planning.path.scene import build_scene, read_path_limits
from hepatica.planning.path.values import Needle

SUPINE = np.array([0.0, 1.0, 0.0])
NEEDLE = Needle(
    name="test 22 G", gauge=22, outer_diameter_mm=0.72, length_mm=150.0, hub_allowance_mm=20.0,
    dead_space_ml=0.08, holes="end", source="test", status=EvidenceStatus.UNVERIFIED,
)  # fmt: skip


def change_limits(**values):
    """The shipped limits with some values changed."""
    limits = read_path_limits()
    changes = {
        key: Evidence(key=key, value=value, unit=limits[key].unit, edge=limits[key].edge, source="test")
        for key, value in values.items()
    }
    return limits.replace(**changes)


def to_anatomy(grid, parts, *, derived=()):
    """Structures from whole-grid boolean arrays by kind."""
    anatomy = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    return anatomy.with_structures(
        (
            StructureSource(
                kind=kind,
                origin=Origin.DERIVED if kind in derived else Origin.LABELLED,
                names=(kind.value,),
                source="test",
            ),
            Mask.from_full(np.asfortranarray(part), grid=grid),
        )
        for kind, part in parts.items()
        if part.any()
    )


def to_scene(
    grid, parts, lesions, *, hu=None, gravity=SUPINE, limits=None, needle=NEEDLE, prior=(), derived=()
):
    """A scene from arrays; without ``hu`` everything in the body has 40 HU and the rest is air."""
    if hu is None:
        hu = np.where(parts[StructureKind.BODY], 40, -1000).astype(np.int16)
    masks = {}
    for name, value in lesions.items():
        lesion, target = value if isinstance(value, tuple) else (value, value)
        masks[name] = (Mask.from_full(lesion, grid=grid), Mask.from_full(target, grid=grid))
    return build_scene(
        Volume(values=np.asfortranarray(hu), grid=grid),
        to_anatomy(grid, parts, derived=derived),
        lesions=masks,
        gravity_lps=gravity,
        limits=limits or read_path_limits(),
        needle=needle,
        prior_tracks=prior,
    )


def world(grid):
    """(I, J, K, 3) LPS position of every voxel centre."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return grid.to_lps_mm(index)


def sort_slices(datasets):
    """Slices by position along the normal: (K, J, I) values, grid."""
    first = datasets[0]
    row, column = (
        np.array(first.ImageOrientationPatient[:3], float),
        np.array(first.ImageOrientationPatient[3:], float),
    )
    normal = np.cross(row, column)
    datasets = sorted(datasets, key=lambda d: float(np.dot(np.array(d.ImagePositionPatient, float), normal)))
    origin = np.array(datasets[0].ImagePositionPatient, float)
    step = (np.array(datasets[-1].ImagePositionPatient, float) - origin) / (len(datasets) - 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * float(first.PixelSpacing[1]), column * float(first.PixelSpacing[0])
    affine[:3, 2], affine[:3, 3] = step, origin
    stack = np.stack([d.pixel_array for d in datasets])
    slope, intercept = float(getattr(first, "RescaleSlope", 1)), float(getattr(first, "RescaleIntercept", 0))
    values = (stack * slope + intercept).astype(np.int16).T
    return values, Grid(shape=values.shape, lps_from_ijk=affine), str(first.get("PatientPosition", ""))


def read_folder(folder: Path):
    """One series in a folder."""
    import pydicom

    return sort_slices([pydicom.dcmread(path) for path in sorted(folder.iterdir()) if path.is_file()])


def read_zip(path: Path):
    """One series in a zip archive."""
    import pydicom

    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        return sort_slices([pydicom.dcmread(io.BytesIO(archive.read(name))) for name in names])


def derive_lung(values, body):
    """Large dark regions inside the body: good enough for a test, nobody's method."""
    from scipy import ndimage

    labels, count = ndimage.label((values < -400) & ndimage.binary_erosion(body, iterations=5))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes > 50_000)[labels]


def read_hcc_015(real_data: Path):
    """Venous CT of HCC_015 with body, lung, liver, lesion, and bone by a plain threshold."""
    import nibabel
    from scipy import ndimage

    from hepatica.core.position import derive_gravity_lps

    folder = real_data / "hcc-tace-seg-015"
    values, grid, position = read_folder(folder / "ct_venous")
    image = nibabel.load(folder / "labels_semiautomatic.nii.gz")
    labels = np.asarray(image.dataobj)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    found = np.round(grid.ijk_from_lps @ affine).astype(int)
    for axis in range(3):
        source = int(np.flatnonzero(found[axis, :3])[0])
        assert source == axis
        if found[axis, source] < 0:
            labels = np.flip(labels, axis)
    lesion, liver, lung = labels == 4, labels >= 3, labels == 2
    bone = ndimage.binary_opening(values > 250) & ~liver & (labels > 0)
    gas = (values < -300) & (labels == 1)
    parts = {
        StructureKind.BODY: labels > 0,
        StructureKind.LIVER: liver,
        StructureKind.LESION: lesion,
        StructureKind.LUNG: lung,
        StructureKind.BONE: bone,
        StructureKind.GAS: gas,
    }
    return values, grid, parts, lesion, derive_gravity_lps(position), position


def read_ircadb(real_data: Path):
    """3D-IRCADb-01 case 17 with its expert masks."""
    folder = real_data / "3d-ircadb-01-17"
    values, grid, position = read_zip(folder / "PATIENT_DICOM.zip")

    def mask(name):
        return read_zip(folder / f"MASK_{name}.zip")[0] > 0

    tumours = {"L1": mask("livertumor1"), "L2": mask("livertumor2")}
    body = mask("skin")
    lung = derive_lung(values, body)
    parts = {
        StructureKind.LUNG: lung,
        StructureKind.BODY: body,
        StructureKind.LIVER: mask("liver"),
        StructureKind.LESION: tumours["L1"] | tumours["L2"],
        StructureKind.PORTAL_VEIN: mask("portalvein"),
        StructureKind.HEPATIC_VEIN: mask("venoussystem"),
        StructureKind.AORTA: mask("artery"),
        StructureKind.BONE: mask("bone"),
    }
    return values, grid, parts, tumours, position


LIMITS = {
    "skin_spacing": 12.0,
    "target_candidates": 3,
    "liver_before_lesion_min": 3.0,
    "length_min": 5.0,
    "run_out": 3.0,
    "margin_lung": 2.0,
    "margin_bowel": 3.0,
    "margin_gas": 1.0,
    "margin_contrast_lumen": 1.0,
    "margin_stomach": 1.0,
    "margin_heart": 1.0,
    "margin_oesophagus": 1.0,
    "backup_entry_distance": 10.0,
}
"""Small margins for small phantoms; the largest decides how near the end of the scan a path may run."""


def make_parts(seed, spacing=(3.0, 2.5, 5.0)):
    """A small random trunk in voxels: liver, lesion, and lumps of lung and bowel anywhere in the body."""
    rng = np.random.default_rng(seed)
    shape = (28, 26, 14)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1).astype(float)
    centre = np.array([13.5, 12.5, 6.5])
    body = (((index - centre) / (12, 11, 99)) ** 2).sum(-1) <= 1
    liver = (((index - centre) / (9, 8, 5)) ** 2).sum(-1) <= 1
    lesion = (((index - centre - rng.uniform(-2, 2, 3)) / (2.5, 2.5, 1.6)) ** 2).sum(-1) <= 1
    parts = {StructureKind.BODY: body, StructureKind.LIVER: liver, StructureKind.LESION: lesion & liver}
    for kind, count in ((StructureKind.LUNG, 6), (StructureKind.BOWEL, 5)):
        lump = np.zeros(shape, bool)
        for _ in range(count):
            at = centre + rng.uniform(-11, 11, 3) * (1, 1, 0.6)
            lump |= (((index - at) / rng.uniform(1, 3, 3)) ** 2).sum(-1) <= 1
        parts[kind] = lump & body & ~lesion
    grid = Grid.from_axes(shape=shape, spacing_mm=spacing, origin_lps_mm=(-40, -30, -33))
    return grid, parts


def brute_clearance(mask, grid, start, end, radius):
    """Smallest distance over every voxel box of the structure, without any pruning."""
    spacing = grid.spacing_mm
    p, q = ((grid.to_index(x) + 0.5) * spacing for x in (start, end))
    return (
        min(measure_box_distance_mm(p, q, v * spacing, (v + 1) * spacing) for v in np.argwhere(mask)) - radius
    )
