"""Trees of files are safe, formats are told by content, name tables are read whatever their delimiter."""

from __future__ import annotations

import io
import os
import shutil
import zipfile

import numpy as np
import pytest
from scan_files import make_affine, make_readers, make_values, write_dicom, write_itk, write_nifti

from hepatica.adapters.files.names_table import read_names_table
from hepatica.adapters.files.sniff import SourceFormat, sniff_format
from hepatica.adapters.files.tree import TreeLimits, open_tree
from hepatica.core.errors import (
    InputError,
    MissingGeometryError,
    NonFiniteError,
    NotAVolumeError,
    NotFoundError,
    SeriesChoiceError,
    SourceFormatError,
    TooLargeError,
    UnsafeArchiveError,
)
from hepatica.core.progress import SILENT

IMAGES, LABELS = make_readers()


def zip_folder(path, folder, prefix=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{prefix}{file.relative_to(folder)}")
    return path


def names(path, **options):
    with open_tree(path, **options) as tree:
        return [entry.name for entry in tree.entries]


@pytest.mark.requirement("A-FILE-01")
def test_a_nested_zip_without_extensions_and_with_junk_reads_as_the_folder_does(tmp_path):
    values, affine = make_values(), make_affine()
    folder = write_dicom(tmp_path / "plain", values, affine, names="image_{}")
    inner = zip_folder(tmp_path / "inner.zip", folder, prefix="deep/er/")
    outer = tmp_path / "study"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "PATIENT/inner.zip")
        archive.writestr("__MACOSX/._image_0", b"junk")
        archive.writestr("PATIENT/.DS_Store", b"junk")
        archive.writestr("PATIENT/DICOMDIR", b"junk")
        archive.writestr("readme.txt", b"hello")
    plain, nested = (IMAGES.read_image(path, progress=SILENT) for path in (folder, outer))
    assert np.array_equal(nested.volume.values, plain.volume.values)
    assert nested.digest == plain.digest
    assert "image.other_files" in [finding.rule for finding in nested.findings]
    assert names(outer)[0] == "PATIENT/inner.zip/deep/er/image_0"
    assert len(names(outer)) == values.shape[2] + 1


@pytest.mark.requirement("A-FILE-02")
@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:/evil", "..\\evil"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("fine", b"x")
        archive.writestr(name, b"x")
    for use in (names, sniff_format, lambda path: IMAGES.read_image(path, progress=SILENT)):
        with pytest.raises(UnsafeArchiveError, match="leads out"):
            use(tmp_path / "a.zip")


