"""Research mode: nothing of who the patient is survives in any byte, and the scan is still the same scan."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.config import disable_value_validation
from pydicom.datadict import DicomDictionary, dictionary_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from scan_files import CT, make_affine, make_values
from scan_records import (
    FAMILY,
    GIVEN,
    NUMBER,
    find_scan,
    open_test_record,
    parse,
    read_images,
    write_scan,
)

from hepatica.adapters.dicom.deid_dataset import Cleaning
from hepatica.adapters.dicom.deid_policy import read_meanings, read_policy
from hepatica.adapters.dicom.deidentify import deidentify
from hepatica.bootstrap import read_image
from hepatica.record.pseudonyms import LEAST_OFFSET_DAYS, MOST_OFFSET_DAYS, Pseudonyms
from hepatica.workflows.import_scan import import_scan
from hepatica.workflows.scan_ports import Disguise

MARK, PHONE, CLINIC = "Tapirfile", "0049-4711-0815", "Okapi Clinic"
UID = "1.2.276.0.4711.815.1"
BORN, DAY = "19310203", "20260101"
NEEDLES = (FAMILY, GIVEN, NUMBER, MARK, PHONE, CLINIC, "47110815", "4711.815", BORN, DAY)
TEXT = {
    "AE": "TAPIRFILE",
    "CS": "TAPIRFILE",
    "LO": f"{FAMILY} {NUMBER} {MARK}",
    "SH": f"{NUMBER}",
    "ST": f"{CLINIC} {PHONE}",
    "LT": f"{GIVEN} {MARK} {PHONE}",
    "UT": f"{GIVEN} {MARK} {PHONE}",
    "UC": f"{FAMILY} {CLINIC}",
    "UR": f"https://clinic/{NUMBER}",
    "PN": f"{FAMILY}^{GIVEN}",
    "DA": BORN,
    "DT": f"{DAY}101112+0100",
    "UI": UID,
    "UN": MARK.encode() + b" ",
    "OB": MARK.encode() + b" ",
    "OW": MARK.encode() + b" ",
    "OF": MARK.encode()[:8],
    "OD": MARK.encode()[:8],
    "OL": MARK.encode()[:8],
    "OV": MARK.encode()[:8],
}
KEPT_BY_THE_FIXTURE = {
    "SOPClassUID",
    "PixelData",
    "Modality",
    "SpecificCharacterSet",
    "PhotometricInterpretation",
}


def list_named_texts() -> list[str]:
    """Attributes of the table that can hold text, dates or UIDs."""
    from pydicom.datadict import dictionary_VR

    texts = set(TEXT) - {"UN", "OB", "OW", "OF", "OD", "OL", "OV"}
    named = {
        dictionary_keyword(tag)
        for tag in read_policy().actions
        if dictionary_VR(tag).split(" or ")[0] in texts
    }
    return sorted(named - KEPT_BY_THE_FIXTURE)


def make_disguise(subject="S-001", patient="p"):
    names = Pseudonyms(key=bytes(range(32)))
    return Disguise(subject_id=subject, offset_days=names.to_offset_days(patient), pseudonyms=names)


def make_cleaning():
    return Cleaning(policy=read_policy(), disguise=make_disguise())


def make_image(**more) -> Dataset:
    """A small CT image with its pixels."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID, image.file_meta.MediaStorageSOPInstanceUID = CT, UID
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = CT, UID, "CT"
    image.SeriesInstanceUID, image.StudyInstanceUID = UID + ".2", UID + ".3"
    image.PatientName, image.PatientID = f"{FAMILY}^{GIVEN}", NUMBER
    image.Rows = image.Columns = 8
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = np.arange(64, dtype="<u2").tobytes()
    with disable_value_validation():
        for keyword, value in more.items():
            setattr(image, keyword, value)
    return image


def save(image: Dataset, *, preamble=bytes(128), tail=b"") -> bytes:
    buffer = io.BytesIO()
    image.preamble = preamble
    with disable_value_validation():
        image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue() + tail


def clean(data: bytes, cleaning=None) -> bytes:
    return deidentify(
        pydicom.dcmread(io.BytesIO(data), force=True), cleaning or make_cleaning(), where="a file"
    )


def find_needles(data: bytes, needles=NEEDLES) -> list[str]:
    """Needles that occur in any byte, in any of three encodings and either case."""
    small = data.lower()
    return [
        needle
        for needle in needles
        if any(needle.lower().encode(code) in small for code in ("ascii", "utf-16-le", "utf-16-be"))
    ]


