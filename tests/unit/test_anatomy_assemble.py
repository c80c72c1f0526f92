"""Labelled segments become one anatomy with its tumours apart."""

import numpy as np
import pytest
from phantom import ellipsoid, make_phantom

from hepatica.anatomy.assemble import assemble_anatomy
from hepatica.anatomy.segments import LabelledSegment, count_sides
from hepatica.anatomy.structures import Origin
from hepatica.anatomy.structures import StructureKind as K
from hepatica.core.errors import EmptyLabelError, GeometryError, InputError, LesionOutsideLiverError
from hepatica.core.findings import Severity
from hepatica.core.geometry import Grid
from hepatica.imaging.mask import Mask


@pytest.fixture(scope="module")
def torso():
    return make_phantom(spacing_mm=(4.0, 4.0, 6.0))


def segment(full, name, torso, **more):
    return LabelledSegment(name=name, mask=Mask.from_full(np.asarray(full), grid=torso.volume.grid), **more)


def parts(torso):
    a = torso.anatomy
    return a.select(K.LIVER), a.select(K.LESION)


def rules(result):
    return [f.rule for f in result.findings]


@pytest.mark.requirement("A-anatomy-liver")
def test_liver_holds_lesions_and_enclosed_vessels_even_where_the_labels_exclude_each_other(torso):
    liver, lesion = parts(torso)
    vessel = torso.anatomy.select(K.PORTAL_VEIN)
    grid = torso.volume.grid
    outside = ellipsoid(grid, (60, 15, 0), (20, 8, 8))
    result = assemble_anatomy(
        grid,
        [
            segment(liver & ~lesion & ~vessel, "liver", torso),
            segment(lesion, "livertumor1", torso),
            segment(vessel | outside, "portalvein", torso),
        ],
    )
    found = result.anatomy.select(K.LIVER)
    assert (found & lesion).sum() == lesion.sum()
    # The vessel's end that pokes through the liver's surface is not enclosed; its inner part is.
    core = vessel & ellipsoid(grid, (-65, -5, 0), (64, 68, 60))
    assert core.sum() > 20
    assert (found & core).sum() == core.sum()
    assert not (found & outside).any()
    assert result.findings == ()


@pytest.mark.requirement("A-bad-input-lesion-outside")
def test_a_lesion_without_contact_to_the_liver_is_refused(torso):
    liver, _ = parts(torso)
    far = ellipsoid(torso.volume.grid, (120, 0, 0), (12, 12, 12))
    with pytest.raises(LesionOutsideLiverError, match="far lesion"):
        assemble_anatomy(
            torso.volume.grid, [segment(liver, "liver", torso), segment(far, "far lesion", torso)]
        )


def test_a_lesion_that_reaches_the_liver_only_through_another_lesion_is_accepted(torso):
    grid = torso.volume.grid
    liver = ellipsoid(grid, (-65, -5, 0), (50, 50, 50))
    first = ellipsoid(grid, (-5, -5, 0), (20, 15, 15)) & ~liver
    second = ellipsoid(grid, (24, -5, 0), (12, 12, 12)) & ~first
    result = assemble_anatomy(
        grid,
        [
            segment(second, "lesion b", torso),
            segment(first, "lesion a", torso),
            segment(liver, "liver", torso),
        ],
    )
    assert [s.name for s in result.lesion_segments] == ["lesion a", "lesion b"]
    assert rules(result) == ["anatomy.lesion_partly_outside_liver"] * 2


def test_a_lesion_hanging_out_of_the_liver_is_a_finding_and_one_under_the_capsule_is_not(torso):
    grid = torso.volume.grid
    liver = ellipsoid(grid, (-65, -5, 0), (60, 60, 60))
    out = ellipsoid(grid, (0, -5, 0), (15, 15, 15))
    under = ellipsoid(grid, (-65, -45, 0), (12, 12, 12))
    result = assemble_anatomy(
        grid,
        [
            segment(liver, "liver", torso),
            segment(out, "lesion out", torso),
            segment(under, "lesion in", torso),
        ],
    )
    (finding,) = result.findings
    assert (finding.rule, finding.subject) == ("anatomy.lesion_partly_outside_liver", "lesion out")
    exact = np.count_nonzero(out & ~liver) / np.count_nonzero(out)
    assert finding.measured == pytest.approx(exact, abs=0.15)
    assert finding.unverified


@pytest.mark.requirement("A-bad-input-empty-label")
@pytest.mark.parametrize(("name", "missing"), [("liver", "lesion"), ("livertumor1", "liver")])
def test_without_liver_or_without_lesion_there_is_nothing_to_plan(torso, name, missing):
    liver, _ = parts(torso)
    with pytest.raises(EmptyLabelError, match=missing):
        assemble_anatomy(torso.volume.grid, [segment(liver, name, torso)])


@pytest.mark.requirement("A-labels-unknown-name")
def test_an_unknown_name_warns_and_is_kept_clear_of_while_muscle_is_left_out(torso):
    liver, lesion = parts(torso)
    thing, muscle = torso.anatomy.select(K.BOWEL), torso.anatomy.select(K.KIDNEY)
    result = assemble_anatomy(
        torso.volume.grid,
        [
            segment(liver, "liver", torso),
            segment(lesion, "tumour", torso),
            segment(thing, "frobnicator", torso),
            segment(muscle, "psoas", torso),
        ],
    )
    assert {(f.rule, f.severity) for f in result.findings} == {
        ("anatomy.unknown_name", Severity.WARNING),
        ("anatomy.ignored_name", Severity.INFO),
    }
    assert (result.anatomy.select(K.OTHER_ORGAN) == thing).all()
    only_muscle = muscle & ~liver & ~lesion & ~thing
    assert (result.anatomy.bits[only_muscle] == 0).all()


