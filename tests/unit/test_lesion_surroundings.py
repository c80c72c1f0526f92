"""Distances to capsule, skin and structures: brute force and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lesion_shapes import ellipsoid_mask, make_grid, slow_gap_mm
from phantom import make_phantom

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.findings import NotEvaluable
from hepatica.imaging.mask import Mask
from hepatica.lesions.surroundings import (
    derive_surroundings,
    find_neighbours,
    measure_depth_mm,
    measure_distance_to_capsule_mm,
    measure_distance_to_face_mm,
    measure_gap_mm,
)

GRID = make_grid((70, 70, 40), (1.0, 1.0, 2.0), origin=(-34.5, -34.5, -39))
VOXEL_MM = 2.5
"""A raster surface lies within one voxel diagonal of the true one."""


def make_anatomy(grid=GRID, *, origin=Origin.LABELLED, **parts) -> Anatomy:
    empty = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    return empty.with_structures(
        (
            StructureSource(kind=StructureKind(name), origin=origin, names=(name,), source="test"),
            mask if isinstance(mask, Mask) else Mask.from_full(mask, grid=grid),
        )
        for name, mask in parts.items()
    )


pairs = hnp.arrays(np.uint8, (5, 6, 4), elements=st.integers(0, 9)).filter(
    lambda a: (a == 1).any() and (a == 2).any()
)


@pytest.mark.requirement("A-lesion-distance")
@given(codes=pairs, spacing_mm=st.tuples(*[st.sampled_from([0.7, 1.0, 5.0])] * 3))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_gap_between_masks_equals_brute_force_over_all_voxel_boxes(codes, spacing_mm):
    grid = make_grid(codes.shape, spacing_mm)
    first, second = (Mask.from_full(codes == n, grid=grid) for n in (1, 2))
    expected = slow_gap_mm(first, second)
    assert measure_gap_mm(first, second) == pytest.approx(expected, abs=1e-9)
    assert measure_gap_mm(second, first) == pytest.approx(expected, abs=1e-9)
    limited = measure_gap_mm(first, second, at_most_mm=1.0)
    assert limited == (pytest.approx(expected, abs=1e-9) if expected <= 1.0 else None)


@pytest.mark.requirement("A-lesion-distance")
@given(codes=pairs)
@settings(deadline=None, derandomize=True, max_examples=20)
def test_neighbour_distances_equal_brute_force_near_and_far(codes):
    grid = make_grid((12, 12, 8), (9.0, 3.0, 5.0))
    full = np.zeros(grid.shape, np.uint8)
    full[1:6, 2:8, 1:5] = codes
    far = np.zeros(grid.shape, bool)
    far[11, 11, 7] = True
    lesion, gut = (Mask.from_full(full == n, grid=grid) for n in (1, 2))
    anatomy = make_anatomy(grid, lesion=lesion, bowel=gut, kidney=far)
    found = {n.kind: n.distance_mm for n in find_neighbours(lesion, anatomy=anatomy)}
    assert found[StructureKind.BOWEL] == pytest.approx(slow_gap_mm(lesion, gut), abs=1e-9)
    assert found[StructureKind.KIDNEY] == pytest.approx(
        slow_gap_mm(lesion, Mask.from_full(far, grid=grid)), abs=1e-9
    )
    assert set(found) == {StructureKind.BOWEL, StructureKind.KIDNEY}


def test_capsule_distance_of_a_ball_in_a_ball_is_the_difference_of_the_radii():
    anatomy = make_anatomy(liver=ellipsoid_mask(GRID, (0, 0, 0), [30] * 3))
    lesion = ellipsoid_mask(GRID, (6, 0, 0), [8] * 3)
    measured = measure_distance_to_capsule_mm(lesion, around=derive_surroundings(anatomy, lesions=(lesion,)))
    assert measured == pytest.approx(30 - 8 - 6, abs=VOXEL_MM)


@pytest.mark.requirement("A-lesion-distance")
def test_capsule_distance_of_boxes_is_exact_on_thick_slices():
    grid = make_grid((40, 40, 12), (0.7, 0.7, 5.0))
    liver, lesion = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    liver[5:35, 5:35, 2:10] = True
    lesion[12:20, 15:25, 5:6] = True
    mask = Mask.from_full(lesion, grid=grid)
    around = derive_surroundings(make_anatomy(grid, liver=liver & ~lesion), lesions=(mask,))
    assert measure_distance_to_capsule_mm(mask, around=around) == pytest.approx(7 * 0.7)


def test_vessel_holes_and_portal_vein_are_not_capsule():
    liver = ellipsoid_mask(GRID, (0, 0, 0), [30] * 3).to_full()
    lesion = ellipsoid_mask(GRID, (6, 0, 0), [8] * 3)
    hole = ellipsoid_mask(GRID, (-8, 0, 0), (3, 3, 5)).to_full()
    vein = np.zeros(GRID.shape, bool)
    vein[:32, 33:37, 18:22] = True  # enters from the right and ends beside the lesion
    anatomy = make_anatomy(liver=liver & ~hole & ~vein, portal_vein=vein)
    measured = measure_distance_to_capsule_mm(lesion, around=derive_surroundings(anatomy, lesions=(lesion,)))
    assert measured == pytest.approx(30 - 8 - 6, abs=VOXEL_MM)


def test_a_lesion_at_the_surface_has_distance_zero():
    anatomy = make_anatomy(liver=ellipsoid_mask(GRID, (0, 0, 0), [25] * 3))
    lesion = ellipsoid_mask(GRID, (24, 0, 0), [6] * 3)
    assert (
        measure_distance_to_capsule_mm(lesion, around=derive_surroundings(anatomy, lesions=(lesion,))) == 0.0
    )


def test_where_the_scan_cuts_the_liver_off_nearer_than_the_capsule_nothing_is_said():
    liver = ellipsoid_mask(GRID, (0, 0, 39), [30] * 3)
    lesion = ellipsoid_mask(GRID, (0, 0, 26), [6] * 3)
    answer = measure_distance_to_capsule_mm(
        lesion, around=derive_surroundings(make_anatomy(liver=liver), lesions=(lesion,))
    )
    assert isinstance(answer, NotEvaluable)
    assert "cuts the liver off" in answer.reason


@pytest.mark.requirement("A-lesion-depth")
def test_depth_of_the_phantom_is_the_distance_from_centre_to_skin_and_never_a_face():
    phantom = make_phantom(spacing_mm=(2.0, 2.0, 4.0))
    around = derive_surroundings(phantom.anatomy)
    x, y = -60.0, -20.0
    t = np.linspace(0, 2 * np.pi, 20000)
    truth = np.hypot(165 * np.cos(t) - x, 115 * np.sin(t) - y).min()
    assert measure_depth_mm(phantom.lesion, around=around) == pytest.approx(truth, abs=2.0)
    assert measure_distance_to_face_mm(phantom.lesion) == pytest.approx(108.0, abs=2.5)


def test_skin_is_found_beyond_a_near_end_face_and_around_a_cut_open_lung():
    grid = make_grid((80, 80, 12), (1.0, 1.0, 5.0), origin=(-39.5, -39.5, 0))
    body = ellipsoid_mask(grid, (0, 0, 0), (35, 35, 1e4)).to_full()
    gas = ellipsoid_mask(grid, (0, -12, 0), (8, 8, 1e4)).to_full()  # open at both end faces
    lesion = ellipsoid_mask(grid, (0, 4, 27), (4, 4, 6))
    around = derive_surroundings(make_anatomy(grid, body=body & ~gas))
    assert measure_depth_mm(lesion, around=around) == pytest.approx(31.0, abs=1.5)
    assert measure_distance_to_face_mm(lesion) < 31.0


def test_depth_needs_a_body_and_air():
    lesion = ellipsoid_mask(GRID, (0, 0, 0), [6] * 3)
    no_body = measure_depth_mm(lesion, around=derive_surroundings(make_anatomy(lesion=lesion)))
    filled = measure_depth_mm(
        lesion, around=derive_surroundings(make_anatomy(body=np.ones(GRID.shape, bool), lesion=lesion))
    )
    assert isinstance(no_body, NotEvaluable) and "no body" in no_body.reason
    assert isinstance(filled, NotEvaluable) and "outside the scan" in filled.reason


def test_neighbours_come_nearest_first_and_say_what_was_derived():
    lesion = ellipsoid_mask(GRID, (0, 0, 0), [6] * 3)
    labelled = make_anatomy(kidney=ellipsoid_mask(GRID, (25, 0, 0), [5] * 3), lesion=lesion)
    derived = StructureSource(kind=StructureKind.GAS, origin=Origin.DERIVED, names=(), source="test")
    anatomy = labelled.with_structures([(derived, ellipsoid_mask(GRID, (0, 15, 0), [4] * 3))])
    found = find_neighbours(lesion, anatomy=anatomy)
    assert [(n.kind.value, n.derived) for n in found] == [("gas", True), ("kidney", False)]
    assert found[0].distance_mm == pytest.approx(5.0, abs=VOXEL_MM)
    assert found[1].distance_mm == pytest.approx(14.0, abs=VOXEL_MM)
