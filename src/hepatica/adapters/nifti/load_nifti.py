"""NIfTI files by nibabel: RAS becomes LPS here and nowhere else."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any, Final

import numpy as np

from hepatica.adapters.nifti.stored_array import StoredArray, require_affine, require_volume_size
from hepatica.core.errors import MissingGeometryError, SourceFormatError, refuse_unreadable
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import FloatArray

LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
FORM_DISAGREEMENT_MM: Final = 0.1
"""qform stores its turn in 32-bit quaternions; corners of a scan then differ by some hundredths, not more."""
_MM_PER_UNIT: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_EXPECTED: Final = "a complete NIfTI file"


def load_nifti(path: Path, *, where: str) -> StoredArray:
    """Load a NIfTI-1 or NIfTI-2 file, plain or gzip.

    Raises
    ------
    MissingGeometryError
        If neither sform nor qform is set.
    NotAVolumeError, TooLargeError
        By the header, before voxels are read.
    SourceFormatError
        If the file is truncated, damaged, or in colour.
    """
    with refuse_unreadable(expected=_EXPECTED, where=where):
        image = _open(path)
        header = image.header
        sizes = tuple(int(size) for size in header.get_data_shape())
        dtype = header.get_data_dtype()
    shape = require_volume_size(sizes, where=where)
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise SourceFormatError(
            expected="one real number for each voxel",
            given="colour or complex voxels",
            where=where,
            action="export a grey-value image",
        )
    with refuse_unreadable(expected=_EXPECTED, where=where):
        ras, findings = _find_affine(header, shape, where=where)
        values = np.asanyarray(image.dataobj).reshape(shape, order="F")
    return StoredArray(
        values=values,
        lps_from_ijk=require_affine(LPS_FROM_RAS @ ras, where=where),
        format="NIfTI",
        findings=tuple(findings),
    )


def _open(path: Path) -> Any:
    """Open by content: nibabel itself goes by the file name."""
    import nibabel as nib

    data = path.read_bytes()
    stream: Any = io.BytesIO(data)
    if data[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)
    head = stream.read(348)
    stream.seek(0)
    one = int.from_bytes(head[:4], "little") == 348 or int.from_bytes(head[:4], "big") == 348
    kind = nib.Nifti1Image if one else nib.Nifti2Image
    if head[344:348] == b"ni1\x00" or (not one and head[4:7] == b"ni2"):
        return nib.load(path)  # header and data in two files
    return kind.from_file_map(
        {"header": nib.FileHolder(fileobj=stream), "image": nib.FileHolder(fileobj=stream)}
    )


def _find_affine(header: Any, shape: tuple[int, int, int], *, where: str) -> tuple[FloatArray, list[Finding]]:
    sform, sform_code = header.get_sform(coded=True)
    qform, qform_code = header.get_qform(coded=True)
    if not sform_code and not qform_code:
        raise MissingGeometryError(
            expected="an sform or a qform",
            given="neither (both codes are 0)",
            where=where,
            action="export the file with its orientation; no default is assumed",
        )
    affine = np.array(sform if sform_code else qform, dtype=np.float64)
    unit = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7)
    if unit is None:
        raise MissingGeometryError(expected="a unit of length", given="an unknown one", where=where)
    affine[:3] *= unit
    findings = []
    if sform_code and qform_code:
        other = np.array(qform, dtype=np.float64)
        other[:3] *= unit
        apart_mm = _measure_disagreement_mm(affine, other, shape)
        # Written so that a broken (NaN) qform counts as disagreeing.
        if not apart_mm <= FORM_DISAGREEMENT_MM:
            findings.append(
                Finding(
                    rule="image.forms_disagree",
                    severity=Severity.WARNING,
                    message=f"sform and qform place a corner {apart_mm:.1f} mm apart; the sform was used.",
                    measured=apart_mm,
                    limit=FORM_DISAGREEMENT_MM,
                    unit="mm",
                    subject=where,
                )
            )
    return affine, findings


def _measure_disagreement_mm(first: FloatArray, second: FloatArray, shape: tuple[int, int, int]) -> float:
    corners = np.array([(i, j, k, 1) for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])])
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())
