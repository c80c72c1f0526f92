"""Placement error: what must hold whatever the anatomy, and what a fit must refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import change_limits, to_scene
from placement_scenes import (
    declare_all,
    make_lumps,
    make_model,
    make_puncture,
    make_slab_scene,
    store_otherwise,
)
from scipy import stats

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.errors import GeometryError, InputError, NonFiniteError, NotFoundError
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import Grid
from hepatica.planning.path.measure import measure_track, to_clearances
from hepatica.planning.path.placement_error import simulate_placement
from hepatica.planning.path.placement_presets import (
    SITE_COLUMNS,
    fit_placement_model,
    fit_sigma,
    list_placement_presets,
    make_placement_model,
    read_placement_table,
)
from hepatica.planning.path.placement_values import Chance

SAME_DRAWS = 3
"""A needle within rounding of a box may be counted otherwise after turning; more than this is no rounding."""
STANDARD_ERRORS = 4.0
BROAD = dict(entry=1.5, in_plane=5.0, out_of_plane=8.0, depth=3.0, motion_left_right=1.2,
             motion_craniocaudal=2.6, motion_anterior_posterior=1.2, label=1.9)  # fmt: skip


def simulate(puncture, scene, *, seed=1, draws=2000, model=None, **sigmas):
    model = model or make_model(**sigmas)
    return simulate_placement(puncture, scene, model=model, draws=draws, rng=np.random.default_rng(seed))


def hits(risk):
    """Every count of a risk by name."""
    found = {f"touch {s.kind}": s.touched.hits for s in risk.structures}
    found |= {f"margin {s.kind}": s.within_margin.hits for s in risk.structures}
    found |= {f"deposit {d.track} {d.order}": d.in_target.hits for d in risk.deposits}
    found |= {"any": risk.any_touched.hits, "tip": risk.tip_in_target.hits, "out": risk.leaves_volume.hits}
    return found


@pytest.fixture(scope="module")
def lumps():
    grid, parts = make_lumps(2)
    scene = to_scene(grid, parts, {"L1": parts[Kind.LESION]})
    centre = np.argwhere(parts[Kind.LESION]).mean(axis=0)
    tip = grid.to_lps_mm(centre)
    return scene, make_puncture(tip + np.array([10, -40, 12]), tip, stops_mm=(0.0, 4.0))


@pytest.mark.requirement("B-risk-seed")
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads():
    code = """
