"""Patient facts, the second phase, and an earlier plan in another frame, through the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import nibabel
import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, to_ras, write_phantom
from dicom_cases import COARSE_MM, study_arguments, write_study
from phantom import LESION_CENTRE_LPS_MM, ellipsoid, make_phantom
from scan_files import make_affine, rotate

from hepatica.core.geometry import Grid

DEMO_FACTS = resources.files("hepatica.resources.demo").joinpath("facts-simulated.json")


@pytest.fixture(scope="module")
def two_phases(tmp_path_factory):
    """The phantom with the demo's facts and an arterial phase in which a rim of the tumour enhances."""
    folder = tmp_path_factory.mktemp("phases")
    phantom = make_phantom(spacing_mm=COARSE_MM)
    case = write_phantom(folder / "case", phantom=phantom)
    grid = phantom.volume.grid
    arterial = np.array(phantom.volume.values)
    arterial[phantom.anatomy.select("liver")] = 70
    arterial[phantom.lesion.to_full()] = 130
    core = ellipsoid(grid, LESION_CENTRE_LPS_MM, [9.0] * 3)
    arterial[core] = 40
    file = folder / "arterial.nii.gz"
    nibabel.save(nibabel.Nifti1Image(arterial, to_ras(grid.lps_from_ijk)), file)
    more = ("--arterial", file, "--tumour-type", "hcc", "--patient", DEMO_FACTS, "--json")
    run = call_hepatica(*plan_arguments(case, folder / "plan", *more))
    assert run.status == 0, run.err
    return case, run.document


PASSED = {
    "age_min": "64 years", "pregnancy": "absent", "immunocompromise": "absent", "antivirals": "absent",
    "anticoagulants": "absent", "allergy_to_agent": "absent", "bleeding_inr": "1.2 ratio", "bleeding_platelets":
    "142 1e9_per_l", "bleeding_inr_liver_disease": "1.2 ratio", "bleeding_platelets_liver_disease": "142 1e9_per_l",
}  # fmt: skip


@pytest.mark.requirement("A-eligibility-journey")
def test_the_facts_of_the_demo_pass_what_they_say_and_leave_unknown_what_they_do_not(two_phases):
    answers = {item["criterion"]: item for item in two_phases[1]["eligibility"]}
    assert {name: item["answer"] for name, item in answers.items()} == {
        **dict.fromkeys(PASSED, "pass"), "bleeding_fibrinogen_liver_disease": "unknown",
    }  # fmt: skip
    for name, measured in PASSED.items():
        assert answers[name]["measured"].startswith(measured)


@pytest.mark.requirement("A-eligibility-journey")
def test_facts_that_break_a_criterion_fail_it_by_name_and_the_plan_is_still_made(two_phases, tmp_path):
    facts = json.loads(DEMO_FACTS.read_text())
    facts["labs"]["inr"]["value"], facts["immune_state"] = 1.9, "compromised"
    file = tmp_path / "facts.json"
    file.write_text(json.dumps(facts))
    run = call_hepatica(*plan_arguments(two_phases[0], tmp_path / "plan", "--patient", file, "--json"))
    assert run.status == 0, run.err
    answers = {item["criterion"]: item["answer"] for item in run.document["eligibility"]}
    assert {name for name, answer in answers.items() if answer == "fail"} == {
        "immunocompromise",
        "bleeding_inr",
    }
    assert answers["bleeding_inr_liver_disease"] == "pass"
    assert run.document["punctures"]


@pytest.mark.requirement("A-viable-journey")
def test_a_lesion_that_a_label_calls_wholly_necrotic_is_not_injected_and_the_plan_says_why(tmp_path):
    phantom = make_phantom(spacing_mm=COARSE_MM)
    case = write_phantom(tmp_path / "case", phantom=phantom)
    file, names = tmp_path / "dead.nii.gz", tmp_path / "dead.csv"
    dead = phantom.lesion.to_full().astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(dead, to_ras(phantom.volume.grid.lps_from_ijk)), file)
    names.write_text("1,necrosis\n")
    more = ("--labels", file, "--names", names, "--rate", 1, "--spread", "--spread-draws", 2, "--json")
    run = call_hepatica(*plan_arguments(case, tmp_path / "plan", *more))
    assert run.status == 0, run.err
    assert run.document["punctures"] == [] and run.document["backups"] == []
    (given,) = run.document["injections"]
    assert given["volume_ml"] == 0 and "necrosis covers the whole lesion" in given["reason"]
    assert "lesions.all_necrotic" in {finding["rule"] for finding in run.document["findings"]}
    told = (tmp_path / "plan" / "report.html").read_text()
    assert "so no path was searched" in told and "can be reached" not in told


