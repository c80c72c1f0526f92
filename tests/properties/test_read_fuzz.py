"""Damaged bytes never raise anything but a coded refusal, and never give an answer that is not finite."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scan_files import make_affine, make_readers, make_values, write_dicom, write_itk, write_nifti

from hepatica.core.errors import HepaticaError
from hepatica.core.progress import SILENT

IMAGES, LABELS = make_readers()
SHAPE = (6, 5, 3)
FAST_EXAMPLES = 150
SOAK_EXAMPLES = 3000
"""Some minutes on one core."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Whole bytes of one small file of each kind."""
    folder = tmp_path_factory.mktemp("seeds")
    values, affine = make_values(SHAPE), make_affine()
    write_dicom(folder / "d", values, affine)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / "d").iterdir()):
            archive.write(file, file.name)
    return {
        "dicom": [file.read_bytes() for file in sorted((folder / "d").iterdir())],
        "zip": [packed.getvalue()],
        "nii": [write_nifti(folder / "a.nii", values, affine).read_bytes()],
        "nii.gz": [write_nifti(folder / "a.nii.gz", values, affine).read_bytes()],
        "nrrd": [write_itk(folder / "a.nrrd", values, affine).read_bytes()],
        "mha": [write_itk(folder / "a.mha", values, affine).read_bytes()],
    }


FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)
CUT = st.one_of(st.none(), st.floats(0, 1))
KINDS = ("dicom", "zip", "nii", "nii.gz", "nrrd", "mha")


def damage(data: bytes, flips, cut) -> bytes:
    raw = bytearray(data)
    for place, value in flips:
        raw[int(place * len(raw))] = value
    return bytes(raw if cut is None else raw[: int(cut * len(raw))])


def check(folder: Path, seeds, kind: str, flips, cut):
    for old in folder.iterdir():
        old.unlink()
    for n, data in enumerate(seeds[kind]):
        (folder / f"file{n}").write_bytes(damage(data, flips, cut) if n == 0 else data)
    path = folder if kind == "dicom" else folder / "file0"
    for use in (
        lambda: IMAGES.list_series(path),
        lambda: IMAGES.read_image(path, progress=SILENT),
        lambda: IMAGES.read_image(path, resample=True, progress=SILENT),
    ):
        try:
            result = use()
        except HepaticaError as refusal:
            assert refusal.expected
            assert refusal.given
            continue
        if hasattr(result, "volume"):
            assert np.isfinite(result.volume.values).all()
            assert np.isfinite(result.volume.grid.lps_from_ijk).all()


def run(folder, seeds, kind, examples):
    @settings(
        deadline=None,
        max_examples=examples,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(flips=FLIPS, cut=CUT)
    def search(flips, cut):
        check(folder, seeds, kind, flips, cut)

    search()


@pytest.mark.requirement("A-FILE-06")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_raise_only_coded_refusals(tmp_path, seeds, kind):
    run(tmp_path, seeds, kind, FAST_EXAMPLES)


@pytest.mark.soak
@pytest.mark.requirement("A-FILE-06")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_images_raise_only_coded_refusals_for_long(tmp_path, seeds, kind):
    run(tmp_path, seeds, kind, SOAK_EXAMPLES)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = write_dicom(tmp_path_factory.mktemp("ct"), make_values(SHAPE), make_affine())
    return IMAGES.read_image(folder, progress=SILENT)


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory):
    """A small BINARY SEG on the reference, whole bytes."""
    import highdicom as hd
    import pydicom
    from pydicom.sr.codedict import codes

    folder = write_dicom(tmp_path_factory.mktemp("ct"), make_values(SHAPE), make_affine(), shuffle=None)
    sources = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    for source in sources:
        for keyword in ("PatientBirthDate", "PatientSex", "StudyTime", "AccessionNumber", "StudyID"):
            setattr(source, keyword, "")
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Liver",
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Liver,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    planes = np.zeros((3, 5, 6), np.uint8)
    planes[:2, 1:4, 2:5] = 1
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=planes,
        segmentation_type="BINARY",
        segment_descriptions=[description],
        series_instance_uid="2.25.900",
        series_number=9,
        sop_instance_uid="2.25.901",
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    )
    made.save_as(folder / "seg")
    return (folder / "seg").read_bytes()


def run_labels(path, data, reference, examples):
    @settings(
        deadline=None,
        max_examples=examples,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(flips=FLIPS, cut=CUT)
    def search(flips, cut):
        path.write_bytes(damage(data, flips, cut))
        try:
            labels = LABELS.read_labels(path, reference=reference, progress=SILENT)
        except HepaticaError:
            return
        assert all(mask.mask.grid.shape == SHAPE for mask in labels.masks)

    search()


@pytest.mark.requirement("A-FILE-06")
def test_a_damaged_seg_raises_only_coded_refusals(tmp_path, reference, segmentation):
    run_labels(tmp_path / "seg.dcm", segmentation, reference, FAST_EXAMPLES)


@pytest.mark.soak
@pytest.mark.requirement("A-FILE-06")
def test_a_damaged_seg_raises_only_coded_refusals_for_long(tmp_path, reference, segmentation):
    run_labels(tmp_path / "seg.dcm", segmentation, reference, SOAK_EXAMPLES)
