"""The DICOM SEG of a plan: every voxel where the plan has it, whichever way the scan was stored."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicomout_series import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    SOURCE,
    make_headers,
    make_multi_frame,
    make_read_files,
    make_small_context,
    to_files,
)
from phantom import make_context

from hepatica.adapters.dicom.plan_writers import make_plan_writers
from hepatica.adapters.dicom.seg_writer import FRAME_DERIVED, PLAN_SERIES, SegWriter
from hepatica.adapters.dicom.segments import find_tracking_uids, list_segments
from hepatica.adapters.dicom.source_headers import SourceReader
from hepatica.adapters.dicom.spread_seg_writer import SPREAD_SERIES
from hepatica.adapters.dicom.stored_planes import find_planned_planes
from hepatica.core.errors import NotFoundError
from hepatica.core.progress import SILENT
from hepatica.core.provenance import derive_uid

POSITION_TOLERANCE_MM = 2e-3
"""The stored headers carry positions with five decimals and spacing as decimal text."""


def write(context, files, folder, **options):
    return SegWriter(SourceReader(make_read_files(files)), **options).write_plan(
        context, folder, progress=SILENT
    )


def decode_by_hand(path):
    """Return {segment number: (n, 3) LPS positions} by the standard's equation C.7.6.2.1-1 alone."""
    dataset = pydicom.dcmread(path)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    frames = bits[: dataset.NumberOfFrames * dataset.Rows * dataset.Columns].reshape(
        -1, dataset.Rows, dataset.Columns
    )
    shared = dataset.SharedFunctionalGroupsSequence[0]
    row_spacing, column_spacing = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    points = {}
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        here = (
            origin
            + np.outer(columns * column_spacing, cosines[:3])
            + np.outer(rows * row_spacing, cosines[3:])
        )
        # What all frames share is stored once.
        number = (
            group if "SegmentIdentificationSequence" in group else shared
        ).SegmentIdentificationSequence[0]
        number = number.ReferencedSegmentNumber
        points.setdefault(number, []).append(here)
    return {number: np.concatenate(parts) for number, parts in points.items()}


def sort_points(points):
    rounded = np.round(points, 1)
    return points[np.lexsort(rounded.T)]


def check_voxels(context, path):
    """Both routes: the plan's masks through the grid, and the file's bits through its own plane positions."""
    found = decode_by_hand(path)
    segments = list_segments(context)
    assert sorted(found) == list(range(1, len(segments) + 1))
    for number, segment in enumerate(segments, start=1):
        expected = segment.mask.grid.to_lps_mm(segment.mask.index_ijk())
        assert len(found[number]) == len(expected)
        centroid = found[number].mean(axis=0)
        assert np.abs(centroid - segment.mask.centroid_lps_mm).max() < POSITION_TOLERANCE_MM
        assert np.abs(sort_points(found[number]) - sort_points(expected)).max() < POSITION_TOLERANCE_MM


@pytest.mark.requirement("A-dicom-seg-orientation")
@pytest.mark.parametrize("position", ["HFS", "FFS"])
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_every_voxel_of_every_segment_keeps_its_place_for_all_eight_stored_flips(tmp_path, flips, position):
    context = make_small_context()
    files = to_files(
        make_headers(context.image.volume.grid, axes=AXIAL, flips=flips, position=position, frame="2.25.5")
    )
    assert write(context, files, tmp_path) == ("segmentation.dcm",)
    check_voxels(context, tmp_path / "segmentation.dcm")


@pytest.mark.requirement("A-dicom-seg-orientation")
@pytest.mark.parametrize(
    ("axes", "slice_axis", "flips"),
    [
        (SAGITTAL, 0, (False, True, False)),
        (SAGITTAL, 0, (True, False, True)),
        (CORONAL, 1, (False, True, True)),
        (CORONAL, 1, (True, False, False)),
    ],
)
def test_every_voxel_keeps_its_place_for_sagittal_and_coronal_series(tmp_path, axes, slice_axis, flips):
    context = make_small_context(slice_axis=slice_axis)
    write(
        context,
        to_files(make_headers(context.image.volume.grid, axes=axes, flips=flips, frame="2.25.5")),
        tmp_path,
    )
    check_voxels(context, tmp_path / "segmentation.dcm")


