"""From planned deposits to scenes, predictions and pages: edges and refusals."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from phantom import LESION_CENTRE_LPS_MM, LESION_RADIUS_MM, ellipsoid, make_context, make_phantom

from hepatica.adapters.nifti.spread_writer import SpreadVolumeWriter
from hepatica.adapters.reports.html import to_html
from hepatica.adapters.reports.picture_book import PictureBook
from hepatica.adapters.reports.spread_view import derive_card, derive_spread_view
from hepatica.adapters.reports.view import derive_plan_view
from hepatica.anatomy.structures import Origin, StructureKind, StructureSource
from hepatica.core.errors import InputError, NotSetError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.progress import SILENT
from hepatica.imaging.mask import Mask
from hepatica.planning.dose.protocol import Protocol, read_protocol
from hepatica.planning.eligibility.facts import PatientFacts
from hepatica.planning.path.values import Deposit, Track
from hepatica.planning.spread.tissue import SpreadTissue
from hepatica.planning.spread.verification import VerificationRow
from hepatica.workflows.plan_case import PlannedCase
from hepatica.workflows.simulate_plan_spread import simulate_plan_spread, start_work
from hepatica.workflows.spread_card import to_card_document
from hepatica.workflows.spread_document import read_spread_schema, to_spread_document
from hepatica.workflows.spread_request import SpreadRequest, find_rate, is_cirrhotic
from hepatica.workflows.spread_scenes import derive_lesion_scene, list_deposits, read_grid_limits
from hepatica.workflows.spread_volumes import derive_covered_mask

RATE = Evidence(
    key="injection.rate", value=1.0, unit="ml_per_min", source="test", status=EvidenceStatus.UNVERIFIED
)
SAMPLING_MM = 0.6
"""A track sampled every 0.5 mm on voxels of 2 mm ends within one sample of the boundary, read at the nearest voxel."""


@pytest.fixture(scope="module")
def phantom():
    return make_phantom()


@pytest.fixture(scope="module")
def context(phantom):
    return make_context(phantom)


def give(context, *, points=None, volume_ml=2.0, **changes):
    """The phantom's plan with other deposits, volumes or needle."""
    plan = context.plan
    (puncture,) = plan.punctures
    points = [LESION_CENTRE_LPS_MM] if points is None else points
    deposits = tuple(
        Deposit(
            point_lps_mm=np.asarray(point, float), volume_ml=volume_ml / len(points), lesion_id="L1", order=n
        )
        for n, point in enumerate(points, start=1)
    )
    puncture = replace(
        puncture, tracks=(Track(tip_lps_mm=deposits[0].point_lps_mm, deposits=deposits),), **changes
    )
    injection = replace(
        plan.allocation.injections[0], volume_ml=max(volume_ml, 1e-9), dose=1e6 * max(volume_ml, 1e-9)
    )
    allocation = replace(plan.allocation, injections=(injection,))
    return replace(plan, punctures=(puncture,), allocation=allocation)


def predict(context, plan, *, draws=2, anatomy=None, cirrhosis=False, make_card=None):
    planned = PlannedCase(plan=plan, anatomy=anatomy or context.anatomy, prior_tracking_uids={}, scene=None)
    work = start_work(None, rate=RATE)
    return simulate_plan_spread(
        planned, request=SpreadRequest(draws=draws), work=work, cirrhosis=cirrhosis, make_card=make_card
    )


def derive(context, plan, *, anatomy=None, cirrhosis=False, lesions=None):
    lesions = lesions or plan.lesions
    return derive_lesion_scene(
        lesions[0], others=lesions, anatomy=anatomy or context.anatomy, punctures=plan.punctures, rate=RATE,
        cirrhosis=cirrhosis,
    )  # fmt: skip


def rules(found):
    return {finding.rule for finding in found.findings}


