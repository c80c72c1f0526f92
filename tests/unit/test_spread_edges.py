"""Where the model ends: a finding or a coded error, never a plausible-looking number."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from spread_scenes import make_scene, make_site

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.planning.spread.backflow import Track
from hepatica.planning.spread.budget import assess_budget
from hepatica.planning.spread.cleft import CleftDraw
from hepatica.planning.spread.deposit import spread_deposit
from hepatica.planning.spread.member import Draw, simulate_member
from hepatica.planning.spread.simulate import draw_members, simulate_spread
from hepatica.planning.spread.source import SourceSetting, derive_source_limits
from hepatica.planning.spread.tissue import SpreadTissue, derive_parameters, read_limits
from hepatica.planning.spread.tissue_map import build_tissue_map

TIGHT = {"track_gap": 0.0, "needle_prestress": 1.0}
SLOW = {"rate_ml_per_min": 1e-5, "volume_ml": 0.005}
SAME = 1e-6
"""Two solves to a residual of 1e-8 on tissue of one to two decades."""


def rules(member):
    return {finding.rule for finding in member.findings}


def linear(scene, *, conductivity=1e-4, exchange=1e-6, porosity=0.1, rate=1e-4, volume=0.005):
    """Threshold 0, M = 0 and far below the limit, in even tissue: nothing but Darcy flow is left."""
    base = derive_parameters(TIGHT)
    even = {
        kind: replace(
            values, conductivity_mm2_per_kpa_s=conductivity, exchange_per_kpa_s=exchange, porosity_fraction=porosity,
            interstitial_pressure_kpa=0.0,
        )
        for kind, values in base.tissues.items()
    }  # fmt: skip
    parameters = replace(
        base, tissues=even, threshold_pressure_kpa=0.0, strain_exponent=0.0, track_gap_fraction=0.0, decay_per_s=0.0,
        sieving_fraction=1.0,
    )  # fmt: skip
    tissue = build_tissue_map(scene.classes, grid=scene.grid, parameters=parameters)
    site = replace(scene.sites[0], rate_ml_per_min=rate, volume_ml=volume)
    return spread_deposit(
        scene, site, tissue=tissue, parameters=parameters, cleft_draw=CleftDraw(), limits=read_limits()
    )


@pytest.mark.requirement("C-LINEAR")
def test_below_the_limit_without_threshold_and_strain_pressure_goes_with_the_flow_and_the_place_does_not():
    scene = make_scene(cells=24)
    one, three = linear(scene), linear(scene, rate=3e-4)
    assert one.cleft_mm3.sum() == three.cleft_mm3.sum() == 0
    sys.stdout.write(f"tip pressure {one.tip_pressure_kpa:.4f} and {three.tip_pressure_kpa:.4f} kPa\n")
    assert three.tip_pressure_kpa == pytest.approx(3 * one.tip_pressure_kpa, rel=1e-6)
    # The same volume in a third of the time lies in the same place.
    assert np.abs(three.pores_mm3 - one.pores_mm3).max() < SAME * one.pores_mm3.max()


@pytest.mark.requirement("C-LINEAR")
def test_with_strain_or_a_threshold_pressure_no_longer_goes_with_the_flow():
    base = replace(
        derive_parameters({**TIGHT, "strain_exponent": 1.0}),
        threshold_pressure_kpa=0.0,
        track_gap_fraction=0.0,
    )
    track = Track(needle_radius_mm=0.36, depth_in_lesion_mm=12.0, depth_in_liver_mm=40.0)

    def pressure(parameters, flow):
        setting = SourceSetting(
            volume_ml=0.01, rate_ml_per_min=flow, tissue=SpreadTissue.VIABLE, cavity_radius_mm=0.36, track=track,
            lesion_volume_ml=14.0, edge_distance_mm=12.0,
        )  # fmt: skip
        return assess_budget(setting, parameters).tip_pressure_kpa

    flow = 3e-5
    # A higher pressure opens the pores, so three times the flow needs less than three times the pressure.
    assert pressure(base, 3 * flow) < 2.97 * pressure(base, flow)
    straight = replace(base, strain_exponent=0.0)
    assert pressure(straight, 3 * flow) == pytest.approx(3 * pressure(straight, flow), rel=1e-6)
    yielding = replace(straight, threshold_pressure_kpa=2.0)
    assert pressure(yielding, flow / 100) == pytest.approx(2.0, rel=1e-6)


@pytest.mark.requirement("C-MONOTONE")
def test_the_more_pores_tumour_has_the_more_of_the_fluid_stays_in_it():
    scene = make_scene(cells=24, tumour_mm=6.0)
    kept = []
    for porosity in (0.02, 0.05, 0.1, 0.2, 0.4):
        result = linear(scene, porosity=porosity, volume=0.04, rate=2e-4)
        kept.append(float(result.pores_mm3[scene.classes == SpreadTissue.VIABLE].sum()) / 40.0)
    sys.stdout.write(f"kept in viable tumour by porosity: {np.round(kept, 3).tolist()}\n")
    assert kept == sorted(kept) and kept[-1] > kept[0] + 0.05


@pytest.mark.requirement("C-MONOTONE")
def test_the_budget_keeps_more_in_the_lesion_the_more_pores_it_has():
    setting = SourceSetting(
        volume_ml=0.2, rate_ml_per_min=1e-4, tissue=SpreadTissue.VIABLE, cavity_radius_mm=0.36,
        track=Track(needle_radius_mm=0.36, depth_in_lesion_mm=5.0, depth_in_liver_mm=40.0), lesion_volume_ml=2.0,
        edge_distance_mm=5.0,
    )  # fmt: skip
    base = derive_parameters(TIGHT)
    spilled = []
    for porosity in np.linspace(0.03, 0.8, 12):
        viable = replace(base.tissues[SpreadTissue.VIABLE], porosity_fraction=float(porosity))
        budget = assess_budget(setting, replace(base, tissues={**base.tissues, SpreadTissue.VIABLE: viable}))
        spilled.append(budget.spill_fraction)
    assert spilled == sorted(spilled, reverse=True) and spilled[0] > spilled[-1]


@pytest.mark.requirement("C-EDGES")
def test_tissue_without_conductivity_at_the_tip_or_all_around_is_not_evaluable():
    scene = make_scene(cells=24)
    parameters = derive_parameters(TIGHT)
    tissue = build_tissue_map(scene.classes, grid=scene.grid, parameters=parameters)
    nowhere = replace(tissue, conductivity_mm2_per_kpa_s=np.zeros(scene.classes.shape))
    around = np.array(tissue.conductivity_mm2_per_kpa_s)
    around[8:17, 8:17, 8:17] = 0.0
    around[12, 12, 12] = 1e-5
    around[11:13, 11:13, 11:13] = 1e-5
    options = {"parameters": parameters, "cleft_draw": CleftDraw(), "limits": read_limits()}
    sealed = replace(
        tissue, conductivity_mm2_per_kpa_s=around, exchange_per_kpa_s=np.zeros(scene.classes.shape)
    )
    for wrong, word in ((nowhere, "outside"), (sealed, "sealed")):
        answer = spread_deposit(scene, scene.sites[0], tissue=wrong, **options)
        assert isinstance(answer, NotEvaluable) and word in answer.reason


@pytest.mark.requirement("C-EDGES")
@pytest.mark.parametrize(
    "wrong", [{"volume_ml": 0.0}, {"volume_ml": -1.0}, {"volume_ml": math.nan}, {"rate_ml_per_min": 0.0}]
)
def test_a_volume_or_rate_of_nothing_is_a_coded_error(wrong):
    with pytest.raises(InputError, match="above 0"):
        simulate_member(make_scene(cells=24, sites=(make_site(**wrong),)), Draw(shares={}))


@pytest.mark.requirement("C-EDGES")
def test_a_hundred_millilitres_into_a_centimetre_give_no_number_in_run_and_budget():
    scene = make_scene(cells=24, tumour_mm=5.0, sites=(make_site(volume_ml=100.0),))
    draws = draw_members(3, deposits=1, rng=np.random.default_rng(1))
    answer = simulate_spread(scene, draws=draws, strength_per_ml=1e8, threshold_per_ml=1e6)
    assert isinstance(answer, NotEvaluable) and "100 mL" in answer.reason
    setting = SourceSetting(
        volume_ml=100.0, rate_ml_per_min=1.0, tissue=SpreadTissue.VIABLE, cavity_radius_mm=0.36,
        track=Track(needle_radius_mm=0.36, depth_in_lesion_mm=5.0, depth_in_liver_mm=40.0), lesion_volume_ml=0.52,
        edge_distance_mm=5.0,
    )  # fmt: skip
    assert isinstance(derive_source_limits(setting, derive_parameters()), NotEvaluable)


@pytest.mark.requirement("C-EDGES")
def test_a_tip_in_liver_beside_the_tumour_is_a_finding_and_little_stays_in_the_tumour():
    beside = make_site(tip_lps_mm=np.array([11.0, 0.0, 0.0]), **SLOW)
    member = simulate_member(make_scene(tumour_mm=8.0, sites=(beside,)), Draw(shares=TIGHT))
    within = simulate_member(make_scene(tumour_mm=8.0, sites=(make_site(**SLOW),)), Draw(shares=TIGHT))
    assert "spread.tip_outside_tumour" in rules(member) and "spread.tip_outside_tumour" not in rules(within)
    assert member.fractions["viable"] < 0.1 < within.fractions["viable"]
    finding = next(f for f in member.findings if f.rule == "spread.tip_outside_tumour")
    assert finding.severity is Severity.WARNING and "liver" in finding.message


@pytest.mark.requirement("C-EDGES")
@pytest.mark.parametrize(
    ("kind", "rule"),
    [(SpreadTissue.VESSEL, "spread.touches_vessel"), (SpreadTissue.CAPSULE, "spread.touches_capsule"),
     (SpreadTissue.OUTSIDE, "spread.touches_capsule")],
)  # fmt: skip
def test_a_tumour_that_touches_a_vessel_or_the_capsule_is_a_finding_and_one_apart_is_not(kind, rule):
    def wall(at):
        def edit(classes):
            classes[at:] = kind

        return edit

    touching = simulate_member(make_scene(cells=28, tumour_mm=8.0, edit=wall(20)), Draw(shares=TIGHT))
    apart = simulate_member(make_scene(cells=28, tumour_mm=8.0, edit=wall(26)), Draw(shares=TIGHT))
    assert rule in rules(touching) and rule not in rules(apart)
    draws = draw_members(3, deposits=1, rng=np.random.default_rng(1))
    outcome = simulate_spread(
        make_scene(cells=28, tumour_mm=8.0, edit=wall(20)),
        draws=draws,
        strength_per_ml=1e8,
        threshold_per_ml=1e6,
    )
    assert dict((finding.rule, share) for finding, share in outcome.findings)[rule] == 1.0