def rotate(degrees, axis):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = (a for a in range(3) if a != axis)
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix


@pytest.mark.requirement("A-dicom-seg-orientation")
def test_every_voxel_keeps_its_place_in_an_oblique_series(tmp_path):
    context = make_small_context(directions=rotate(17, 2) @ rotate(-9, 0))
    files = to_files(make_headers(context.image.volume.grid, flips=(True, False, True), frame="2.25.5"))
    write(context, files, tmp_path)
    check_voxels(context, tmp_path / "segmentation.dcm")


@pytest.mark.requirement("A-dicom-seg-orientation")
def test_highdicom_finds_the_same_centroids_through_its_volume_affine(tmp_path):
    context = make_small_context()
    write(
        context, to_files(make_headers(context.image.volume.grid, flips=(1, 0, 1), frame="2.25.5")), tmp_path
    )
    written = hd.seg.segread(tmp_path / "segmentation.dcm")
    for number, segment in enumerate(list_segments(context), start=1):
        volume = written.get_volume(segment_numbers=[number])
        index = np.argwhere(volume.array[..., 0] > 0)
        points = volume.map_indices_to_reference(index)
        assert np.abs(points.mean(axis=0) - segment.mask.centroid_lps_mm).max() < POSITION_TOLERANCE_MM


