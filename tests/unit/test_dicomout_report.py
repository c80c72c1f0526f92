"""The DICOM SR of a plan, read back with highdicom: every number and coordinate is the plan's."""

from __future__ import annotations

from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicomout_series import make_headers, make_read_files, make_small_context, to_files
from phantom import make_context
from pydicom.sr.coding import Code

from hepatica.adapters.dicom.codes import read_terms, to_code
from hepatica.adapters.dicom.plan_writers import make_plan_writers
from hepatica.adapters.dicom.segments import find_tracking_uids
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT
from hepatica.planning.path.values import Deposit, Track
from hepatica.planning.plan import PlanStatus

NUMBER_TOLERANCE = 1e-6
"""Numbers are rounded to six decimals."""
COORDINATE_TOLERANCE_MM = 2e-5
"""SCOORD3D holds 32-bit floats: 2**-24 of 200 mm."""


def make_rich_context():
    """Two deposits on two tracks, an unknown angle and an unknown clearance."""
    context = make_small_context()
    puncture = context.plan.punctures[0]
    clearance = replace(puncture.clearances[0], run_out_mm=NotEvaluable(reason="the volume ends"))
    tracks = (
        puncture.tracks[0],
        Track(
            tip_lps_mm=np.array([-61.123456, -22.5, 11.75]),
            deposits=(
                Deposit(point_lps_mm=np.array([-61.0, -22.0, 11.0]), volume_ml=0.75, lesion_id="L1", order=1),
            ),
        ),
    )
    puncture = replace(
        puncture,
        tracks=tracks,
        in_plane_angle_deg=NotEvaluable(reason="Patient Position is unknown"),
        clearances=(clearance, puncture.clearances[1]),
    )
    return replace(context, plan=replace(context.plan, punctures=(puncture,)))


def write_all(context, folder, **header):
    header.setdefault("frame", "2.25.5")
    files = to_files(make_headers(context.image.volume.grid, **header))
    (folder / "sheet.pdf").write_bytes(b"%PDF-1.7\nodd")
    for writer in make_plan_writers(make_read_files(files)):
        for name in writer.requires:
            assert (folder / name).is_file()
        writer.write_plan(context, folder, progress=SILENT)
    return hd.sr.srread(folder / "plan_sr.dcm")


def find_groups(report, finding):
    """Every measurement group whose finding has a code, as highdicom objects."""
    groups = report.content.get_image_measurement_groups()
    return [g for g in groups if g.finding_type == to_code("concept", finding)]


def get_number(group, concept, unit):
    """Return the one number of a concept, checking its unit."""
    numbers = [m for m in group.get_measurements() if m.name == to_code("concept", concept)]
    assert len(numbers) == 1, concept
    term = read_terms()["unit"][unit]
    assert numbers[0].unit == Code(term.value, term.scheme, term.meaning)
    return numbers[0].value


def list_coordinates(group):
    """Return (concept, value, graphic type, points, frame) of every number with coordinates."""
    found = []
    for measurement in group.get_measurements():
        for item in measurement[0].get("ContentSequence", ()):
            if item.ValueType == "SCOORD3D":
                points = np.array(item.GraphicData, float).reshape(-1, 3)
                found.append(
                    (
                        measurement.name.value,
                        measurement.value,
                        item.GraphicType,
                        points,
                        item.ReferencedFrameOfReferenceUID,
                    )
                )
    return found


@pytest.mark.requirement("A-dicom-sr")
def test_each_lesion_has_one_group_with_its_measures_and_the_segment_that_shares_its_tracking_uid(tmp_path):
    context = make_rich_context()
    report = write_all(context, tmp_path)
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    lesion, injection = context.plan.lesions[0], context.plan.allocation.injections[0]
    segmentation = hd.seg.segread(tmp_path / "segmentation.dcm")
    reference = group.referenced_segment
    segment = segmentation.get_segment_description(reference.referenced_segment_numbers[0])
    assert reference.referenced_sop_instance_uid == segmentation.SOPInstanceUID
    assert group.tracking_uid == segment.tracking_uid == find_tracking_uids(context)["L1"]
    assert group.tracking_identifier == segment.tracking_id == "L1"
    assert [site.value.meaning for site in group.finding_sites] == ["Liver"]
    expected = {
        ("long_axis", "mm"): lesion.longest_diameter.length_mm,
        ("short_axis", "mm"): lesion.short_axis.length_mm,
        ("longest_3d", "mm"): lesion.longest_diameter_3d.length_mm,
        ("volume", "ml"): lesion.volume_ml,
        ("volume_uncertainty", "ml"): lesion.volume_uncertainty_ml,
        ("planned_volume", "ml"): injection.volume_ml,
        ("planned_dose", "pfu"): injection.dose,
    }
    assert len(group.get_measurements()) == len(expected)
    for (concept, unit), value in expected.items():
        assert get_number(group, concept, unit) == pytest.approx(value, abs=NUMBER_TOLERANCE)
    assert sum(uid == group.tracking_uid for uid in _all_tracking_uids(report)) == 1


