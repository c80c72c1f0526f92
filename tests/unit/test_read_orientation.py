"""Whatever the storage order, one scan gives one array."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from scan_files import (
    ORIENTATIONS,
    DicomOptions,
    make_affine,
    make_readers,
    make_values,
    rotate,
    store_as,
    write_dicom,
    write_itk,
    write_nifti,
)

from hepatica.core.progress import SILENT

IMAGES, LABELS = make_readers()
AFFINE_TOLERANCE_MM = 1e-4
"""NIfTI stores affines in 32 bits, DICOM as decimal text."""
OBLIQUE = rotate((9.0, -7.0, 12.0))


def assert_canonical(image, values, affine):
    assert np.array_equal(image.volume.values, values)
    assert np.abs(image.volume.grid.lps_from_ijk - affine).max() < AFFINE_TOLERANCE_MM
    assert image.volume.values.T.flags.c_contiguous


@pytest.mark.requirement("A-READ-01")
@pytest.mark.parametrize("rotation", [None, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_a_nifti_image_of_any_of_48_axis_orders_reads_as_the_canonical_array(
    tmp_path, order, flips, rotation
):
    values, affine = make_values(), make_affine(rotation=rotation)
    stored, stored_affine = store_as(values, affine, order, flips)
    image = IMAGES.read_image(write_nifti(tmp_path / "scan.nii", stored, stored_affine), progress=SILENT)
    assert_canonical(image, values, affine)
    assert image.volume.grid.slice_axis == 2  # 5 mm, the thickest


@pytest.mark.requirement("A-READ-01")
@pytest.mark.parametrize("rotation", [None, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_a_dicom_series_acquired_along_any_of_48_axis_orders_reads_as_the_canonical_array(
    tmp_path, order, flips, rotation
):
    values, affine = make_values(), make_affine(rotation=rotation)
    stored, stored_affine = store_as(values, affine, order, flips)
    folder = write_dicom(tmp_path / "series", stored, stored_affine)
    image = IMAGES.read_image(folder, progress=SILENT)
    assert_canonical(image, values, affine)
    assert image.volume.grid.slice_axis == order[2]
    axis = image.volume.grid.slice_axis
    assert len(image.facts.instance_numbers) == len(image.facts.slice_locations_mm) == values.shape[axis]
    assert list(image.facts.slice_locations_mm) == sorted(image.facts.slice_locations_mm)


@pytest.mark.requirement("A-READ-01")
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nii.gz"])
def test_every_file_format_gives_the_same_array(tmp_path, suffix):
    values, affine = make_values(), make_affine(rotation=OBLIQUE)
    stored, stored_affine = store_as(values, affine, (1, 2, 0), (True, False, True))
    write = write_nifti if suffix == ".nii.gz" else write_itk
    assert_canonical(
        IMAGES.read_image(write(tmp_path / f"scan{suffix}", stored, stored_affine), progress=SILENT),
        values,
        affine,
    )


@pytest.mark.requirement("A-READ-02")
@pytest.mark.parametrize("rotation", [None, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS[::5])
def test_a_mask_centroid_is_the_same_by_the_raw_affine_and_by_the_reader(tmp_path, order, flips, rotation):
    import nibabel as nib

    values, affine = make_values(), make_affine(rotation=rotation)
    folder = write_dicom(tmp_path / "ct", values, affine)
    mask = np.zeros(values.shape, np.uint8)
    mask[2:7, 1:4, 3:5] = 1
    mask[8, 6, 1] = 1
    path = write_nifti(tmp_path / "mask.nii.gz", *store_as(mask, affine, order, flips))
    labels = LABELS.read_labels(path, reference=IMAGES.read_image(folder, progress=SILENT), progress=SILENT)

    raw = nib.load(path)
    index = np.argwhere(np.asarray(raw.dataobj) == 1).mean(axis=0)
    by_file = np.diag([-1, -1, 1]) @ (raw.affine[:3, :3] @ index + raw.affine[:3, 3])
    assert np.abs(labels.masks[0].mask.centroid_lps_mm - by_file).max() < AFFINE_TOLERANCE_MM
    assert labels.masks[0].mask.voxel_count == int(mask.sum())
    assert labels.findings == ()


@pytest.mark.requirement("A-READ-03")
def test_names_and_instance_numbers_do_not_decide_the_order_of_slices(tmp_path):
    values, affine = make_values(), make_affine()
    digests = set()
    for n in range(4):
        folder = write_dicom(tmp_path / str(n), values, affine, shuffle=n, names=f"x{n}" + "{:d}")
        image = IMAGES.read_image(folder, progress=SILENT)
        assert_canonical(image, values, affine)
        assert image.facts.instance_numbers == tuple(
            int(m) + 1 for m in np.random.default_rng(n).permutation(values.shape[2])
        )
        digests.add(image.digest)
    renamed = write_dicom(tmp_path / "renamed", values, affine, shuffle=0, names="{:d}.x")
    assert IMAGES.read_image(renamed, progress=SILENT).digest in digests


@pytest.mark.requirement("A-READ-01")
@pytest.mark.parametrize(
    ("unit", "factor"), [(2, 1.0), (1, 1e-3), (3, 1e3), (0, 1.0)], ids=["mm", "metre", "micrometre", "unsaid"]
)
def test_nifti_units_of_length_are_turned_into_millimetres(tmp_path, unit, factor):
    import nibabel as nib

    values, affine = make_values(), make_affine()
    path = write_nifti(tmp_path / "scan.nii", values, np.diag([factor, factor, factor, 1]) @ affine)
    image = nib.load(path)
    header = image.header.copy()
    header["xyzt_units"] = unit
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, header), tmp_path / "other.nii")
    read = IMAGES.read_image(tmp_path / "other.nii", progress=SILENT)
    assert np.allclose(read.volume.grid.spacing_mm, (2, 3, 5), rtol=1e-5)


@pytest.mark.requirement("A-READ-01")
def test_nrrd_in_ras_space_reads_as_the_same_array(tmp_path):
    values, affine = make_values(), make_affine()
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    vectors = " ".join(f"({','.join(f'{v:g}' for v in ras[:3, axis])})" for axis in range(3))
    origin = ",".join(f"{v:g}" for v in ras[:3, 3])
    header = (
        "NRRD0004\ntype: int16\ndimension: 3\nspace: right-anterior-superior\n"
        f"sizes: {' '.join(map(str, values.shape))}\nspace directions: {vectors}\nkinds: domain domain "
        f"domain\n"
        f"endian: little\nencoding: gzip\nspace origin: ({origin})\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(
        header.encode() + gzip.compress(values.astype("<i2").tobytes(order="F"))
    )
    assert_canonical(IMAGES.read_image(tmp_path / "scan.nrrd", progress=SILENT), values, affine)


@pytest.mark.requirement("A-READ-04")
@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        "1.2.840.10008.1.2.5",  # RLE
    ],
)
def test_lossless_transfer_syntaxes_read_bit_exactly(tmp_path, syntax):
    values, affine = make_values((64, 72, 3)), make_affine()
    folder = write_dicom(tmp_path / "series", values, affine, syntax=syntax)
    assert_canonical(IMAGES.read_image(folder, progress=SILENT), values, affine)


@pytest.mark.requirement("A-READ-04")
def test_jpeg_lossless_written_by_another_program_reads_bit_exactly(tmp_path):
    import gdcm

    values, affine = make_values((16, 18, 4)), make_affine()
    folder = write_dicom(tmp_path / "series", values, affine)
    for file in sorted(folder.iterdir()):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(file))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    assert_canonical(IMAGES.read_image(folder, progress=SILENT), values, affine)


@pytest.mark.requirement("A-READ-04")
@pytest.mark.parametrize(
    ("slope", "intercept", "signed"), [(1, -1024, False), (1, 0, True), (2, -2000, False), (1, -1000, True)]
)
def test_rescale_and_signedness_give_the_same_ct_numbers(tmp_path, slope, intercept, signed):
    values, affine = make_values() * 2 + 400, make_affine()
    folder = write_dicom(tmp_path / "s", values, affine, slope=slope, intercept=intercept, signed=signed)
    image = IMAGES.read_image(folder, progress=SILENT)
    assert_canonical(image, values, affine)
    assert image.volume.values.dtype == np.int16


@pytest.mark.requirement("A-READ-04")
def test_each_slice_is_rescaled_by_its_own_slope(tmp_path):
    values = np.abs(make_values()).astype(float)
    affine = make_affine()
    slopes = 0.5 + 0.25 * np.arange(1, 7)
    folder = write_dicom(
        tmp_path / "pet",
        np.rint(values),
        affine,
        modality="PT",
        sop_class="1.2.840.10008.5.1.4.1.1.128",
        intercept=0.0,
        shuffle=None,
        extra={"RescaleSlope": lambda number: float(slopes[number - 1])},
    )
    image = IMAGES.read_image(folder, progress=SILENT)
    assert image.volume.modality == "PT"
    assert np.allclose(image.volume.values, np.rint(values) * slopes, rtol=1e-6)


@pytest.mark.requirement("A-READ-04")
@pytest.mark.parametrize(("padding", "stored"), [(63536, -2000), (-2000, -2000), (32000, 32000)])
def test_padding_becomes_air_whatever_the_sign_it_was_written_with(tmp_path, padding, stored):
    values, affine = make_values().astype(np.int32), make_affine()
    values[0, :, :] = stored
    folder = write_dicom(
        tmp_path / "s",
        values,
        affine,
        options=DicomOptions(intercept=0.0, signed=True, extra={"PixelPaddingValue": 0}),
    )
    import pydicom

    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        if padding > 32767:
            dataset.add_new("PixelPaddingValue", "US", padding)
        else:
            dataset.add_new("PixelPaddingValue", "SS", padding)
        dataset.save_as(file)
    image = IMAGES.read_image(folder, progress=SILENT)
    assert (image.volume.values[0] == -1024).all()
    assert np.array_equal(image.volume.values[1:], values[1:])
    assert [finding.rule for finding in image.findings] == ["image.padding"]
