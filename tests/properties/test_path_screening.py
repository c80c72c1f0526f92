"""The coarse field promises only what holds at full resolution; distances on it are exact integers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import LIMITS, brute_clearance, change_limits, make_parts, to_scene
from scipy import ndimage

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.findings import NotEvaluable
from hepatica.planning.path import field_kernels
from hepatica.planning.path.clearance import measure_distances_mm
from hepatica.planning.path.fields import (
    CELL_MM,
    LOWEST,
    UNITS_PER_MM,
    Cells,
    classify_paths,
    derive_cells,
    derive_slack_field,
    derive_squared_distance,
)
from hepatica.planning.path.pairs import clear_pairs
from hepatica.planning.path.screen import screen_pairs
from hepatica.planning.path.settle import Candidates
from hepatica.planning.path.targets import choose_targets

ROUNDING_MM = 1e-6
"""The march steps a ten-millionth of a millimetre over a cell's face."""


@pytest.mark.requirement("B-path-distance-field")
@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), window=st.integers(1, 12), gap=st.integers(0, 1))
def test_squared_distances_are_exact_inside_the_window(seed, window, gap):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 25, 3))
    mask = rng.random(shape) < rng.choice([0.002, 0.02, 0.3])
    cells = np.asfortranarray(np.where(mask, 4, 3).astype(np.uint32))
    found = derive_squared_distance(cells, mask=4, window=window, gap=gap).astype(int)
    grown = ndimage.binary_dilation(mask, np.ones((3, 3, 3))) if gap else mask
    if not grown.any():
        assert (found >= window**2).all()
        return
    truth = np.round(ndimage.distance_transform_edt(~grown) ** 2).astype(int)
    near = truth <= window**2
    assert (found[near] == truth[near]).all()
    assert (found[~near] > window**2).all()


@pytest.mark.requirement("B-path-distance-field")
def test_a_cell_knows_every_voxel_that_reaches_into_it():
    rng = np.random.default_rng(5)
    spacing = np.array([0.7, 1.3, 5.0])
    bits = np.asfortranarray(rng.integers(0, 4, (30, 20, 6)).astype(np.uint32))
    cells = derive_cells(bits, spacing_mm=spacing, box=(slice(3, 25), slice(0, 20), slice(1, 6)))
    for x, y, z in rng.integers(0, cells.some.shape, (200, 3)):
        low = cells.corner_mm + np.array([x, y, z]) * CELL_MM
        inside = low + rng.random((400, 3)) * CELL_MM
        index = np.floor(inside / spacing).astype(int)
        within = ((index >= 0) & (index < bits.shape)).all(axis=1)
        seen = bits[tuple(index[within].T)]
        assert not np.bitwise_or.reduce(seen, initial=0) & ~cells.some[x, y, z]
        if within.all():
            assert not cells.every[x, y, z] & ~np.bitwise_and.reduce(seen)
        else:
            assert cells.every[x, y, z] == 0


def make_scene(seed, spacing=(3.0, 2.5, 5.0), **changes):
    grid, parts = make_parts(seed, spacing)
    limits = change_limits(**{**LIMITS, "skin_spacing": 6.0, "tilt_max": 90.0, **changes})
    gravity = NotEvaluable(reason="none")
    return parts, to_scene(grid, parts, {"L1": parts[Kind.LESION]}, limits=limits, gravity=gravity)


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), thick=st.booleans())
def test_free_is_free_and_blocked_is_blocked_at_full_resolution(seed, thick):
    _, scene = make_scene(seed, (3.0, 2.5, 5.0) if thick else (6.0, 5.0, 7.0))
    tips = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    starts = scene.to_local_mm(np.repeat(scene.skin.points_lps_mm, len(tips), axis=0))
    ends = scene.to_local_mm(np.tile(tips, (len(scene.skin.points_lps_mm), 1)))
    classes = classify_paths(scene.slack, starts, ends)
    tissue = scene.paint_target("L1")
    limits = [
        measure_distances_mm(scene.obstacles, p, q, spacing_mm=scene.grid.spacing_mm)
        for p, q in zip(starts, ends, strict=True)
    ]
    slack = (np.array(limits) - scene.needed_mm).min(axis=1)
    assert (slack[classes == field_kernels.FREE] >= -ROUNDING_MM).all()
    assert (slack[classes == field_kernels.BLOCKED] < ROUNDING_MM).all()
    bits, exact, done = clear_pairs(scene, tissue, starts, ends, comfort_mm=5.0)
    every_bit = clear_pairs(scene, tissue, starts, ends, comfort_mm=0.0)[0]
    assert ((bits != 0) == (every_bit != 0)).all()
    kept = bits == 0
    assert done.all()
    assert exact[kept] == pytest.approx(np.minimum(slack[kept], 5.0), abs=ROUNDING_MM)
    near = np.array(limits) < scene.needed_mm
    for number in range(near.shape[1]):
        assert (every_bit[near[:, number]] >> number & 1).all()
    assert (classes == field_kernels.BLOCKED).any()
    assert thick or (classes == field_kernels.FREE).any()
    roomy = classify_paths(scene.slack, starts, ends, room_mm=4.0) == field_kernels.FREE
    assert (slack[roomy] >= 4.0 - ROUNDING_MM).all()


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_no_pair_that_brute_force_allows_is_lost(seed):
    parts, scene = make_scene(seed, skin_spacing=10.0)
    tips = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
    classes = screen_pairs(scene, tips)
    rng = np.random.default_rng(seed)
    blocked = np.argwhere(classes == field_kernels.BLOCKED)
    for m, n in blocked[rng.permutation(len(blocked))[:12]]:
        clearances = [
            brute_clearance(parts[layer.kind], scene.grid, scene.skin.points_lps_mm[n], tips[m], 0.36)
            - layer.margin.number
            for layer in scene.obstacles.layers
        ]
        assert min(clearances) < ROUNDING_MM


