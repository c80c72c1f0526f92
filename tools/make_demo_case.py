"""Make the demonstration case from the folder of patient HCC_015 of HCC-TACE-Seg.

    python tools/make_demo_case.py SOURCE OUT

SOURCE holds ``ct_venous/`` and ``ct_arterial.zip`` (uncompressed DICOM), ``labels_semiautomatic.nii.gz`` and
``LICENSE.txt``. OUT receives ``venous.zip`` and ``arterial.zip`` (every slice in lossless JPEG-LS, entries
stored), ``slices.csv`` (digest of every slice's pixels), ``labels.nii.gz``, ``labels.csv`` and
``LICENSE-data.txt``; ``SHA256SUMS`` is brought up to date. The same SOURCE gives the same bytes.

Only the transfer syntax of a slice changes. The tool decodes every slice again, compares pixels and all other
elements with the source and stops at the first difference.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import JPEGLSLossless

SIZE_LIMIT_BYTES: Final = 24_000_000
"""Both archives together: what the repository is willing to carry for its demonstration."""
ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Earliest time a zip can hold, so that archives do not depend on the day they are made."""
LABEL_NAMES: Final[Mapping[int, str]] = {1: "body", 2: "lung", 3: "liver", 4: "lesion"}
"""Names of the source's label map, as its README gives them."""
SLICE_COLUMNS: Final = ("archive", "file", "sop_instance_uid", "z_mm", "pixel_sha256")
SUMS_NAME: Final = "SHA256SUMS"


def make_demo_case(source: Path, out: Path) -> dict[str, int]:
    """Write the case and return the size in bytes of each file written.

    Raises
    ------
    ValueError
        If a slice does not decode to its source, or the archives exceed `SIZE_LIMIT_BYTES`.
    """
    out.mkdir(parents=True, exist_ok=True)
    phases = {
        "venous.zip": {path.name: path.read_bytes() for path in (source / "ct_venous").glob("*.dcm")},
        "arterial.zip": _read_zip(source / "ct_arterial.zip"),
    }
    rows: list[Sequence[str]] = []
    for archive, slices in phases.items():
        compressed = {name: compress_slice(slices[name]) for name in sorted(slices)}
        _write_stored_zip(out / archive, compressed)
        rows += [(archive, *_describe_slice(name, slices[name])) for name in sorted(slices)]
    total = sum((out / archive).stat().st_size for archive in phases)
    if total > SIZE_LIMIT_BYTES:
        raise ValueError(f"the archives take {total} bytes, more than {SIZE_LIMIT_BYTES}")
    write_csv(out / "slices.csv", SLICE_COLUMNS, rows)
    write_csv(out / "labels.csv", ("value", "name"), [(str(v), name) for v, name in LABEL_NAMES.items()])
    _copy_labels(source / "labels_semiautomatic.nii.gz", out / "labels.nii.gz")
    licence = (source / "LICENSE.txt").read_text(encoding="utf-8").rstrip()
    (out / "LICENSE-data.txt").write_text(
        "\n".join(line.rstrip() for line in licence.splitlines()) + "\n", encoding="utf-8", newline="\n"
    )
    written = (*phases, "slices.csv", "labels.csv", "labels.nii.gz", "LICENSE-data.txt")
    update_sums(out, written)
    return {name: (out / name).stat().st_size for name in written}


def compress_slice(raw: bytes) -> bytes:
    """Return a DICOM slice in lossless JPEG-LS, checked against the input."""
    dataset = pydicom.dcmread(io.BytesIO(raw))
    dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    require_same_slice(raw, buffer.getvalue())
    return buffer.getvalue()


def require_same_slice(raw: bytes, compressed: bytes) -> None:
    """Stop unless both files hold the same pixels and elements, the transfer syntax apart."""
    before, after = pydicom.dcmread(io.BytesIO(raw)), pydicom.dcmread(io.BytesIO(compressed))
    where = before.SOPInstanceUID
    if after.file_meta.TransferSyntaxUID != JPEGLSLossless:
        raise ValueError(
            f"{where}: expected JPEG-LS lossless, given {after.file_meta.TransferSyntaxUID.name}"
        )
    if _elements(before) != _elements(after):
        raise ValueError(f"{where}: an element other than the pixel data changed")
    one, other = before.pixel_array, after.pixel_array
    if one.dtype != other.dtype or not np.array_equal(one, other):
        raise ValueError(f"{where}: the decoded pixels differ from the source")


def _elements(dataset: FileDataset) -> dict[str, str]:
    """Return every element but the pixel data, and the file meta but what compression must change."""
    changed = {"PixelData", "TransferSyntaxUID", "FileMetaInformationGroupLength"}
    every = [*dataset.file_meta, *dataset]
    return {str(e.tag): f"{e.VR} {e.value!r}" for e in every if e.keyword not in changed}


def _describe_slice(name: str, raw: bytes) -> tuple[str, str, str, str]:
    dataset = pydicom.dcmread(io.BytesIO(raw))
    pixels = np.ascontiguousarray(dataset.pixel_array.astype("<i2"))
    z_mm = f"{float(dataset.ImagePositionPatient[2]):.6f}"
    return name, dataset.SOPInstanceUID, z_mm, hashlib.sha256(pixels.tobytes()).hexdigest()


def _read_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}


def _write_stored_zip(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=ZIP_TIME)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])


def _copy_labels(source: Path, out: Path) -> None:
    image = nibabel.load(source)
    write_label_map(out, np.asarray(image.dataobj).astype(np.uint8), image.affine)


def write_label_map(path: Path, labels: np.ndarray, ras_from_ijk: np.ndarray) -> None:
    """Write an (I, J, K) uint8 label map as NIfTI, compressed without name or time."""
    image = nibabel.Nifti1Image(labels, ras_from_ijk)
    image.header.set_xyzt_units("mm")
    image.set_qform(ras_from_ijk, code="scanner")
    image.set_sform(ras_from_ijk, code="scanner")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
        stream.write(image.to_bytes())
    path.write_bytes(buffer.getvalue())


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def update_sums(folder: Path, names: Sequence[str]) -> None:
    """Set the lines of some files in the folder's ``SHA256SUMS``; ``sha256sum --check`` reads it."""
    path = folder / SUMS_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    sums = {line[66:]: line[:64] for line in lines}
    sums |= {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of the case as copied from the archive")
    parser.add_argument("out", type=Path, help="folder to write into")
    arguments = parser.parse_args()
    for name, size in make_demo_case(arguments.source, arguments.out).items():
        print(f"{size:>10}  {name}")


if __name__ == "__main__":
    main()
