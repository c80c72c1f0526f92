from dataclasses import replace

import numpy as np
import pytest
from spread_scenes import make_scene

from hepatica.core.errors import InputError
from hepatica.core.evidence import EvidenceStatus
from hepatica.planning.spread.anchor_values import AnchorResult
from hepatica.planning.spread.anchors import (
    CurveShape,
    check_anchors,
    classify_curve,
    find_onset_kpa,
    read_anchors,
)
from hepatica.planning.spread.card import (
    Level,
    ModelRisk,
    Spacing,
    assemble_card,
    list_parameters,
    read_card_table,
    read_model_risk,
)
from hepatica.planning.spread.member import Draw
from hepatica.planning.spread.simulate import draw_members, simulate_spread
from hepatica.planning.spread.tissue import (
    KPA_PER_MMHG,
    derive_parameters,
    read_limits,
    read_uncertain_inputs,
)
from hepatica.planning.spread.verification import VerificationRow

GOOD = VerificationRow.compare("B1", "x", expected=1.0, computed=1.001, tolerance=0.01)
BAD = VerificationRow.compare("B2", "y", expected=1.0, computed=1.1, tolerance=0.01)


def draw(count, seed=5):
    return draw_members(count, deposits=1, rng=np.random.default_rng(seed))


@pytest.fixture(scope="module")
def anchors():
    return {result.key: result for result in check_anchors(draw(40))}


@pytest.mark.requirement("C-CARD")
def test_the_card_of_a_run_holds_every_step_of_the_standard_from_evidence(anchors):
    outcome = simulate_spread(make_scene(cells=24), draws=draw(3), strength_per_ml=1e8, threshold_per_ml=1e6)
    card = assemble_card(verification=(GOOD,), anchors=anchors.values(), outcome=outcome)
    table = read_card_table()
    assert card.question == table["question"] and card.context_of_use == table["context_of_use"]
    assert "not for treatment" in str(card.context_of_use.value).lower()
    assert card.verification == (GOOD,) and card.verified
    assert len(card.anchors) == 8 and card.draws == 3
    assert [row.share_fraction for row in card.applicability] == sorted(
        (share for _, share in outcome.findings), reverse=True
    )
    assert {row.finding for row in card.applicability} == {finding for finding, _ in outcome.findings}
    assert {entry.key for entry in card.limits} == {e.key for e in table if e.key.startswith("limit_")}
    assert all(len(digest) == 64 for digest in card.tables.values()) and len(card.tables) == 4


@pytest.mark.requirement("C-CARD")
def test_every_parameter_on_the_card_shows_value_range_source_and_the_weaker_status():
    rows = {row.name: row for row in list_parameters()}
    assert set(rows) == set(read_uncertain_inputs()) | set(read_limits().entries)
    for row in rows.values():
        assert row.low.source and row.high.source and row.low.unit == row.high.unit
        assert row.low.number <= row.high.number
        assert (row.drawn is Spacing.FIXED) == (row.low.number == row.high.number)
    assert rows["viable_conductivity"].drawn is Spacing.LOGARITHM
    assert rows["viable_conductivity"].status is EvidenceStatus.VERIFIED
    # One end derived, the other a working default: the weaker one counts.
    assert rows["track_gap"].high.status is EvidenceStatus.DERIVED
    assert rows["track_gap"].status is EvidenceStatus.UNVERIFIED
    card = assemble_card(verification=(), anchors=())
    assert "track_gap" in card.unverified and "viable_conductivity" not in card.unverified


@pytest.mark.requirement("C-CARD")
def test_a_failed_case_or_no_case_at_all_is_not_a_verified_card():
    assert not assemble_card(verification=(GOOD, BAD), anchors=()).verified
    assert not assemble_card(verification=(), anchors=()).verified


@pytest.mark.requirement("C-CARD")
@pytest.mark.parametrize(
    ("influence", "consequence", "risk"),
    [("low", "low", "low"), ("low", "high", "high"), ("medium", "low", "medium"), ("high", "medium", "high")],
)
def test_model_risk_is_the_larger_of_influence_and_consequence(influence, consequence, risk):
    known = read_model_risk()
    given = ModelRisk(
        influence=replace(known.influence, value=influence), consequence=replace(known.consequence, value=consequence)
    )  # fmt: skip
    assert given.level is Level(risk)
    with pytest.raises(InputError, match="low, medium, high"):
        replace(known, influence=replace(known.influence, value="none"))


