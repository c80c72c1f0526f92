"""Where the drug goes: from a plan's folder to the predicted spread, through the command line."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess

import nibabel
import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, run_hepatica, write_phantom
from jsonschema import Draft202012Validator
from phantom import LESION_CENTRE_LPS_MM, make_phantom
from shared_plans import share_demo, share_demo_again

from hepatica.bootstrap import read_schema

DRAWS = 4
SHIPPED_DRAWS = 32
FILES = {
    "spread.json",
    "spread.html",
    "spread_L1_coverage.nii.gz",
    "spread_L1_concentration.nii.gz",
    "manifest.json",
}
VOLUME_TOLERANCE = 0.02
"""Single precision of the NIfTI and rounding of the document."""


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A plan on the phantom, without spread."""
    folder = tmp_path_factory.mktemp("spread")
    case = write_phantom(folder / "case", phantom=make_phantom(spacing_mm=(4.0, 4.0, 5.0)))
    run = call_hepatica(*plan_arguments(case, folder / "plan", "--absent", "heart,gallbladder,ducts"))
    assert run.status == 0, run.err
    return folder / "plan"


@pytest.fixture(scope="module")
def spread(planned):
    """Its simulated spread, in this process."""
    out = planned.parent / "spread"
    run = run_hepatica(
        "spread", planned, "--draws", DRAWS, "--rate", 1, "--workers", 1, "--out", out, "--json"
    )
    assert run.status == 0, run.err
    return out, run.document


