"""What NIfTI, NRRD and MetaImage files have in common once read: an array with an LPS affine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import (
    GeometryError,
    MissingGeometryError,
    NotAVolumeError,
    SourceFormatError,
    TooLargeError,
)
from hepatica.core.findings import Finding
from hepatica.core.geometry import FloatArray

MAX_VOXELS: Final = 1_500_000_000
"""More than 5000 slices of 512 x 512."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredArray:
    """A file's voxels in their stored order.

    Parameters
    ----------
    values
        (I, J, K) array as stored, scaling applied.
    lps_from_ijk
        (4, 4) affine to LPS millimetres; may be sheared.
    format
        ``NIfTI``, ``NRRD`` or ``MetaImage``.
    names
        Label names the file itself carries, by value.
    findings
        What the reader noticed.
    """

    values: NDArray[Any]
    lps_from_ijk: FloatArray
    format: str
    names: dict[int, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def require_volume_size(sizes: tuple[int, ...], *, where: str) -> tuple[int, int, int]:
    """Return the three sizes of a volume, trailing axes of one dropped, before anything is allocated.

    Raises
    ------
    NotAVolumeError
        For a 2-D image, a single slice, or several volumes in one file.
    TooLargeError
        If the header announces more than a scan can hold.
    """
    total = 1
    for size in sizes:
        total *= max(size, 1)
    if total > MAX_VOXELS:
        raise TooLargeError(
            expected=f"at most {MAX_VOXELS} voxels",
            given=" x ".join(map(str, sizes)),
            where=where,
            action="check the header; export the file again",
        )
    if any(size < 1 for size in sizes):
        raise SourceFormatError(expected="sizes above 0", given=" x ".join(map(str, sizes)), where=where)
    kept = list(sizes)
    while len(kept) > 3 and kept[-1] == 1:
        kept.pop()
    if len(kept) != 3 or min(kept) < 2:
        raise NotAVolumeError(
            expected="one volume of at least two voxels on each of three axes",
            given=" x ".join(map(str, sizes)),
            where=where,
            action="export one 3-D volume",
        )
    return kept[0], kept[1], kept[2]


def require_affine(lps_from_ijk: FloatArray, *, where: str) -> FloatArray:
    """Return the affine if it is one.

    Raises
    ------
    MissingGeometryError
        If it is not finite, or an axis has no length.
    GeometryError
        If axes lie in one plane.
    """
    lengths = np.linalg.norm(lps_from_ijk[:3, :3], axis=0)
    if not np.isfinite(lps_from_ijk).all() or not (lengths > 0).all():
        raise MissingGeometryError(
            expected="finite origin, directions and spacing above 0 mm",
            given=f"spacing {lengths.tolist()} mm",
            where=where,
            action="export the file with its geometry",
        )
    if abs(np.linalg.det(lps_from_ijk[:3, :3] / lengths)) < 0.1:
        raise GeometryError(expected="three independent axes", given="axes in one plane", where=where)
    return lps_from_ijk
