"""Diameters against brute force, closed forms and the symmetries of space."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lesion_shapes import (
    ellipsoid_mask,
    make_grid,
    plane_mask,
    rotation,
    slow_boundary,
    slow_longest_chord_mm,
    slow_longest_diameter_mm,
    slow_longest_mm,
)

from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.lesions.diameters import measure_diameters, measure_longest_diameter_3d

EXACT_MM = 1e-9
"""Same pairs, same arithmetic: only rounding may differ."""
SAMPLED_CHORD_MM = 0.12
"""Lines 0.05 mm apart and steps of 0.01 mm over contours of slope up to 2 miss at most this much."""

spacings = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 1.3, 5.0])] * 3)
volumes = hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5))).filter(np.any)
settings.register_profile("lesions", deadline=None, derandomize=True, max_examples=60)


def random_mask(full, spacing_mm, slice_axis=2) -> Mask:
    return Mask.from_full(full, grid=make_grid(full.shape, spacing_mm, slice_axis=slice_axis))


@pytest.mark.requirement("A-lesion-ld")
@given(full=volumes, spacing_mm=spacings, slice_axis=st.integers(0, 2))
@settings(settings.get_profile("lesions"))
def test_longest_diameter_equals_brute_force_over_all_boundary_pairs(full, spacing_mm, slice_axis):
    mask = random_mask(full, spacing_mm, slice_axis)
    longest, _ = measure_diameters(mask)
    assert longest.length_mm == pytest.approx(slow_longest_diameter_mm(mask), abs=EXACT_MM)
    assert np.linalg.norm(np.diff(longest.ends_lps_mm, axis=0)) == pytest.approx(
        longest.length_mm, abs=EXACT_MM
    )
    ends = mask.grid.to_index(longest.ends_lps_mm).round().astype(int)
    assert (ends[:, slice_axis] == longest.slice_index).all()
    assert full[tuple(ends.T)].all()


@pytest.mark.requirement("A-lesion-3d")
@given(full=volumes, spacing_mm=spacings)
@settings(settings.get_profile("lesions"))
def test_longest_3d_diameter_equals_brute_force_over_all_boundary_pairs(full, spacing_mm):
    mask = random_mask(full, spacing_mm)
    found = measure_longest_diameter_3d(mask)
    assert found.length_mm == pytest.approx(
        slow_longest_mm(slow_boundary(full) * mask.grid.spacing_mm), abs=EXACT_MM
    )
    ends = mask.grid.to_index(found.ends_lps_mm).round().astype(int)
    assert full[tuple(ends.T)].all()


@pytest.mark.requirement("A-lesion-3d")
@pytest.mark.parametrize("shape", [(40, 40, 1), (1, 60, 40), (40, 1, 40), (1, 1, 900), (30, 30, 30)])
def test_longest_3d_diameter_of_flat_lines_and_solid_blocks_is_the_diagonal(shape):
    spacing = np.array([0.7, 0.9, 2.5])
    found = measure_longest_diameter_3d(random_mask(np.ones(shape, bool), spacing))
    assert found.length_mm == pytest.approx(np.linalg.norm((np.array(shape) - 1) * spacing), abs=EXACT_MM)


def test_longest_3d_diameter_of_an_oblique_sheet_too_large_for_pairs_is_right():
    full = np.zeros((60, 60, 119), bool)
    i, j = np.indices((60, 60))
    full[i, j, i + j] = True
    found = measure_longest_diameter_3d(random_mask(full, (1.0, 1.0, 1.0)))
    assert found.length_mm == pytest.approx(math.sqrt(59**2 + 59**2 + 118**2), abs=EXACT_MM)


@pytest.mark.requirement("A-lesion-short-axis")
@given(
    pixels=hnp.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 4))).filter(np.any), data=st.data()
)
@settings(deadline=None, derandomize=True, max_examples=12)
def test_short_axis_equals_the_longest_run_inside_the_half_level_contour(pixels, data):
    spacing = np.array([data.draw(st.sampled_from([0.7, 1.0])), data.draw(st.sampled_from([0.7, 1.2]))])
    mask = plane_mask(pixels, (*spacing, 3.0))
    longest, short = measure_diameters(mask)
    if longest.length_mm == 0:
        assert isinstance(short, NotEvaluable)
        return
    ends = mask.grid.to_index(longest.ends_lps_mm)[:, :2] - np.array(mask.start_ijk[:2])
    expected = slow_longest_chord_mm(mask.crop[:, :, 0], spacing, ends * spacing)
    assert short.length_mm == pytest.approx(expected, abs=SAMPLED_CHORD_MM)


@pytest.mark.requirement("A-lesion-short-axis")
@given(full=volumes, spacing_mm=spacings)
@settings(settings.get_profile("lesions"))
def test_short_axis_is_perpendicular_to_the_longest_diameter_and_in_its_slice(full, spacing_mm):
    longest, short = measure_diameters(random_mask(full, spacing_mm))
    if isinstance(short, NotEvaluable):
        assert longest.length_mm == 0
        return
    along, across = (np.diff(d.ends_lps_mm, axis=0)[0] for d in (longest, short))
    assert abs(along @ across) <= 1e-9 * longest.length_mm * short.length_mm + 1e-12
    assert short.slice_index == longest.slice_index
    assert np.linalg.norm(across) == pytest.approx(short.length_mm, abs=EXACT_MM)


@pytest.mark.parametrize(("count", "spacing_mm"), [(2, 1.0), (7, 0.6), (12, 2.0)])
def test_a_row_of_pixels_is_one_pixel_wide(count, spacing_mm):
    longest, short = measure_diameters(plane_mask(np.ones((count, 1)), (spacing_mm, 0.8, 1.0)))
    assert longest.length_mm == pytest.approx((count - 1) * spacing_mm)
    assert short.length_mm == pytest.approx(0.8)


def test_a_rectangle_has_the_chord_that_geometry_says():
    a, b, s = 30, 12, 0.7
    longest, short = measure_diameters(plane_mask(np.ones((a, b)), (s, s, 5.0)))
    diagonal = math.hypot((a - 1) * s, (b - 1) * s)
    assert longest.length_mm == pytest.approx(diagonal)
    # across the diagonal from one long side to the other: height b s over the cosine of the diagonal's slope
    assert short.length_mm == pytest.approx(b * s * diagonal / ((a - 1) * s))


def test_an_l_shape_gives_the_longest_single_chord_across_its_corner():
    pixels = np.zeros((20, 20), bool)
    pixels[:, :4] = True
    pixels[:4, :] = True
    longest, short = measure_diameters(plane_mask(pixels))
    assert longest.length_mm == pytest.approx(math.hypot(19, 19))
    # Slanted across one arm, 4 pixels wide; through the corner it is the same, from (-0.25, -0.25) to
    # (3.75, 3.75), where the contour rounds both corners. The 19-pixel notch between the arms is not inside.
    assert short.length_mm == pytest.approx(4 * math.sqrt(2), abs=EXACT_MM)


def test_a_comb_gives_one_tooth_and_not_the_sum_over_the_gap():
    pixels = np.zeros((30, 12), bool)
    pixels[:, :3] = True
    pixels[13:17, 5:11] = True  # floats above the bar: same lesion, not connected
    longest, short = measure_diameters(plane_mask(pixels))
    slope = longest.ends_lps_mm
    assert longest.length_mm == pytest.approx(math.hypot(29, 2))
    assert abs(slope[0, 1] - slope[1, 1]) == pytest.approx(2.0)
    assert 6.0 <= short.length_mm <= 6.0 / math.cos(math.atan(2 / 29)) + EXACT_MM


def test_a_disc_and_a_ring_have_their_closed_forms():
    grid = make_grid((101, 101, 1), (0.5, 0.5, 5.0), origin=(-25, -25, 0))
    disc = ellipsoid_mask(grid, (0, 0, 0), (20, 20, 1))
    longest, short = measure_diameters(disc)
    assert longest.length_mm == pytest.approx(40.0, abs=1e-9)  # centres lie on the circle along the axes
    assert short.length_mm == pytest.approx(40.0, abs=0.5)
    hole = ellipsoid_mask(grid, (0, 0, 0), (12, 12, 1)).to_full()
    ring = Mask.from_full(disc.to_full() & ~hole, grid=grid)
    longest, short = measure_diameters(ring)
    assert longest.length_mm == pytest.approx(40.0, abs=1e-9)
    assert short.length_mm == pytest.approx(
        2 * math.sqrt(20**2 - 12**2), abs=1.0
    )  # touches the hole: 2 pixels


@pytest.mark.parametrize("angle_deg", [0, 17, 30, 45, 68])
def test_an_ellipse_keeps_its_axes_when_turned_in_its_plane(angle_deg):
    grid = make_grid((90, 90, 1), (0.7, 0.7, 5.0), origin=(-31.15, -31.15, 0))
    longest, short = measure_diameters(
        ellipsoid_mask(grid, (0.1, -0.2, 0), (25, 14, 1), turn=rotation((0, 0, 1), angle_deg))
    )
    pixel_diagonal_mm = 0.7 * math.sqrt(2)
    assert longest.length_mm == pytest.approx(50.0, abs=pixel_diagonal_mm)
    assert short.length_mm == pytest.approx(28.0, abs=pixel_diagonal_mm)


def test_an_oblique_ellipsoid_on_thick_slices_has_the_axes_of_its_section():
    grid = make_grid((110, 110, 15), (0.7, 0.7, 5.0), origin=(-38.15, -38.15, -35))
    turn = rotation((1, 0.4, 0.2), 35)
    radii = np.array([30.0, 18.0, 14.0])
    mask = ellipsoid_mask(grid, (0, 0, 0), radii, turn=turn)
    form = turn @ np.diag(radii**-2.0) @ turn.T
    # section z = 0 of x^T form x <= 1 is the ellipse of the upper left block
    minor, major = 2 / np.sqrt(np.linalg.eigvalsh(form[:2, :2])[::-1])
    longest, short = measure_diameters(mask)
    pixel_diagonal_mm = 0.7 * math.sqrt(2)
    assert longest.length_mm == pytest.approx(major, abs=pixel_diagonal_mm)
    assert short.length_mm == pytest.approx(minor, abs=pixel_diagonal_mm)
    voxel_diagonal_mm = float(np.linalg.norm(grid.spacing_mm))
    assert 60.0 - voxel_diagonal_mm <= measure_longest_diameter_3d(mask).length_mm <= 60.0


def all_measures(mask: Mask):
    longest, short = measure_diameters(mask)
    width = -1.0 if isinstance(short, NotEvaluable) else short.length_mm
    return longest.length_mm, width, measure_longest_diameter_3d(mask).length_mm, mask.volume_ml


@pytest.mark.requirement("A-lesion-rigid")
@given(
    full=volumes,
    spacing_mm=spacings,
    axis=st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 1)),
    angle_deg=st.floats(-180, 180),
)
@settings(settings.get_profile("lesions"))
def test_measures_do_not_change_when_the_whole_grid_moves_rigidly(full, spacing_mm, axis, angle_deg):
    still = random_mask(full, spacing_mm)
    grid = make_grid(full.shape, spacing_mm, origin=(12.3, -45.6, 78.9), directions=rotation(axis, angle_deg))
    moved = Mask.from_full(full, grid=grid)
    assert all_measures(moved) == pytest.approx(all_measures(still), abs=EXACT_MM)


@pytest.mark.requirement("A-lesion-rigid")
@given(full=volumes, spacing_mm=spacings)
@settings(deadline=None, derandomize=True, max_examples=8)
def test_measures_and_places_are_the_same_in_all_48_axis_orders(full, spacing_mm):
    still = random_mask(full, spacing_mm)
    reference = measure_diameters(still)
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            turned = np.flip(full.transpose(order), [a for a in range(3) if flips[a]])
            affine = np.eye(4)
            for new, old in enumerate(order):
                sign = -1 if flips[new] else 1
                affine[:3, new] = 0
                affine[old, new] = sign * still.grid.spacing_mm[old]
                if flips[new]:
                    affine[old, 3] = (full.shape[old] - 1) * still.grid.spacing_mm[old]
            grid = Grid(shape=turned.shape, lps_from_ijk=affine, slice_axis=order.index(2))
            longest, short = measure_diameters(Mask.from_full(turned, grid=grid))
            assert longest.length_mm == pytest.approx(reference[0].length_mm, abs=EXACT_MM)
            assert longest.ends_lps_mm == pytest.approx(reference[0].ends_lps_mm, abs=1e-6)
            if not isinstance(short, NotEvaluable):
                assert short.ends_lps_mm == pytest.approx(reference[1].ends_lps_mm, abs=1e-6)


def test_one_pixel_has_length_zero_and_no_short_axis():
    longest, short = measure_diameters(plane_mask([[1]]))
    assert longest.length_mm == 0.0
    assert isinstance(short, NotEvaluable)
    assert measure_longest_diameter_3d(plane_mask([[1]])).length_mm == 0.0
