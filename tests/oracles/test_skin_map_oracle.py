"""A flat front and a point target: open skin in closed form; and what a sample of points can tell of an area."""

from __future__ import annotations

import numpy as np
import pytest
from path_scenes import NEEDLE, SUPINE, change_limits, to_scene

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.geometry import Grid
from hepatica.planning.path.limit_costs import derive_limit_costs
from hepatica.planning.path.skin_area import COVERED_STANDARD, find_neighbours, measure_area
from hepatica.planning.path.skin_map import SkinClass, derive_skin_map

SPACING_MM = 3.0
TILT_DEG = 20.0
SHAPE = (46, 40, 60)
FRONT = 8
"""First voxel of the body along y: 24 mm of air before it."""


@pytest.fixture(scope="module")
def flat():
    """A box of liver behind 6 mm of body, a small lesion inside; skin only in front, as the rest meets faces."""
    grid = Grid.from_axes(shape=SHAPE, spacing_mm=(SPACING_MM,) * 3, origin_lps_mm=(0, 0, 0))
    body, liver, lesion = (np.zeros(SHAPE, bool) for _ in range(3))
    body[:, FRONT:, :] = True
    liver[:, FRONT + 2 :, :] = True
    lesion[22:25, 24:27, 29:32] = True
    parts = {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion}
    margins = {
        f"margin_{name}": 0.5
        for name in (
            "bowel", "stomach", "heart", "oesophagus", "gas", "contrast_lumen", "lung", "gallbladder", "kidney",
            "bile_duct", "spleen", "pancreas", "adrenal", "other_organ", "bone", "vessel", "vessel_wide",
        )
    }  # fmt: skip
    limits = change_limits(
        tilt_max=TILT_DEG, length_max=140.0, length_min=1.0, liver_before_lesion_min=1.0, capsule_angle_min=1.0,
        run_out=1.0, target_candidates=1, skin_spacing=3.0, **margins,
    )  # fmt: skip
    return to_scene(grid, parts, {"L1": lesion}, limits=limits, gravity=SUPINE, needle=NEEDLE)


def derive_open_cm2(scene, tip, tilt_deg):
    """Area of the front from which a straight way to the tip stays within a tilt and a length."""
    depth = tip[1] - (FRONT - 0.5) * SPACING_MM
    edge = scene.largest_margin_mm
    low, high = scene.grid.bounds_lps_mm
    x = np.linspace(low[0] + edge, high[0] - edge, 4001)
    reach = np.hypot(x - tip[0], depth)
    half = np.tan(np.radians(tilt_deg)) * reach
    longest = min(scene.limits["length_max"].number, NEEDLE.length_mm - NEEDLE.hub_allowance_mm)
    half = np.minimum(half, np.sqrt(np.maximum(longest**2 - reach**2, 0.0)))
    up, down = np.minimum(half, high[2] - edge - tip[2]), np.minimum(half, tip[2] - low[2] - edge)
    return float(np.trapezoid(up + down, x)) / 100.0


@pytest.mark.requirement("B-skin-map-closed-form")
def test_open_skin_of_a_flat_front_is_the_area_between_two_hyperbolas(flat):
    found = derive_skin_map(flat, lesion_id="L1")
    assert len(found.tips_lps_mm) == 1
    truth = derive_open_cm2(flat, found.tips_lps_mm[0], TILT_DEG)
    free = found.select(SkinClass.FREE)
    near = find_neighbours(flat.skin.points_lps_mm, spacing_mm=3.0)
    area = measure_area(free, areas_mm2=flat.skin.areas_mm2, neighbours=near)
    assert area.area_cm2 == pytest.approx(found.measure_area_cm2(SkinClass.FREE), rel=1e-12)
    assert 40 < truth < 140
    assert abs(area.area_cm2 - truth) <= COVERED_STANDARD * area.uncertainty_cm2 + 0.02 * truth


@pytest.mark.requirement("B-explain-slack-closed-form")
def test_five_degrees_more_tilt_free_what_the_closed_form_says(flat):
    found = derive_skin_map(flat, lesion_id="L1")
    costs = {cost.limit: cost for cost in derive_limit_costs(flat, found).limits}
    tip = found.tips_lps_mm[0]
    steps = {round(step.by, 6): step for step in costs["tilt_max"].relaxations}
    for by in (5.0, 10.0):
        truth = derive_open_cm2(flat, tip, TILT_DEG + by) - derive_open_cm2(flat, tip, TILT_DEG)
        freed = steps[by].freed
        assert truth > 5
        assert abs(freed.area_cm2 - truth) <= COVERED_STANDARD * freed.uncertainty_cm2 + 0.02 * truth, by
        assert steps[by].value == TILT_DEG + by
    assert costs["tilt_max"].through is None


@pytest.mark.requirement("B-explain-resolution")
def test_the_stated_uncertainty_covers_the_area_of_a_disc_wherever_it_lies():
    rng = np.random.default_rng(3)
    edge = 5.0
    x, y = (a.ravel() for a in np.meshgrid(np.arange(40.0), np.arange(40.0)))
    covered, errors, stated = [], [], []
    for _ in range(300):
        jitter = rng.uniform(-0.3, 0.3, (len(x), 2))
        points = np.stack([x + jitter[:, 0], y + jitter[:, 1], 0 * x], axis=1) * edge
        radius, centre = rng.uniform(10, 60), 100 + rng.uniform(-20, 20, 2)
        member = np.hypot(*(points[:, :2] - centre).T) < radius
        near = find_neighbours(points, spacing_mm=edge)
        area = measure_area(member, areas_mm2=np.full(len(x), edge**2), neighbours=near)
        error = area.area_cm2 - np.pi * radius**2 / 100
        errors.append(error / area.uncertainty_cm2)
        covered.append(abs(error) <= COVERED_STANDARD * area.uncertainty_cm2)
        stated.append(area.uncertainty_cm2)
    assert np.mean(covered) >= 0.93
    # Not so wide that it says nothing: the errors fill at least a third of it.
    assert np.std(errors) >= 0.33
    assert min(stated) > 0
