"""Deposits along a track: in the target, deepest first, closed to the microlitre."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import change_limits, to_scene, world

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.errors import InputError
from hepatica.core.findings import Severity
from hepatica.core.geometry import Grid
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.deposits import count_stops, find_stops, place_deposits, split_volume
from hepatica.planning.path.pair_table import PairTable
from hepatica.planning.path.search import plan_lesion_path
from hepatica.planning.path.values import Track

CLOSURE_ML = 1e-6
"""A thousandth of the promised microlitre: the arithmetic is exact but for rounding."""


@pytest.fixture(scope="module")
def planned():
    grid = Grid.from_axes(shape=(60, 60, 40), spacing_mm=(2, 2, 3), origin_lps_mm=(-59, -59, -58.5))
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body = np.hypot(x, y) <= 55
    liver = np.hypot(x, y) <= 45
    lesion = np.sqrt(x**2 + y**2 + z**2) <= 14
    scene = to_scene(grid, {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion}, {"L1": lesion})
    return scene, plan_lesion_path(scene, lesion_id="L1").best


@pytest.mark.requirement("A-path-deposits")
@pytest.mark.parametrize("volume_ml", [0.0, 0.1, 0.5, 1.0, 2.0, 3.3337, 4.0])
def test_deposits_and_the_rest_add_up_to_the_volume(planned, volume_ml):
    scene, best = planned
    puncture, undelivered, reason = place_deposits(best, scene, lesion_id="L1", volume_ml=volume_ml)
    deposits = puncture.tracks[0].deposits
    assert math.fsum(d.volume_ml for d in deposits) + undelivered == pytest.approx(volume_ml, abs=CLOSURE_ML)
    assert bool(reason) == (undelivered > 0)
    assert all(0 < d.volume_ml <= 0.5 + CLOSURE_ML for d in deposits)
    assert {d.lesion_id for d in deposits} <= {"L1"}
    assert not [f for f in check_path(puncture, scene) if f.severity is Severity.ERROR]


@pytest.mark.requirement("A-path-deposits")
def test_deposits_go_from_deep_to_shallow_by_the_pull_back_step(planned):
    scene, best = planned
    track = place_deposits(best, scene, lesion_id="L1", volume_ml=1.5)[0].tracks[0]
    depth = [float(np.linalg.norm(d.point_lps_mm - best.entry_lps_mm)) for d in track.deposits]
    assert depth[0] == pytest.approx(best.length_mm)
    assert np.diff(depth) == pytest.approx(-5.0)
    assert [d.order for d in track.deposits] == [1, 2, 3]


@pytest.mark.requirement("A-path-deposits")
def test_what_finds_no_room_is_undelivered_with_a_reason(planned):
    scene, best = planned
    puncture, undelivered, reason = place_deposits(best, scene, lesion_id="L1", volume_ml=20.0)
    stops = len(puncture.tracks[0].deposits)
    assert undelivered == pytest.approx(20.0 - 0.5 * stops, abs=CLOSURE_ML)
    assert "unverified" in reason
    assert f"{stops} stops" in reason


@pytest.mark.requirement("A-path-deposits")
def test_a_deposit_outside_the_target_is_an_error(planned):
    scene, best = planned
    puncture = place_deposits(best, scene, lesion_id="L1", volume_ml=1.0)[0]
    first, second = puncture.tracks[0].deposits
    moved = replace(second, point_lps_mm=best.entry_lps_mm)
    wrong = replace(
        puncture, tracks=(Track(tip_lps_mm=puncture.tracks[0].tip_lps_mm, deposits=(first, moved)),)
    )
    assert "path.deposit_in_target" in {f.rule for f in check_path(wrong, scene)}


def test_stops_skip_necrosis(planned):
    scene, best = planned
    lesion = scene.lesions["L1"][0].to_full()
    where = world(scene.grid)
    viable = lesion & (np.linalg.norm(where, axis=-1) > 6)
    parts = {kind: scene.anatomy.select(kind) for kind in (Kind.BODY, Kind.LIVER, Kind.LESION)}
    ring = to_scene(scene.grid, parts, {"L1": (lesion, viable)}, limits=change_limits(deposit_spacing=2.0))
    way = best.entry_lps_mm / np.linalg.norm(best.entry_lps_mm)
    through = replace(best, tracks=(Track(tip_lps_mm=-9.0 * way, deposits=()),))
    puncture, _, _ = place_deposits(through, ring, lesion_id="L1", volume_ml=4.0)
    index = np.round(scene.grid.to_index([d.point_lps_mm for d in puncture.tracks[0].deposits])).astype(int)
    assert len(index) >= 4
    assert viable[tuple(index.T)].all()


@pytest.mark.parametrize("volume_ml", [-0.1, math.nan, math.inf])
def test_an_impossible_volume_is_refused(planned, volume_ml):
    scene, best = planned
    with pytest.raises(InputError):
        place_deposits(best, scene, lesion_id="L1", volume_ml=volume_ml)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(volume_ml=st.floats(0, 10), count=st.integers(1, 20))
def test_split_volumes_add_up_and_differ_by_a_microlitre_at_most(volume_ml, count):
    shares = split_volume(volume_ml, count)
    assert math.fsum(shares) == pytest.approx(volume_ml, abs=1e-9)
    assert max(shares) - min(shares) <= 0.002


@pytest.mark.requirement("B-path-volume-fits")
def test_a_volume_that_needs_a_long_way_gets_a_path_with_room_for_it():
    grid = Grid.from_axes(shape=(60, 60, 40), spacing_mm=(2, 2, 3), origin_lps_mm=(-59, -59, -58.5))
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body, liver = np.hypot(x, y) <= 57, np.hypot(x, y) <= 52
    lesion = (x / 25) ** 2 + (y / 14) ** 2 + (z / 14) ** 2 <= 1
    scene = to_scene(grid, {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: lesion}, {"L1": lesion})
    short = place_deposits(plan_lesion_path(scene, lesion_id="L1").best, scene, lesion_id="L1", volume_ml=4.0)
    assert short[1] > 0, "the path found without the volume is too short inside the lesion"
    path = plan_lesion_path(scene, lesion_id="L1", volume_ml=4.0)
    for puncture in (path.best, path.backup):
        placed, undelivered, reason = place_deposits(puncture, scene, lesion_id="L1", volume_ml=4.0)
        assert (undelivered, reason) == (0.0, "")
        assert len(placed.tracks[0].deposits) == 8
        assert not [f for f in check_path(placed, scene) if f.severity is Severity.ERROR]


@pytest.mark.requirement("B-path-volume-fits")
def test_stops_are_counted_as_they_are_placed(planned):
    scene, _ = planned
    rng = np.random.default_rng(3)
    table = PairTable(scene, lesion_id="L1", tips_lps_mm=rng.uniform(-9, 9, (20, 3)))
    counted = count_stops(scene, table, lesion_id="L1", up_to=100)
    some = rng.permutation(len(table))[:60]
    ends = scene.skin.points_lps_mm[table.entry[some]], table.tips_lps_mm[table.tip[some]]
    placed = [len(find_stops(p, q, scene, lesion_id="L1")) for p, q in zip(*ends, strict=True)]
    assert counted[some].tolist() == placed
    assert len(set(placed)) > 2
