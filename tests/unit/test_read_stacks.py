"""Each fault of a stack has its own refusal, and a repair says what it did."""

from __future__ import annotations

import numpy as np
import pytest
from scan_files import DicomOptions, make_affine, make_readers, make_values, write_dicom, write_nifti

from hepatica.core.errors import (
    DuplicatePositionError,
    GantryTiltError,
    MissingGeometryError,
    MixedAcquisitionError,
    ModalityError,
    NotAVolumeError,
    NotFoundError,
    SeriesChoiceError,
    SliceGapError,
    SourceFormatError,
    TooLargeError,
    UnevenSpacingError,
)
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.core.progress import SILENT

IMAGES, LABELS = make_readers()
SHAPE = (9, 7, 12)
LINEAR_TOLERANCE_HU = 1.0
"""Linear interpolation keeps a linear field up to rounding to whole HU, twice where a tilt is repaired."""


def make_ramp(shape=SHAPE, affine=None, slope=(1.5, -2.0, 3.0)):
    """CT numbers that are a linear function of LPS: any linear resampling keeps them."""
    affine = make_affine() if affine is None else affine
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return np.rint((index @ affine[:3, :3].T + affine[:3, 3]) @ slope).astype(np.int16)


def read(path, **options):
    return IMAGES.read_image(path, progress=SILENT, **options)


@pytest.mark.requirement("A-READ-05")
def test_missing_slices_are_refused_and_the_message_says_where(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), drop=(5,))
    with pytest.raises(SliceGapError, match=r"1 missing.*-85.00 and -75.00 mm.*--resample"):
        read(folder)


@pytest.mark.requirement("A-READ-05")
def test_a_small_gap_is_filled_only_when_asked_and_with_a_warning(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), drop=(5, 6))
    image = read(folder, resample=True)
    assert image.volume.values.shape == SHAPE
    assert np.abs(image.volume.values - make_ramp()).max() <= LINEAR_TOLERANCE_HU
    finding = next(finding for finding in image.findings if finding.rule == "image.resampled")
    assert finding.severity is Severity.WARNING
    assert "2 missing slice(s)" in finding.message
    assert finding.measured == 2.0
    assert image.facts.sop_instance_uids == ()


@pytest.mark.requirement("A-READ-05")
@pytest.mark.parametrize("drop", [(4, 5, 6), (2, 4, 6, 8)], ids=["three in one place", "a third of all"])
def test_a_large_gap_stays_refused_even_when_resampling_is_allowed(tmp_path, drop):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), drop=drop)
    with pytest.raises(SliceGapError, match="for a repair"):
        read(folder, resample=True)


@pytest.mark.requirement("A-READ-06")
def test_two_slices_at_one_place_are_refused_always(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), shifts_mm={4: (0, 0, 5.0)})
    for resample in (False, True):
        with pytest.raises(DuplicatePositionError, match=r"1 doubled position.*-80.00 mm"):
            read(folder, resample=resample)


@pytest.mark.requirement("A-READ-06")
def test_the_same_file_stored_twice_counts_once(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine())
    (folder / "copy").mkdir()
    for file in list(folder.glob("IM*")):
        (folder / "copy" / file.name).write_bytes(file.read_bytes())
    assert np.array_equal(read(folder).volume.values, make_ramp())


@pytest.mark.requirement("A-READ-07")
def test_uneven_spacing_is_refused_and_repaired_when_asked(tmp_path):
    values, affine = make_ramp(), make_affine()
    shifts = {5: (0, 0, 1.2), 6: (0, 0, -0.9)}
    for k, (_, _, dz) in shifts.items():
        values[:, :, k] += round(3.0 * dz)
    folder = write_dicom(tmp_path / "s", values, affine, shifts_mm=shifts)
    with pytest.raises(UnevenSpacingError, match=r"2\.900 to 6\.200 mm.*--resample"):
        read(folder)
    image = read(folder, resample=True)
    assert np.abs(image.volume.values - make_ramp()).max() <= LINEAR_TOLERANCE_HU
    assert "uneven spacing" in next(f.message for f in image.findings if f.rule == "image.resampled")


@pytest.mark.requirement("A-READ-07")
def test_rounded_slice_positions_are_no_uneven_spacing(tmp_path):
    rng = np.random.default_rng(3)
    shifts = {k: (0, 0, float(dz)) for k, dz in enumerate(rng.uniform(-0.005, 0.005, SHAPE[2]))}
    image = read(write_dicom(tmp_path / "s", make_ramp(), make_affine(), shifts_mm=shifts))
    assert image.volume.grid.spacing_mm[2] == pytest.approx(5.0, abs=2e-3)


TILT_DEG = 12.0