@pytest.mark.requirement("B-path-screening")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), more=st.floats(0.5, 6.0))
def test_a_larger_margin_never_leaves_more_slack(seed, more):
    _, scene = make_scene(seed)
    wider = derive_slack_field(scene.obstacles.cells, needed_mm=scene.needed_mm + more)
    assert (wider.slack <= scene.slack.slack).all()


@pytest.mark.requirement("B-path-screening")
@pytest.mark.parametrize("needed_mm", [100.0, 240.0, 400.0, 520.0, 1000.0])
def test_what_a_margin_wider_than_the_field_can_tell_leaves_is_never_certain_and_wrong(needed_mm):
    cells = np.zeros((400, 5, 6), np.uint32, order="F")
    cells[2, 3, 1] = 1
    index = np.argwhere(np.ones(cells.shape, bool)).reshape(*cells.shape, 3) - [2, 3, 1]
    nearest = CELL_MM * np.sqrt((np.maximum(np.abs(index) - 1, 0) ** 2).sum(-1))
    farthest = CELL_MM * np.sqrt((index**2).sum(-1))
    pooled = Cells(corner_mm=np.zeros(3), edge_mm=CELL_MM, some=cells, every=cells)
    slack = derive_slack_field(pooled, needed_mm=np.array([needed_mm])).slack
    assert not ((slack == field_kernels.SURE_HIT) & (farthest >= needed_mm)).any()
    assert (slack <= np.maximum((nearest - needed_mm) * UNITS_PER_MM, LOWEST)).all()


@pytest.mark.requirement("B-path-screening")
@pytest.mark.parametrize("end", [np.nan, np.inf])
def test_a_path_that_does_not_end_is_undecided_and_does_not_hold_up_the_others(end):
    _, scene = make_scene(1)
    points = scene.skin_local_mm[:3]
    ends = np.array([points[1], [end] * 3, points[2]])
    classes = classify_paths(scene.slack, points, ends)
    assert classes[1] == field_kernels.UNDECIDED
    assert (classes[[0, 2]] == classify_paths(scene.slack, points[[0, 2]], ends[[0, 2]])).all()


@pytest.mark.requirement("B-path-screening")
def test_no_path_is_said_only_after_every_undecided_pair_was_settled():
    from hepatica.core.progress import SILENT

    for seed, margin in product(range(6), (14.0, 11.0, 9.0, 8.0, 7.0, 6.0)):
        _, scene = make_scene(seed, margin_lung=margin, margin_bowel=margin)
        tips = choose_targets(scene.lesions["L1"][1], limits=scene.limits)
        candidates = Candidates(scene, scene.paint_target("L1"), lesion_id="L1", tips_lps_mm=tips)
        best = candidates.find_best(np.arange(len(candidates)), progress=SILENT)
        if best is None:
            assert candidates.broken.all()
            left = np.count_nonzero(screen_pairs(scene, tips) <= field_kernels.UNDECIDED)
            assert np.count_nonzero(candidates.settled) == left
            if left:
                return
    pytest.fail("one of the scenes must close every way, and not all of them on the coarse grid")
