"""Matching with an earlier plan."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lesion_shapes import make_grid, rotation

from hepatica.core.errors import GeometryError
from hepatica.core.findings import NotEvaluable
from hepatica.imaging.mask import Mask
from hepatica.lesions.lesion import Diameter, Lesion
from hepatica.lesions.prior import PriorLesion, apply_matches, match_prior_lesions

GRID = make_grid((160, 100, 60), (2.0, 2.0, 2.0))


def dot(centre) -> Mask:
    i, j, k = (round(c / 2) for c in centre)
    return Mask(grid=GRID, start_ijk=(i, j, k), crop=np.ones((1, 1, 1), bool))


def lesion(name, centre, diameter_mm=20.0) -> Lesion:
    diameter = Diameter(length_mm=diameter_mm, ends_lps_mm=np.zeros((2, 3)), slice_index=0)
    unknown = NotEvaluable(reason="not needed here")
    return Lesion(
        lesion_id=name, label=name, mask=dot(centre), longest_diameter=diameter,
        short_axis=unknown, longest_diameter_3d=diameter, volume_ml=1.0, volume_uncertainty_ml=0.1,
        liver_fraction=unknown, liver_fraction_uncertainty=unknown, distance_to_capsule_mm=unknown,
        depth_mm=unknown, neighbours=(), viable=unknown,
    )  # fmt: skip


def prior(name, centre, diameter_mm=20.0) -> PriorLesion:
    return PriorLesion(
        lesion_id=name, centroid_lps_mm=np.array(centre), longest_diameter_mm=diameter_mm, plan_id="2.25.1"
    )


def pairs(matches):
    return {m.lesion_id: m.prior_id for m in matches}


@pytest.mark.requirement("A-lesion-prior")
def test_lesions_are_found_again_after_a_rigid_motion_new_and_vanished_ones_are_said():
    turn = np.eye(4)
    turn[:3, :3] = rotation((0, 0, 1), 12)
    turn[:3, 3] = (15.0, -8.0, 22.0)
    back = np.linalg.inv(turn)
    places = {"L1": (60, 60, 60), "L2": (120, 80, 40), "L3": (200, 120, 70)}
    earlier = [prior(f"P{n[1]}", np.append(c, 1.0) @ back[:3].T) for n, c in places.items() if n != "L3"]
    earlier.append(prior("P9", np.append((260, 40, 90), 1.0) @ back[:3].T, 11.0))
    today = tuple(lesion(n, c) for n, c in places.items())
    matches, findings = match_prior_lesions(today, earlier, present_from_prior_lps=turn)
    assert pairs(matches) == {"L1": "P1", "L2": "P2"}
    assert all(m.score > 0.95 and not m.ambiguous for m in matches)
    assert sorted((f.rule, f.subject) for f in findings) == [
        ("lesions.new", "L3"),
        ("lesions.vanished", "P9"),
    ]
    named = apply_matches(today, matches)
    assert [(x.prior_id, x.is_new) for x in named] == [("P1", False), ("P2", False), (None, True)]


@pytest.mark.requirement("A-lesion-prior")
def test_without_the_registration_the_same_lesions_would_not_match():
    matches, findings = match_prior_lesions(
        (lesion("L1", (60, 60, 60)),), [prior("P1", (60, 60, 95))], present_from_prior_lps=np.eye(4)
    )
    assert matches == ()
    assert sorted(f.rule for f in findings) == ["lesions.new", "lesions.vanished"]


def test_the_pairing_is_best_in_sum_and_not_greedy():
    today = (lesion("L1", (100, 60, 60)), lesion("L2", (118, 60, 60)))
    earlier = [prior("P1", (110, 60, 60)), prior("P2", (126, 60, 60))]
    matches, _ = match_prior_lesions(today, earlier, present_from_prior_lps=np.eye(4))
    assert pairs(matches) == {
        "L1": "P1",
        "L2": "P2",
    }  # greedy would give L2 to P1 (8 mm) and leave L1 without


@pytest.mark.parametrize(("distance_mm", "found"), [(19.9, True), (20.1, False)])
def test_the_gate_is_ten_mm_and_half_the_larger_diameter(distance_mm, found):
    today = lesion("L1", (100, 60, 60))
    at = today.mask.centroid_lps_mm + np.array([distance_mm, 0, 0])
    matches, _ = match_prior_lesions((today,), [prior("P1", at)], present_from_prior_lps=np.eye(4))
    assert len(matches) == found
    if found:
        assert matches[0].score == pytest.approx(1 - distance_mm / 20)


def test_a_split_lesion_is_ambiguous():
    today = (lesion("L1", (96, 60, 60), 14), lesion("L2", (104, 60, 60), 14))
    matches, findings = match_prior_lesions(
        today, [prior("P1", (100, 60, 60), 28)], present_from_prior_lps=np.eye(4)
    )
    assert len(matches) == 1 and matches[0].ambiguous
    assert sorted(f.rule for f in findings) == ["lesions.match_ambiguous", "lesions.new"]


@given(
    places=st.lists(
        st.tuples(st.integers(10, 300), st.integers(10, 180), st.integers(10, 110)),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    shift=st.tuples(*[st.floats(-15, 15)] * 3),
    size=st.floats(5, 40),
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_no_other_pairing_within_the_gates_has_more_pairs_or_less_cost(places, shift, size):
    today = tuple(lesion(f"L{n}", c) for n, c in enumerate(places))
    earlier = [prior(f"P{n}", np.add(c, shift), size) for n, c in enumerate(places)]
    matches, _ = match_prior_lesions(today, earlier, present_from_prior_lps=np.eye(4))

    def cost(a, b):
        distance = np.linalg.norm(today[a].mask.centroid_lps_mm - earlier[b].centroid_lps_mm)
        gate = 10 + 0.5 * max(20.0, size)
        return distance / gate + 0.25 * abs(np.log2(20.0 / size)) if distance <= gate else None

    best = max(
        (len(costs := [c for a, b in enumerate(order) if (c := cost(a, b)) is not None]), -sum(costs))
        for order in itertools.permutations(range(len(places)))
    )
    found = [cost(int(m.lesion_id[1:]), int(m.prior_id[1:])) for m in matches]
    assert (len(found), -sum(found)) == (best[0], pytest.approx(best[1], abs=1e-9))


def test_no_prior_lesions_makes_all_new_and_a_map_that_scales_is_refused():
    today = (lesion("L1", (60, 60, 60)),)
    matches, findings = match_prior_lesions(today, [], present_from_prior_lps=np.eye(4))
    assert matches == () and [f.rule for f in findings] == ["lesions.new"]
    with pytest.raises(GeometryError, match="rotation"):
        match_prior_lesions(today, [prior("P1", (0, 0, 0))], present_from_prior_lps=np.diag([1.1, 1, 1, 1]))