def fill_everything() -> Dataset:
    """An image with every attribute of the standard's dictionary that can hold text, dates, UIDs or bytes."""
    image = make_image()
    with disable_value_validation():
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
            kind = vr.split(" or ")[-1]
            if tag >> 16 in (0, 2, 4, 0x7FE0) or tag & 0xFFFF == 0 or keyword in image or tag == 0x00080005:
                continue
            if kind == "SQ":
                item = Dataset()
                item.PatientName, item.InstitutionName, item.StudyDate = f"{FAMILY}^{GIVEN}", CLINIC, DAY
                item.CodeMeaning, item.TextValue, item.ReferencedSOPInstanceUID = (
                    f"{MARK} {NUMBER}",
                    MARK,
                    UID,
                )
                item.add_new(0x00111010, "LO", f"private {NUMBER}")
                image.add_new(tag, "SQ", Sequence([item]))
            elif kind in TEXT:
                image.add_new(tag, kind, TEXT[kind])
    return image


@pytest.mark.requirement("F-research-no-identifier")
def test_of_every_attribute_of_the_standard_no_identifier_survives_in_any_byte():
    image = fill_everything()
    assert len(image) > 3000, "the dictionary was walked"
    assert set(find_needles(save(image))) == set(NEEDLES), "the fixture holds them all"
    assert find_needles(clean(save(image))) == []


@pytest.mark.requirement("F-research-no-identifier")
@pytest.mark.parametrize("keyword", list_named_texts())
def test_an_attribute_the_table_names_does_not_let_a_name_or_number_through(keyword):
    """Each alone, with the patient's own name in capitals, as a code could hold it."""
    kind = pydicom.datadict.dictionary_VR(keyword).split(" or ")[0]
    for text in (FAMILY.upper(), NUMBER):
        value = TEXT[kind] if kind in ("DA", "DT", "UI") else text
        image = make_image(PatientBirthDate=BORN)
        with disable_value_validation():
            image.add_new(pydicom.datadict.tag_for_keyword(keyword), kind, value)
        assert find_needles(clean(save(image))) == [], value


@pytest.mark.requirement("F-research-no-identifier")
def test_preamble_file_meta_private_blocks_overlays_and_bytes_after_the_end_are_gone():
    image = make_image()
    image.file_meta.SourceApplicationEntityTitle = "TAPIRFILE"
    image.file_meta.PrivateInformationCreatorUID = UID
    image.file_meta.PrivateInformation = MARK.encode() + b" "
    block = image.private_block(0x0029, f"{MARK} creator", create=True)
    block.add_new(1, "UN", NUMBER.encode())
    image.add_new(0x60003000, "OW", MARK.encode() + b" ")
    image.add_new(0x60004000, "LT", NUMBER)
    image.add_new(0x50000022, "LO", NUMBER)
    image.add_new(0x00093344, "UN", NUMBER.encode())
    image.add_new(0xFFFCFFFC, "OB", MARK.encode() + b" ")
    image.PixelData = image.PixelData + NUMBER.encode()
    data = save(image, preamble=(NUMBER.encode() * 20)[:128])
    cleaned = clean(data)
    assert find_needles(data) and find_needles(cleaned) == []
    assert cleaned[:128] == bytes(128)
    assert len(parse(cleaned).PixelData) == 128


@pytest.mark.requirement("F-research-no-identifier")
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_names_in_other_alphabets_and_byte_orders_are_gone_and_pixels_stay(syntax):
    image = make_image()
    image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    image.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    image.StationName = "山田"
    image.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    if syntax.endswith(".2.2"):
        image.PixelData = np.arange(64, dtype=">u2").tobytes()
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    cleaned = clean(buffer.getvalue())
    text = cleaned.lower()
    for name in ("yamada", "tarou"):
        assert name.encode() not in text
    for name in ("山田", "太郎", "やまだ"):
        assert not any(
            name.encode(code) in cleaned for code in ("utf-8", "iso2022_jp", "shift_jis", "euc_jp")
        )
    assert parse(cleaned).pixel_array.ravel().tolist() == list(range(64))


@pytest.mark.requirement("F-research-no-identifier")
@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"]
)
def test_a_comment_inside_a_compressed_stream_is_gone_and_the_pixels_are_the_same(syntax):
    from pydicom.encaps import encapsulate, generate_frames

    image = make_image(Rows=64, Columns=64, PixelData=np.arange(4096, dtype="<u2").tobytes())
    before = image.pixel_array.copy()
    image.compress(syntax, generate_instance_uid=False)
    if syntax.endswith(".80"):
        (frame,) = generate_frames(image.PixelData, number_of_frames=1)
        comment = b"\xff\xfe" + (len(NUMBER) + 2).to_bytes(2) + NUMBER.encode()
        image.PixelData = encapsulate([frame[:2] + comment + frame[2:]])
        image["PixelData"].is_undefined_length = True
    data = save(image)
    if syntax.endswith(".80"):
        assert NUMBER.encode() in data[data.find(b"\xe0\x7f\x10\x00") :]
    cleaned = clean(data)
    assert find_needles(cleaned) == []
    assert np.array_equal(parse(cleaned).pixel_array, before)


