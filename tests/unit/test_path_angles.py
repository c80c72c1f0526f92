"""What the operator reads: angles, runs, liver before the lesion, capsule angle."""

from __future__ import annotations

import numpy as np
import pytest
from path_scenes import to_scene, world

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import Grid
from hepatica.core.position import derive_gravity_lps
from hepatica.planning.path.angles import derive_craniocaudal_angle_deg, derive_in_plane_angle_deg
from hepatica.planning.path.capsule import measure_capsule_angle_deg
from hepatica.planning.path.measure import measure_track
from hepatica.planning.path.runs import derive_runs, walk_voxels
from hepatica.planning.path.values import TissueClass

EXACT = 1e-9
"""Closed forms in double precision."""
PERPENDICULAR_DEG = 0.1
"""The slab of liver ends a few sigma away on either side, not quite evenly."""
CAPSULE_TOLERANCE_DEG = 3.0
"""Promised for an oblique ellipsoid at 0.7 x 0.7 x 5 mm."""

DOWN, LEFT, HEAD = np.array([0.0, 1, 0]), np.array([1.0, 0, 0]), np.array([0.0, 0, 1])


@pytest.mark.requirement("A-path-directions")
@pytest.mark.parametrize(
    ("position", "way", "expected"),
    [
        ("HFS", (0, 1, 0), 0.0),  # from the front straight down
        ("HFS", (1, 1, 0), 45.0),  # down and toward patient left
        ("HFS", (-1, 1, 0), -45.0),
        ("HFS", (1, 0, 0), 90.0),  # entering from the right side, level
        ("FFS", (1, 1, 0), 45.0),  # feet first: the patient's left stays left
        ("FFS", (-1, 0, 5), -90.0),
        ("HFP", (0, -1, 0), 0.0),  # prone: from the back straight down
        ("HFP", (1, -1, 0), 45.0),
        ("HFP", (-1, -1, 0), -45.0),
        ("FFP", (1, -1, 3), 45.0),
        ("HFDR", (-1, 0, 0), 0.0),  # right side down: from the left straight down
        ("HFDR", (-1, -1, 0), 45.0),  # left is vertical: positive toward the front
        ("FFDL", (1, 0, 0), 0.0),
        ("FFDL", (1, 1, 0), -45.0),
    ],
)
def test_in_plane_angle_is_from_the_vertical_and_positive_toward_patient_left(position, way, expected):
    entry = np.array([10.0, -20, 30])
    angle = derive_in_plane_angle_deg(entry, entry + np.array(way), gravity_lps=derive_gravity_lps(position))
    assert angle == pytest.approx(expected, abs=EXACT)


@pytest.mark.requirement("A-path-directions")
def test_unknown_position_makes_the_in_plane_angle_not_evaluable():
    angle = derive_in_plane_angle_deg(np.zeros(3), DOWN, gravity_lps=derive_gravity_lps(None))
    assert isinstance(angle, NotEvaluable)
    assert "Patient Position" in angle.reason


def test_a_path_along_the_body_axis_has_no_in_plane_angle():
    assert isinstance(derive_in_plane_angle_deg(np.zeros(3), HEAD, gravity_lps=DOWN), NotEvaluable)


@pytest.mark.requirement("A-path-directions")
def test_craniocaudal_angle_is_positive_toward_the_head():
    assert derive_craniocaudal_angle_deg(np.zeros(3), np.array([3, 4, 5.0])) == pytest.approx(45, abs=EXACT)
    assert derive_craniocaudal_angle_deg(np.zeros(3), np.array([0, 10, -10.0])) == pytest.approx(
        -45, abs=EXACT
    )
    assert derive_craniocaudal_angle_deg(np.zeros(3), DOWN) == 0.0


def layered_scene():
    """Along y: air to 5, fat to 15, muscle to 22, liver to 40, vessel to 44, liver to 58, lesion to 70."""
    grid = Grid.from_axes(shape=(40, 90, 20), spacing_mm=(1, 1, 5), origin_lps_mm=(0.5, 0.5, 2.5))
    y = world(grid)[..., 1]
    x = world(grid)[..., 0]
    trunk = (x > 3) & (x < 37)
    body = trunk & (y > 5) & (y < 85)
    hu = np.where(body, 40, -1000).astype(np.int16)
    hu[body & (y < 15)] = -100
    liver = body & (y > 22) & (y < 80)
    hu[liver] = 110
    vessel = liver & (y > 40) & (y < 44)
    hu[vessel] = 180
    lesion = liver & (y > 58) & (y < 70) & (x > 12) & (x < 28)
    hu[lesion] = 70
    parts = {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion, Kind.PORTAL_VEIN: vessel}
    return to_scene(grid, parts, {"L1": lesion}, hu=hu)


ENTRY, TIP = np.array([20.5, 5.0, 52.5]), np.array([20.5, 64.5, 52.5])


@pytest.mark.requirement("A-path-runs")
def test_runs_are_ordered_by_depth_with_exact_boundaries_and_mean_hu():
    scene = layered_scene()
    runs = derive_runs(scene, scene.paint_target("L1"), ENTRY, TIP)
    assert [run.from_mm for run in runs] == pytest.approx([0, 10, 17, 35, 39, 53], abs=EXACT)
    assert [run.to_mm for run in runs] == pytest.approx([10, 17, 35, 39, 53, 59.5], abs=EXACT)
    assert [run.tissue for run in runs] == [
        TissueClass.SKIN_FAT,
        TissueClass.MUSCLE,
        TissueClass.LIVER,
        TissueClass.VESSEL,
        TissueClass.LIVER,
        TissueClass.TARGET,
    ]
    assert [run.mean_hu for run in runs] == pytest.approx([-100, 40, 110, 180, 110, 70], abs=EXACT)
    assert runs[3].structure is Kind.PORTAL_VEIN


