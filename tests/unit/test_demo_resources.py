"""The demonstration case: lossless, complete, consistent, marked for what it is, and rebuilt to the byte."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib
import io
import json
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

import jsonschema
import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import JPEGLSLossless
from scipy import ndimage

ROOT: Final = Path(__file__).parents[2]
DEMO: Final = ROOT / "src" / "hepatica" / "resources" / "demo"
SOURCE_NAME: Final = "hcc-tace-seg-015"
SIZE_LIMIT_BYTES: Final = 24_000_000
"""Promised for both phases together."""
GRID_TOLERANCE_MM: Final = 1e-4
"""NIfTI keeps single precision, DICOM decimal strings; both agree far below a hundredth of a voxel."""
VOLUME_RANGES_ML: Final = {
    "stomach": (100.0, 1000.0),
    "heart": (40.0, 250.0),
    "duodenum, first part": (2.0, 40.0),
    "spleen": (80.0, 350.0),
    "kidney left": (70.0, 250.0),
    "kidney right": (70.0, 250.0),
    "aorta": (15.0, 80.0),
}
"""Adult organs with room for habitus; of heart, aorta and duodenum only the scanned part counts."""
AORTA_ARTERIAL_HU: Final = 250.0
"""In the arterial phase, which the derivation never saw, only arteries, right heart and bone are brighter."""
PARENCHYMA_GAIN_HU: Final = 40.0
"""Kidney and spleen exceed unenhanced tissue (about 40 HU) by at least this in the venous phase."""


@dataclass(frozen=True)
class Case:
    """The shipped case, decoded once."""

    hu: dict[str, NDArray[np.int16]]
    slices: dict[str, list[pydicom.Dataset]]
    labels: NDArray[np.uint8]
    organs: NDArray[np.uint8]
    organ_names: dict[int, str]


def _read_names(path: Path) -> dict[int, str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return {int(row["value"]): row["name"] for row in csv.DictReader(stream)}


def _slices(archive: str) -> dict[str, pydicom.Dataset]:
    with zipfile.ZipFile(DEMO / archive) as opened:
        return {name: pydicom.dcmread(io.BytesIO(opened.read(name))) for name in opened.namelist()}


def _label_array(name: str) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(nibabel.load(DEMO / name).dataobj).T)


@pytest.fixture(scope="module")
def case() -> Case:
    """Decode both phases and read both label maps as (K, J, I)."""
    slices = {}
    hu = {}
    for archive in ("venous.zip", "arterial.zip"):
        ordered = sorted(_slices(archive).values(), key=lambda d: float(d.ImagePositionPatient[2]))
        slices[archive] = ordered
        hu[archive] = np.stack([d.pixel_array for d in ordered])
    return Case(
        hu=hu,
        slices=slices,
        labels=_label_array("labels.nii.gz"),
        organs=_label_array("organs.nii.gz"),
        organ_names=_read_names(DEMO / "organs.csv"),
    )


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Import the two maker scripts as modules."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return {name: importlib.import_module(name) for name in ("make_demo_case", "make_demo_organs")}


@pytest.mark.requirement("A-DEMO-1")
def test_both_phases_together_take_at_most_24_megabytes() -> None:
    sizes = [(DEMO / name).stat().st_size for name in ("venous.zip", "arterial.zip")]
    assert min(sizes) > 5_000_000
    assert sum(sizes) <= SIZE_LIMIT_BYTES


@pytest.mark.requirement("A-DEMO-2")
def test_digest_list_names_every_data_file_and_matches_it() -> None:
    listed = {}
    for line in (DEMO / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    data = {p.name for p in DEMO.iterdir() if p.suffix in {".zip", ".gz", ".csv"}} | {"LICENSE-data.txt"}
    assert set(listed) == data
    for name, digest in listed.items():
        assert hashlib.sha256((DEMO / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.requirement("A-DEMO-3")
def test_archives_are_stored_sorted_and_free_of_dates() -> None:
    for archive in ("venous.zip", "arterial.zip"):
        with zipfile.ZipFile(DEMO / archive) as opened:
            entries = opened.infolist()
        assert [e.filename for e in entries] == sorted(e.filename for e in entries)
        assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
        assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert all(e.filename.endswith(".dcm") and "/" not in e.filename for e in entries)


@pytest.mark.requirement("A-DEMO-4")
@pytest.mark.parametrize("decoder", ["pyjpegls", "gdcm"])
def test_every_slice_decodes_to_its_listed_pixels_with_two_decoders(decoder: str) -> None:
    with (DEMO / "slices.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 62 + 61
    found = {archive: _slices(archive) for archive in ("venous.zip", "arterial.zip")}
    assert {(r["archive"], r["file"]) for r in rows} == {(a, n) for a, s in found.items() for n in s}
    for row in rows:
        dataset = found[row["archive"]][row["file"]]
        assert dataset.file_meta.TransferSyntaxUID == JPEGLSLossless
        assert (
            dataset.SOPInstanceUID == row["sop_instance_uid"] == dataset.file_meta.MediaStorageSOPInstanceUID
        )
        assert float(dataset.ImagePositionPatient[2]) == pytest.approx(
            float(row["z_mm"]), abs=GRID_TOLERANCE_MM
        )
        pixels = pydicom.pixels.pixel_array(dataset, decoding_plugin=decoder).astype("<i2")
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == row["pixel_sha256"], row["file"]


@pytest.mark.requirement("A-DEMO-5")
@pytest.mark.real_data(SOURCE_NAME)
def test_every_slice_equals_its_source_in_pixels_and_elements(real_data: Path) -> None:
    folder = real_data / SOURCE_NAME
    with zipfile.ZipFile(folder / "ct_arterial.zip") as opened:
        arterial = {name: opened.read(name) for name in opened.namelist()}
    source = {
        "venous.zip": {path.name: path.read_bytes() for path in (folder / "ct_venous").glob("*.dcm")},
        "arterial.zip": arterial,
    }
    changed = {"PixelData", "TransferSyntaxUID", "FileMetaInformationGroupLength"}
    for archive, slices in source.items():
        shipped = _slices(archive)
        assert set(shipped) == set(slices)
        for name, raw in slices.items():
            before, after = pydicom.dcmread(io.BytesIO(raw)), shipped[name]
            assert after.pixel_array.astype("<i2").tobytes() == before.PixelData
            for one, other in ((before, after), (before.file_meta, after.file_meta)):
                kept = [e for e in one if e.keyword not in changed]
                assert kept == [e for e in other if e.keyword not in changed], name


@pytest.mark.requirement("A-DEMO-6")
def test_both_label_maps_lie_on_the_grid_of_the_venous_phase(case: Case) -> None:
    slices = case.slices["venous.zip"]
    first, last = slices[0], slices[-1]
    positions = np.array([[float(v) for v in d.ImagePositionPatient] for d in slices])
    assert np.allclose(np.diff(positions, axis=0), [0.0, 0.0, 2.5], atol=GRID_TOLERANCE_MM)
    assert [float(v) for v in first.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
    lps_from_ijk = np.eye(4)
    lps_from_ijk[:3, :3] = np.diag([float(first.PixelSpacing[1]), float(first.PixelSpacing[0]), 2.5])
    lps_from_ijk[:3, 3] = positions[0]
    expected = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_from_ijk
    corner = np.array([last.Columns - 1, last.Rows - 1, len(slices) - 1, 1.0])
    for name in ("labels.nii.gz", "organs.nii.gz"):
        image = nibabel.load(DEMO / name)
        assert image.shape == (512, 512, 62)
        assert np.allclose(image.affine @ corner, expected @ corner, atol=512 * GRID_TOLERANCE_MM)
        assert np.allclose(image.affine, expected, atol=GRID_TOLERANCE_MM)
        assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
        assert np.allclose(image.get_qform(), expected, atol=GRID_TOLERANCE_MM)


@pytest.mark.requirement("A-DEMO-7")
def test_name_tables_name_exactly_the_values_of_their_maps(case: Case) -> None:
    assert _read_names(DEMO / "labels.csv") == {1: "body", 2: "lung", 3: "liver", 4: "lesion"}
    assert set(np.unique(case.labels)) == {0, 1, 2, 3, 4}
    assert set(np.unique(case.organs)) == {0, *case.organ_names}


@pytest.mark.requirement("A-DEMO-8")
def test_every_derived_organ_says_that_it_is_derived_and_not_reviewed(case: Case) -> None:
    assert {name.split(" (")[0] for name in case.organ_names.values()} == set(VOLUME_RANGES_ML)
    assert all(name.endswith(" (derived, not reviewed)") for name in case.organ_names.values())
    document = tomllib.loads((DEMO / "demo.toml").read_text(encoding="utf-8"))
    assert document["organs"]["origin"] == "derived, not reviewed"
    assert document["plan"]["declared_absent"] == []


@pytest.mark.requirement("A-DEMO-9")
def test_derived_organs_keep_off_liver_lesion_and_lung_and_inside_the_body(case: Case) -> None:
    under = case.labels[case.organs > 0]
    assert under.size > 0
    assert set(np.unique(under)) == {1}


@pytest.mark.requirement("A-DEMO-10")
def test_each_derived_organ_is_one_piece_of_plausible_volume_in_adjoining_slices(case: Case) -> None:
    voxel_ml = 0.664062**2 * 2.5 / 1000
    for value, name in case.organ_names.items():
        organ = case.organs == value
        low, high = VOLUME_RANGES_ML[name.split(" (")[0]]
        assert low < organ.sum() * voxel_ml < high, name
        assert ndimage.label(organ)[1] == 1, name
        present = np.flatnonzero(organ.any(axis=(1, 2)))
        assert len(present) == present[-1] - present[0] + 1, name


def _centre(case: Case, name: str) -> NDArray[np.float64]:
    """(z, y, x) index of an organ's centre; x grows to the patient's left, y to the back, z to the head."""
    value = next(v for v, n in case.organ_names.items() if n.startswith(name))
    return np.argwhere(case.organs == value).mean(axis=0)


@pytest.mark.requirement("A-DEMO-10")
def test_derived_organs_lie_as_in_a_human_body(case: Case) -> None:
    liver = np.argwhere(case.labels == 3).mean(axis=0)
    stomach, heart, aorta = (_centre(case, name) for name in ("stomach", "heart", "aorta"))
    assert stomach[2] > liver[2] and _centre(case, "spleen")[2] > stomach[2]
    assert _centre(case, "spleen")[1] > stomach[1]
    assert heart[0] > liver[0] and heart[0] > stomach[0]
    assert aorta[1] > heart[1] and aorta[1] > stomach[1]
    assert _centre(case, "kidney right")[2] < aorta[2] < _centre(case, "kidney left")[2]
    assert _centre(case, "duodenum")[2] < stomach[2]


@pytest.mark.requirement("A-DEMO-11")
def test_enhancement_in_both_phases_agrees_with_the_names(case: Case) -> None:
    values = {name.split(" (")[0]: value for value, name in case.organ_names.items()}
    arterial, venous = case.hu["arterial.zip"], case.hu["venous.zip"]
    shared = case.organs[: arterial.shape[0]]
    aorta = arterial[shared == values["aorta"]]
    assert np.median(aorta) > AORTA_ARTERIAL_HU
    assert np.mean(aorta > AORTA_ARTERIAL_HU) > 0.9
    for name in ("kidney left", "kidney right", "spleen"):
        assert np.median(arterial[shared == values[name]]) < AORTA_ARTERIAL_HU
        assert np.median(venous[case.organs == values[name]]) > 40 + PARENCHYMA_GAIN_HU
    assert (arterial[shared == values["heart"]] > AORTA_ARTERIAL_HU).mean() > 0.3
    stomach = venous[case.organs == values["stomach"]]
    assert (stomach > 250).any() and (stomach < -300).any(), "oral contrast and gas are content"


@pytest.mark.requirement("A-DEMO-12")
@pytest.mark.real_data(SOURCE_NAME)
def test_case_rebuilt_from_the_source_has_the_same_bytes(
    real_data: Path, tools: dict[str, ModuleType], tmp_path: Path
) -> None:
    written = tools["make_demo_case"].make_demo_case(real_data / SOURCE_NAME, tmp_path)
    for name in written:
        given, shipped = (tmp_path / name).read_bytes(), (DEMO / name).read_bytes()
        if name.endswith(".gz"):  # the deflate stream may differ between zlib builds, its content may not
            given, shipped = gzip.decompress(given), gzip.decompress(shipped)
        assert given == shipped, name


@pytest.mark.requirement("A-DEMO-12")
def test_organs_derived_again_have_the_same_voxels(case: Case, tools: dict[str, ModuleType]) -> None:
    again = tools["make_demo_organs"].derive_organs(case.hu["venous.zip"], case.labels)
    assert np.array_equal(again, case.organs)


@pytest.mark.requirement("A-DEMO-5")
def test_a_slice_whose_pixels_or_elements_changed_is_refused(tools: dict[str, ModuleType]) -> None:
    maker = tools["make_demo_case"]
    dataset = next(iter(_slices("venous.zip").values()))
    shipped = io.BytesIO()
    dataset.save_as(shipped)
    dataset.decompress(generate_instance_uid=False)
    original = io.BytesIO()
    dataset.save_as(original)
    maker.require_same_slice(original.getvalue(), shipped.getvalue())

    pixels = np.frombuffer(dataset.PixelData, dtype="<i2").copy()
    pixels[100_000] += 1
    dataset.PixelData = pixels.tobytes()
    one_value = io.BytesIO()
    dataset.save_as(one_value)
    with pytest.raises(ValueError, match="pixels differ"):
        maker.require_same_slice(one_value.getvalue(), shipped.getvalue())

    dataset.SliceThickness = "5"
    one_element = io.BytesIO()
    dataset.save_as(one_element)
    with pytest.raises(ValueError, match="element other than the pixel data"):
        maker.require_same_slice(one_element.getvalue(), shipped.getvalue())


@pytest.mark.requirement("A-DEMO-13")
def test_the_case_carries_its_licence_citations_and_warnings() -> None:
    attribution = (DEMO / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for needed in (
        "https://creativecommons.org/licenses/by/4.0/",
        "https://doi.org/10.7937/TCIA.5FNA-0924",
        "Moawad AW",
        "Clark K",
        "lossless JPEG-LS",
        "No radiologist has seen",
    ):
        assert needed in attribution, needed
    licence = (DEMO / "LICENSE-data.txt").read_text(encoding="utf-8")
    assert "Creative Commons Attribution 4.0 International" in licence and "Data Usage Policy" in licence


@pytest.mark.requirement("A-DEMO-13")
def test_patient_facts_are_marked_as_simulated_and_every_named_file_exists() -> None:
    document = tomllib.loads((DEMO / "demo.toml").read_text(encoding="utf-8"))
    assert "simulated" in document["files"]["patient"]
    assert document["patient"]["origin"].startswith("SIMULATED")
    assert all((DEMO / name).is_file() for name in [*document["files"].values(), document["attribution"]])
    assert (document["plan"]["protocol"], document["plan"]["visit"]) == ("tvec-label", 1)


@pytest.mark.requirement("A-DEMO-14")
def test_patient_facts_follow_the_published_schema() -> None:
    schema = DEMO.parents[1] / "planning" / "tables" / "facts.schema.json"
    if not schema.exists():
        pytest.skip("the schema of patient facts is not part of this tree yet")
    facts = json.loads((DEMO / "facts-simulated.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(facts)
