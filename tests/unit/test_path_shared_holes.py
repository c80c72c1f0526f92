"""Lesions that share holes, deposits that keep away from things, and harm as a term of the ranking."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from path_scenes import change_limits, to_scene, world
from phantom import make_context

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.core.progress import SILENT
from hepatica.planning.path.checks import check_path
from hepatica.planning.path.deposits import place_deposits
from hepatica.planning.path.harm import derive_score, rank_by_harm
from hepatica.planning.path.hazards import derive_penalty, measure_deposit_distances
from hepatica.planning.path.placement_presets import make_placement_model
from hepatica.planning.path.redirection import derive_redirection_deg
from hepatica.planning.path.search import search_lesion
from hepatica.planning.path.share import measure_score, share_skin
from hepatica.planning.path.trunk import join_on_coaxial
from hepatica.planning.path.values import PriorTrack, Puncture, Track
from hepatica.workflows.choose_punctures import choose_punctures

VOLUME_ML = 1.0
CLOSURE_ML = 1e-6
SAME_MM = 1e-6


def make_trunk(*centres, radius, extra=None, prior=(), **limits):
    grid = Grid.from_axes(shape=(70, 60, 50), spacing_mm=(2, 2, 3), origin_lps_mm=(-69, -59, -73.5))
    x, y, z = np.moveaxis(world(grid), -1, 0)
    body, liver = (x / 66) ** 2 + (y / 55) ** 2 <= 1, (x / 60) ** 2 + (y / 49) ** 2 <= 1
    lesions = [np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) <= radius for a, b, c in centres]
    parts = {Kind.BODY: body, Kind.LIVER: liver, Kind.LESION: np.any(lesions, axis=0)}
    parts |= {kind: make(x, y, z) for kind, make in (extra or {}).items()}
    return to_scene(
        grid, parts, {f"L{n}": lesion for n, lesion in enumerate(lesions, 1)},
        limits=change_limits(**limits), prior=prior,
    )  # fmt: skip


def make_injections(*lesion_ids):
    injection = make_context().plan.allocation.injections[0]
    return [replace(injection, lesion_id=name, volume_ml=VOLUME_ML) for name in lesion_ids]


def search_all(scene, *lesion_ids):
    return {
        name: search_lesion(scene, lesion_id=name, volume_ml=VOLUME_ML, progress=SILENT)
        for name in lesion_ids
    }


@pytest.fixture(scope="module")
def near():
    """Two small lesions side by side, far enough below the skin for one coaxial needle."""
    scene = make_trunk((-8, 10, 0), (8, 10, 0), radius=6.0)
    return scene, search_all(scene, "L1", "L2")


def choose(scene, searches):
    paths = {name: search.path for name, search in searches.items()}
    shared = share_skin(scene, searches=searches, paths=paths)
    own = {name: measure_score(path.best) for name, path in paths.items()}
    return choose_punctures(
        make_injections(*searches), tuple(shared.values()), scene, fit=lambda _: scene.needle, own_scores=own
    )


@pytest.mark.requirement("B-share-coaxial")
def test_one_coaxial_needle_serves_two_lesions_in_full_and_stops_short_of_both(near):
    scene, searches = near
    chosen = choose(scene, searches)
    (puncture,) = chosen.punctures
    assert set(puncture.lesion_ids) == {"L1", "L2"} and chosen.undelivered == {}
    given = {name: 0.0 for name in puncture.lesion_ids}
    for track in puncture.tracks:
        assert len({d.lesion_id for d in track.deposits}) == 1
        turn = derive_redirection_deg(puncture.entry_lps_mm, puncture.pivot_lps_mm, track.tip_lps_mm)
        assert turn <= 15.0
        for deposit in track.deposits:
            given[deposit.lesion_id] += deposit.volume_ml
    assert given == pytest.approx({"L1": VOLUME_ML, "L2": VOLUME_ML}, abs=CLOSURE_ML)
    assert not [f for f in check_path(puncture, scene) if f.severity is Severity.ERROR]
    # One track each: every further one would be one more pass.
    assert len(puncture.tracks) == 2
    points = puncture.entry_lps_mm + np.linspace(0, 1, 2000)[:, None] * (
        puncture.pivot_lps_mm - puncture.entry_lps_mm
    )
    index = np.floor(scene.grid.to_index(points) + 0.5).astype(int)
    for lesion, _ in scene.lesions.values():
        assert not lesion.to_full()[tuple(index.T)].any()
    told = [f for f in puncture.findings if f.rule == "path.shared_coaxial"]
    assert len(told) == 1 and told[0].measured <= 0.5 and told[0].unverified
    assert "fresh inner needle" in told[0].message
    # Each lesion keeps a backup of its own, named after the puncture.
    assert [b.puncture_id for b in chosen.backups] == ["P1b", "P1c"]
    assert {path.best.puncture_id for path in chosen.paths} == {"P1"}


@pytest.mark.requirement("B-share-coaxial")
def test_no_lesion_loses_more_rank_than_the_limit_and_none_shares_where_it_is_negative(near):
    scene, searches = near
    paths = {name: search.path for name, search in searches.items()}
    own = {name: measure_score(path.best) for name, path in paths.items()}
    best = {name: path.best for name, path in paths.items()}
    volumes = dict.fromkeys(own, VOLUME_ML)
    strict = replace(scene, limits=change_limits(share_loss_max=-1.0))
    assert join_on_coaxial(strict, best=best, volumes_ml=volumes, own_scores=own) == ()
    assert {
        name: tuple(path.best.entry_lps_mm)
        for name, path in share_skin(strict, searches=searches, paths=paths).items()
    } == {name: tuple(path.best.entry_lps_mm) for name, path in paths.items()}
    for name, path in share_skin(scene, searches=searches, paths=paths).items():
        assert measure_score(path.best) <= own[name] + 0.5 + SAME_MM


@pytest.mark.requirement("B-share-skin")
def test_lesions_through_one_skin_hole_are_told_so_and_get_backups_away_from_it():
    scene = make_trunk((-16, 0, 0), (16, 0, 0), radius=10.0, redirect_max=0.0)
    chosen = choose(scene, search_all(scene, "L1", "L2"))
    first, second = chosen.punctures
    assert first.entry_lps_mm == pytest.approx(second.entry_lps_mm)
    assert (first.shares_skin_with, second.shares_skin_with) == (("P2",), ("P1",))
    for puncture in chosen.punctures:
        told = [f for f in puncture.findings if f.rule == "path.shared_skin"]
        assert len(told) == 1 and "fresh needle" in told[0].message
    for backup in chosen.backups:
        assert np.linalg.norm(backup.entry_lps_mm - first.entry_lps_mm) >= 20.0


@pytest.mark.requirement("B-deposit-away")
def test_distances_of_a_deposit_are_the_exact_ones_to_boxes_and_tracks():
    prior = PriorTrack(
        plan_id="1", entry_lps_mm=np.array([30.0, -50.0, 0.0]), tip_lps_mm=np.array([30.0, 50.0, 0.0])
    )
    scene = make_trunk(
        (0, 0, 0), radius=14.0, prior=(prior,),
        extra={Kind.PORTAL_VEIN: lambda x, y, z: (np.abs(y - 30) <= 6) & (np.abs(z) <= 30) & (np.abs(x) < 40)},
    )  # fmt: skip
    point = np.array([4.3, -2.2, 1.1])
    found = {item.name: item.distance_mm for item in measure_deposit_distances(point, scene)}
    assert found["track"] == pytest.approx(math.hypot(30.0 - 4.3, 1.1))
    # The vein's first voxel layer has its centre at y = 25, its box begins at 24.
    assert found["vessel"] == pytest.approx(24.0 + 2.2, abs=SAME_MM)
    liver = scene.anatomy.select(Kind.LIVER)
    outside = world(scene.grid)[~liver]
    gap = np.maximum(np.abs(outside - point) - np.array([1.0, 1.0, 1.5]), 0.0)
    assert found["capsule"] == pytest.approx(np.linalg.norm(gap, axis=-1).min(), abs=SAME_MM)
    assert isinstance(found["bile_duct"], NotEvaluable)
    capped = {item.name: item.distance_mm for item in measure_deposit_distances(point, scene, up_to_mm=5.0)}
    assert capped["capsule"] == 5.0


@pytest.mark.requirement("B-deposit-away")
def test_stops_near_a_large_vessel_are_used_last_and_named():
    """A vein runs behind the lesion: the deepest stops lie near it, so shallower ones are taken."""

    def vein(x, y, z):
        return (np.abs(y - 21) <= 4) & (np.abs(z) <= 40) & (np.abs(x) < 40)

    plain = make_trunk((0, 0, 0), radius=14.0)
    scene = make_trunk((0, 0, 0), radius=14.0, extra={Kind.PORTAL_VEIN: vein}, deposit_vessel_distance=9.0)
    entry, tip = np.array([0.0, -54.0, 0.0]), np.array([0.0, 11.0, 0.0])
    base = search_lesion(plain, lesion_id="L1", volume_ml=1.0, progress=SILENT).path.best
    puncture = replace(base, entry_lps_mm=entry, tracks=(Track(tip_lps_mm=tip, deposits=()),))
    depths = [
        [round(float(d.point_lps_mm[1])) for d in placed[0].tracks[0].deposits]
        for placed in (place_deposits(puncture, s, lesion_id="L1", volume_ml=1.0) for s in (plain, scene))
    ]
    assert depths == [[11, 6], [6, 1]]
    needle_tip = place_deposits(puncture, scene, lesion_id="L1", volume_ml=1.0)[0].tracks[0].tip_lps_mm
    assert needle_tip[1] == pytest.approx(6.0), "the needle goes no deeper than its deepest stop"
    # Where all stops are needed, all are used.
    whole = place_deposits(puncture, scene, lesion_id="L1", volume_ml=3.0)[0].tracks[0].deposits
    assert [round(float(d.point_lps_mm[1])) for d in whole] == [11, 6, 1, -4, -9, -14]
    distances = measure_deposit_distances(whole[0].point_lps_mm, scene)
    assert derive_penalty(distances) > 0
    assert all(item.status is EvidenceStatus.UNVERIFIED or item.name == "vessel" for item in distances)


@pytest.mark.requirement("B-rank-harm")
def test_the_chance_of_touch_and_further_capsule_holes_are_terms_and_order_the_best_paths():
    """Lung on the near side: the shortest way runs along it, another is safer under placement error."""

    def lung(x, y, z):
        return (x < 2) & (y < -38) & (np.abs(z) < 60)

    scene = make_trunk((-6, 0, 0), radius=10.0, extra={Kind.LUNG: lung}, weight_harm=0.0)
    search = search_lesion(scene, lesion_id="L1", volume_ml=1.0, progress=SILENT)
    model = make_placement_model("freehand")
    free = rank_by_harm(search, scene, model=model, seed=1)
    assert free.best.entry_lps_mm == pytest.approx(search.path.best.entry_lps_mm)
    heavy = replace(scene, limits=change_limits(weight_harm=50.0))
    search = search_lesion(heavy, lesion_id="L1", volume_ml=1.0, progress=SILENT)
    ranked = rank_by_harm(search, heavy, model=model, seed=1)
    harms = [next(t.value for t in p.terms if t.name == "harm") for p in (ranked.best, *ranked.alternatives)]
    assert harms[0] == ranked.best.risk.any_touched.probability
    before = next(t.value for t in free.best.terms if t.name == "harm")
    assert harms[0] <= before
    scores = [derive_score(p) for p in (ranked.best, *ranked.alternatives)]
    assert all(a <= b + SAME_MM for a, b in pairwise(scores))
    for puncture in (ranked.best, *ranked.alternatives):
        terms = {t.name: t for t in puncture.terms}
        assert terms["capsule_holes"].value == 0.0
        assert "PMC7599171" in terms["capsule_holes"].source
        assert terms["harm"].status is EvidenceStatus.UNVERIFIED
    if ranked.backup is not None:
        away = np.linalg.norm(ranked.backup.entry_lps_mm - ranked.best.entry_lps_mm)
        assert away >= 20.0
    again = rank_by_harm(search, heavy, model=model, seed=1)
    assert isinstance(again.best, Puncture) and again.best.risk == ranked.best.risk