def tilt_affine():
    """A stack along z whose slices lean: each plane is turned, the table still moves along z."""
    turn = np.radians(TILT_DEG)
    affine = make_affine()
    affine[:3, 1] = 3.0 * np.array([0, np.cos(turn), -np.sin(turn)])
    return affine


@pytest.mark.requirement("A-READ-08")
def test_gantry_tilt_is_refused_and_straightened_when_asked(tmp_path):
    affine = tilt_affine()
    values = make_ramp(affine=affine)
    folder = write_dicom(tmp_path / "s", values, affine)
    with pytest.raises(GantryTiltError, match=r"12\.00 degrees.*--resample"):
        read(folder)
    image = read(folder, resample=True)
    grid = image.volume.grid
    measured = image.volume.values != -1024
    index = np.argwhere(measured)
    expected = grid.to_lps_mm(index) @ (1.5, -2.0, 3.0)
    assert np.abs(image.volume.values[measured] - expected).max() <= LINEAR_TOLERANCE_HU + 0.5
    assert measured.sum() > 0.8 * values.size  # each slice loses the pixel at its leaning edge
    assert grid.spacing_mm[2] == pytest.approx(5.0 * np.cos(np.radians(TILT_DEG)), rel=1e-6)
    assert "12.0 degrees" in next(f.message for f in image.findings if f.rule == "image.resampled")


@pytest.mark.requirement("A-READ-08")
def test_a_sheared_nifti_is_refused_and_straightened_when_asked(tmp_path):
    affine = tilt_affine()
    path = write_nifti(tmp_path / "s.nii", make_ramp(affine=affine) - 600, affine, codes=(1, 0))
    with pytest.raises(GantryTiltError, match="--resample"):
        read(path)
    image = read(path, resample=True)
    measured = image.volume.values != -1024
    expected = image.volume.grid.to_lps_mm(np.argwhere(measured)) @ (1.5, -2.0, 3.0) - 600
    error = np.abs(image.volume.values[measured] - expected)
    # Edge voxels repeat the outermost value for half a voxel; the inside is exact.
    assert np.quantile(error, 0.7) <= LINEAR_TOLERANCE_HU
    assert "degrees" in next(f.message for f in image.findings if f.rule == "image.resampled")


@pytest.mark.requirement("A-READ-09")
@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_is_refused_never_defaulted(tmp_path, tag):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), omit=(tag,))
    with pytest.raises(MissingGeometryError, match="no default is assumed"):
        read(folder)


@pytest.mark.requirement("A-READ-09")
def test_slices_of_another_pixel_spacing_are_no_part_of_the_stack(tmp_path):
    write_dicom(tmp_path / "s", make_ramp(), make_affine())
    odd = make_affine(spacing_mm=(2.5, 3.0, 5.0))
    write_dicom(
        tmp_path / "s", make_ramp()[:, :, :3], odd, names="odd{}", series_uid="2.25.11", acquisition=2
    )
    with pytest.raises(MixedAcquisitionError):
        read(tmp_path / "s")


@pytest.mark.requirement("A-READ-10")
def test_a_single_slice_is_no_volume(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp()[:, :, :1], make_affine())
    with pytest.raises(NotAVolumeError):
        read(folder)


@pytest.mark.requirement("A-READ-11")
@pytest.mark.parametrize("offset_mm", [0.0, 0.53], ids=["same positions", "offset positions"])
def test_two_acquisitions_in_one_series_are_refused_and_can_be_chosen(tmp_path, offset_mm):
    write_dicom(tmp_path / "s", make_ramp(), make_affine(), acquisition=1, names="a{}")
    later = make_ramp() + 100
    shifts = {k: (0, 0, offset_mm) for k in range(SHAPE[2])}
    write_dicom(tmp_path / "s", later, make_affine(), acquisition=3, names="b{}", shifts_mm=shifts)
    with pytest.raises(MixedAcquisitionError) as refusal:
        read(tmp_path / "s")
    assert "2.25.11#1" in str(refusal.value)
    assert "2.25.11#3" in str(refusal.value)
    with pytest.raises(MixedAcquisitionError):
        read(tmp_path / "s", series="2.25.11")
    assert np.array_equal(read(tmp_path / "s", series="2.25.11#3").volume.values, later)
    assert np.array_equal(read(tmp_path / "s", series="1").volume.values, make_ramp())


@pytest.mark.requirement("A-READ-11")
def test_table_steps_of_one_sequential_scan_are_joined_with_a_warning(tmp_path):
    for step in range(4):
        part = make_ramp()[:, :, 3 * step : 3 * step + 3]
        affine = make_affine(origin_lps_mm=(-31.0, 12.0, -105.0 + 15.0 * step))
        write_dicom(tmp_path / "s", part, affine, acquisition=step + 1, names=f"{step}" + "-{}")
    image = read(tmp_path / "s")
    assert np.array_equal(image.volume.values, make_ramp())
    assert "image.joined_acquisitions" in {f.rule for f in image.findings if f.severity is Severity.WARNING}