@pytest.mark.requirement("C-SPREAD-SCENE")
def test_the_scene_holds_the_lesion_its_deposits_and_the_liver_around_it(context):
    scene = derive(context, give(context, volume_ml=1.0)).scene
    sphere_ml = 4 / 3 * np.pi * LESION_RADIUS_MM**3 / 1000
    assert scene.tumour_ml == pytest.approx(sphere_ml, rel=0.03)
    assert scene.spacing_mm >= read_grid_limits()["grid_spacing"].number
    assert np.prod(scene.grid.shape) <= read_grid_limits()["grid_cells_max"].number
    low, high = scene.grid.bounds_lps_mm
    margin = read_grid_limits()["grid_margin"].number
    assert (low <= LESION_CENTRE_LPS_MM - LESION_RADIUS_MM - margin + 4.0).all()
    assert (high >= LESION_CENTRE_LPS_MM + LESION_RADIUS_MM + margin - 4.0).all()
    assert (scene.classes == SpreadTissue.LIVER).any() and not (scene.classes == SpreadTissue.CIRRHOSIS).any()
    cirrhotic = derive(context, give(context), cirrhosis=True).scene
    assert (cirrhotic.classes == SpreadTissue.CIRRHOSIS).any() and not (
        cirrhotic.classes == SpreadTissue.LIVER
    ).any()


@pytest.mark.requirement("C-SPREAD-SCENE")
def test_the_depth_of_liver_behind_a_tip_is_the_one_along_the_needle(context):
    (site,) = derive(context, give(context)).scene.sites
    # Closed form: where the ray from the lesion's centre to the entry leaves the liver's ellipsoid.
    centre, radii = np.array([-65.0, -5.0, 0.0]), np.array([80.0, 85.0, 75.0])
    way = site.back / radii
    start = (LESION_CENTRE_LPS_MM - centre) / radii
    a, b, c = way @ way, 2 * way @ start, start @ start - 1
    exact = (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)
    assert site.liver_depth_mm == pytest.approx(exact, abs=2.0 + SAMPLING_MM)


@pytest.mark.requirement("C-SPREAD-SCENE")
def test_deposits_come_in_the_order_they_are_given_and_a_fan_is_drawn_back_from_its_pivot(context):
    plan = give(context, points=[LESION_CENTRE_LPS_MM, LESION_CENTRE_LPS_MM + np.array([2.0, 0, 0])])
    (puncture,) = plan.punctures
    turned = replace(
        puncture, tracks=(replace(puncture.tracks[0], deposits=puncture.tracks[0].deposits[::-1]),)
    )
    assert [d.deposit.order for d in list_deposits([turned], lesion_id="L1")] == [1, 2]
    assert list_deposits([turned], lesion_id="L2") == ()
    pivot = LESION_CENTRE_LPS_MM + np.array([0.0, -25.0, 0.0])
    fan = list_deposits([replace(puncture, pivot_lps_mm=pivot)], lesion_id="L1")[0]
    back = fan.entry_lps_mm - LESION_CENTRE_LPS_MM
    assert np.allclose(back / np.linalg.norm(back), [0, -1, 0])
    assert np.linalg.norm(back) == pytest.approx(25.0 + np.linalg.norm(puncture.entry_lps_mm - pivot))


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_a_volume_of_nothing_is_not_simulated_and_says_so(context):
    spread = predict(context, give(context, volume_ml=0.0))
    (lesion,) = spread.lesions
    assert isinstance(lesion.outcome, NotEvaluable) and "0 mL" in lesion.outcome.reason
    assert "spread.not_applicable" in rules(lesion)


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_the_page_says_how_much_of_the_planned_volume_the_deposits_hold(context):
    predicted = predict(context, give(context, volume_ml=2.0))
    assert derive_spread_view(predicted).lesions[0].planned.startswith("2.00 mL in ")
    (lesion,) = predicted.lesions
    more = replace(lesion, injection=replace(lesion.injection, volume_ml=100.0))
    view = derive_spread_view(replace(predicted, lesions=(more,)))
    assert view.lesions[0].planned.startswith("2.00 mL of the planned 100.00 mL in ")


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_a_hundred_millilitres_into_one_centimetre_give_no_number(context, phantom):
    small = ellipsoid(phantom.volume.grid, LESION_CENTRE_LPS_MM, [5.0, 5.0, 5.0])
    mask = Mask.from_full(small, grid=phantom.volume.grid)
    plan = give(context, volume_ml=100.0)
    plan = replace(plan, lesions=(replace(plan.lesions[0], mask=mask, volume_ml=mask.volume_ml),))
    (lesion,) = predict(context, plan).lesions
    assert isinstance(lesion.outcome, NotEvaluable) and "100 mL" in lesion.outcome.reason
    assert "spread.not_applicable" in rules(lesion)
    text = str(to_spread_document(predict(context, plan), plan=plan, manifest=context.manifest)["lesions"][0])
    assert "not_evaluable" in text and "retained_fraction" not in text


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_a_tip_outside_the_tumour_is_told_and_one_outside_the_liver_gives_no_number(context):
    beside = give(context, points=[LESION_CENTRE_LPS_MM + np.array([0.0, -24.0, 0.0])], volume_ml=0.5)
    found = derive(context, beside)
    assert "spread.tip_outside_tumour" in rules(found)
    outside = give(context, points=[LESION_CENTRE_LPS_MM + np.array([0.0, -75.0, 0.0])], volume_ml=0.5)
    (lesion,) = predict(context, outside).lesions
    assert "spread.tip_outside_tumour" in rules(lesion)
    assert isinstance(lesion.outcome, NotEvaluable)


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_a_lesion_at_a_vessel_and_one_at_the_capsule_are_told_and_a_tip_in_the_vessel_gives_no_number(
    context, phantom
):
    grid = phantom.volume.grid
    vessel = ellipsoid(grid, LESION_CENTRE_LPS_MM + np.array([LESION_RADIUS_MM, 0, 0]), [6.0, 6.0, 30.0])
    source = StructureSource(
        kind=StructureKind.HEPATIC_VEIN, origin=Origin.LABELLED, names=("vein",), source="test"
    )
    anatomy = context.anatomy.with_structures([(source, Mask.from_full(vessel, grid=grid))])
    found = derive(context, give(context), anatomy=anatomy)
    assert "spread.touches_vessel" in rules(found) and "spread.touches_capsule" not in rules(found)
    inside = give(context, points=[LESION_CENTRE_LPS_MM + np.array([LESION_RADIUS_MM, 0, 0])], volume_ml=0.5)
    (lesion,) = predict(context, inside, anatomy=anatomy).lesions
    assert isinstance(lesion.outcome, NotEvaluable) and "vessel" in lesion.outcome.reason
    at_edge = ellipsoid(grid, (-65.0, -82.0, 0.0), [10.0] * 3)
    near = replace(context.plan.lesions[0], mask=Mask.from_full(at_edge, grid=grid))
    plan = give(context, points=[(-65.0, -82.0, 0.0)], volume_ml=0.2)
    assert "spread.touches_capsule" in rules(derive(context, plan, lesions=(near,)))


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_side_holes_of_unknown_places_are_not_guessed(context):
    needle = replace(context.plan.punctures[0].needle, holes="multi-side")
    (lesion,) = predict(context, give(context, needle=needle)).lesions
    assert isinstance(lesion.outcome, NotEvaluable) and "not set" in lesion.outcome.reason


