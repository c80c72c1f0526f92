"""Contour filling and resampling against closed forms and other programs."""

from __future__ import annotations

import numpy as np
import pytest
from scan_files import make_affine, make_readers, make_values, rotate, write_dicom

from hepatica.core.errors import FrameMismatchError, GeometryError
from hepatica.core.geometry import Grid
from hepatica.core.progress import SILENT
from hepatica.imaging.contours import fill_polygons, fill_slices
from hepatica.imaging.mask import Mask
from hepatica.imaging.resample import resample_array, resample_labels, resample_mask, resample_volume
from hepatica.imaging.volume import Volume

IMAGES, LABELS = make_readers()
VOXEL_VOLUME_TOLERANCE = 0.02
"""A sphere of 12 mm on 2 mm voxels: counting voxel centres scatters by about one per cent."""


def circle(radius, centre, count=180):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=1)


@pytest.mark.requirement("A-LABEL-08")
@pytest.mark.parametrize("seed", range(12))
def test_filling_agrees_with_matplotlib_on_random_star_shapes_holes_and_islands(seed):
    from matplotlib.path import Path

    rng = np.random.default_rng(seed)
    polygons = []
    for size in (19.0, 11.0, 5.0):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
        radius = size * rng.uniform(0.6, 1.0, 40)
        polygons.append(np.stack([20.3 + radius * np.cos(angle), 17.7 + radius * np.sin(angle)], axis=1))
    columns, rows = np.meshgrid(np.arange(41), np.arange(37))
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    inside = [
        Path(np.vstack([p, p[:1]]), closed=True).contains_points(centres).reshape(37, 41) for p in polygons
    ]
    assert np.array_equal(fill_polygons(polygons, shape=(37, 41)), inside[0] ^ inside[1] ^ inside[2])


@pytest.mark.requirement("A-LABEL-08")
def test_a_keyhole_outline_leaves_its_hole_open_and_the_direction_of_drawing_is_irrelevant():
    outer, inner = circle(15, (20, 20)), circle(6, (20, 20))
    keyhole = np.vstack([outer, outer[:1], inner[::-1][-1:], inner[::-1], outer[:1]])
    ring = fill_polygons([outer, inner], shape=(40, 40))
    assert np.array_equal(fill_polygons([keyhole], shape=(40, 40)), ring)
    assert np.array_equal(fill_polygons([outer[::-1], inner], shape=(40, 40)), ring)
    assert ring.sum() == pytest.approx(np.pi * (15**2 - 6**2), rel=0.02)


@pytest.mark.requirement("A-LABEL-08")
def test_contours_that_leave_the_image_are_cut_off_not_wrapped():
    filled = fill_polygons([circle(10, (0, 15))], shape=(30, 20))
    whole = fill_polygons([circle(10, (20, 15))], shape=(30, 40))
    assert np.array_equal(filled, whole[:, 20:])


@pytest.mark.requirement("A-LABEL-08")
def test_shapes_between_contour_planes_are_interpolated():
    contours = [(0.0, circle(6, (20, 20))), (10.0, circle(12, (20, 20)))]
    filled = fill_slices(
        contours, positions_mm=[-6, -4, 0, 5, 10, 14, 16], shape=(40, 40), pixel_spacing_mm=(1, 1)
    )
    radii = np.sqrt(filled.planes.sum(axis=(1, 2)) / np.pi)
    assert np.allclose(radii, [0, 6, 6, 9, 12, 12, 0], atol=0.25)
    assert filled.step_mm == 10.0


@pytest.mark.requirement("A-LABEL-08")
def test_separate_parts_are_not_bridged():
    contours = [(z, circle(6, (20, 20))) for z in (0.0, 3.0, 6.0, 18.0, 21.0)]
    filled = fill_slices(
        contours, positions_mm=[4.5, 9.0, 12.0, 19.5], shape=(40, 40), pixel_spacing_mm=(1, 1)
    )
    assert filled.planes.any(axis=(1, 2)).tolist() == [True, False, False, True]
    assert filled.gaps_mm == (12.0,)


