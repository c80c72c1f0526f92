"""Whatever the planner finds, plan.json follows its schema and reads back."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom import make_context, make_puncture

from hepatica.anatomy.structures import StructureKind
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.planning.eligibility.values import Answer, CriterionAnswer
from hepatica.planning.path.values import Clearance, LesionPath, Run, SkinBlock, TissueClass
from hepatica.planning.plan import PlanStatus
from hepatica.workflows.plan_document import from_plan_document, read_plan_schema, to_plan_document

CONTEXT = make_context()
VALIDATOR = jsonschema.Draft202012Validator(read_plan_schema())

words = st.text(min_size=1, max_size=12)
reasons = st.builds(NotEvaluable, reason=words)
lengths = st.floats(0.01, 400)
amounts = st.floats(0, 50)
shares = st.floats(0, 1)
points = st.lists(st.floats(-900, 900), min_size=3, max_size=3).map(np.array)
statuses = st.sampled_from(EvidenceStatus)
kinds = st.sampled_from(StructureKind)
findings = st.builds(
    Finding,
    rule=words,
    severity=st.sampled_from(Severity),
    message=words,
    measured=st.one_of(words, amounts),
    limit=st.one_of(words, amounts),
    unit=words,
    source=words,
    status=st.none() | statuses,
    subject=words,
)
clearances = st.builds(
    Clearance,
    kind=kinds,
    clearance_mm=reasons | st.floats(-5, 90),
    margin_mm=amounts,
    run_out_mm=reasons | st.floats(-5, 90),
    derived=st.booleans(),
    status=statuses,
)
runs = st.builds(
    Run,
    from_mm=amounts,
    to_mm=amounts,
    tissue=st.sampled_from(TissueClass),
    structure=st.none() | kinds,
    mean_hu=st.floats(-1024, 3071),
)
blocks = st.builds(SkinBlock, limit=words, blocked_fraction=shares, only_fraction=shares, only_cm2=amounts)


@st.composite
def lesions(draw, name):
    base = CONTEXT.plan.lesions[0]
    diameter = replace(
        base.longest_diameter, length_mm=draw(lengths), ends_lps_mm=np.stack([draw(points)] * 2)
    )
    return replace(
        base,
        lesion_id=name,
        label=draw(words),
        longest_diameter=diameter,
        short_axis=draw(reasons | st.just(base.short_axis)),
        liver_fraction=draw(reasons | shares),
        liver_fraction_uncertainty=draw(reasons | shares),
        volume_uncertainty_ml=draw(amounts),
        distance_to_capsule_mm=draw(reasons | lengths),
        depth_mm=draw(reasons | lengths),
        is_new=draw(st.none() | st.booleans()),
        prior_id=draw(st.none() | words),
    )


@st.composite
def injections(draw, name):
    base = CONTEXT.plan.allocation.injections[0]
    volume_ml = draw(amounts)
    return replace(
        base,
        lesion_id=name,
        volume_ml=volume_ml,
        dose=draw(reasons | st.floats(0, 1e12)),
        dose_unit=draw(st.sampled_from(["pfu", "vp", "mg", "ml"])),
        undelivered_ml=volume_ml * draw(shares),
        reason=draw(words),
        rank=draw(st.integers(0, 9)),
        status=draw(statuses),
    )


@st.composite
def punctures(draw, name, lesion_id):
    base = make_puncture(name, draw(points), lesion_id=lesion_id, volume_ml=draw(amounts))
    return replace(
        base,
        in_plane_angle_deg=draw(reasons | st.floats(-180, 180)),
        capsule_angle_deg=draw(reasons | st.floats(0, 90)),
        craniocaudal_angle_deg=draw(st.floats(-90, 90)),
        clearances=tuple(draw(st.lists(clearances, max_size=3))),
        runs=tuple(draw(st.lists(runs, max_size=3))),
        findings=tuple(draw(st.lists(findings, max_size=2))),
    )


@st.composite
def plans(draw):
    names = [f"L{n}" for n in range(1, draw(st.integers(0, 3)) + 1)]
    given_lesions = [draw(lesions(name)) for name in names]
    allocation = replace(
        CONTEXT.plan.allocation,
        injections=tuple(draw(injections(n)) for n in names),
        total_ml=draw(amounts),
        ceiling_ml=draw(st.none() | amounts),
        vials=draw(reasons | st.integers(0, 40)),
        findings=tuple(draw(st.lists(findings, max_size=2))),
    )
    chosen = [draw(punctures(f"P{n}", name)) for n, name in enumerate(names) if draw(st.booleans())]
    paths = tuple(
        LesionPath(
            lesion_id=name,
            best=next((p for p in chosen if name in p.lesion_ids), None),
            backup=None,
            blocks=tuple(draw(st.lists(blocks, max_size=2))),
            examined_paths=draw(st.integers(0, 10**9)),
        )
        for name in names
    )
    answers = st.builds(
        CriterionAnswer,
        criterion=words,
        answer=st.sampled_from(Answer),
        measured=words,
        limit=words,
        reason=words,
        source=words,
        status=statuses,
    )
    return replace(
        CONTEXT.plan,
        status=draw(st.sampled_from(PlanStatus)),
        visit=draw(st.integers(1, 99)),
        lesions=tuple(given_lesions),
        allocation=allocation,
        allocation_all=allocation,
        paths=paths,
        punctures=tuple(chosen),
        backups=(),
        eligibility=tuple(draw(st.lists(answers, max_size=2))),
        findings=tuple(draw(st.lists(findings, max_size=3))),
        patient_position=draw(reasons | st.sampled_from(["HFS", "FFDL"])),
    )


@pytest.mark.requirement("A-plan-json")
@settings(deadline=None, max_examples=40, derandomize=True)
@given(plans())
def test_any_plan_follows_the_schema_and_reads_back_to_six_decimals(plan):
    document = to_plan_document(
        plan, manifest=CONTEXT.manifest, anatomy=CONTEXT.anatomy, image_facts=CONTEXT.image.facts
    )
    text = json.dumps(document, allow_nan=False)
    parsed = json.loads(text)
    VALIDATOR.validate(parsed)
    assert json.dumps(parsed) == text
    prior = from_plan_document(parsed)
    assert [lesion.lesion_id for lesion in prior.lesions] == [lesion.lesion_id for lesion in plan.lesions]
    for lesion, source in zip(prior.lesions, plan.lesions, strict=True):
        assert abs(lesion.longest_diameter_mm - source.longest_diameter.length_mm) <= 5e-7
    for track, puncture in zip(prior.tracks, plan.punctures, strict=True):
        assert np.abs(track.entry_lps_mm - puncture.entry_lps_mm).max() <= 5e-7
    for dose, injection in zip(prior.doses, plan.allocation.injections, strict=True):
        given_ml = injection.volume_ml - injection.undelivered_ml
        assert abs(dose.volume_ml - given_ml) <= 1e-6  # two numbers of six decimals
        assert (dose.dose is None) == isinstance(injection.dose, NotEvaluable)
