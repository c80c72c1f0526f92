"""Labels of every kind land on the scan's grid, or say why not."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from scan_files import (
    make_affine,
    make_readers,
    make_values,
    rotate,
    store_as,
    write_dicom,
    write_itk,
    write_nifti,
)

from hepatica.core.errors import (
    EmptyLabelError,
    FrameMismatchError,
    GantryTiltError,
    MissingGeometryError,
    NonFiniteError,
    SourceFormatError,
    UnknownLabelError,
)
from hepatica.core.findings import Severity
from hepatica.core.progress import SILENT

IMAGES, LABELS = make_readers()
SHAPE = (24, 20, 10)
AFFINE = make_affine(spacing_mm=(2.0, 2.0, 4.0))


@pytest.fixture
def ct(tmp_path):
    return IMAGES.read_image(
        write_dicom(tmp_path / "ct", make_values(SHAPE) // 8, AFFINE, shuffle=None), progress=SILENT
    )


def make_labels():
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:12, 4:14, 2:8] = 1
    labels[14:20, 5:9, 1:4] = 4
    return labels


def read(path, reference, **options):
    return LABELS.read_labels(path, reference=reference, progress=SILENT, **options)


def rules(labels):
    return [finding.rule for finding in labels.findings]


@pytest.mark.requirement("A-LABEL-01")
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_label_map_takes_its_names_from_the_table_and_numbers_the_rest(tmp_path, ct, suffix):
    write = write_nifti if suffix == ".nii.gz" else write_itk
    path = write(
        tmp_path / f"labels{suffix}", *store_as(make_labels(), AFFINE, (2, 0, 1), (True, True, False))
    )
    labels = read(path, ct, names={1: "liver", 9: "spleen"})
    assert [mask.name for mask in labels.masks] == ["liver", "label 4"]
    for mask, value in zip(labels.masks, (1, 4), strict=True):
        assert np.array_equal(mask.mask.to_full(), make_labels() == value)
    assert rules(labels) == ["labels.empty_segment"]
    assert "9 spleen" in labels.findings[0].message


@pytest.mark.requirement("A-LABEL-01")
def test_a_float_map_of_whole_numbers_is_read_and_one_of_fractions_is_refused(tmp_path, ct):
    whole = write_nifti(tmp_path / "a.nii.gz", make_labels().astype(np.float64), AFFINE)
    assert [mask.mask.voxel_count for mask in read(whole, ct).masks] == [540, 72]
    with pytest.raises(SourceFormatError, match="fractions"):
        read(write_nifti(tmp_path / "b.nii.gz", make_labels() * 0.5, AFFINE), ct)


@pytest.mark.requirement("A-LABEL-01")
def test_label_values_above_any_table_size_are_kept_apart(tmp_path, ct):
    labels = make_labels().astype(np.int32) * 1_000_000
    read_back = read(write_nifti(tmp_path / "a.nii.gz", labels, AFFINE), ct)
    assert [mask.name for mask in read_back.masks] == ["label 1000000", "label 4000000"]
    assert np.array_equal(read_back.masks[1].mask.to_full(), make_labels() == 4)


@pytest.mark.requirement("A-LABEL-02")
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: np.zeros(SHAPE, np.uint8), EmptyLabelError),
        (lambda: np.where(make_labels() > 0, np.nan, 0.0), NonFiniteError),
        (lambda: make_labels().astype(np.int16) - 1, SourceFormatError),
        (lambda: make_values(SHAPE) + 700, SourceFormatError),
    ],
    ids=["empty", "NaN", "negative", "an image"],
)
def test_bad_label_maps_are_refused_each_by_its_own_error(tmp_path, ct, make, error):
    with pytest.raises(error):
        read(write_nifti(tmp_path / "labels.nii.gz", make(), AFFINE), ct)


@pytest.mark.requirement("A-LABEL-03")
def test_undeclared_labels_on_another_grid_are_believed_only_inside_the_scan(tmp_path, ct):
    fine = make_affine(spacing_mm=(1.0, 1.0, 2.0), origin_lps_mm=np.add(AFFINE[:3, 3], (-0.5, -0.5, -1.0)))
    doubled = make_labels().repeat(2, 0).repeat(2, 1).repeat(2, 2)
    labels = read(write_nifti(tmp_path / "a.nii.gz", doubled, fine), ct)
    assert rules(labels) == ["labels.frame_undeclared"]
    assert labels.findings[0].severity is Severity.WARNING
    assert labels.findings[0].measured == 1.0
    assert np.array_equal(labels.masks[0].mask.to_full(), make_labels() == 1)
    away = fine.copy()
    away[0, 3] += 30
    with pytest.raises(FrameMismatchError, match="90%"):
        read(write_nifti(tmp_path / "b.nii.gz", doubled, away), ct)


@pytest.mark.requirement("A-LABEL-03")
def test_a_label_lost_at_resampling_is_a_finding(tmp_path, ct):
    labels = np.zeros((96, 80, 40), np.uint8)
    labels[20:60, 20:60, 10:30] = 1
    labels[70, 41, 21] = 2  # one voxel of 0.5 mm between the scan's voxel centres
    fine = make_affine(spacing_mm=(0.5, 0.5, 1.0), origin_lps_mm=AFFINE[:3, 3] + 0.25)
    read_back = read(write_nifti(tmp_path / "a.nii.gz", labels, fine), ct)
    assert [mask.name for mask in read_back.masks] == ["label 1"]
    assert "labels.vanished" in rules(read_back)


@pytest.mark.requirement("A-LABEL-03")
def test_labels_on_a_sheared_grid_are_refused(tmp_path, ct):
    sheared = AFFINE.copy()
    sheared[1, 2] = 1.0
    with pytest.raises(GantryTiltError):
        read(write_nifti(tmp_path / "a.nii", make_labels(), sheared, codes=(1, 0)), ct)


@pytest.mark.requirement("A-LABEL-04")
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_folder_or_zip_of_mask_files_is_named_by_its_files(tmp_path, ct, packed):
    path = tmp_path / "segmentations"
    path.mkdir()
    write_nifti(path / "liver.nii.gz", (make_labels() == 1).astype(np.uint8), AFFINE)
    write_nifti(path / "lesion 1.nii", (make_labels() == 4).astype(np.uint8), AFFINE)
    write_nifti(path / "spleen.nii.gz", np.zeros(SHAPE, np.uint8), AFFINE)
    if packed:
        with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
            for file in path.iterdir():
                archive.write(file, f"out/{file.name}")
        path = tmp_path / "out.zip"
    labels = read(path, ct)
    assert {mask.name: mask.mask.voxel_count for mask in labels.masks} == {"lesion 1": 72, "liver": 540}
    assert [finding.message for finding in labels.findings] == ["'spleen' has no voxel."]


@pytest.mark.requirement("A-LABEL-04")
def test_mask_files_of_several_formats_in_one_folder_are_refused(tmp_path, ct):
    (tmp_path / "f").mkdir()
    write_nifti(tmp_path / "f" / "a.nii.gz", make_labels(), AFFINE)
    write_itk(tmp_path / "f" / "b.nrrd", make_labels(), AFFINE)
    with pytest.raises(SourceFormatError, match="1 NIfTI, 1 NRRD"):
        read(tmp_path / "f", ct)


@pytest.mark.requirement("A-LABEL-04")
def test_a_folder_of_label_maps_with_several_values_each_is_refused(tmp_path, ct):
    (tmp_path / "f").mkdir()
    write_nifti(tmp_path / "f" / "a.nii.gz", make_labels(), AFFINE)
    write_nifti(tmp_path / "f" / "b.nii.gz", make_labels(), AFFINE)
    with pytest.raises(UnknownLabelError, match="--names"):
        read(tmp_path / "f", ct)


@pytest.mark.requirement("A-LABEL-04")
def test_segment_names_written_by_3d_slicer_are_used(tmp_path, ct):
    import SimpleITK as sitk

    path = write_itk(tmp_path / "a.nrrd", make_labels(), AFFINE)
    image = sitk.ReadImage(str(path))
    for n, (name, value) in enumerate((("Liver", 1), ("HCC 1", 4))):
        image.SetMetaData(f"Segment{n}_Name", name)
        image.SetMetaData(f"Segment{n}_LabelValue", str(value))
    sitk.WriteImage(image, str(tmp_path / "b.seg.nrrd"))
    assert [mask.name for mask in read(tmp_path / "b.seg.nrrd", ct).masks] == ["Liver", "HCC 1"]


def write_mask_series(folder, mask, *, uid, description="", affine=AFFINE, frame=None):
    return write_dicom(
        folder,
        mask.astype(np.int16) * 255,
        affine,
        series_uid=uid,
        bits=8,
        intercept=0.0,
        frame=frame,
        description=description,
        acquisition=None,
        names="image_{}",
    )


@pytest.mark.requirement("A-LABEL-05")
def test_mask_series_are_tied_to_the_scan_by_their_grid_and_named_by_folder_or_archive(tmp_path):
    ct_folder = write_dicom(tmp_path / "all" / "PATIENT", make_values(SHAPE) // 8, AFFINE, frame=None)
    ct = IMAGES.read_image(ct_folder, progress=SILENT)
    liver = write_mask_series(tmp_path / "all" / "MASKS" / "liver", make_labels() == 1, uid="2.25.21")
    write_mask_series(tmp_path / "all" / "MASKS" / "tumour", make_labels() == 4, uid="2.25.22")
    write_mask_series(tmp_path / "all" / "MASKS" / "Doe_Jane_spleen", make_labels() == 9, uid="2.25.23")
    labels = read(tmp_path / "all", ct)
    assert {mask.name: mask.mask.voxel_count for mask in labels.masks} == {"liver": 540, "tumour": 72}
    assert "'spleen' has no voxel." in [finding.message for finding in labels.findings]
    for name, expected in (("MASK_portalvein.zip", "portalvein"), ("Doe_Jane_19500101.zip", "mask")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file in liver.iterdir():
                archive.write(file, file.name)
        assert [mask.name for mask in read(tmp_path / name, ct).masks] == [expected]
    named = write_mask_series(tmp_path / "x", make_labels() == 1, uid="2.25.24", description="Right lobe")
    assert [mask.name for mask in read(named, ct).masks] == ["Right lobe"]


@pytest.mark.requirement("A-LABEL-06")
def test_labels_of_another_declared_frame_are_refused(tmp_path, ct):
    other = write_mask_series(tmp_path / "m", make_labels() == 1, uid="2.25.21", frame="2.25.78")
    with pytest.raises(FrameMismatchError, match=r"expected frame of reference 2\.25\.77; given 2\.25\.78"):
        read(other, ct)


@pytest.mark.requirement("A-LABEL-06")
def test_labels_of_the_same_frame_on_another_grid_are_resampled_with_a_finding(tmp_path, ct):
    coarse = make_affine(spacing_mm=(4.0, 4.0, 4.0), origin_lps_mm=np.add(AFFINE[:3, 3], (1, 1, 0)))
    mask = np.zeros((12, 10, 10), bool)
    mask[2:6, 3:7, 2:8] = True
    other = write_mask_series(tmp_path / "m", mask, uid="2.25.21", affine=coarse, frame="2.25.77")
    labels = read(other, ct)
    assert rules(labels) == ["labels.resampled"]
    assert labels.masks[0].mask.volume_ml == pytest.approx(mask.sum() * 0.064)


def write_seg(path, reference_folder, planes, *, kind="BINARY", labels=("Liver", "Mass"), **options):
    """Write with highdicom, an independent writer; ``planes`` is (slices, rows, columns[, segments])."""
    import highdicom as hd
    import pydicom
    from pydicom.sr.codedict import codes

    sources = sorted(
        (pydicom.dcmread(file) for file in reference_folder.iterdir()), key=lambda d: d.InstanceNumber
    )
    for source in sources:
        for keyword in ("PatientBirthDate", "PatientSex", "StudyTime", "AccessionNumber", "StudyID"):
            setattr(source, keyword, "")
    meaning = {"Liver": codes.SCT.Liver, "Mass": codes.SCT.Mass}
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=n, segment_label=label, segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=meaning[label.split()[0]],
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for n, label in enumerate(labels, start=1)
    ]  # fmt: skip
    segmentation = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=planes,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid="2.25.900",
        series_number=9,
        sop_instance_uid="2.25.901",
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
        **options,
    )
    segmentation.save_as(path)
    return path


@pytest.mark.requirement("A-LABEL-07")
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_sparse_seg_lands_where_it_was_drawn(tmp_path, ct, kind):
    labels = make_labels()
    planes = np.where(labels == 4, 2, labels).T.astype(np.uint8)
    path = write_seg(tmp_path / "seg.dcm", tmp_path / "ct", planes, kind=kind)
    read_back = read(path, ct)
    assert [(mask.name, mask.kind_hint) for mask in read_back.masks] == [("Liver", "Liver"), ("Mass", "Mass")]
    for mask, value in zip(read_back.masks, (1, 4), strict=True):
        assert np.array_equal(mask.mask.to_full(), labels == value)
    assert rules(read_back) == []


@pytest.mark.requirement("A-LABEL-07")
def test_overlapping_segments_keep_their_common_voxels_and_equal_labels_stay_apart(tmp_path, ct):
    planes = np.zeros((*make_labels().T.shape, 2), np.uint8)
    planes[2:6, 3:12, 3:12, 0] = 1
    planes[3:7, 5:14, 5:14, 1] = 1
    path = write_seg(tmp_path / "seg.dcm", tmp_path / "ct", planes, labels=("Mass", "Mass"))
    read_back = read(path, ct)
    assert [mask.name for mask in read_back.masks] == ["Mass", "Mass 2"]
    for n, mask in enumerate(read_back.masks):
        assert np.array_equal(mask.mask.to_full(), planes[..., n].T == 1)


@pytest.mark.requirement("A-LABEL-07")
def test_a_fractional_seg_is_cut_at_one_half_with_a_finding(tmp_path, ct):
    planes = np.zeros((*make_labels().T.shape, 1), np.float32)
    planes[2:6, 3:12, 3:12, 0] = 0.3
    planes[3:5, 5:10, 5:10, 0] = 0.8
    path = write_seg(
        tmp_path / "seg.dcm",
        tmp_path / "ct",
        planes,
        kind="FRACTIONAL",
        labels=("Liver",),
        max_fractional_value=200,
    )
    read_back = read(path, ct)
    assert read_back.masks[0].mask.voxel_count == 50
    assert rules(read_back) == ["labels.fractional_threshold"]
    assert read_back.findings[0].limit == 0.5


@pytest.mark.requirement("A-LABEL-07")
@pytest.mark.parametrize("rotation", [None, rotate((10.0, -6.0, 14.0))], ids=["straight", "oblique"])
@pytest.mark.parametrize(
    ("order", "flips"), [((1, 0, 2), (False, True, True)), ((2, 1, 0), (True, False, False))]
)
def test_a_seg_on_a_turned_scan_is_placed_by_its_affine(tmp_path, rotation, order, flips):
    affine = make_affine(spacing_mm=(2.0, 2.0, 4.0), rotation=rotation)
    stored, stored_affine = store_as(make_values(SHAPE) // 8, affine, order, flips)
    ct = IMAGES.read_image(write_dicom(tmp_path / "ct", stored, stored_affine, shuffle=None), progress=SILENT)
    labels = store_as(make_labels(), affine, order, flips)[0]
    write_seg(tmp_path / "seg.dcm", tmp_path / "ct", (labels == 1).T.astype(np.uint8), labels=("Liver",))
    read_back = read(tmp_path / "seg.dcm", ct)
    assert np.array_equal(read_back.masks[0].mask.to_full(), make_labels() == 1)


@pytest.mark.requirement("A-LABEL-07")
def test_a_seg_without_positions_is_refused(tmp_path, ct):
    import pydicom

    path = write_seg(
        tmp_path / "seg.dcm", tmp_path / "ct", (make_labels() == 1).T.astype(np.uint8), labels=("Liver",)
    )
    dataset = pydicom.dcmread(path)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence
    dataset.save_as(path)
    with pytest.raises(MissingGeometryError):
        read(path, ct)


@pytest.mark.requirement("A-LABEL-07")
def test_a_seg_with_one_empty_segment_is_read_and_one_without_any_voxel_is_refused(tmp_path, ct):
    labels = make_labels()
    path = write_seg(tmp_path / "a.dcm", tmp_path / "ct", (labels == 1).T.astype(np.uint8))
    assert rules(read(path, ct)) == ["labels.empty_segment"]
    import pydicom

    dataset = pydicom.dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(tmp_path / "b.dcm")
    with pytest.raises(EmptyLabelError):
        read(tmp_path / "b.dcm", ct)


def test_labels_that_are_an_image_series_are_refused(tmp_path, ct):
    with pytest.raises(SourceFormatError, match="only: image"):
        read(tmp_path / "ct", ct)