@pytest.mark.requirement("A-FILE-02")
def test_a_zip_bomb_is_refused_by_total_size_ratio_and_count(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(5):
            archive.writestr(f"{n}", bytes(1_000_000))
    assert len(names(tmp_path / "a.zip")) == 5
    for limits in (
        TreeLimits(unpacked_bytes=4_999_999),
        TreeLimits(ratio=100.0, ratio_from_bytes=1_000_000),
        TreeLimits(files=4),
    ):
        with pytest.raises(UnsafeArchiveError):
            names(tmp_path / "a.zip", limits=limits)


@pytest.mark.requirement("A-FILE-02")
def test_a_bomb_inside_an_inner_archive_is_refused_too(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    with pytest.raises(UnsafeArchiveError):
        names(tmp_path / "a.zip", limits=TreeLimits(unpacked_bytes=2_000_000))


@pytest.mark.requirement("A-FILE-02")
def test_a_real_bomb_of_announced_terabytes_is_refused_without_unpacking(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(100_000))
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")  # the size a central directory can lie about
    path.write_bytes(raw)
    with pytest.raises(UnsafeArchiveError):
        names(path, limits=TreeLimits())


@pytest.mark.requirement("A-FILE-02")
def test_symbolic_link_loops_and_dangling_links_are_harmless(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x")
    os.symlink(tmp_path / "a", tmp_path / "a" / "loop")
    os.symlink(tmp_path / "nowhere", tmp_path / "a" / "dangling")
    assert names(tmp_path / "a") == ["file"]


@pytest.mark.requirement("A-FILE-02")
def test_a_damaged_archive_is_refused(tmp_path):
    folder = write_dicom(tmp_path / "s", make_values(), make_affine())
    path = zip_folder(tmp_path / "a.zip", folder)
    data = path.read_bytes()
    for length in (10, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:length])
        with pytest.raises(SourceFormatError):
            IMAGES.read_image(path, progress=SILENT)


@pytest.mark.requirement("A-FILE-03")
def test_formats_are_told_by_content_not_by_name(tmp_path):
    values, affine = make_values(), make_affine()
    write_dicom(tmp_path / "d", values, affine, names="x{}.nii.gz")
    assert sniff_format(tmp_path / "d") is SourceFormat.DICOM
    cases = {
        SourceFormat.NIFTI: (write_nifti(tmp_path / "a.nii.gz", values, affine), "a.dcm"),
        SourceFormat.NRRD: (write_itk(tmp_path / "a.nrrd", values, affine), "b"),
        SourceFormat.METAIMAGE: (write_itk(tmp_path / "a.mha", values, affine), "c.nii"),
    }
    for kind, (path, name) in cases.items():
        shutil.copy(path, tmp_path / name)
        assert sniff_format(tmp_path / name) is kind
        assert np.array_equal(IMAGES.read_image(tmp_path / name, progress=SILENT).volume.values, values)


@pytest.mark.requirement("A-FILE-03")
def test_dicom_without_preamble_is_read(tmp_path):
    values, affine = make_values(), make_affine()
    folder = write_dicom(tmp_path / "d", values, affine)
    import pydicom

    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.preamble = None
        del dataset.file_meta
        dataset.save_as(file, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert file.read_bytes()[:2] == b"\x08\x00"
    assert np.array_equal(IMAGES.read_image(folder, progress=SILENT).volume.values, values)


@pytest.mark.requirement("A-FILE-03")
@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text", b"%PDF-1.7", bytes(1000), b"\x1f\x8bbroken", b"NRR"]
)
def test_other_content_is_refused_with_what_was_expected(tmp_path, content):
    (tmp_path / "scan.nii.gz").write_bytes(content)
    with pytest.raises(SourceFormatError, match="DICOM, NIfTI, NRRD or MetaImage") as refusal:
        IMAGES.read_image(tmp_path / "scan.nii.gz", progress=SILENT)
    assert "scan.nii.gz" not in str(refusal.value)


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        IMAGES.read_image(tmp_path / "nothing", progress=SILENT)


@pytest.mark.requirement("A-FILE-03")
def test_several_volume_files_in_a_folder_are_a_choice(tmp_path):
    values, affine = make_values(), make_affine()
    write_nifti(tmp_path / "art.nii.gz", values, affine)
    write_nifti(tmp_path / "ven.nii.gz", values + 1, affine)
    with pytest.raises(SeriesChoiceError) as refusal:
        IMAGES.read_image(tmp_path, progress=SILENT)
    assert refusal.value.choices == tuple(f"{n}: 6 slices, spacing 2 x 3 x 5 mm" for n in (1, 2))
    for choice in ("2", "ven.nii.gz"):
        assert np.array_equal(
            IMAGES.read_image(tmp_path, series=choice, progress=SILENT).volume.values, values + 1
        )
    assert [summary.image_count for summary in IMAGES.list_series(tmp_path)] == [6, 6]


def write_header(path, **changes):
    """A NIfTI file whose header was changed after the fact."""
    import nibabel as nib

    write_nifti(path, make_values(), make_affine())
    raw = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for key, value in changes.items():
        header[key] = value
    raw[:348] = header.binaryblock
    path.write_bytes(raw)
    return path


@pytest.mark.requirement("A-FILE-04")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, TooLargeError),
        ({"dim": [3, 11, 8, 600, 1, 1, 1, 1]}, SourceFormatError),
        ({"dim": [2, 11, 8, 1, 1, 1, 1, 1]}, NotAVolumeError),
        ({"dim": [4, 11, 8, 3, 2, 1, 1, 1]}, NotAVolumeError),
        ({"sform_code": 0, "qform_code": 0}, MissingGeometryError),
        ({"srow_x": [np.nan, 0, 0, 0]}, MissingGeometryError),
        ({"srow_x": [0, 0, 0, 0]}, MissingGeometryError),
        ({"datatype": 128, "bitpix": 24}, SourceFormatError),
        ({"datatype": 32, "bitpix": 64}, SourceFormatError),
        ({"datatype": 9999}, SourceFormatError),
    ],
    ids=[
        "huge",
        "truncated",
        "2-D",
        "4-D",
        "no form",
        "NaN affine",
        "zero spacing",
        "RGB",
        "complex",
        "unknown type",
    ],
)
def test_bad_nifti_headers_are_refused_each_by_its_own_error(tmp_path, changes, error):
    with pytest.raises(error):
        IMAGES.read_image(write_header(tmp_path / "a.nii", **changes), progress=SILENT)


@pytest.mark.requirement("A-FILE-04")
@pytest.mark.parametrize("cut", [100, 400, -20])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_truncated_volume_files_are_refused(tmp_path, suffix, cut):
    write = write_nifti if "nii" in suffix else write_itk
    path = write(tmp_path / f"a{suffix}", make_values(), make_affine())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises((SourceFormatError, MissingGeometryError)):
        IMAGES.read_image(path, progress=SILENT)


