"""Placement risk on its way into plan.json, the sheet and the manifest."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from phantom import make_context
from placement_scenes import declare_all, make_model, make_puncture, make_slab_scene

from hepatica.adapters.reports.view import derive_plan_view
from hepatica.core.errors import InputError, NotFoundError
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.progress import SILENT
from hepatica.planning.path.placement_error import simulate_placement
from hepatica.workflows.plan_document import read_plan_schema, to_plan_document
from hepatica.workflows.read_case import read_case
from hepatica.workflows.request import LabelInput, PlanRequest


def simulate(scene, status, seed=5):
    puncture = make_puncture((30, 4, 50), (42, 50, 50), stops_mm=(0.0, 5.0))
    model = make_model(status, in_plane=9.0, depth=3.0)
    risk = simulate_placement(puncture, scene, model=model, draws=2000, rng=np.random.default_rng(seed))
    return replace(puncture, risk=replace(risk, seed=seed))


def with_puncture(context, puncture):
    return replace(context, plan=replace(context.plan, punctures=(puncture,), backups=()))


@pytest.fixture(scope="module")
def context():
    return make_context()


@pytest.fixture(scope="module")
def scene():
    return make_slab_scene()


def to_document(context):
    return to_plan_document(
        context.plan, manifest=context.manifest, anatomy=context.anatomy, image_facts=context.image.facts
    )


@pytest.mark.requirement("B-risk-shown")
def test_plan_json_holds_every_chance_with_its_error_and_follows_the_schema(context, scene):
    puncture = simulate(scene, EvidenceStatus.UNVERIFIED)
    document = to_document(with_puncture(context, puncture))
    jsonschema.Draft202012Validator(read_plan_schema()).validate(document)
    risk, found = puncture.risk, document["punctures"][0]["risk"]
    assert (found["model"], found["draws"], found["seed"]) == ("test", 2000, 5)
    assert (found["lower_bound"], found["unverified"]) == (True, True)
    assert found["p_touch"]["bowel"]["p"] == risk.structures[0].touched.probability > 0
    assert (
        found["p_touch"]["bowel"]["low"] < found["p_touch"]["bowel"]["p"] < found["p_touch"]["bowel"]["high"]
    )
    assert found["p_tip_in_target"]["standard_error"] == pytest.approx(
        risk.tip_in_target.standard_error, abs=1e-6
    )
    assert [d["p_in_target"]["p"] for d in found["deposits"]] == [
        d.in_target.probability for d in risk.deposits
    ]
    assert found["expected_ml_in_target"]["mean_ml"] == pytest.approx(risk.expected_in_target.mean_ml)
    assert {s["name"]: s["sigma_mm"] for s in found["sigmas"]}["in_plane"] == 9.0


def test_a_puncture_without_simulation_has_no_risk_in_plan_json(context):
    assert all("risk" not in puncture for puncture in to_document(context)["punctures"])


@pytest.mark.requirement("B-risk-shown")
def test_sheet_and_report_say_lower_bound_and_unverified_only_where_they_are(context, scene):
    open_plan = with_puncture(context, simulate(scene, EvidenceStatus.UNVERIFIED))
    view = derive_plan_view(open_plan).punctures[0].risk
    assert view.bound == "lower bound" and view.title.unverified
    known = with_puncture(context, simulate(declare_all(scene), EvidenceStatus.VERIFIED))
    view = derive_plan_view(known).punctures[0]
    assert view.risk.bound == "" and not view.risk.title.unverified
    chances = known.plan.punctures[0].risk.deposits
    assert [stop.chance for stop in view.stops] == [f"{100 * d.in_target.probability:.0f} %" for d in chances]
    assert "2\u00a0000 needles" in view.risk.title.text
    sources = [row.text for row in derive_plan_view(known).sources]
    assert "test" in sources
    assert asdict(view)["risk"]["expected"].endswith("of 1.00 mL")


REQUEST = PlanRequest(
    image=Path("/ct"), labels=(LabelInput(path=Path("/l")),), protocol="tvec-label", visit=1
)


@pytest.mark.requirement("B-risk-seed")
def test_the_manifest_keeps_seed_and_placement_and_older_ones_are_still_read():
    request = replace(REQUEST, seed=7, placement="stereotactic")
    document = {"sources": request.sources, "parameters": request.parameters}
    again = PlanRequest.from_manifest(document, where="test")
    assert (again.seed, again.placement) == (7, "stereotactic")
    older = {k: v for k, v in request.parameters.items() if k not in ("seed", "placement")}
    read = PlanRequest.from_manifest({**document, "parameters": older}, where="test")
    assert (read.seed, read.placement) == (1, "freehand")


def test_an_unknown_placement_or_a_negative_seed_is_refused_before_anything_is_read():
    with pytest.raises(NotFoundError, match="freehand, stereotactic"):
        read_case(replace(REQUEST, placement="magic"), ports=None, progress=SILENT)
    with pytest.raises(InputError, match="--seed"):
        read_case(replace(REQUEST, seed=-1), ports=None, progress=SILENT)