@pytest.mark.requirement("C-SPREAD-RATE")
def test_the_rate_is_the_stated_one_else_the_protocols_else_asked_for():
    bare = read_protocol("tvec-label")
    stated = find_rate(SpreadRequest(rate_ml_per_min=0.5), bare)
    assert stated.number == 0.5 and stated.unverified
    with pytest.raises(NotSetError, match="--rate"):
        find_rate(SpreadRequest(), bare)
    text = b"""extends = "tvec-liver-escalation"
name = "a"
title = "a"
[injection.rate]
value = 0.25
unit = "ml_per_min"
source = "test"
status = "unverified"
"""
    protocol = Protocol.from_toml(text, where="a.toml")
    assert find_rate(SpreadRequest(), protocol).number == 0.25
    assert protocol.injection_rate in tuple(protocol.evidence)


@pytest.mark.requirement("C-SPREAD-RATE")
@pytest.mark.parametrize(
    "changes", [{"draws": 0}, {"seed": -1}, {"rate_ml_per_min": 0.0}, {"rate_ml_per_min": float("nan")}]
)
def test_impossible_requests_are_refused(changes):
    with pytest.raises(InputError):
        SpreadRequest(**changes)


def test_a_request_survives_its_manifest():
    for request in (SpreadRequest(draws=7, seed=3), SpreadRequest(rate_ml_per_min=0.3)):
        assert SpreadRequest.from_parameters(request.parameters) == request


def test_cirrhosis_is_what_the_facts_say():
    assert is_cirrhotic(PatientFacts(cirrhosis=True)) is True
    assert is_cirrhotic(PatientFacts(chronic_liver_disease=True)) is None
    assert is_cirrhotic(PatientFacts.from_mapping({"chronic_liver_disease": False})) is False