@pytest.mark.requirement("A-READ-11")
def test_echoes_of_one_acquisition_are_told_apart_by_their_echo_number(tmp_path):
    for echo in (1, 2):
        write_dicom(
            tmp_path / "s",
            make_ramp() + echo,
            make_affine(),
            names=f"{echo}" + "-{}",
            modality="MR",
            sop_class="1.2.840.10008.5.1.4.1.1.4",
            series_uid="2.25.11",
            extra={"EchoNumbers": echo},
        )
        for file in (tmp_path / "s").glob(f"{echo}-*"):
            import pydicom

            dataset = pydicom.dcmread(file)
            dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.{echo}"
            dataset.save_as(file)
    uids = [summary.uid for summary in IMAGES.list_series(tmp_path / "s")]
    assert uids == ["2.25.11#1.EchoNumbers1", "2.25.11#1.EchoNumbers2"]
    assert np.array_equal(read(tmp_path / "s", series=uids[1]).volume.values, make_ramp() + 2)


def write_study(folder):
    """Two phases, a scout, a mask series, a document and a bolus-tracking series."""
    values, affine = make_ramp(), make_affine()
    write_dicom(folder / "a", values, affine, series_uid="2.25.1", description="Abdomen arterial phase")
    write_dicom(folder / "b", values + 1, affine, series_uid="2.25.2", description="Abdomen portal venous")
    write_dicom(
        folder / "c",
        values[:, :, :2],
        affine,
        series_uid="2.25.3",
        description="Scout",
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
    )
    mask = np.zeros(values.shape)
    mask[2:5, 2:5, 3:6] = 255
    write_dicom(folder / "d", mask, affine, series_uid="2.25.4", description="liver", bits=8, intercept=0.0)
    still = {k: (0, 0, -5.0 * k) for k in range(4)}
    write_dicom(
        folder / "e", values[:, :, :4], affine, series_uid="2.25.5", description="bolus", shifts_mm=still
    )
    write_dicom(
        folder / "f",
        values[:, :, :1],
        affine,
        series_uid="2.25.6",
        modality="DOC",
        sop_class="1.2.840.10008.5.1.4.1.1.104.1",
        description="report",
    )
    return folder


@pytest.mark.requirement("A-READ-12")
def test_several_images_are_listed_and_never_guessed(tmp_path):
    study = write_study(tmp_path / "study")
    with pytest.raises(SeriesChoiceError) as refusal:
        read(study)
    assert len(refusal.value.choices) == 2
    assert "arterial (from the series description)" in refusal.value.choices[0]
    assert "portal venous (from the series description)" in refusal.value.choices[1]
    assert np.array_equal(read(study, series="2").volume.values, make_ramp() + 1)
    assert np.array_equal(read(study, series="2.25.1").volume.values, make_ramp())
    with pytest.raises(NotFoundError, match=r"2\.25\.999"):
        read(study, series="2.25.999")


@pytest.mark.requirement("A-READ-12")
def test_what_is_no_image_is_listed_with_the_reason_and_refused_when_chosen(tmp_path):
    study = write_study(tmp_path / "study")
    listed = IMAGES.list_series(study)
    roles = {summary.uid: summary.role for summary in listed}
    assert roles == {
        "2.25.1": "image", "2.25.2": "image", "2.25.3": "localizer", "2.25.4": "mask",
        "2.25.5": "repeated position", "2.25.6": "document",
    }  # fmt: skip
    assert all(summary.reason for summary in listed if summary.role != "image")
    assert [summary.number for summary in listed] == [1, 2, 3, 4, 5, 6]
    for summary in listed[2:]:
        with pytest.raises(ModalityError):
            read(study, series=str(summary.number))


@pytest.mark.requirement("A-READ-12")
@pytest.mark.parametrize(
    ("description", "hint"),
    [
        ("ART 1.5 B30f", "arterial"),
        ("Liver_late arterial", "arterial"),
        ("PV 5mm", "portal venous"),
        ("w/o contrast", "without contrast"),
        ("Delayed 5 min", "delayed"),
        ("LIVER 3 PHASE (AP)", None),
        ("arterial and portal", None),
        ("particle heart pvc", None),
    ],
)
def test_a_phase_hint_comes_from_words_of_the_description_only_where_they_are_clear(
    tmp_path, description, hint
):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), description=description)
    found = IMAGES.list_series(folder)[0].phase_hint
    assert found == (f"{hint} (from the series description)" if hint else "unknown")


