"""Rigid registration recovers known motions; the residual says when rigid motion is not enough."""

from __future__ import annotations

import numpy as np
import pytest
from lesion_shapes import ellipsoid_mask, make_grid, rotation
from scipy import ndimage
from two_phases import make_motion, make_two_phases, measure_target_error_mm

from hepatica.core.errors import FrameMismatchError, GeometryError
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import Grid
from hepatica.imaging.block_matching import find_block_shifts, measure_block_residual
from hepatica.imaging.mask import Mask
from hepatica.imaging.registration import (
    RigidRegistration,
    register_masks_rigidly,
    register_rigid_locally,
    resample_to,
)
from hepatica.imaging.volume import Volume

TARGET_MM = 1.0
"""Half the working voxel: what the liver's edge allows on slices of 2.5 mm with noise of 12 HU."""
SURFACE_MM = 0.3
"""A tenth of the thicker slices."""
LEVELS = {"venous_hu": {1: 130, 2: 40, 3: 170}, "arterial_hu": {1: 115, 2: 35, 3: 75}}


def near(phases, margin_vox=9) -> Mask:
    full = np.zeros(phases.liver.shape, bool)
    box = tuple(slice(max(s.start - margin_vox, 0), s.stop + margin_vox) for s in phases.lesion.box)
    full[box] = phases.liver[box]
    return Mask.from_full(full, grid=phases.lesion.grid)


@pytest.mark.requirement("A-registration-phases")
@pytest.mark.parametrize(
    ("shift_mm", "angle_deg"), [((0.0, 0.0, 0.0), 0.0), ((2.0, -3.0, 6.0), 3.0), ((-5.0, 4.0, -14.0), -4.0)]
)
def test_a_known_motion_between_two_phases_of_other_contrast_and_grid_is_recovered(shift_mm, angle_deg):
    phases = make_two_phases(motion=make_motion(shift_mm, angle_deg), **LEVELS)
    found = register_rigid_locally(phases.venous, phases.arterial, region=near(phases))
    targets = phases.lesion.grid.to_lps_mm(phases.lesion.index_ijk())
    error = measure_target_error_mm(found.moving_from_fixed, phases.motion, targets)
    assert found.converged
    assert error.max() < TARGET_MM
    assert found.residual_mm < 1.5


def test_registration_repeats_to_the_last_bit():
    phases = make_two_phases(**LEVELS)
    runs = [register_rigid_locally(phases.venous, phases.arterial, region=near(phases)) for _ in range(2)]
    assert (runs[0].moving_from_fixed == runs[1].moving_from_fixed).all()
    assert runs[0].residual_mm == runs[1].residual_mm


@pytest.mark.requirement("A-registration-residual")
def test_the_residual_grows_with_a_bend_that_rigid_motion_cannot_follow():
    phases = make_two_phases(motion=np.eye(4), **LEVELS)
    grid = phases.arterial.grid
    index = np.indices(grid.shape).astype(float)
    index[2] += 9.0 / 2.5 * np.sign(index[0] - index[0].mean()) / 2 + 0.0  # two halves slide 9 mm apart
    bent = ndimage.map_coordinates(phases.arterial.values.astype(float), index, order=1, mode="nearest")
    straight = register_rigid_locally(phases.venous, phases.arterial, region=near(phases, 14))
    sliding = register_rigid_locally(
        phases.venous, Volume(values=np.asfortranarray(bent), grid=grid), region=near(phases, 14)
    )
    assert straight.residual_mm < 1.5
    assert sliding.residual_mm > 3.0


def blobs(shift=(0, 0, 0), seed=3):
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.normal(size=(60, 56, 50)), 3) * 1000
    return ndimage.shift(image, shift, order=3, mode="wrap")


@pytest.mark.requirement("A-registration-residual")
@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 0, -2), (0.5, 1.5, 0.25)])
def test_block_shifts_equal_a_known_shift_whatever_the_contrast(shift):
    first, second = blobs(), 80 - 0.4 * blobs(shift)
    inside = np.ones(first.shape, bool)
    shifts = find_block_shifts(first, second, inside=inside, spacing_mm=2.0)
    assert len(shifts) >= 8
    off = np.abs(shifts - 2.0 * np.array(shift))
    assert off.max() < 1.0  # half a voxel for the worst block
    assert np.median(off) < 0.3
    residual = measure_block_residual(first, second, inside=inside, spacing_mm=2.0)
    assert residual == pytest.approx(2.0 * np.linalg.norm(shift), abs=0.4)


def test_the_residual_of_images_without_edges_cannot_be_judged():
    flat = np.full((60, 56, 50), 70.0)
    answer = measure_block_residual(flat, flat, inside=np.ones(flat.shape, bool), spacing_mm=2.0)
    assert isinstance(answer, NotEvaluable)


