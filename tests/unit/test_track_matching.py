"""Lesions of two visits are explained as a reader would: matched, new, vanished, split, merged, or ambiguous."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tracked_pairs import make_lesions

from hepatica.core.errors import InputError
from hepatica.imaging.deformation import ScanMap
from hepatica.lesions.matching.assignment import NEVER, solve_assignment
from hepatica.lesions.matching.match import LinkKind, match_lesions

STILL = ScanMap(moving_from_fixed=np.eye(4))
FIVE = ([(-40, 0, 0), (-10, 20, 10), (20, -20, -10), (45, 10, 15), (0, -25, 20)], [9, 6, 12, 5, 7])
SAME_SCORE = 1e-9
"""The same lesions in another order or place give the same sums up to rounding."""


def explain(before, after, *, scan_map=STILL, uncertainty_mm=2.0):
    return match_lesions(before, after, scan_map=scan_map, uncertainty_mm=uncertainty_mm)


def brief(links):
    return {(link.kind, link.baseline_ids, link.followup_ids) for link in links}


@pytest.mark.requirement("D-match-identity")
def test_the_same_lesions_again_are_all_matched_with_a_score_near_one():
    lesions = make_lesions(*FIVE)
    links = explain(lesions, lesions)
    assert brief(links) == {(LinkKind.MATCHED, (f"L{n}",), (f"L{n}",)) for n in range(1, 6)}
    assert min(link.score for link in links) > 0.99
    assert not any(link.ambiguous for link in links)


@pytest.mark.requirement("D-match-order")
def test_the_order_of_lesions_changes_nothing():
    before, after = make_lesions(*FIVE), make_lesions(FIVE[0][:4], [10, 7, 6, 5])
    first = explain(before, after)
    second = explain(before[::-1], [after[n] for n in (2, 0, 3, 1)])
    assert brief(first) == brief(second)
    assert np.allclose([a.score for a in first], [b.score for b in second], atol=SAME_SCORE)


@pytest.mark.requirement("D-match-swap")
def test_swapping_the_visits_turns_new_into_vanished_and_split_into_merged():
    before = make_lesions([(-40, 0, 0), (20, 0, 0), (0, 25, 20)], [8, 12, 5])
    after = make_lesions(
        [(-40, 0, 0), (13, 0, 0), (27, 0, 0), (40, -30, -20)], [9, 5, 5, 5], names=list("PQRS")
    )
    turned = {
        LinkKind.NEW: LinkKind.VANISHED,
        LinkKind.VANISHED: LinkKind.NEW,
        LinkKind.SPLIT: LinkKind.MERGED,
        LinkKind.MERGED: LinkKind.SPLIT,
        LinkKind.MATCHED: LinkKind.MATCHED,
    }
    forward, back = brief(explain(before, after)), brief(explain(after, before))
    assert forward == {
        (LinkKind.MATCHED, ("L1",), ("P",)),
        (LinkKind.SPLIT, ("L2",), ("Q", "R")),
        (LinkKind.VANISHED, ("L3",), ()),
        (LinkKind.NEW, (), ("S",)),
    }
    assert {(turned[kind], b, a) for kind, a, b in forward} == back


@pytest.mark.requirement("D-match-rigid")
@pytest.mark.parametrize("angle_deg", [10.0, 35.0])
def test_a_rigid_move_of_the_follow_up_that_is_known_changes_no_link(angle_deg):
    move = np.eye(4)
    move[:3, :3] = Rotation.from_rotvec(np.radians([angle_deg, -angle_deg / 2, 5.0])).as_matrix()
    move[:3, 3] = (120.0, -40.0, 300.0)
    after = (FIVE[0][:4], [11, 5, 9, 6])
    still = explain(make_lesions(*FIVE), make_lesions(*after))
    moved = explain(
        make_lesions(*FIVE), make_lesions(*after, move=move), scan_map=ScanMap(moving_from_fixed=move)
    )
    assert brief(still) == brief(moved)
    assert np.allclose([a.score for a in still], [b.score for b in moved], atol=0.01)  # other cubes


@pytest.mark.requirement("D-match-kinds")
def test_a_new_lesion_beside_a_stable_one_is_new_and_not_a_fragment():
    before = make_lesions([(0, 0, 0)], [10])
    after = make_lesions([(0, 0, 0), (22, 0, 0)], [10, 6])
    assert brief(explain(before, after)) == {
        (LinkKind.MATCHED, ("L1",), ("L1",)),
        (LinkKind.NEW, (), ("L2",)),
    }


@pytest.mark.requirement("D-match-kinds")
def test_a_lesion_that_lost_nine_tenths_of_its_volume_is_still_the_same():
    links = explain(make_lesions([(0, 0, 0)], [14]), make_lesions([(4, 0, 0)], [6.5]))
    assert brief(links) == {(LinkKind.MATCHED, ("L1",), ("L1",))}


@pytest.mark.requirement("D-match-ambiguous")
def test_a_lesion_between_two_is_ambiguous_and_the_other_explanation_is_told():
    before = make_lesions([(-14, 0, 0), (14, 0, 0)], [5, 5])
    links = explain(before, make_lesions([(0, 0, 0)], [5]), uncertainty_mm=4.0)
    matched = [link for link in links if link.followup_ids]
    assert [link.ambiguous for link in matched] == [True]
    assert matched[0].score == pytest.approx(0.5, abs=0.02)  # cubes are not quite symmetric
    assert "L2" in matched[0].other or "L1" in matched[0].other


@pytest.mark.requirement("D-match-ambiguous")
def test_every_lesion_stands_in_exactly_one_link_and_scores_lie_between_0_and_1():
    rng = np.random.default_rng(11)
    for _ in range(12):
        sides = [
            make_lesions(rng.uniform(-28, 28, size=(n, 3)), rng.uniform(3, 10, size=n))
            for n in rng.integers(0, 7, size=2)
        ]
        links = explain(*sides, uncertainty_mm=5.0)
        for lesions, pick in zip(sides, ("baseline_ids", "followup_ids"), strict=True):
            names = [name for link in links for name in getattr(link, pick)]
            assert sorted(names) == sorted(lesion.lesion_id for lesion in lesions)
        assert all(0.5 - SAME_SCORE <= link.score < 1 for link in links)


def test_an_id_that_comes_twice_is_refused():
    twice = make_lesions([(0, 0, 0), (20, 0, 0)], [4, 4], names=["A", "A"])
    with pytest.raises(InputError, match="twice"):
        explain(twice, [])


@pytest.mark.requirement("D-match-optimal")
def test_the_assignment_is_the_cheapest_of_all_by_trying_all():
    from itertools import permutations

    rng = np.random.default_rng(3)
    for _ in range(30):
        rows, columns = rng.integers(1, 5, size=2)
        cost = rng.uniform(0, 10, size=(rows, columns))
        cost[rng.random(cost.shape) < 0.2] = NEVER
        _, total = solve_assignment(cost, alone_row=3.0, alone_column=4.0)
        slots = [*range(columns), *[-1] * rows]
        best = min(
            sum(3.0 if b < 0 else cost[a, b] for a, b in enumerate(pick))
            + 4.0 * (columns - sum(b >= 0 for b in pick))
            for pick in set(permutations(slots, int(rows)))
        )
        assert total == pytest.approx(best, abs=1e-9)
