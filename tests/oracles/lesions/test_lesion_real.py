"""Lesions, registration and living part on real scans."""

from __future__ import annotations

import io
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
from lesion_shapes import rotation, slow_boundary
from scipy import ndimage
from scipy.spatial.distance import pdist
from two_phases import measure_target_error_mm

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.registration import register_rigid_locally
from hepatica.imaging.volume import Volume
from hepatica.lesions.describe import describe_lesions
from hepatica.lesions.enhancement import TumourType
from hepatica.lesions.lesion import ViablePart
from hepatica.lesions.viable import derive_viable

DEMO, IRCAD = "hcc-tace-seg-015", "3d-ircadb-01-17"
TARGET_MM = 0.5
"""A quarter of the working voxel, on the same tissue displaced by resampling."""
TWO_PHASE_MM = 1.0
"""Two registrations of the same real pair of phases may differ by half the working voxel."""


def stack(datasets) -> tuple[np.ndarray, Grid]:
    datasets = sorted(datasets, key=lambda d: float(d.ImagePositionPatient[2]))
    values = np.stack([d.pixel_array for d in datasets])
    values = (
        values * float(datasets[0].get("RescaleSlope", 1)) + float(datasets[0].get("RescaleIntercept", 0))
    ).astype(np.int16)
    heights = [float(d.ImagePositionPatient[2]) for d in datasets]
    row, column = (float(s) for s in datasets[0].PixelSpacing)
    grid = Grid.from_axes(
        shape=values.T.shape, spacing_mm=(column, row, float(np.diff(heights).mean())),
        origin_lps_mm=[float(v) for v in datasets[0].ImagePositionPatient],
    )  # fmt: skip
    return values.T, grid


def read_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if not n.endswith("/")]
        return stack([pydicom.dcmread(io.BytesIO(archive.read(n)), force=True) for n in names])


@pytest.fixture(scope="module")
def demo(real_data):
    folder = real_data / DEMO
    values, grid = stack([pydicom.dcmread(p) for p in (folder / "ct_venous").iterdir()])
    early, early_grid = read_zip(folder / "ct_arterial.zip")
    image = nibabel.load(folder / "labels_semiautomatic.nii.gz")
    lps = np.diag([-1, -1, 1, 1]) @ image.affine
    codes = np.asarray(image.dataobj)
    for axis in range(3):
        if lps[axis, axis] < 0:
            codes = np.flip(codes, axis)
    codes = np.asfortranarray(codes)
    empty = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    parts = {"body": codes > 0, "lung": codes == 2, "liver": codes >= 3, "lesion": codes == 4}
    anatomy = empty.with_structures(
        (
            StructureSource(kind=StructureKind(n), origin=Origin.LABELLED, names=(n,), source="test"),
            Mask.from_full(m, grid=grid),
        )
        for n, m in parts.items()
    )
    return {
        "venous": Volume(values=values, grid=grid), "arterial": Volume(values=early, grid=early_grid),
        "anatomy": anatomy, "liver": codes >= 3, "lesion": Mask.from_full(codes == 4, grid=grid),
    }  # fmt: skip


def near(demo) -> Mask:
    lesion = demo["lesion"]
    full = np.zeros(demo["liver"].shape, bool, order="F")
    margin = np.ceil(20 / lesion.grid.spacing_mm).astype(int)
    box = tuple(slice(max(s.start - m, 0), s.stop + m) for s, m in zip(lesion.box, margin, strict=True))
    full[box] = demo["liver"][box]
    return Mask.from_full(full, grid=lesion.grid)


@pytest.mark.real_data(DEMO)
@pytest.mark.requirement("A-lesion-real")
def test_the_demo_lesion_measures_what_its_description_says(demo):
    (lesion,), findings = describe_lesions(
        [("lesion", demo["lesion"])], volume=demo["venous"], anatomy=demo["anatomy"]
    )
    pixels_mm = float(np.linalg.norm(demo["venous"].grid.spacing_mm[:2]))
    assert lesion.longest_diameter.length_mm == pytest.approx(48.0, abs=pixels_mm)
    assert lesion.short_axis.length_mm == pytest.approx(48.0, abs=pixels_mm)
    assert lesion.volume_ml == pytest.approx(51.0, abs=0.5)
    assert lesion.liver_fraction == pytest.approx(51 / 1040, rel=0.02)
    assert lesion.distance_to_capsule_mm == 0.0
    slices = np.moveaxis(lesion.mask.crop, 2, 0)
    brute = max(pdist(slow_boundary(s) * lesion.mask.grid.spacing_mm[:2]).max() for s in slices)
    assert lesion.longest_diameter.length_mm == pytest.approx(brute, abs=1e-9)
    assert not {f.rule for f in findings} & {
        "lesions.cut_off",
        "lesions.liver_share",
        "lesions.may_be_several",
    }


