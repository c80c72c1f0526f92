"""Surfaces of a plan's structures for a picture in three dimensions: coarse, smooth and small."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.geometry import BoolArray, FloatArray
from hepatica.imaging.mask import Mask, find_box
from hepatica.lesions.lesion import Lesion
from hepatica.workflows.plan_scene import list_label_rows

STEP_MM: Final = 3.0
"""Voxels are pooled to about this size: what is drawn is for orientation, every number comes from the scan."""
BODY_STEP_MM: Final = 7.0
LESION_STEP_MM: Final = 1.5
SMOOTH_VOXELS: Final = 0.8
HALF: Final = 0.5
LEFT_OUT: Final = frozenset(
    {StructureKind.GAS, StructureKind.CONTRAST_LUMEN, StructureKind.LESION, StructureKind.LUNG}
)
"""Not drawn: helpers of the search, and what would hide the rest."""


def to_surfaces(anatomy: Anatomy, lesions: Sequence[Lesion], document: Mapping[str, Any]) -> bytes:
    """Return the surfaces of structures and lesions as JSON, arrays in base64, little-endian.

    Each has ``kind``, ``value`` (label value, 0 for the body), ``lesion_id``, ``points`` (float32 triples, LPS mm)
    and ``triangles`` (uint32 triples).

    Parameters
    ----------
    anatomy, lesions
        On the scan's grid.
    document
        ``plan.json``, for label values.
    """
    rows = list_label_rows(document)
    values = {row["kind"]: row["value"] for row in rows if row["lesion_id"] is None}
    of_lesions = {row["lesion_id"]: row["value"] for row in rows if row["lesion_id"]}
    surfaces = [
        {"kind": kind.value, "value": values.get(kind.value, 0), "lesion_id": None, **_pack(*found)}
        for kind, found in _list_structures(anatomy)
    ]
    for lesion in lesions:
        found = derive_surface(lesion.mask, step_mm=LESION_STEP_MM)
        if found is not None:
            row = {"kind": "lesion", "value": of_lesions[lesion.lesion_id], "lesion_id": lesion.lesion_id}
            surfaces.append({**row, **_pack(*found)})
    return json.dumps({"surfaces": surfaces}).encode()


def derive_surface(mask: Mask, *, step_mm: float) -> tuple[FloatArray, NDArray[np.uint32]] | None:
    """Return points (n, 3) in LPS mm and triangles (m, 3) around a mask; None where it is too small to have any.

    Parameters
    ----------
    mask
        Voxels.
    step_mm
        Size to which they are pooled.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    factor = np.maximum(1, np.rint(step_mm / mask.grid.spacing_mm)).astype(int)
    # A margin of two pooled voxels all round: the surface closes also where the mask meets its box.
    shape = np.array(mask.crop.shape)
    size = (np.ceil(shape / factor).astype(int) + 4) * factor
    padded = np.zeros(size, dtype=np.float32)
    low = 2 * factor
    padded[tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))] = mask.crop
    count = size // factor
    pooled = padded.reshape(count[0], factor[0], count[1], factor[1], count[2], factor[2]).mean(
        axis=(1, 3, 5)
    )
    smooth = gaussian_filter(pooled, SMOOTH_VOXELS)
    level = min(HALF, HALF * float(smooth.max()))
    if level <= 0:
        return None
    points, triangles, _, _ = marching_cubes(smooth, level)  # type: ignore[no-untyped-call]
    index = (points + HALF) * factor - HALF - low + np.array(mask.start_ijk)
    return mask.grid.to_lps_mm(index), triangles.astype(np.uint32)


def _list_structures(
    anatomy: Anatomy,
) -> Iterator[tuple[StructureKind, tuple[FloatArray, NDArray[np.uint32]]]]:
    for kind in anatomy.sources:
        if kind in LEFT_OUT:
            continue
        full: BoolArray = anatomy.select(kind)
        box = find_box(full)
        if box is None:
            continue
        mask = Mask(grid=anatomy.grid, start_ijk=(box[0].start, box[1].start, box[2].start), crop=full[box])
        found = derive_surface(mask, step_mm=BODY_STEP_MM if kind is StructureKind.BODY else STEP_MM)
        if found is not None:
            yield kind, found


def _pack(points: FloatArray, triangles: NDArray[np.uint32]) -> dict[str, str]:
    return {
        "points": base64.b64encode(points.astype("<f4").tobytes()).decode("ascii"),
        "triangles": base64.b64encode(triangles.astype("<u4").tobytes()).decode("ascii"),
    }
