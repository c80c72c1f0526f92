"""The living part: from labels, from two phases, and when it cannot be judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from lesion_shapes import ellipsoid_mask, make_grid
from two_phases import make_motion, make_two_phases

from hepatica.core.errors import GeometryError
from hepatica.core.evidence import read_evidence_table
from hepatica.core.findings import NotEvaluable
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.lesions.enhancement import PhasePair, TumourType, classify_enhancement, clean_parts
from hepatica.lesions.lesion import ALL_NECROTIC, ViableLevel, ViablePart
from hepatica.lesions.viable import derive_viable, read_viable_label

TABLE = read_evidence_table("hepatica.lesions.tables", "enhancement.toml")
DICE = 0.85
"""Smoothing of 1.5 mm and registration of about 1 mm blur a shell 5 to 13 mm thick."""
READ_OUT_MM = 3.5
"""The residual errs to the large side where liver and tumour hardly differ (15 HU, noise 12 HU)."""
HCC = {"venous_hu": {1: 130, 2: 40, 3: 170}, "arterial_hu": {1: 115, 2: 35, 3: 75}}
COLORECTAL = {"venous_hu": {1: 85, 2: 15, 3: 120}, "arterial_hu": {1: 60, 2: 12, 3: 75}}


def derive(phases, tumour_type=TumourType.HCC, **options):
    settings_ = {"venous": phases.venous, "arterial": phases.arterial, "liver": phases.liver, **options}
    return derive_viable(phases.lesion, tumour_type=tumour_type, **settings_)


def dice(mask: Mask, truth) -> float:
    full = mask.to_full()
    return 2 * np.count_nonzero(full & truth) / (np.count_nonzero(full) + np.count_nonzero(truth))


@pytest.mark.requirement("A-viable-phases")
@pytest.mark.parametrize(
    ("tumour_type", "levels"),
    [
        (TumourType.HCC, HCC),
        (TumourType.HYPERVASCULAR_METASTASIS, HCC),
        (TumourType.HYPOVASCULAR_METASTASIS, COLORECTAL),
    ],
)
def test_the_living_shell_is_told_from_the_dead_core_although_the_liver_moved(tumour_type, levels):
    phases = make_two_phases(**levels)
    part = derive(phases, tumour_type)
    assert isinstance(part, ViablePart)
    assert dice(part.middle, phases.live) > DICE
    low, middle, high = (m.to_full() for m in (part.low, part.middle, part.high))
    assert not (low & ~middle).any() and not (middle & ~high).any()
    assert not (high & ~phases.lesion.to_full()).any()
    assert part.origin == "derived, not reviewed" and "unverified" in part.method
    assert part.residual_mm < READ_OUT_MM


@pytest.mark.requirement("A-viable-phases")
def test_contrast_in_the_stomach_beside_the_lesion_is_not_taken_for_living_tumour():
    still = {"venous_hu": {1: 60, 2: 60, 3: 120}, "arterial_hu": {1: 60, 2: 60, 3: 65}}
    phases = make_two_phases(motion=make_motion((0, 0, 5)), **still)
    grid = phases.lesion.grid
    beside = ellipsoid_mask(grid, (38.0, -5.0, 0.0), [9] * 3)  # reaches the stomach's wall
    answer = derive_viable(
        beside, venous=_paint(phases.venous, beside, 60), arterial=phases.arterial,
        liver=phases.liver | beside.to_full(), tumour_type=TumourType.HCC,
    )  # fmt: skip
    assert isinstance(answer, NotEvaluable) or answer.low.volume_ml < 0.1 * beside.volume_ml


def _paint(volume, mask, hu):
    values = np.array(volume.values)
    values[mask.box][mask.crop] = hu
    return Volume(values=values, grid=volume.grid)


@pytest.mark.requirement("A-viable-not-evaluable")
def test_missing_phase_or_type_is_not_evaluable_with_its_reason():
    phases = make_two_phases(**HCC)
    assert "no arterial phase" in derive(phases, arterial=None).reason
    assert "tumour type" in derive(phases, None).reason
    mr = Volume(values=phases.venous.values, grid=phases.venous.grid, modality="MR")
    assert "CT numbers" in derive(phases, venous=mr).reason
    assert "no liver" in derive(phases, liver=np.zeros_like(phases.liver)).reason


@pytest.mark.requirement("A-viable-not-evaluable")
def test_swapped_phases_and_a_dead_lesion_are_not_evaluable():
    swapped = make_two_phases(venous_hu=HCC["arterial_hu"], arterial_hu=HCC["venous_hu"])
    assert "not an arterial and a venous phase" in derive(swapped).reason
    dead = make_two_phases(venous_hu={1: 40, 2: 40, 3: 170}, arterial_hu={1: 38, 2: 38, 3: 75})
    assert "necrotic" in derive(dead).reason


@pytest.mark.requirement("A-viable-not-evaluable")
def test_a_residual_above_the_limit_is_not_evaluable():
    from hepatica.core.evidence import Evidence

    phases = make_two_phases(**HCC)
    strict = TABLE.replace(residual_max=Evidence(key="residual_max", value=0.01, unit="mm"))
    answer = derive(phases, table=strict)
    assert isinstance(answer, NotEvaluable) and "left after registration" in answer.reason


@pytest.mark.requirement("A-viable-not-evaluable")
def test_an_arterial_scan_that_misses_the_lesion_is_not_evaluable():
    phases = make_two_phases(**HCC)
    grid = phases.arterial.grid
    cut = make_grid((110, 90, 24), (2.2, 2.2, 2.5), origin=grid.origin_lps_mm)
    answer = derive(phases, arterial=Volume(values=phases.arterial.values[:, :, :24], grid=cut))
    assert isinstance(answer, NotEvaluable)


def pair(arterial, venous, *, liver=(70.0, 120.0)):
    arterial, venous = np.asarray(arterial, float), np.asarray(venous, float)
    grid = make_grid((arterial.size, 1, 1))
    shape = (arterial.size, 1, 1)
    return PhasePair(
        grid=grid, tumour=np.ones(shape, bool), arterial_hu=arterial.reshape(shape),
        venous_hu=venous.reshape(shape), liver_arterial_hu=liver[0], liver_venous_hu=liver[1],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arterial", "venous", "expected"),
    [
        (95, 100, "LMH"),  # brighter than liver in the arterial phase
        (80, 75, "LMH"),  # exactly 10 HU brighter, and washed out
        (60, 85, "MH"),  # dark, but fills by half of the liver's 50 HU
        (60, 78, "H"),  # fills by a little more than a third
        (76, 78, "H"),  # hardly brighter than liver
        (40, 42, ""),  # takes up nothing
        (400, 420, ""),  # lipiodol or calcium
    ],
)
def test_pattern_of_hepatocellular_carcinoma(arterial, venous, expected):
    levels = classify_enhancement(pair([arterial], [venous]), tumour_type=TumourType.HCC, table=TABLE)
    assert "".join(level.value[0].upper() for level in ViableLevel if levels[level].all()) == expected


@pytest.mark.parametrize(
    ("arterial", "venous", "expected"),
    [
        (55, 85, "LMH"),  # living rim, filling
        (75, 70, "LMH"),  # rim already bright early
        (40, 52, "MH"),
        (32, 33, "H"),
        (15, 18, ""),  # fluid
    ],
)
def test_pattern_of_a_hypovascular_metastasis(arterial, venous, expected):
    levels = classify_enhancement(
        pair([arterial], [venous]), tumour_type=TumourType.HYPOVASCULAR_METASTASIS, table=TABLE
    )
    assert "".join(level.value[0].upper() for level in ViableLevel if levels[level].all()) == expected


@given(
    arterial=hnp.arrays(float, 30, elements=st.floats(-50, 350)),
    venous=hnp.arrays(float, 30, elements=st.floats(-50, 350)),
    tumour_type=st.sampled_from(list(TumourType)),
)
@settings(deadline=None, derandomize=True, max_examples=60)
def test_levels_are_nested_for_any_ct_numbers(arterial, venous, tumour_type):
    levels = classify_enhancement(pair(arterial, venous), tumour_type=tumour_type, table=TABLE)
    low, middle, high = (levels[level] for level in ViableLevel)
    assert not (low & ~middle).any() and not (middle & ~high).any()


@given(codes=hnp.arrays(np.uint8, (7, 7, 5), elements=st.integers(0, 3)), fewest=st.integers(1, 8))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_cleaning_keeps_nested_sets_nested_and_stays_inside(codes, fewest):
    within = codes > 0
    small, large = (clean_parts(codes >= n, within=within, fewest=fewest) for n in (3, 2))
    assert not (small & ~large).any()
    assert not (large & ~within).any()


GRID = make_grid((30, 30, 30))
LESION = ellipsoid_mask(GRID, (15, 15, 15), [8] * 3)


@pytest.mark.requirement("A-viable-label")
def test_a_viable_label_is_cut_to_the_lesion_and_gives_three_equal_masks():
    label = ellipsoid_mask(GRID, (20, 15, 15), [7] * 3)
    part = read_viable_label(LESION, viable=label)
    assert (part.middle.to_full() == (LESION.to_full() & label.to_full())).all()
    assert part.low is part.middle is part.high
    assert part.origin == "label" and part.residual_mm is None


@pytest.mark.requirement("A-viable-label")
def test_a_necrosis_label_leaves_the_rest_and_a_viable_label_wins_over_it():
    core = ellipsoid_mask(GRID, (15, 15, 15), [4] * 3)
    part = read_viable_label(LESION, necrosis=core)
    assert part.middle.voxel_count == LESION.voxel_count - core.voxel_count
    both = read_viable_label(LESION, viable=core, necrosis=core)
    assert both.middle.voxel_count == core.voxel_count


def test_labels_that_say_nothing_or_everything_are_not_evaluable():
    away = ellipsoid_mask(GRID, (4, 4, 4), [3] * 3)
    assert isinstance(read_viable_label(LESION), NotEvaluable)
    assert isinstance(read_viable_label(LESION, viable=away), NotEvaluable)
    assert isinstance(read_viable_label(LESION, necrosis=away), NotEvaluable)
    assert read_viable_label(LESION, necrosis=LESION) == ALL_NECROTIC
    other = make_grid((30, 30, 31))
    with pytest.raises(GeometryError):
        read_viable_label(LESION, viable=ellipsoid_mask(other, (15, 15, 15), [4] * 3))