@pytest.mark.requirement("C-SPREAD-COMMAND")
def test_the_spread_of_a_plan_has_every_promised_file_a_schema_and_a_manifest(spread):
    folder, document = spread
    assert {path.name for path in folder.iterdir()} == FILES
    Draft202012Validator(json.loads(read_schema("spread"))).validate(document)
    assert json.loads((folder / "spread.json").read_text()) == document
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["command"] == "spread" and manifest["parameters"]["draws"] == DRAWS
    assert set(manifest["outputs"]) == FILES - {"manifest.json"}
    for name, digest in manifest["outputs"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.requirement("C-SPREAD-OUTPUTS")
def test_shares_add_up_the_histogram_falls_and_every_deposit_of_the_plan_is_there(spread, planned):
    document = spread[1]
    (lesion,) = document["lesions"]
    plan = json.loads((planned / "plan.json").read_text())
    deposits = [d for p in plan["punctures"] for t in p["tracks"] for d in t["deposits"]]
    assert [d["volume_ml"] for d in lesion["deposits"]] == [d["volume_ml"] for d in deposits]
    assert [d["point_lps_mm"] for d in lesion["deposits"]] == [d["point_lps_mm"] for d in deposits]
    found = lesion["prediction"]
    assert found["draws"] + sum(found["draws_without_answer"].values()) == DRAWS
    assert sum(found["backflow_draws"].values()) == found["draws"]
    assert found["largest_imbalance_fraction"] < 1e-12
    middles = [row["viable_fraction"]["p50"] for row in found["histogram"]]
    assert middles == sorted(middles, reverse=True)
    amounts = [row["at_least_per_ml"] for row in found["histogram"]]
    assert amounts[-1] == pytest.approx(1e6) and found["threshold_per_ml"] == pytest.approx(1e4)
    assert len(found["hole_flow_fraction"]) == len(found["tip_pressure_kpa"]) == len(deposits)
    assert all(band["p50"] == 1.0 for holes in found["hole_flow_fraction"] for band in holes)
    assert document["rate"]["status"] == "unverified" and document["rate"]["value"] == 1.0
    rules = {finding["rule"] for finding in lesion["findings"]}
    assert {"spread.viable_unknown", "spread.cirrhosis_unknown"} <= rules


@pytest.mark.requirement("C-SPREAD-VOLUMES")
def test_the_volumes_lie_on_the_lesion_and_hold_the_drug_the_document_counts(spread):
    folder, document = spread
    (lesion,) = document["lesions"]
    coverage = nibabel.load(folder / "spread_L1_coverage.nii.gz")
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ coverage.affine
    assert np.allclose(lps, lesion["grid"]["lps_from_ijk"], atol=1e-4)
    share = np.asarray(coverage.dataobj)
    assert share.min() >= 0 and share.max() <= 1
    reached = np.argwhere(share >= 0.5)
    centre = (lps @ np.append(reached.mean(axis=0), 1.0))[:3]
    assert np.linalg.norm(centre - LESION_CENTRE_LPS_MM) < 18.0
    amount = nibabel.load(folder / "spread_L1_concentration.nii.gz")
    voxel_ml = abs(np.linalg.det(amount.affine[:3, :3])) / 1000
    held = float(np.asarray(amount.dataobj, dtype=np.float64).sum()) * voxel_ml
    # What is left in the tissue, at most everything: 2 mL of 1e6 PFU per mL.
    assert 0 < held <= 2e6 * (1 + VOLUME_TOLERANCE)
    assert gzip.decompress((folder / "spread_L1_coverage.nii.gz").read_bytes())[344:348] == b"n+1\0"


@pytest.mark.requirement("C-SPREAD-SAME-BYTES")
def test_two_workers_and_a_replay_give_the_same_bytes(spread, planned, tmp_path):
    again = run_hepatica("replay", spread[0], "--out", tmp_path / "again", "--workers", 2, "--json")
    assert again.status == 0, again.err
    assert again.document["equal_outputs"] == len(FILES) - 1
    for name in FILES - {"manifest.json"}:
        assert (spread[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.requirement("C-SPREAD-PAGE")
def test_the_page_says_that_it_is_simulated_and_asks_the_network_for_nothing(spread):
    text = (spread[0] / "spread.html").read_text()
    assert "Simulated prediction for research" in text and "unverified" in text
    assert text.count("data:image/png;base64,") == 5
    assert 'src="http' not in text and "<script" not in text


@pytest.mark.requirement("C-SPREAD-RATE")
def test_without_a_rate_the_program_asks_and_writes_nothing(planned, tmp_path):
    run = call_hepatica("spread", planned, "--out", tmp_path / "out", "--json")
    assert run.status == 41 and run.document["error"]["code"] == "not_set"
    assert "--rate" in run.document["error"]["action"]
    assert not (tmp_path / "out").exists()


@pytest.mark.requirement("C-SPREAD-COMMAND")
def test_a_changed_plan_and_an_output_inside_it_are_refused(planned, tmp_path):
    run = call_hepatica("spread", planned, "--rate", 1, "--out", planned / "inside", "--json")
    assert run.status == 51
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in planned.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    document = json.loads((copy / "plan.json").read_text())
    document["visit"] = 2
    (copy / "plan.json").write_text(json.dumps(document))
    run = call_hepatica("spread", copy, "--rate", 1, "--out", tmp_path / "out", "--json")
    assert run.status == 60 and not (tmp_path / "out").exists()


@pytest.mark.requirement("C-SPREAD-SCHEDULER")
def test_a_scheduler_that_does_not_answer_is_a_coded_error(planned, tmp_path):
    arguments = ["--rate", 1, "--scheduler", "tcp://127.0.0.1:1", "--out", tmp_path / "out", "--json"]
    run = run_hepatica("spread", planned, "--draws", 1, *arguments)
    assert run.status == 65 and run.document["error"]["code"] == "compute"
    assert "Traceback" not in run.err and not (tmp_path / "out").exists()


@pytest.mark.requirement("C-SPREAD-VERIFY")
def test_verify_prints_every_analytic_case_with_its_error():
    run = run_hepatica("spread", "verify", "--json")
    assert run.status == 0, run.err
    assert run.document["passed"] and all(row["passed"] for row in run.document["rows"])
    assert {f"B{n}" for n in range(1, 16)} <= {row["case"] for row in run.document["rows"]}
    table = call_hepatica("spread", "verify")
    assert len(table.out.splitlines()) >= len(run.document["rows"]) and "FAILED" not in table.out


@pytest.fixture(scope="module")
def demo(shared):
    """The demonstration as it is shipped."""
    return share_demo(shared).folder


@pytest.mark.requirement("C-SPREAD-PLAN")
def test_the_demo_carries_its_spread_in_report_sheet_and_dicom_and_replays(demo, shared):
    document = json.loads((demo / "spread.json").read_text())
    Draft202012Validator(json.loads(read_schema("spread"))).validate(document)
    (lesion,) = document["lesions"]
    prediction = lesion["prediction"]
    assert prediction["draws"] + sum(prediction["draws_without_answer"].values()) == SHIPPED_DRAWS
    report = (demo / "report.html").read_text()
    assert 'id="spread"' in report and "Simulated prediction for research" in report
    again = share_demo_again(shared)
    assert again.document["equal_outputs"] == len(json.loads((demo / "manifest.json").read_text())["outputs"])


@pytest.mark.requirement("C-SPREAD-PLAN")
@pytest.mark.tool("pdftotext", "poppler-utils")
def test_the_sheet_keeps_notices_and_stop_rules_on_its_first_page_beside_the_spread(demo):
    done = subprocess.run(
        ["pdftotext", "-layout", "-l", "1", str(demo / "sheet.pdf"), "-"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first = " ".join(done.stdout.split())
    for words in ("Simulated spread L1", "Protocol notices", "Stop, leave the needle", "unverified"):
        assert words in first, words


@pytest.mark.requirement("C-SPREAD-DICOM")
def test_the_predicted_segment_files_into_the_scans_frame_and_says_it_is_simulated(demo):
    import pydicom

    predicted = pydicom.dcmread(demo / "spread_seg.dcm")
    planned = pydicom.dcmread(demo / "segmentation.dcm", stop_before_pixels=True)
    assert predicted.SegmentationType == "BINARY"
    assert predicted.FrameOfReferenceUID == planned.FrameOfReferenceUID
    assert predicted.StudyInstanceUID == planned.StudyInstanceUID
    assert predicted.SeriesInstanceUID != planned.SeriesInstanceUID
    (segment,) = predicted.SegmentSequence
    assert "SIMULATED PREDICTION" in segment.SegmentDescription
    assert "simulated" in segment.SegmentAlgorithmName and segment.SegmentAlgorithmType == "AUTOMATIC"
    lesion = next(s for s in planned.SegmentSequence if s.SegmentLabel.startswith("L1 "))
    assert segment.TrackingUID != lesion.TrackingUID


@pytest.mark.requirement("C-SPREAD-DICOM")
def test_the_predicted_segment_is_where_half_of_the_draws_reach(demo):
    import pydicom

    predicted = pydicom.dcmread(demo / "spread_seg.dcm")
    spacing = predicted.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    pixel = float(np.prod([float(v) for v in spacing.PixelSpacing]))
    segment_mm3 = float(predicted.pixel_array.sum()) * pixel * float(spacing.SpacingBetweenSlices)
    coverage = nibabel.load(demo / "spread_L1_coverage.nii.gz")
    # Bounds of an interpolated half level: all cells above 0 hold it, cells of 1 alone are fewer.
    voxel = abs(np.linalg.det(coverage.affine[:3, :3]))
    share = np.asarray(coverage.dataobj)
    assert segment_mm3 < 1.1 * voxel * np.count_nonzero(share > 0)
    assert segment_mm3 > 0.5 * voxel * np.count_nonzero(share > 0.75)


@pytest.mark.requirement("C-SPREAD-DICOM")
@pytest.mark.tool("dciodvfy", "dicom3tools")
def test_dciodvfy_finds_no_error_in_the_predicted_segment(demo):
    done = subprocess.run(
        ["dciodvfy", str(demo / "spread_seg.dcm")], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