@pytest.mark.requirement("A-path-runs")
def test_runs_of_an_oblique_path_scale_with_its_obliquity():
    scene = layered_scene()
    entry = np.array([14.0, 5.0, 40.0])
    tip = np.array([21.0, 64.0, 52.0])
    runs = derive_runs(scene, scene.paint_target("L1"), entry, tip)
    stretch = float(np.linalg.norm(tip - entry)) / 59.0
    assert [run.to_mm for run in runs] == pytest.approx(
        [depth * stretch for depth in (10, 17, 35, 39, 53, 59)], abs=1e-7
    )


def test_the_walk_visits_connected_voxels_and_adds_up_to_the_path():
    scene = layered_scene()
    rng = np.random.default_rng(5)
    for _ in range(20):
        a, b = rng.uniform(1, 39), rng.uniform(1, 39)
        start, end = np.array([a, 2.0, rng.uniform(1, 99)]), np.array([b, 88.0, rng.uniform(1, 99)])
        voxels, depth = walk_voxels(scene, start, end)
        length = float(np.linalg.norm(end - start))
        assert depth[-1] == pytest.approx(length, abs=EXACT)
        middle = 0.5 * (depth + np.concatenate([[0], depth[:-1]]))
        points = start + (middle / length)[:, None] * (end - start)
        assert (np.floor(scene.grid.to_index(points) + 0.5) == voxels).all()


@pytest.mark.requirement("A-path-liver-before-lesion")
def test_liver_before_the_lesion_stops_at_a_vessel():
    scene = layered_scene()
    measure = measure_track(
        scene, scene.paint_target("L1"), lesion_id="L1", entry_lps_mm=ENTRY, tip_lps_mm=TIP
    )
    assert measure.liver_before_lesion_mm == pytest.approx(14.0, abs=EXACT)
    assert measure.parenchyma_mm == pytest.approx(32.0, abs=EXACT)
    assert measure.viable_mm == pytest.approx(6.5, abs=EXACT)
    assert measure.gap_mm == 0.0
    assert measure.capsule_angle_deg == pytest.approx(90.0, abs=PERPENDICULAR_DEG)


@pytest.mark.requirement("A-path-liver-before-lesion")
def test_liver_before_the_lesion_stops_at_another_lesion():
    scene = layered_scene()
    other = np.zeros(scene.grid.shape, bool)
    other[:, 50:52] = True
    other &= scene.anatomy.select(Kind.LIVER)
    lesion = scene.lesions["L1"][0].to_full()
    parts = {kind: scene.anatomy.select(kind) for kind in (Kind.BODY, Kind.LIVER)}
    scene = to_scene(scene.grid, parts, {"L1": lesion, "L2": other})
    measure = measure_track(
        scene, scene.paint_target("L1"), lesion_id="L1", entry_lps_mm=ENTRY, tip_lps_mm=TIP
    )
    assert measure.liver_before_lesion_mm == pytest.approx(6.0, abs=EXACT)
    assert measure.crosses_other_lesion


@pytest.mark.requirement("A-path-capsule")
@pytest.mark.parametrize("turn_deg", [0.0, 35.0])
def test_capsule_angle_of_an_oblique_ellipsoid_on_thick_slices_is_within_3_degrees(turn_deg):
    angle = np.radians(turn_deg)
    tilt = np.radians(20.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    radii = np.array([75.0, 55.0, 60.0])
    grid = Grid.from_axes(shape=(300, 260, 38), spacing_mm=(0.7, 0.7, 5.0), origin_lps_mm=(-105, -91, -92.5))
    local = world(grid) @ turn
    liver = ((local / radii) ** 2).sum(axis=-1) <= 1
    lesion = np.linalg.norm(world(grid), axis=-1) < 10
    body = np.zeros(grid.shape, bool)
    body[5:-5, 5:-5] = True
    scene = to_scene(grid, {Kind.BODY: body, Kind.LIVER: liver}, {"L1": lesion})
    tissue = scene.paint_target("L1")
    rng = np.random.default_rng(11)
    errors = []
    while len(errors) < 40:
        way = rng.normal(size=3) * (1, 1, 0.5)
        way /= np.linalg.norm(way)
        tip = rng.uniform(-8, 8, 3)
        # First meeting of the line with the ellipsoid, in the ellipsoid's own scaled axes.
        p, d = (tip @ turn) / radii, (way @ turn) / radii
        a, b, c = d @ d, p @ d, p @ p - 1
        on_surface = tip + way * (-b - np.sqrt(b * b - a * c)) / a
        normal = ((on_surface @ turn) / radii**2) @ turn.T
        truth = np.degrees(np.arcsin(abs(normal @ way) / np.linalg.norm(normal)))
        found = measure_capsule_angle_deg(scene, tissue, on_surface - 12 * way, tip)
        errors.append(abs(found - truth))
    assert max(errors) < CAPSULE_TOLERANCE_DEG


def test_a_path_that_misses_the_liver_has_no_capsule_angle():
    scene = layered_scene()
    answer = measure_capsule_angle_deg(scene, scene.paint_target("L1"), ENTRY, np.array([20.5, 18.0, 52.5]))
    assert isinstance(answer, NotEvaluable)
