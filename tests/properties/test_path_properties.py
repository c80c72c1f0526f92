"""What must hold on any anatomy: safety, monotony, and independence of how the grid is stored or turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import LIMITS, SUPINE, brute_clearance, change_limits, make_parts, to_scene, world

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.core.progress import SILENT
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.measure import measure_track, to_clearances
from hepatica.planning.path.pairs import FIRST_LAYER_BIT, judge_pairs
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.targets import choose_targets

SAME_MM = 1e-6
"""Turning a scene changes coordinates of about 100 mm by rounding only."""

SKIN_AREA_SHARE = 0.1
"""Skin is sampled in cubes of the world; on so coarse a trunk the share of cut cubes changes by as much."""


@pytest.mark.requirement("A-path-never-through")
@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_no_offered_path_touches_a_forbidden_voxel_or_its_margin(seed):
    grid, parts = make_parts(seed)
    scene = to_scene(grid, parts, {"L1": parts[Kind.LESION]}, limits=change_limits(**LIMITS))
    path = plan_lesion_path(scene, lesion_id="L1")
    for puncture in (path.best, path.backup):
        if puncture is None:
            continue
        tip = puncture.tracks[0].tip_lps_mm
        points = puncture.entry_lps_mm + np.linspace(0, 1, 4000)[:, None] * (tip - puncture.entry_lps_mm)
        index = np.floor(grid.to_index(points) + 0.5).astype(int)
        index = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
        for kind, margin in ((Kind.LUNG, 2.0), (Kind.BOWEL, 3.0)):
            assert not parts[kind][tuple(index.T)].any()
            clearance = brute_clearance(parts[kind], grid, puncture.entry_lps_mm, tip, scene.needle_radius_mm)
            assert clearance >= margin
            reported = {item.kind: item.clearance_mm for item in puncture.clearances}[kind]
            assert isinstance(reported, NotEvaluable) or reported == pytest.approx(clearance, abs=SAME_MM)
        assert not [f for f in check_path(puncture, scene) if f.severity is Severity.ERROR]


@pytest.mark.requirement("A-path-exhaustive")
@settings(max_examples=4, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_every_pair_is_judged_as_brute_force_over_all_boxes_judges_it(seed):
    grid, parts = make_parts(seed)
    limits = change_limits(**{**LIMITS, "skin_spacing": 25.0, "tilt_max": 90.0})
    scene = to_scene(
        grid, parts, {"L1": parts[Kind.LESION]}, limits=limits, gravity=NotEvaluable(reason="none")
    )
    tissue = scene.paint_target("L1")
    tips = choose_targets(scene.lesions["L1"][1], limits=limits)
    pairs = judge_pairs(scene, tissue, tips_lps_mm=tips, progress=SILENT)
    traced = np.flatnonzero(np.isfinite(pairs.liver_before_mm))[::7]
    assert len(traced) > 5
    for n in traced:
        entry, tip = pairs.entries_lps_mm[n], pairs.tips_lps_mm[n]
        measure = measure_track(scene, tissue, lesion_id="L1", entry_lps_mm=entry, tip_lps_mm=tip)
        for number, layer in enumerate(scene.obstacles.layers):
            clearance = brute_clearance(parts[layer.kind], grid, entry, tip, scene.needle_radius_mm)
            beyond = float(measure.run_out_outside_mm[number]) - scene.needle_radius_mm
            bit = np.uint64(1 << (FIRST_LAYER_BIT + number))
            assert bool(pairs.broken[n] & bit) == (min(clearance, beyond) < layer.margin.number)
        assert pairs.liver_before_mm[n] == pytest.approx(measure.liver_before_lesion_mm, abs=SAME_MM)
        if isinstance(measure.capsule_angle_deg, float) and np.isfinite(pairs.capsule_deg[n]):
            assert pairs.capsule_deg[n] == pytest.approx(measure.capsule_angle_deg, abs=1e-4)


@pytest.mark.requirement("A-path-monotone")
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), more=st.floats(0.5, 6.0))
def test_a_larger_margin_never_opens_a_path(seed, more):
    grid, parts = make_parts(seed)
    free = []
    for extra in (0.0, more):
        limits = change_limits(**{**LIMITS, "margin_lung": 2.0 + extra})
        scene = to_scene(grid, parts, {"L1": parts[Kind.LESION]}, limits=limits)
        tips = choose_targets(scene.lesions["L1"][1], limits=limits)
        pairs = judge_pairs(scene, scene.paint_target("L1"), tips_lps_mm=tips, progress=SILENT)
        free.append(pairs.broken == 0)
    assert not (free[1] & ~free[0]).any()


def store_otherwise(grid, parts, order, flips):
    """The same world on a grid whose axes are permuted and flipped."""
    affine = grid.lps_from_ijk.copy()
    arrays = {kind: part.transpose(order) for kind, part in parts.items()}
    affine[:3, :3] = grid.lps_from_ijk[:3, :3][:, list(order)]
    shape = tuple(grid.shape[a] for a in order)
    for axis in flips:
        arrays = {kind: np.flip(part, axis) for kind, part in arrays.items()}
        affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
        affine[:3, axis] *= -1
    return Grid(shape=shape, lps_from_ijk=affine), {k: np.ascontiguousarray(a) for k, a in arrays.items()}


@pytest.mark.requirement("A-path-invariance")
@pytest.mark.parametrize(
    ("order", "flips"), [((0, 1, 2), (0,)), ((2, 0, 1), ()), ((1, 0, 2), (1, 2)), ((2, 1, 0), (0, 1, 2))]
)
@pytest.mark.parametrize("seed", [1, 4])
def test_the_plan_does_not_depend_on_how_the_grid_is_stored(order, flips, seed):
    grid, parts = make_parts(seed)
    other_grid, other_parts = store_otherwise(grid, parts, order, flips)
    plans = [
        plan_lesion_path(
            to_scene(g, p, {"L1": p[Kind.LESION]}, limits=change_limits(**LIMITS)), lesion_id="L1"
        )
        for g, p in ((grid, parts), (other_grid, other_parts))
    ]
    first, second = plans
    assert first.examined_paths == second.examined_paths
    assert (first.best is None) == (second.best is None)
    assert [b.limit for b in first.blocks] == [b.limit for b in second.blocks]
    for a, b in ((first.best, second.best), (first.backup, second.backup)):
        if a is None:
            assert b is None
            continue
        assert b.entry_lps_mm == pytest.approx(a.entry_lps_mm, abs=SAME_MM)
        assert b.tracks[0].tip_lps_mm == pytest.approx(a.tracks[0].tip_lps_mm, abs=SAME_MM)
        assert b.capsule_angle_deg == pytest.approx(a.capsule_angle_deg, abs=1e-4)
        assert [run.to_mm for run in b.runs] == pytest.approx([run.to_mm for run in a.runs], abs=SAME_MM)


@pytest.mark.requirement("A-path-invariance")
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 100), angle=st.floats(-40, 40), shift=st.tuples(*[st.floats(-300, 300)] * 3))
def test_what_a_path_is_and_passes_moves_rigidly_with_the_patient(seed, angle, shift):
    grid, parts = make_parts(seed)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])  # about the body axis, gravity turning along
    affine = grid.lps_from_ijk.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = turn @ grid.origin_lps_mm + shift
    moved = Grid(shape=grid.shape, lps_from_ijk=affine)
    rng = np.random.default_rng(seed)
    start = world(grid)[1, 12, 6] + rng.uniform(-3, 3, 3)
    end = world(grid)[tuple(np.argwhere(parts[Kind.LESION])[0])]
    results = []
    for g, gravity, p, q in (
        (grid, SUPINE, start, end),
        (moved, turn @ SUPINE, turn @ start + shift, turn @ end + shift),
    ):
        scene = to_scene(
            g, parts, {"L1": parts[Kind.LESION]}, limits=change_limits(**LIMITS), gravity=gravity
        )
        measure = measure_track(scene, scene.paint_target("L1"), lesion_id="L1", entry_lps_mm=p, tip_lps_mm=q)
        results.append((measure, to_clearances(scene, measure), scene))
    (a, clear_a, scene_a), (b, clear_b, scene_b) = results
    assert b.distances_mm == pytest.approx(a.distances_mm, abs=SAME_MM)
    assert [run.to_mm for run in b.runs] == pytest.approx([run.to_mm for run in a.runs], abs=SAME_MM)
    assert b.liver_before_lesion_mm == pytest.approx(a.liver_before_lesion_mm, abs=SAME_MM)
    assert b.craniocaudal_angle_deg == pytest.approx(a.craniocaudal_angle_deg, abs=1e-6)
    assert abs(b.in_plane_angle_deg) == pytest.approx(abs(a.in_plane_angle_deg), abs=1e-6)
    assert [x.kind for x in clear_a] == [x.kind for x in clear_b]
    assert scene_b.skin.areas_mm2.sum() == pytest.approx(scene_a.skin.areas_mm2.sum(), rel=SKIN_AREA_SHARE)