@pytest.mark.real_data(DEMO)
@pytest.mark.requirement("A-registration-phases")
def test_a_real_scan_displaced_by_a_known_motion_and_recoloured_is_found_again(demo):
    still, own = demo["venous"], demo["arterial"].grid
    other = Grid.from_axes(
        shape=(256, 256, own.shape[2]), spacing_mm=own.spacing_mm * [2, 2, 1], origin_lps_mm=own.origin_lps_mm
    )
    centre = demo["lesion"].centroid_lps_mm
    motion = np.eye(4)
    motion[:3, :3] = rotation((0.3, 1.0, 0.2), 4)
    motion[:3, 3] = centre + np.array([3, -4, 8]) - motion[:3, :3] @ centre
    back = still.grid.ijk_from_lps @ np.linalg.inv(motion) @ other.lps_from_ijk
    moved = ndimage.affine_transform(
        still.values.astype(np.float32),
        back[:3, :3],
        offset=back[:3, 3],
        output_shape=other.shape,
        order=1,
        mode="nearest",
    )
    recoloured = np.interp(moved, [-1000, 0, 100, 150, 180, 250, 400], [-1000, 0, 80, 75, 70, 120, 300])
    recoloured += np.random.default_rng(1).normal(0, 10, other.shape)
    found = register_rigid_locally(
        still, Volume(values=recoloured.astype(np.int16), grid=other), region=near(demo)
    )
    targets = still.grid.to_lps_mm(demo["lesion"].index_ijk()[::50])
    assert found.converged
    assert measure_target_error_mm(found.moving_from_fixed, motion, targets).max() < TARGET_MM


@pytest.mark.real_data(DEMO)
@pytest.mark.requirement("A-registration-phases")
def test_the_real_arterial_phase_is_found_again_after_another_shift(demo):
    region = near(demo)
    first = register_rigid_locally(demo["venous"], demo["arterial"], region=region)
    motion = np.eye(4)
    motion[:3, :3] = rotation((0, 0.2, 1), 3)
    motion[:3, 3] = (4.0, 2.0, -7.0)
    affine = motion @ demo["arterial"].grid.lps_from_ijk
    moved = Volume(
        values=demo["arterial"].values, grid=Grid(shape=demo["arterial"].grid.shape, lps_from_ijk=affine)
    )
    second = register_rigid_locally(demo["venous"], moved, region=region)
    targets = demo["venous"].grid.to_lps_mm(demo["lesion"].index_ijk()[::50])
    error = measure_target_error_mm(second.moving_from_fixed, motion @ first.moving_from_fixed, targets)
    assert error.mean() < TWO_PHASE_MM
    assert 0.5 < first.residual_mm < 5.0


@pytest.mark.real_data(DEMO)
@pytest.mark.requirement("A-viable-phases")
def test_the_demo_lesion_lives_but_for_its_dark_foci(demo):
    part = derive_viable(
        demo["lesion"],
        venous=demo["venous"],
        arterial=demo["arterial"],
        liver=demo["liver"],
        tumour_type=TumourType.HCC,
    )
    assert isinstance(part, ViablePart)
    smooth = ndimage.gaussian_filter(
        demo["venous"].values[demo["lesion"].box].astype(float), 1.5 / demo["lesion"].grid.spacing_mm
    )
    living = part.middle.to_full()[demo["lesion"].box]
    inside = demo["lesion"].crop
    # seen on the images: the left-out foci are the dark ones, the surest part is the bright one
    assert np.median(smooth[inside & ~living]) < np.median(smooth[inside & living]) - 20
    assert 0.85 < part.middle.volume_ml / demo["lesion"].volume_ml < 0.99
    assert 0.5 < part.low.volume_ml < part.middle.volume_ml <= part.high.volume_ml


@pytest.mark.real_data(IRCAD)
@pytest.mark.requirement("A-lesion-real")
def test_both_expert_tumours_have_their_stated_volumes(real_data):
    folder = real_data / IRCAD
    values, grid = read_zip(folder / "PATIENT_DICOM.zip")
    masks = {}
    for name in ("liver", "livertumor1", "livertumor2", "skin", "portalvein"):
        drawn, own = read_zip(folder / f"MASK_{name}.zip")
        assert own.same_grid(grid)
        masks[name] = Mask.from_full(np.asfortranarray(drawn > 0), grid=grid)
    kinds = {
        "liver": StructureKind.LIVER,
        "skin": StructureKind.BODY,
        "portalvein": StructureKind.PORTAL_VEIN,
    }
    anatomy = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F")).with_structures(
        (StructureSource(kind=k, origin=Origin.LABELLED, names=(n,), source="test"), masks[n])
        for n, k in kinds.items()
    )
    segments = [(n, masks[n]) for n in ("livertumor1", "livertumor2")]
    lesions, _ = describe_lesions(segments, volume=Volume(values=values, grid=grid), anatomy=anatomy)
    by_label = {x.label: x for x in lesions}
    assert by_label["livertumor1"].volume_ml == pytest.approx(86, abs=0.6)
    assert by_label["livertumor2"].volume_ml == pytest.approx(79, abs=0.6)
    for lesion in lesions:
        assert lesion.liver_fraction == pytest.approx(lesion.volume_ml / 1861, rel=0.01)
        plane = grid.spacing_mm[:2]
        brute = max(
            pdist(slow_boundary(s) * plane).max() for s in np.moveaxis(lesion.mask.crop, 2, 0) if s.any()
        )
        assert lesion.longest_diameter.length_mm == pytest.approx(brute, abs=1e-9)
        assert 10 < lesion.depth_mm < 120
        assert [n.kind for n in lesion.neighbours] == [StructureKind.PORTAL_VEIN]
