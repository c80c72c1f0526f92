"""Fans, shared holes and few choices that cover all: against exact cover and by checks from scratch."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import change_limits, to_scene, world

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.errors import GeometryError
from hepatica.core.findings import Severity
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.planning.path.bent import measure_bent_track
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.cover import choose_cover, derive_reach_mm, measure_coverage
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.fan import fan_deposits
from hepatica.planning.path.measure import measure_track
from hepatica.planning.path.ranking import find_front
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.share import plan_shared_paths

CLOSURE_ML = 1e-6
"""A thousandth of the promised microlitre."""
SAME_MM = 1e-6
"""The same way measured in two pieces differs by rounding."""


def make_trunk(*centres, radius=13.0):
    grid = Grid.from_axes(shape=(70, 60, 50), spacing_mm=(2, 2, 3), origin_lps_mm=(-69, -59, -73.5))
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body, liver = (x / 66) ** 2 + (y / 55) ** 2 <= 1, (x / 60) ** 2 + (y / 49) ** 2 <= 1
    lesions = [np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) <= radius for a, b, c in centres]
    parts = {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: np.any(lesions, axis=0)}
    return to_scene(grid, parts, {f"L{n}": lesion for n, lesion in enumerate(lesions, 1)})


@pytest.fixture(scope="module")
def fanned():
    scene = make_trunk((0, 8, 0), radius=17.0)
    best = plan_lesion_path(scene, lesion_id="L1", volume_ml=6.0).best
    straight = place_deposits(best, scene, lesion_id="L1", volume_ml=6.0)
    return scene, straight, fan_deposits(best, scene, lesion_id="L1", volume_ml=6.0)


@pytest.mark.requirement("B-path-fan")
def test_a_fan_delivers_what_one_track_has_no_room_for(fanned):
    scene, (_, straight_left, _), (puncture, left, reason) = fanned
    assert straight_left > 0
    assert (left, reason) == (0.0, "")
    assert len(puncture.tracks) > 1
    given = [d.volume_ml for track in puncture.tracks for d in track.deposits]
    assert math.fsum(given) == pytest.approx(6.0, abs=CLOSURE_ML)
    assert max(given) <= scene.limits["deposit_max"].number + CLOSURE_ML


@pytest.mark.requirement("B-path-fan")
def test_every_track_of_a_fan_keeps_every_limit_and_stays_in_the_lesion(fanned):
    scene, _, (puncture, _, _) = fanned
    assert not [f for f in check_path(puncture, scene) if f.severity is Severity.ERROR]
    tissue = scene.paint_target("L1")
    for track in puncture.tracks:
        turn = derive_redirection_deg(puncture.entry_lps_mm, puncture.pivot_lps_mm, track.tip_lps_mm)
        assert turn <= 15.0
        assert track.deposits[0].point_lps_mm == pytest.approx(track.tip_lps_mm)
        measure = measure_bent_track(
            scene, tissue, lesion_id="L1", entry_lps_mm=puncture.entry_lps_mm,
            pivot_lps_mm=puncture.pivot_lps_mm, tip_lps_mm=track.tip_lps_mm,
        )  # fmt: skip
        assert [run.tissue.value for run in measure.runs].count("target lesion") == 1
        assert measure.runs[-1].tissue.value == "target lesion"
        assert measure.liver_before_lesion_mm >= 10.0


@pytest.mark.requirement("B-path-fan")
def test_deposits_of_different_tracks_keep_the_pull_back_distance(fanned):
    scene, _, (puncture, _, _) = fanned
    points = [d.point_lps_mm for track in puncture.tracks for d in track.deposits]
    gaps = [np.linalg.norm(a - b) for a, b in combinations(points, 2)]
    assert min(gaps) >= scene.limits["deposit_spacing"].number - SAME_MM


@pytest.mark.requirement("B-path-fan")
def test_a_fan_covers_more_of_the_target_than_one_track(fanned):
    scene, (straight, _, _), (puncture, _, _) = fanned
    reach = derive_reach_mm(0.5, limits=scene.limits)
    shares = [
        measure_coverage(
            scene.lesions["L1"][1],
            np.array([d.point_lps_mm for track in p.tracks for d in track.deposits]),
            reach_mm=reach,
        )
        for p in (straight, puncture)
    ]
    assert shares[1] > 1.3 * shares[0]


@pytest.mark.requirement("B-path-fan")
def test_turning_too_far_or_outside_the_liver_is_an_error(fanned):
    scene, _, (puncture, _, _) = fanned
    rules = {f.rule for f in check_path(puncture, replace(scene, limits=change_limits(redirect_max=0.5)))}
    assert "path.redirect_max" in rules
    way = puncture.tracks[0].tip_lps_mm - puncture.entry_lps_mm
    early = replace(puncture, pivot_lps_mm=puncture.entry_lps_mm + 2.0 * way / np.linalg.norm(way))
    assert "path.pivot_in_liver" in {f.rule for f in check_path(early, scene)}


@pytest.mark.requirement("B-path-fan")
def test_a_coaxial_tip_beyond_the_lesion_or_outside_the_scan_is_an_error_and_one_at_an_end_is_refused(fanned):
    scene, _, (puncture, _, _) = fanned
    entry, pivot = puncture.entry_lps_mm, puncture.pivot_lps_mm
    way = (pivot - entry) / np.linalg.norm(pivot - entry)
    for step, rule in ((45.0, "path.pivot_short_of_lesion"), (-500.0, "path.pivot_in_liver")):
        moved = replace(puncture, pivot_lps_mm=pivot + step * way)
        assert rule in {f.rule for f in check_path(moved, scene) if f.severity is Severity.ERROR}
    for point in (entry, puncture.tracks[0].tip_lps_mm, np.full(3, np.nan)):
        with pytest.raises(GeometryError):
            check_path(replace(puncture, pivot_lps_mm=point), scene)


@pytest.mark.requirement("B-path-fan")
def test_no_track_of_a_fan_runs_nearer_to_the_end_of_the_scan_than_the_largest_margin():
    grid = Grid.from_axes(shape=(70, 60, 34), spacing_mm=(2, 2, 3), origin_lps_mm=(-69, -59, -73.5))
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body, liver = (x / 66) ** 2 + (y / 55) ** 2 <= 1, (x / 60) ** 2 + (y / 49) ** 2 <= 1
    lesion = np.sqrt(x**2 + (y - 8) ** 2 + (z - 20) ** 2) <= 17  # reaches the last slice
    scene = to_scene(grid, {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion}, {"L1": lesion})
    best = plan_lesion_path(scene, lesion_id="L1", volume_ml=6.0).best
    puncture, _, _ = fan_deposits(best, scene, lesion_id="L1", volume_ml=6.0)
    assert len(puncture.tracks) > 1
    assert "path.volume_face" not in {f.rule for f in check_path(puncture, scene)}


@pytest.mark.requirement("B-path-fan")
def test_a_bend_of_no_degrees_measures_as_the_straight_track(fanned):
    scene, _, (puncture, _, _) = fanned
    tissue = scene.paint_target("L1")
    way = puncture.pivot_lps_mm - puncture.entry_lps_mm
    ends = {
        "lesion_id": "L1",
        "entry_lps_mm": puncture.entry_lps_mm,
        "tip_lps_mm": puncture.pivot_lps_mm + 20.0 * way / np.linalg.norm(way),
    }
    straight = measure_track(scene, tissue, **ends)
    bent = measure_bent_track(scene, tissue, pivot_lps_mm=puncture.pivot_lps_mm, **ends)
    for name in ("length_mm", "liver_before_lesion_mm", "parenchyma_mm", "viable_mm", "face_distance_mm"):
        assert getattr(bent, name) == pytest.approx(getattr(straight, name), abs=SAME_MM)
    assert [run.tissue for run in bent.runs] == [run.tissue for run in straight.runs]
    assert [run.to_mm for run in bent.runs] == pytest.approx(
        [run.to_mm for run in straight.runs], abs=SAME_MM
    )


@pytest.mark.requirement("B-path-cover")
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_greedy_cover_serves_all_and_is_near_the_exact_cover(seed):
    rng = np.random.default_rng(seed)
    options, needs = int(rng.integers(1, 9)), int(rng.integers(1, 8))
    serves = rng.random((options, needs)) < rng.uniform(0.1, 0.7)
    chosen = choose_cover(serves)
    assert (serves[chosen].any(axis=0) == serves.any(axis=0)).all()
    fewest = next(
        k
        for k in range(options + 1)
        if any(
            (serves[list(c)].any(axis=0) == serves.any(axis=0)).all() for c in combinations(range(options), k)
        )
    )
    assert len(chosen) <= fewest * (1 + math.log(needs))
    if fewest <= 1:
        assert len(chosen) == fewest


@pytest.mark.requirement("B-path-share")
def test_two_lesions_near_each_other_share_one_hole_and_none_is_crossed():
    scene = make_trunk((-16, 0, 0), (16, 0, 0), radius=10.0)
    paths = plan_shared_paths(scene, volumes_ml={"L1": 1.0, "L2": 1.0})
    assert [path.lesion_id for path in paths] == ["L1", "L2"]
    first, second = (path.best for path in paths)
    assert first.entry_lps_mm == pytest.approx(second.entry_lps_mm)
    for path in paths:
        assert not [f for f in check_path(path.best, scene) if f.severity is Severity.ERROR]
        assert "other lesion" not in {run.tissue.value for run in path.best.runs}
        alone = plan_lesion_path(scene, lesion_id=path.lesion_id, volume_ml=1.0)
        assert place_deposits(path.best, scene, lesion_id=path.lesion_id, volume_ml=1.0)[1] == 0.0
        scores = [sum(t.value * t.weight for t in p.terms) for p in (alone.best, path.best)]
        assert scores[0] <= scores[1] + 1e-6, "the lesion's own best is never beaten by a shared one"


@pytest.mark.requirement("B-path-pareto")
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_the_front_holds_exactly_the_paths_none_beats(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (int(rng.integers(1, 15)), 3)).astype(float)
    front = find_front({str(n): column for n, column in enumerate(values.T)})
    for n, row in enumerate(values):
        beaten = any((other <= row).all() and (other < row).any() for other in values)
        assert front[n] == (not beaten)


@pytest.mark.requirement("B-path-pareto")
def test_alternatives_are_allowed_apart_ordered_and_not_beaten():
    scene = make_trunk((0, 0, 0))
    path = plan_lesion_path(scene, lesion_id="L1")
    assert path.alternatives
    scores = [sum(t.value * t.weight for t in p.terms) for p in (path.best, *path.alternatives)]
    assert scores == sorted(scores)
    for other in path.alternatives:
        assert not [f for f in check_path(other, scene) if f.severity is Severity.ERROR]
        assert np.linalg.norm(other.entry_lps_mm - path.best.entry_lps_mm) >= 15.0
    terms = {
        name: np.array([next(t.value for t in p.terms if t.name == name) for p in path.alternatives])
        for name in {t.name for t in path.best.terms}
    }
    assert find_front(terms).all()


@pytest.mark.requirement("B-path-cover")
def test_coverage_of_a_sphere_by_one_deposit_is_the_ratio_of_volumes():
    grid = Grid.from_axes(shape=(60, 60, 60), spacing_mm=(0.5, 0.5, 0.5), origin_lps_mm=(-15, -15, -15))
    ball = np.linalg.norm(world(grid), axis=-1) <= 12.0
    share = measure_coverage(Mask.from_full(ball, grid=grid), np.zeros((1, 3)), reach_mm=6.0)
    assert share == pytest.approx((6.0 / 12.0) ** 3, rel=0.02)
