"""What a person drew over a plan replaces what it redraws."""

from __future__ import annotations

import numpy as np
import pytest

from hepatica.anatomy.segments import LabelledSegment
from hepatica.anatomy.structures import Origin
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask
from hepatica.lesions.redrawn import NOTHING_THERE, REPLACED, Drawing, replace_redrawn

pytestmark = pytest.mark.requirement("G-plan-redraw")
GRID = Grid.from_axes(shape=(30, 20, 12), spacing_mm=(2.0, 2.0, 4.0), origin_lps_mm=(-30.0, 10.0, 5.0))


def make(name, *boxes, origin=Origin.LABELLED):
    """A segment of boxes ((i0, i1), (j0, j1), (k0, k1))."""
    full = np.zeros(GRID.shape, bool)
    for box in boxes:
        full[tuple(slice(*ends) for ends in box)] = True
    return LabelledSegment(name=name, mask=Mask.from_full(full, grid=GRID), origin=origin)


def at(i, j, k):
    return GRID.to_lps_mm(np.array([i, j, k], dtype=float))


def count(found):
    return [(one.name, one.mask.voxel_count) for one in found]


LEFT, RIGHT = ((3, 9), (4, 10), (3, 8)), ((18, 26), (6, 12), (4, 9))
SMALL = ((5, 7), (6, 8), (4, 6))
FAR = ((12, 15), (12, 15), (5, 7))


def test_without_drawings_everything_stays_as_it_is():
    segments = [make("liver", ((0, 30), (0, 20), (0, 12))), make("lesion", LEFT, RIGHT)]
    found, findings = replace_redrawn(segments, [])
    assert list(found) == segments and findings == ()


def test_a_lesion_drawn_smaller_is_the_drawing_alone_and_the_others_stay():
    segments = [make("livertumor1", LEFT), make("livertumor2", RIGHT)]
    drawing = Drawing(segments=(make("lesion", SMALL),), at_lps_mm=at(3, 4, 3))
    found, (finding,) = replace_redrawn(segments, [drawing])
    assert count(found) == [("livertumor2", 240), ("livertumor1", 8)]
    assert (finding.rule, finding.subject) == (REPLACED, "livertumor1")
    assert finding.measured == round(8 * 16 / 1000, 2)


def test_of_one_label_with_two_lesions_only_the_one_meant_is_replaced_and_the_other_stays_one_lesion():
    drawing = Drawing(segments=(make("lesion", SMALL),), at_lps_mm=at(4, 5, 4))
    found, _ = replace_redrawn([make("lesion", LEFT, RIGHT)], [drawing])
    assert sorted(one.mask.voxel_count for one in found) == [8, 240]


def test_what_a_smaller_drawing_leaves_inside_the_liver_is_liver_again_and_outside_it_is_not():
    liver = np.zeros(GRID.shape, bool)
    liver[1:28, 2:18, 1:11] = True
    lesion = np.zeros(GRID.shape, bool)
    lesion[3:9, 4:10, 3:8] = True
    lesion[0:3, 6:8, 5:6] = True  # a tail that hangs out
    label = LabelledSegment(name="liver", mask=Mask.from_full(liver & ~lesion, grid=GRID))
    old = LabelledSegment(name="lesion", mask=Mask.from_full(lesion, grid=GRID))
    drawing = Drawing(segments=(make("lesion", SMALL),), at_lps_mm=at(6, 6, 5))
    found, _ = replace_redrawn([label, old], [drawing])
    livers = [one.mask.to_full() for one in found if one.name == "liver"]
    united = np.logical_or.reduce(livers)
    drawn = make("lesion", SMALL).mask.to_full()
    assert np.array_equal(united, liver & ~drawn), "the lesion's place is liver, its tail outside is not"


def test_a_drawing_drawn_again_replaces_the_first_drawing_also_where_it_does_not_hold_the_point():
    first = Drawing(segments=(make("lesion", SMALL),), at_lps_mm=at(3, 4, 3))
    second = Drawing(segments=(make("lesion", FAR),), at_lps_mm=at(3, 4, 3))
    found, _ = replace_redrawn([make("lesion", LEFT), make("tumour b", RIGHT)], [first, second])
    assert sorted(one.mask.voxel_count for one in found) == [18, 240]


def test_a_drawing_of_a_drawing_is_found_by_a_point_of_the_drawing():
    first = Drawing(segments=(make("lesion", SMALL),), at_lps_mm=at(3, 4, 3))
    second = Drawing(segments=(make("lesion", FAR),), at_lps_mm=at(5, 6, 4))
    found, _ = replace_redrawn([make("lesion", LEFT)], [first, second])
    assert count(found) == [("lesion", 18)]


def test_a_new_lesion_is_added_and_one_label_with_two_lesions_is_three_lesions_with_it():
    found, findings = replace_redrawn(
        [make("lesion", LEFT, RIGHT)], [Drawing(segments=(make("lesion", FAR),))]
    )
    assert sorted(one.mask.voxel_count for one in found) == [18, 180, 240] and findings == ()


def test_a_lesion_redrawn_where_none_is_labelled_is_added_and_told():
    found, (finding,) = replace_redrawn(
        [make("lesion", LEFT)], [Drawing(segments=(make("lesion", FAR),), at_lps_mm=at(25, 18, 10))]
    )
    assert len(found) == 2 and finding.rule == NOTHING_THERE


def test_a_structure_replaces_every_label_of_its_kind_and_no_other():
    segments = [make("portal vein", LEFT), make("portal_vein_and_splenic_vein", FAR), make("stomach", RIGHT)]
    found, (finding,) = replace_redrawn(segments, [Drawing(segments=(make("portal vein", SMALL),))])
    assert count(found) == [("stomach", 240), ("portal vein", 8)]
    assert finding.rule == REPLACED


def test_an_unknown_name_replaces_only_the_same_name():
    segments = [make("thing a", LEFT), make("thing b", RIGHT)]
    found, _ = replace_redrawn(segments, [Drawing(segments=(make("thing a", SMALL),))])
    assert count(found) == [("thing b", 240), ("thing a", 8)]


def test_tumours_known_by_their_parts_alone_stay_tumours_beside_a_drawn_one():
    rim, core = ((18, 26), (6, 12), (4, 7)), ((18, 26), (6, 12), (7, 9))
    segments = [make("viable tumour", rim), make("necrosis", core)]
    found, _ = replace_redrawn(segments, [Drawing(segments=(make("lesion", SMALL),))])
    assert sorted(one.mask.voxel_count for one in found if one.name == "lesion") == [8, 240]
    assert {"viable tumour", "necrosis"} <= {one.name for one in found}
