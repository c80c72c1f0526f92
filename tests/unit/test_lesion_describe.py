"""The room's front door and the checks on masks."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from lesion_shapes import ellipsoid_mask, make_grid
from phantom import LESION_RADIUS_MM, make_lesion, make_phantom

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.errors import CancelledError, FrameMismatchError, GeometryError, LesionOutsideLiverError
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import Grid
from hepatica.core.progress import Silent
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.lesions.describe import describe_lesions
from hepatica.lesions.extents import check_lesion_extents
from hepatica.lesions.lesion import ViablePart
from hepatica.lesions.prior import PriorLesion, PriorVisit
from hepatica.lesions.viable import read_viable_label

PHANTOM = make_phantom(spacing_mm=(2.0, 2.0, 4.0))
GRID = PHANTOM.volume.grid
VOXEL_MM = float(np.linalg.norm(GRID.spacing_mm))


def describe(segments, **options):
    return describe_lesions(segments, volume=PHANTOM.volume, anatomy=PHANTOM.anatomy, **options)


@pytest.mark.requirement("A-lesion-describe")
def test_the_phantom_lesion_has_its_closed_form_measures():
    (lesion,), findings = describe([("tumour", PHANTOM.lesion)])
    truth = make_lesion(PHANTOM)
    assert lesion.lesion_id == "L1" and lesion.label == "tumour"
    assert lesion.longest_diameter.length_mm == pytest.approx(2 * LESION_RADIUS_MM, abs=2 * np.sqrt(2))
    assert lesion.longest_diameter.slice_index == truth.longest_diameter.slice_index
    assert lesion.short_axis.length_mm == pytest.approx(2 * LESION_RADIUS_MM, abs=2 * np.sqrt(2))
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 1.8**3, abs=lesion.volume_uncertainty_ml)
    liver_ml = 4 / 3 * np.pi * 8.0 * 8.5 * 7.5
    assert lesion.liver_fraction == pytest.approx(lesion.volume_ml / liver_ml, rel=0.02)
    assert 0 < lesion.liver_fraction_uncertainty < lesion.liver_fraction
    t = np.linspace(0, 2 * np.pi, 20000)
    skin_mm = np.hypot(165 * np.cos(t) + 60, 115 * np.sin(t) + 20).min()
    assert lesion.depth_mm == pytest.approx(skin_mm, abs=2.0)
    near = {n.kind: n for n in lesion.neighbours}
    # portal vein: ellipsoid of radii 35, 7, 7 around (-25, 15, 0), nearest point found over its surface
    t, p = np.meshgrid(np.linspace(0, 2 * np.pi, 400), np.linspace(0, np.pi, 400))
    vein = np.stack(
        [-25 + 35 * np.cos(p), 15 + 7 * np.sin(p) * np.cos(t), 7 * np.sin(p) * np.sin(t)], axis=-1
    )
    truth_mm = np.linalg.norm(vein - [-60, -20, 10], axis=-1).min() - LESION_RADIUS_MM
    assert near[StructureKind.PORTAL_VEIN].distance_mm == pytest.approx(truth_mm, abs=VOXEL_MM)
    assert not {StructureKind.BODY, StructureKind.LIVER, StructureKind.LESION} & set(near)
    assert isinstance(lesion.viable, NotEvaluable) and lesion.is_new is None
    assert [f for f in findings if f.rule not in ("lesions.depth_beyond_face",)] == []


def three_segments():
    return [
        ("b", ellipsoid_mask(GRID, (-90, 0, 0), [10] * 3)),
        ("a", ellipsoid_mask(GRID, (-50, 40, 20), [10] * 3)),
        ("c", ellipsoid_mask(GRID, (-60, -20, -30), [16] * 3)),
    ]


@pytest.mark.requirement("A-lesion-ids")
def test_ids_follow_size_then_position_and_not_the_order_of_segments():
    for order in permutations(three_segments()):
        lesions, _ = describe(list(order))
        assert [(x.lesion_id, x.label) for x in lesions] == [("L1", "c"), ("L2", "b"), ("L3", "a")]


def flipped(array, axes):
    return np.asfortranarray(np.flip(array, axes))


@pytest.mark.requirement("A-lesion-ids")
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_ids_and_measures_are_the_same_when_array_axes_are_flipped(axes):
    affine = np.array(GRID.lps_from_ijk)
    for axis in axes:
        affine[:3, 3] += affine[:3, axis] * (GRID.shape[axis] - 1)
        affine[:3, axis] *= -1
    grid = Grid(shape=GRID.shape, lps_from_ijk=affine, frame_of_reference=GRID.frame_of_reference)
    segments = [(n, Mask.from_full(flipped(m.to_full(), axes), grid=grid)) for n, m in three_segments()]
    turned, _ = describe_lesions(
        segments,
        volume=Volume(values=flipped(PHANTOM.volume.values, axes), grid=grid),
        anatomy=Anatomy(grid=grid, bits=flipped(PHANTOM.anatomy.bits, axes), sources=PHANTOM.anatomy.sources),
    )
    still, _ = describe(three_segments())
    for a, b in zip(still, turned, strict=True):
        assert (a.lesion_id, a.label) == (b.lesion_id, b.label)
        assert b.longest_diameter.ends_lps_mm == pytest.approx(a.longest_diameter.ends_lps_mm, abs=1e-6)
        assert b.short_axis.ends_lps_mm == pytest.approx(a.short_axis.ends_lps_mm, abs=1e-6)
        assert (b.volume_ml, b.depth_mm, b.distance_to_capsule_mm, b.liver_fraction) == pytest.approx(
            (a.volume_ml, a.depth_mm, a.distance_to_capsule_mm, a.liver_fraction), abs=1e-9
        )


def test_a_viable_part_is_attached_to_the_lesion_of_its_label():
    segments = three_segments()
    part = read_viable_label(segments[2][1], viable=ellipsoid_mask(GRID, (-60, -20, -30), [9] * 3))
    assert isinstance(part, ViablePart)
    lesions, _ = describe(segments, viable={"c": part})
    assert lesions[0].viable is part and lesions[0].target is part.middle
    assert isinstance(lesions[1].viable, NotEvaluable) and lesions[1].target is lesions[1].mask


def test_an_earlier_visit_fills_in_what_is_new():
    visit = PriorVisit(
        lesions=(
            PriorLesion(
                lesion_id="L1", centroid_lps_mm=(-61, -20, -31), longest_diameter_mm=30, plan_id="2.25.7"
            ),
        ),
        present_from_prior_lps=np.eye(4),
    )
    lesions, findings = describe(three_segments(), prior=visit)
    assert [(x.prior_id, x.is_new) for x in lesions] == [("L1", False), (None, True), (None, True)]
    assert [f.subject for f in findings if f.rule == "lesions.new"] == ["L2", "L3"]


@pytest.mark.requirement("A-lesion-outside-liver")
def test_a_lesion_outside_the_liver_is_refused_and_one_just_beside_it_is_a_finding():
    with pytest.raises(LesionOutsideLiverError, match="label 'stray'"):
        describe([*three_segments(), ("stray", ellipsoid_mask(GRID, (60, 0, 0), [10] * 3))])
    beside = ellipsoid_mask(GRID, (27.5, -5, 0), [10] * 3)  # liver ends at x = 15: 2.5 mm away
    lesions, findings = describe([*three_segments(), ("d", beside)])
    assert [f.subject for f in findings if f.rule == "lesions.beside_liver"] == ["d"]
    assert len(lesions) == 4


def test_a_lesion_that_touches_the_liver_only_through_another_lesion_is_accepted():
    grid = make_grid((40, 20, 20), (1.0, 1.0, 1.0))

    def block(a, b):
        full = np.zeros(grid.shape, bool)
        full[a:b, 5:15, 5:15] = True
        return Mask.from_full(full, grid=grid)

    empty = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    source = StructureSource(kind=StructureKind.LIVER, origin=Origin.LABELLED, names=(), source="test")
    anatomy = empty.with_structures([(source, block(2, 12))])
    volume = Volume(values=np.full(grid.shape, 60, np.int16, order="F"), grid=grid)
    lesions, findings = describe_lesions(
        [("a", block(12, 20)), ("b", block(20, 30))], volume=volume, anatomy=anatomy
    )
    assert len(lesions) == 2
    assert "lesions.beside_liver" not in [f.rule for f in findings]


def test_another_grid_and_another_frame_are_refused():
    other = make_grid(GRID.shape, (2.0, 2.0, 4.5))
    mask = Mask.from_full(np.asfortranarray(PHANTOM.lesion.to_full()), grid=other)
    with pytest.raises(GeometryError, match="label 'tumour'"):
        describe([("tumour", mask)])
    foreign = Grid(shape=GRID.shape, lps_from_ijk=GRID.lps_from_ijk, frame_of_reference="2.25.9")
    with pytest.raises(FrameMismatchError):
        describe([("tumour", Mask.from_full(PHANTOM.lesion.to_full(), grid=foreign))])


def test_without_liver_and_body_the_answers_say_why():
    bare = Anatomy(grid=GRID, bits=np.zeros(GRID.shape, np.uint32, order="F"))
    (lesion,), _ = describe_lesions([("tumour", PHANTOM.lesion)], volume=PHANTOM.volume, anatomy=bare)
    for answer in (lesion.liver_fraction, lesion.liver_fraction_uncertainty, lesion.distance_to_capsule_mm):
        assert isinstance(answer, NotEvaluable) and "liver" in answer.reason
    assert isinstance(lesion.depth_mm, NotEvaluable) and "skin" in lesion.depth_mm.reason
    assert lesion.neighbours == ()


def test_a_request_to_stop_is_heard():
    class Stop(Silent):
        def check_cancelled(self):
            raise CancelledError(where="test")

    with pytest.raises(CancelledError):
        describe([("tumour", PHANTOM.lesion)], progress=Stop())


def rules_of(mask, hu=70, modality="CT"):
    grid = mask.grid
    bare = Anatomy(grid=grid, bits=np.zeros(grid.shape, np.uint32, order="F"))
    volume = Volume(values=np.full(grid.shape, hu, np.int16, order="F"), grid=grid, modality=modality)
    lesions, _ = describe_lesions([("tumour", mask)], volume=volume, anatomy=bare)
    return [f.rule for f in check_lesion_extents(lesions, volume=volume)]


@pytest.mark.requirement("A-lesion-extents")
@pytest.mark.parametrize("face", ["i-", "i+", "j-", "j+", "k-", "k+"])
def test_a_lesion_cut_off_at_any_face_of_the_volume_is_a_finding(face):
    grid = make_grid((30, 30, 30))
    centre = np.full(3, 14.5)
    centre["ijk".index(face[0])] = 0 if face[1] == "-" else 29
    assert rules_of(ellipsoid_mask(grid, centre, [8] * 3)) == ["lesions.cut_off"]
    assert rules_of(ellipsoid_mask(grid, np.full(3, 14.5), [8] * 3)) == []


@pytest.mark.requirement("A-lesion-extents")
def test_lesions_small_for_their_slices_or_for_recist_are_findings():
    grid = make_grid((40, 40, 12), (1.0, 1.0, 8.0))
    assert rules_of(ellipsoid_mask(grid, (20, 20, 40), (7.0, 7.0, 12))) == ["lesions.thick_slices"]
    assert (
        rules_of(ellipsoid_mask(grid, (20, 20, 40), (8.0, 8.0, 12))) == []
    )  # 16 mm: exactly twice the spacing
    fine = make_grid((40, 40, 40))
    assert rules_of(ellipsoid_mask(fine, (20, 20, 20), [4] * 3)) == ["lesions.not_measurable"]
    assert rules_of(ellipsoid_mask(fine, (20, 20, 20), [5] * 3)) == []  # 10 mm


@pytest.mark.requirement("A-lesion-extents")
@pytest.mark.parametrize(
    ("hu", "modality", "found"),
    [(-100, "CT", True), (-20, "CT", False), (300, "CT", False), (700, "CT", True), (700, "MR", False)],
)
def test_ct_numbers_unlike_tumour_are_a_finding(hu, modality, found):
    mask = ellipsoid_mask(make_grid((40, 40, 40)), (20, 20, 20), [9] * 3)
    assert rules_of(mask, hu, modality) == (["lesions.hu_implausible"] if found else [])
