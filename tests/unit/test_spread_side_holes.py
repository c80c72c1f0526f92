"""Needles with side holes: places from the site's own table, the flow split by the network of holes, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from phantom import LESION_CENTRE_LPS_MM, make_context, make_phantom
from spread_scenes import make_scene, make_site

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT
from hepatica.planning.dose.protocol import read_protocol
from hepatica.planning.eligibility.facts import PatientFacts
from hepatica.planning.path.needle_choice import choose_needle, fit_needle
from hepatica.planning.path.needles import parse_needles, read_needles
from hepatica.planning.path.scene import read_path_limits
from hepatica.planning.spread.holes import solve_holes
from hepatica.planning.spread.member import Draw, simulate_member
from hepatica.planning.spread.pressure import build_pressure_operator
from hepatica.planning.spread.scene import trace_backflow, trace_track
from hepatica.planning.spread.tissue import derive_parameters
from hepatica.planning.spread.tissue_map import build_tissue_map
from hepatica.workflows.plan_case import PlannedCase
from hepatica.workflows.rank_plan_patterns import rank_plan_patterns
from hepatica.workflows.request import LabelInput, PlanRequest
from hepatica.workflows.simulate_plan_spread import simulate_plan_spread, start_work
from hepatica.workflows.spread_request import SpreadRequest
from hepatica.workflows.spread_scenes import derive_lesion_scene

ROW = """
[ours]
name = "ours"
gauge = 20
outer_diameter_mm = 0.908
length_mm = 150.0
hub_allowance_mm = 20.0
dead_space_ml = 0.1
holes = "multi-side"
hole_offsets_mm = [1.0, 5.0, 9.0]
source = "measured on ours"
status = "unverified"
"""
BOX_ERROR = 0.03
"""The box holds its sides at 0 at 24 voxels from the middle: each resistance is lower by about 1 / (24 h)."""
RATE = Evidence(
    key="injection.rate", value=1.0, unit="ml_per_min", source="test", status=EvidenceStatus.UNVERIFIED
)


@pytest.fixture(scope="module")
def context():
    return make_context(make_phantom())


def give(context, needle):
    (puncture,) = context.plan.punctures
    deposit = replace(puncture.tracks[0].deposits[0], point_lps_mm=LESION_CENTRE_LPS_MM)
    track = replace(puncture.tracks[0], tip_lps_mm=LESION_CENTRE_LPS_MM, deposits=(deposit,))
    return replace(context.plan, punctures=(replace(puncture, tracks=(track,), needle=needle),), backups=())


def predict(context, needle):
    planned = PlannedCase(
        plan=give(context, needle), anatomy=context.anatomy, prior_tracking_uids={}, scene=None
    )
    spread = simulate_plan_spread(
        planned, request=SpreadRequest(draws=2), work=start_work(None, rate=RATE), cirrhosis=False
    )
    return spread.lesions[0]


@pytest.mark.requirement("C-SIDE-HOLES")
def test_a_sites_own_needle_with_places_of_its_holes_is_simulated_and_shows_the_flow_of_each(context):
    (needle,) = parse_needles(ROW.encode(), where="needles")
    lesion = predict(context, needle)
    assert not isinstance(lesion.outcome, NotEvaluable)
    (bands,) = lesion.outcome.hole_shares
    assert len(bands) == 3
    (site,) = lesion.site.scene.sites
    assert site.hole_offsets_mm == (1.0, 5.0, 9.0)
    assert lesion.outcome.largest_imbalance_fraction < 1e-12
    # The budget in closed form knows one opening; it says so instead of giving the numbers of another needle.
    assert isinstance(lesion.split, NotEvaluable) and "side holes" in lesion.split.reason
    assert all(isinstance(one, NotEvaluable) for one in lesion.contained)


@pytest.mark.requirement("C-SIDE-HOLES")
def test_without_places_of_the_holes_nothing_is_guessed_and_the_answer_says_how_to_give_them(context):
    packaged = next(one for one in read_needles() if one.holes == "multi-side")
    lesion = predict(context, packaged)
    assert isinstance(lesion.outcome, NotEvaluable)
    assert "not set" in lesion.outcome.reason and "hole_offsets_mm" in lesion.outcome.reason


@pytest.mark.requirement("C-SIDE-HOLES")
def test_the_split_is_that_of_spheres_in_endless_tissue_at_one_pressure():
    """p_i = sum_j q_j / (4 pi K d_ij), with d_ii the radius: the outer two of three holes give more."""
    offsets, radius, k = np.array([0.0, 4.0, 8.0]), 0.36, 1e-4
    apart = np.abs(offsets[:, None] - offsets)
    np.fill_diagonal(apart, radius)
    flows = np.linalg.solve(1 / (4 * math.pi * k * apart), np.ones(3))
    want = flows / flows.sum()
    scene = make_scene(cells=49, tumour_mm=500.0)
    tissue = build_tissue_map(scene.classes, grid=scene.grid, parameters=derive_parameters())
    tissue = replace(
        tissue,
        conductivity_mm2_per_kpa_s=np.full(scene.classes.shape, k),
        exchange_per_kpa_s=np.zeros(scene.classes.shape),
    )
    operator = build_pressure_operator(tissue.conductivity_mm2_per_kpa_s, spacing_mm=(1.0,) * 3)
    cells = tuple((24, 20 + int(offset), 24) for offset in offsets)
    holes = solve_holes(operator, tissue, cells=cells, radius_mm=radius)
    assert holes.shares == pytest.approx(want, abs=0.005)
    assert want[0] == pytest.approx(want[2]) and want[0] > want[1]
    assert holes.conductance_mm3_per_kpa_s == pytest.approx(flows.sum(), rel=2 * BOX_ERROR)


@pytest.mark.requirement("C-SIDE-HOLES")
def test_backflow_starts_at_the_opening_nearest_the_hub():
    scene = make_scene(sites=(make_site(hole_offsets_mm=(0.0, 6.0)),))
    (site,) = scene.sites
    tip, back = trace_track(scene, site), trace_backflow(scene, site)
    assert tip.track.depth_in_lesion_mm - back.track.depth_in_lesion_mm == pytest.approx(6.0, abs=0.3)
    assert scene.to_cell(np.array([0.0, 6.0, 0.0])) == tuple(
        int(n) for n in np.unravel_index(back.cells[0], scene.grid.shape)
    )
    single = make_site()
    assert np.array_equal(trace_backflow(scene, single).cells, trace_track(scene, single).cells)


@pytest.mark.requirement("C-SIDE-HOLES")
def test_an_opening_off_the_grid_or_in_a_vessel_gives_no_number():
    far = simulate_member(make_scene(sites=(make_site(hole_offsets_mm=(0.0, 40.0)),)), Draw(shares={}))
    assert isinstance(far, NotEvaluable) and "outside the working grid" in far.reason


@pytest.mark.requirement("C-SIDE-HOLES")
def test_the_working_grid_holds_every_opening(context):
    (needle,) = parse_needles(ROW.replace("9.0]", "70.0]").encode(), where="needles")
    site = derive_lesion_scene(
        context.plan.lesions[0], others=context.plan.lesions, anatomy=context.anatomy,
        punctures=give(context, needle).punctures, rate=RATE, cirrhosis=False,
    )  # fmt: skip
    (one,) = site.scene.sites
    assert site.scene.holds(one.tip_lps_mm + 70.0 * one.back)


@pytest.mark.requirement("C-SIDE-HOLES")
def test_patterns_are_not_ranked_for_a_needle_whose_holes_the_budget_does_not_know(context):
    (needle,) = parse_needles(ROW.encode(), where="needles")
    plan = give(context, needle)
    case = SimpleNamespace(
        request=SimpleNamespace(rate_request=SpreadRequest(rate_ml_per_min=1.0), seed=1),
        protocol=read_protocol("tvec-label"),
        facts=PatientFacts(),
    )
    (ranking,) = rank_plan_patterns(
        case, plan.allocation, punctures=plan.punctures, lesions=plan.lesions, anatomy=context.anatomy,
        progress=SILENT,
    )  # fmt: skip
    assert isinstance(ranking.ranking, NotEvaluable) and "side holes" in ranking.ranking.reason


@pytest.mark.requirement("C-SIDE-HOLES")
@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("[1.0, 5.0, 9.0]", "[-1.0]", "off the needle"),
        ("[1.0, 5.0, 9.0]", "[150.0]", "off the needle"),
        ("[1.0, 5.0, 9.0]", "[nan]", "off the needle"),
        ("[1.0, 5.0, 9.0]", '"two"', "ValueError"),
        ("[1.0, 5.0, 9.0]", "4.0", "TypeError"),
        ('holes = "multi-side"', 'holes = "end"', "end hole"),
        ('holes = "multi-side"', 'holes = "many"', "many"),
        ("outer_diameter_mm = 0.908", "outer_diameter_mm = 0", "above 0"),
        ("outer_diameter_mm = 0.908", 'outer_diameter_mm = "thin"', "TypeError"),
        ("gauge = 20", "", "gauge"),
        ("[ours]", "[ours", "TOMLDecodeError"),
        (ROW, "", "none"),
    ],
)
def test_a_needles_file_that_is_none_is_refused_with_what_is_wrong(old, new, word):
    with pytest.raises(InputError, match=word):
        parse_needles(ROW.replace(old, new).encode(), where="needles")


@pytest.mark.requirement("C-SIDE-HOLES")
def test_a_sites_needles_replace_the_packaged_ones_and_come_back_from_the_manifest(tmp_path):
    needles = parse_needles((ROW + ROW.replace("ours", "long").replace("150.0", "200.0")).encode(), where="n")
    assert choose_needle(limits=read_path_limits(), needles=needles).name in {"ours", "long"}
    assert fit_needle(needles[0], length_mm=150.0, needles=needles[1:]).name == "ours"
    request = PlanRequest(
        image=tmp_path / "ct.nii", labels=(LabelInput(path=tmp_path / "l.nii"),), protocol="tvec-label", visit=1,
        needles=tmp_path / "needles.toml",
    )  # fmt: skip
    again = PlanRequest.from_manifest(
        {"sources": request.sources, "parameters": request.parameters}, where="test"
    )
    assert again.needles == request.needles
