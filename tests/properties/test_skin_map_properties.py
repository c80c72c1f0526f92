"""The skin map and the costs of limits against brute force on random phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from path_scenes import LIMITS, change_limits, make_parts, to_scene

from hepatica.anatomy.structures import StructureKind as Kind
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.progress import SILENT
from hepatica.planning.path.blocks import derive_blocks
from hepatica.planning.path.checks import check_measure
from hepatica.planning.path.limit_costs import derive_limit_costs
from hepatica.planning.path.limit_values import find_limit, lower_margins
from hepatica.planning.path.measure import measure_track
from hepatica.planning.path.pairs import judge_pairs
from hepatica.planning.path.search import to_puncture
from hepatica.planning.path.skin import thin_skin
from hepatica.planning.path.skin_map import SkinClass, derive_skin_map

SCORE_TOLERANCE = 2e-6
"""Scores are rounded to six decimals."""
AREA_TOLERANCE_CM2 = 1e-9
"""Sums of the same areas in another order."""
SAMPLE_MM = 9.0
seeds = st.integers(0, 10_000)


def make_scene(seed, **changes):
    grid, parts = make_parts(seed)
    limits = change_limits(**{**LIMITS, "skin_spacing": 6.0, "tilt_max": 35.0, "length_max": 60.0, **changes})
    return to_scene(
        grid, parts, {"L1": parts[Kind.LESION]}, limits=limits, gravity=NotEvaluable(reason="none")
    )


def thin(scene):
    return thin_skin(scene.skin, edge_mm=SAMPLE_MM, anchor=scene.grid.bounds_lps_mm.mean(axis=0))


def measure_open_cm2(scene, found):
    """Open skin as the sample counts it, and its points."""
    sample = thin(scene)
    order = {tuple(p): n for n, p in enumerate(scene.skin.points_lps_mm)}
    classes = found.classes[[order[tuple(p)] for p in sample.points_lps_mm]]
    return float(sample.areas_mm2[classes == SkinClass.FREE].sum()) / 100.0


@pytest.mark.requirement("B-skin-map-exact")
@settings(max_examples=5, deadline=None, derandomize=True)
@given(seed=seeds)
def test_a_point_is_open_if_and_only_if_some_path_from_it_passes_every_check_from_scratch(seed):
    scene = make_scene(seed, skin_spacing=12.0)
    found = derive_skin_map(scene, lesion_id="L1")
    tissue = scene.paint_target("L1")
    best = np.full(len(found.classes), np.inf)
    for n, entry in enumerate(scene.skin.points_lps_mm):
        for tip in found.tips_lps_mm:
            measure = measure_track(scene, tissue, lesion_id="L1", entry_lps_mm=entry, tip_lps_mm=tip)
            errors = [f for f in check_measure(measure, scene) if f.severity is Severity.ERROR]
            # What lies beyond the end of the scan cannot be judged: a warning for a person, a limit for the search.
            if errors or measure.face_distance_mm < scene.largest_margin_mm:
                continue
            score = sum(t.weight * t.value for t in to_puncture(scene, measure, name="P1").terms)
            best[n] = min(best[n], score)
    assert (np.isfinite(best) == found.select(SkinClass.FREE)).all()
    assert not found.select(SkinClass.UNDECIDED).any() and found.proved.all()
    free = found.select(SkinClass.FREE)
    assert np.abs(found.scores[free] - best[free]).max(initial=0.0) <= SCORE_TOLERANCE
    assert np.isnan(found.scores[~free]).all()


@pytest.mark.requirement("B-skin-map-classes")
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=seeds, most=st.integers(0, 4))
def test_with_fewer_paths_settled_points_are_undecided_but_never_called_wrongly(seed, most):
    scene = make_scene(seed)
    whole = derive_skin_map(scene, lesion_id="L1")
    part = derive_skin_map(scene, lesion_id="L1", most_per_point=most)
    for kind in (SkinClass.FREE, SkinClass.BLOCKED):
        assert not (part.select(kind) & ~whole.select(kind)).any()
    assert part.settled_paths <= whole.settled_paths
    free = part.select(SkinClass.FREE)
    assert (part.scores[free] >= whole.scores[free] - SCORE_TOLERANCE).all()
    proved = free & part.proved
    assert np.abs(part.scores[proved] - whole.scores[proved]).max(initial=0.0) <= SCORE_TOLERANCE
    total = scene.skin.areas_mm2.sum() / 100
    for found in (part, whole):
        assert sum(found.measure_area_cm2(kind) for kind in SkinClass) == pytest.approx(total, rel=1e-12)


@pytest.mark.requirement("B-skin-map-monotone")
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=seeds, by=st.floats(0.2, 3.0), kind=st.sampled_from(["lung", "bowel"]))
def test_a_smaller_margin_never_closes_skin(seed, by, kind):
    scene = make_scene(seed)
    before = derive_skin_map(scene, lesion_id="L1")
    after = derive_skin_map(scene.with_margins(lower_margins(scene, kind, by=by)), lesion_id="L1")
    assert not (before.select(SkinClass.FREE) & ~after.select(SkinClass.FREE)).any()


@pytest.mark.requirement("B-explain-exact")
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=seeds)
def test_what_less_of_a_limit_frees_is_what_a_new_map_under_that_limit_finds(seed):
    scene = make_scene(seed, liver_before_lesion_min=6.0, margin_bowel=4.0, margin_lung=4.0)
    found = derive_skin_map(scene, lesion_id="L1")
    costs = derive_limit_costs(scene, found, spacing_mm=SAMPLE_MM)
    open_cm2 = measure_open_cm2(scene, found)
    checked = 0
    for cost in costs.limits:
        for step in cost.relaxations:
            if cost.limit in ("lung", "bowel"):
                changed = lower_margins(scene, cost.limit, by=step.by)
            elif cost.limit in ("length_max", "tilt_max", "liver_before_lesion_min"):
                changed = scene.limits.replace(
                    **{cost.limit: replace(scene.limits[cost.limit], value=step.value)}
                )
            else:
                continue
            again = derive_skin_map(scene.with_margins(changed), lesion_id="L1")
            freed = measure_open_cm2(scene, again) - open_cm2
            assert step.freed.area_cm2 == pytest.approx(freed, abs=AREA_TOLERANCE_CM2), (cost.limit, step)
            checked += 1
    assert checked >= 3


@pytest.mark.requirement("B-explain-monotone")
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=seeds, tight=st.booleans())
def test_no_limit_blocks_less_than_alone_and_more_of_it_never_frees_less(seed, tight):
    scene = make_scene(seed, **({"margin_bowel": 6.0, "capsule_angle_min": 50.0} if tight else {}))
    found = derive_skin_map(scene, lesion_id="L1")
    costs = derive_limit_costs(scene, found, spacing_mm=SAMPLE_MM)
    total = costs.sample.areas_mm2.sum() / 100
    for cost in costs.limits:
        assert cost.alone.area_cm2 <= cost.blocked_fraction * total + AREA_TOLERANCE_CM2
        assert cost.blocked_fraction * total <= costs.blocked_area_cm2 + AREA_TOLERANCE_CM2
        freed = [step.freed.area_cm2 for step in cost.relaxations]
        assert freed == sorted(freed) and all(0 < area <= cost.alone.area_cm2 for area in freed)
        assert [step.by for step in cost.relaxations] == sorted({step.by for step in cost.relaxations})
        if cost.through is not None:
            most = freed[-1] if freed else 0.0
            assert cost.through.area_cm2 + most == pytest.approx(cost.alone.area_cm2, abs=AREA_TOLERANCE_CM2)
    # Every point that one limit closes alone bears the name of a limit with skin of its own.
    for n in np.flatnonzero(costs.alone):
        assert costs.limits[costs.nearest_limit[n]].alone.area_cm2 > 0
    assert ((costs.nearest_limit >= 0) == costs.blocked).all()


@pytest.mark.requirement("B-explain-exact")
@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=seeds)
def test_costs_agree_with_the_blocks_of_a_plan_on_the_same_sample(seed):
    scene = make_scene(seed, skin_sample_spacing=SAMPLE_MM)
    found = derive_skin_map(scene, lesion_id="L1")
    costs = {cost.limit: cost for cost in derive_limit_costs(scene, found, spacing_mm=SAMPLE_MM).limits}
    pairs = judge_pairs(scene, scene.paint_target("L1"), tips_lps_mm=found.tips_lps_mm, progress=SILENT)
    blocks = {block.limit: block for block in derive_blocks(pairs, scene)}
    assert costs.keys() == blocks.keys() and len(costs) >= 3
    for name, block in blocks.items():
        assert costs[name].alone.area_cm2 == pytest.approx(block.only_cm2, abs=AREA_TOLERANCE_CM2)
        assert costs[name].blocked_fraction == pytest.approx(block.blocked_fraction, abs=1e-12)
        limit = find_limit(scene, name)
        assert costs[name].value == (None if limit is None else limit.number)
