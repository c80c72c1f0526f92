"""Distances against closed forms, a convex solver and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import NEEDLE, to_scene, world
from scipy.optimize import minimize

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.geometry import Grid
from hepatica.planning.path.clearance import (
    measure_box_distance_mm,
    measure_distances_mm,
    measure_segment_distance_mm,
)

EXACT_MM = 1e-9
"""Closed form in double precision on lengths of about 100 mm."""
SOLVER_MM = 1e-6
"""What the iterative solver promises at its own tolerance."""

coordinate = st.floats(-50, 50).map(lambda x: round(x, 3))
point = st.tuples(coordinate, coordinate, coordinate).map(np.array)
size = st.tuples(*[st.floats(0.1, 20).map(lambda x: round(x, 3))] * 3).map(np.array)


def golden(p, q, lo, hi):
    """Smallest distance by golden-section search on the convex distance: 1e-12 in the parameter."""
    ratio = (np.sqrt(5) - 1) / 2
    a, b = 0.0, 1.0

    def distance(t):
        x = p + t * (q - p)
        return np.linalg.norm(np.maximum(0, np.maximum(lo - x, x - hi)))

    for _ in range(90):
        c, d = b - ratio * (b - a), a + ratio * (b - a)
        if distance(c) < distance(d):
            b = d
        else:
            a = c
    return min(distance(t) for t in (0.0, 1.0, 0.5 * (a + b)))


@pytest.mark.requirement("A-path-clearance")
@settings(max_examples=300, deadline=None, derandomize=True)
@given(p=point, q=point, lo=point, extent=size)
def test_segment_to_box_distance_is_exact(p, q, lo, extent):
    hi = lo + extent
    found = measure_box_distance_mm(p, q, lo, hi)
    # Golden section resolves a flat quadratic minimum to about the root of machine precision in t, that is
    # to machine precision in the squared distance.
    assert found <= golden(p, q, lo, hi) + EXACT_MM
    dense = p + np.linspace(0, 1, 2001)[:, None] * (q - p)
    brute = np.linalg.norm(np.maximum(0, np.maximum(lo - dense, dense - hi)), axis=1).min()
    assert found <= brute + EXACT_MM
    assert found >= golden(p, q, lo, hi) - 1e-7


@pytest.mark.requirement("A-path-clearance")
def test_segment_to_box_distance_agrees_with_a_bounded_quasi_newton_solver():
    rng = np.random.default_rng(7)
    for _ in range(40):
        p, q, lo = rng.uniform(-30, 30, (3, 3))
        hi = lo + rng.uniform(0.5, 15, 3)

        def gap2(x, p=p, q=q):
            return float((((p + x[0] * (q - p)) - x[1:]) ** 2).sum())

        start = np.concatenate([[0.5], 0.5 * (lo + hi)])
        bounds = [(0, 1), *zip(lo, hi, strict=True)]
        best = minimize(gap2, start, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-16, "gtol": 1e-12})
        assert measure_box_distance_mm(p, q, lo, hi) == pytest.approx(np.sqrt(best.fun), abs=1e-4)
        assert measure_box_distance_mm(p, q, lo, hi) <= np.sqrt(best.fun) + SOLVER_MM


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        ((-5, 3, 0), (5, 3, 0), 2.0),  # along a face
        ((-5, 0, 0), (5, 0, 0), 0.0),  # through
        ((1, 1, 1), (5, 5, 5), 0.0),  # starts at a corner
        ((2, 0, 0), (2, 0, 0), 1.0),  # a point
        ((4, 5, 1), (4, 5, 9), 5.0),  # 3-4-5 to an edge
        ((3, 3, 3), (9, 3, 3), np.sqrt(12)),  # to a corner
        ((4, 0, 0), (0, 4, 0), np.sqrt(2)),  # oblique past an edge: line x + y = 4 to (1, 1)
    ],
)
def test_segment_to_box_distance_known_cases(p, q, expected):
    assert measure_box_distance_mm(p, q, (-1, -1, -1), (1, 1, 1)) == pytest.approx(expected, abs=EXACT_MM)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(a=point, b=point, c=point, d=point)
def test_segment_to_segment_distance_is_exact(a, b, c, d):
    found = float(measure_segment_distance_mm(a, b, c, d)[0])
    grid = np.linspace(0, 1, 81)
    first, second = a + grid[:, None] * (b - a), c + grid[:, None] * (d - c)
    brute = np.linalg.norm(first[:, None] - second[None], axis=-1).min()
    step = max(np.linalg.norm(b - a), np.linalg.norm(d - c)) / 80
    assert found <= brute + EXACT_MM
    assert found >= brute - step


def blob_scene(seed, directions=None, spacing=(1.3, 0.9, 2.7)):
    rng = np.random.default_rng(seed)
    grid = Grid.from_axes(
        shape=(24, 28, 14), spacing_mm=spacing, origin_lps_mm=(-11, 7, 3), directions=directions
    )
    body = np.zeros(grid.shape, bool)
    body[3:-3, 3:-3, :] = True
    lung = np.zeros(grid.shape, bool)
    lung[rng.integers(5, 19, 12), rng.integers(5, 23, 12), rng.integers(1, 13, 12)] = True
    lung[8:11, 15:18, 4:7] = True
    liver = np.zeros(grid.shape, bool)
    liver[12:20, 4:12, 3:11] = True
    lesion = np.zeros(grid.shape, bool)
    lesion[15:18, 6:9, 6:9] = True
    parts = {Kind.BODY: body, Kind.LUNG: lung, Kind.LIVER: liver, Kind.LESION: lesion}
    return to_scene(grid, parts, {"L1": lesion}), lung


@pytest.mark.requirement("A-path-clearance")
@pytest.mark.parametrize("seed", range(4))
def test_clearance_equals_brute_force_over_every_voxel_box(seed):
    scene, lung = blob_scene(seed)
    rng = np.random.default_rng(100 + seed)
    spacing = scene.grid.spacing_mm
    boxes = np.argwhere(lung) * spacing
    number = [layer.kind for layer in scene.obstacles.layers].index(Kind.LUNG)
    size = np.array(scene.grid.shape) * spacing
    for _ in range(15):
        p, q = rng.uniform(0, 1, (2, 3)) * size
        p[0] = 0.0
        found = measure_distances_mm(scene.obstacles, p, q, spacing_mm=spacing)[number]
        brute = min(measure_box_distance_mm(p, q, box, box + spacing) for box in boxes)
        assert found == pytest.approx(brute, abs=EXACT_MM)


@pytest.mark.requirement("A-path-clearance")
def test_clearance_to_a_slab_is_its_closed_form():
    grid = Grid.from_axes(shape=(60, 60, 20), spacing_mm=(1, 1, 5), origin_lps_mm=(0.5, 0.5, 2.5))
    body = np.zeros(grid.shape, bool)
    body[5:-5, 5:-5] = True
    slab = np.zeros(grid.shape, bool)
    slab[5:20, 5:-5] = True  # fills x from 5 to 20
    lesion = np.zeros(grid.shape, bool)
    lesion[40:50, 30:40, 8:12] = True
    parts = {Kind.BODY: body, Kind.BOWEL: slab, Kind.LIVER: lesion, Kind.LESION: lesion}
    scene = to_scene(grid, parts, {"L1": lesion})
    entry, tip = np.array([33.7, 5.0, 50.0]), np.array([44.0, 35.0, 50.0])
    found = measure_distances_mm(
        scene.obstacles, scene.to_local_mm(entry), scene.to_local_mm(tip), spacing_mm=grid.spacing_mm
    )[0]
    assert found - scene.needle_radius_mm == pytest.approx(
        13.7 - 0.5 * NEEDLE.outer_diameter_mm, abs=EXACT_MM
    )


@pytest.mark.requirement("A-path-clearance")
def test_clearance_is_the_same_on_an_oblique_grid():
    angle = np.radians(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    straight, _ = blob_scene(3)
    oblique, _ = blob_scene(3, directions=turn)
    a = straight.to_local_mm(straight.grid.to_lps_mm([0, 5, 2]))
    b = straight.to_local_mm(straight.grid.to_lps_mm([17, 8, 7]))
    p, q = oblique.grid.to_lps_mm([0, 5, 2]), oblique.grid.to_lps_mm([17, 8, 7])
    first = measure_distances_mm(straight.obstacles, a, b, spacing_mm=straight.grid.spacing_mm)
    second = measure_distances_mm(
        oblique.obstacles, oblique.to_local_mm(p), oblique.to_local_mm(q), spacing_mm=oblique.grid.spacing_mm
    )
    assert second == pytest.approx(first, abs=EXACT_MM)


def test_clearance_to_a_sphere_of_voxels_brackets_the_closed_form():
    grid = Grid.from_axes(shape=(80, 80, 40), spacing_mm=(0.7, 0.7, 1.5), origin_lps_mm=(0, 0, 0))
    where = world(grid)
    body = np.ones(grid.shape, bool)
    body[:4] = body[-4:] = body[:, :4] = body[:, -4:] = False
    centre, radius = np.array([30.0, 28.0, 30.0]), 8.0
    ball = np.linalg.norm(where - centre, axis=-1) <= radius
    lesion = np.linalg.norm(where - (14, 40, 30), axis=-1) <= 4
    scene = to_scene(grid, {Kind.BODY: body, Kind.HEART: ball, Kind.LIVER: lesion}, {"L1": lesion})
    p, q = np.array([12.0, 3.0, 30.0]), np.array([12.0, 50.0, 30.0])
    found = measure_distances_mm(
        scene.obstacles, scene.to_local_mm(p), scene.to_local_mm(q), spacing_mm=grid.spacing_mm
    )[0]
    half = 0.5 * float(np.linalg.norm(grid.spacing_mm))
    assert 18.0 - radius - half <= found <= 18.0 - radius + half