@pytest.mark.requirement("C-ANCHORS")
def test_measured_anchors_are_verified_evidence_and_what_was_not_seen_says_so(anchors):
    assert set(anchors) == {
        *(f"{kind}_{name}" for kind in ("threshold", "shape") for name in ("b16f10", "4t1", "u87")),
        "swine_leak", "swine_intact",
    }  # fmt: skip
    for result in anchors.values():
        assert result.measured.status is EvidenceStatus.VERIFIED and result.measured.source
        assert result.draws + result.not_evaluable == 40
    table = read_anchors()
    for key in ("leak_volume", "needle_radius", "needle_depth", "tumour_radius", "onset_ratio"):
        assert table[key].unverified
    assert (
        not anchors["threshold_4t1"].independent
        and anchors["shape_4t1"].independent
        and anchors["swine_leak"].independent
    )


@pytest.mark.requirement("C-ANCHORS")
def test_the_share_of_draws_that_reach_a_threshold_is_that_of_the_closed_form(anchors):
    # Onset is the tissue's own pressure plus the threshold, both drawn evenly: counted here without the source.
    inputs = read_uncertain_inputs()
    factor = read_anchors()["onset_ratio"].number
    onsets = [
        (inputs["viable_interstitial_pressure"].take(d.shares["viable_interstitial_pressure"])
        + inputs["threshold_pressure"].take(d.shares["threshold_pressure"])) / KPA_PER_MMHG
        for d in draw(40)
    ]  # fmt: skip
    for key in ("b16f10", "4t1", "u87"):
        result = anchors[f"threshold_{key}"]
        want = sum(result.measured.number / factor <= p <= result.measured.number * factor for p in onsets)
        assert result.agreeing == want


@pytest.mark.requirement("C-ANCHORS")
def test_an_experiment_the_model_cannot_reach_is_reported_as_failed_and_not_left_out(anchors):
    # Conductivity that only rises with pressure gives no bell: the model as it stands misses the 4T1 tumour.
    assert anchors["shape_4t1"].fraction == 0.0
    assert anchors["shape_b16f10"].fraction == 1.0
    card = assemble_card(verification=(GOOD,), anchors=anchors.values())
    assert "shape_4t1" in {result.key for result in card.failed_anchors}
    assert len(card.anchors) == 8


@pytest.mark.requirement("C-ANCHORS")
def test_a_faster_injection_leaks_more_in_swine_liver_and_the_share_of_draws_is_shown(anchors):
    leak = anchors["swine_leak"]
    assert leak.fraction > 0.9 and "1 mL/h" in leak.predicted and "10 mL/h" in leak.predicted
    intact = anchors["swine_intact"]
    assert intact.draws == 40 and "without a cleft in" in intact.predicted


@pytest.mark.requirement("C-ANCHORS")
def test_a_curve_is_read_from_its_flows_and_a_source_that_never_flows_has_no_onset():
    assert classify_curve(np.array([0.0, 0.0, 1.0, 2.0])) is CurveShape.RISES
    assert classify_curve(np.array([0.0, 2.0, 1.0])) is CurveShape.RISES_AND_FALLS
    assert classify_curve(np.zeros(3)) is CurveShape.NONE
    from hepatica.planning.spread.anchors import _to_mouse

    source = _to_mouse(derive_parameters(), read_anchors())
    sealed = replace(source, parameters=replace(source.parameters, threshold_pressure_kpa=1e3))
    assert find_onset_kpa(sealed) == float("inf")
    rest = source.values.interstitial_pressure_kpa
    assert find_onset_kpa(source) == pytest.approx(rest + source.parameters.threshold_pressure_kpa, rel=1e-6)


def test_an_anchor_without_a_draw_agrees_with_nothing():
    goal = read_card_table()["anchor_goal"]
    empty = AnchorResult(
        key="x", measured=goal, system="", criterion="", predicted="", agreeing=0, draws=0, not_evaluable=3, independent=True
    )  # fmt: skip
    assert empty.fraction == 0.0 and not empty.agrees(goal)
    assert [r.draws for r in check_anchors((Draw(shares={}),))] == [1] * 8
