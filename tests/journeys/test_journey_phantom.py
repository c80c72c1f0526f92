"""From files to a plan through the command line, on a torso with known geometry."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, write_phantom
from jsonschema import Draft202012Validator
from phantom import LESION_CENTRE_LPS_MM, LESION_RADIUS_MM, make_phantom
from shared_plans import SECOND_LESION_LPS_MM, share_two_lesions

from hepatica.bootstrap import read_schema
from hepatica.entrypoints.cli.exit_status import EXIT_STATUS

VOXEL_DIAMETER_TOLERANCE_MM = 4.0
"""A sphere on 2 x 2 x 4 mm voxels: boundary pixel centres lie up to one pixel inside at each end."""


@pytest.fixture(scope="module")
def planned(shared):
    """The phantom with a second small lesion, planned once."""
    shown = share_two_lesions(shared)
    return shown.case, shown.folder, shown.document


def write_coarse(folder, *, lesions=2):
    """The same on voxels of 6 x 6 x 8 mm: for what must hold at any size of voxel."""
    more = SECOND_LESION_LPS_MM if lesions == 2 else None
    return write_phantom(folder, extra_lesion_lps_mm=more, phantom=make_phantom(spacing_mm=(6.0, 6.0, 8.0)))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coarse")
    case = write_coarse(folder / "case")
    run = call_hepatica(*plan_arguments(case, folder / "plan", "--json"))
    assert run.status == 0, run.err
    assert len(run.document["lesions"]) == 2 and run.document["punctures"] and run.document["backups"]
    return case, run.document


@pytest.mark.requirement("A-json-one-document")
def test_with_json_stdout_is_the_plan_and_follows_the_published_schema(planned):
    _, folder, document = planned
    Draft202012Validator(json.loads(read_schema("plan"))).validate(document)
    assert document == json.loads((folder / "plan.json").read_text())


@pytest.mark.requirement("A-lesions")
def test_the_largest_lesion_is_measured_as_the_sphere_it_is(planned):
    largest = planned[2]["lesions"][0]
    assert abs(largest["longest_diameter_mm"] - 2 * LESION_RADIUS_MM) <= VOXEL_DIAMETER_TOLERANCE_MM
    assert np.linalg.norm(np.array(largest["centroid_lps_mm"]) - LESION_CENTRE_LPS_MM) < 1.0


@pytest.mark.requirement("A-dose-closure")
def test_deposits_and_undelivered_volume_add_up_for_every_lesion(planned):
    document = planned[2]
    given = {}
    for puncture in document["punctures"]:
        for track in puncture["tracks"]:
            for deposit in track["deposits"]:
                given[deposit["lesion_id"]] = given.get(deposit["lesion_id"], 0.0) + deposit["volume_ml"]
    planned_ml = {i["lesion_id"]: i["volume_ml"] - i["undelivered_ml"] for i in document["injections"]}
    assert {k: round(v, 3) for k, v in given.items()} == {
        k: round(v, 3) for k, v in planned_ml.items() if v > 0
    }
    assert sum(i["volume_ml"] for i in document["injections"]) <= 4.0


@pytest.mark.requirement("A-path-hard-limits")
def test_every_tip_and_deposit_lies_in_its_lesion_and_every_margin_is_kept(planned):
    document = planned[2]
    lesions = {lesion["id"]: lesion for lesion in document["lesions"]}
    assert len(document["punctures"]) == 2
    for puncture in document["punctures"]:
        assert min(c for c in puncture["clearance_mm"].values() if isinstance(c, float)) > 0
        for track in puncture["tracks"]:
            for deposit in track["deposits"]:
                lesion = lesions[deposit["lesion_id"]]
                distance = np.linalg.norm(np.array(deposit["point_lps_mm"]) - lesion["centroid_lps_mm"])
                assert distance <= lesion["longest_diameter_3d_mm"] / 2 + 1.0


@pytest.mark.requirement("A-orientation")
@pytest.mark.parametrize("codes", ["LPS", "RAI", "SPL", "ASR"])
def test_a_scan_stored_in_another_axis_order_gives_the_same_plan(coarse, tmp_path, codes):
    case, document = coarse
    again = {"names": case["names"]}
    for name in ("ct", "labels"):
        image = nibabel.load(case[name])
        now = nibabel.io_orientation(image.affine)
        turn = nibabel.orientations.ornt_transform(now, nibabel.orientations.axcodes2ornt(tuple(codes)))
        turned = image.as_reoriented(turn)
        assert turned.shape != image.shape or not np.allclose(turned.affine, image.affine) or codes == "LPS"
        again[name] = tmp_path / f"{name}.nii.gz"
        nibabel.save(turned, again[name])
    run = call_hepatica(*plan_arguments(again, tmp_path / "plan", "--json"))
    assert run.status == 0, run.err
    keys = ("lesions", "injections", "punctures", "backups")
    stable = [
        {k: v for k, v in entry.items() if k != "tracking_uid"} for key in keys for entry in document[key]
    ]
    found = [
        {k: v for k, v in entry.items() if k != "tracking_uid"} for key in keys for entry in run.document[key]
    ]
    assert found == stable


@pytest.mark.requirement("A-replay")
def test_a_replay_gives_equal_digests_and_a_changed_input_is_told(planned, tmp_path):
    case, folder, _ = planned
    run = call_hepatica("replay", folder, "--out", tmp_path / "again", "--json")
    assert run.status == 0, run.err
    assert run.document["equal_outputs"] == len(json.loads((folder / "manifest.json").read_text())["outputs"])
    copy = tmp_path / "moved"
    copy.mkdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["inputs"]["ct"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    run = call_hepatica("replay", copy, "--out", tmp_path / "third")
    assert run.status == EXIT_STATUS["replay_mismatch"], run.err
    assert "inputs" in run.err


@pytest.mark.requirement("A-replay")
def test_a_folder_whose_file_was_edited_is_not_called_equal_to_its_repetition(planned, tmp_path):
    copy = tmp_path / "edited"
    shutil.copytree(planned[1], copy)
    with (copy / "report.html").open("a") as file:
        file.write("<!-- edited -->")
    run = call_hepatica("replay", copy, "--out", tmp_path / "again")
    assert run.status == EXIT_STATUS["replay_mismatch"], run.err
    assert "report.html" in run.err and not (tmp_path / "again").exists()


@pytest.mark.requirement("A-replay")
def test_the_manifest_names_every_table_and_source_the_plan_leans_on(planned):
    manifest = json.loads((planned[1] / "manifest.json").read_text())
    assert {"ct", "labels[0]", "names[0]"} == set(manifest["inputs"])
    assert {
        "protocol:tvec-label",
        "hepatica.planning.tables/path_limits.toml",
        "hepatica.planning.tables/dose.toml",
        "hepatica.planning.tables/needles.toml",
        "hepatica.lesions.tables/variability.toml",
        "hepatica.anatomy.tables/derivation.toml",
    } <= set(manifest["tables"])


@pytest.mark.requirement("A-path-needle")
def test_a_needle_that_the_user_names_is_the_needle_of_the_plan(tmp_path):
    """A shorter one of the same shaft would reach; it was not asked for."""
    case = write_coarse(tmp_path / "case", lesions=1)
    name = "generic 21 G, 200 mm, end hole"
    run = call_hepatica(*plan_arguments(case, tmp_path / "plan", "--needle", name, "--json"))
    assert run.status == 0, run.err
    document = run.document
    assert {p["needle"]["name"] for p in (*document["punctures"], *document["backups"])} == {name}
    needle = document["punctures"][0]["needle"]
    given_ml = sum(injection["volume_ml"] for injection in document["injections"])
    expected_ml = given_ml + needle["dead_space_ml"] * len(document["punctures"])
    assert document["allocation"]["draw_up_ml"] == pytest.approx(expected_ml)


@pytest.mark.requirement("A-prior")
def test_at_a_later_visit_new_lesions_come_first_and_old_tracks_are_not_used_again(tmp_path):
    first_case = write_coarse(tmp_path / "first", lesions=1)
    first = call_hepatica(*plan_arguments(first_case, tmp_path / "plan1", "--json"))
    assert first.status == 0, first.err
    second_case = write_coarse(tmp_path / "second")
    arguments = plan_arguments(second_case, tmp_path / "plan2", "--prior", tmp_path / "plan1", "--json")
    arguments[arguments.index("--visit") + 1] = 2
    second = call_hepatica(*arguments)
    assert second.status == 0, second.err
    document = second.document
    by_size = {lesion["id"]: lesion for lesion in document["lesions"]}
    assert (
        by_size["L1"]["is_new"] is False
        and by_size["L1"]["tracking_uid"] == first.document["lesions"][0]["tracking_uid"]
    )
    assert by_size["L2"]["is_new"] is True
    ranks = {i["lesion_id"]: i["rank"] for i in document["injections"]}
    assert ranks["L2"] < ranks["L1"]
    old = np.array(first.document["punctures"][0]["entry_lps_mm"])
    served = [p for p in document["punctures"] if "L1" in p["lesion_ids"]]
    assert all(np.linalg.norm(np.array(p["entry_lps_mm"]) - old) > 1.0 for p in served)