import hashlib, numpy as np
from placement_scenes import make_lumps, make_model, make_puncture
from path_scenes import to_scene
from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.planning.path.placement_error import judge_needles, perturb_needles
import numba
grid, parts = make_lumps(2)
scene = to_scene(grid, parts, {"L1": parts[Kind.LESION]})
tip = grid.to_lps_mm(np.argwhere(parts[Kind.LESION]).mean(axis=0))
model = make_model(entry=1.5, in_plane=5.0, out_of_plane=8.0, depth=3.0, label=1.9)
(n,) = perturb_needles(make_puncture(tip + (10, -40, 12), tip), model=model, draws=5000, rng=np.random.default_rng(1))
bits = judge_needles(scene, n.starts_lps_mm, n.tips_lps_mm, radius_mm=0.36)
data = [n.starts_lps_mm, n.tips_lps_mm, *bits]
print(numba.get_num_threads(), int((bits[0] != 0).sum()), hashlib.sha256(b"".join(a.tobytes() for a in data)).hexdigest())
"""
    answers = []
    for threads in ("1", "2"):
        environment = {**os.environ, "NUMBA_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
        )
        answers.append(done.stdout.split())
    assert [answer[0] for answer in answers] == ["1", "2"]
    assert answers[0][1:] == answers[1][1:]
    assert int(answers[0][1]) > 0


@pytest.mark.requirement("B-risk-seed")
def test_another_seed_gives_other_needles_but_the_same_chance(lumps):
    scene, puncture = lumps
    first, second = (simulate(puncture, scene, seed=s, draws=10_000, **BROAD) for s in (1, 2))
    assert hits(first) != hits(second)
    assert hits(first) == hits(simulate(puncture, scene, seed=1, draws=10_000, **BROAD))
    for a, b in zip(first.deposits, second.deposits, strict=True):
        error = np.hypot(a.in_target.standard_error, b.in_target.standard_error)
        assert abs(a.in_target.probability - b.in_target.probability) <= STANDARD_ERRORS * error


@pytest.mark.requirement("B-risk-monotone")
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(["in_plane", "motion_left_right", "label"]),
    gap=st.floats(1, 15),
    more=st.floats(1, 3),
)
def test_a_larger_sigma_never_makes_a_far_half_space_safer(slab_scene, name, gap, more):
    puncture = make_puncture((20.5 + gap, 4, 50), (20.5 + gap, 50, 50))
    few, many = (
        simulate(puncture, slab_scene, draws=500, **{name: sigma}).any_touched.hits
        for sigma in (2.0, 2.0 * more)
    )
    assert many >= few


@pytest.fixture(scope="module")
def slab_scene():
    return make_slab_scene()


@pytest.mark.requirement("B-risk-deterministic")
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_without_error_the_risk_is_what_the_clearances_say(lumps, seed):
    scene, puncture = lumps
    rng = np.random.default_rng(seed)
    tip = puncture.tracks[0].tip_lps_mm + rng.uniform(-12, 12, 3)
    entry = tip + rng.uniform(-25, 25, 3) - (0, 70, 0)
    planned = make_puncture(entry, tip, stops_mm=(0.0, 5.0))
    risk = simulate(planned, scene, draws=3)
    track = measure_track(scene, scene.paint_target("L1"), lesion_id="L1", entry_lps_mm=entry, tip_lps_mm=tip)
    stated = {item.kind: item for item in to_clearances(scene, track)}
    for item in risk.structures:
        assert item.touched.hits in (0, 3)
        radius = scene.needle_radius_mm
        of_kind = [n for n, layer in enumerate(scene.obstacles.layers) if layer.kind is item.kind]
        nearest = min(track.distances_mm[n] for n in of_kind) - radius
        assert (item.touched.hits == 3) == (nearest <= 0)
        slack = min(track.distances_mm[n] - radius - scene.obstacles.layers[n].margin.number for n in of_kind)
        assert (item.within_margin.hits == 3) == (slack < 0)
        clearance = stated[item.kind].clearance_mm
        if not isinstance(clearance, NotEvaluable):
            assert (clearance < stated[item.kind].margin_mm) == (item.within_margin.hits == 3)
    target = scene.lesions["L1"][1].to_full()
    index = np.floor(scene.grid.to_index(np.stack([tip, planned.tracks[0].deposits[1].point_lps_mm])) + 0.5)
    tip_in, deposit_in = (bool(target[tuple(i)]) for i in index.astype(int))
    assert risk.tip_in_target.probability == tip_in
    assert [d.in_target.probability for d in risk.deposits] == [tip_in, deposit_in]
    assert risk.expected_in_target.mean_ml == pytest.approx(0.5 * (tip_in + deposit_in))


@pytest.mark.requirement("B-risk-invariance")
@pytest.mark.parametrize(
    ("order", "flips"), [((0, 1, 2), (0,)), ((2, 0, 1), ()), ((1, 0, 2), (1, 2)), ((2, 1, 0), (0, 1, 2))]
)
def test_the_risk_does_not_depend_on_how_the_grid_is_stored(lumps, order, flips):
    scene, puncture = lumps
    grid, parts = store_otherwise(*make_lumps(2), order, flips)
    other = to_scene(grid, parts, {"L1": parts[Kind.LESION]})
    first, second = hits(simulate(puncture, scene, **BROAD)), hits(simulate(puncture, other, **BROAD))
    assert first.keys() == second.keys()
    assert max(abs(first[key] - second[key]) for key in first) <= SAME_DRAWS
    assert 0 < first["any"] < 2000 and 0 < first["tip"] < 2000


@pytest.mark.requirement("B-risk-invariance")
@pytest.mark.parametrize(
    ("angle_deg", "shift"), [(0, (120, -70, 300)), (25, (0, 0, 0)), (-140, (30, 20, -10))]
)
def test_the_risk_moves_rigidly_with_the_patient(lumps, angle_deg, shift):
    scene, puncture = lumps
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])  # about the body axis; motion is as large to the side
    grid, parts = make_lumps(2)
    affine = grid.lps_from_ijk.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = turn @ grid.origin_lps_mm + shift
    moved = to_scene(Grid(shape=grid.shape, lps_from_ijk=affine), parts, {"L1": parts[Kind.LESION]})
    tip = turn @ puncture.tracks[0].tip_lps_mm + shift
    other = make_puncture(turn @ puncture.entry_lps_mm + shift, tip, stops_mm=(0.0, 4.0))
    # What patient axes draw is not turned along, so draws are compared without it, chances with it.
    still = {**BROAD, "label": 0, "motion_left_right": 0, "motion_anterior_posterior": 0}
    first, second = hits(simulate(puncture, scene, **still)), hits(simulate(other, moved, **still))
    assert max(abs(first[key] - second[key]) for key in first) <= SAME_DRAWS
    first, second = (
        hits(simulate(p, x, draws=8000, **BROAD)) for p, x in ((puncture, scene), (other, moved))
    )
    for key in first:
        share = 0.5 * (first[key] + second[key]) / 8000
        assert (
            abs(first[key] - second[key]) <= STANDARD_ERRORS * np.sqrt(2 * 8000 * share * (1 - share)) + 1e-9
        )


@pytest.mark.requirement("B-risk-lower-bound")
def test_chances_are_lower_bounds_while_a_structure_in_reach_is_unknown(slab_scene):
    puncture = make_puncture((50, 4, 50), (50, 50, 50))
    assert simulate(puncture, slab_scene, in_plane=1.0).lower_bound
    assert not simulate(puncture, declare_all(slab_scene), in_plane=1.0).lower_bound


def test_a_needle_pushed_into_a_structure_at_its_entry_touches_it(slab_scene):
    risk = simulate(make_puncture((8, 20, 40), (8, 24, 40)), slab_scene, draws=10)
    assert risk.any_touched.hits == 10


def test_two_tracks_through_one_skin_hole_share_the_entry_and_add_their_risks(slab_scene):
    entry, near, far = (40, 4, 50), (27, 45, 50), (50, 45, 50)
    both = simulate(make_puncture(entry, far, near, stops_mm=(0.0,)), slab_scene, draws=4000, in_plane=4.0)
    alone = [simulate(make_puncture(entry, tip), slab_scene, draws=4000, in_plane=4.0) for tip in (far, near)]
    assert both.any_touched.hits >= alone[0].any_touched.hits
    assert abs(both.any_touched.probability - alone[1].any_touched.probability) <= 0.03
    assert both.tip_in_target.hits <= min(d.in_target.hits for d in both.deposits)
    assert [d.track for d in both.deposits] == [1, 2]


def test_a_vessel_counts_within_the_margin_of_its_own_calibre():
    grid, parts = make_lumps(2)
    limits = change_limits(margin_vessel=1.0, margin_vessel_wide=6.0, vessel_calibre_wide=500.0)
    scene = to_scene(grid, parts, {"L1": parts[Kind.LESION]}, limits=limits)
    box = np.argwhere(parts[Kind.PORTAL_VEIN])
    corner = grid.to_lps_mm(box[box[:, 1].argmin()] + (0, -0.5, 0))
    tip = corner - (0, 3.0, 0)
    risk = simulate(make_puncture(tip - (0, 60, 0), tip), scene, draws=5)
    vein = next(s for s in risk.structures if s.kind is Kind.PORTAL_VEIN)
    # 3 mm away: outside the margin of a vessel that is nowhere wide.
    assert (vein.touched.hits, vein.within_margin.hits) == (0, 0)


@pytest.mark.parametrize(("found", "draws"), [(0, 10_000), (3, 10_000), (5000, 10_000), (10, 10)])
def test_the_interval_of_a_chance_is_the_exact_binomial_one(found, draws):
    exact = stats.binomtest(found, draws).proportion_ci(confidence_level=0.95, method="exact")
    assert Chance(hits=found, draws=draws).interval == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_refusals_say_what_was_expected(slab_scene):
    puncture = make_puncture((50, 4, 50), (50, 50, 50))
    with pytest.raises(InputError, match="at least one draw"):
        simulate(puncture, slab_scene, draws=0)
    turned = make_puncture((50, 4, 50), (53, 50, 50))
    with pytest.raises(InputError, match="angular error of a redirected needle"):
        simulate(replace(turned, pivot_lps_mm=np.array([50.0, 30.0, 50.0])), slab_scene)
    with pytest.raises(GeometryError, match="entry and a tip that differ"):
        track = replace(puncture.tracks[0], tip_lps_mm=puncture.entry_lps_mm)
        simulate(replace(puncture, tracks=(track,)), slab_scene)
    with pytest.raises(InputError, match="at least 0 mm"):
        make_model(depth=-1.0)
    with pytest.raises(NotFoundError, match="freehand, stereotactic"):
        make_placement_model("magic")
    with pytest.raises(InputError, match="hits"):
        Chance(hits=2, draws=1)


def test_every_shipped_number_has_a_source_and_unverified_ones_mark_the_model():
    table = read_placement_table()
    assert all(entry.source and entry.unit in ("mm", "deg", "fraction", "") for entry in table)
    assert list_placement_presets() == ("freehand", "stereotactic")
    for name in list_placement_presets():
        model = make_placement_model(name)
        assert model.unverified and not any(s.status is EvidenceStatus.NOT_SET for s in model.sigmas)
    assert not make_model().unverified


def logged(rows, seed=1, bias=0.0):
    rng = np.random.default_rng(seed)
    return {
        "in_plane_mm": rng.normal(bias, 4.0, rows),
        "out_of_plane_mm": rng.normal(0, 6.0, rows),
        "depth_mm": rng.normal(0, 2.0, rows),
        "gauge": np.full(rows, 22),
    }


@pytest.mark.requirement("B-risk-fit")
def test_a_fit_finds_the_sigmas_the_errors_were_drawn_with():
    rows = 5000
    model = fit_placement_model(logged(rows))
    for sigma, true in ((model.in_plane, 4.0), (model.out_of_plane, 6.0), (model.depth, 2.0)):
        assert abs(sigma.number - true) <= STANDARD_ERRORS * true / np.sqrt(2 * rows)
        assert sigma.status is EvidenceStatus.DERIVED and "5000 punctures" in sigma.source
    assert [m.number for m in (model.motion_craniocaudal, model.motion_left_right)] == [0.0, 0.0]
    assert model.name == "site-fitted" and model.findings == ()


@pytest.mark.requirement("B-risk-fit")
def test_the_fitted_sigma_has_the_largest_likelihood():
    errors = logged(40)["in_plane_mm"]
    fit = fit_sigma(errors, confidence_fraction=0.95)
    likelihood = [stats.norm.logpdf(errors, 0, fit.sigma_mm * f).sum() for f in (0.99, 1.0, 1.01)]
    assert likelihood[1] == max(likelihood)


@pytest.mark.requirement("B-risk-fit")
def test_the_confidence_limits_hold_the_true_sigma_as_often_as_they_say():
    rng = np.random.default_rng(8)
    fits = [fit_sigma(rng.normal(0, 3.0, 20), confidence_fraction=0.95) for _ in range(2000)]
    held = np.mean([fit.low_mm <= 3.0 <= fit.high_mm for fit in fits])
    assert abs(held - 0.95) <= STANDARD_ERRORS * np.sqrt(0.95 * 0.05 / 2000)
    # The reason given for the smallest number of rows.
    low, high = fits[0].low_mm / fits[0].sigma_mm, fits[0].high_mm / fits[0].sigma_mm
    assert (round(low, 2), round(high, 2)) == (0.77, 1.44)


@pytest.mark.requirement("B-risk-fit")
def test_a_fit_refuses_too_few_rows_missing_columns_and_what_is_no_number():
    with pytest.raises(InputError, match="at least 20"):
        fit_placement_model(logged(19))
    assert fit_placement_model(logged(20)).in_plane.number > 0
    for column in SITE_COLUMNS:
        table = logged(30)
        del table[column]
        with pytest.raises(InputError, match=column):
            fit_placement_model(table)
    with pytest.raises(InputError, match="one length"):
        fit_placement_model({**logged(30), "depth_mm": np.zeros(29)})
    with pytest.raises(NonFiniteError, match="row 3"):
        fit_placement_model({**logged(30), "depth_mm": [0, 0, float("nan"), *[0] * 27]})


@pytest.mark.requirement("B-risk-fit")
def test_a_biased_site_is_told_so_and_its_sigma_holds_the_bias():
    model = fit_placement_model(logged(100, bias=5.0))
    assert [finding.subject for finding in model.findings] == ["in_plane_mm"]
    assert model.in_plane.number > 5.5
