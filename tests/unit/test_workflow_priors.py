"""Earlier plans: whose dose is whose, and which plan may count as earlier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from phantom import make_context

from hepatica.workflows.align_priors import check_prior_visits, derive_given_ml
from hepatica.workflows.prior_plan import PriorDose, PriorLesion, PriorPlan
from hepatica.workflows.read_priors import PriorCase
from hepatica.workflows.request import LabelInput, PlanRequest


def _plan(visit: int, volumes_ml: dict[str, tuple[str, float]]) -> PriorCase:
    """Make a plan with (tracking UID, mL) by lesion id."""
    plan = PriorPlan(
        plan_id=f"1.{visit}",
        visit=visit,
        frame_of_reference=None,
        lesions=tuple(
            PriorLesion(
                lesion_id=name, tracking_uid=uid, centroid_lps_mm=np.zeros(3), longest_diameter_mm=20.0
            )
            for name, (uid, _) in volumes_ml.items()
        ),
        doses=tuple(
            PriorDose(lesion_id=name, volume_ml=ml, dose=ml, dose_unit="ml")
            for name, (_, ml) in volumes_ml.items()
        ),
        tracks=(),
    )
    return PriorCase(plan=plan, liver=None, reason="")


@pytest.fixture(scope="module")
def lesion():
    return make_context().plan.lesions[0]


@pytest.mark.requirement("A-prior")
def test_what_was_given_follows_the_tracking_uid_also_where_names_changed_between_visits(lesion):
    first = _plan(1, {"L1": ("2.25.1", 1.0), "L2": ("2.25.2", 0.5)})
    second = _plan(2, {"L1": ("2.25.2", 0.25), "L2": ("2.25.1", 2.0)})
    today = [replace(lesion, lesion_id="L1", prior_id="L2")]
    uids = second.plan.tracking_uids
    assert derive_given_ml([first, second], lesions=today, tracking_uids=uids) == {"L1": 3.0}


@pytest.mark.requirement("A-prior")
def test_a_lesion_matched_with_an_older_plan_keeps_that_plans_history(lesion):
    """The latest plan could not be aligned; its names must not be read with the older plan's."""
    first = _plan(1, {"L1": ("2.25.1", 1.0)})
    second = _plan(2, {"L1": ("2.25.9", 4.0)})
    today = [replace(lesion, lesion_id="L1", prior_id="L1")]
    uids = first.plan.tracking_uids
    assert derive_given_ml([first, second], lesions=today, tracking_uids=uids) == {"L1": 1.0}


@pytest.mark.requirement("A-prior")
def test_a_plan_that_is_not_earlier_or_comes_twice_is_told():
    plans = [_plan(visit, {}) for visit in (1, 1, 3)]
    found = {(f.rule, f.subject) for f in check_prior_visits(plans, visit=3)}
    assert found == {("prior.not_earlier", "visit 3"), ("prior.visit_twice", "visit 1")}
    assert check_prior_visits([_plan(1, {}), _plan(2, {})], visit=3) == ()


@pytest.mark.requirement("A-replay")
def test_a_request_survives_its_manifest_with_more_than_ten_of_everything():
    request = PlanRequest(
        image=Path("/scans/ct"),
        labels=tuple(LabelInput(path=Path(f"/labels/{n}"), names="totalsegmentator-v2") for n in range(12)),
        protocol="tvec-label",
        visit=13,
        priors=tuple(Path(f"/plans/{n}") for n in range(12)),
        absent=("ducts", "gallbladder"),
        arterial=Path("/scans/arterial"),
        facts=Path("/facts.json"),
    )
    manifest = {"sources": request.sources, "parameters": request.parameters}
    assert PlanRequest.from_manifest(manifest, where="test") == request