@pytest.mark.requirement("A-viable-journey")
def test_two_phases_and_a_tumour_type_give_the_viable_part(two_phases):
    lesion = two_phases[1]["lesions"][0]
    viable = lesion["viable"]
    assert viable["origin"] == "derived, not reviewed" and "hcc" in viable["method"]
    assert 0 < viable["low_ml"] <= viable["middle_ml"] <= viable["high_ml"] <= lesion["volume_ml"]
    assert viable["low_ml"] > lesion["volume_ml"] / 2  # the dead core is an eighth of it
    assert "lesions.viable" in {finding["rule"] for finding in two_phases[1]["findings"]}


TURN_DEG, SHIFT_MM = (0.0, 2.0, 3.0), np.array([7.0, -5.0, 9.0])
"""Between two visits the patient lies a little otherwise."""
ALIGNED_MM = 4.0
"""Two thirds of a coarse voxel: what two livers on 6 x 6 x 8 mm voxels can be aligned to."""
SAME_TRACK_MM = 6.0
"""The side of a coarse voxel: an entry within it would be the old one."""


def _move(phantom, *, frame):
    """The same torso, moved, scanned in a frame of its own; an extra lesion has grown."""
    move = make_affine((1.0, 1.0, 1.0), tuple(SHIFT_MM), rotate(TURN_DEG))
    old = phantom.volume.grid
    grid = Grid(shape=old.shape, lps_from_ijk=move @ old.lps_from_ijk, frame_of_reference=frame)
    volume = replace(phantom.volume, grid=grid)
    anatomy = replace(phantom.anatomy, grid=grid)
    return replace(phantom, volume=volume, anatomy=anatomy, lesion=replace(phantom.lesion, grid=grid)), move


@pytest.mark.requirement("A-prior-other-frame")
def test_an_earlier_plan_in_another_frame_is_aligned_liver_to_liver(tmp_path):
    phantom = make_phantom(spacing_mm=COARSE_MM)
    first_case = write_study(tmp_path / "first", phantom=phantom)
    first = call_hepatica(*study_arguments(first_case, tmp_path / "plan1", "--json"))
    assert first.status == 0, first.err
    moved, move = _move(phantom, frame="2.25.4321")
    second_case = write_study(tmp_path / "second", phantom=moved, series_uid="2.25.12", study_uid="2.25.13")
    arguments = study_arguments(second_case, tmp_path / "plan2", "--prior", tmp_path / "plan1", "--json")
    arguments[arguments.index("--visit") + 1] = 2
    second = call_hepatica(*arguments)
    assert second.status == 0, second.err
    registered = [f for f in second.document["findings"] if f["rule"] == "prior.registered"]
    assert len(registered) == 1 and registered[0]["measured"] < ALIGNED_MM
    old, new = first.document["lesions"][0], second.document["lesions"][0]
    assert (new["is_new"], new["prior_id"], new["tracking_uid"]) == (False, "L1", old["tracking_uid"])
    here = move[:3, :3] @ np.array(old["centroid_lps_mm"]) + move[:3, 3]
    assert np.linalg.norm(here - new["centroid_lps_mm"]) < 1e-2
    entry = move[:3, :3] @ np.array(first.document["punctures"][0]["entry_lps_mm"]) + move[:3, 3]
    assert np.linalg.norm(entry - second.document["punctures"][0]["entry_lps_mm"]) > SAME_TRACK_MM


@pytest.mark.requirement("A-prior-other-frame")
def test_an_earlier_scan_that_is_gone_is_a_finding_and_every_lesion_counts_as_not_known(tmp_path):
    phantom = make_phantom(spacing_mm=COARSE_MM)
    first_case = write_phantom(tmp_path / "first", phantom=phantom)
    first = call_hepatica(*plan_arguments(first_case, tmp_path / "plan1", "--json"))
    assert first.status == 0, first.err
    first_case["ct"].unlink()
    moved, _ = _move(phantom, frame=None)
    second_case = write_phantom(tmp_path / "second", phantom=moved)
    arguments = plan_arguments(second_case, tmp_path / "plan2", "--prior", tmp_path / "plan1", "--json")
    arguments[arguments.index("--visit") + 1] = 2
    second = call_hepatica(*arguments)
    assert second.status == 0, second.err
    finding = next(f for f in second.document["findings"] if f["rule"] == "prior.not_aligned")
    assert "not_found" in finding["message"]
    assert second.document["lesions"][0]["prior_id"] is None