@pytest.fixture(scope="module")
def predicted(context):
    """A prediction with a card, in a context that writers take."""
    plan = give(context, volume_ml=1.0)
    spread = predict(
        context, plan, draws=3, make_card=lambda rows, draws, outcome: make_test_card(rows, outcome)
    )
    return replace(context, plan=plan, spread=spread)


def make_test_card(rows, outcome):
    """A card as the injection model makes it."""
    said = Evidence(key="question", value="How much?", source="test", status=EvidenceStatus.DERIVED)
    level = Evidence(key="model_influence", value="low", source="test", status=EvidenceStatus.UNVERIFIED)
    low = Evidence(
        key="k_low", value=1e-15, unit="m2_per_pa_s", source="a paper", status=EvidenceStatus.VERIFIED
    )
    high = replace(low, key="k_high", value=1e-13, source="a guess", status=EvidenceStatus.UNVERIFIED)
    anchor = SimpleNamespace(
        key="swine_leak", measured=Evidence(key="swine_leak", value="leaks more at 10 mL/h", source="a swine", status=EvidenceStatus.VERIFIED),
        system="swine liver", criterion="more leak", predicted="less leak", agreeing=1, draws=3, not_evaluable=0,
        independent=True, agrees=lambda goal: goal.number <= 1 / 3,
    )  # fmt: skip
    check = Finding(rule="spread.cleft", severity=Severity.WARNING, message="A cleft opens.")
    return SimpleNamespace(
        question=said, context_of_use=said, risk=SimpleNamespace(influence=level, consequence=level, level="low"),
        verification=rows, anchors=(anchor,), anchor_goal=Evidence(key="goal", value=0.5, unit="fraction"),
        parameters=(SimpleNamespace(name="viable_conductivity", low=low, high=high, drawn="evenly in the logarithm",
                                    correlation=-0.4, status=EvidenceStatus.UNVERIFIED),),
        applicability=(SimpleNamespace(finding=check, share_fraction=0.5),), not_evaluable={"sealed": 1},
        draws=outcome.draws, limits=(said,), tables={"spread_tissue.toml": "0" * 64},
    )  # fmt: skip


@pytest.mark.requirement("C-SPREAD-CARD")
def test_the_card_stands_in_the_order_of_the_standard_with_every_status_and_every_failure(predicted):
    (lesion,) = predicted.spread.lesions
    document = to_card_document(lesion.card)
    assert list(document)[1:8] == [
        "question_of_interest", "context_of_use", "model_risk", "verification", "validation", "parameters", "applicability",
    ]  # fmt: skip
    assert document["validation"]["anchors"][0]["agrees"] is False
    sections = derive_card(lesion.card)
    titles = [section.title.split(":")[0] for section in sections]
    assert titles == [
        "Question of interest", "Context of use", "Model risk", "Verification", "Validation", "Parameters",
        "Applicability to this run", "What is left out",
    ]  # fmt: skip
    text = to_html(
        derive_plan_view(predicted), PictureBook().draw(predicted, progress=SILENT), spread={"L1": {}}
    )
    for words in ("DISAGREES", "evenly in the logarithm", "m²/(Pa s)", "A cleft opens.", "1 did not: sealed"):
        assert words in text, words


@pytest.mark.requirement("C-SPREAD-CARD")
def test_a_failed_analytic_case_shows_on_the_page(predicted):
    bad = VerificationRow.compare("B1", "pressure", expected=1.0, computed=2.0, tolerance=0.01)
    view = derive_spread_view(replace(predicted.spread, verification=(bad,)))
    assert not view.verified and view.verification.startswith("0 of 1")


@pytest.mark.requirement("C-SPREAD-VOLUMES")
def test_the_covered_voxels_of_the_scan_are_those_whose_centre_reads_half_or_more(predicted):
    (lesion,) = predicted.spread.lesions
    grid = predicted.image.volume.grid
    mask = derive_covered_mask(lesion, grid=grid)
    scene, share = lesion.site.scene, lesion.outcome.coverage_probability
    inside = mask.to_full()
    around = np.argwhere(inside)
    rng = np.random.default_rng(5)
    for index in np.concatenate([around[rng.integers(len(around), size=40)], around[:20] - 2]):
        place = scene.grid.to_index(grid.to_lps_mm(index))
        base = np.floor(place).astype(int)
        value = 0.0
        for corner in np.ndindex(2, 2, 2):
            at = base + corner
            weight = np.prod(np.where(np.array(corner) == 1, place - base, 1 - (place - base)))
            if (at >= 0).all() and (at < scene.grid.shape).all():
                value += weight * share[tuple(at)]
        assert inside[tuple(index)] == (value >= 0.5)


