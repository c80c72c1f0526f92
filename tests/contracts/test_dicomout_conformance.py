"""The DICOM objects of a plan hold against dciodvfy, on a made-up series and on two real ones."""

from __future__ import annotations

import subprocess

import numpy as np
import pydicom
import pytest
from dicomout_real import HCC, IRCADB, make_hcc_context, make_ircadb_context, read_files
from dicomout_series import (
    SAGITTAL,
    make_headers,
    make_multi_frame,
    make_read_files,
    make_small_context,
    to_files,
)

from hepatica.adapters.dicom.plan_writers import make_plan_writers
from hepatica.adapters.dicom.segments import find_tracking_uids, list_segments
from hepatica.adapters.dicom.source_headers import SourceReader
from hepatica.adapters.dicom.stored_planes import find_planned_planes
from hepatica.core.progress import SILENT

OBJECTS = ("plan_sr.dcm", "segmentation.dcm", "sheet.dcm")
CENTROID_TOLERANCE_MM = 0.02
"""The label map and the slices state the same grid in different words, to two decimals of a millimetre."""


def find_errors(path):
    result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=120, check=False)
    lines = (result.stderr + result.stdout).splitlines()
    assert lines, "dciodvfy said nothing, so it checked nothing"
    return [line for line in lines if line.lower().startswith("error")]


def write_all(context, reader, folder):
    (folder / "sheet.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    return sorted(
        n for w in make_plan_writers(reader) for n in w.write_plan(context, folder, progress=SILENT)
    )


@pytest.mark.requirement("A-dicom-conformance")
@pytest.mark.tool("dciodvfy", "dicom3tools")
@pytest.mark.parametrize(
    "options",
    [
        {"frame": "2.25.5"},
        {"frame": "2.25.5", "axes": SAGITTAL, "flips": (False, True, False), "position": "FFS"},
        {"PatientID": None, "StudyID": None, "StudyTime": None, "PatientSex": None, "AccessionNumber": None},
    ],
    ids=["axial", "sagittal", "bare"],
)
def test_dciodvfy_finds_no_error_in_the_objects_of_a_plan(tmp_path, options):
    context = make_small_context(
        frame=options.get("frame", ""), slice_axis=0 if options.get("axes") == SAGITTAL else 2
    )
    names = write_all(
        context, make_read_files(to_files(make_headers(context.image.volume.grid, **options))), tmp_path
    )
    assert names == sorted(OBJECTS)
    assert {name: find_errors(tmp_path / name) for name in names} == {name: [] for name in names}


@pytest.mark.requirement("A-dicom-conformance")
@pytest.mark.tool("dciodvfy", "dicom3tools")
def test_dciodvfy_finds_no_error_in_the_objects_of_a_plan_on_a_multi_frame_scan(tmp_path):
    context = make_small_context()
    scan = make_multi_frame(list(make_headers(context.image.volume.grid, frame="2.25.5")))
    names = write_all(context, make_read_files(to_files([scan])), tmp_path)
    assert {name: find_errors(tmp_path / name) for name in names} == {name: [] for name in OBJECTS}


@pytest.mark.tool("dciodvfy", "dicom3tools")
@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("segmentation.dcm", "SegmentSequence"),
        ("plan_sr.dcm", "CompletionFlag"),
        ("sheet.dcm", "MIMETypeOfEncapsulatedDocument"),
    ],
)
def test_dciodvfy_does_find_an_error_where_a_required_attribute_is_taken_away(tmp_path, name, keyword):
    context = make_small_context()
    write_all(
        context, make_read_files(to_files(make_headers(context.image.volume.grid, frame="2.25.5"))), tmp_path
    )
    dataset = pydicom.dcmread(tmp_path / name)
    delattr(dataset, keyword)
    dataset.save_as(tmp_path / name)
    assert find_errors(tmp_path / name)


def _check_real(context, folder):
    assert write_all(context, read_files, folder) == sorted(OBJECTS)
    assert {name: find_errors(folder / name) for name in OBJECTS} == {name: [] for name in OBJECTS}
    source = SourceReader(read_files).read_source(context.image.facts)
    assert find_planned_planes(context.image, source)[1].stored


@pytest.mark.requirement("A-dicom-conformance")
@pytest.mark.real_data(HCC)
@pytest.mark.tool("dciodvfy", "dicom3tools")
def test_dciodvfy_finds_no_error_for_the_demo_scan(tmp_path, real_data):
    context = make_hcc_context(real_data)
    assert len(list_segments(context)) >= 10
    write_all(context, read_files, tmp_path)
    _check_real(context, tmp_path)


@pytest.mark.requirement("A-dicom-conformance")
@pytest.mark.real_data(IRCADB)
@pytest.mark.tool("dciodvfy", "dicom3tools")
def test_dciodvfy_finds_no_error_for_a_scan_without_frame_patient_id_and_study_id(tmp_path, real_data):
    context = make_ircadb_context(real_data)
    _check_real(context, tmp_path)
    dataset = pydicom.dcmread(tmp_path / "segmentation.dcm", stop_before_pixels=True)
    uids = {s.TrackingID: s.TrackingUID for s in dataset.SegmentSequence}
    assert {name: uids[name] for name in ("L1", "L2")} == find_tracking_uids(context)


@pytest.mark.requirement("A-dicom-seg-orientation")
@pytest.mark.real_data(HCC)
def test_segments_of_the_demo_scan_lie_where_its_label_map_says(tmp_path, real_data):
    import highdicom as hd
    import nibabel

    context = make_hcc_context(real_data)
    make_plan_writers(read_files)[0].write_plan(context, tmp_path, progress=SILENT)
    written = hd.seg.segread(tmp_path / "segmentation.dcm")
    image = nibabel.load(real_data / HCC / "labels_semiautomatic.nii.gz")
    labels = np.asarray(image.dataobj)
    number = next(n for n, s in enumerate(list_segments(context), start=1) if s.role == "lesion")
    volume = written.get_volume(segment_numbers=[number])
    here = volume.map_indices_to_reference(np.argwhere(volume.array[..., 0] > 0))
    there = nibabel.affines.apply_affine(image.affine, np.argwhere(labels == 4)) * [-1, -1, 1]
    assert len(here) == len(there)
    assert np.abs(here.mean(axis=0) - there.mean(axis=0)).max() < CENTROID_TOLERANCE_MM
