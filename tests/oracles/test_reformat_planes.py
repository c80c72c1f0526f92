"""Flat pictures against closed forms, for every orientation of the grid."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.core.errors import GeometryError
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.imaging.reformat import (
    crop_plane,
    derive_axial_plane,
    derive_edge_letters,
    derive_needle_plane,
    measure_membership,
    sample_corners,
    sample_mask,
    sample_volume,
    trace_outlines,
)
from hepatica.imaging.volume import Volume

HALF_PIXEL = 0.5
"""A known point has to land on the predicted pixel."""
EXACT_MM = 1e-9
"""Closed forms in float64: rounding only."""
NEEDLE_IN_PLANE_MM = 1e-3
"""A needle within 1e-6 of head-feet counts as parallel; 200 mm of it then leave the plane by 0.0002 mm."""
LINEAR_HU = 1e-2
"""Trilinear sampling reproduces a linear field; float32 keeps about 1e-3 at 1000."""
ORIENTATIONS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)
]


def oriented_grid(order, signs, *, shape=(24, 26, 22), spacing=(1.5, 1.2, 2.0), tilt_deg=0.0) -> Grid:
    """A grid centred on the origin whose axes run along LPS axes in some order and direction."""
    directions = np.zeros((3, 3))
    for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
        directions[row, axis] = sign
    c, s = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    directions = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ directions
    middle = directions @ (np.array(spacing) * (np.array(shape) - 1) / 2)
    slice_axis = order.index(2)
    return Grid.from_axes(
        shape=shape, spacing_mm=spacing, origin_lps_mm=-middle, directions=directions, slice_axis=slice_axis
    )


def linear_volume(grid: Grid, slope=(3.0, -2.0, 5.0)) -> Volume:
    """A volume whose value is a linear function of LPS, the same function whatever the grid."""
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    return Volume(values=(grid.to_lps_mm(index) @ np.array(slope)).astype(np.float32), grid=grid)


@pytest.mark.requirement("A-reformat-orientations")
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_axial_picture_shows_the_same_patient_whatever_the_grid_orientation(order, signs):
    volume = linear_volume(oriented_grid(order, signs))
    plane = derive_axial_plane(volume.grid, through_lps_mm=(0, 0, 3.0), pixel_mm=1.0, snap=False)
    picture = sample_volume(volume, plane)
    rows, columns = np.meshgrid(*[np.arange(8, n - 8) for n in plane.shape], indexing="ij")
    points = plane.to_lps_mm(np.stack([rows, columns], axis=-1))
    expected = points @ np.array((3.0, -2.0, 5.0))
    assert np.abs(picture[8:-8, 8:-8] - expected).max() < LINEAR_HU
    # Radiological: columns grow to the patient's left, rows to the back.
    assert derive_edge_letters(plane) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}


@pytest.mark.requirement("A-reformat-needle-pixels")
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_bright_needle_lies_on_predicted_pixels_for_all_axis_orientations(order, signs):
    grid = oriented_grid(order, signs, shape=(40, 40, 40), spacing=(1.0, 1.0, 1.0))
    entry, tip = np.array([-12.0, -14.0, 3.0]), np.array([8.0, 10.0, -5.0])
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    points = grid.to_lps_mm(index)
    along = np.clip((points - entry) @ (tip - entry) / np.sum((tip - entry) ** 2), 0, 1)
    away = np.linalg.norm(points - entry - along[..., None] * (tip - entry), axis=-1)
    volume = Volume(values=(1000 * np.exp(-((away / 1.2) ** 2))).astype(np.float32), grid=grid)
    plane = derive_needle_plane(entry, tip, pixel_mm=0.5, margin_mm=2.0)
    picture = sample_volume(volume, plane, outside=0.0)
    for fraction in (0.2, 0.5, 0.8):
        centre = plane.to_pixel(entry + fraction * (tip - entry))
        direction = plane.to_pixel(tip) - plane.to_pixel(entry)
        across = np.array([-direction[1], direction[0]]) / np.linalg.norm(direction)
        offsets = np.arange(-6, 7)
        profile = [picture[tuple(np.rint(centre + k * across).astype(int))] for k in offsets]
        bright = np.rint(centre + offsets[int(np.argmax(profile))] * across)
        assert np.linalg.norm((bright - centre) @ across) <= 2 * HALF_PIXEL
    below = picture[plane.to_pixel(entry + 0.5 * (tip - entry)).round().astype(int)[0] + 12, :]
    assert picture.max() > 700 > below.min()


def test_known_point_lands_on_its_pixel_within_half_a_pixel():
    grid = oriented_grid((0, 1, 2), (1, -1, -1))
    point = np.array([4.3, -6.1, 2.0])
    plane = derive_axial_plane(grid, through_lps_mm=point, pixel_mm=0.7, snap=False)
    pixel = np.rint(plane.to_pixel(point))
    assert np.linalg.norm(plane.to_lps_mm(pixel) - point) <= np.sqrt(2) * HALF_PIXEL * plane.pixel_mm
    assert np.abs(plane.to_lps_mm(plane.to_pixel(point)) - point).max() < EXACT_MM


def test_axial_plane_snaps_to_the_nearest_acquired_slice():
    grid = oriented_grid((0, 1, 2), (1, 1, -1))
    slices = grid.to_lps_mm([[0, 0, k] for k in range(grid.shape[2])])[:, 2]
    plane = derive_axial_plane(grid, through_lps_mm=(0, 0, 3.4), pixel_mm=1.0)
    assert plane.origin_lps_mm[2] == pytest.approx(slices[np.argmin(np.abs(slices - 3.4))])


def test_axial_plane_of_an_oblique_stack_passes_through_the_point_itself():
    grid = oriented_grid((0, 1, 2), (1, 1, 1), tilt_deg=20.0)
    assert derive_axial_plane(grid, through_lps_mm=(0, 0, 3.4), pixel_mm=1.0).origin_lps_mm[2] == 3.4


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    entry=st.tuples(*[st.floats(-150, 150)] * 3),
    way=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.2),
    length=st.floats(5, 200),
)
def test_needle_plane_holds_both_ends_and_no_plane_that_does_is_closer_to_axial(entry, way, length):
    entry = np.array(entry)
    tip = entry + length * np.array(way) / np.linalg.norm(way)
    plane = derive_needle_plane(entry, tip, pixel_mm=1.0, margin_mm=10.0, aspect=1.5)
    assert np.abs(plane.measure_distance_mm([entry, tip])).max() < NEEDLE_IN_PLANE_MM
    rows, columns = plane.to_pixel([entry, tip]).T
    assert rows.min() >= 0 and columns.min() >= 0
    assert rows.max() <= plane.shape[0] - 1 and columns.max() <= plane.shape[1] - 1
    direction = (tip - entry) / length
    best = np.sqrt(max(0.0, 1 - direction[2] ** 2))
    if best > 1e-3:
        assert abs(plane.normal_lps[2]) == pytest.approx(best, abs=1e-6)
    assert plane.shape[1] / plane.shape[0] == pytest.approx(1.5, rel=0.1)


def test_needle_along_the_body_uses_the_coronal_plane_with_the_head_on_top():
    plane = derive_needle_plane((0, 0, 50), (0, 0, -50), pixel_mm=1.0)
    assert derive_edge_letters(plane) == {"left": "R", "right": "L", "top": "H", "bottom": "F"}


def test_needle_without_length_is_refused():
    with pytest.raises(GeometryError):
        derive_needle_plane((1, 2, 3), (1, 2, 3), pixel_mm=1.0)


def test_oblique_edges_bear_two_letters():
    plane = derive_needle_plane((0, -40, 40), (0, 40, -40), pixel_mm=1.0)
    assert set(derive_edge_letters(plane)["top"]) == {"A", "H"}


@pytest.mark.requirement("A-reformat-outline")
@pytest.mark.parametrize("tilt_deg", [0.0, 25.0])
def test_outline_of_a_ball_has_the_radius_of_its_cut(tilt_deg):
    grid = oriented_grid(
        (1, 0, 2), (-1, 1, 1), shape=(60, 60, 40), spacing=(0.8, 0.8, 1.5), tilt_deg=tilt_deg
    )
    radius, height = 14.0, 5.0
    points = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    ball = np.linalg.norm(points, axis=-1) <= radius
    plane = derive_axial_plane(grid, through_lps_mm=(0, 0, height), pixel_mm=0.5, snap=False)
    expected = np.sqrt(radius**2 - height**2)
    mask = Mask.from_full(ball, grid=grid)
    bits = sample_corners(np.where(ball, np.uint32(4), np.uint32(1)), grid, plane)
    voxel_mm = 0.9
    for picture in (sample_mask(mask, plane), measure_membership(bits, 4)):
        (line,) = trace_outlines(picture)
        radii = np.linalg.norm(plane.to_lps_mm(line)[:, :2], axis=1)
        assert np.abs(radii - expected).max() < voxel_mm
        assert abs(radii.mean() - expected) < 0.25


def test_both_routes_to_a_structure_agree():
    grid = oriented_grid((2, 0, 1), (1, -1, 1))
    inside = np.zeros(grid.shape, bool)
    inside[5:15, 8:20, 6:14] = True
    plane = derive_needle_plane((-8, -9, 2), (9, 10, -4), pixel_mm=0.8)
    first = sample_mask(Mask.from_full(inside, grid=grid), plane)
    second = measure_membership(sample_corners(inside.astype(np.uint32) * 8, grid, plane), 8)
    # Corner reads clip at the scan's end where mask reads fade; the box stays clear of it.
    assert np.abs(first - second).max() < 1e-4


def test_outside_the_scan_is_air():
    grid = oriented_grid((0, 1, 2), (1, 1, 1))
    volume = Volume(values=np.full(grid.shape, 55, np.int16), grid=grid)
    plane = derive_axial_plane(grid, through_lps_mm=(0, 0, 500.0), pixel_mm=1.0, snap=False)
    assert (sample_volume(volume, plane) == -1000).all()


def test_cropped_plane_keeps_the_lattice():
    grid = oriented_grid((0, 1, 2), (1, 1, 1))
    whole = derive_axial_plane(grid, through_lps_mm=(0, 0, 0), pixel_mm=1.0)
    part = crop_plane(whole, centre_lps_mm=(3.2, -4.4, 0), height_mm=10, width_mm=14)
    assert part.shape == (10, 14)
    offset = whole.to_pixel(part.origin_lps_mm)
    assert np.abs(offset - np.rint(offset)).max() < EXACT_MM