@pytest.mark.requirement("F-research-no-identifier")
def test_a_description_keeps_its_medical_words_but_not_one_that_is_the_patients_name():
    image = make_image(SeriesDescription="Leber arteriell 1.0 mm Okapi", PatientName="Leber^Anna")
    kept = parse(clean(save(image))).SeriesDescription
    assert kept == "ARTERIELL 1 0 MM"


def test_an_element_under_another_representation_than_the_standards_is_removed():
    image = make_image()
    image.add_new(0x00180050, "LO", MARK)  # slice thickness as text
    cleaned = clean(save(image))
    assert find_needles(cleaned) == [] and "SliceThickness" not in parse(cleaned)
    assert parse(clean(save(make_image(SliceThickness="5")))).SliceThickness == 5


@pytest.mark.requirement("F-research-uids")
def test_uids_are_others_the_same_each_time_and_keep_pointing_at_each_other():
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, UID
    cleaning = make_cleaning()
    first = parse(clean(save(make_image()), cleaning))
    second = parse(
        clean(save(make_image(SOPInstanceUID=UID + ".9", SourceImageSequence=[reference])), cleaning)
    )
    assert second.SourceImageSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.SourceImageSequence[0].ReferencedSOPClassUID == CT, "the standard's own stay"
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != UID + ".2"
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert cleaning.uids[first.SOPInstanceUID] == UID
    for uid in (first.SOPInstanceUID, first.SeriesInstanceUID):
        assert pydicom.uid.UID(uid).is_valid and uid.startswith("2.25.")
    odd = parse(clean(save(make_image(SynchronizationFrameOfReferenceUID="1.2.840.10008.47110815"))))
    assert "47110815" not in odd.SynchronizationFrameOfReferenceUID


@pytest.mark.requirement("F-research-dates")
def test_dates_move_by_one_offset_of_the_patient_and_intervals_stay():
    from datetime import date

    image = make_image(
        StudyDate="20260101",
        AcquisitionDate="20260102",
        AcquisitionDateTime="20260102101112.5",
        PatientAge="093Y",
    )
    cleaned = parse(clean(save(image)))
    moved = date.fromisoformat(cleaned.StudyDate)
    days = make_disguise().offset_days
    assert (moved - date(2026, 1, 1)).days == days
    assert -MOST_OFFSET_DAYS <= days <= -LEAST_OFFSET_DAYS
    assert (date.fromisoformat(cleaned.AcquisitionDate) - moved).days == 1
    assert cleaned.AcquisitionDateTime == cleaned.AcquisitionDate + "101112.5"
    assert cleaned.PatientBirthDate in ("", None) if "PatientBirthDate" in cleaned else True
    assert cleaned.PatientAge == "090Y" and cleaned.LongitudinalTemporalInformationModified == "MODIFIED"
    assert make_disguise(patient="q").offset_days != days


@pytest.mark.requirement("F-research-method")
def test_the_object_says_how_it_was_cleaned_in_the_standards_codes():
    cleaned = parse(clean(save(make_image())))
    assert cleaned.PatientIdentityRemoved == "YES" and cleaned.PatientID == "S-001"
    known = read_meanings()
    found = [(code.CodeValue, code.CodeMeaning) for code in cleaned.DeidentificationMethodCodeSequence]
    assert [value for value, _ in found] == ["113100", "113103", "113104", "113105", "113107", "113108"]
    assert all(known["DCM", value][:64] == meaning for value, meaning in found)