def write_rtstruct(path, contours, *, frame="2.25.77", references=()):
    """A minimal RT Structure Set: one region of closed planar contours, each (n, 3) LPS points."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "2.25.800"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.Modality = "2.25.801", "2.25.10", "RTSTRUCT"
    region, drawn = Dataset(), Dataset()
    region.ROINumber, region.ROIName, region.ReferencedFrameOfReferenceUID = 3, "tumour", frame
    drawn.ReferencedROINumber, drawn.ContourSequence = 3, []
    for n, points in enumerate(contours):
        item = Dataset()
        item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
        item.ContourData = [f"{value:.4f}" for value in np.asarray(points).ravel()]
        if n < len(references):
            image = Dataset()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = (
                "1.2.840.10008.5.1.4.1.1.2",
                references[n],
            )
            item.ContourImageSequence = [image]
        drawn.ContourSequence.append(item)
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [region], [drawn]
    dataset.save_as(path, enforce_file_format=True)
    return path


SPHERE_CENTRE = np.array([3.0, 40.0, -60.0])
SPHERE_RADIUS_MM = 12.0


def sphere_contours(directions, step_mm):
    """Circles of a sphere in planes across the third direction."""
    result = []
    for d in np.arange(-SPHERE_RADIUS_MM + step_mm / 2, SPHERE_RADIUS_MM, step_mm):
        flat = circle(np.sqrt(SPHERE_RADIUS_MM**2 - d**2), (0, 0))
        result.append(SPHERE_CENTRE + np.column_stack([flat, np.full(len(flat), d)]) @ directions.T)
    return result


@pytest.mark.requirement("A-LABEL-08")
@pytest.mark.parametrize(
    "directions",
    [np.eye(3), np.eye(3)[:, [1, 2, 0]], rotate((25.0, 10.0, 5.0))],
    ids=["axial", "sagittal", "oblique"],
)
@pytest.mark.parametrize("rotation", [None, rotate((9.0, -7.0, 12.0))], ids=["straight scan", "oblique scan"])
def test_a_sphere_drawn_in_any_planes_keeps_its_volume_and_centre(tmp_path, directions, rotation):
    affine = make_affine((2.0, 2.0, 2.0), SPHERE_CENTRE - 21.0 * np.ones(3))
    if rotation is not None:
        affine[:3, :3] = rotation @ affine[:3, :3]
        affine[:3, 3] = SPHERE_CENTRE - affine[:3, :3] @ np.full(3, 10.5)
    ct = IMAGES.read_image(
        write_dicom(tmp_path / "ct", make_values((22, 22, 22)) // 8, affine), progress=SILENT
    )
    path = write_rtstruct(tmp_path / "rt.dcm", sphere_contours(directions, 2.0))
    mask = LABELS.read_labels(path, reference=ct, progress=SILENT).masks[0].mask
    volume_ml = 4 / 3 * np.pi * SPHERE_RADIUS_MM**3 / 1000
    assert mask.volume_ml == pytest.approx(volume_ml, rel=2 * VOXEL_VOLUME_TOLERANCE)
    assert np.abs(mask.centroid_lps_mm - SPHERE_CENTRE).max() < 0.25


@pytest.mark.requirement("A-LABEL-08")
def test_contours_of_another_frame_or_out_of_plane_are_refused_and_dangling_references_are_not(tmp_path):
    affine = make_affine((2.0, 2.0, 2.0), SPHERE_CENTRE - 21.0)
    ct = IMAGES.read_image(
        write_dicom(tmp_path / "ct", make_values((22, 22, 22)) // 8, affine), progress=SILENT
    )
    contours = sphere_contours(np.eye(3), 2.0)
    with pytest.raises(FrameMismatchError):
        LABELS.read_labels(
            write_rtstruct(tmp_path / "a.dcm", contours, frame="2.25.9"), reference=ct, progress=SILENT
        )
    bent = [points + np.outer(np.arange(len(points)) % 3, (0, 0, 1.0)) for points in contours]
    with pytest.raises(GeometryError, match="planar"):
        LABELS.read_labels(write_rtstruct(tmp_path / "b.dcm", bent), reference=ct, progress=SILENT)
    known = ct.facts.sop_instance_uids[0]
    path = write_rtstruct(tmp_path / "c.dcm", contours, references=(known, "2.25.404", "2.25.405"))
    findings = LABELS.read_labels(path, reference=ct, progress=SILENT).findings
    assert [finding.rule for finding in findings] == ["labels.dangling_references"]
    assert findings[0].message.startswith("2 of 3 images")


def make_grids():
    source = Grid(shape=(20, 18, 16), lps_from_ijk=make_affine((2.0, 2.5, 3.0)))
    directions = rotate((20.0, -15.0, 30.0))
    target = Grid.from_axes(
        shape=(17, 15, 13),
        spacing_mm=(1.7, 2.1, 2.9),
        directions=directions,
        origin_lps_mm=source.to_lps_mm((9, 8, 7)) - directions @ (14.0, 15.0, 18.0),
    )
    return source, target


def to_itk(values, grid):
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection(grid.directions.ravel().tolist())
    image.SetOrigin(grid.origin_lps_mm.tolist())
    return image


@pytest.mark.requirement("A-LABEL-09")
def test_oblique_resampling_agrees_with_simpleitk():
    import SimpleITK as sitk

    source, target = make_grids()
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 9, source.shape).astype(np.uint8)
    image = rng.normal(0, 100, source.shape).astype(np.float32)
    reference = to_itk(np.zeros(target.shape, np.uint8), target)
    by_itk = sitk.GetArrayFromImage(
        sitk.Resample(to_itk(labels, source), reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    ).T
    assert np.array_equal(resample_labels(labels, source=source, target=target), by_itk)
    by_itk = sitk.GetArrayFromImage(
        sitk.Resample(
            to_itk(image, source), reference, sitk.Transform(), sitk.sitkLinear, -7.0, sitk.sitkFloat32
        )
    ).T
    ours = resample_volume(Volume(values=image, grid=source), target=target, fill=-7.0).values
    assert np.abs(ours - by_itk).max() < 0.05  # single precision of values around 300


@pytest.mark.requirement("A-LABEL-09")
def test_a_mask_alone_resamples_as_the_whole_label_array_does():
    source, target = make_grids()
    full = np.random.default_rng(1).random(source.shape) < 0.4
    full[:4] = False
    moved = resample_mask(Mask.from_full(full, grid=source), target=target)
    whole = resample_labels(full, source=source, target=target)
    assert np.array_equal(moved.to_full(), whole)


@pytest.mark.requirement("A-LABEL-09")
def test_a_linear_field_survives_linear_resampling_and_the_outside_is_filled():
    source, target = make_grids()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in source.shape], indexing="ij"), axis=-1)
    field = source.to_lps_mm(index) @ (0.3, -0.7, 0.2)
    moved = resample_array(field, lps_from_ijk=source.lps_from_ijk, target=target, fill=-999.0)
    at = target.to_lps_mm(
        np.stack(np.meshgrid(*[np.arange(n) for n in target.shape], indexing="ij"), axis=-1)
    )
    where = source.to_index(at)
    inner = ((where >= 0) & (where <= np.array(source.shape) - 1)).all(axis=-1)
    outer = ((where < -0.5) | (where > np.array(source.shape) - 0.5)).any(axis=-1)
    assert np.abs(moved - at @ (0.3, -0.7, 0.2))[inner].max() < 1e-3
    assert outer.any()
    assert (moved[outer] == -999.0).all()
    assert (moved[~outer] != -999.0).all()