@pytest.mark.requirement("C-SPREAD-VOLUMES")
def test_written_volumes_read_back_as_the_prediction(predicted, tmp_path):
    names = SpreadVolumeWriter().write_plan(predicted, tmp_path, progress=SILENT)
    assert names == ("spread_L1_coverage.nii.gz", "spread_L1_concentration.nii.gz")
    (lesion,) = predicted.spread.lesions
    read = nibabel.load(tmp_path / names[1])
    assert np.allclose(np.asarray(read.dataobj), lesion.outcome.expected_per_ml, rtol=1e-6)
    assert b"simulated" in bytes(read.header["descrip"])
    first = (tmp_path / names[0]).read_bytes()
    SpreadVolumeWriter().write_plan(predicted, tmp_path, progress=SILENT)
    assert (tmp_path / names[0]).read_bytes() == first


@pytest.mark.requirement("C-SPREAD-PAGE")
def test_pictures_show_three_planes_a_histogram_and_space_and_one_not_applicable_shows_why(
    predicted, context
):
    pictures = PictureBook().draw_spread(predicted, progress=SILENT)
    assert list(pictures["L1"]) == ["axial", "coronal", "sagittal", "histogram", "space"]
    assert all(
        picture.png.startswith(b"\x89PNG") and "L1" in picture.alt for picture in pictures["L1"].values()
    )
    plan = give(context, volume_ml=0.0)
    empty = replace(context, plan=plan, spread=predict(context, plan))
    assert PictureBook().draw_spread(empty, progress=SILENT) == {"L1": {}}
    text = to_html(derive_plan_view(empty), PictureBook().draw(empty, progress=SILENT), spread={"L1": {}})
    assert "not applicable" in text and "no deposit above 0 mL" in text


@pytest.mark.requirement("C-SPREAD-OUTPUTS")
def test_the_mean_concentration_holds_what_stays_in_the_tissue(predicted):
    (lesion,) = predicted.spread.lesions
    outcome, scene = lesion.outcome, lesion.site.scene
    held = float(outcome.expected_per_ml.sum()) * scene.grid.voxel_volume_ml
    given = lesion.injection.dose
    assert 0 < held <= given * (1 + 1e-6)


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_backup_is_simulated_with_the_first_of_the_same_draws(context):
    plan = give(context, volume_ml=0.5)
    backup = replace(plan.punctures[0], puncture_id="P1b")
    spread = predict(context, replace(plan, backups=(backup,)), draws=8)
    (other,) = spread.alternatives
    assert (other.puncture_id, other.lesion_id, other.draws) == ("P1b", "L1", 2)
    # The same needle under the same two draws: what a run of these draws alone gives.
    alone = predict(context, replace(plan, backups=(backup,)), draws=8).alternatives[0]
    assert other.outcome.retained == alone.outcome.retained
    assert predict(context, replace(plan, backups=()), draws=2).alternatives == ()
    document = to_spread_document(spread, plan=plan, manifest=context.manifest)
    assert document["alternatives"][0]["draws_run"] == 2
    Draft202012Validator(read_spread_schema()).validate(document)
    assert derive_spread_view(spread).alternatives[0].startswith("P1b to L1, 2 draws")


@pytest.mark.requirement("C-SPREAD-EDGES")
def test_a_band_of_few_draws_is_called_what_it_is_and_nothing_is_said_twice(context):
    (lesion,) = predict(context, give(context, volume_ml=0.5), draws=2).lesions
    said = [finding.rule for finding in lesion.findings]
    assert "spread.few_draws" in said and len(said) == len(set(said))


@pytest.mark.requirement("C-SPREAD-RATE")
@pytest.mark.parametrize("rate", [0.0, -1.0, 1e-9, 1e6, float("nan"), float("inf")])
def test_a_rate_that_no_injection_has_is_a_typing_error(rate):
    with pytest.raises(InputError, match="mL/min"):
        SpreadRequest(rate_ml_per_min=rate)
