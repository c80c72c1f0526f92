"""plan.json: names, numbers, honesty about what cannot be judged, and the way back."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from dicomout_series import make_small_context
from phantom import make_context

from hepatica.core.errors import NonFiniteError, SourceFormatError
from hepatica.core.findings import NotEvaluable
from hepatica.core.provenance import derive_uid
from hepatica.workflows.plan_document import from_plan_document, read_plan_schema, to_plan_document

TOP_NAMES = {
    "schema_version",
    "plan_id",
    "status",
    "missing_structures",
    "visit",
    "protocol",
    "lesions",
    "injections",
    "allocation_all",
    "punctures",
    "backups",
    "paths",
    "eligibility",
    "structures",
    "findings",
    "frame_of_reference",
    "patient_position",
    "manifest",
}
"""Names the product promises; written out by hand from the promise, not from the code."""
LESION_NAMES = {
    "id",
    "longest_diameter_mm",
    "longest_diameter_ends_lps_mm",
    "short_axis_mm",
    "volume_ml",
    "tracking_uid",
    "longest_diameter_3d_mm",
    "volume_uncertainty_ml",
    "liver_fraction",
    "centroid_lps_mm",
    "distance_to_capsule_mm",
    "depth_mm",
    "neighbours",
    "viable",
    "is_new",
    "prior_id",
}
INJECTION_NAMES = {"lesion_id", "volume_ml", "dose_pfu", "undelivered_ml", "rule", "source"}
PUNCTURE_NAMES = {
    "id",
    "entry_lps_mm",
    "length_mm",
    "clearance_mm",
    "runs",
    "in_plane_angle_deg",
    "craniocaudal_angle_deg",
    "capsule_angle_deg",
    "tracks",
}


def make_document(context, **options):
    return to_plan_document(
        context.plan,
        manifest=context.manifest,
        anatomy=context.anatomy,
        image_facts=context.image.facts,
        **options,
    )


def validate(document):
    jsonschema.Draft202012Validator(read_plan_schema()).validate(document)
    return json.loads(json.dumps(document, allow_nan=False))


@pytest.fixture(scope="module")
def context():
    return make_context()


@pytest.mark.requirement("A-plan-json")
def test_the_document_has_the_promised_names_and_follows_the_published_schema(context):
    document = validate(make_document(context))
    assert set(document) >= TOP_NAMES
    assert set(document["lesions"][0]) >= LESION_NAMES
    assert set(document["injections"][0]) >= INJECTION_NAMES
    assert set(document["punctures"][0]) >= PUNCTURE_NAMES
    assert set(document["punctures"][0]["tracks"][0]) == {"tip_lps_mm", "length_mm", "turn_deg", "deposits"}
    assert set(document["punctures"][0]["tracks"][0]["deposits"][0]) >= {
        "point_lps_mm",
        "volume_ml",
        "lesion_id",
    }


@pytest.mark.requirement("A-plan-json")
def test_the_numbers_of_the_document_are_those_of_the_plan(context):
    document = make_document(context)
    lesion, puncture = document["lesions"][0], document["punctures"][0]
    assert lesion["longest_diameter_mm"] == 36.0
    assert lesion["longest_diameter_ends_lps_mm"] == [[-78.0, -20.0, 10.0], [-42.0, -20.0, 10.0]]
    assert lesion["centroid_lps_mm"] == pytest.approx([-60.0, -20.0, 10.0])
    assert puncture["entry_lps_mm"] == [-150.0, -60.0, 10.0]
    assert puncture["length_mm"] == pytest.approx((90**2 + 40**2) ** 0.5, abs=1e-6)
    assert puncture["clearance_mm"] == {"bowel": 31.2, "lung": 42.0}
    assert [d["volume_ml"] for d in puncture["tracks"][0]["deposits"]] == [1.0, 1.0]
    assert document["injections"][0]["dose_pfu"] == 2e6
    assert (document["status"], document["patient_position"]) == ("not_cleared", "HFS")
    kinds = {s["kind"]: s["origin"] for s in document["structures"]}
    assert kinds["liver"] == "labelled"
    assert list(kinds)[:3] == ["body", "liver", "lesion"]


@pytest.mark.requirement("A-plan-json")
def test_what_cannot_be_judged_is_an_object_with_a_reason_never_zero_or_null(context):
    reason = NotEvaluable(reason="strength is not set")
    injection = replace(context.plan.allocation.injections[0], dose=reason)
    lesion = replace(context.plan.lesions[0], short_axis=reason, liver_fraction=reason, depth_mm=reason)
    puncture = context.plan.punctures[0]
    unknown = replace(puncture.clearances[0], clearance_mm=reason, run_out_mm=reason)
    puncture = replace(puncture, in_plane_angle_deg=reason, clearances=(unknown,))
    plan = replace(
        context.plan,
        lesions=(lesion,),
        punctures=(puncture,),
        patient_position=reason,
        allocation=replace(context.plan.allocation, injections=(injection,), vials=reason),
    )
    document = validate(make_document(replace(context, plan=plan)))
    expected = {"not_evaluable": "strength is not set"}
    for value in (
        document["injections"][0]["dose_pfu"],
        document["injections"][0]["dose"],
        document["allocation"]["vials"],
        document["lesions"][0]["short_axis_mm"],
        document["lesions"][0]["short_axis_ends_lps_mm"],
        document["lesions"][0]["liver_fraction"],
        document["lesions"][0]["depth_mm"],
        document["patient_position"],
        document["punctures"][0]["in_plane_angle_deg"],
        document["punctures"][0]["clearance_mm"]["bowel"],
        document["punctures"][0]["clearances"][0]["run_out_mm"],
    ):
        assert value == expected
    assert document["lesions"][0]["viable"] == {"not_evaluable": "one phase only"}
    assert from_plan_document(document).doses[0].dose is None


def test_an_agent_not_counted_in_plaques_has_no_dose_in_plaque_forming_units(context):
    injection = replace(context.plan.allocation.injections[0], dose=2e10, dose_unit="vp")
    plan = replace(context.plan, allocation=replace(context.plan.allocation, injections=(injection,)))
    document = validate(make_document(replace(context, plan=plan)))["injections"][0]
    assert (document["dose"], document["dose_unit"]) == (2e10, "vp")
    assert document["dose_pfu"] == {"not_evaluable": "the agent is measured in vp"}


def test_a_viable_part_is_described_by_its_three_volumes():
    viable = validate(make_document(make_small_context()))["lesions"][0]["viable"]
    assert viable["low_ml"] == viable["middle_ml"] == viable["high_ml"] > 0
    assert (viable["origin"], viable["residual_mm"]) == ("derived, not reviewed", None)


@pytest.mark.requirement("A-dicom-tracking")
def test_a_lesion_keeps_its_tracking_uid_from_plan_to_plan_and_a_new_one_gets_its_own(context):
    first = from_plan_document(make_document(context))
    again = replace(context.plan.lesions[0], lesion_id="L2", prior_id="L1", is_new=False)
    fresh = replace(context.plan.lesions[0], lesion_id="L1", prior_id=None, is_new=True)
    stray = replace(context.plan.lesions[0], lesion_id="L3", prior_id="L9")
    later = replace(context.manifest, parameters={"visit": 2})
    plan = replace(context.plan, visit=2, lesions=(fresh, again, stray))
    document = make_document(
        replace(context, plan=plan, manifest=later), prior_tracking_uids=first.tracking_uids
    )
    uids = {entry["id"]: entry["tracking_uid"] for entry in document["lesions"]}
    assert uids["L2"] == derive_uid(context.manifest.run_id, "lesion", "L1")
    assert uids["L1"] == derive_uid(later.run_id, "lesion", "L1")
    assert uids["L3"] == derive_uid(later.run_id, "lesion", "L3")
    assert len(set(uids.values())) == 3


@pytest.mark.requirement("A-plan-json")
def test_the_same_plan_gives_the_same_text_wherever_its_files_lie(context):
    moved = replace(context.manifest, sources={"ct": "elsewhere/ct.nii.gz"}, outputs={"plan.json": "0" * 64})
    texts = {json.dumps(make_document(replace(context, manifest=m))) for m in (context.manifest, moved)}
    assert len(texts) == 1


def test_negative_zero_and_last_bits_do_not_reach_the_document(context):
    puncture = replace(context.plan.punctures[0], craniocaudal_angle_deg=-1e-12, length_mm=0.1 + 0.2)
    document = make_document(replace(context, plan=replace(context.plan, punctures=(puncture,))))
    assert str(document["punctures"][0]["craniocaudal_angle_deg"]) == "0.0"
    assert document["punctures"][0]["length_mm"] == 0.3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_and_not_written(context, bad):
    lesion = replace(context.plan.lesions[0], depth_mm=bad)
    with pytest.raises(NonFiniteError):
        make_document(replace(context, plan=replace(context.plan, lesions=(lesion,))))


@pytest.mark.requirement("A-plan-json")
def test_the_schema_refuses_an_unknown_name_a_missing_one_and_an_invented_null(context):
    validator = jsonschema.Draft202012Validator(read_plan_schema())
    validator.check_schema(read_plan_schema())
    document = make_document(context)
    for change in (
        lambda d: d.update(patient_name="x"),
        lambda d: d.pop("findings"),
        lambda d: d["lesions"][0].update(short_axis_mm=None),
        lambda d: d["injections"][0].update(dose_pfu="much"),
        lambda d: d["punctures"][0]["clearance_mm"].update(tail=1.0),
        lambda d: d["punctures"][0]["entry_lps_mm"].append(1.0),
        lambda d: d.update(status="fine"),
    ):
        broken = copy.deepcopy(document)
        change(broken)
        assert not validator.is_valid(broken)


@pytest.mark.requirement("A-plan-json")
def test_every_number_of_the_schema_says_its_unit_or_that_it_is_a_share_or_count():
    schema = read_plan_schema()
    words = (
        "mm",
        "mL",
        "degrees",
        "HU",
        "cm2",
        "share",
        "uncertainty of the share",
        "dose_unit",
        "Plaque",
        "in unit",
        "Weight",
        "smaller is better",
        "Share",
    )

    def walk(name, node):
        if not isinstance(node, dict):
            return
        if node.get("type") == "number" and "description" in node:
            assert any(word in node["description"] for word in words), name
        for key, child in node.get("properties", {}).items():
            assert (
                "description" in child or "$ref" in child or child.get("type") == "array" or "oneOf" in child
            ), key
            walk(key, child)
        walk(name, node.get("items"))

    walk("plan", schema)
    for name, definition in schema["$defs"].items():
        walk(name, definition)


@pytest.mark.requirement("A-prior-plan")
def test_a_prior_plan_gives_back_lesions_doses_and_tracks(context):
    prior = from_plan_document(json.loads(json.dumps(make_document(context))))
    assert (prior.plan_id, prior.visit, prior.frame_of_reference) == ("2.25.42", 1, "2.25.1234567890")
    (lesion,), (dose,), (track,) = prior.lesions, prior.doses, prior.tracks
    assert (lesion.lesion_id, lesion.longest_diameter_mm) == ("L1", 36.0)
    assert np.allclose(lesion.centroid_lps_mm, context.plan.lesions[0].mask.centroid_lps_mm)
    assert (dose.lesion_id, dose.volume_ml, dose.dose, dose.dose_unit) == ("L1", 2.0, 2e6, "pfu")
    assert np.allclose(track.entry_lps_mm, context.plan.punctures[0].entry_lps_mm)
    assert np.allclose(track.tip_lps_mm, context.plan.punctures[0].tracks[0].tip_lps_mm)
    assert track.plan_id == "2.25.42"
    with pytest.raises(ValueError, match="read-only"):
        lesion.centroid_lps_mm[0] = 0.0


def _set(path, value):
    def change(document):
        node = document
        for key in path[:-1]:
            node = node[key]
        if value is ...:
            del node[path[-1]]
        else:
            node[path[-1]] = value

    return change


@pytest.mark.requirement("A-prior-plan")
@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_set(["schema_version"], "2.0"), "schema_version"),
        (_set(["schema_version"], ...), "schema_version"),
        (_set(["plan_id"], ""), "plan_id"),
        (_set(["visit"], True), "visit"),
        (_set(["visit"], 0), "visit"),
        (_set(["lesions"], {}), "lesions"),
        (_set(["lesions", 0], "L1"), r"lesions\[0\]"),
        (_set(["lesions", 0, "tracking_uid"], "1.2; rm"), "tracking_uid"),
        (_set(["lesions", 0, "centroid_lps_mm"], [1.0, 2.0]), "centroid_lps_mm"),
        (_set(["lesions", 0, "centroid_lps_mm"], [1.0, 2.0, 1e9]), "centroid_lps_mm"),
        (_set(["lesions", 0, "longest_diameter_mm"], float("nan")), "longest_diameter_mm"),
        (_set(["lesions", 0, "longest_diameter_mm"], 10**400), "longest_diameter_mm"),
        (_set(["lesions", 0, "longest_diameter_mm"], -3), "longest_diameter_mm"),
        (_set(["injections", 0, "lesion_id"], "L7"), "lesion_id"),
        (_set(["injections", 0, "dose"], None), "dose"),
        (_set(["injections", 0, "volume_ml"], "2"), "volume_ml"),
        (_set(["punctures", 0, "entry_lps_mm"], None), "entry_lps_mm"),
        (_set(["punctures", 0, "tracks", 0, "tip_lps_mm"], [0, 0, "z"]), "tip_lps_mm"),
        (_set(["frame_of_reference"], 5), "frame_of_reference"),
    ],
)
def test_a_damaged_prior_plan_is_refused_with_the_place_of_the_damage(context, change, where):
    document = json.loads(json.dumps(make_document(context)))
    change(document)
    with pytest.raises(SourceFormatError, match=where):
        from_plan_document(document)


@pytest.mark.parametrize("junk", [None, [], "plan", 3, {}])
def test_json_that_is_no_plan_is_refused(junk):
    with pytest.raises(SourceFormatError, match=r"prior plan\.json"):
        from_plan_document(junk)


def test_two_lesions_of_one_name_are_refused(context):
    document = make_document(context)
    document["lesions"].append(document["lesions"][0])
    with pytest.raises(SourceFormatError, match="twice"):
        from_plan_document(document)
