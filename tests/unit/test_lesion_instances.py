"""One segment is one lesion; doubtful borders are findings."""

from __future__ import annotations

import numpy as np
import pytest
from lesion_shapes import ellipsoid_mask, make_grid

from hepatica.core.errors import EmptyLabelError, GeometryError
from hepatica.imaging.mask import Mask
from hepatica.lesions.instances import split_segments

GRID = make_grid((60, 40, 30), (1.0, 1.0, 2.0))


def ball(centre, radius) -> Mask:
    return ellipsoid_mask(GRID, centre, [radius] * 3)


def unite(*masks: Mask) -> Mask:
    return Mask.from_full(np.logical_or.reduce([m.to_full() for m in masks]), grid=GRID)


def box(*ranges) -> Mask:
    full = np.zeros(GRID.shape, bool)
    full[tuple(slice(a, b) for a, b in ranges)] = True
    return Mask.from_full(full, grid=GRID)


def rules(findings):
    return sorted(f.rule for f in findings)


@pytest.mark.requirement("A-lesion-instances")
def test_a_single_label_mask_is_split_into_its_26_connected_components():
    small, large = ball((12, 12, 20), 5), ball((40, 22, 30), 9)
    parts, findings = split_segments([("tumour", unite(small, large))])
    assert [p.label for p in parts] == ["tumour #1", "tumour #2"]
    assert [p.mask.voxel_count for p in parts] == [large.voxel_count, small.voxel_count]
    assert (parts[1].mask.to_full() == small.to_full()).all()
    assert findings == ()


def test_blocks_that_share_only_a_corner_are_one_lesion():
    parts, _ = split_segments(
        [("tumour", unite(box((5, 8), (5, 8), (5, 8)), box((8, 11), (8, 11), (8, 11))))]
    )
    assert len(parts) == 1


@pytest.mark.requirement("A-lesion-instances")
def test_several_segments_are_never_merged_even_where_they_touch():
    first, second = box((5, 15), (5, 15), (5, 15)), box((15, 25), (5, 15), (5, 15))
    parts, findings = split_segments([("a", first), ("b", second)])
    assert [(p.label, p.mask.voxel_count) for p in parts] == [("a", 1000), ("b", 1000)]
    assert rules(findings) == ["lesions.touching"]
    assert findings[0].measured == 0.0
    assert findings[0].unverified


@pytest.mark.parametrize(("gap", "expected"), [(1, ["lesions.touching"]), (2, ["lesions.touching"]), (3, [])])
def test_nearly_touching_lesions_are_a_finding_up_to_the_stated_gap(gap, expected):
    first, second = box((5, 15), (5, 15), (5, 15)), box((15 + gap, 30), (5, 15), (5, 15))
    assert rules(split_segments([("tumour", unite(first, second))])[1]) == expected
    assert rules(split_segments([("a", first), ("b", second)])[1]) == expected


def test_a_segment_in_two_pieces_stays_one_lesion_with_a_finding():
    pieces = unite(box((5, 10), (5, 10), (5, 10)), box((30, 35), (5, 10), (5, 10)))
    parts, findings = split_segments([("a", pieces), ("b", box((45, 55), (25, 35), (5, 15)))])
    assert [p.mask.voxel_count for p in parts] == [250, 1000]
    assert rules(findings) == ["lesions.in_pieces"]


def test_overlapping_segments_are_kept_as_drawn_with_the_shared_voxels_counted():
    first, second = box((5, 15), (5, 15), (5, 15)), box((13, 25), (5, 15), (5, 15))
    parts, findings = split_segments([("a", first), ("b", second)])
    assert len(parts) == 2
    assert [(f.rule, f.measured) for f in findings] == [("lesions.overlap", 200.0)]


@pytest.mark.requirement("A-lesion-specks")
def test_a_speck_is_set_aside_with_a_finding_and_not_silently_dropped():
    parts, findings = split_segments([("tumour", unite(ball((40, 22, 30), 9), box((5, 7), (5, 7), (5, 6))))])
    assert [p.label for p in parts] == ["tumour"]
    assert [(f.rule, f.measured, f.limit) for f in findings] == [("lesions.speck", 4.0, 8)]
    assert "(5.5, 5.5, 10.0)" in findings[0].message


def test_a_lesion_of_few_voxels_is_kept_when_nothing_larger_exists():
    parts, findings = split_segments([("tumour", box((5, 6), (5, 6), (5, 6)))])
    assert parts[0].mask.voxel_count == 1
    assert rules(findings) == ["lesions.speck"]


def test_two_balls_joined_by_a_thin_bridge_raise_the_question_of_two_tumours():
    bridge = box((20, 32), (19, 21), (15, 16))
    dumbbell = unite(ball((15, 20, 30), 9), ball((37, 20, 30), 9), bridge)
    parts, findings = split_segments([("tumour", dumbbell)])
    assert len(parts) == 1
    assert rules(findings) == ["lesions.may_be_several"]


@pytest.mark.parametrize("mask", [ball((20, 20, 30), 14), box((5, 50), (10, 18), (5, 12))])
def test_a_ball_and_a_bar_raise_no_question(mask):
    assert split_segments([("tumour", mask)])[1] == ()


def test_equal_names_become_unique_and_the_order_of_segments_does_not_matter():
    segments = [("m", ball((12, 12, 20), 5)), ("m", ball((40, 22, 30), 9))]
    one, two = (split_segments(list(order))[0] for order in (segments, segments[::-1]))
    assert [p.label for p in one] == ["m #1", "m #2"] == [p.label for p in two]
    assert [p.mask.voxel_count for p in one] == [p.mask.voxel_count for p in two]


def test_no_segment_and_another_grid_are_refused():
    with pytest.raises(EmptyLabelError):
        split_segments([])
    other = make_grid(GRID.shape, (1.0, 1.0, 2.5))
    with pytest.raises(GeometryError, match="label 'b'"):
        split_segments(
            [("a", ball((20, 20, 30), 9)), ("b", Mask.from_full(np.ones(GRID.shape, bool), grid=other))]
        )