@pytest.mark.requirement("F-research-structured")
def test_a_structured_report_loses_its_text_and_persons_and_keeps_numbers_and_references():
    def item(kind, concept, **values):
        one, name = Dataset(), Dataset()
        name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = *concept, f"meaning of {MARK}"
        one.RelationshipType, one.ValueType, one.ConceptNameCodeSequence = "CONTAINS", kind, [name]
        for keyword, value in values.items():
            setattr(one, keyword, value)
        return one

    unit, measured = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "mm", "UCUM", MARK
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "31.5", [unit]
    report = make_image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    del report.PixelData
    report.ContentSequence = [
        item("TEXT", ("121106", "DCM"), TextValue=f"{MARK}, seen with {GIVEN}"),
        item("TEXT", ("112039", "DCM"), TextValue="lesion of Okapi"),
        item("PNAME", ("121008", "DCM"), PersonName=f"{FAMILY}^{GIVEN}"),
        item("NUM", ("103339001", "SCT"), MeasuredValueSequence=[measured]),
        item("UIDREF", ("112040", "DCM"), UID=UID + ".7"),
        item("TEXT", ("1", "99TAPIR"), TextValue=MARK),
    ]
    segment = Dataset()
    segment.SegmentNumber, segment.TrackingID, segment.TrackingUID = 1, "lesion of Okapi", UID + ".7"
    cleaned = parse(clean(save(report)))
    marked = parse(clean(save(make_image(SegmentSequence=[segment]))))
    assert find_needles(save(cleaned)) == [] and b"Okapi" not in save(cleaned)
    text, tracking, number, uid = cleaned.ContentSequence
    assert text.TextValue == "removed" and text.ConceptNameCodeSequence[0].CodeMeaning == "Comment"
    assert number.MeasuredValueSequence[0].NumericValue == 31.5
    assert number.ConceptNameCodeSequence[0].CodeMeaning == "Long axis"
    assert tracking.TextValue == marked.SegmentSequence[0].TrackingID
    assert uid.UID == marked.SegmentSequence[0].TrackingUID != UID + ".7"


def test_an_overlay_in_the_unused_bits_of_the_pixels_is_cleared_and_signed_values_stay():
    values = np.array([[-5, 7], [-2048, 2047]], dtype="<i2")
    image = make_image(Rows=2, Columns=2, BitsStored=12, HighBit=11, PixelRepresentation=1)
    image.add_new(0x60000100, "US", 16)
    image.add_new(0x60000102, "US", 12)
    image.PixelData = ((values.view("<u2") & 0x0FFF) | 0x1000).tobytes()
    assert parse(clean(save(image))).pixel_array.tolist() == values.tolist()


def test_the_same_object_gives_the_same_bytes_and_another_key_other_pseudonyms():
    data = save(make_image())
    assert clean(data) == clean(data)
    other = Cleaning(
        policy=read_policy(),
        disguise=replace(make_disguise(), pseudonyms=Pseudonyms(key=bytes(reversed(range(32))))),
    )
    assert parse(clean(data)).SOPInstanceUID != parse(clean(data, other)).SOPInstanceUID


@pytest.mark.requirement("F-research-readable")
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.80"])
def test_the_scan_is_read_with_the_same_voxels_and_geometry(tmp_path, syntax):
    source = write_scan(
        tmp_path / "scan", description=f"arteriell {MARK}", extra={"AccessionNumber": NUMBER}, syntax=syntax
    )
    with open_test_record(tmp_path / "home", mode="research") as (record, ports):
        (one,) = import_scan(record.context, ports, patient_id="p", path=source).series
        scan = find_scan(record.context, one.scan_id)
        kept = record.context.files.open_path(scan.values["content_digest"])
        now, before = read_image(kept), read_image(source)
        assert np.array_equal(now.volume.values, before.volume.values)
        assert np.array_equal(now.volume.grid.lps_from_ijk, before.volume.grid.lps_from_ijk)
        assert now.volume.grid.frame_of_reference != before.volume.grid.frame_of_reference
        assert scan.values["phase_hint"].startswith("arterial")
        assert one.state == "accepted" and one.differing == ()
        assert find_needles(kept.read_bytes()) == []
        database = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("record.sqlite*"))
        with record.context.store.reading() as reader:
            events = repr([event for event in reader.read_events()])
        assert find_needles(events.encode()) == []
        assert NUMBER.encode() in database, "in the vault and the identity's own table"


@pytest.mark.requirement("F-research-report")
def test_the_removal_report_counts_by_tag_and_action_and_holds_no_value(tmp_path):
    from hepatica.workflows.judge_scan import read_removal_report

    source = write_scan(tmp_path / "scan", extra={"InstitutionName": CLINIC, "StationName": MARK})
    with open_test_record(tmp_path / "home", mode="research") as (record, ports):
        (one,) = import_scan(record.context, ports, patient_id="p", path=source).series
        report = read_removal_report(record.context, scan_id=one.scan_id)
        lines = {(line["name"], line["action"]): line["count"] for line in report["attributes"]}
        assert lines["Institution Name", "remove"] == lines["Station Name", "remove"] == 6
        assert lines["Patient's Name", "subject"] == 6 and report["objects"] == 6
        assert find_needles(repr(report).encode()) == []
        images = read_images(record.context, find_scan(record.context, one.scan_id))
        assert len(images) == 6


