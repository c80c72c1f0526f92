import numpy as np
import pytest
from phantom import make_phantom

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.geometry import Grid
from hepatica.core.units import UNIT_SUFFIXES
from hepatica.imaging.mask import Mask
from hepatica.planning.spread.tissue import (
    POROUS,
    SpreadTissue,
    derive_parameters,
    read_limits,
    read_uncertain_inputs,
)
from hepatica.planning.spread.tissue_map import build_tissue_map, build_working_grid, derive_tissue_classes


@pytest.mark.requirement("C-TISSUE")
def test_every_number_of_the_tissue_tables_has_a_listed_unit_a_source_and_a_status():
    entries = [end for entry in read_uncertain_inputs().values() for end in (entry.low, entry.high)]
    for entry in [*entries, *read_limits()]:
        assert entry.unit in UNIT_SUFFIXES, entry.key
        assert entry.source, entry.key
        assert entry.status is not EvidenceStatus.NOT_SET, entry.key


@pytest.mark.requirement("C-TISSUE")
def test_measured_tumour_conductivity_is_converted_from_si_and_drawn_in_the_logarithm():
    entry = read_uncertain_inputs()["viable_conductivity"]
    assert entry.low.value == 1e-15 and entry.low.status is EvidenceStatus.VERIFIED
    assert entry.take(0.0) == pytest.approx(1e-6, rel=1e-12)
    assert entry.take(1.0) == pytest.approx(1.7e-4, rel=1e-12)
    assert entry.take(0.5) == pytest.approx(np.sqrt(1e-6 * 1.7e-4), rel=1e-12)
    assert read_uncertain_inputs()["viable_interstitial_pressure"].take(0.0) == pytest.approx(1.33322)


def test_inputs_at_the_middle_of_their_ranges_are_the_default():
    middle = derive_parameters({name: 0.5 for name in read_uncertain_inputs()})
    assert middle == derive_parameters()
    assert set(middle.tissues) == set(POROUS)


@pytest.mark.parametrize(
    "shares", [{"viable_conductivty": 0.5}, {"viable_conductivity": 1.5}, {"sieving": float("nan")}]
)
def test_a_share_that_names_no_input_or_lies_outside_zero_to_one_is_refused(shares):
    with pytest.raises(InputError):
        derive_parameters(shares)


@pytest.mark.requirement("C-TISSUE")
def test_every_voxel_takes_the_numbers_of_its_class_and_walls_let_nothing_through():
    classes = np.arange(7, dtype=np.uint8).reshape(7, 1, 1)
    grid = Grid.from_axes(shape=(7, 1, 1), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    parameters = derive_parameters()
    tissue = build_tissue_map(classes, grid=grid, parameters=parameters)
    for kind in SpreadTissue:
        k = tissue.conductivity_mm2_per_kpa_s[int(kind), 0, 0]
        assert k == (parameters.tissues[kind].conductivity_mm2_per_kpa_s if kind in POROUS else 0.0)
    assert (tissue.porosity_fraction > 0).all()
    with pytest.raises(InputError):
        build_tissue_map(classes + 1, grid=grid, parameters=parameters)


def test_measured_stiffness_replaces_the_class_value_where_it_was_measured():
    classes = np.full((3, 1, 1), SpreadTissue.VIABLE, np.uint8)
    classes[2] = SpreadTissue.VESSEL
    grid = Grid.from_axes(shape=(3, 1, 1), spacing_mm=(1, 1, 1), origin_lps_mm=(0, 0, 0))
    measured = np.array([7.5, np.nan, 9.0]).reshape(3, 1, 1)
    tissue = build_tissue_map(classes, grid=grid, parameters=derive_parameters(), elastography_kpa=measured)
    assert tissue.shear_modulus_kpa[:, 0, 0].tolist() == [7.5, 6.5, 1.0]
    with pytest.raises(InputError):
        build_tissue_map(classes, grid=grid, parameters=derive_parameters(), elastography_kpa=measured * 0)


@pytest.mark.requirement("C-TISSUE")
def test_classes_come_from_the_scans_labels_and_keep_the_tumours_volume():
    phantom = make_phantom()
    lesion = phantom.lesion
    grid = build_working_grid(lesion.centroid_lps_mm, cells=48, spacing_mm=1.0, like=phantom.anatomy.grid)
    classes = derive_tissue_classes(phantom.anatomy, tumours={"L1": lesion}, viable={}, grid=grid)
    tumour_ml = np.count_nonzero(classes == SpreadTissue.VIABLE) * grid.voxel_volume_ml
    assert tumour_ml == pytest.approx(lesion.volume_ml, rel=0.05)
    cirrhotic = derive_tissue_classes(
        phantom.anatomy, tumours={"L1": lesion}, viable={}, grid=grid, cirrhosis=True
    )
    assert ((cirrhotic == SpreadTissue.CIRRHOSIS) == (classes == SpreadTissue.LIVER)).all()


def test_vessels_and_the_rim_of_the_liver_become_walls():
    phantom = make_phantom()
    grid = build_working_grid((-45.0, 15.0, 0.0), cells=150, spacing_mm=2.0, like=phantom.anatomy.grid)
    classes = derive_tissue_classes(phantom.anatomy, tumours={"L1": phantom.lesion}, viable={}, grid=grid)

    def at(point):
        return SpreadTissue(classes[tuple(np.rint(grid.to_index(point)).astype(int))])

    assert at((-30.0, 15.0, 0.0)) is SpreadTissue.VESSEL
    assert at((40.0, 40.0, 40.0)) is SpreadTissue.OUTSIDE
    from scipy import ndimage

    porous = np.isin(classes, [int(t) for t in POROUS])
    touching = ndimage.binary_dilation(classes == SpreadTissue.OUTSIDE) & porous
    assert not (touching & (classes == SpreadTissue.LIVER)).any()
    assert (classes == SpreadTissue.CAPSULE).sum() > 1000


def test_a_viable_part_leaves_the_rest_of_the_lesion_as_necrosis():
    phantom = make_phantom()
    full = phantom.lesion.to_full()
    half = full.copy()
    half[: int(phantom.lesion.index_ijk()[:, 0].mean())] = False
    viable = Mask.from_full(half, grid=phantom.anatomy.grid)
    grid = build_working_grid(
        phantom.lesion.centroid_lps_mm, cells=40, spacing_mm=1.0, like=phantom.anatomy.grid
    )
    classes = derive_tissue_classes(
        phantom.anatomy, tumours={"L1": phantom.lesion}, viable={"L1": viable}, grid=grid
    )
    for kind, expected in (
        (SpreadTissue.VIABLE, viable.volume_ml),
        (SpreadTissue.NECROSIS, phantom.lesion.volume_ml - viable.volume_ml),
    ):
        assert np.count_nonzero(classes == kind) * grid.voxel_volume_ml == pytest.approx(expected, rel=0.1)
