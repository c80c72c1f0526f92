"""DICOM stacks that are no regular grid: each refused by its own exit status, or repaired when asked."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel
import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, write_phantom
from dicom_cases import COARSE_MM, study_arguments, write_study
from phantom import make_phantom
from scan_files import make_affine, rotate, write_dicom

from hepatica.entrypoints.cli.exit_status import EXIT_STATUS

SLICES = 30
LEAN_MM = 0.5
"""Sideways step of each slice: 3.6 degrees at 8 mm."""


@dataclass(frozen=True)
class Fault:
    """Fields of the written series that make it irregular, and what they are called."""

    code: str
    changes: dict


FAULTS = {
    "gap": Fault("slice_gap", {"drop": (11, 12)}),
    "duplicate": Fault("duplicate_position", {"shifts_mm": {12: (0.0, 0.0, -8.0)}}),
    "tilt": Fault("gantry_tilt", {"shifts_mm": {k: (0.0, LEAN_MM * k, 0.0) for k in range(SLICES)}}),
    "uneven": Fault("uneven_spacing", {"shifts_mm": {k: (0.0, 0.0, 1.5 * (k % 2)) for k in range(SLICES)}}),
}


@pytest.mark.requirement("A-stack-journey")
@pytest.mark.parametrize("name", FAULTS)
def test_an_irregular_stack_is_refused_by_its_own_exit_status(tmp_path, name):
    fault = FAULTS[name]
    case = write_study(tmp_path / "case", **fault.changes)
    run = call_hepatica(*study_arguments(case, tmp_path / "plan", "--json"))
    assert run.status == EXIT_STATUS[fault.code], run.out + run.err
    assert run.document["error"]["code"] == fault.code
    assert not (tmp_path / "plan").exists()


@pytest.mark.requirement("A-stack-journey")
def test_two_acquisitions_in_one_series_are_refused_until_one_is_chosen(tmp_path):
    phantom = make_phantom(spacing_mm=COARSE_MM)
    case = write_study(tmp_path / "case", phantom=phantom)
    grid = phantom.volume.grid
    later = np.array(phantom.volume.values) + 5
    write_dicom(
        case["ct"],
        later,
        grid.lps_from_ijk,
        acquisition=2,
        names="second{:04d}",
        frame=grid.frame_of_reference,
    )
    run = call_hepatica(*study_arguments(case, tmp_path / "plan", "--json"))
    assert run.status == EXIT_STATUS["mixed_acquisition"], run.out + run.err
    assert "2.25.11#1" in run.document["error"]["given"] and "2.25.11#2" in run.document["error"]["given"]
    run = call_hepatica(*study_arguments(case, tmp_path / "plan", "--series", "2.25.11#2", "--json"))
    assert run.status == 0, run.err


@pytest.mark.requirement("A-stack-journey")
@pytest.mark.parametrize("name", ["tilt", "uneven"])
def test_with_resample_an_irregular_stack_is_straightened_and_planned_with_a_finding(tmp_path, name):
    case = write_study(tmp_path / "case", **FAULTS[name].changes)
    run = call_hepatica(*study_arguments(case, tmp_path / "plan", "--resample", "--json"))
    assert run.status == 0, run.err
    resampled = [f for f in run.document["findings"] if f["rule"] == "image.resampled"]
    assert len(resampled) == 1 and resampled[0]["severity"] == "warning"
    assert resampled[0]["subject"] == "the planning scan, series 3"
    assert run.document["punctures"]


TURN_DEG = (4.0, -3.0, 12.0)
TABLE_TURN_DEG = (0.0, 0.0, 12.0)
STORED, POINT_MM = 1e-6, 1e-3
"""NIfTI stores its affine in 32 bits."""
ENTRY_MM = float(np.linalg.norm(COARSE_MM))
"""One voxel: the preference for paths without tilt follows the patient's axis, not the scan's, so an entry may be
its neighbour."""
LENGTH_MM, CLEARANCE_MM = 1.0, 3.0
"""What a neighbouring entry changes at the far end of a path of 87 mm."""


@pytest.fixture(scope="module")
def upright(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upright")
    case = write_phantom(folder / "case", phantom=make_phantom(spacing_mm=COARSE_MM))
    run = call_hepatica(*plan_arguments(case, folder / "plan", "--json"))
    assert run.status == 0, run.err
    return case, run.document


@pytest.mark.requirement("A-oblique-journey")
@pytest.mark.parametrize(
    "turn_deg", [TABLE_TURN_DEG, TURN_DEG], ids=["about the body's axis", "about all axes"]
)
def test_an_oblique_scan_gives_the_same_lesions_amounts_and_kept_margins(upright, tmp_path, turn_deg):
    case, document = upright
    turned, back = _turn(case, tmp_path, turn_deg)
    run = call_hepatica(*plan_arguments(turned, tmp_path / "plan", "--json"))
    assert run.status == 0, run.err
    assert run.document["injections"] == document["injections"]
    old, new = document["lesions"][0], run.document["lesions"][0]
    assert new["volume_ml"] == pytest.approx(old["volume_ml"], rel=STORED)
    assert new["longest_diameter_mm"] == pytest.approx(old["longest_diameter_mm"], rel=STORED)
    assert back @ new["centroid_lps_mm"] == pytest.approx(np.array(old["centroid_lps_mm"]), abs=POINT_MM)
    punctures = [*run.document["punctures"], *run.document["backups"]]
    assert punctures
    for clearance in [c for puncture in punctures for c in puncture["clearances"]]:
        assert clearance["clearance_mm"] >= clearance["margin_mm"], clearance["kind"]
    if turn_deg == TABLE_TURN_DEG:
        # The ranking weighs the tilt to the body's axis, so only a turn about that axis leaves the order of paths alone.
        _require_same_paths(document, run.document, back)


def _turn(case, tmp_path, turn_deg):
    turn = make_affine((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), rotate(turn_deg))
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned = {"names": case["names"]}
    for name in ("ct", "labels"):
        image = nibabel.load(case[name])
        affine = flip @ turn @ flip @ image.affine
        turned[name] = tmp_path / f"{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), turned[name])
    return turned, turn[:3, :3].T


def _require_same_paths(document, turned, back):
    for old, new in zip(document["punctures"], turned["punctures"], strict=True):
        tips = [np.array(puncture["tracks"][0]["tip_lps_mm"]) for puncture in (old, new)]
        assert back @ tips[1] == pytest.approx(tips[0], abs=POINT_MM)
        assert np.linalg.norm(back @ new["entry_lps_mm"] - old["entry_lps_mm"]) <= ENTRY_MM
        assert new["length_mm"] == pytest.approx(old["length_mm"], abs=LENGTH_MM)
        assert new["clearance_mm"] == pytest.approx(old["clearance_mm"], abs=CLEARANCE_MM)