def test_nothing_of_a_values_array_is_lost_between_frames():
    """A multi-frame object keeps all its frames and their positions."""
    values = make_values((4, 4, 3))
    image = make_image(Rows=4, Columns=4, NumberOfFrames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    groups = []
    for k in range(3):
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = [*make_affine()[:2, 3], float(k)]
        group.PlanePositionSequence = [place]
        groups.append(group)
    image.PerFrameFunctionalGroupsSequence = groups
    image.PixelData = values.T.astype("<u2").tobytes()
    cleaned = parse(clean(save(image)))
    assert np.array_equal(cleaned.pixel_array, values.T.astype("<u2"))
    assert [
        g.PlanePositionSequence[0].ImagePositionPatient[2] for g in cleaned.PerFrameFunctionalGroupsSequence
    ] == [0, 1, 2]


@pytest.mark.requirement("F-research-references")
def test_segmentation_and_report_of_a_plan_still_point_at_the_scan_and_at_each_other(tmp_path):
    from dicomout_series import make_headers, make_read_files, make_small_context, to_files

    from hepatica.adapters.dicom.plan_writers import make_plan_writers
    from hepatica.bootstrap import read_segments
    from hepatica.core.progress import SILENT

    context = make_small_context()
    grid = context.image.volume.grid
    headers = list(make_headers(grid, frame="2.25.5", PatientName=f"{FAMILY}^{GIVEN}", PatientID=NUMBER))
    for number, header in enumerate(headers):
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 1
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        plane = np.arange(header.Rows * header.Columns, dtype="<i2") + number
        header.PixelData = plane.tobytes()
    source = tmp_path / "study"
    source.mkdir()
    files = to_files(headers)
    for name, data in files:
        (source / f"{name}.dcm").write_bytes(data)
    made = tmp_path / "plan"
    made.mkdir()
    (made / "sheet.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    for writer in make_plan_writers(make_read_files(files)):
        writer.write_plan(context, made, progress=SILENT)
    for name in ("segmentation.dcm", "plan_sr.dcm"):
        (source / name).write_bytes((made / name).read_bytes())
    with open_test_record(tmp_path / "home", mode="research") as (record, ports):
        done = import_scan(record.context, ports, patient_id="p", path=source).series
        scans = {one.modality: find_scan(record.context, one.scan_id) for one in done}
        images = {kind: read_images(record.context, scan) for kind, scan in scans.items()}
        paths = {
            kind: record.context.files.open_path(scan.values["content_digest"])
            for kind, scan in scans.items()
        }
        assert find_needles(b"".join(data for some in images.values() for data in some)) == []
        planes = {parse(data).SOPInstanceUID for data in images["CT"]}
        (seg,), (report,) = map(parse, images["SEG"]), map(parse, images["SR"])
        frames = seg.PerFrameFunctionalGroupsSequence
        sources = {
            frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            for frame in frames
        }
        assert sources and sources <= planes
        assert seg.FrameOfReferenceUID == parse(images["CT"][0]).FrameOfReferenceUID
        tracked = {s.TrackingUID: s.TrackingID for s in seg.SegmentSequence if "TrackingUID" in s}
        said = _find_tracking(report)
        shared = said.keys() & tracked.keys()
        assert shared and all(tracked[uid] == said[uid] for uid in shared)
        referenced = set(_list_references(report))
        assert seg.SOPInstanceUID in referenced
        assert referenced <= planes | {seg.SOPInstanceUID}
        scan = read_image(paths["CT"])
        voxels = [int(s.mask.to_full().sum()) for s in read_segments(paths["SEG"], reference=scan)]
        before = read_segments(
            made / "segmentation.dcm", reference=read_image(source, series=headers[0].SeriesInstanceUID)
        )
        assert sorted(voxels) == sorted(int(s.mask.to_full().sum()) for s in before)


def _find_tracking(report) -> dict[str, str]:
    """Tracking identifier by UID, wherever the two stand beside each other."""
    found = {}

    def look(items):
        names = {}
        for item in items:
            concepts = item.get("ConceptNameCodeSequence")
            code = concepts[0].CodeValue if concepts else ""
            names[code] = item.get("TextValue") or item.get("UID")
            look(item.get("ContentSequence") or [])
        if "112039" in names and "112040" in names:
            found[names["112040"]] = names["112039"]

    look(report.ContentSequence)
    return found


def _list_references(report):
    for item in report.ContentSequence:
        for one in item.get("ReferencedSOPSequence") or []:
            yield one.ReferencedSOPInstanceUID
        if "ContentSequence" in item:
            yield from _list_references(item)