@pytest.mark.requirement("A-FILE-04")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_images_that_are_not_finite_are_refused(tmp_path, bad):
    values = make_values().astype(np.float32)
    values[3, 3, 3] = bad
    for path in (
        write_nifti(tmp_path / "a.nii.gz", values, make_affine()),
        write_itk(tmp_path / "a.nrrd", values, make_affine()),
    ):
        with pytest.raises(NonFiniteError):
            IMAGES.read_image(path, progress=SILENT)


@pytest.mark.requirement("A-FILE-04")
def test_a_trailing_axis_of_one_is_dropped(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", make_values()[..., None], make_affine())
    assert np.array_equal(IMAGES.read_image(path, progress=SILENT).volume.values, make_values())


@pytest.mark.requirement("A-FILE-04")
def test_forms_that_disagree_are_a_warning_and_the_sform_wins(tmp_path):
    path = write_header(tmp_path / "a.nii", qoffset_x=99.0)
    image = IMAGES.read_image(path, progress=SILENT)
    assert np.allclose(image.volume.grid.lps_from_ijk, make_affine())
    finding = next(finding for finding in image.findings if finding.rule == "image.forms_disagree")
    assert finding.measured == pytest.approx(99.0 - 31.0)


def change_nrrd(path, **changes):
    lines = []
    head, body = path.read_bytes().split(b"\n\n", 1)
    for line in head.decode().splitlines():
        key = line.partition(":")[0].replace(" ", "_")
        if key in changes:
            if changes[key]:
                lines.append(f"{key.replace('_', ' ')}: {changes[key]}")
        else:
            lines.append(line)
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + body)
    return path


@pytest.mark.requirement("A-FILE-04")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"space": ""}, MissingGeometryError),
        ({"space": "scanner-xyz"}, MissingGeometryError),
        ({"space_directions": ""}, MissingGeometryError),
        ({"space_origin": ""}, MissingGeometryError),
        ({"sizes": "100000 100000 100000"}, TooLargeError),
        ({"sizes": "11 8 -6"}, SourceFormatError),
        ({"sizes": "11 8 600"}, SourceFormatError),
        ({"type": "block"}, SourceFormatError),
    ],
)
def test_bad_nrrd_headers_are_refused_each_by_its_own_error(tmp_path, changes, error):
    path = change_nrrd(write_itk(tmp_path / "a.nrrd", make_values(), make_affine()), **changes)
    with pytest.raises(error):
        IMAGES.read_image(path, progress=SILENT)


@pytest.mark.requirement("A-FILE-04")
@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b"ElementSpacing", b"ElementSpacinX", MissingGeometryError),
        (b"TransformMatrix", b"TransformMatrY", MissingGeometryError),
        (b"Offset", b"OffseX", MissingGeometryError),
        (b"DimSize = 11 8 6", b"DimSize = 99999 99999 99999", TooLargeError),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = ../../secret", SourceFormatError),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = LIST", SourceFormatError),
    ],
)
def test_bad_metaimage_headers_are_refused_each_by_its_own_error(tmp_path, old, new, error):
    path = write_itk(tmp_path / "a.mha", make_values(), make_affine())
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(error):
        IMAGES.read_image(path, progress=SILENT)


@pytest.mark.requirement("A-FILE-05")
@pytest.mark.parametrize(
    "text",
    [
        "value,structure\n1,liver\n4,gall bladder\n",
        "1,liver\n4,gall bladder\n",
        "\ufeffid;name;colour\n1;liver;red\n4;gall bladder;green\n",
        "name\tlabel\nliver\t1\ngall bladder\t4\n",
        "# made by hand\n1;liver\n\n4.0;gall bladder\n",
        'Label,Name\r\n1,"liver"\r\n4,"gall bladder"\r\n',
    ],
)
def test_names_tables_of_any_delimiter_with_or_without_header_are_read(tmp_path, text):
    (tmp_path / "names.csv").write_text(text, encoding="utf-8")
    assert dict(read_names_table(tmp_path / "names.csv")) == {1: "liver", 4: "gall bladder"}


@pytest.mark.requirement("A-FILE-05")
@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"liver\nspleen\n", "neither"),
        (b"value,name\n1,liver\nx,spleen\n", "row 3"),
        (b"1,liver\n1,spleen\n", "named twice"),
        (b"1,liver\n2,\n", "row 2"),
        (b"\xff\xfe1\x00", "UTF-8"),
        (b"1,li\x00ver\n", "binary"),
    ],
)
def test_bad_names_tables_are_refused_with_their_row(tmp_path, content, match):
    (tmp_path / "names.csv").write_bytes(content)
    with pytest.raises(InputError, match=match):
        read_names_table(tmp_path / "names.csv")
