"""Bone, told apart from contrast: the CT number alone does not do it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from hepatica.anatomy.derive_contrast import BrightImage, EvenRegions
from hepatica.anatomy.scan_axes import within
from hepatica.core.evidence import EvidenceTable
from hepatica.core.geometry import BoolArray, FloatArray

_TOUCHING: Final = np.ones((3, 3, 3), dtype=bool)


def derive_bone(
    image: BrightImage, regions: EvenRegions, limits: EvidenceTable
) -> tuple[BoolArray, BoolArray]:
    """Find ribs, spine and other bone at working resolution.

    Cortex is what is brighter than any lumen of the scan. Bright voxels near cortex are bone unless they
    belong to a lumen, are dense spots on a lumen's wall, or lie deep inside the frame of spine, ribs and
    pelvis. Marrow is what cortex encloses in a slice.

    Returns
    -------
    bone, rejected
        (z, y, x) booleans; rejected is dense but no bone: contrast in a bowel, calcified vessels.
    """
    lumen = regions.lumen
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000.0
    threshold = limits["cortex_least"].number
    if lumen.any():
        brightest = float(np.percentile(image.mean_hu[lumen], limits["lumen_brightest"].number))
        threshold = max(threshold, brightest + limits["cortex_above_contrast"].number)
    cortex = image.candidate & (image.peak_hu > threshold) & ~lumen
    least = max(limits["bone_least"].number, image.lumen_threshold_hu)
    bright = image.candidate & ((image.mean_hu > least) | cortex | regions.marrow) & ~lumen
    bright &= within(cortex, limits["bone_reach"].number, image.spacing_mm) | regions.marrow
    parts, count = ndimage.label(bright, _TOUCHING)
    if count == 0:
        return bright, bright
    cortical = np.bincount(parts[cortex], minlength=count + 1) * voxel_ml
    sizes = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml
    beside = ndimage.binary_dilation(lumen, iterations=int(limits["calcification_beside"].number))
    touching = np.bincount(parts[beside & (parts > 0)], minlength=count + 1) * voxel_ml
    keep = (cortical >= limits["cortex_volume"].number) & (cortical > limits["cortex_share"].number * sizes)
    keep &= ~(
        (touching > limits["calcification_beside_share"].number * sizes)
        & (sizes < limits["calcification_volume"].number)
    )
    keep[0] = False
    doubtful = keep & (sizes < limits["bone_alone"].number)
    deep = _find_deep(parts, keep, doubtful, image.spacing_mm, limits)
    keep[deep] = False
    return _fill_marrow(keep[parts], image, lumen, limits), np.isin(parts, deep)


def _find_deep(
    parts: NDArray[np.int32],
    keep: NDArray[np.bool_],
    doubtful: NDArray[np.bool_],
    spacing_mm: FloatArray,
    limits: EvidenceTable,
) -> list[int]:
    """Return the pieces that lie deep inside the in-slice hull of the other pieces near them."""
    boxes = ndimage.find_objects(parts)
    slab = int(np.ceil(limits["bone_frame"].number / spacing_mm[0]))
    frame = keep[parts]
    deep = []
    for number in np.flatnonzero(doubtful):
        box = boxes[number - 1]
        points = np.argwhere(parts[box] == number)[:, 1:] + [box[1].start, box[2].start]
        near = slice(max(box[0].start - slab, 0), box[0].stop + slab)
        others = np.argwhere((frame[near] & (parts[near] != number)).any(axis=0))
        try:
            hull = ConvexHull(others * spacing_mm[1:])
        except (QhullError, ValueError):
            continue
        outside = (points * spacing_mm[1:]) @ hull.equations[:, :2].T + hull.equations[:, 2]
        if (
            np.percentile(-outside.max(axis=1), limits["bone_depth_percentile"].number)
            > limits["bone_depth"].number
        ):
            deep.append(int(number))
    return deep


def _fill_marrow(bone: BoolArray, image: BrightImage, lumen: BoolArray, limits: EvidenceTable) -> BoolArray:
    """Fill what cortex encloses in each slice; wide gaps only in large bones and where marrow is likely."""
    parts, count = ndimage.label(bone, _TOUCHING)
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000.0
    large = np.bincount(parts.ravel(), minlength=count + 1) * voxel_ml >= limits["bone_alone"].number
    large[0] = False
    allowed = image.candidate & ~lumen
    enclosed = allowed & (image.mean_hu > limits["marrow_least"].number)
    likely = allowed & (image.mean_hu > limits["marrow_likely"].number)
    narrow = close_slices(bone, image.spacing_mm[1:], limits["marrow_closing"].number) & enclosed
    wide = close_slices(large[parts], image.spacing_mm[1:], limits["marrow_closing_wide"].number) & likely
    return np.asarray(bone | narrow | wide)


def close_slices(bone: BoolArray, pixel_mm: FloatArray, radius_mm: float) -> BoolArray:
    """Close gaps and fill holes slice by slice."""
    pad = int(np.ceil(radius_mm / pixel_mm.min())) + 1
    closed = np.zeros_like(bone)
    for z in np.flatnonzero(bone.any(axis=(1, 2))):
        pieces, _ = ndimage.label(within(bone[z], radius_mm, pixel_mm))
        for number, box in enumerate(ndimage.find_objects(pieces), start=1):
            near = np.pad(pieces[box] == number, pad)
            inside = ndimage.distance_transform_edt(near, sampling=pixel_mm)[pad:-pad, pad:-pad] > radius_mm
            closed[z][box] |= ndimage.binary_fill_holes(inside | bone[z][box] & (pieces[box] == number))
    return closed