@pytest.mark.requirement("A-dicom-seg")
def test_each_frame_lies_on_the_stored_image_it_names_with_the_same_rows_and_columns(tmp_path):
    context = make_small_context()
    headers = list(make_headers(context.image.volume.grid, flips=(True, True, False), frame="2.25.5"))
    by_uid = {header.SOPInstanceUID: header for header in headers}
    write(context, to_files(headers), tmp_path)
    dataset = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert (dataset.Rows, dataset.Columns) == (headers[0].Rows, headers[0].Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    assert np.allclose(cosines, np.array(headers[0].ImageOrientationPatient, float), atol=1e-7)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        stored = np.array(by_uid[source.ReferencedSOPInstanceUID].ImagePositionPatient, float)
        assert np.abs(position - stored).max() < POSITION_TOLERANCE_MM


@pytest.mark.requirement("A-dicom-seg")
def test_frames_without_a_voxel_are_left_out(tmp_path):
    context = make_small_context()
    write(context, to_files(make_headers(context.image.volume.grid, frame="2.25.5")), tmp_path)
    expected = sum(np.unique(s.mask.index_ijk()[:, 2]).size for s in list_segments(context))
    assert pydicom.dcmread(tmp_path / "segmentation.dcm").NumberOfFrames == expected


@pytest.mark.requirement("A-dicom-seg")
def test_segments_say_whether_a_person_labelled_them_or_the_program_derived_them(tmp_path):
    context = make_small_context()
    write(context, to_files(make_headers(context.image.volume.grid, frame="2.25.5")), tmp_path)
    segments = {s.SegmentLabel: s for s in pydicom.dcmread(tmp_path / "segmentation.dcm").SegmentSequence}
    assert list(segments) == ["liver", "L1 lesion", "L1 viable part", "portal vein", "bone"]
    assert segments["liver"].SegmentAlgorithmType == "SEMIAUTOMATIC"
    assert segments["liver"].SegmentDescription == "supplied label: my liver"
    assert segments["bone"].SegmentAlgorithmType == "AUTOMATIC"
    assert segments["bone"].SegmentDescription == "derived, not reviewed: threshold 250 HU"
    assert segments["L1 viable part"].SegmentDescription == "derived, not reviewed: two phases"
    assert segments["liver"].SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"


@pytest.mark.requirement("A-dicom-tracking")
def test_a_lesion_keeps_the_tracking_uid_of_the_plan_document(tmp_path):
    context = replace(
        make_small_context(), plan_document={"lesions": [{"id": "L1", "tracking_uid": "2.25.99"}]}
    )
    write(context, to_files(make_headers(context.image.volume.grid, frame="2.25.5")), tmp_path)
    segments = pydicom.dcmread(tmp_path / "segmentation.dcm").SegmentSequence
    assert [s.TrackingUID for s in segments if s.TrackingID == "L1"] == ["2.25.99"]
    assert len({s.TrackingUID for s in segments}) == len(segments)
    assert find_tracking_uids(make_small_context())["L1"] == derive_uid(
        context.manifest.run_id, "lesion", "L1"
    )


@pytest.mark.requirement("A-dicom-replay")
def test_the_same_context_gives_the_same_bytes(tmp_path):
    context = make_small_context()
    files = to_files(make_headers(context.image.volume.grid, frame="2.25.5"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(context, files if name == "one" else files[::-1], tmp_path / name)
    first, second = ((tmp_path / name / "segmentation.dcm").read_bytes() for name in ("one", "two"))
    assert first == second
    dataset = pydicom.dcmread(tmp_path / "one" / "segmentation.dcm")
    assert (dataset.ContentDate, dataset.InstanceCreationDate, dataset.ContentTime) == (
        "20260102",
        "20260102",
        "030405.000000",
    )


@pytest.mark.requirement("A-dicom-study")
def test_the_object_files_into_the_patient_and_study_of_the_scan(tmp_path):
    context = make_small_context()
    headers = list(
        make_headers(
            context.image.volume.grid,
            frame="2.25.5",
            PatientName="Пациент^Имя=",
            SpecificCharacterSet="ISO_IR 144",
            StudyDescription="Живот",
        )
    )
    write(context, to_files(headers), tmp_path)
    dataset = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert str(dataset.PatientName) == "Пациент^Имя"
    assert dataset.StudyDescription == "Живот"
    for keyword in (
        "PatientID",
        "PatientBirthDate",
        "StudyInstanceUID",
        "StudyID",
        "AccessionNumber",
        "StudyTime",
    ):
        assert dataset[keyword].value == headers[0][keyword].value
    assert dataset.SeriesInstanceUID not in (headers[0].SeriesInstanceUID, "")
    assert dataset.FrameOfReferenceUID == "2.25.5"


@pytest.mark.requirement("A-dicom-study")
def test_a_source_without_frame_of_reference_gets_one_derived_from_its_series_and_the_object_says_so(
    tmp_path,
):
    context = make_small_context(frame="")
    headers = make_headers(
        context.image.volume.grid, PatientID=None, StudyID=None, PatientSex="U", StudyDate="2009-05-27"
    )
    write(context, to_files(headers), tmp_path)
    dataset = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert dataset.FrameOfReferenceUID == derive_uid(context.image.facts.series_uid, "frame of reference")
    assert dataset.ContentDescription == "Injection plan, research use; frame of reference derived"
    assert (dataset.PatientID, dataset.StudyID, dataset.PatientSex, dataset.StudyDate) == ("", "", "", "")


@pytest.mark.requirement("A-dicom-study")
def test_a_source_without_study_uid_gets_one_derived_from_its_series(tmp_path):
    context = make_small_context()
    headers = list(make_headers(context.image.volume.grid, frame="2.25.5"))
    for header in headers:
        del header.StudyInstanceUID
    write(context, to_files(headers), tmp_path)
    dataset = pydicom.dcmread(tmp_path / "segmentation.dcm")
    assert dataset.StudyInstanceUID == derive_uid(context.image.facts.series_uid, "study")


def test_nothing_is_written_where_the_scan_is_not_dicom(tmp_path):
    assert write(make_context(), [], tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_has_vanished_is_an_error_that_names_the_series_and_no_person(tmp_path):
    context = make_small_context()
    with pytest.raises(NotFoundError, match="keep the scan in place") as caught:
        write(context, [("broken", b"\0" * 128 + b"DICM" + b"\xff" * 30)], tmp_path)
    assert str(SOURCE) in str(caught.value)
    assert "Person" not in str(caught.value)


def make_two_acquisitions(grid, *, first_number):
    first = list(make_headers(grid, frame="2.25.5"))
    second = list(make_headers(grid, frame="2.25.5", AcquisitionNumber=2))
    for number, header in enumerate(second):
        header.SOPInstanceUID, header.InstanceNumber = (
            derive_uid("second", str(number)),
            first_number + number,
        )
    return first, second


def list_references(path):
    series = pydicom.dcmread(path).ReferencedSeriesSequence[0]
    return {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}


@pytest.mark.requirement("A-dicom-seg")
def test_of_two_acquisitions_in_one_series_the_planned_one_is_referenced(tmp_path):
    context = make_small_context()
    first, second = make_two_acquisitions(context.image.volume.grid, first_number=100)
    numbers = tuple(int(header.InstanceNumber) for header in second)
    facts = replace(context.image.facts, instance_numbers=numbers)
    context = replace(context, image=replace(context.image, facts=facts))
    write(context, to_files([*first, *second]), tmp_path)
    assert list_references(tmp_path / "segmentation.dcm") == {header.SOPInstanceUID for header in second}
    check_voxels(context, tmp_path / "segmentation.dcm")


@pytest.mark.requirement("A-dicom-seg")
def test_of_two_acquisitions_that_cannot_be_told_apart_no_slice_is_named_as_a_frames_source(tmp_path):
    context = make_small_context()
    first, second = make_two_acquisitions(context.image.volume.grid, first_number=1)
    source = SourceReader(make_read_files(to_files([*first, *second]))).read_source(context.image.facts)
    assert not find_planned_planes(context.image, source)[1].stored


@pytest.mark.requirement("A-dicom-seg")
def test_a_localizer_in_the_same_series_is_not_taken_for_a_slice(tmp_path):
    context = make_small_context()
    slices = list(make_headers(context.image.volume.grid, flips=(True, False, True), frame="2.25.5"))
    (localizer,) = list(make_headers(context.image.volume.grid, axes=CORONAL, frame="2.25.5"))[3:4]
    localizer.SOPInstanceUID, localizer.InstanceNumber = "2.25.31337", 0
    write(context, to_files([localizer, *slices]), tmp_path)
    assert list_references(tmp_path / "segmentation.dcm") == {header.SOPInstanceUID for header in slices}
    check_voxels(context, tmp_path / "segmentation.dcm")


@pytest.mark.requirement("A-dicom-seg-orientation")
def test_a_multi_frame_scan_keeps_every_voxel_in_place(tmp_path):
    context = make_small_context()
    slices = list(make_headers(context.image.volume.grid, frame="2.25.5"))
    scan = make_multi_frame(slices)
    write(context, to_files([scan]), tmp_path)
    check_voxels(context, tmp_path / "segmentation.dcm")
    assert list_references(tmp_path / "segmentation.dcm") == {scan.SOPInstanceUID}


@pytest.mark.requirement("A-dicom-study")
def test_values_that_break_the_standard_file_the_object_as_they_are_and_are_never_printed(
    tmp_path, capfd, caplog, recwarn
):
    values = {
        "PatientName": "SECRET",
        "PatientID": "S" * 70,
        "StudyID": "S" * 20,
        "AccessionNumber": "S" * 20,
        "PatientBirthDate": "SECRET",
        "PatientAge": "SECRET",
        "StudyDescription": "S" * 80,
    }
    context = make_small_context()
    files = to_files(make_headers(context.image.volume.grid, frame="2.25.5", **values))
    recwarn.clear()
    caplog.clear()
    (tmp_path / "sheet.pdf").write_bytes(b"%PDF-1.7\n")
    with caplog.at_level("DEBUG"):
        for writer in make_plan_writers(make_read_files(files)):
            writer.write_plan(context, tmp_path, progress=SILENT)
    said = "".join([*capfd.readouterr(), caplog.text, *(str(w.message) for w in recwarn)])
    assert "SECRET" not in said
    assert "SSSS" not in said
    for name in ("segmentation.dcm", "plan_sr.dcm", "sheet.dcm"):
        dataset = pydicom.dcmread(tmp_path / name)
        for keyword in ("PatientName", "PatientID", "StudyID", "AccessionNumber"):
            assert str(dataset[keyword].value) == values[keyword]


@pytest.mark.requirement("A-dicom-seg-orientation")
@pytest.mark.parametrize(
    ("slice_axis", "cosines"),
    [(2, [1, 0, 0, 0, 1, 0]), (0, [0, 1, 0, 0, 0, -1]), (1, [1, 0, 0, 0, 0, -1])],
)
def test_a_resampled_stack_is_written_on_its_own_planes_turned_the_usual_way(tmp_path, slice_axis, cosines):
    context = make_small_context(slice_axis=slice_axis)
    grid = context.image.volume.grid
    shifted = replace(
        grid, lps_from_ijk=grid.lps_from_ijk + np.pad([[1.1]], ((slice_axis, 3 - slice_axis), (3, 0)))
    )
    axes = {0: SAGITTAL, 1: CORONAL, 2: AXIAL}[slice_axis]
    source = SourceReader(make_read_files(to_files(make_headers(shifted, axes=axes, frame="2.25.5"))))
    assert not find_planned_planes(context.image, source.read_source(context.image.facts))[1].stored
    SegWriter(source).write_plan(context, tmp_path, progress=SILENT)
    check_voxels(context, tmp_path / "segmentation.dcm")
    shared = pydicom.dcmread(tmp_path / "segmentation.dcm").SharedFunctionalGroupsSequence[0]
    assert list(shared.PlaneOrientationSequence[0].ImageOrientationPatient) == cosines


@pytest.mark.requirement("A-dicom-seg")
def test_a_plan_too_large_for_one_object_continues_in_a_second_one_without_losing_a_voxel(tmp_path):
    context = make_small_context()
    files = to_files(make_headers(context.image.volume.grid, frame="2.25.5"))
    names = write(context, files, tmp_path, pixels_per_file_max=22 * 17 * 9 * 2)
    assert names[:2] == ("segmentation.dcm", "segmentation_2.dcm")
    headers = [pydicom.dcmread(tmp_path / name) for name in names]
    assert len({h.SeriesInstanceUID for h in headers}) == 1
    assert len({h.SOPInstanceUID for h in headers}) == len(names)
    expected = {segment.tracking_uid: segment.mask for segment in list_segments(context)}
    found = {}
    for name, header in zip(names, headers, strict=True):
        assert header.SegmentsOverlap == "NO"
        for number, points in decode_by_hand(tmp_path / name).items():
            found[header.SegmentSequence[number - 1].TrackingUID] = points
    assert sorted(found) == sorted(expected)
    for uid, mask in expected.items():
        places = mask.grid.to_lps_mm(mask.index_ijk())
        assert np.abs(sort_points(found[uid]) - sort_points(places)).max() < POSITION_TOLERANCE_MM


def test_a_label_in_any_script_with_a_backslash_becomes_a_legal_value(tmp_path):
    context = make_small_context()
    lesion = replace(context.plan.lesions[0], label="病变 \\ B\n" + "x" * 90)
    context = replace(context, plan=replace(context.plan, lesions=(lesion,)))
    write(context, to_files(make_headers(context.image.volume.grid, frame="2.25.5")), tmp_path)
    label = pydicom.dcmread(tmp_path / "segmentation.dcm").SegmentSequence[1].SegmentLabel
    assert label.startswith("L1 病变 / B x")
    assert len(label) == 64


@pytest.mark.requirement("C-REAL")
@pytest.mark.parametrize("series", [PLAN_SERIES, SPREAD_SERIES], ids=lambda series: series.name)
def test_a_content_description_fits_dicom_also_where_the_frame_is_derived(series):
    """A scan without frame of reference, as one of the public ones, adds words to it."""
    assert len(series.content + FRAME_DERIVED) <= 64
