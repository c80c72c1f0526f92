"""Who the patient is stays in the scan: file names and headers that name a person come out nowhere else."""

from __future__ import annotations

import json
import shutil
import subprocess

import pydicom
import pytest
from cases import call_hepatica, run_hepatica
from dicom_cases import study_arguments, write_study

from hepatica.entrypoints.cli.exit_status import EXIT_STATUS

MARKERS = ("quaggaperson", "zebedee", "qx47110815", "19310203", "okapifolder", "tapirfile")
HEADER = {
    "PatientName": "Quaggaperson^Zebedee",
    "PatientID": "QX47110815",
    "PatientBirthDate": "19310203",
    "OtherPatientIDs": "QX47110815",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose folders and files are named after the patient."""
    folder = tmp_path_factory.mktemp("study") / "Okapifolder_Quaggaperson"
    case = write_study(folder, name="Tapirfile_Zebedee_QX47110815_", extra=HEADER)
    labels = case["labels"]
    shutil.copy(
        labels / f"{'Tapirfile_Zebedee_QX47110815_'}kidney.nii.gz", labels / "Tapirfile_Zebedee.nii.gz"
    )
    facts = folder / "Tapirfile_facts.json"
    facts.write_text('{"ecog": 1}')
    (folder / "Tapirfile_letter.txt").write_text("Quaggaperson")
    shutil.copy(folder / "Tapirfile_letter.txt", case["ct"] / "Tapirfile_letter.txt")
    return {**case, "facts": facts}


def find_markers(text: str) -> list[str]:
    """Markers that occur in a text."""
    return [marker for marker in MARKERS if marker in text.lower()]


@pytest.fixture(scope="module")
def planned(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "plan"
    run = run_hepatica(*study_arguments(study, out, "--patient", study["facts"]))
    assert run.status == 0, run.err
    return out, run


@pytest.mark.requirement("A-privacy")
def test_a_plan_names_its_inputs_by_role_and_never_by_file_or_patient(planned):
    out, run = planned
    assert find_markers(run.out) == [] and find_markers(run.err) == []
    for name in ("plan.json", "report.html", "plan.mrk.json"):
        assert find_markers((out / name).read_text()) == [], name
    document = json.loads((out / "plan.json").read_text())
    subjects = {finding["subject"] for finding in document["findings"]}
    assert {"the planning scan, series 3"} <= subjects
    unknown = [f for f in document["findings"] if f["rule"] == "anatomy.unknown_name"]
    assert len(unknown) == 1 and "file 1 of" in unknown[0]["subject"]


@pytest.mark.requirement("A-privacy")
@pytest.mark.tool("pdftotext", "poppler-utils")
def test_the_sheet_names_no_patient(planned):
    text = subprocess.run(
        ["pdftotext", planned[0] / "sheet.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "Research use" in text
    assert find_markers(text) == []


@pytest.mark.requirement("A-privacy")
def test_the_manifest_holds_paths_in_its_sources_only(planned):
    manifest = json.loads((planned[0] / "manifest.json").read_text())
    sources = manifest.pop("sources")
    assert find_markers(json.dumps(manifest)) == []
    assert set(find_markers(json.dumps(sources))) >= {"okapifolder", "tapirfile"}


@pytest.mark.requirement("A-privacy")
def test_dicom_objects_file_with_the_patient_and_name_him_nowhere_else(planned):
    for file in sorted(planned[0].glob("*.dcm")):
        dataset = pydicom.dcmread(file)
        assert (dataset.PatientName, dataset.PatientID) == (HEADER["PatientName"], HEADER["PatientID"])
        assert dataset.PatientBirthDate == HEADER["PatientBirthDate"]
        for keyword in ("PatientName", "PatientID", "PatientBirthDate"):
            delattr(dataset, keyword)
        if "EncapsulatedDocument" in dataset:
            del dataset.EncapsulatedDocument  # the sheet, judged above
        assert find_markers(str(dataset)) == [], file.name


def _gap(case, folder):
    files = sorted(case["ct"].glob("*_*"), key=lambda p: p.name)
    scans = [f for f in files if f.suffix != ".txt"]
    middle = sorted(scans, key=lambda f: float(pydicom.dcmread(f).ImagePositionPatient[2]))[len(scans) // 2]
    middle.unlink()


def _cut_slice(case, folder):
    file = next(f for f in sorted(case["ct"].iterdir()) if f.suffix != ".txt")
    file.write_bytes(file.read_bytes()[:-500])


def _cut_header(case, folder):
    file = next(f for f in sorted(case["ct"].iterdir()) if f.suffix != ".txt")
    file.write_bytes(file.read_bytes()[:300])


def _no_position(case, folder):
    file = next(f for f in sorted(case["ct"].iterdir()) if f.suffix != ".txt")
    dataset = pydicom.dcmread(file)
    del dataset.ImagePositionPatient
    dataset.save_as(file)


def _second_series(case, folder):
    for file in [f for f in case["ct"].iterdir() if f.suffix != ".txt"]:
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID = "2.25.99"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.9"
        dataset.save_as(file.with_name(f"Tapirfile_second_{file.name}"))


def _cut_mask(case, folder):
    file = sorted(case["labels"].iterdir())[3]
    file.write_bytes(file.read_bytes()[:200])


def _labels_of_a_letter(case, folder):
    shutil.rmtree(case["labels"])
    case["labels"].mkdir()
    (case["labels"] / "Tapirfile.nii.gz").write_text("Quaggaperson")


def _label_map_in_the_folder(case, folder):
    import nibabel
    import numpy as np

    file = sorted(case["labels"].iterdir())[2]
    image = nibabel.load(file)
    values = np.asarray(image.dataobj).astype(np.uint8)
    values[0, 0, 0] = 7
    nibabel.save(nibabel.Nifti1Image(values, image.affine), file)


def _gone(case, folder):
    shutil.rmtree(case["ct"])


def _bad_facts(case, folder):
    case["facts"].write_text("{")


REFUSALS = {
    _gap: "slice_gap", _cut_slice: "source_format", _cut_header: "source_format", _no_position: "missing_geometry",
    _second_series: "series_choice", _cut_mask: "source_format", _labels_of_a_letter: "source_format",
    _label_map_in_the_folder: "unknown_label", _gone: "not_found", _bad_facts: "facts",
}  # fmt: skip


@pytest.mark.requirement("A-privacy")
@pytest.mark.parametrize(
    ("spoil", "code"),
    [pytest.param(f, c, id=f.__name__[1:]) for f, c in REFUSALS.items()],
)
def test_a_refusal_says_where_by_role_and_position(study, tmp_path, spoil, code):
    folder = tmp_path / "Okapifolder"
    shutil.copytree(study["ct"].parent, folder)
    case = {role: folder / path.name for role, path in study.items()}
    spoil(case, folder)
    run = call_hepatica(*study_arguments(case, tmp_path / "plan", "--patient", case["facts"], "--json"))
    assert run.status == EXIT_STATUS[code], run.out + run.err
    error = run.document["error"]
    assert error["code"] == code
    assert error["where"].startswith(("the planning scan", "labels[0]", "the patient facts")), error
    assert find_markers(run.out) == [] and find_markers(run.err) == []
