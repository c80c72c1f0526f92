"""The plan's ranking of deposit patterns: its own stops beside what its needles would also allow."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from phantom import LESION_CENTRE_LPS_MM, make_context

from hepatica.adapters.reports.pattern_view import derive_pattern_views
from hepatica.bootstrap import read_schema
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT
from hepatica.planning.dose.protocol import read_protocol
from hepatica.planning.eligibility.facts import PatientFacts
from hepatica.planning.path.values import Deposit, Track
from hepatica.planning.spread.patterns import Layout
from hepatica.planning.spread.rank_patterns import measure_difference
from hepatica.workflows.pattern_document import to_pattern_document
from hepatica.workflows.rank_plan_patterns import rank_plan_patterns
from hepatica.workflows.spread_request import SpreadRequest

CPU_BAR_S = 1.0
"""What the ranking of one lesion may take with 100 draws."""
STEP_MM = 4.0


@pytest.fixture(scope="module")
def context():
    """The phantom's plan with two stops of 0.5 mL along one track."""
    context = make_context()
    (puncture,) = context.plan.punctures
    entry = np.asarray(puncture.entry_lps_mm, float)
    tip = np.asarray(LESION_CENTRE_LPS_MM, float)
    back = (entry - tip) / np.linalg.norm(entry - tip)
    deposits = tuple(
        Deposit(point_lps_mm=tip + n * STEP_MM * back, volume_ml=0.5, lesion_id="L1", order=n + 1)
        for n in range(2)
    )
    puncture = replace(puncture, tracks=(Track(tip_lps_mm=tip, deposits=deposits),))
    injection = replace(context.plan.allocation.injections[0], volume_ml=1.0, undelivered_ml=0.0)
    allocation = replace(context.plan.allocation, injections=(injection,))
    return replace(context, plan=replace(context.plan, punctures=(puncture,), allocation=allocation))


def rank(context, *, rate=1.0, seed=1, punctures=None):
    case = SimpleNamespace(
        request=SimpleNamespace(rate_request=SpreadRequest(rate_ml_per_min=rate), seed=seed),
        protocol=read_protocol("tvec-label"),
        facts=PatientFacts(),
    )
    return rank_plan_patterns(
        case,
        context.plan.allocation,
        punctures=context.plan.punctures if punctures is None else punctures,
        lesions=context.plan.lesions,
        anatomy=context.anatomy,
        progress=SILENT,
    )


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_plans_own_stops_are_ranked_beside_fewer_and_more(context):
    (found,) = rank(context)
    rows = found.ranking.ranked
    counts = {row.pattern.deposits for row in rows}
    assert {1, 2, 3} <= counts
    own = found.planned_row
    assert own.pattern.layout is Layout.PULL_BACK and own.pattern.deposits == 2
    assert own.pattern.spacing_mm == pytest.approx(STEP_MM)
    assert sum(row.pattern is found.planned for row in rows) == 1
    expected = [row.expected_fraction for row in rows]
    assert expected == sorted(expected, reverse=True)
    for row in rows:
        assert 0 <= row.retained.low <= row.retained.middle <= row.retained.high <= 1
        assert row.pattern.volume_ml * row.pattern.deposits == pytest.approx(1.0)


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_other_stops_stay_inside_the_lesion(context):
    (found,) = rank(context)
    mask = context.plan.lesions[0].mask
    for row in found.ranking.ranked:
        for site in row.pattern.sites:
            at = tuple(np.rint(mask.grid.to_index(site.tip_lps_mm)).astype(int))
            assert mask.to_full()[at], row.pattern.words


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_a_ranking_takes_less_than_a_second_of_processor_time(context):
    rank(context)
    before = time.process_time()
    rank(context)
    assert time.process_time() - before < CPU_BAR_S


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_without_a_rate_nothing_is_ranked_and_the_plan_says_why(context):
    (found,) = rank(context, rate=None)
    assert isinstance(found.ranking, NotEvaluable) and "--rate" in found.ranking.reason
    document = to_pattern_document(found)
    assert document["ranking"] == {"not_evaluable": found.ranking.reason}
    (view,) = derive_pattern_views(replace(context.plan, patterns=(found,)))
    assert view.not_applicable == found.ranking.reason and view.rows == ()


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_document_follows_its_schema_and_names_the_plans_own_pattern(context):
    (found,) = rank(context)
    document = to_pattern_document(found)
    schema = json.loads(read_schema("plan"))
    Draft202012Validator({"$ref": "#/$defs/lesion_patterns", "$defs": schema["$defs"]}).validate(document)
    assert sum(row["planned"] for row in document["ranking"]) == 1
    suggested = document["ranking"][document["suggested"]]
    assert suggested["deposits"] == found.ranking.suggested.pattern.deposits
    assert document["draws"] == 100 and document["unverified_inputs"]


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_same_seed_gives_the_same_ranking_and_another_seed_other_draws(context):
    first, again, other = (to_pattern_document(rank(context, seed=seed)[0]) for seed in (1, 1, 2))
    assert first == again and first["ranking"] != other["ranking"]


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_report_shows_the_suggestion_and_the_plans_own_pattern(context):
    (view,) = derive_pattern_views(replace(context.plan, patterns=rank(context)))
    notes = [row.note for row in view.rows]
    assert sum("the plan" in note for note in notes) == 1
    assert sum("suggested" in note for note in notes) == 1
    assert "Suggested: " in view.lead and view.unverified


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_a_needle_with_side_holes_of_unknown_place_is_not_ranked(context):
    (puncture,) = context.plan.punctures
    holes = replace(puncture, needle=replace(puncture.needle, holes="side"))
    (found,) = rank(context, punctures=(holes,))
    assert isinstance(found.ranking, NotEvaluable) and "side holes" in found.ranking.reason


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_report_says_how_surely_the_suggestion_beats_the_plans_own_pattern(context):
    (found,) = rank(context)
    own, best = found.planned_row, found.ranking.suggested
    band, share = measure_difference(best, own)
    more = best.kept_fraction - own.kept_fraction
    assert (band.low, band.middle, band.high) == pytest.approx(np.percentile(more, (5, 50, 95)))
    assert share == np.mean(more > 0) and more.mean() == pytest.approx(
        best.expected_fraction - own.expected_fraction
    )
    (view,) = derive_pattern_views(replace(context.plan, patterns=(found,)))
    if best is own:
        assert "is the suggested one" in view.difference
    else:
        assert f"{100 * band.low:+.0f} to {100 * band.high:+.0f}" in view.difference
        assert ("does not tell the two apart" in view.difference) == (band.low <= 0 <= band.high)
    other = next(row for row in found.ranking.ranked if row is not best)
    turned = replace(found, ranking=replace(found.ranking, suggested=other if best is own else best))
    (view,) = derive_pattern_views(replace(context.plan, patterns=(turned,)))
    assert "percentage points on average" in view.difference