@pytest.mark.requirement("A-labels-derived-marker")
def test_a_derived_label_does_not_clear_a_plan_and_a_labelled_one_does(torso):
    liver, lesion = parts(torso)
    base = [segment(liver, "liver", torso), segment(lesion, "tumour", torso)]
    stomach = torso.anatomy.select(K.STOMACH)
    derived = assemble_anatomy(torso.volume.grid, [*base, segment(stomach, "stomach (derived)", torso)])
    labelled = assemble_anatomy(torso.volume.grid, [*base, segment(stomach, "stomach", torso)])
    assert derived.anatomy.sources[K.STOMACH].origin is Origin.DERIVED
    assert "stomach" in derived.anatomy.missing_for_clearance()
    assert "stomach" not in labelled.anatomy.missing_for_clearance()


@pytest.mark.requirement("A-not-cleared")
@pytest.mark.parametrize(
    ("names", "group", "missing"),
    [
        (["kidney_left"], "kidney", True),
        (["kidney_cyst_right"], "kidney", True),
        (["kidney_left", "kidney_right"], "kidney", False),
        (["leftkidney", "rightkidney"], "kidney", False),
        (["Kidney L", "Kidney R"], "kidney", False),
        (["kidneys"], "kidney", False),
        (["duodenum"], "bowel", True),
        (["duodenum", "colon"], "bowel", True),
        (["small_bowel", "duodenum", "colon"], "bowel", False),
        (["bowel bag"], "bowel", False),
        (["atrial_appendage_left"], "heart", True),
        (["heart", "atrial_appendage_left"], "heart", False),
    ],
)
def test_a_part_of_an_organ_does_not_stand_for_the_organ(torso, names, group, missing):
    liver, lesion = parts(torso)
    stand_in = torso.anatomy.select(K.STOMACH)
    base = [segment(liver, "liver", torso), segment(lesion, "tumour", torso)]
    result = assemble_anatomy(torso.volume.grid, [*base, *(segment(stand_in, name, torso) for name in names)])
    assert (group in result.anatomy.missing_for_clearance()) is missing
    assert ("anatomy.part_not_labelled" in rules(result)) is missing


def test_declared_absent_groups_count_as_cleared_and_contradictions_are_told(torso):
    liver, lesion = parts(torso)
    base = [segment(liver, "liver", torso), segment(lesion, "tumour", torso)]
    result = assemble_anatomy(torso.volume.grid, base, declared_absent=frozenset({"heart"}))
    assert "heart" not in result.anatomy.missing_for_clearance()
    both = [*base, segment(torso.anatomy.select(K.STOMACH), "heart", torso)]
    result = assemble_anatomy(torso.volume.grid, both, declared_absent=frozenset({"heart"}))
    assert rules(result) == ["anatomy.declared_absent_but_labelled"]
    with pytest.raises(InputError, match="spleen"):
        assemble_anatomy(torso.volume.grid, base, declared_absent=frozenset({"spleen"}))


def test_one_tumour_labelled_twice_is_an_error_finding_and_not_silently_dosed_twice(torso):
    liver, lesion = parts(torso)
    result = assemble_anatomy(
        torso.volume.grid,
        [segment(liver, "liver", torso), segment(lesion, "tumour", torso), segment(lesion, "HCC", torso)],
    )
    (finding,) = result.findings
    assert (finding.rule, finding.severity) == ("anatomy.lesions_overlap", Severity.ERROR)
    assert len(result.lesion_segments) == 2


def test_rim_and_necrosis_without_a_whole_lesion_label_make_one_whole_lesion(torso):
    grid = torso.volume.grid
    liver, lesion = parts(torso)
    dead = ellipsoid(grid, (-60, -20, 10), (9, 9, 9))
    result = assemble_anatomy(
        grid,
        [
            segment(liver & ~lesion, "liver", torso),
            segment(lesion & ~dead, "viable tumour", torso),
            segment(dead, "necrosis", torso),
        ],
    )
    (whole,) = result.lesion_segments
    assert whole.mask.voxel_count == np.count_nonzero(lesion)
    assert len(result.viable_segments) == len(result.necrosis_segments) == 1
    assert "anatomy.only_viable_labelled" in rules(result)


def test_an_exclusive_body_label_is_completed_by_the_organs_cut_out_of_it(torso):
    liver, lesion = parts(torso)
    body = torso.anatomy.select(K.BODY)
    result = assemble_anatomy(
        torso.volume.grid,
        [
            segment(body & ~liver & ~lesion, "body", torso),
            segment(liver & ~lesion, "liver", torso),
            segment(lesion, "lesion", torso),
        ],
    )
    assert (result.anatomy.select(K.BODY) == body).all()


def test_a_mask_on_another_grid_is_refused(torso):
    grid = Grid.from_axes(shape=(4, 4, 4), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    mask = Mask.from_full(np.ones(grid.shape, bool), grid=grid)
    with pytest.raises(GeometryError, match="another grid"):
        assemble_anatomy(torso.volume.grid, [LabelledSegment(name="liver", mask=mask)])


def test_sides_of_a_slot_in_a_block_are_counted_exactly():
    block = np.ones((7, 7, 7), bool)
    block[3, 3, 1:] = False
    # At the closed end five sides see the block; two voxels further the end is out of reach.
    assert count_sides(block, ~block, reach_voxels=(1, 1, 1)).tolist() == [5, 4, 4, 4, 4, 4]
    assert count_sides(block, ~block, reach_voxels=(0, 0, 0)).tolist() == [0] * 6