def _all_tracking_uids(report):
    return [
        item.UID
        for group in report.ContentSequence[-1].ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "UIDREF" and item.ConceptNameCodeSequence[0].CodeValue == "112040"
    ]


@pytest.mark.requirement("A-dicom-sr")
def test_the_ends_of_each_diameter_hang_below_its_number(tmp_path):
    context = make_rich_context()
    (group,) = write_all(context, tmp_path).content.get_volumetric_roi_measurement_groups()
    lesion = context.plan.lesions[0]
    expected = [lesion.longest_diameter, lesion.short_axis, lesion.longest_diameter_3d]
    found = list_coordinates(group)
    assert [f[2] for f in found] == ["POLYLINE"] * 3
    for (_, value, _, points, frame), diameter in zip(found, expected, strict=True):
        assert frame == "2.25.5"
        assert np.abs(points - diameter.ends_lps_mm).max() < COORDINATE_TOLERANCE_MM
        assert np.linalg.norm(points[1] - points[0]) == pytest.approx(value, abs=1e-4)


@pytest.mark.requirement("A-dicom-sr")
def test_each_puncture_has_its_line_from_entry_to_tip_and_each_deposit_its_point_and_volume(tmp_path):
    context = make_rich_context()
    report = write_all(context, tmp_path)
    for finding, punctures in (
        ("needle_path", context.plan.punctures),
        ("backup_path", context.plan.backups),
    ):
        groups = find_groups(report, finding)
        assert [g.tracking_identifier for g in groups] == [p.puncture_id for p in punctures]
        for group, puncture in zip(groups, punctures, strict=True):
            expected = []
            for track in puncture.tracks:
                line = np.stack([puncture.entry_lps_mm, track.tip_lps_mm])
                length = np.linalg.norm(line[1] - line[0])
                expected.append((length, "POLYLINE", line))
                expected.extend((d.volume_ml, "POINT", d.point_lps_mm[None]) for d in track.deposits)
            found = list_coordinates(group)
            assert len(found) == len(expected)
            for (_, value, kind, points, frame), (number, graphic, place) in zip(
                found, expected, strict=True
            ):
                assert (kind, frame) == (graphic, "2.25.5")
                assert value == pytest.approx(number, abs=NUMBER_TOLERANCE)
                assert np.abs(points - place).max() < COORDINATE_TOLERANCE_MM


@pytest.mark.requirement("A-dicom-sr")
def test_lengths_angles_and_clearances_of_a_puncture_come_back_with_the_structure_they_are_to(tmp_path):
    context = make_rich_context()
    report = write_all(context, tmp_path)
    puncture = context.plan.backups[0]
    (group,) = find_groups(report, "backup_path")
    assert get_number(group, "puncture_length", "mm") == pytest.approx(
        puncture.length_mm, abs=NUMBER_TOLERANCE
    )
    assert get_number(group, "in_plane_angle", "deg") == puncture.in_plane_angle_deg
    assert get_number(group, "craniocaudal_angle", "deg") == puncture.craniocaudal_angle_deg
    assert get_number(group, "capsule_angle", "deg") == puncture.capsule_angle_deg
    assert get_number(group, "liver_before_lesion", "mm") == puncture.liver_before_lesion_mm
    found = {
        (m.name.value, m.finding_sites[0].value.meaning): (m.value, m.method is not None)
        for m in group.get_measurements()
        if m.finding_sites
    }
    assert found == {
        ("clearance", "Intestine"): (31.2, False),
        ("run_out", "Intestine"): (28.0, False),
        ("clearance", "Lung"): (42.0, True),  # derived: its method says "Derived, not reviewed"
        ("run_out", "Lung"): (40.0, True),
    }
    target = [
        i.UID for i in group[0].ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "target_lesion"
    ]
    assert target == [find_tracking_uids(context)["L1"]]


@pytest.mark.requirement("A-dicom-sr")
def test_what_cannot_be_judged_has_no_number_and_its_reason_in_words(tmp_path):
    (group,) = find_groups(write_all(make_rich_context(), tmp_path), "needle_path")
    names = [m.name.value for m in group.get_measurements()]
    assert "in_plane_angle" not in names
    assert names.count("run_out") == 1
    comments = [i.TextValue for i in group[0].ContentSequence if i.ValueType == "TEXT"]
    assert "In-plane angle not evaluable: Patient Position is unknown." in comments
    assert "Run-out clearance to bowel not evaluable: the volume ends." in comments


@pytest.mark.requirement("A-dicom-sr")
@pytest.mark.parametrize(
    ("status", "meaning"), [(PlanStatus.NOT_CLEARED, "Not cleared"), (PlanStatus.CLEARED, "Cleared")]
)
def test_every_path_says_whether_the_plan_is_cleared_and_that_nobody_reviewed_it(tmp_path, status, meaning):
    context = make_rich_context()
    context = replace(context, plan=replace(context.plan, status=status))
    report = write_all(context, tmp_path)
    for finding in ("injection_plan", "needle_path", "backup_path"):
        for group in find_groups(report, finding):
            answers = {e.name.meaning: e.value.meaning for e in group.get_qualitative_evaluations()}
            assert answers == {"Plan status": meaning, "Review status": "Derived, not reviewed"}
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )


@pytest.mark.requirement("A-dicom-sr")
def test_the_plan_group_carries_the_warnings_of_the_protocol_and_the_research_line(tmp_path):
    context = make_small_context(frame="")
    report = write_all(context, tmp_path, frame=None)
    (group,) = find_groups(report, "injection_plan")
    text = " ".join(i.TextValue for i in group[0].ContentSequence if i.ValueType == "TEXT")
    for line in (
        "Research use, not a medical device.",
        *context.plan.protocol.notices,
        "heart, gallbladder, ducts",
    ):
        assert line in text
    assert "declares no Frame of Reference UID" in text
    assert get_number(group, "total_volume", "ml") == context.plan.allocation.total_ml
    frames = {f[4] for g in find_groups(report, "needle_path") for f in list_coordinates(g)}
    assert frames == {hd.seg.segread(tmp_path / "segmentation.dcm").FrameOfReferenceUID}


@pytest.mark.requirement("A-dicom-study")
def test_the_report_refers_to_every_image_of_the_scan_and_to_the_segmentation(tmp_path):
    context = make_rich_context()
    report = write_all(context, tmp_path)
    referenced = {
        item.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    headers = list(make_headers(context.image.volume.grid))
    segmentation = pydicom.dcmread(tmp_path / "segmentation.dcm", stop_before_pixels=True)
    assert referenced == {h.SOPInstanceUID for h in headers} | {segmentation.SOPInstanceUID}
    numbers = {
        pydicom.dcmread(tmp_path / n).SeriesNumber for n in ("segmentation.dcm", "plan_sr.dcm", "sheet.dcm")
    }
    assert numbers == {901, 902, 903}


@pytest.mark.requirement("A-dicom-replay")
def test_report_and_sheet_of_the_same_context_have_the_same_bytes(tmp_path):
    context = make_rich_context()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_all(context, tmp_path / name, TimezoneOffsetFromUTC="+0230")
    for name in ("plan_sr.dcm", "sheet.dcm", "segmentation.dcm"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        dataset = pydicom.dcmread(tmp_path / "one" / name)
        # 03:04:05 UTC in the time zone that the scan declares
        assert (dataset.ContentTime, dataset.TimezoneOffsetFromUTC) == ("053405.000000", "+0230")


@pytest.mark.requirement("A-dicom-pdf")
def test_the_encapsulated_sheet_gives_back_the_pdf_to_the_byte_in_the_study_of_the_scan(tmp_path):
    context = make_rich_context()
    write_all(context, tmp_path)
    dataset = pydicom.dcmread(tmp_path / "sheet.dcm")
    pdf = (tmp_path / "sheet.pdf").read_bytes()
    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == pdf
    assert len(dataset.EncapsulatedDocument) % 2 == 0
    assert dataset.StudyInstanceUID == pydicom.dcmread(tmp_path / "plan_sr.dcm").StudyInstanceUID
    assert "research use" in dataset.DocumentTitle


def test_a_folder_without_a_sheet_is_refused(tmp_path):
    from hepatica.core.errors import SourceFormatError

    context = make_small_context()
    writer = make_plan_writers(
        make_read_files(to_files(make_headers(context.image.volume.grid, frame="2.25.5")))
    )[2]
    with pytest.raises(SourceFormatError, match=r"sheet\.pdf"):
        writer.write_plan(context, tmp_path, progress=SILENT)
    assert list(tmp_path.iterdir()) == []


def test_no_writer_writes_anything_for_a_scan_that_is_not_dicom(tmp_path):
    for writer in make_plan_writers(make_read_files([])):
        assert writer.write_plan(make_context(), tmp_path, progress=SILENT) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_three_writers_read_the_scan_once(tmp_path):
    context = make_small_context()
    files = to_files(make_headers(context.image.volume.grid, frame="2.25.5"))
    calls = []

    def read_files(path):
        calls.append(path)
        yield from files

    (tmp_path / "sheet.pdf").write_bytes(b"%PDF-1.7\n")
    for writer in make_plan_writers(read_files):
        writer.write_plan(context, tmp_path, progress=SILENT)
    assert len(calls) == 1


def test_a_lesion_without_a_segment_still_has_its_group(tmp_path):
    context = make_small_context()
    files = to_files(make_headers(context.image.volume.grid, frame="2.25.5"))
    make_plan_writers(make_read_files(files))[1].write_plan(context, tmp_path, progress=SILENT)
    content = hd.sr.srread(tmp_path / "plan_sr.dcm").content
    assert content.get_volumetric_roi_measurement_groups() == []
    assert [g.tracking_identifier for g in content.get_image_measurement_groups()] == [
        "visit 1",
        "L1",
        "P1",
        "P1b",
    ]