def test_scans_that_do_not_overlap_and_other_frames_are_refused():
    phases = make_two_phases(**LEVELS)
    affine = np.array(phases.arterial.grid.lps_from_ijk)
    affine[2, 3] += 1000
    away = Volume(
        values=phases.arterial.values, grid=Grid(shape=phases.arterial.grid.shape, lps_from_ijk=affine)
    )
    with pytest.raises(GeometryError, match="common voxels"):
        register_rigid_locally(phases.venous, away, region=near(phases))
    one, two = (
        Volume(
            values=v.values,
            grid=Grid(shape=v.grid.shape, lps_from_ijk=v.grid.lps_from_ijk, frame_of_reference=f),
        )
        for v, f in ((phases.venous, "2.25.1"), (phases.arterial, "2.25.2"))
    )
    with pytest.raises(FrameMismatchError):
        register_rigid_locally(one, two, region=near(phases))


def test_a_map_that_is_not_rigid_is_refused():
    with pytest.raises(GeometryError):
        RigidRegistration(
            moving_from_fixed=np.diag([1, 1, 1.1, 1]), metric=0.0, residual_mm=0.0, converged=True
        )


def test_resampling_a_linear_ramp_gives_the_ramp_on_any_grid():
    grid = make_grid((40, 44, 30), (1.0, 1.2, 2.5), origin=(3, -4, 5), directions=rotation((1, 2, 3), 20))
    slope = np.array([0.7, -1.1, 0.4])
    values = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) @ slope
    inner = make_grid((6, 6, 6), (2.0, 2.0, 2.0), origin=grid.to_lps_mm((17, 18, 14)))
    found = resample_to(Volume(values=values, grid=grid), grid=inner)
    truth = inner.to_lps_mm(np.moveaxis(np.indices(inner.shape), 0, -1)) @ slope
    assert found == pytest.approx(truth, abs=1e-3)  # single precision inside


LIVER_SHAPE = [((-60, 0, 0), (75, 70, 60)), ((20, -20, 15), (60, 40, 30)), ((-80, 30, -50), (40, 35, 40))]


def liver_like(grid, motion=None) -> np.ndarray:
    index = np.indices(grid.shape).reshape(3, -1).T
    points = grid.to_lps_mm(index)
    if motion is not None:
        back = np.linalg.inv(motion)
        points = points @ back[:3, :3].T + back[:3, 3]
    inside = [(((points - c) / r) ** 2).sum(axis=1) <= 1 for c, r in LIVER_SHAPE]
    return np.logical_or.reduce(inside).reshape(grid.shape)


@pytest.mark.requirement("A-registration-livers")
@pytest.mark.parametrize("shrink", [False, True])
def test_two_livers_on_other_grids_are_aligned_even_with_a_piece_missing(shrink):
    motion = np.eye(4)
    motion[:3, :3] = rotation((0.3, -0.5, 1), 9)
    motion[:3, 3] = (14, -25, 40)
    one = make_grid((100, 90, 70), (2.5, 2.5, 3.0), origin=(-160, -110, -110))
    two = make_grid(
        (140, 130, 80), (2.0, 2.0, 4.0), origin=(-160, -150, -100), directions=rotation((0, 0, 1), 5)
    )
    there = liver_like(two, motion)
    if shrink:
        hole = motion[:3, :3] @ np.array([60, -20, 20]) + motion[:3, 3]
        there &= ~ellipsoid_mask(two, hole, (18, 40, 40)).to_full()  # a resected tip
    fixed, moving = Mask.from_full(liver_like(one), grid=one), Mask.from_full(there, grid=two)
    found = register_masks_rigidly(fixed, moving)
    targets = one.to_lps_mm(fixed.index_ijk()[::50])
    error = measure_target_error_mm(found.moving_from_fixed, motion, targets)
    assert found.converged
    assert error.max() < (1.5 if shrink else SURFACE_MM)
    assert found.residual_mm < 1.0


def test_a_liver_cut_off_by_the_scan_is_aligned_by_the_rest_of_its_surface():
    motion = np.eye(4)
    motion[:3, 3] = (5, -4, 9)
    one = make_grid((100, 90, 70), (2.5, 2.5, 3.0), origin=(-160, -110, -110))
    two = make_grid((100, 90, 45), (2.5, 2.5, 3.0), origin=(-160, -110, -110))  # ends 43 mm below the dome
    fixed = Mask.from_full(liver_like(one), grid=one)
    moving = Mask.from_full(liver_like(two, motion), grid=two)
    found = register_masks_rigidly(fixed, moving)
    targets = one.to_lps_mm(fixed.index_ijk()[::50])
    assert measure_target_error_mm(found.moving_from_fixed, motion, targets).mean() < 3.0