@pytest.mark.requirement("A-READ-12")
def test_a_phase_hint_gives_the_time_since_contrast_start_without_naming_a_phase(tmp_path):
    extra = {
        "ContrastBolusStartTime": "101500",
        "AcquisitionTime": lambda number: f"1016{10 + number:02d}.500",
    }
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), extra=extra)
    assert IMAGES.list_series(folder)[0].phase_hint == (
        "unknown (72 s after contrast start, by the header's times)"
    )


@pytest.mark.requirement("A-READ-12")
def test_facts_hold_what_writers_need_and_nothing_that_identifies_a_person(tmp_path):
    image = read(write_dicom(tmp_path / "s", make_ramp(), make_affine(), shuffle=None))
    assert image.facts.patient_position == "HFS"
    assert (image.facts.series_uid, image.facts.study_uid, image.facts.frame_of_reference) == (
        "2.25.11",
        "2.25.10",
        "2.25.77",
    )
    assert image.facts.sop_instance_uids[0] == "2.25.11.1.1"
    assert image.facts.instance_numbers == tuple(range(1, 13))
    for text in (str(image.facts), str(image.findings), str(IMAGES.list_series(tmp_path / "s"))):
        assert "Secret" not in text
        assert "4711" not in text


@pytest.mark.requirement("A-READ-12")
def test_an_unknown_patient_position_is_not_evaluable_and_an_undeclared_frame_is_a_finding(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), omit=("PatientPosition",), frame=None)
    image = read(folder)
    assert isinstance(image.facts.patient_position, NotEvaluable)
    assert image.volume.grid.frame_of_reference is None
    assert [finding.rule for finding in image.findings] == ["image.frame_undeclared"]


@pytest.mark.requirement("A-READ-13")
def test_truncated_pixel_data_is_refused(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine())
    file = sorted(folder.iterdir())[3]
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(SourceFormatError, match="complete"):
        read(folder)


@pytest.mark.requirement("A-READ-13")
@pytest.mark.parametrize("length", [200, 420, 600, 700, 735])
def test_a_header_cut_in_the_middle_is_refused_even_at_an_end_of_the_stack(tmp_path, length):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), shuffle=None)
    file = folder / "IM0000"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(SourceFormatError, match="file 1 of 12") as refusal:
        read(folder)
    assert "IM0000" not in str(refusal.value)


@pytest.mark.requirement("A-READ-13")
def test_huge_header_values_are_refused_before_memory_is_asked_for(tmp_path):
    folder = write_dicom(tmp_path / "s", make_ramp(), make_affine(), extra={"Rows": 65535, "Columns": 65535})
    with pytest.raises(TooLargeError):
        read(folder)


@pytest.mark.requirement("A-READ-13")
def test_ct_without_rescale_values_is_refused(tmp_path):
    folder = write_dicom(
        tmp_path / "s", make_ramp(), make_affine(), omit=("RescaleSlope", "RescaleIntercept")
    )
    with pytest.raises(SourceFormatError, match="HU"):
        read(folder)


@pytest.mark.requirement("A-READ-04")
def test_an_enhanced_multi_frame_ct_reads_as_the_same_array(tmp_path):
    import pydicom
    from highdicom.legacy import LegacyConvertedEnhancedCTImage

    values, affine = make_ramp(), make_affine()
    options = DicomOptions(
        extra={
            "Manufacturer": "x",
            "PatientBirthDate": "",
            "PatientSex": "",
            "StudyID": "1",
            "AccessionNumber": "",
            "StudyTime": "101010",
            "ReferringPhysicianName": "",
            "ContentDate": "20260101",
            "ContentTime": "101010",
        }
    )
    folder = write_dicom(tmp_path / "s", values, affine, options)
    single = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    enhanced = LegacyConvertedEnhancedCTImage(
        legacy_datasets=single,
        series_instance_uid="2.25.500",
        series_number=5,
        sop_instance_uid="2.25.501",
        instance_number=1,
    )
    enhanced.save_as(tmp_path / "enhanced.dcm")
    image = read(tmp_path / "enhanced.dcm")
    assert np.array_equal(image.volume.values, values)
    assert np.allclose(image.volume.grid.lps_from_ijk, affine, atol=1e-6)


def test_the_reader_stops_when_the_user_cancels(tmp_path):
    from hepatica.core.errors import CancelledError
    from hepatica.core.progress import Silent

    class Stop(Silent):
        def check_cancelled(self):
            raise CancelledError(where="test")

    folder = write_dicom(tmp_path / "s", make_values(), make_affine())
    with pytest.raises(CancelledError):
        IMAGES.read_image(folder, progress=Stop())
