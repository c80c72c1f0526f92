"""The traps of real scans, as their folders' READMEs name them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from scan_files import make_readers

from hepatica.adapters.files.names_table import read_names_table
from hepatica.core.errors import FrameMismatchError, SeriesChoiceError
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT

IMAGES, LABELS = make_readers()
README_VOLUME_TOLERANCE_ML = 1.0
"""READMEs give volumes in whole millilitres."""


def read(path, **options):
    return IMAGES.read_image(path, progress=SILENT, **options)


def read_labels(path, image, **options):
    return LABELS.read_labels(path, reference=image, progress=SILENT, **options)


def mean_hu(image, mask):
    return float(image.volume.values[mask.box][mask.crop].mean())


def volumes_ml(labels):
    return {mask.name: mask.mask.volume_ml for mask in labels.masks}


@pytest.mark.requirement("A-READ-20")
@pytest.mark.real_data("3d-ircadb-01-17")
def test_ircadb_files_without_extension_and_frame_are_stacked_by_position(real_data):
    image = read(real_data / "3d-ircadb-01-17" / "PATIENT_DICOM.zip")
    assert image.volume.values.shape == (512, 512, 119)
    assert image.facts.instance_numbers == tuple(range(119))  # as text, image_10 sorts before image_2
    assert image.volume.values.min() == -1024
    assert image.volume.values.max() == 1023
    assert image.volume.grid.frame_of_reference is None
    assert isinstance(image.facts.patient_position, NotEvaluable)
    assert [finding.rule for finding in image.findings] == ["image.frame_undeclared"]


@pytest.mark.requirement("A-READ-20")
@pytest.mark.real_data("3d-ircadb-01-17")
def test_ircadb_mask_series_beside_the_ct_are_never_taken_for_it_and_become_its_labels(real_data):
    folder = real_data / "3d-ircadb-01-17"
    listed = IMAGES.list_series(folder)
    assert [summary.role for summary in listed] == ["image", *["mask"] * 8]
    image = read(folder)
    labels = read_labels(folder, image)
    volumes = volumes_ml(labels)
    assert set(volumes) == {
        "liver", "livertumor1", "livertumor2", "portalvein", "venoussystem", "artery", "bone", "skin",
    }  # fmt: skip
    for name, expected_ml in (("liver", 1861), ("livertumor1", 86), ("livertumor2", 79)):
        assert volumes[name] == pytest.approx(expected_ml, abs=README_VOLUME_TOLERANCE_ML)
    assert labels.findings == ()
    by_name = {mask.name: mask.mask for mask in labels.masks}
    assert by_name["bone"].voxel_count > 0
    assert mean_hu(image, by_name["bone"]) > 150 > mean_hu(image, by_name["liver"]) > 50


@pytest.mark.requirement("A-READ-21")
@pytest.mark.real_data("hcc-tace-seg-015")
def test_two_phases_in_one_folder_are_a_choice(real_data):
    folder = real_data / "hcc-tace-seg-015"
    with pytest.raises(SeriesChoiceError) as refusal:
        read(folder)
    assert len(refusal.value.choices) == 2
    assert "1 of 2 by acquisition number" in refusal.value.choices[0]
    assert read(folder, series="2").volume.values.shape == (512, 512, 62)
    assert "HCC_015" not in str(refusal.value).replace("hcc-tace-seg-015", "")


@pytest.mark.requirement("A-READ-21")
@pytest.mark.real_data("hcc-tace-seg-015")
def test_the_hcc_label_map_fits_the_venous_scan_and_only_with_a_warning_the_arterial_one(real_data):
    folder = real_data / "hcc-tace-seg-015"
    venous = read(folder / "ct_venous")
    assert venous.volume.grid.origin_lps_mm[2] == pytest.approx(-230.53, abs=0.001)
    assert venous.facts.patient_position == "FFS"
    labels = read_labels(
        folder / "labels_semiautomatic.nii.gz", venous, names={1: "body", 2: "lung", 3: "liver", 4: "lesion"}
    )
    assert labels.findings == ()
    volumes = volumes_ml(labels)
    assert volumes["lesion"] == pytest.approx(51, abs=README_VOLUME_TOLERANCE_ML)
    assert volumes["liver"] + volumes["lesion"] == pytest.approx(1040, abs=5)  # the README says "about"
    lung, liver = (next(m.mask for m in labels.masks if m.name == name) for name in ("lung", "liver"))
    assert mean_hu(venous, lung) < -600 < 100 < mean_hu(venous, liver)
    arterial = read(folder / "ct_arterial.zip")
    moved = read_labels(folder / "labels_semiautomatic.nii.gz", arterial)
    assert moved.findings[0].rule == "labels.frame_undeclared"


@pytest.mark.requirement("A-READ-22")
@pytest.mark.real_data("petct-cc-tumor-heterogeneity-a01")
def test_rtstruct_fits_its_ct_with_dangling_references_and_is_refused_on_the_pet_of_another_frame(real_data):
    folder = real_data / "petct-cc-tumor-heterogeneity-a01"
    ct = read(folder / "ct.zip")
    labels = read_labels(folder / "rtstruct.dcm", ct)
    rules = {finding.rule for finding in labels.findings}
    assert {"labels.dangling_references", "labels.outside_scan", "labels.vanished"} <= rules
    assert labels.masks[0].name == "liver"
    liver = labels.masks[0].mask
    assert 40 < mean_hu(ct, liver) < 120
    assert liver.volume_ml == pytest.approx(integrate_contours_ml(folder / "rtstruct.dcm", 1), rel=0.005)
    pet = read(folder / "pet")
    assert pet.volume.modality == "PT"
    with pytest.raises(FrameMismatchError):
        read_labels(folder / "rtstruct.dcm", pet)


def integrate_contours_ml(path, number):
    """Volume by the shoelace area of each plane times the plane distance: no voxels involved."""
    import pydicom

    dataset = pydicom.dcmread(path)
    drawn = next(item for item in dataset.ROIContourSequence if item.ReferencedROINumber == number)
    planes = {}
    for contour in drawn.ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        x, y = points[:, 0], points[:, 1]
        area = abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2
        planes.setdefault(round(points[0, 2], 2), []).append((area, points[:, :2]))
    total_mm2 = 0.0
    from matplotlib.path import Path

    for parts in planes.values():
        for area, points in parts:
            depth = sum(Path(other).contains_point(points[0]) for size, other in parts if size > area)
            total_mm2 += area if depth % 2 == 0 else -area
    return total_mm2 * 2.5 / 1000


@pytest.mark.requirement("A-READ-22")
@pytest.mark.real_data("petct-cc-tumor-heterogeneity-a01")
def test_pet_ct_rtstruct_and_value_map_in_one_folder_are_told_apart(real_data):
    listed = IMAGES.list_series(real_data / "petct-cc-tumor-heterogeneity-a01")
    assert [(summary.modality, summary.role) for summary in listed] == [
        ("CT", "image"), ("PT", "image"), ("RTSTRUCT", "contours"), ("RWV", "document"),
    ]  # fmt: skip


@pytest.mark.requirement("A-READ-23")
@pytest.mark.real_data("totalsegmentator-examples")
@pytest.mark.parametrize(
    ("image", "labels", "table", "liver_value"),
    [
        ("ct_dicom_20slices", "ct_dicom_20slices_labels_v2.nii.gz", "labels_v2.csv", 5),
        ("ct_3mm.nii.gz", "ct_3mm_labels_v1.nii.gz", "ct_3mm_labels_v1.csv", 5),
        ("mr_20slices.nii.gz", "mr_20slices_labels_mr.nii.gz", "labels_mr.csv", 5),
    ],
)
def test_totalsegmentator_labels_go_by_the_affine(real_data, image, labels, table, liver_value):
    import nibabel as nib

    folder = real_data / "totalsegmentator-examples"
    names = read_names_table(folder / table)
    assert names[liver_value] == "liver"
    scan = read(folder / image)
    read_back = read_labels(folder / labels, scan, names=names)
    liver = next(mask.mask for mask in read_back.masks if mask.name == "liver")
    raw = nib.load(folder / labels)
    index = np.argwhere(np.asarray(raw.dataobj) == liver_value)
    centroid_ras = raw.affine[:3, :3] @ index.mean(axis=0) + raw.affine[:3, 3]
    assert liver.voxel_count == len(index)
    assert np.abs(liver.centroid_lps_mm - np.diag([-1, -1, 1]) @ centroid_ras).max() < 1e-3
    if scan.volume.modality == "CT":
        by_name = {mask.name: mask.mask for mask in read_back.masks}
        assert 30 < mean_hu(scan, liver) < 130  # parenchyma, with or without contrast
        assert 0 < mean_hu(scan, by_name["spleen"]) < 130
        lungs = [mask for name, mask in by_name.items() if name.startswith("lung")]
        assert all(mean_hu(scan, lung) < -500 for lung in lungs)
    # The liver lies to the patient's right of the spleen.
    spleen = next(mask.mask for mask in read_back.masks if mask.name == "spleen")
    assert liver.centroid_lps_mm[0] < spleen.centroid_lps_mm[0]


@pytest.mark.requirement("A-READ-23")
@pytest.mark.real_data("totalsegmentator-examples")
def test_the_jpeg_2000_scan_without_series_uid_is_read_and_hints_its_delay(real_data):
    image = read(real_data / "totalsegmentator-examples" / "ct_dicom_20slices")
    assert image.volume.values.shape == (512, 512, 20)
    assert image.facts.series_uid == ""
    assert "96 s after contrast start" in image.facts.phase_hint


@pytest.mark.requirement("A-READ-24")
@pytest.mark.real_data("dcmqi-liver-seg")
@pytest.mark.parametrize(
    ("seg", "maps"),
    [
        ("liver.dcm", ("liver_seg.nrrd",)),
    ],
)
def test_a_dcmqi_seg_equals_the_label_map_it_was_made_from(real_data, seg, maps):
    folder = real_data / "dcmqi-liver-seg"
    ct = read(folder / "ct")
    by_seg = read_labels(folder / seg, ct)
    for mask, name in zip(by_seg.masks, maps, strict=True):
        by_map = read_labels(folder / name, ct)
        assert np.array_equal(mask.mask.to_full(), by_map.masks[0].mask.to_full())
    assert by_seg.findings == ()
    assert by_seg.masks[0].kind_hint == "Liver"


@pytest.mark.requirement("A-READ-24")
@pytest.mark.real_data("dcmqi-liver-seg")
def test_partly_overlapping_sparse_segments_equal_another_readers(real_data):
    import highdicom as hd

    folder = real_data / "dcmqi-liver-seg"
    ct = read(folder / "ct")
    labels = read_labels(folder / "partial_overlaps.dcm", ct)
    assert [(mask.name, mask.kind_hint) for mask in labels.masks] == [
        ("GREEN", "Tissue"), ("ORANGE", "Artery"), ("PURPLE", "Capillary"), ("LIGHT_BLUE", "Edema"),
        ("DARK_BLUE", "Vein"),
    ]  # fmt: skip
    other = hd.seg.segread(folder / "partial_overlaps.dcm")
    volume = other.get_volume(combine_segments=False)
    ras_free = volume.affine  # highdicom's volumes are LPS, index (slice, row, column)
    total = np.zeros(ct.volume.grid.shape, int)
    for n, mask in enumerate(labels.masks):
        index = np.argwhere(volume.array[..., n])
        points = index @ ras_free[:3, :3].T + ras_free[:3, 3]
        theirs = np.zeros(ct.volume.grid.shape, bool)
        theirs[tuple(np.rint(ct.volume.grid.to_index(points)).astype(int).T)] = True
        assert np.array_equal(mask.mask.to_full(), theirs)
        total += theirs
    assert total.max() >= 2  # they do overlap
    shapes = {mask.mask.crop.shape[2] for mask in labels.masks}
    assert shapes == {1, 3}  # sparse: most segments have one frame only


@pytest.mark.requirement("A-READ-25")
@pytest.mark.real_data("hcc-tace-seg-015")
def test_a_real_scan_with_a_slice_taken_out_is_refused_and_repaired(real_data, tmp_path):
    from hepatica.core.errors import SliceGapError

    shutil.copytree(real_data / "hcc-tace-seg-015" / "ct_venous", tmp_path / "ct")
    (tmp_path / "ct" / "1-31.dcm").unlink()
    with pytest.raises(SliceGapError):
        read(tmp_path / "ct")
    whole, repaired = read(real_data / "hcc-tace-seg-015" / "ct_venous"), read(tmp_path / "ct", resample=True)
    assert repaired.volume.grid.same_grid(whole.volume.grid)
    differs = (whole.volume.values != repaired.volume.values).any(axis=(0, 1))
    assert np.flatnonzero(differs).tolist() == [31]
