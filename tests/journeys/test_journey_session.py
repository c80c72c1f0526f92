"""A plan opened again: made again it is the same; asked about other limits it answers as a fresh plan would."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, write_phantom
from phantom import make_phantom
from shared_plans import SECOND_LESION_LPS_MM

from hepatica.bootstrap import make_plan_ports
from hepatica.core.errors import GeometryError, InputError, ReplayMismatchError, SourceFormatError
from hepatica.core.progress import SILENT
from hepatica.core.provenance import Manifest
from hepatica.planning.dose.protocol import read_protocol
from hepatica.planning.path.scene import build_scene
from hepatica.workflows.plan_case import plan_prepared
from hepatica.workflows.plan_document import to_plan_document
from hepatica.workflows.plan_session import PlanSession, open_plan_session
from hepatica.workflows.reopen_plan import reopen_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("session")
    phantom = make_phantom(spacing_mm=(6.0, 6.0, 8.0))
    case = write_phantom(base / "case", phantom=phantom, extra_lesion_lps_mm=SECOND_LESION_LPS_MM)
    run = call_hepatica(*plan_arguments(case, base / "plan", "--json"))
    assert run.status == 0, run.err
    assert len(run.document["punctures"]) == 2
    return base / "plan"


@pytest.fixture(scope="module")
def opened(folder):
    return reopen_plan(folder, ports=make_plan_ports())


def to_document(opened, planned):
    """The document of a plan as it would be written with the manifest of the opened one."""
    parts = {key: opened.manifest[key] for key in ("command", "code_version", "inputs", "tables", "seed")}
    manifest = Manifest(
        **parts,
        run_time=datetime.fromisoformat(opened.manifest["run_time"]),
        sources=opened.manifest["sources"],
        parameters=opened.manifest["parameters"],
        libraries=opened.manifest["libraries"],
    )
    document = to_plan_document(
        planned.plan,
        manifest=manifest,
        anatomy=planned.anatomy,
        image_facts=opened.case.image.facts,
        prior_tracking_uids=planned.prior_tracking_uids,
    )
    return json.loads(json.dumps(document))


def plan_anew(opened, limits, *, case=None):
    """A plan in a scene built from scratch, with nothing kept."""
    scene = opened.prepared.scene
    built = build_scene(
        scene.volume,
        scene.anatomy,
        lesions=scene.lesions,
        gravity_lps=scene.gravity_lps,
        limits=limits,
        needle=scene.needle,
        prior_tracks=scene.prior_tracks,
    )
    prepared = replace(opened.prepared, scene=built)
    planned = plan_prepared(
        case or opened.case, prepared, run_id=str(opened.manifest["run_id"]), progress=SILENT
    )
    return to_document(opened, planned)


@pytest.mark.requirement("B-reopen")
def test_a_plan_opened_again_and_made_again_equals_what_was_written(opened):
    assert to_document(opened, opened.plan_again()) == opened.document


@pytest.mark.requirement("B-reopen")
def test_a_changed_input_or_plan_is_refused_with_its_code(folder, tmp_path):
    ports = make_plan_ports()
    copy = tmp_path / "plan"
    shutil.copytree(folder, copy)
    shutil.copytree(folder.parent / "case", tmp_path / "case")
    manifest = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(manifest.replace(str(folder.parent), str(tmp_path)))
    document = (copy / "plan.json").read_text()
    (copy / "plan.json").write_text(document.replace('"visit": 1', '"visit": 2', 1))
    with pytest.raises(ReplayMismatchError) as refusal:
        reopen_plan(copy, ports=ports)
    assert refusal.value.code == "replay_mismatch" and "plan.json" in str(refusal.value)
    (copy / "plan.json").write_text(document)
    names = tmp_path / "case" / "names.csv"
    before = names.read_bytes()
    names.write_bytes(before + b"99,unused\n")
    with pytest.raises(ReplayMismatchError) as refusal:
        reopen_plan(copy, ports=ports)
    assert refusal.value.code == "replay_mismatch" and "plan.json" not in str(refusal.value)
    names.write_bytes(before)
    assert reopen_plan(copy, ports=ports).document == json.loads(document)


@pytest.mark.requirement("B-session-equal")
def test_every_answer_of_a_session_equals_a_fresh_plan(folder, opened):
    session = open_plan_session(folder, ports=make_plan_ports())
    assert to_document(opened, session.replan().planned) == opened.document
    for values in ({"margin_lung": 9.0}, {"margin_bone": 4.0}, {"margin_lung": 2.0, "weight_tilt": 1.0}, {}):
        session.change_limits(values)
        answer = session.replan()
        limits = answer.planned.scene.limits
        assert all(limits[key].number == value for key, value in values.items())
        assert to_document(opened, answer.planned) == plan_anew(opened, limits), values
    assert to_document(opened, answer.planned) == opened.document


@pytest.mark.requirement("B-session-equal")
def test_another_protocol_is_answered_as_a_fresh_plan_would(opened):
    session = PlanSession(opened)
    session.change_protocol(opened.case.protocol, visit=2)
    answer = session.replan().planned
    case = replace(opened.case, request=replace(opened.case.request, visit=2))
    assert to_document(opened, answer) == plan_anew(opened, opened.prepared.scene.limits, case=case)
    assert answer.plan.visit == 2
    other = read_protocol("tvec-label")
    session.change_protocol(other, visit=1)
    assert to_document(opened, session.replan().planned) == opened.document


@pytest.mark.requirement("B-session-check")
def test_a_moved_tip_is_measured_like_the_plans_own_path(opened):
    session = PlanSession(opened)
    planned = opened.plan_again().plan.punctures[0]
    volume_ml = sum(deposit.volume_ml for deposit in planned.tracks[0].deposits)
    ends = {"entry_lps_mm": planned.entry_lps_mm, "lesion_id": planned.lesion_ids[0]}
    answer = session.check_path(**ends, tip_lps_mm=planned.tracks[0].tip_lps_mm, volume_ml=volume_ml)
    assert [(c.kind, c.clearance_mm) for c in answer.puncture.clearances] == [
        (c.kind, c.clearance_mm) for c in planned.clearances
    ]
    assert answer.puncture.runs == planned.runs
    assert answer.puncture.needle == planned.needle
    assert answer.puncture.capsule_angle_deg == planned.capsule_angle_deg
    assert answer.puncture.risk.tip_in_target == planned.risk.tip_in_target
    moved = session.check_path(**ends, tip_lps_mm=np.add(planned.tracks[0].tip_lps_mm, [0.0, 0.0, 60.0]))
    assert "path.tip_in_target" in {finding.rule for finding in moved.findings}
    assert session.is_stale(answer) and not session.is_stale(moved)
    assert moved.sequence == answer.sequence + 1


@pytest.mark.requirement("B-session-bounded")
def test_a_session_says_what_it_holds_and_stays_within_its_bound(opened):
    session = PlanSession(opened, most_bytes=1)
    session.replan()
    small = session.count_bytes()
    roomy = PlanSession(opened)
    roomy.replan()
    assert 0 < small < roomy.count_bytes()
    held = roomy.count_bytes()
    roomy.change_limits({"margin_lung": 9.0})
    roomy.replan()
    assert roomy.count_bytes() <= 2 * held


@pytest.mark.requirement("B-session-refuses")
@pytest.mark.parametrize(
    "values",
    [
        {"margin_nothing": 1.0},
        {"margin_lung": -1.0},
        {"margin_lung": np.nan},
        {"margin_lung": "wide"},
        {"margin_lung": None},
        {"skin_spacing": 4.0},
        # Nothing can be divided by these, and a search steps by some of them.
        {"deposit_spacing": 0.0},
        {"deposit_spacing": 1e-6},
        {"deposit_max": 0.0},
        {"deposit_tissue_share": 0.0},
        {"skin_sample_spacing": 0.0},
        {"alternative_patch": 0.0},
        {"target_sample": 0.0},
        {"target_depth_share": 5.0},
        # A field so wide fills any memory.
        {"margin_bone": 1e6},
    ],
    ids=str,
)
def test_limits_that_cannot_be_changed_are_refused(opened, values):
    with pytest.raises(InputError):
        PlanSession(opened).change_limits(values)


FAR_MM = 10_000.0
"""As far as a page may ask: a field around such a path fills any memory."""


@pytest.mark.requirement("B-session-refuses")
@pytest.mark.parametrize("end", ["entry_lps_mm", "tip_lps_mm"])
@pytest.mark.parametrize(
    "spoil", [lambda p: np.add(p, FAR_MM), lambda p: np.full(3, np.nan), lambda p: p[:2]]
)
def test_a_path_with_an_end_outside_the_scan_is_refused(opened, end, spoil):
    path = opened.document["punctures"][0]
    ends = {"entry_lps_mm": path["entry_lps_mm"], "tip_lps_mm": path["tracks"][0]["tip_lps_mm"]}
    with pytest.raises(GeometryError):
        PlanSession(opened).check_path(lesion_id="L1", **{**ends, end: spoil(ends[end])})


CHANGES = {
    "absent": ["heart"], "placement": "stereotactic", "position": "HFP", "seed": 2, "rate_ml_per_min": 2.0,
}  # fmt: skip
"""What decides the plan's values, and the spread's, without being an input file."""


@pytest.mark.requirement("B-reopen")
@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_with_other_parameters_is_refused(folder, tmp_path, name):
    copy = _copy_with(folder, tmp_path, lambda manifest: manifest["parameters"].update({name: CHANGES[name]}))
    with pytest.raises(ReplayMismatchError):
        reopen_plan(copy, ports=make_plan_ports())


@pytest.mark.requirement("B-reopen")
def test_a_manifest_of_another_run_or_of_none_is_refused(folder, tmp_path):
    for number, change in enumerate([{"run_id": "0"}, {"run_id": None}, {"command": "spread"}]):
        copy = _copy_with(
            folder, tmp_path / str(number), lambda manifest, change=change: manifest.update(change)
        )
        with pytest.raises(ReplayMismatchError):
            reopen_plan(copy, ports=make_plan_ports())
    copy = _copy_with(folder, tmp_path / "without", lambda manifest: manifest.pop("run_id"))
    with pytest.raises(ReplayMismatchError):
        reopen_plan(copy, ports=make_plan_ports())


@pytest.mark.parametrize(
    "values", [{"visit": float("inf")}, {"position": 5}, {"seed": float("inf")}], ids=str
)
def test_a_manifest_with_parameters_of_another_kind_is_refused_as_none(folder, tmp_path, values):
    copy = _copy_with(folder, tmp_path, lambda manifest: manifest["parameters"].update(values))
    with pytest.raises(SourceFormatError):
        reopen_plan(copy, ports=make_plan_ports())


def _copy_with(folder, tmp_path, change):
    copy = tmp_path / "plan"
    shutil.copytree(folder, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy
